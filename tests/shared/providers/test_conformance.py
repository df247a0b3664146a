"""What every provider must do; a line of the registry enrols it here."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import jsonschema
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import PayloadUnexpected
from shared.event_schemas import record_schema
from shared.providers import samples
from shared.providers.contract import Evidence, Headers, Refusal, Reply, Request
from shared.providers.leftovers import LEFT_OUT
from shared.providers.registry import PROVIDERS
from shared.record_changes import record_change
from shared.record_json import record_json
from shared.record_kinds import KINDS
from shared.record_shapes import shapes_of
from shared.users import user_json
from tests.shared.providers.acting import CASES, NOW, OTHER, SECRET, Actor, actor, is_timed, signature_header
from workers.inbound.guard import Row, apply

PAYLOADS = [(case, payload) for case in CASES for payload in samples.stored(CASES[case][0])]


BY_ARRIVAL = frozenset({"manychat"})  # whose bodies hold no time of what they say
UNDECLARED = frozenset({"product_id"})  # of Shopify's options, which are kept as they come
IN_HEADERS = [case for case in CASES if not actor(case).signs_inside]  # the others sign inside the body


@pytest.fixture(params=list(CASES))
def act(request: pytest.FixtureRequest) -> Actor:
    return actor(request.param)


@pytest.fixture(params=IN_HEADERS)
def by_header(request: pytest.FixtureRequest) -> Actor:
    return actor(request.param)


def test_every_provider_is_tried():
    assert {name for name, _ in CASES.values()} == set(PROVIDERS)


def test_its_settings_are_in_order(act):
    assert act.provider.check_settings(act.source.settings) == []


def test_an_unknown_setting_is_a_problem_or_there_are_none(act):
    problems = act.provider.check_settings({**act.source.settings, "tolerence": 3})
    assert any("tolerence" in problem for problem in problems)


def test_a_genuine_request_is_accepted(act):
    assert act.verify(act.request(act.sample())) is None


def test_k3_a_flipped_byte_is_refused_wherever_the_body_is_covered(act):
    sample = act.sample()
    request = act.request(sample)
    for place in (0, len(request.body) // 2, len(request.body) - 1):
        body = bytearray(request.body)
        body[place] ^= 1
        refusal = act.verify(replace(request, body=bytes(body)))
        if not act.covers_the_body:
            assert refusal is None
            continue
        assert refusal is not None
        # A signature inside a body that cannot be read is none.
        assert refusal.code == "signature_mismatch" or (act.signs_inside and refusal.code == "signature_malformed")
        assert refusal.status == 401


def test_k3_a_missing_signature_is_refused(act):
    sample = act.sample()
    request = act.request(sample)
    if act.signs_inside:
        body = {name: value for name, value in orjson.loads(request.body).items() if name != "Signature"}
        refusal = act.verify(replace(request, body=orjson.dumps(body)))
    else:
        name = signature_header(act, sample)
        headers = [pair for pair in act.provider.sign(sample) if pair[0] != name]
        refusal = act.verify(act.request(sample, headers))
    assert refusal is not None
    assert refusal.code == "signature_missing"


def test_k3_a_wrong_secret_is_refused(act):
    refusal = act.verify(act.request(act.sample(secret=OTHER)))
    assert refusal is not None
    assert refusal.code == "signature_mismatch"


def test_no_secret_at_all_fits_nothing(act):
    request = act.request(act.sample())
    assert act.verify(request, secrets=()) is not None
    assert act.verify(request, secrets=(b"",)) is not None


def test_k3_while_a_secret_is_rotated_both_are_accepted(act):
    for secret in (SECRET, OTHER):
        assert act.verify(act.request(act.sample(secret=secret)), secrets=(OTHER, SECRET)) is None


def test_a_stale_or_future_timestamp_is_refused_where_one_is_signed(act):
    sample = act.sample()
    request = act.request(sample)
    timed = is_timed(act, sample)
    for now, code in (
        (NOW + timedelta(hours=2), "timestamp_expired"),
        (NOW - timedelta(hours=1), "timestamp_in_future"),
    ):
        refusal = act.verify(request, now=now)
        assert (refusal.code if refusal else None) == (code if timed else None)


def test_a_repeated_signature_header_is_refused(by_header):
    sample = by_header.sample()
    pairs = by_header.provider.sign(sample)
    name = signature_header(by_header, sample)
    value = dict(pairs)[name]
    refusal = by_header.verify(by_header.request(sample, [*pairs, (name, value)]))
    assert refusal is not None
    assert refusal.code == "header_duplicated"


def test_a_repeated_signature_header_folded_by_wsgi_is_refused(by_header):
    sample = by_header.sample()
    name = signature_header(by_header, sample)
    pairs = [(key, f"{value},{value}" if key == name else value) for key, value in by_header.provider.sign(sample)]
    refusal = by_header.verify(by_header.request(sample, pairs))
    assert refusal is not None
    assert refusal.code in ("header_duplicated", "signature_malformed")


def test_two_spellings_of_the_signature_header_are_refused(by_header):
    sample = by_header.sample()
    pairs = by_header.provider.sign(sample)
    name = signature_header(by_header, sample)
    other = name.replace("-", "_") if "-" in name else name.replace("_", "-")
    refusal = by_header.verify(by_header.request(sample, [*pairs, (other, dict(pairs)[name])]))
    assert refusal is not None
    assert refusal.code == ("header_duplicated" if other == name else "header_ambiguous")


@given(data=st.data())
def test_any_signature_header_is_judged_and_never_raises(data):
    act = actor(data.draw(st.sampled_from(IN_HEADERS)))
    sample = act.sample()
    name = data.draw(st.sampled_from([name for name, _ in act.provider.sign(sample) if name != "Content-Type"]))
    value = data.draw(
        st.text(max_size=60) | st.sampled_from(["t=1", "t=,v1=", "v1,", "sha256=", "é", "t=1,v1=zz", "0"])
    )
    pairs = [(key, value if key == name else old) for key, old in act.provider.sign(sample)]
    refusal = act.verify(act.request(sample, pairs))
    if name == signature_header(act, sample):
        assert refusal is not None
        assert refusal.status == 401


@given(data=st.data())
def test_whatever_is_posted_by_who_has_no_secret_is_refused_and_never_raises(data):
    act = actor(data.draw(st.sampled_from(sorted(CASES))))
    genuine = act.request(act.sample())
    names = st.sampled_from([name for name, _ in genuine.headers.pairs()] or ["x"]) | st.text(max_size=12)
    values = st.text(max_size=40) | st.sampled_from(["t=1,v1=aa", "v1,AAAA", "sha256=00", "Basic eDp5", "Bearer x"])
    request = Request(
        method=data.draw(st.sampled_from(["POST", "PUT", "GET", "BREW"])),
        path=data.draw(
            st.sampled_from([genuine.path, "/", "/api/webhooks/x/storefront/v4/order//"]) | st.text(max_size=20)
        ),
        headers=Headers(data.draw(st.lists(st.tuples(names, values), max_size=6))),
        body=data.draw(st.sampled_from([genuine.body, b"", b"{}"]) | st.binary(max_size=60)),
        query=data.draw(st.dictionaries(st.sampled_from(["hub.mode", "hub.challenge", "a"]), values, max_size=3)),
        url=data.draw(st.sampled_from([genuine.url, ""]) | st.text(max_size=20)),
        remote_addr=data.draw(st.sampled_from(["", "127.0.0.1", "::1", "nowhere"])),
    )
    if not act.signs_inside or request.body != genuine.body:  # of these the body alone is the proof
        refusal = act.verify(request)
        assert refusal is not None
        assert refusal.status in (401, 403)
    assert isinstance(act.provider.route(request, act.source), str)
    if act.provider.challenge is not None:
        assert isinstance(act.provider.challenge(request, act.source, Evidence(NOW)), Reply | Refusal | None)
    if act.provider.decode is not None:
        with suppress(PayloadUnexpected):
            act.provider.decode(request, act.source)
    if act.provider.reply is not None:
        assert isinstance(act.provider.reply(request, act.source, "id"), Reply | None)


@given(body=st.binary(max_size=400))
def test_any_bytes_that_are_signed_are_accepted_and_only_under_their_secret(body):
    for case in CASES:
        act = actor(case)
        request = act.request(act.sample(body=body))
        refusal = act.verify(request)
        assert refusal is None if body or case != "shopify" else refusal is not None
        assert act.verify(request, secrets=(OTHER,)) is not None


def test_the_same_delivery_twice_has_the_same_key_and_another_one_has_not(act):
    one = act.understand(act.request(act.sample()))[0]
    # A retry may be signed anew, but is the same delivery.
    again = act.understand(act.request(act.sample(now=NOW + timedelta(minutes=5))))[0]
    other = act.understand(act.request(act.sample(number=8)))[0]
    assert one.key == again.key
    assert one.key != other.key


@pytest.mark.parametrize(("case", "payload"), PAYLOADS, ids=[f"{c}-{p.topic}-{p.variant}" for c, p in PAYLOADS])
def test_every_stored_payload_transforms(case, payload):
    act = actor(case)
    sample = act.sample(topic=payload.topic, body=payload.body)
    request = act.request(sample)
    assert act.verify(request) is None
    identity, outcome = act.understand(request)
    assert identity.topic == payload.topic
    assert outcome.ignored is None
    assert outcome.changes
    # Whatever comes out can be kept as JSON, its ids are text.
    for change in outcome.changes:
        assert isinstance(change.external_id, str)
        assert ((change.version or identity.occurred_at) is None) == (act.provider.name in BY_ARRIVAL)
        orjson.dumps(dict(change.fields))


@pytest.mark.parametrize(("case", "payload"), PAYLOADS, ids=[f"{c}-{p.topic}-{p.variant}" for c, p in PAYLOADS])
def test_what_a_stored_payload_tells_keeps_to_the_published_schema(case, payload):
    act = actor(case)
    identity, outcome = act.understand(act.request(act.sample(topic=payload.topic, body=payload.body)))
    rows: dict[tuple[str, str], Row] = {}
    for change in outcome.changes:
        if (kind := KINDS.get(change.kind)) is None:
            continue
        version = change.version or identity.occurred_at or NOW
        checked = record_change(
            change, account_id=UUID(int=1), provider=act.provider.name, tenant=identity.tenant, version=version
        )
        assert LEFT_OUT not in str(checked.fields)  # what is genuine never meets a limit
        place = (change.kind, change.external_id)
        after = apply(rows.get(place), checked, now=NOW).after
        if after is None:
            assert change.op == "adjust"  # of what is not there
            continue
        rows[place] = after
        shown = user_json(after) if change.kind == "user" else record_json(kind, after)
        jsonschema.validate(orjson.loads(orjson.dumps(shown)), record_schema(kind))
        for name, shape in shapes_of(kind.name).items():
            held = shown[kind.json_names[name]]
            for one in held if isinstance(held, list) else [held] if held else []:
                assert set(one) - UNDECLARED == set(shape.keys), name  # no provider has keys of its own


@pytest.mark.parametrize("name", PROVIDERS)
def test_who_does_not_identify_by_the_body_needs_none(name):
    act = actor(name)
    if not act.provider.identifies_by_body:
        assert act.provider.decode is None
        request = act.request(act.sample())
        assert act.provider.identify(request, act.source, None) == act.understand(request)[0]


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_topic_has_a_stored_payload_and_a_sample(name):
    known = set(PROVIDERS[name].topics) | set(samples.topics(name))
    assert {payload.topic for payload in samples.stored(name)} == known == set(samples.topics(name))


@pytest.mark.parametrize("name", PROVIDERS)
def test_samples_vary_with_the_number_and_are_the_same_each_time(name):
    act = actor(name)
    for topic in samples.topics(name):
        bodies = [samples.make(name, topic, number=number, at=NOW) for number in range(12)]
        assert len(set(bodies)) == len(bodies)
        assert bodies == [samples.make(name, topic, number=number, at=NOW) for number in range(12)]
        for body in bodies:
            assert act.understand(act.request(act.sample(topic=topic, body=body)))[1].changes


def test_a_topic_nobody_handles_is_ignored_and_not_an_error(act):
    sample = act.sample(number=3)
    body = orjson.loads(sample.body)
    body |= {"event": "invoice.paid", "type": "invoice.paid"}
    body |= {name: "invoice.paid" for name in ("NotificationType", "eventType", "object") if name in body}
    changed = replace(sample, topic="invoice/paid", body=orjson.dumps(body))
    identity, outcome = act.understand(act.request(changed))
    assert identity.topic not in act.provider.topics
    assert outcome.ignored
    assert not outcome.changes


# Damage: a payload with one place of it cut, or of another kind.

WRONG: list[Any] = [None, True, -1, 2**70, 1.5, "", "x" * 50, "\x00", "\ud800", [], [[]], {}, {"a": None}, [None]]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in items for place in places(item, (*path, key)))]


def damaged(value: Any, path: tuple[Any, ...], wrong: Any, *, cut: bool) -> Any:
    if not path:
        return wrong
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1 and cut:
        del copy[path[0]]
    else:
        copy[path[0]] = damaged(copy[path[0]], path[1:], wrong, cut=cut)
    return copy


@given(data=st.data())
def test_a_damaged_payload_is_understood_or_unexpected_and_nothing_else(data):
    case, payload = data.draw(st.sampled_from(PAYLOADS))
    act = actor(case)
    whole = orjson.loads(payload.body)
    path = data.draw(st.sampled_from(places(whole)))
    broken = damaged(whole, path, data.draw(st.sampled_from(WRONG)), cut=data.draw(st.booleans()))
    request = act.request(act.sample(topic=payload.topic, body=payload.body))
    try:
        identity = act.provider.identify(request, act.source, broken)
        outcome = act.provider.transform(identity, broken, act.source)
    except PayloadUnexpected:
        return
    assert outcome.changes or outcome.ignored


@given(value=st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists) | st.none())
def test_any_json_is_understood_or_unexpected_and_nothing_else(value):
    for case in CASES:
        act = actor(case)
        for topic in samples.topics(act.provider.name):
            request = act.request(act.sample(topic=topic))
            identity = act.understand(request)[0]
            with pytest.raises(PayloadUnexpected):
                act.provider.transform(identity, value, act.source)
            try:
                act.provider.identify(request, act.source, value)
            except PayloadUnexpected:
                continue


def test_a_body_that_nests_without_end_is_unexpected():
    deep: Any = "end"
    for _ in range(900):
        deep = {"a": deep}
    act = actor("shopify")
    body = orjson.loads(act.sample().body)
    identity = act.understand(act.request(act.sample()))[0]
    with pytest.raises(PayloadUnexpected, match="nests deeper"):
        act.provider.transform(identity, {**body, "metafields": deep}, act.source)


def test_routing_reads_headers_only(act):
    request = act.request(act.sample())
    assert act.provider.route(replace(request, body=b"{"), act.source) == act.provider.route(request, act.source)
    assert act.provider.route(Request("POST", "/", Headers(), b""), act.source) == ""
