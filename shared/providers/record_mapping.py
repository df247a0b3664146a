"""Records mapped from foreign JSON by JMESPath expressions: what a generic source's settings may say of them.

Comes in: rules, a topic and a parsed body. Comes out: changes, or why there are none. Pure; nothing is left behind.

A rule says of which topics it is, which items of the body it reads (`each`), which of these it takes (`when`), and for
each of our fields the expression that finds it. An item's expressions begin at the item.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from shared.errors import PayloadUnexpected
from shared.providers import mapped_values
from shared.providers.contract import JSON, Change, Outcome
from shared.providers.expressions import Expr, compiled
from shared.providers.mapping import as_text
from shared.providers.options import Options
from shared.record_kinds import KINDS, MERGED, Form, RecordKind
from shared.record_kinds import Field as RecordField
from shared.record_shapes import shapes_of

ITEMS_MAX = 1_000  # of one message; HubSpot sends a hundred, and nobody many more
RULES_MAX = 50
PART_CHARACTERS = 64
CREATED_AT = RecordField("created_at", Form.TIME)  # of the frame, but the sender may know it better


def _fields(kind: RecordKind) -> dict[str, RecordField]:
    """The kind's fields by their JSON name, `createdAt` too."""
    return {kind.json_names[field.name]: field for field in kind.fields} | {"createdAt": CREATED_AT}


_FIELDS: Mapping[str, Mapping[str, RecordField]] = {name: _fields(kind) for name, kind in KINDS.items()}


class Rule(Options):
    """One kind of record in one kind of message."""

    kind: str
    topics: tuple[str, ...] = ()  # exact, or with a * at the end; empty: of deleteTopics alone, or of all
    delete_topics: tuple[str, ...] = ()
    each: Expr | None = None  # the items of the body; None: the body itself is the one item
    when: Expr | None = None  # the items that are meant; None: all
    delete_when: Expr | None = None  # the items that say that the record is gone
    id: Expr
    version: Expr | None = None  # None: when it occurred, or was received
    part: Expr | None = None  # what of the record is spoken of, where each part has a clock of its own
    fields: dict[str, Expr] = Field(default_factory=dict)  # our name of a field -> where it stands
    amounts: dict[str, Expr] = Field(default_factory=dict)  # ... -> a decimal amount in the mapped currency
    words: dict[str, dict[str, str]] = Field(default_factory=dict)  # our name -> their word -> our word

    @field_validator("kind")
    @classmethod
    def _is_a_kind(cls, kind: str) -> str:
        if kind not in KINDS:
            raise ValueError(f"there are no records of kind {kind}; there are {', '.join(KINDS)}")
        return kind

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        known = _FIELDS[self.kind]
        for where, names in (("fields", self.fields), ("amounts", self.amounts), ("words", self.words)):
            if unknown := [name for name in names if name not in known]:
                raise ValueError(f"{where}: {self.kind} has no field {', '.join(unknown)}; it has {', '.join(known)}")
        if wrong := [name for name in self.amounts if known[name].form is not Form.MINOR]:
            raise ValueError(f"amounts: {', '.join(wrong)} is no amount of money")
        if twice := sorted(set(self.amounts) & set(self.fields)):
            raise ValueError(f"{', '.join(twice)}: either in fields, in minor units, or in amounts")
        if self.amounts and "currency" not in self.fields:
            raise ValueError("amounts: fields.currency is needed too; for a fixed one write \"'EUR'\"")
        if unmapped := sorted(set(self.words) - set(self.fields)):
            raise ValueError(f"words: {', '.join(unmapped)} is not in fields")
        for name, table in self.words.items():
            ours = known[name].words
            if wrong := sorted({word for word in table.values() if ours and word not in ours}):
                raise ValueError(f"words.{name}: not {', '.join(wrong)} but one of {', '.join(ours)}")
        if twice := sorted(set(self.topics) & set(self.delete_topics)):
            raise ValueError(f"a topic either updates or deletes: {', '.join(twice)}")
        return self

    def wants(self, topic: str) -> bool:
        """Whether messages of the topic may speak of such records."""
        if not self.topics and not self.delete_topics:
            return True
        return _matches(self.topics, topic) or _matches(self.delete_topics, topic)

    def deletes(self, topic: str) -> bool:
        """Whether messages of the topic say that records are gone."""
        return _matches(self.delete_topics, topic) and topic not in self.topics


def _matches(patterns: Sequence[str], topic: str) -> bool:
    return any(topic == pattern or (pattern.endswith("*") and topic.startswith(pattern[:-1])) for pattern in patterns)


