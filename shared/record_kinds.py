"""The kinds of records: which fields a provider may say of each, of what form, and what is told when they change.

One table of declarations for the drain's checks, the tables, the JSON of events and of the API, and the catalogue.
Pure; nothing is left behind by importing this.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from shared import users


class Form(StrEnum):
    """What a field holds, and so how it is checked, merged and stored."""

    TEXT = "text"  # or null
    ID = "id"  # a provider's id, as text; or null
    TIME = "time"  # an instant, or null
    MINOR = "minor"  # money in the smallest unit of the record's currency; or null
    COUNT = "count"  # a whole number, or null
    NUMBER = "number"  # a number, or null
    FLAG = "flag"
    OBJECT = "object"  # its keys are facts of their own: one that is absent is unknown, null takes it away
    PART = "part"  # an object that is replaced whole, or null
    TEXTS = "texts"  # a list of texts, replaced whole
    ITEMS = "items"  # a list of objects, replaced whole
    CUSTOM = "custom"  # an OBJECT whose values are texts
    FLAGS = "flags"  # an OBJECT whose values are flags
    COUNTS = "counts"  # an OBJECT whose values are counts, and under LAST_COUNTED an instant
    TAGS = "tags"  # ITEMS that keep their id and when they were applied


# Those whose keys are facts of their own, so that what is said of some leaves the others as they are.
MERGED: Final = frozenset({Form.OBJECT, Form.CUSTOM, Form.FLAGS, Form.COUNTS})
LAST_COUNTED: Final = "lastUpdated"

_BLANKS: Final[Mapping[Form, Any]] = {
    **{form: {} for form in MERGED},
    Form.FLAG: False,
    Form.TEXTS: [],
    Form.ITEMS: [],
    Form.TAGS: [],
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record: the column's name is the field's, its JSON name the same in camelCase."""

    name: str
    form: Form
    words: tuple[str, ...] = ()  # what a TEXT may say; empty: anything
    personal: bool = False  # forgotten when its person is erased
    personal_keys: tuple[str, ...] = ()  # the same, of each of its items; what else they say stays

    @property
    def blank(self) -> Any:
        """What it holds while nobody has said it."""
        return _BLANKS.get(self.form)


@dataclass(frozen=True, slots=True)
class Transition:
    """An event that is told when a field comes to say one of `words` and did not before."""

    event_type: str
    field: str
    words: frozenset[str]
    only: tuple[str, str] | None = None  # (field, word): of these records alone


@dataclass(frozen=True, slots=True)
class RecordKind:
    """One kind of record. `user` is one too, with a JSON form of its own in shared/users.py."""

    name: str
    table: str
    title: str  # for people, in the plural
    fields: tuple[Field, ...]
    created: str | None = None  # the event types told by effect; None: not told
    updated: str | None = None
    deleted: str | None = None
    transitions: tuple[Transition, ...] = ()
    by_name: Mapping[str, Field] = field(init=False, repr=False, compare=False)
    json_names: Mapping[str, str] = field(init=False, repr=False, compare=False)  # column -> its name in our JSON
    blank: Mapping[str, Any] = field(init=False, repr=False, compare=False)
    merged: frozenset[str] = field(init=False, repr=False, compare=False)  # the fields of the MERGED forms
    has_tag_objects: bool = field(init=False, repr=False, compare=False)
    personal: frozenset[str] = field(init=False, repr=False, compare=False)
    personal_keys: Mapping[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)  # by field
    lists: frozenset[str] = field(init=False, repr=False, compare=False)  # the ITEMS fields

    def __post_init__(self) -> None:
        by_name = {one.name: one for one in self.fields}
        object.__setattr__(self, "by_name", by_name)
        object.__setattr__(self, "json_names", {one.name: camel(one.name) for one in self.fields})
        object.__setattr__(self, "blank", {one.name: one.blank for one in self.fields})
        merged = frozenset(one.name for one in self.fields if one.form in MERGED)
        object.__setattr__(self, "merged", merged)
        object.__setattr__(self, "has_tag_objects", any(one.form is Form.TAGS for one in self.fields))
        object.__setattr__(self, "personal", frozenset(one.name for one in self.fields if one.personal))
        object.__setattr__(
            self, "personal_keys", {one.name: one.personal_keys for one in self.fields if one.personal_keys}
        )
        object.__setattr__(self, "lists", frozenset(one.name for one in self.fields if one.form is Form.ITEMS))

    @property
    def plural(self) -> str:
        """What the API's paths and the commands call them."""
        return "inventory" if self.name == "inventory" else self.table


