"""Bad input on its whole way: through the real ingress, signed as genuine, and through a drain's batch.

Whatever a sender makes of its bodies and headers: the ingress answers, never with a 500; every message that it took has
a row that says what became of it; no provider raises; and a good customer in the same batch goes through.
"""

import io
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from hypothesis import HealthCheck, given
from hypothesis import settings as chosen
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from cli.sns_stand_in import furnish
from shared import directory, valkey
from shared.crypto import KeyRing
from shared.db.tables import messages
from shared.ids import new_id
from shared.inbox import Entry, Inbox
from shared.providers import samples, sns
from shared.providers.contract import Headers, Request
from shared.settings import Settings
from tests.shared.providers.acting import CASES, NOW, OTHER, SECRET, Actor, actor, is_timed
from tests.shared.providers.test_conformance import damaged, places
from tests.workers import rows
from web.ingress import make_app
from workers.inbound.process import Inbound, load_listings, process

MAPPED = {
    "preset": "hmac",
    "topic": {"jmespath": "topic"},
    "tenant": {"jmespath": "shop"},
    "dedupe": {"jmespath": "to_string(@)"},
    "records": [
        {
            "kind": "order",
            "id": "id",
            "version": "at",
            "fields": {"currency": "currency", "status": "status", "lineItems": "lines", "attributes": "more"},
            "amounts": {"totalMinor": "total"},
        }
    ],
}
ORDER = {
    "topic": "order",
    "shop": "north",
    "id": "1",
    "at": "2026-11-20T10:00:00Z",
    "currency": "EUR",
    "status": "open",
    "total": "1.50",
    "lines": [{"id": 1, "price": "1.50"}],
    "more": {"note": "x"},
}
# One thing, and several of it in one body.
OWN: dict[str, tuple[dict[str, Any], Any]] = {
    "mapped": (MAPPED, ORDER),
    "batched": (MAPPED | {"items": "list"}, {"list": [ORDER, ORDER | {"id": "2"}, {"topic": "order", "shop": "x"}]}),
}
NUMBERS = itertools.count(1)
HOST = "https://hooks.example.com"
SENDERS = [*OWN, *CASES]
DEEP: Any = [{"a": [{}]}]
for _ in range(80):
    DEEP = [{"a": DEEP}]
