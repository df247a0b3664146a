"""The shapes of what stands inside records: lines, variants, addresses. The same keys whoever the provider is.

Comes in: what a record holds. Comes out: the same with every key there. Pure; nothing is left behind by importing this.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from shared.record_kinds import Form
from shared.users import ADDRESS_NAMES

_BLANKS: Final[Mapping[Form, Any]] = {Form.TEXTS: [], Form.OBJECT: {}}


@dataclass(frozen=True, slots=True)
class Shape:
    """What each object of a field has when it is shown: these keys, blank where nobody has said them.

    `attributes` is what the provider also says and we have no field for. A sender whose settings map more keys than
    these has its own beside them.
    """

    name: str  # for people
    keys: Mapping[str, Form]  # by their names in JSON
    blank: Mapping[str, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "blank", {name: _BLANKS.get(form) for name, form in self.keys.items()})


def _keys(form: Form, *names: str) -> dict[str, Form]:
    return dict.fromkeys(names, form)


_REST: Final = _keys(Form.OBJECT, "attributes")

LINE: Final = Shape(
    "line",
    {
        **_keys(Form.ID, "id"),
        **_keys(Form.TEXT, "sku", "title"),
        **_keys(Form.COUNT, "quantity", "currentQuantity"),
        **_keys(Form.MINOR, "priceMinor", "totalMinor"),
        **_keys(Form.ID, "productId", "variantId"),
        **_keys(Form.TEXT, "status"),
        **_REST,
    },
)
REFUNDED_LINE: Final = Shape(
    "refunded line",
    {
        **_keys(Form.ID, "id", "lineItemId"),
        **_keys(Form.COUNT, "quantity"),
        **_keys(Form.MINOR, "amountMinor"),
        **_REST,
    },
)
VARIANT: Final = Shape(
    "variant",
    {
        **_keys(Form.ID, "id"),
        # `price` is as the provider writes it: exact even where the currency is not known.
        **_keys(Form.TEXT, "sku", "title", "barcode", "price", "currency"),
        **_keys(Form.MINOR, "priceMinor", "compareAtPriceMinor"),
        **_keys(Form.ID, "inventoryItemId"),
        **_keys(Form.COUNT, "inventoryQuantity"),
        **_REST,
    },
)
OPTION: Final = Shape(
    "option",
    {
        **_keys(Form.ID, "id"),
        **_keys(Form.TEXT, "name"),
        **_keys(Form.COUNT, "position"),
        **_keys(Form.TEXTS, "values"),
        **_REST,
    },
)
ADDRESS: Final = Shape("address", {**_keys(Form.TEXT, *ADDRESS_NAMES), **_REST})
# What the customer saw, in the currency beside it.
PRESENTMENT: Final = Shape(
    "presentment",
    {
        **_keys(Form.TEXT, "currency"),
        **_keys(Form.MINOR, "totalMinor", "subtotalMinor", "taxMinor", "discountMinor", "shippingMinor"),
    },
)
PAID_BACK: Final = Shape(
    "presentment of a refund", {**_keys(Form.TEXT, "currency"), **_keys(Form.MINOR, "amountMinor")}
)

# Of every field that holds objects: kind -> field -> their shape.
SHAPES: Final[Mapping[str, Mapping[str, Shape]]] = {
    "user": {"address": ADDRESS},
    "order": {
        "presentment": PRESENTMENT,
        "billing_address": ADDRESS,
        "shipping_address": ADDRESS,
        "line_items": LINE,
    },
    "refund": {"presentment": PAID_BACK, "line_items": REFUNDED_LINE},
    "product": {"variants": VARIANT, "options": OPTION},
    "shipment": {"line_items": LINE},
}
_NONE: Final[Mapping[str, Shape]] = {}


def shapes_of(kind: str) -> Mapping[str, Shape]:
    """The shapes of a kind's fields, by field; none of a kind without such fields."""
    return SHAPES.get(kind, _NONE)


def whole(shape: Shape, value: Any) -> Any:
    """What a record holds in a field of this shape, an object, a list of them or null, with every key there."""
    if isinstance(value, list):
        return [{**shape.blank, **item} for item in value]
    return None if value is None else {**shape.blank, **value}