def camel(name: str) -> str:
    """A column's name as our JSON has it."""
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)


def _fields(form: Form, *names: str, personal: bool = False) -> tuple[Field, ...]:
    return tuple(Field(name, form, personal=personal) for name in names)


def _word(name: str, *words: str) -> Field:
    return Field(name, Form.TEXT, words)


REST_OF_ITEM: Final = "attributes"  # of an item what _REST is of its record; one that has none says nothing of it
_LINES: Final = Field("line_items", Form.ITEMS, personal_keys=(REST_OF_ITEM,))
_REST: Final = Field("attributes", Form.OBJECT, personal=True)  # what the provider also says and we have no field for

USER: Final = RecordKind(
    name="user",
    table="users",
    title="Users",
    fields=(
        *_fields(Form.TEXT, *users.TEXT_FIELDS, personal=True),
        Field("roles", Form.TEXTS, personal=True),
        Field("opt_ins", Form.FLAGS, personal=True),
        Field("export_consent_given", Form.FLAG, personal=True),
        Field("export_consent_at", Form.TIME, personal=True),
        Field("tags", Form.TAGS, personal=True),
        Field("custom_fields", Form.CUSTOM, personal=True),
        Field("address", Form.PART, personal=True),
        Field("interactions", Form.COUNTS, personal=True),
        *_fields(Form.OBJECT, "stats", "attributes", personal=True),
        Field("subscribed_at", Form.TIME, personal=True),
    ),
    created="user.created",
    updated="user.updated",
    deleted="user.deleted",
)
ORDER: Final = RecordKind(
    name="order",
    table="orders",
    title="Orders",
    fields=(
        Field("number", Form.TEXT),
        _word("status", "open", "cancelled", "closed"),
        _word(
            "financial_status",
            "pending",
            "authorized",
            "partially_paid",
            "paid",
            "partially_refunded",
            "refunded",
            "voided",
        ),
        _word("fulfillment_status", "unfulfilled", "partial", "fulfilled", "returned"),
        Field("currency", Form.TEXT),
        *_fields(Form.MINOR, "total_minor", "subtotal_minor", "tax_minor", "discount_minor", "shipping_minor"),
        Field("presentment", Form.PART),
        Field("customer_external_id", Form.ID, personal=True),
        *_fields(Form.TEXT, "email", "phone", personal=True),
        *_fields(Form.PART, "billing_address", "shipping_address", personal=True),
        _LINES,
        Field("discount_codes", Form.TEXTS),
        Field("tags", Form.TEXTS, personal=True),
        Field("cancelled_at", Form.TIME),
        Field("cancel_reason", Form.TEXT),
        Field("placed_at", Form.TIME),
        Field("is_test", Form.FLAG),
        _REST,
    ),
    created="order.created",
    updated="order.updated",
    deleted="order.deleted",
    transitions=(
        Transition("order.paid", "financial_status", frozenset({"paid"})),
        Transition("order.fulfilled", "fulfillment_status", frozenset({"fulfilled"})),
        Transition("order.cancelled", "status", frozenset({"cancelled"})),
    ),
)
REFUND: Final = RecordKind(
    name="refund",
    table="refunds",
    title="Refunds",
    fields=(
        Field("order_external_id", Form.ID),
        Field("amount_minor", Form.MINOR),
        Field("currency", Form.TEXT),
        Field("presentment", Form.PART),
        Field("note", Form.TEXT, personal=True),
        _LINES,
        Field("refunded_at", Form.TIME),
        _REST,
    ),
    created="refund.created",
    updated="refund.updated",
)
PRODUCT: Final = RecordKind(
    name="product",
    table="products",
    title="Products",
    fields=(
        *_fields(Form.TEXT, "title", "handle", "status", "vendor", "product_type"),
        Field("tags", Form.TEXTS),
        Field("published_at", Form.TIME),
        *_fields(Form.ITEMS, "variants", "options"),
        Field("attributes", Form.OBJECT),
    ),
    created="product.created",
    updated="product.updated",
    deleted="product.deleted",
)
INVENTORY: Final = RecordKind(
    name="inventory",
    table="inventory_levels",
    title="Inventory levels, one an item and location",
    fields=(
        *_fields(Form.ID, "item_external_id", "location_external_id"),
        Field("available", Form.COUNT),
        Field("sku", Form.TEXT),
        Field("attributes", Form.OBJECT),
    ),
    created="inventory.updated",
    updated="inventory.updated",
)
SHIPMENT: Final = RecordKind(
    name="shipment",
    table="shipments",
    title="Shipments",
    fields=(
        Field("order_external_id", Form.ID),
        _word(
            "status",
            "pending",
            "ready",
            "shipped",
            "in_transit",
            "out_for_delivery",
            "delivered",
            "returned",
            "cancelled",
            "failed",
            "on_hold",
        ),
        Field("provider_status", Form.TEXT),
        *_fields(Form.TEXT, "tracking_number", "tracking_url", personal=True),
        Field("carrier", Form.TEXT),
        _LINES,
        *_fields(Form.TIME, "shipped_at", "delivered_at", "expected_at"),
        _REST,
    ),
    created="shipment.created",
    updated="shipment.updated",
    transitions=(
        Transition("shipment.delivered", "status", frozenset({"delivered"})),
        Transition("shipment.returned", "status", frozenset({"returned"})),
    ),
)
PAYMENT: Final = RecordKind(
    name="payment",
    table="payments",
    title="Payments",
    fields=(
        Field("order_external_id", Form.ID),
        Field("status", Form.TEXT),
        Field("amount_minor", Form.MINOR),
        *_fields(Form.TEXT, "currency", "method"),
        Field("paid_at", Form.TIME),
        _REST,
    ),
    created="payment.updated",
    updated="payment.updated",
)
_ENDED: Final = frozenset({"done", "cancelled", "failed"})
REPORT: Final = RecordKind(
    name="report",
    table="reports",
    title="Reports and feeds",
    fields=(
        _word("report_kind", "feed", "report"),
        Field("report_type", Form.TEXT),
        _word("status", *sorted(_ENDED)),
        Field("document_id", Form.TEXT),
        Field("finished_at", Form.TIME),
        Field("attributes", Form.OBJECT),
    ),
    transitions=(
        Transition("feed.finished", "status", _ENDED, only=("report_kind", "feed")),
        Transition("report.finished", "status", _ENDED, only=("report_kind", "report")),
    ),
)
ARTICLE: Final = RecordKind(
    name="article",
    table="articles",
    title="Articles",
    fields=(
        *_fields(Form.TEXT, "number", "name", "description"),
        Field("price_minor", Form.MINOR),
        Field("currency", Form.TEXT),
        Field("stock", Form.NUMBER),
        *_fields(Form.TEXT, "unit", "status"),
        Field("attributes", Form.OBJECT),
    ),
    created="article.created",
    updated="article.updated",
)

# In the order in which they are shown.
KINDS: Final[Mapping[str, RecordKind]] = {
    kind.name: kind for kind in (USER, ORDER, REFUND, PRODUCT, INVENTORY, SHIPMENT, PAYMENT, REPORT, ARTICLE)
}
# Those that the generic tables, lists and JSON are for.
RECORDS: Final[Mapping[str, RecordKind]] = {name: kind for name, kind in KINDS.items() if name != "user"}
