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
_MEMBERS: Final = f"nodes {{ id title }} {_PAGE}"
_MONEY: Final = "{ amount currencyCode }"
_AMOUNT: Final = f"""__typename ... on DiscountAmount {{ amount {_MONEY} appliesOnEachItem }}
        ... on DiscountPercentage {{ percentage }}"""
_GETS: Final = f"""customerGets {{ value {{ {_AMOUNT}
        ... on DiscountOnQuantity {{ quantity {{ quantity }} effect {{ {_AMOUNT} }} }} }} }}"""
_SHIPPING: Final = f"maximumShippingPrice {_MONEY}"
_DATES: Final = "title status startsAt endsAt"


def _codes(first: int, more: str = "") -> str:
    return f"codes(first: {first}{more}) {{ nodes {{ code }} {_PAGE} }}"


# All eight types, each with the fields that it has: an app's discount has no summary, and one on shipping no value.
# Source: shopify.dev, GraphQL Admin API, Discount, DiscountCustomerGetsValue, DiscountEffect, read 2026-11.
_DISCOUNT: Final = f"""__typename
      ... on DiscountCodeBasic {{ {_DATES} summary {_codes(5)} {_GETS} }}
      ... on DiscountCodeBxgy {{ {_DATES} summary {_codes(5)} {_GETS} }}
      ... on DiscountCodeFreeShipping {{ {_DATES} summary {_codes(5)} {_SHIPPING} }}
      ... on DiscountCodeApp {{ {_DATES} {_codes(5)} }}
      ... on DiscountAutomaticBasic {{ {_DATES} summary {_GETS} }}
      ... on DiscountAutomaticBxgy {{ {_DATES} summary {_GETS} }}
      ... on DiscountAutomaticFreeShipping {{ {_DATES} summary {_SHIPPING} }}
      ... on DiscountAutomaticApp {{ {_DATES} }}"""
_MORE_CODES: Final = "\n".join(
    f"      ... on DiscountCode{kind} {{ {_codes(100, ', after: $inner')} }}"
    for kind in ("Basic", "Bxgy", "FreeShipping", "App")
)


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
    nodes {{ id title position sku barcode price compareAtPrice availableForSale inventoryQuantity updatedAt
      product {{ id }}
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
    # By themselves: of a location all but its id needs a scope of its own, without which there is stock all the same.
    # Source: shopify.dev, changelog 2025-03-31, read 2026-11.
    Stage(
        "locations",
        "locations",
        f"""query Locations($after: String) {{
  locations(first: 100, after: $after, includeInactive: true, includeLegacy: true) {{ {_PAGE} nodes {{ id name }} }}
}}""",
        is_optional=True,
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
  discountNodes(first: 25, after: $after) {{ {_PAGE} nodes {{ id discount {{ {_DISCOUNT} }} }} }}
}}""",
        Inner(
            (),
            ("discount",),
            "codes",
            "discountNode",
            f"""query Codes($id: ID!, $inner: String) {{
  discountNode(id: $id) {{ discount {{
{_MORE_CODES} }} }}
}}""",
        ),
        is_optional=True,
    ),
)
