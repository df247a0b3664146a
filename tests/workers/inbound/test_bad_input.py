"""Every kind of bad input, from every provider: refused before it is taken in, or failed with a reason, and a good
message before it and behind it in the same batch is processed.

Signed as genuine wherever the kind allows it; judged by what the ingress judges with, then drained into PostgreSQL.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest
from sqlalchemy import Engine, select

from shared.db.tables import messages
from shared.directory import Listing
from shared.errors import PayloadUnexpected
from shared.ids import new_id
from shared.payload import parse
from shared.providers import content_types, samples
from shared.providers.contract import Change, Headers, Refusal, Request
from shared.providers.registry import PROVIDERS
from tests.shared.providers.acting import CASES, NOW, OTHER, Actor, actor, is_timed, signature_header
from tests.shared.providers.test_conformance import places
from tests.test_bad_input import MAPPED, ORDER
from tests.workers import rows
from workers.inbound.process import process
from workers.inbound.reading import Inbound

BODY_KINDS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "truncated": (lambda body: body[: len(body) // 2], "is not JSON"),
    "empty": (lambda _: b"", "is empty"),
    "no JSON": (lambda _: b"<order/>", "is not JSON"),
    "mistyped": (lambda _: b'"a text"', "not a JSON object but a text|there is no topic"),
    "NaN": (lambda body: within(body, b'"x": NaN'), "NaN is no JSON number"),
    "a number past every double": (lambda body: within(body, b'"x": [1e999]'), "a number that is too large at"),
    "deeply nested": (lambda body: within(body, b'"x": ' + b"[" * 5_000 + b"]" * 5_000), "is nested too deeply"),
    "nested past what is kept": (lambda body: within(body, b'"x": ' + b"[" * 300 + b"]" * 300), "is nested too deeply"),
    "a NUL byte": (
        lambda body: within(body, b'"x": "a\x00b"'),
        "is not JSON: Invalid control character|a NUL character at Message",
    ),
    "an escaped NUL": (lambda body: within(body, b'"x": [{"y": "a\\u0000b"}]'), "holds a NUL character at"),
    "a NUL in a name": (lambda body: within(body, b'"x\\u0000": 1'), "holds a NUL character in the name"),
    "a lone surrogate": (lambda body: within(body, b'"x": "\\ud83d"'), "holds a lone surrogate at"),
    "a lone surrogate in a name": (lambda body: within(body, b'"\\udc00": 1'), "holds a lone surrogate in the name"),
    "a raw surrogate": (lambda body: within(body, b'"x": "\xed\xa0\x80"'), "is not UTF-8"),
    "duplicate keys": (lambda body: within(body, b'"x": 1, "x": 1'), 'x" twice'),
    "duplicate keys, escaped": (lambda body: within(body, b'"x": 1, "\\u0078" : 1, "y": "\\u003a"'), 'x" twice'),
    "duplicate keys, deep": (lambda body: within(body, b'"x": [{"y": {"z": 1, "z": {}}}]'), 'x\\[0\\].y.z" twice'),
}

REFUSED = {("shopify", "empty")}
# A text of SNS's is one of characters; and anybody may publish a plain one under a topic, which says nothing to us.
UNSAYABLE = {("amazon", "a raw surrogate")}
PLAIN = {("amazon", "empty"), ("amazon", "no JSON"), ("amazon", "mistyped")}


def within(body: bytes, more: bytes) -> bytes:
    """The body with more in its first object."""
    start, brace, rest = body.partition(b"{")
    assert brace
    return start + brace + more + b", " + rest


@dataclass
class House:
    """An account with a source of every provider, under all the settings of the conformance suite."""

    engine: Engine
    listings: dict[UUID, Listing]
    ids: dict[str, UUID]

    def inbound(self, case: str, request: Request) -> Inbound:
        return Inbound(new_id(), self.ids[case], NOW, request)

    def drain(self, batch: list[Inbound]) -> list[dict[str, Any]]:
        """What became of each message of one batch."""
        with self.engine.begin() as connection:
            process(connection, batch, listings=self.listings, now=NOW)
            found = {row["id"]: dict(row) for row in connection.execute(select(messages)).mappings()}
        return [found[one.message_id] for one in batch]


@pytest.fixture
def house(engine: Engine) -> House:
    account_id = rows.account(engine)
    listings, ids = {}, {}
    for case in CASES:
        source = actor(case).source
        ids[case] = rows.source(
            engine, account_id, provider=source.provider, path=f"from/{case}", settings=dict(source.settings)
        )
        listings[ids[case]] = Listing(
            source, str(account_id), active=True, tenants=None, allowed_topics=None, rate_per_second=0
        )
    return House(engine, listings, ids)


def judged(act: Actor, request: Request) -> Refusal | None:
    """What the ingress would refuse it for."""
    return act.verify(request) or content_types.check(act.provider, request, act.source)


def good(act: Actor, number: int) -> Request:
    request = act.request(act.sample(number=number))
    assert judged(act, request) is None
    return request


def retyped(request: Request, content_type: str) -> Request:
    pairs = [pair for pair in request.headers.pairs() if pair[0] != "content-type"]
    return replace(request, headers=Headers([*pairs, ("content-type", content_type)]))


@pytest.mark.parametrize("kind", BODY_KINDS)
def test_a_signed_body_of_a_bad_kind_is_failed_with_its_reason_and_holds_up_nothing(house: House, kind: str) -> None:
    spoil, reason = BODY_KINDS[kind]
    cases = [case for case in CASES if (actor(case).provider.name, kind) not in REFUSED | UNSAYABLE]
    batch: list[Inbound] = []
    for case in cases:
        act = actor(case)
        bad = act.request(act.sample(number=2, body=spoil(act.sample(number=2).body)))
        assert judged(act, bad) is None
        batch += [house.inbound(case, one) for one in (good(act, 1), bad, good(act, 3))]
    left = iter(house.drain(batch))
    for case in cases:
        before, bad, after = (next(left) for _ in range(3))
        assert (before["state"], after["state"]) == ("processed", "processed"), case
        if (actor(case).provider.name, kind) in PLAIN:
            assert bad["state"] == "ignored"
            continue
        assert bad["state"] == "failed", case
        assert bad["reason_code"] in ("payload_not_json", "payload_unexpected")
        assert re.search(reason, bad["reason"]), case
        assert bad["body"] is not None


def test_a_signed_body_that_is_empty_is_refused_where_only_a_body_is_signed() -> None:
    act = actor("shopify")
    refusal = judged(act, act.request(act.sample(body=b"")))
    assert refusal is not None
    assert refusal.code == "body_empty"


def test_an_envelope_of_a_bad_kind_is_refused_or_failed() -> None:
    act = actor("amazon")
    request = act.request(act.sample())
    for kind, (spoil, _) in BODY_KINDS.items():
        refusal = judged(act, replace(request, body=spoil(request.body)))
        if "NUL" in kind and "byte" not in kind:
            assert refusal is None  # signed it is genuine, and the drain says what is wrong with it
            continue
        assert refusal is not None
        assert refusal.code in ("signature_malformed", "body_empty"), kind
        assert refusal.status == 401


def test_a_forged_one_is_refused() -> None:
    for case in CASES:
        act = actor(case)
        refusal = judged(act, act.request(act.sample(secret=OTHER)))
        assert refusal is not None
        assert refusal.code == "signature_mismatch"


def test_a_replayed_one_is_a_repeat_and_a_stale_one_is_refused_where_a_time_is_signed(house: House) -> None:
    batch: list[Inbound] = []
    for case in CASES:
        act = actor(case)
        stale = judged(act, act.request(act.sample(now=NOW - timedelta(hours=2))))
        assert (stale.code if stale else None) == ("timestamp_expired" if is_timed(act, act.sample()) else None)
        batch += [house.inbound(case, good(act, 1)) for _ in range(2)]
    states = [row["state"] for row in house.drain(batch)]
    assert states == ["processed", "duplicate"] * len(CASES)


def test_a_wrong_content_type_is_refused_and_a_source_that_takes_any_takes_it(house: House) -> None:
    batch: list[Inbound] = []
    for case in CASES:
        act = actor(case)
        for content_type in ("text/html", "multipart/form-data; boundary=x", "application/json; charset=utf-16"):
            bad = retyped(good(act, 2), content_type)
            refusal = judged(act, bad)
            assert refusal is not None
            assert (refusal.code, refusal.status) == ("content_type_unsupported", 415)
            lifted = replace(act, source=replace(act.source, settings={**act.source.settings, "anyContentType": True}))
            assert judged(lifted, bad) is None
        batch += [house.inbound(case, one) for one in (good(act, 1), bad)]
    assert {row["state"] for row in house.drain(batch)} == {"processed"}


def test_a_form_where_json_is_sent_is_refused_or_failed(house: House) -> None:
    batch: list[Inbound] = []
    for case in CASES:
        act = actor(case)
        if act.signs_inside:
            continue
        form = urlencode({"Body": "a\x00b", "type": "contact.updated"}).encode()
        bad = retyped(act.request(act.sample(body=form)), "application/x-www-form-urlencoded")
        refusal = judged(act, bad)
        if not act.provider.reads_forms(act.source):
            assert refusal is not None
            assert refusal.code == "content_type_unsupported"
        elif refusal is not None:  # Twilio's is signed as a form
            assert (case, refusal.code) == ("generic-twilio", "signature_mismatch")
        else:
            batch += [house.inbound(case, one) for one in (bad, good(act, 1))]
    left = house.drain(batch)
    assert [row["state"] for row in left] == ["failed", "processed"] * (len(left) // 2)
    assert {row["reason"] for row in left[::2]} == {"the form holds a NUL character at Body"}
    assert len(left) >= 8


@pytest.mark.parametrize("case", [case for case in CASES if not actor(case).signs_inside])
def test_a_signature_header_that_is_not_one_plain_header_is_refused(case: str) -> None:
    act = actor(case)
    sample = act.sample()
    pairs = act.provider.sign(sample)
    name = signature_header(act, sample)
    value = dict(pairs)[name]
    others = [pair for pair in pairs if pair[0] != name]
    other = name.replace("-", "_") if "-" in name else name.replace("_", "-")
    twin = [(other, value)] if other != name else [(name, value)]
    for headers in (
        [*others, (name, f"{value}é")],
        [*others, (name, f"\udcff{value}")],
        [*others, (name, f"{value}\x00")],
        [*others, (name, "é" * 5_000)],
        [*pairs, (name, value)],
        [*pairs, (name.upper(), "é")],
        [*others, (name, f"{value},{value}")],
        [*pairs, *twin],
        [*others, *twin, (name, "x")],
    ):
        refusal = judged(act, act.request(sample, headers))
        assert refusal is not None, headers
        assert refusal.status == 401
        assert refusal.message


# Numbers: each is kept to the last digit, or the message fails with a reason.
EXACT = {"9007199254740993": "2^53 + 1", "9223372036854775809": "2^63 + 1", "18446744073709551617": "2^64 + 1"}


def numbered(value: Any, path: tuple[Any, ...], mark: str) -> Any:
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = mark if len(path) == 1 else numbered(copy[path[0]], path[1:], mark)
    return copy


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def is_number(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, str) and value.isdigit())


def told(changes: tuple[Change, ...]) -> set[str]:
    """Every digit that is told, as text."""
    return {text for change in changes for text in [change.external_id, *leaves(dict(change.fields))]}


def leaves(value: Any) -> list[str]:
    if isinstance(value, dict | list):
        return [leaf for item in (value.values() if isinstance(value, dict) else value) for leaf in leaves(item)]
    return [str(value)]


@pytest.mark.parametrize("name", [*PROVIDERS, "mapped"])
def test_a_number_that_no_double_holds_is_told_to_the_last_digit_or_fails_the_message(name: str) -> None:
    act = actor("generic-hmac" if name == "mapped" else name)
    stored = [(payload.topic, json.loads(payload.body)) for payload in samples.stored(act.provider.name)]
    if name == "mapped":
        act = replace(act, source=replace(act.source, settings=MAPPED))
        stored = [("order", ORDER | {"id": 1, "total": 1})]
    kept = 0
    for topic, whole in stored:
        request = act.request(act.sample(topic=topic, body=b"{}" if topic == "order" else None))
        for path in places(whole):
            if not path or not is_number(at(whole, path)):
                continue
            for digits in EXACT:
                body = json.dumps(numbered(whole, path, "<number>")).replace('"<number>"', digits).encode()
                value, problem = parse(body)
                assert problem is None
                try:
                    identity = act.provider.identify(replace(request, body=body), act.source, value)
                    changes = act.provider.transform(identity, value, act.source).changes
                except PayloadUnexpected:
                    continue
                said = told(changes)
                kept += digits in said
                # Neighbours that it would be rounded to, as integers and as floats.
                assert said.isdisjoint({str(int(float(digits))), str(float(digits))}), path
    assert kept