def outcome(rules: Sequence[Rule], topic: str, payload: JSON) -> Outcome:
    """What the rules make of a message; `ignored` when none is of its topic, or none of its items is meant.

    Raises:
        PayloadUnexpected: an item lacks an id, a field has nothing of its kind, or an expression does not fit.
    """
    mine = [rule for rule in rules if rule.wants(topic)]
    if not mine:
        return Outcome(ignored=f"topic {topic} is mapped to nothing")
    if payload is None:
        raise PayloadUnexpected("there is no JSON to map")
    changes = tuple(change for rule in mine for change in _changes(rule, topic, payload))
    return Outcome(changes=changes) if changes else Outcome(ignored=f"no item of this {topic} is mapped to anything")


def _changes(rule: Rule, topic: str, payload: JSON) -> Iterator[Change]:
    items = payload if rule.each is None else compiled(rule.each).find(payload)[1]
    if rule.each is None or (rule.each == "@" and isinstance(items, dict)):  # the thing itself is the one item
        items = [items]
    elif items is None:
        items = []
    if not isinstance(items, list):
        raise PayloadUnexpected(f"there is no list at {rule.each}")
    if len(items) > ITEMS_MAX:
        raise PayloadUnexpected(f"there are more than {ITEMS_MAX} items at {rule.each}")
    for item in items:
        if rule.when is None or _is_true(rule.when, item):
            yield _change(rule, item, is_gone=rule.deletes(topic))


def _change(rule: Rule, item: JSON, *, is_gone: bool) -> Change:
    external_id = as_text(_found(rule.id, item))
    if external_id is None:
        raise PayloadUnexpected(f"there is no id at {rule.id}")
    version = mapped_values.instant(_found(rule.version, item), rule.version or "")
    if is_gone or (rule.delete_when is not None and _is_true(rule.delete_when, item)):
        return Change(rule.kind, "delete", external_id, version)
    part = as_text(_found(rule.part, item))
    if part is not None and not (part.isidentifier() and len(part) <= PART_CHARACTERS):
        raise PayloadUnexpected(f"there is no name of a part at {rule.part}")
    return Change(rule.kind, "upsert", external_id, version, _fields_of(rule, item), part=part)


def _fields_of(rule: Rule, item: JSON) -> dict[str, JSON]:
    known, shapes = _FIELDS[rule.kind], shapes_of(rule.kind)
    fields: dict[str, JSON] = {}
    foreign: dict[str, JSON] = {}
    code = mapped_values.currency_code(_in_our_words(rule, "currency", _found(rule.fields.get("currency"), item)))
    for name, expression in rule.fields.items():
        field = known[name]
        there, value = _told(field, expression, item)
        if not there:  # what is absent says nothing
            continue
        if name == "currency":
            fields[field.name] = code
            continue
        value = _in_our_words(rule, name, value)
        if field.words and value is not None and value not in field.words:
            foreign[name] = value  # a word that is not ours is kept for people to see
            continue
        fields[field.name] = mapped_values.value_of(field, value, code, shapes.get(field.name))
    for name, expression in rule.amounts.items():
        there, value = compiled(expression).find(item)
        if there:
            fields[known[name].name] = mapped_values.amount(name, value, code)
            if not mapped_values.is_read(code):
                foreign[name.removesuffix("Minor")] = value
    if foreign:
        fields["attributes"] = mapped_values.value_of(known["attributes"], foreign) | fields.get("attributes", {})
    return fields


def _told(field: RecordField, expression: str, item: JSON) -> tuple[bool, Any]:
    """Whether anything is said of the field, and what.

    In `{a: b, c: d}` what is absent is null. Of a field whose keys are facts of their own, null would take the fact
    away; so there it counts as absent.
    """
    made = compiled(expression)
    there, value = made.find(item)
    if there and not made.is_path and field.form in MERGED and isinstance(value, dict):
        value = {key: one for key, one in value.items() if one is not None}
        there = bool(value)
    return there, value


def _in_our_words(rule: Rule, name: str, value: Any) -> Any:
    table = rule.words.get(name)
    return table.get(value, value) if table and isinstance(value, str) else value


def _found(expression: str | None, item: JSON) -> Any:
    return None if expression is None else compiled(expression).find(item)[1]


def _is_true(expression: str, item: JSON) -> bool:
    """Whether it is what JMESPath calls true: neither null nor false nor empty."""
    found = _found(expression, item)
    return not (found is None or found is False or found in ("", [], {}))
