"""An object of the double cut to what a document selects of it.

A list where the schema has a connection is shown as the page asked for, at whatever depth. A field that the object does
not have is null, or its type's blank where Shopify never says null; what it has is shown as it is, so that a test can
put in what no shop would say.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLIncludeDirective,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSkipDirective,
    GraphQLUnionType,
    InlineFragmentNode,
    SelectionNode,
    SelectionSetNode,
    get_named_type,
    is_composite_type,
)
from graphql.execution.values import VariableValues, get_argument_values, get_directive_values

from tests.doubles.shopify.language import SCHEMA, Document, Refused

MAX_PAGE: Final = 250
_MISSING: Final = object()
_BLANKS: Final[Mapping[str, Any]] = {
    "Boolean": False,
    "CurrencyCode": "EUR",
    "DateTime": "2026-11-01T10:00:00Z",
    "Decimal": "0.0",
    "Float": 0.0,
    "HTML": "",
    "Int": 0,
    "Money": "0.00",
    "String": "",
    "URL": "https://acme.example",
    "UnsignedInt64": "0",
}


@dataclass(frozen=True)
class Selection:
    """What a document asks for, with its variables."""

    document: Document
    variables: VariableValues
    closed: frozenset[str] = frozenset()  # the types of which the app may read no more than the id

    def fields(self, kind: GraphQLObjectType, sets: Iterable[SelectionSetNode]) -> dict[str, list[FieldNode]]:
        """What is selected of an object of this kind, by the name that it is answered under."""
        found: dict[str, list[FieldNode]] = {}
        for node in (node for one in sets for node in one.selections if self._is_wanted(node)):
            if isinstance(node, FieldNode):
                found.setdefault((node.alias or node.name).value, []).append(node)
                continue
            condition, inner = self.fragment(node)
            if condition in (None, kind.name):
                for key, nodes in self.fields(kind, [inner]).items():
                    found.setdefault(key, []).extend(nodes)
        return found

    def fragment(self, node: SelectionNode) -> tuple[str | None, SelectionSetNode]:
        """The type that a fragment is for, and what it selects."""
        if isinstance(node, FragmentSpreadNode):
            named = self.document.fragments[node.name.value]
            return named.type_condition.name.value, named.selection_set
        assert isinstance(node, InlineFragmentNode)
        condition = node.type_condition
        return (condition.name.value if condition else None), node.selection_set

    def arguments(self, kind: GraphQLObjectType | GraphQLInterfaceType, node: FieldNode) -> dict[str, Any]:
        """The arguments of a field."""
        return get_argument_values(kind.fields[node.name.value], node, self.variables)

    def cut(
        self, kind: GraphQLObjectType, source: Mapping[str, Any], sets: Iterable[SelectionSetNode]
    ) -> dict[str, Any]:
        """The object, of which no more is shown than is selected.

        Raises:
            Refused: the app may not read all of that.
        """
        found: dict[str, Any] = {}
        for key, nodes in self.fields(kind, sets).items():
            name = nodes[0].name.value
            if kind.name in self.closed and name not in ("id", "__typename"):
                raise Refused(f"Access denied for {name} field.", "ACCESS_DENIED", (name,))
            is_kind = name == "__typename"
            found[key] = kind.name if is_kind else self.show(kind, nodes, source.get(name, _MISSING))
        return found

    def show(self, kind: GraphQLObjectType, nodes: Sequence[FieldNode], value: Any) -> Any:
        """The value of one field of an object of this kind."""
        wanted = kind.fields[nodes[0].name.value].type
        if value is _MISSING:
            value = _blank(wanted)
        arguments = self.arguments(kind, nodes[0])
        if isinstance(value, list) and is_connection(wanted):
            value = page(value, arguments)
        elif isinstance(value, list) and "names" in arguments:
            value = [one for one in value if one["name"] in arguments["names"]]
        return self._shown(wanted, value, [node.selection_set for node in nodes if node.selection_set])

    def _shown(self, wanted: GraphQLOutputType, value: Any, sets: Sequence[SelectionSetNode]) -> Any:
        if isinstance(wanted, GraphQLNonNull):
            return self._shown(wanted.of_type, value, sets)
        if isinstance(wanted, GraphQLList) and isinstance(value, list):
            return [self._shown(wanted.of_type, one, sets) for one in value]
        if not is_composite_type(wanted) or not isinstance(value, Mapping):
            return value
        if isinstance(wanted, GraphQLUnionType):
            wanted = SCHEMA.type_map[value.get("__typename", wanted.types[0].name)]
        assert isinstance(wanted, GraphQLObjectType)
        return self.cut(wanted, value, sets)

    def _is_wanted(self, node: SelectionNode) -> bool:
        skip = get_directive_values(GraphQLSkipDirective, node, self.variables)
        include = get_directive_values(GraphQLIncludeDirective, node, self.variables)
        return not (skip and skip["if"]) and (include is None or include["if"])


def is_connection(wanted: GraphQLOutputType) -> bool:
    """Whether a field of this type has pages."""
    return get_named_type(wanted).name.endswith("Connection")


def page(items: Sequence[Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The page of `items`; a cursor is an item's place, counted from one.

    Raises:
        Refused: a cursor is none of ours.
    """
    begin, end = _place(arguments, "after", 0), _place(arguments, "before", len(items) + 1) - 1
    if (first := arguments.get("first")) is not None:
        end = min(end, begin + first)
    else:
        begin = max(begin, end - arguments["last"])
    nodes = list(items[begin:end])
    info = {
        "hasNextPage": end < len(items),
        "hasPreviousPage": begin > 0,
        "startCursor": str(begin + 1) if nodes else None,
        "endCursor": str(begin + len(nodes)) if nodes else None,
    }
    return {"nodes": nodes, "pageInfo": info}


def _place(arguments: Mapping[str, Any], name: str, otherwise: int) -> int:
    cursor = arguments.get(name)
    if cursor is None:
        return otherwise
    if not (cursor.isascii() and cursor.isdecimal()):
        raise Refused("Invalid cursor for current pagination sort.", "BAD_REQUEST")
    return int(cursor)


def _blank(wanted: GraphQLOutputType) -> Any:
    if not isinstance(wanted, GraphQLNonNull):
        return None
    inner = wanted.of_type
    if isinstance(inner, GraphQLList) or is_connection(inner):
        return []
    if is_composite_type(inner):
        return {}
    if isinstance(inner, GraphQLEnumType):
        return next(iter(inner.values))
    return "gid://shopify/Unknown/0" if inner.name == "ID" else _BLANKS[inner.name]
