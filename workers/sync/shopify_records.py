"""The reconciliation: what a sync has read, as changes of our records, in the very words of the webhooks.

Comes in: the nodes that were read. Left behind: records and events, in the caller's transaction; a webhook that came
meanwhile is newer and wins. What is known already changes nothing and tells nobody.
"""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from shared import money
from shared.clock import parse_instant
from shared.errors import PayloadUnexpected
from shared.providers.contract import Change
from workers.inbound.learn import learn
from workers.sync.job import Job
from workers.sync.shopify_files import Read, levels_of
from workers.sync.upstream import UpstreamFailed

BATCH: Final = 500
# Known to us, not there any more, and not told of since the reading began.
_VANISHED: Final = text("""
SELECT external_id FROM products
WHERE account_id = :account_id AND provider = 'shopify' AND tenant = :tenant AND deleted_at IS NULL
  AND redacted_at IS NULL AND coalesce(version, created_at) < :started_at
  AND external_id <> ALL(CAST(:seen AS text[]))
""")


def changes_of(read: Read) -> list[Change]:
    """Every product and every level as a change."""
    shop = read.of("shop")[0] if read.of("shop") else {}
    code = shop.get("currencyCode")
    variants = read.variants_by_product()
    products = [_product(node, variants.get(node["id"], []), code) for node in read.of("products")]
    return products + [
        _level(variant, level) for variant in read.of("variants") for level in levels_of(variant) if _item(variant)
    ]


def vanished(connection: Connection, job: Job, read: Read, *, started_at: str) -> list[Change]:
    """An end for each product that we know and the shop has not any more."""
    at = parse_instant(started_at)
    values = {
        "account_id": str(job.integration["account_id"]),
        "tenant": job.tenant,
        "started_at": at,
        "seen": [number_of(node["id"]) for node in read.of("products")],
    }
    return [Change("product", "delete", found, at) for found in connection.execute(_VANISHED, values).scalars()]


def learn_batch(connection: Connection, job: Job, batch: list[Change]) -> tuple[int, int]:
    """Apply a batch; how many events and deliveries came of it.

    Raises:
        UpstreamFailed: `answer_unexpected`: the shop says something that no record of ours can hold.
    """
    if not batch:
        return 0, 0
    try:
        learned = learn(
            connection,
            batch,
            account_id=job.integration["account_id"],
            provider="shopify",
            tenant=job.tenant,
            source_id=job.source["id"],
            now=job.now,
        )
    except PayloadUnexpected as error:
        raise UpstreamFailed("answer_unexpected", str(error), is_final=True) from error
    return learned.events, learned.deliveries


def number_of(gid: str) -> str:
    """The id in a global id: `gid://shopify/Product/1` is `1`."""
    return gid.rpartition("/")[2].partition("?")[0]


def _product(node: dict[str, Any], variants: list[dict[str, Any]], code: str | None) -> Change:
    fields = {
        "title": node.get("title"),
        "handle": node.get("handle"),
        "status": str(node["status"]).lower() if node.get("status") else None,
        "vendor": node.get("vendor"),
        "product_type": node.get("productType"),
        "tags": list(dict.fromkeys(node.get("tags") or ())),
        "published_at": node.get("publishedAt"),
        "variants": [_variant(variant, code) for variant in variants],
    }
    return Change("product", "upsert", number_of(node["id"]), _version(node), fields)


def _variant(node: dict[str, Any], code: str | None) -> dict[str, Any]:
    return {
        "id": number_of(node["id"]),
        "sku": node.get("sku"),
        "title": node.get("title"),
        "barcode": node.get("barcode"),
        "price": node.get("price"),
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
        "sku": variant.get("sku"),
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
