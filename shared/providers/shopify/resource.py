"""What every Shopify resource has: an id that its global id repeats, tags as one text, addresses, and amounts.

Comes in: the parsed body of an authentic webhook. Comes out: values in our words. Pure.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from shared import money
from shared.errors import PayloadUnexpected
from shared.providers import reading
from shared.providers.contract import JSON
from shared.providers.shopify import leftovers

Body = Mapping[str, Any]
# Our field -> their name and how it is read.
Table = Mapping[str, tuple[str, Callable[[Body, str], JSON]]]

# The one resource without a global id of its own says so by these.
_OF_A_SHOP = ("shop_owner", "myshopify_domain")
# What the topics about consent have beside a customer's id, and no deletion has.
_OF_CONSENT = ("email_marketing_consent", "sms_marketing_consent")
_WRITTEN = (str, int, float)  # what an amount may be; a union would be made anew for each of a large order's
_GID = re.compile(r"gid://shopify/([A-Za-z]+)/([^/?]+)")


def identifier(body: Body, resource: str) -> str:
    """The resource's id, which its global id must repeat where there is one.

    The topic is unsigned: a captured body of another resource, sent again under this topic, stops here.

    Raises:
        PayloadUnexpected: there is no id, or the global id is of something else.
    """
    found = reading.identifier(body)
    if any(name in body for name in _OF_A_SHOP):
        raise PayloadUnexpected(f"the body is a shop and no {resource}")
    gid = reading.optional_text(body, "admin_graphql_api_id")
    if gid is not None and gid != f"gid://shopify/{resource}/{found}":
        raise PayloadUnexpected(f"admin_graphql_api_id is not that of the {resource} in id")
    return found


def identifier_in_gid(body: Body, name: str, resource: str) -> str:
    """The id in a global id such as `gid://shopify/Customer/1`.

    Raises:
        PayloadUnexpected: it is missing, or of another resource.
    """
    match = _GID.fullmatch(reading.text(body, name))
    if match is None or match[1] != resource:
        raise PayloadUnexpected(f"{name} is not the global id of a {resource}")
    return match[2]


def deleted_identifier(body: Body, resource: str, snapshot_only: tuple[str, ...]) -> str:
    """The id in a deletion, which says nothing else.

    The topic is unsigned: a captured snapshot, sent again as a deletion, must not delete.

    Raises:
        PayloadUnexpected: there is no id, or the body is a snapshot of the resource.
    """
    if found := [name for name in (*snapshot_only, *_OF_CONSENT) if name in body]:
        raise PayloadUnexpected(f"a deletion does not carry {found[0]}")
    return identifier(body, resource)


def optional_identifier(body: Body, name: str) -> str | None:
    """An id as text; `None` when it is absent or null."""
    return None if body.get(name) is None else reading.identifier(body, name)


def words(body: Body, name: str) -> list[str]:
    """A text with commas as a list, each word once: how Shopify writes tags."""
    found = (reading.optional_text(body, name) or "").split(",")
    return list(dict.fromkeys(word for part in found if (word := part.strip())))


ADDRESS = frozenset(("company", "address1", "address2", "city", "province", "zip", "country", "country_code", "phone"))


def address(given: Body | None, mapped: frozenset[str] = ADDRESS) -> dict[str, JSON] | None:
    """An address in our words, the rest but for `mapped` under its attributes; `None` when there is none."""
    if given is None:
        return None
    ours: dict[str, JSON] = reading.address(
        company=reading.optional_text(given, "company"),
        line1=reading.optional_text(given, "address1"),
        line2=reading.optional_text(given, "address2"),
        city=reading.optional_text(given, "city"),
        province=reading.optional_text(given, "province"),
        postalCode=reading.optional_text(given, "zip"),
        country=reading.optional_text(given, "country"),
        countryCode=reading.optional_text(given, "country_code"),
        phone=reading.optional_text(given, "phone"),
    )
    ours["attributes"] = leftovers.of_item(given, mapped)
    return ours


def items(body: Body, name: str, read: Callable[[Body], dict[str, JSON]], mapped: frozenset[str]) -> JSON:
    """The objects of a list as `read` has them, the rest of each but for the names in `mapped` under its attributes."""
    given = objects(body, name)
    found = [read(item) for item in given]
    for ours, theirs in zip(found, given, strict=True):
        ours["attributes"] = leftovers.of_item(theirs, mapped)
    return found


def objects(body: Body, name: str) -> list[Body]:
    """The objects of a list; none when it is absent or null.

    Raises:
        PayloadUnexpected: it is no list, or one of its items is no object.
    """
    return [reading.as_object(item, name) for item in reading.optional_list(body, name) or ()]


def said(body: Body, table: Table) -> dict[str, JSON]:
    """The fields that the body speaks of. A subscription may ask for some fields only: what is absent is unknown."""
    return {ours: read(body, theirs) for ours, (theirs, read) in table.items() if theirs in body}


def minor(body: Body, name: str, code: str | None) -> int | None:
    """The amount of a decimal text or JSON number in minor units.

    `None` when it, or the currency, is not there, or we do not know that one.

    Raises:
        PayloadUnexpected: it is no amount that the currency can express.
    """
    amount = body.get(name)
    if amount is None or amount == "" or code is None:
        return None
    if isinstance(amount, bool) or not isinstance(amount, _WRITTEN):
        raise PayloadUnexpected(f"{name} is no amount")
    if not money.is_known(code):
        return None
    try:
        return money.to_minor(amount, code)
    except ValueError as error:
        raise PayloadUnexpected(f"{name}: {error}") from error


def read_beside(mapped: frozenset[str], amounts: Iterable[str], code: str | None) -> frozenset[str]:
    """The names in `mapped` but for those of amounts that cannot be read: of a currency that we do not know."""
    return mapped if code is None or money.is_known(code) else mapped.difference(amounts)


def shop_money(body: Body, name: str) -> tuple[int, str] | None:
    """What `<name>_set`, or `name` itself when that ends so, says in the shop's currency, as (minor units, code)."""
    return _money(body, name, "shop_money")


