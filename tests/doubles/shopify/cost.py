"""What a document costs at most: every page's size multiplies what is in it.

It is simpler than Shopify's sum, which also counts each object; of the fragments on a union, the dearest counts there
and here. Source: shopify.dev, GraphQL Admin API rate limits, read 2026-11.
"""

from collections.abc import Mapping
from typing import Any, Final

from graphql import (
    FieldNode,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLUnionType,
    SelectionSetNode,
    get_named_type,
)

from tests.doubles.shopify.language import SCHEMA, Refused
from tests.doubles.shopify.selection import MAX_PAGE, Selection, is_connection

MAX_COST: Final = 1000


def cost_of(selection: Selection) -> int:
    """The points of a document.

    Raises:
        Refused: a page has no size, or one that no page may have.
    """
    operation = selection.document.operation
    root = SCHEMA.get_root_type(operation.operation)
    assert root is not None
    return _cost(selection, root, operation.selection_set, 1, ()) + 1


def _cost(
    selection: Selection, kind: GraphQLNamedType, chosen: SelectionSetNode, times: int, path: tuple[str, ...]
) -> int:
    total = dearest = 0
    for node in chosen.selections:
        if isinstance(node, FieldNode):
            total += _field(selection, kind, node, times, path)
            continue
        condition, inner = selection.fragment(node)
        points = _cost(selection, SCHEMA.type_map[condition] if condition else kind, inner, times, path)
        if isinstance(kind, GraphQLUnionType):
            dearest = max(dearest, points)
        else:
            total += points
    return total + dearest


def _field(selection: Selection, kind: GraphQLNamedType, node: FieldNode, times: int, path: tuple[str, ...]) -> int:
    if node.selection_set is None:
        return 0
    assert isinstance(kind, GraphQLObjectType)
    path = (*path, node.name.value)
    wanted = kind.fields[node.name.value].type
    own = 0
    if is_connection(wanted):
        own = times = times * _size(selection.arguments(kind, node), path)
    return own + _cost(selection, get_named_type(wanted), node.selection_set, times, path)


def _size(arguments: Mapping[str, Any], path: tuple[str, ...]) -> int:
    sizes = [size for name in ("first", "last") if (size := arguments.get(name)) is not None]
    if not sizes:
        raise Refused("you must provide one of first or last", "BAD_REQUEST", path)
    if len(sizes) > 1:
        raise Refused("providing both first and last is not supported", "BAD_REQUEST", path)
    if not 0 <= sizes[0] <= MAX_PAGE:
        raise Refused(f"a page has at most {MAX_PAGE}", "BAD_REQUEST", path)
    return int(sizes[0])
