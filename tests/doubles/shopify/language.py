"""A document read as Shopify reads it: parsed, held against the schema, and its variables against their types.

What does not hold is answered with `errors` and never run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from graphql import (
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    VariableDefinitionNode,
    build_schema,
    get_operation_ast,
    parse,
    print_ast,
    specified_rules,
    validate,
)
from graphql.execution.values import VariableValues, get_variable_values

from tests.doubles.shopify.topics import TOPICS

# Shopify's words for what is wrong, by the rule that finds it; the messages are the library's own.
_CODES: Final = {
    "FieldsOnCorrectTypeRule": "undefinedField",
    "ScalarLeafsRule": "selectionMismatch",
    "KnownArgumentNamesRule": "argumentNotAccepted",
    "ProvidedRequiredArgumentsRule": "missingRequiredArguments",
    "ValuesOfCorrectTypeRule": "argumentLiteralsIncompatible",
    "VariablesInAllowedPositionRule": "variableMismatch",
    "NoUndefinedVariablesRule": "variableNotDefined",
    "NoUnusedVariablesRule": "variableNotUsed",
    "KnownTypeNamesRule": "undefinedType",
}


class Refused(Exception):
    """Raised for what GraphQL would not run; becomes `errors`."""

    def __init__(self, message: str, code: str = "graphqlInvalid", path: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.errors = [error(message, code, path)]


def error(message: str, code: str, path: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """One of `errors`."""
    found: dict[str, Any] = {"message": message, "extensions": {"code": code, **more}}
    return found | {"path": list(path)} if path else found


@dataclass(frozen=True)
class Document:
    """What is to be run, and the fragments that it names."""

    operation: OperationDefinitionNode
    fragments: Mapping[str, FragmentDefinitionNode]


def _schema() -> GraphQLSchema:
    files = sorted(Path(__file__).parent.glob("*.graphql"))
    topics = f"enum WebhookSubscriptionTopic {{ {' '.join(TOPICS)} }}"
    return build_schema("\n".join([*(file.read_text() for file in files), topics]))


SCHEMA: Final = _schema()


@lru_cache(maxsize=256)
def read(text: str, name: str | None) -> Document:
    """The document's operation of this name, or its only one.

    Raises:
        Refused: it is no GraphQL, asks for what the schema does not have, or has no such operation.
    """
    try:
        document = parse(text)
    except GraphQLError as wrong:
        raise Refused(wrong.message) from wrong
    for rule in specified_rules:
        if found := validate(SCHEMA, document, [rule]):
            refused = Refused(found[0].message)
            code = _CODES.get(rule.__name__, "graphqlInvalid")
            refused.errors = [error(one.message, code) for one in found]
            raise refused
    operation = get_operation_ast(document, name)
    if operation is None:
        raise Refused("An operation name is required" if name is None else f'No operation named "{name}"')
    fragments = {one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)}
    return Document(operation, fragments)


def variables_of(document: Document, given: Mapping[str, Any]) -> VariableValues:
    """The variables, each of its type.

    Raises:
        Refused: one is missing or is not of its type.
    """
    found = get_variable_values(SCHEMA, document.operation.variable_definitions or (), dict(given))
    if isinstance(found, VariableValues):
        return found
    first = found[0]
    [declared] = [node for node in first.nodes or () if isinstance(node, VariableDefinitionNode)]
    name, why = declared.variable.name.value, first.message.partition("has invalid value")[2]
    words = f"Variable ${name} of type {print_ast(declared.type)} was provided invalid value{why}"
    raise Refused(words, "INVALID_VARIABLE")