def presentment_money(body: Body, name: str) -> tuple[int, str] | None:
    """The same in the currency that the customer saw."""
    return _money(body, name, "presentment_money")


def code_of(body: Body, name: str, side: str) -> str | None:
    """The currency of `shop_money` or `presentment_money` of a set, known to us or not; `None` where it says none."""
    given = _side(body, name, side)
    return None if given is None else _code_in(given)


def _money(body: Body, name: str, side: str) -> tuple[int, str] | None:
    given = _side(body, name, side)
    if given is None:
        return None
    code = _code_in(given)
    amount = minor(given, "amount", code)
    return None if amount is None or code is None else (amount, code)


def _side(body: Body, name: str, side: str) -> Body | None:
    both = reading.optional_object(body, name if name.endswith("_set") else f"{name}_set")
    return None if both is None else reading.optional_object(both, side)


def _code_in(given: Body) -> str | None:
    # Transactions write `currency` where everything else writes `currency_code`.
    return reading.optional_currency(given, "currency_code") or reading.optional_currency(given)


def amount(body: Body, name: str, code: str | None) -> int | None:
    """The shop's amount of a field, from its set or from the plain text beside it, in the currency `code`.

    Raises:
        PayloadUnexpected: the set is in another currency, or the amount is none.
    """
    both = body.get(f"{name}_set")
    shop = both.get("shop_money") if isinstance(both, dict) else None
    if isinstance(shop, dict) and shop.get("currency_code") == code and shop.get("amount") == body.get(name):
        return minor(body, name, code)  # said twice, as nearly always: an order has hundreds of them
    if code is not None and code_of(body, name, "shop_money") not in (None, code):
        raise PayloadUnexpected(f"{name}_set is in another currency than the rest")
    found = shop_money(body, name)
    return minor(body, name, code) if found is None else found[0]
