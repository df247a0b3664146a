"""The two documents of a shop, from what was read of it: `shop_metadata.json` and `shop_products.json`.

Pure; nothing is left behind.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from shared.clock import to_json
from workers.sync.job import Job


@dataclass(slots=True)
class Read:
    """The nodes of each stage, in their order."""

    nodes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def of(self, stage: str) -> list[dict[str, Any]]:
        """The nodes of a stage."""
        return self.nodes.get(stage, [])

    def counts(self) -> dict[str, int]:
        """How many there are of what."""
        levels = sum(len(levels_of(variant)) for variant in self.of("variants"))
        stages = ("products", "variants", "collections", "discounts")
        return {**{stage: len(self.of(stage)) for stage in stages}, "inventoryLevels": levels}

    def variants_by_product(self) -> dict[str, list[dict[str, Any]]]:
        """The variants of each product, by its global id."""
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for variant in self.of("variants"):
            product = variant.get("product")
            if isinstance(product, dict):
                found[product.get("id", "")].append(variant)
        return found


def levels_of(variant: dict[str, Any]) -> list[dict[str, Any]]:
    """How many of the variant each location has, as Shopify says it."""
    item = variant.get("inventoryItem")
    levels = item.get("inventoryLevels") if isinstance(item, dict) else None
    return levels if isinstance(levels, list) else []


def path_of(job: Job, name: str) -> str:
    """Where a document of the shop stands: the account is whose shop it is.

    Raises:
        UpstreamFailed: `tenant_malformed`.
    """
    return f"users/{job.integration['account_id']}/shopify/{job.safe_tenant}/{name}"


def metadata_file(job: Job, read: Read) -> tuple[str, str]:
    """The path and the text of `shop_metadata.json`."""
    shop = read.of("shop")[0] if read.of("shop") else {}
    return path_of(job, "shop_metadata.json"), _text({"shop": shop, "syncedAt": to_json(job.now)})


def products_file(job: Job, read: Read, *, skipped: dict[str, str]) -> tuple[str, str]:
    """The path and the text of `shop_products.json`; `skipped` are the stages that the shop did not let us read.

    It holds every node as it was read, also one that no record of ours can hold; the locations, by their names, where
    there is stock.
    """
    variants, names = read.variants_by_product(), _location_names(read)
    products = [
        product | {"variants": [_placed(variant, names) for variant in variants.get(product.get("id", ""), [])]}
        for product in read.of("products")
    ]
    whole = {
        "shop": job.tenant,
        "syncedAt": to_json(job.now),
        "counts": read.counts(),
        "skipped": skipped,
        "products": products,
        "collections": read.of("collections"),
        "discounts": read.of("discounts"),
    }
    return path_of(job, "shop_products.json"), _text(whole)


def _location_names(read: Read) -> dict[str, Any]:
    return {node["id"]: node.get("name") for node in read.of("locations") if isinstance(node.get("id"), str)}


def _placed(variant: dict[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """The variant, with the name of each location that has one."""
    levels = levels_of(variant)
    if not levels:
        return variant
    item = variant["inventoryItem"] | {"inventoryLevels": [_named(level, names) for level in levels]}
    return variant | {"inventoryItem": item}


def _named(level: Any, names: Mapping[str, Any]) -> Any:
    location = level.get("location") if isinstance(level, dict) else None
    name = names.get(str(location.get("id"))) if isinstance(location, dict) else None
    return level | {"location": {**location, "name": name}} if location and name is not None else level


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()
