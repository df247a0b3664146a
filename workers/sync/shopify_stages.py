"""What is read of a shop, stage by stage: the documents, and those of the lists within nodes that may go on.

Pure; nothing is left behind.

Each document costs less than the 1000 points that one query may cost.
Source: shopify.dev, GraphQL Admin API, QueryRoot; Shopify API limits; read 2026-11.
"""

from dataclasses import dataclass
from typing import Final

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

    asked: tuple[str, ...]  # from the node to what is asked for by its id
    within: tuple[str, ...]  # from there to what has the list
    name: str
    root: str  # the field that reads what is asked for
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
            (),
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
