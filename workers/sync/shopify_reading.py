"""What is read of a shop, stage by stage: the documents, and how the parts of a node that do not fit are fetched.

Comes in: a stage and a cursor. Comes out: a page's nodes, whole, and the next cursor. Nothing is left behind.

Each document costs less than the 1000 points that one query may cost.
Source: shopify.dev, GraphQL Admin API, QueryRoot; Shopify API limits; read 2026-11.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared import logs
from workers.sync.shopify_api import ShopifyApi
from workers.sync.upstream import UpstreamFailed

_log = logs.get("upstream")

_PAGE: Final = "pageInfo { hasNextPage endCursor }"
_METAFIELDS: Final = f"nodes {{ id namespace key type value }} {_PAGE}"
_LEVELS: Final = (
    f'nodes {{ id updatedAt location {{ id }} quantities(names: ["available"]) {{ name quantity }} }} {_PAGE}'
)
_MEMBERS: Final = f"nodes {{ id }} {_PAGE}"
_DISCOUNT: Final = """__typename
      ... on DiscountCodeBasic { title status startsAt endsAt summary codes(first: 5) { nodes { code } } }
      ... on DiscountCodeBxgy { title status startsAt endsAt summary codes(first: 5) { nodes { code } } }
      ... on DiscountCodeFreeShipping { title status startsAt endsAt summary codes(first: 5) { nodes { code } } }
      ... on DiscountAutomaticBasic { title status startsAt endsAt summary }
      ... on DiscountAutomaticBxgy { title status startsAt endsAt summary }"""


@dataclass(frozen=True, slots=True)
class Inner:
    """A list within a node that may be longer than its first page."""

    path: tuple[str, ...]  # from the node to what has the list
    name: str
    root: str  # the field that reads what has the list by its id
    document: str


@dataclass(frozen=True, slots=True)
class Stage:
    """One walk over all of something."""

    name: str
    root: str
    document: str
    inner: Inner | None = None
    is_optional: bool = False  # without its scope the rest is read all the same


STAGES: Final = (
    Stage(
        "products",
        "products",
        f"""query Products($after: String) {{
  products(first: 50, after: $after, sortKey: ID) {{ {_PAGE}
    nodes {{ id title handle status vendor productType tags publishedAt createdAt updatedAt descriptionHtml
      options {{ id name position values }}
      metafields(first: 10) {{ {_METAFIELDS} }} }} }}
}}""",
        Inner(
            (),
            "metafields",
            "product",
            f"""query Metafields($id: ID!, $inner: String) {{
  product(id: $id) {{ metafields(first: 100, after: $inner) {{ {_METAFIELDS} }} }}
}}""",
        ),
    ),
    Stage(
        "variants",
        "productVariants",
        f"""query Variants($after: String) {{
  productVariants(first: 100, after: $after, sortKey: ID) {{ {_PAGE}
    nodes {{ id title position sku barcode price compareAtPrice inventoryQuantity updatedAt product {{ id }}
      inventoryItem {{ id tracked inventoryLevels(first: 5) {{ {_LEVELS} }} }} }} }}
}}""",
        Inner(
            ("inventoryItem",),
            "inventoryLevels",
            "inventoryItem",
            f"""query Levels($id: ID!, $inner: String) {{
  inventoryItem(id: $id) {{ inventoryLevels(first: 100, after: $inner) {{ {_LEVELS} }} }}
}}""",
        ),
    ),
    Stage(
        "collections",
        "collections",
        f"""query Collections($after: String) {{
  collections(first: 20, after: $after, sortKey: ID) {{ {_PAGE}
    nodes {{ id title handle updatedAt products(first: 25) {{ {_MEMBERS} }} }} }}
}}""",
        Inner(
            (),
            "products",
            "collection",
            f"""query Members($id: ID!, $inner: String) {{
  collection(id: $id) {{ products(first: 250, after: $inner) {{ {_MEMBERS} }} }}
}}""",
        ),
        is_optional=True,
    ),
    Stage(
        "discounts",
        "discountNodes",
        f"""query Discounts($after: String) {{
  discountNodes(first: 50, after: $after) {{ {_PAGE} nodes {{ id discount {{ {_DISCOUNT} }} }} }}
}}""",
        is_optional=True,
    ),
)


def read_page(api: ShopifyApi, stage: Stage, after: str | None) -> tuple[list[dict[str, Any]], str | None]:
    """The page's nodes, each with its lists whole and without their paging, and the cursor of the next page.

    A node whose list cannot be read stays as it came: whoever makes something of it tells.

    Raises:
        UpstreamFailed: the shop could not be asked, or its answer has no page. Nor has it one with a node that is none,
            or that goes on without a cursor: what is passed over here would be told of as gone.
    """
    page: Any = api.run(f"sync.{stage.name}", stage.document, {"after": after}).get(stage.root)
    try:
        listed, cursor = page["nodes"], _next(page, after)
    except (KeyError, TypeError) as error:
        raise UpstreamFailed("answer_malformed", f"The shop's answer has no page of {stage.root}") from error
    if not isinstance(listed, list) or not all(isinstance(node, dict) for node in listed):
        raise UpstreamFailed("answer_malformed", f"The shop's page of {stage.root} has a node that is none")
    return [whole(api, stage.inner, node) if stage.inner else node for node in listed], cursor


def _next(listed: Mapping[str, Any], after: str | None) -> str | None:
    """The cursor behind this page of a list; `None` at its end.

    Raises:
        KeyError, TypeError: it cannot be told whether this is the end, or the cursor leads to the same page again.
    """
    page = listed["pageInfo"]
    if page["hasNextPage"] is False:
        return None
    cursor = page["endCursor"]
    if page["hasNextPage"] is not True or not isinstance(cursor, str) or cursor == after:
        raise TypeError("there is more, and no cursor to it")
    return cursor


def whole(api: ShopifyApi, inner: Inner, node: dict[str, Any]) -> dict[str, Any]:
    """The node with the list of `inner` whole and without its paging; as it came where that cannot be read.

    Raises:
        UpstreamFailed: the shop could not be asked.
    """
    owner: Any = node
    for name in inner.path:
        owner = owner.get(name) if isinstance(owner, dict) else None
    if not isinstance(owner, dict):
        return node
    try:
        owner[inner.name] = _items(api, inner, owner)
    except (KeyError, TypeError):
        _log.warning("shop.node_malformed", node=str(node.get("id")), part=inner.name)
    return node


def _items(api: ShopifyApi, inner: Inner, owner: dict[str, Any]) -> list[Any]:
    listed: Mapping[str, Any] = owner[inner.name]
    items = list(listed["nodes"])
    while listed["pageInfo"]["hasNextPage"]:
        variables = {"id": owner["id"], "inner": listed["pageInfo"]["endCursor"]}
        found = api.run(f"sync.{inner.root}.{inner.name}", inner.document, variables)[inner.root]
        if found is None:  # deleted since
            break
        listed = found[inner.name]
        items += listed["nodes"]
    return items