WRONG: list[Any] = [
    *(None, True, -1, 0, 1.5, 1e300, 2**53 + 1, 2**63, 2**64, 2**70, -(2**70), 10**400),
    *(
        "",
        " ",
        "\x00",
        "a\x00b",
        "\ud800",
        "\udfff!",
        "😀" * 50,
        "x" * 5_000,
        "1e999",
        "NaN",
        "9999-12-31T23:59:59-14:00",
    ),
    *([], [[]], [None], {}, {"": ""}, {"\x00": "\ud800"}, {"id": 2**70}, DEEP),
]
RAW: list[bytes] = [
    *(b"", b" ", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf{}", b"null", b"NaN", b"[Infinity]", b'"', b"{", b"[]", b"{}"),
    *(b"[" * 100_000, b'{"a":' * 100_000, b"[" * 900 + b"]" * 900, b"1" * 50_000, b'{"id":1e999}', b'{"id":-0}'),
    *(b"payload=%7B%7D", b"a=%00&b=%ff", b"=&=&=", b'{"id":1,"id":2,"id":{}}', b'{"id":"\\ud800\\u0000"}'),
]


@dataclass
class Gate:
    """An ingress before a database, with a source for every sender."""

    app: Flask
    engine: Engine
    inbox: Inbox
    ring: KeyRing
    key: bytes  # what SNS's stand-in signs with
    ids: dict[str, UUID] = field(default_factory=dict)

    def signed(self, case: str, body: bytes, **more: Any) -> Request:
        """A genuine request of a sender's, whatever its body; each a delivery of its own."""
        act = acting(case)
        given = {"number": next(NUMBERS), "url": f"{HOST}/api/webhooks/from/{case}"} | more
        sample = act.sample(body=body, **given)
        return act.request(replace(sample, secret=self.key) if act.signs_inside else sample)

    def post(self, request: Request) -> int:
        """Post it as it is; the status of the answer."""
        environ = {
            # As WSGI has them: one name for - and _, what is sent twice joined by a comma.
            **_environ(request.headers),
            "REQUEST_METHOD": request.method,
            "PATH_INFO": request.url.removeprefix(HOST).partition("?")[0],
            "QUERY_STRING": request.url.partition("?")[2],
            "SERVER_NAME": "hooks.example.com",
            "SERVER_PORT": "443",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.url_scheme": "https",
            "wsgi.input": io.BytesIO(request.body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "CONTENT_LENGTH": str(len(request.body)),
        }
        statuses: list[str] = []
        body = self.app.wsgi_app(environ, lambda status, *_: statuses.append(status) or (lambda _: None))
        assert b"".join(body)
        return int(statuses[0].split()[0])

    def drain(self) -> dict[UUID, dict[str, Any]]:
        """Process all that the inbox holds, each take as one batch; the rows of its messages."""
        left: dict[UUID, dict[str, Any]] = {}
        while entries := self.inbox.take(0, 1_000):
            left |= self._drain(entries)
        return left

    def _drain(self, entries: list[Entry]) -> dict[UUID, dict[str, Any]]:
        batch = [Inbound(entry.message_id, entry.source_id, entry.received_at, entry.request) for entry in entries]
        with self.engine.begin() as connection:
            process(connection, batch, listings=load_listings(connection, self.ring, NOW), now=NOW)
            found = connection.execute(select(messages).where(messages.c.id.in_([one.message_id for one in batch])))
            left = {row["id"]: dict(row) for row in found.mappings()}
        self.inbox.acknowledge(0, [entry.entry_id for entry in entries])
        assert set(left) == {one.message_id for one in batch}
        return left


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """SNS's stand-in and its key, made once: RSA keys take their time."""
    folder = tmp_path_factory.mktemp("sns")
    return folder, furnish(folder, now=NOW)


@pytest.fixture
def gate(
    engine: Engine, settings: Settings, queue: valkey.Client, ring: KeyRing, stand_in: tuple[Path, bytes]
) -> Iterator[Gate]:
    account_id = rows.account(engine)
    settings = settings.model_copy(update={"inbox_shards": 1, "public_url": HOST, "sns_stand_in": stand_in[0]})
    ids = {}
    for case in SENDERS:
        source, source_id = acting(case).source, new_id()
        sealed = {"id": "1", "sealed": ring.encrypt(SECRET, place=directory.place(source_id)), "expiresAt": None}
        values = {"provider": source.provider, "path": f"from/{case}", "settings": dict(source.settings)}
        ids[case] = rows.source(engine, account_id, id=source_id, secrets=[sealed], **values)
    with engine.begin() as connection:
        directory.publish(connection, queue)
    app = make_app(settings, ring, clock=lambda: NOW)
    yield Gate(app, engine, Inbox(queue, shards=1), ring, stand_in[1], ids)
    app.extensions["ingress"].stop()


def acting(case: str) -> Actor:
    if case in OWN:
        made = actor("generic-hmac")
        return replace(made, source=replace(made.source, settings=OWN[case][0]))
    return actor(case)


def good(case: str, number: int = 7) -> bytes:
    """A body that means something."""
    return json.dumps(OWN[case][1]).encode() if case in OWN else acting(case).sample(number=number).body


def _environ(headers: Headers) -> dict[str, str]:
    environ: dict[str, str] = {}
    for name, value in headers.pairs():
        key = name.upper().replace("-", "_")
        key = key if key == "CONTENT_TYPE" else f"HTTP_{key}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ


@st.composite
def bodies(draw: st.DrawFn, case: str) -> tuple[str, bytes]:
    """A topic, and a body that was one of its samples before something happened to it."""
    # What SNS asks is an envelope itself, which is damaged below.
    stored = samples.stored(acting(case).provider.name)
    known = [(payload.topic, payload.body) for payload in stored if payload.topic not in sns.CONFIRMATIONS]
    topic, whole = draw(st.sampled_from([("order", good(case))] if case in OWN else known))
    kind = draw(st.sampled_from(["value", "raw", "cut", "byte", "twice", "name"]))
    if kind == "raw":
        return topic, draw(st.sampled_from(RAW) | st.binary(max_size=60))
    if kind == "cut":
        return topic, whole[: draw(st.integers(0, len(whole)))]
    if kind == "byte":
        at = draw(st.integers(0, len(whole)))
        return topic, whole[:at] + draw(
            st.sampled_from([b"\x00", b"\xff", b"\\", b'"', b"\xed\xa0\x80", b","])
        ) + whole[at:]
    value = json.loads(whole)
    path = draw(st.sampled_from(places(value)))
    if kind == "value":
        return topic, json.dumps(damaged(value, path, draw(st.sampled_from(WRONG)), cut=draw(st.booleans()))).encode()
    if kind == "name" and path and isinstance(path[-1], str):
        return topic, whole.replace(json.dumps(path[-1]).encode(), b'"\\u0000\\ud800"', 1)
    # The whole object again, with another value before it: all its names stand twice.
    again = json.dumps(damaged(value, path, draw(st.sampled_from(WRONG)), cut=False)).encode()
    if not (again.startswith(b"{") and whole.startswith(b"{") and len(again) > 2):
        return topic, whole
    return topic, again[:-1] + b"," + whole[1:]


HEADER_VALUES = st.sampled_from(
    ["", " ", ",", "a,b", "\x00", "é", "\xff" * 20, "x" * 4_000, "t=1,v1=", "v1,", "v1a,AAAA", "1e400", "-1", "9" * 30]
) | st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=20)


@st.composite
def headers(draw: st.DrawFn, whole: Headers) -> Headers:
    """A request's headers after something happened to one of them."""
    pairs = whole.pairs()
    at = draw(st.integers(0, len(pairs) - 1))
    name, value = pairs[at]
    kind = draw(st.sampled_from(["value", "twice", "again", "twin", "gone"]))
    if kind == "gone":
        return Headers(pairs[:at] + pairs[at + 1 :])
    if kind == "value":
        return Headers([*pairs[:at], (name, draw(HEADER_VALUES)), *pairs[at + 1 :]])
    other = name.replace("-", "_") if kind == "twin" else name
    return Headers([*pairs, (other, value if kind == "again" else draw(HEADER_VALUES))])


FUZZ = chosen(suppress_health_check=list(HealthCheck), max_examples=60)
FATES = {"processed", "ignored", "stale", "duplicate", "failed"}


def assert_every_fate_is_told(gate: Gate) -> None:
    for row in gate.drain().values():
        assert row["state"] in FATES
        # One that a provider's function raised on, or that only PostgreSQL refused, is a mistake of ours.
        assert row["reason_code"] not in ("provider_raised", "not_storable"), row["reason"]
        assert row["state"] != "failed" or row["reason"]


@FUZZ
@given(data=st.data())
def test_whatever_is_in_a_genuine_body_is_told_and_holds_up_nothing(gate: Gate, data: st.DataObject) -> None:
    for _ in range(4):
        case = data.draw(st.sampled_from(SENDERS))
        topic, body = data.draw(bodies(case))
        assert gate.post(gate.signed(case, body, topic=topic)) in (200, 401)
    assert_every_fate_is_told(gate)


def test_every_sender_gets_through_with_a_good_body_beside_the_worst(gate: Gate) -> None:
    for case in SENDERS:
        for raw in RAW:
            assert gate.post(gate.signed(case, raw)) in (200, 401)
        assert gate.post(gate.signed(case, good(case, 5))) == 200
    left = list(gate.drain().values())
    # Of a batch with something bad in it the good is taken in, and the message is failed for the bad.
    partly = {row["source_id"] for row in left if row["reason_code"] == "items_unexpected" and row["events_count"]}
    assert partly == {gate.ids["batched"]}
    assert {row["source_id"] for row in left if row["state"] == "processed"} | partly == set(gate.ids.values())
    assert not [row["reason"] for row in left if row["reason_code"] in ("provider_raised", "not_storable")]


@FUZZ
@given(data=st.data())
def test_whatever_is_in_a_header_is_answered_and_told(gate: Gate, data: st.DataObject) -> None:
    for _ in range(4):
        case = data.draw(st.sampled_from(SENDERS))
        request = gate.signed(case, good(case))
        broken = replace(request, headers=data.draw(headers(request.headers)))
        assert gate.post(broken) in (200, 401, 415)
    assert_every_fate_is_told(gate)


@FUZZ
@given(data=st.data())
def test_whatever_becomes_of_a_signed_envelope_is_answered_and_told(gate: Gate, data: st.DataObject) -> None:
    case = data.draw(st.sampled_from([case for case in CASES if actor(case).signs_inside]))
    payload = data.draw(st.sampled_from(list(samples.stored(actor(case).provider.name))))
    request = gate.signed(case, payload.body, topic=payload.topic)
    envelope = json.loads(request.body)
    path = data.draw(st.sampled_from(places(envelope)))
    broken = json.dumps(damaged(envelope, path, data.draw(st.sampled_from(WRONG)), cut=data.draw(st.booleans())))
    assert gate.post(replace(request, body=broken.encode())) in (200, 401)
    assert_every_fate_is_told(gate)


def states(gate: Gate) -> dict[UUID, list[str]]:
    """What became of each sender's messages, in the order they came."""
    found: dict[UUID, list[str]] = {source_id: [] for source_id in gate.ids.values()}
    for _, row in sorted(gate.drain().items()):
        found[row["source_id"]].append(row["state"])
    return found


def test_what_is_forged_is_refused_and_what_is_replayed_is_a_repeat(gate: Gate) -> None:
    for case in SENDERS:
        request = gate.signed(case, good(case))
        forged = gate.signed(case, good(case), secret=OTHER)
        if acting(case).signs_inside:  # another key's certificate would be asked for at Amazon
            forged = replace(request, body=request.body.replace(b"ORDER_CHANGE", b"ORDER_CHANGED", 1))
        assert gate.post(forged) == 401, case
        assert [gate.post(request), gate.post(request)] == [200, 200], case
    for source_id, found in states(gate).items():
        assert found == ["failed" if source_id == gate.ids["batched"] else "processed", "duplicate"]


def test_what_is_stale_is_refused_where_a_time_is_signed(gate: Gate) -> None:
    for case in SENDERS:
        act = acting(case)
        late = gate.signed(case, good(case), now=NOW - timedelta(hours=2))
        assert gate.post(late) == (401 if is_timed(act, act.sample()) else 200), case


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        (None, 200),
        ("", 200),
        ("text/plain", 200),
        ("application/vnd.x+json", 200),
        ("application/json; charset=latin-1", 415),
        ("application/xml", 415),
        ("multipart/form-data; boundary=x", 415),
        ("\xff/\x80", 415),
        ("json", 415),
    ],
)
def test_a_body_called_what_nobody_reads_is_refused_and_all_else_is_taken(
    gate: Gate, content_type: str | None, status: int
) -> None:
    for case in SENDERS:
        request = gate.signed(case, good(case))
        pairs = [pair for pair in request.headers.pairs() if pair[0] != "content-type"]
        pairs += [] if content_type is None else [("content-type", content_type)]
        assert gate.post(replace(request, headers=Headers(pairs))) == status, case
    for source_id, found in states(gate).items():
        taken = ["failed" if source_id == gate.ids["batched"] else "processed"]
        assert found == (taken if status == 200 else [])


def test_a_form_where_json_is_sent_is_refused_or_told(gate: Gate) -> None:
    for case in SENDERS:
        act = acting(case)
        request = gate.signed(case, b"id=1&topic=order&id=2")
        pairs = [pair for pair in request.headers.pairs() if pair[0] != "content-type"]
        pairs.append(("content-type", "application/x-www-form-urlencoded"))
        read = act.provider.reads_forms(act.source)
        assert gate.post(replace(request, headers=Headers(pairs))) in ((200, 401) if read else (401, 415)), case
    assert_every_fate_is_told(gate)


def test_a_body_past_the_cap_is_refused_whoever_sends_it(gate: Gate) -> None:
    for case in SENDERS:
        assert gate.post(gate.signed(case, b"[" + b" " * 5_300_000 + b"]")) == 413, case
    assert not [found for found in states(gate).values() if found]
