"""Whatever a sender's own mapping finds, the record that comes of it keeps the schema that is published of it."""

import json
from typing import Any
from uuid import UUID

import jsonschema
import orjson
import pytest
from sqlalchemy import Engine, select

from shared.db.tables import events, messages
from shared.directory import Listing
from shared.errors import PayloadUnexpected
from shared.event_schemas import record_schema
from shared.ids import new_id
from shared.providers.contract import Headers, Request, Source
from shared.providers.record_mapping import Rule, outcome
from shared.record_changes import record_change
from shared.record_json import record_json
from shared.record_kinds import KINDS, RecordKind
from shared.users import user_json
from tests.envelopes import read
from tests.shared.providers.acting import NOW, SECRET
from tests.workers import rows
from workers.inbound.guard import apply
from workers.inbound.process import process
from workers.inbound.reading import Inbound

PLAIN: list[Any] = [
    None,
    True,
    0,
    -5,
    2**62,
    1.5,
    3.0,
    "",
    "x",
    "yes",
    "7",
    "1.5",
    "2026-01-01T00:00:00Z",
    1_700_000_000,
]
INSIDE = (
    "email",
    "messagesCount",
    "lastUpdated",
    "line1",
    "currency",
    "totalMinor",
    "price",
    "id",
    "name",
    "attributes",
)
OBJECTS = [{name: value} for name in INSIDE for value in (*PLAIN, [1, "b"], {"a": {"b": [1]}})]
VALUES = [*PLAIN, [], {}, ["a", 1], *OBJECTS, *([one] for one in OBJECTS)]


def shown(kind: RecordKind, rule: Rule, value: Any) -> Any:
    """The JSON of the record that comes of a message with this value; `None` where it fails."""
    try:
        [change] = outcome([rule], "t", {"id": "1", "v": value}).changes
        checked = record_change(change, account_id=UUID(int=1), provider="generic", tenant="", version=NOW)
    except PayloadUnexpected:
        return None
    row = apply(None, checked, now=NOW).after
    assert row is not None
    return orjson.loads(orjson.dumps(user_json(row) if kind.name == "user" else record_json(kind, row)))


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_whatever_is_mapped_to_a_field_keeps_the_records_schema(kind: RecordKind) -> None:
    validator = jsonschema.Draft202012Validator(record_schema(kind), format_checker=jsonschema.FormatChecker())
    for field in kind.fields:
        fields = {"currency": "'EUR'"} if "currency" in kind.by_name else {}
        rule = Rule.model_validate(
            {"kind": kind.name, "id": "id", "fields": fields | {kind.json_names[field.name]: "v"}}
        )
        records = [record for value in VALUES if (record := shown(kind, rule, value)) is not None]
        assert records
        for record in records:
            validator.validate(record)


@pytest.mark.parametrize(
    ("field", "value", "told", "reason"),
    [
        ("optIns", {"email": "True", "sms": 0, "mail": None}, {"email": True, "sms": False}, None),
        ("optIns", {"email": "subscribed"}, None, "opt_ins.email is neither true nor false"),
        (
            "interactions",
            {"messagesCount": "7", "lastUpdated": 1_764_064_800},
            {"messagesCount": 7, "lastUpdated": "2025-11-25T10:00:00.000Z"},
            None,
        ),
        ("interactions", {"messagesCount": "many"}, None, "interactions.messagesCount is no whole number"),
        ("interactions", {"messagesCount": 2**70}, None, "interactions: messagesCount: the number is too big"),
        ("interactions", {"lastUpdated": "soon"}, None, "there is no time at interactions.lastUpdated"),
    ],
)
def test_flags_and_counts_are_read_as_such_or_the_message_fails_and_says_why(
    engine: Engine, field: str, value: Any, told: dict[str, Any] | None, reason: str | None
) -> None:
    rule = {"kind": "user", "id": "id", "fields": {field: "v"}}
    settings = {"preset": "hmac", "topic": {"fixed": "contact"}, "records": [rule]}
    account_id = rows.account(engine)
    source_id = rows.source(engine, account_id, provider="generic", settings=settings)
    source = Source(str(source_id), "generic", (SECRET,), settings)
    listing = Listing(source, str(account_id), active=True, tenants=None, allowed_topics=None, rate_per_second=0)
    body = json.dumps({"id": 1, "v": value}).encode()
    with engine.begin() as connection:
        inbound = Inbound(new_id(), source_id, NOW, Request("POST", "/", Headers(), body))
        process(connection, [inbound], listings={source_id: listing}, now=NOW)
        message = connection.execute(select(messages)).mappings().one()
        envelopes = [read(one) for one in connection.execute(select(events.c.body)).scalars()]
    assert (message["state"], message["reason"]) == ("failed" if reason else "processed", reason)
    assert [one["event"] for one in envelopes] == ([] if reason else ["user.created"])
    for one in envelopes:
        assert told is not None
        assert one["data"]["user"][field].items() >= told.items()
