"""The reconciliation: what a sync has read, as changes of our records, in the very words of the webhooks.

Comes in: the nodes that were read. Left behind: records and events, in the caller's transaction; a webhook that came
meanwhile is newer and wins. What is known already changes nothing and tells nobody: so whatever a webhook's reading
does to a value, blanks become null for one, is done here too. What no record can hold is left out and named. A process
that dies in the middle leaves nothing.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, text

from shared import money
from shared.clock import parse_instant
from shared.errors import PayloadUnexpected
from shared.providers import reading
from shared.providers.contract import Change
from workers.inbound.learn import Learned, LeftOut, learn
from workers.sync.job import Job
from workers.sync.shopify_files import Read, levels_of

Made = TypeVar("Made")

BATCH: Final = 500
# What a node that is not of the form that Shopify promises makes of whoever reads it.
MALFORMED: Final = (KeyError, TypeError, AttributeError, ValueError, PayloadUnexpected)
# Known to us, not there any more, and not told of since the reading began.
_VANISHED: Final = text("""
SELECT external_id FROM products
WHERE account_id = :account_id AND provider = 'shopify' AND tenant = :tenant AND deleted_at IS NULL
  AND redacted_at IS NULL AND coalesce(version, created_at) < :started_at
  AND external_id <> ALL(CAST(:seen AS text[]))
""")


def changes_of(read: Read) -> list[Change | LeftOut]:
    """Every product and every level as a change, or why it can be none."""
    shop = read.of("shop")[0] if read.of("shop") else {}
    code = shop.get("currencyCode")
    variants = read.variants_by_product()
    found = [
        _tried("product", node, lambda node=node: _product(node, variants.get(node["id"], []), code))  # type: ignore[misc]
        for node in read.of("products")
    ]
    for variant in read.of("variants"):
        if not isinstance(variant.get("product"), dict):
            found.append(LeftOut("variant", _id(variant), "it names no product"))
        item = _tried("inventory", variant, lambda variant=variant: _item(variant))  # type: ignore[misc]
        if isinstance(item, LeftOut):
            found.append(item)
        elif item:
            found += [
                _tried("inventory", level, lambda variant=variant, level=level: _level(variant, level))  # type: ignore[misc]
                for level in levels_of(variant)
            ]
    return found


def vanished(connection: Connection, job: Job, read: Read, *, started_at: str) -> list[Change]:
    """An end for each product that we know and the shop has not any more."""
    ids = [_id(node) for node in read.of("products")]
    if not all(ids):  # whichever that is, it is not gone
        return []
    at = parse_instant(started_at)
    values = {
        "account_id": str(job.integration["account_id"]),
        "tenant": job.tenant,
        "started_at": at,
        "seen": ids,
    }
    return [Change("product", "delete", found, at) for found in connection.execute(_VANISHED, values).scalars()]


def learn_batch(connection: Connection, job: Job, batch: Sequence[Change | LeftOut]) -> Learned:
    """Apply a batch; what came of it, and what of it was left out."""
    learned = learn(
        connection,
        [one for one in batch if isinstance(one, Change)],
        account_id=job.integration["account_id"],
        provider="shopify",
        tenant=job.tenant,
        source_id=job.source["id"],
        now=job.now,
    )
    learned.left_out += [one for one in batch if isinstance(one, LeftOut)]
    return learned


def _tried(kind: str, node: Any, make: Callable[[], Made]) -> Made | LeftOut:
    try:
        return make()
    except MALFORMED as error:
        return LeftOut(kind, _id(node), f"it is not of the form that is known: {type(error).__name__} ({error})")


def _id(node: Any) -> str:
    """The node's own id; nothing where it has none."""
    found = node.get("id") if isinstance(node, dict) else None
    return number_of(found) if isinstance(found, str) else ""


def number_of(gid: str) -> str:
    """The id in a global id: `gid://shopify/Product/1` is `1`."""
    return gid.rpartition("/")[2].partition("?")[0]


def _product(node: dict[str, Any], variants: list[dict[str, Any]], code: str | None) -> Change:
    fields = {
        "title": reading.optional_text(node, "title"),
        "handle": reading.optional_text(node, "handle"),
        "status": str(node["status"]).lower() if node.get("status") else None,
        "vendor": reading.optional_text(node, "vendor"),
        "product_type": reading.optional_text(node, "productType"),
        "tags": list(dict.fromkeys(word for tag in node.get("tags") or () if (word := str(tag).strip()))),
        "published_at": node.get("publishedAt"),
        "created_at": node.get("createdAt"),
        # They are read by their ids, and a webhook has them as the shop shows them.
        "variants": [_variant(variant, code) for variant in sorted(variants, key=lambda one: one.get("position") or 0)],
    }
    return Change("product", "upsert", number_of(node["id"]), _version(node), fields)


def _variant(node: dict[str, Any], code: str | None) -> dict[str, Any]:
    return {
        "id": number_of(node["id"]),
        "sku": reading.optional_text(node, "sku"),
        "title": reading.optional_text(node, "title"),
        "barcode": reading.optional_text(node, "barcode"),
        "price": reading.optional_text(node, "price"),
        "currency": code,
        "priceMinor": _minor(node.get("price"), code),
        "compareAtPriceMinor": _minor(node.get("compareAtPrice"), code),
        "inventoryItemId": _item(node),
        "inventoryQuantity": node.get("inventoryQuantity"),
    }


def _level(variant: dict[str, Any], level: dict[str, Any]) -> Change:
    item, location = _item(variant), number_of(level["location"]["id"])
    available = next((one["quantity"] for one in level["quantities"] if one["name"] == "available"), None)
    fields = {
        "item_external_id": item,
        "location_external_id": location,
        "available": available,
        "sku": reading.optional_text(variant, "sku"),
    }
    return Change("inventory", "upsert", f"{item}:{location}", _version(level), fields)


def _item(variant: dict[str, Any]) -> str | None:
    item = variant.get("inventoryItem")
    return number_of(item["id"]) if item else None


def _version(node: dict[str, Any]) -> datetime | None:
    return parse_instant(node.get("updatedAt"))


def _minor(price: str | None, code: str | None) -> int | None:
    try:
        return None if price is None or code is None else money.to_minor(price, code)
    except ValueError:
        return None
