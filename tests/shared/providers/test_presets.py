"""What is particular to each preset; the official libraries are referees where there are any."""

import base64
import hashlib
import hmac
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
import standardwebhooks.webhooks
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from svix.webhooks import Webhook as SvixWebhook

from shared.errors import PayloadUnexpected
from shared.providers.contract import Headers, Refusal, Request, Source
from tests.shared.providers.acting import NOW, OTHER, SECRET, Actor, actor

URL = "https://hooks.example.com/api/webhooks/phone?desk=3"
FORM = {
    "MessageSid": "SM77",
    "MessageStatus": "delivered",
    "Body": "Grüße & 10% + mehr",
    "AccountSid": "AC5",
    "Note": "",
}
IDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789_", min_size=1, max_size=30)


def acting(preset: str, **settings: Any) -> Actor:
    source = Source("source", "generic", (SECRET,), {"preset": preset, **settings})
    return replace(actor("generic"), source=source)


def code(refusal: Refusal | None) -> str | None:
    return refusal.code if refusal else None


# Standard Webhooks and Svix.


class Stopped(datetime):
    """A clock for the referees."""

    @classmethod
    def now(cls, tz: Any = None) -> "Stopped":
        del tz
        return cls(NOW.year, NOW.month, NOW.day, NOW.hour, NOW.minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("preset", "referee"), [("standard-webhooks", standardwebhooks.webhooks.Webhook), ("svix", SvixWebhook)]
)
@given(body=st.text(max_size=200), delivery_id=IDS)
def test_the_official_libraries_accept_what_we_sign_and_we_what_they_sign(preset, referee, body, delivery_id):
    act = acting(preset)
    sample = act.sample(topic="t", body=body.encode("utf-8", "replace"), delivery_id=delivery_id)
    headers = dict(act.provider.sign(sample))
    text = sample.body.decode()
    library = referee(SECRET.decode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(standardwebhooks.webhooks, "datetime", Stopped)
        # Theirs takes the body for JSON unless told not to; svix's always does not.
        options = {} if preset == "svix" else {"json_parse": False}
        library.verify(text, headers, **options)
    name = "svix-signature" if preset == "svix" else "webhook-signature"
    theirs = headers | {name: library.sign(delivery_id, NOW.replace(tzinfo=None), text)}
    assert act.verify(act.request(sample, list(theirs.items()))) is None


def keys() -> tuple[Ed25519PrivateKey, bytes]:
    private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"only for tests").digest())
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return private, b"whpk_" + base64.b64encode(public)


def test_v1a_is_verified_with_the_public_key_alone():
    private, public = keys()
    act = acting("standard-webhooks")
    body = b'{"type":"contact.updated"}'
    stamp = str(int(NOW.timestamp()))
    signature = base64.b64encode(private.sign(b"msg_1." + stamp.encode() + b"." + body)).decode()
    headers = [("webhook-id", "msg_1"), ("webhook-timestamp", stamp), ("webhook-signature", f"v1,AAAA v1a,{signature}")]
    request = Request("POST", "/", Headers(headers), body)
    assert act.verify(request, secrets=(public,)) is None
    assert act.verify(request, secrets=(SECRET, public)) is None  # while a sender moves from v1 to v1a
    assert act.verify(request, secrets=(public.rstrip(b"="),)) is None
    assert code(act.verify(request, secrets=(SECRET,))) == "signature_mismatch"
    assert code(act.verify(replace(request, body=body + b" "), secrets=(public,))) == "signature_mismatch"
    late = act.verify(request, secrets=(public,), now=NOW + timedelta(minutes=6))
    assert code(late) == "timestamp_expired"


def test_what_we_sign_with_a_private_key_verifies_with_its_public_one():
    private, public = keys()
    seed = private.private_bytes_raw()
    for raw in (seed, seed + private.public_key().public_bytes_raw()):
        for preset in ("standard-webhooks", "svix"):
            act = acting(preset)
            request = act.request(act.sample(topic="t", body=b"{}", secret=b"whsk_" + base64.b64encode(raw)))
            assert act.verify(request, secrets=(public,)) is None
            assert act.verify(request, secrets=(SECRET,)) is not None


def test_a_public_key_is_no_hmac_secret_since_everybody_may_know_it():
    _, public = keys()
    raw = base64.b64decode(public.removeprefix(b"whpk_"))
    act = acting("standard-webhooks")
    stamp = str(int(NOW.timestamp()))
    for key in (public, raw, public.removeprefix(b"whpk_")):
        digest = hmac.digest(key, f"msg_1.{stamp}.{{}}".encode(), "sha256")
        for version in ("v1", "v1a"):
            value = f"{version},{base64.b64encode(digest).decode()}"
            headers = [("webhook-id", "msg_1"), ("webhook-timestamp", stamp), ("webhook-signature", value)]
            assert act.verify(Request("POST", "/", Headers(headers), b"{}"), secrets=(public,)) is not None


@given(key=st.binary(max_size=80), value=st.binary(max_size=100))
def test_malformed_keys_and_signatures_fit_nothing_and_raise_nothing(key, value):
    act = acting("standard-webhooks")
    entry = f"v1a,{base64.b64encode(value).decode()}"
    headers = [("webhook-id", "m"), ("webhook-timestamp", str(int(NOW.timestamp()))), ("webhook-signature", entry)]
    for secret in (b"whpk_" + key, b"whpk_" + base64.b64encode(key), keys()[1]):
        assert act.verify(Request("POST", "/", Headers(headers), b"{}"), secrets=(secret,)) is not None


# HubSpot.


def hubspot(url: str, body: bytes = b"[]", *, signed_url: str | None = None) -> Request:
    stamp = str(int(NOW.timestamp() * 1000))
    content = b"POST" + (signed_url or url).encode() + body + stamp.encode()
    digest = base64.b64encode(hmac.digest(SECRET, content, "sha256")).decode()
    headers = [("X-HubSpot-Signature-v3", digest), ("X-HubSpot-Request-Timestamp", stamp)]
    return Request("POST", "/", Headers(headers), body, url=url)


@pytest.mark.parametrize(
    ("sent", "signed"),
    [
        ("?a=1%2C2%3b%40", "?a=1,2;@"),
        ("?to=%3A%2F%3F%21%24%27%28%29%2A", "?to=:/?!$'()*"),
        ("?kept=%20%26%25%3D%C3%BC", "?kept=%20%26%25%3D%C3%BC"),
        ("?half=%252C", "?half=%252C"),
        ("#part", ""),
    ],
)
def test_hubspot_signs_its_url_with_some_signs_written_plainly(sent, signed):
    url = "https://hooks.example.com/api/webhooks/hubspot"
    act = acting("hubspot")
    assert act.verify(hubspot(url + sent, signed_url=url + signed)) is None
    assert code(act.verify(hubspot(url + sent, signed_url=url + signed + "x"))) == "signature_mismatch"


def test_hubspots_batch_is_one_message_whose_attempts_are_repeats():
    act = acting("hubspot")
    event = {"eventId": 9, "subscriptionId": 4, "portalId": 620, "subscriptionType": "contact.creation"}
    event |= {"occurredAt": 1_764_064_800_123, "attemptNumber": 0, "objectId": 2**60}
    request = hubspot(URL, orjson.dumps([event]))
    identity, outcome = act.understand(request)
    assert (identity.topic, identity.tenant) == ("contact.creation", "620")
    assert identity.occurred_at == datetime(2025, 11, 25, 10, 0, 0, 123_000, tzinfo=UTC)
    assert outcome.ignored
    again = act.understand(hubspot(URL, orjson.dumps([event | {"attemptNumber": 1}])))[0]
    other = act.understand(hubspot(URL, orjson.dumps([event | {"eventId": 10}])))[0]
    assert again.key == identity.key != other.key
    # An eventId is not certain to be of one event only: another contact's, or another time's, is another event.
    for apart in ({"objectId": 2**60 + 1}, {"occurredAt": 1_764_064_800_124}, {"portalId": 621}):
        assert act.understand(hubspot(URL, orjson.dumps([event | apart])))[0].key != identity.key
    many = act.understand(hubspot(URL, orjson.dumps([event | {"eventId": number} for number in range(100)])))[0]
    assert many.delivery_id is None  # a hundred ids are no name for a delivery
    assert many.key != identity.key


@pytest.mark.parametrize("preset", ["hubspot-v1", "hubspot-v2"])
def test_hubspots_older_digests_are_for_those_who_choose_them(preset):
    request = acting(preset).request(acting(preset).sample(topic="t", body=b"[]"))
    assert acting(preset).verify(request) is None
    assert code(acting("hubspot").verify(request)) == "signature_missing"


# Twilio.


def twilio(
    form: list[tuple[str, str]] | None = None,
    *,
    url: str = URL,
    signed_url: str | None = None,
    body: bytes | None = None,
) -> Request:
    pairs = list(FORM.items()) if form is None else form
    content = (signed_url or url) + "".join(name + value for name, value in sorted(set(pairs)))
    digest = base64.b64encode(hmac.digest(SECRET, content.encode(), "sha1")).decode()
    headers = [("X-Twilio-Signature", digest), ("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")]
    return Request("POST", "/", Headers(headers), urlencode(pairs).encode() if body is None else body, url=url)


@given(st.lists(st.tuples(IDS, st.text(st.characters(exclude_categories=["Cs"]), max_size=20)), max_size=12))
def test_twilios_form_is_signed_sorted_and_decoded(form):
    assert acting("twilio").verify(twilio(form)) is None


def test_twilios_signature_holds_for_this_form_at_this_url_alone():
    act = acting("twilio")
    request = twilio()
    assert act.verify(request) is None
    for broken in (
        replace(request, url=URL + "1"),
        replace(request, body=request.body.replace(b"SM77", b"SM78")),
        replace(request, body=request.body + b"&More=1"),
        replace(request, body=b""),
    ):
        assert code(act.verify(broken)) == "signature_mismatch"
    assert code(act.verify(request, secrets=(OTHER,))) == "signature_mismatch"


@pytest.mark.parametrize(
    ("url", "signed"),
    [
        ("https://hooks.example.com/x", "https://hooks.example.com:443/x"),
        ("https://hooks.example.com:8443/x", "https://hooks.example.com/x"),
        ("http://hooks.example.com/x", "http://hooks.example.com:80/x"),
    ],
)
def test_twilio_may_sign_its_url_with_or_without_the_port(url, signed):
    assert acting("twilio").verify(twilio(url=url, signed_url=signed)) is None


def test_a_body_that_is_no_form_needs_its_digest_in_the_signed_url():
    act = acting("twilio")
    body = b'{"status":"done"}'
    digest = hashlib.sha256(body).hexdigest()

    def signed(url: str) -> Request:
        made = twilio([], url=url, body=body)
        headers = [
            (name, "application/json" if name == "content-type" else value) for name, value in made.headers.pairs()
        ]
        return replace(made, headers=Headers(headers))

    whole = signed(f"{URL}&bodySHA256={digest}")
    assert act.verify(whole) is None
    assert code(act.verify(replace(whole, body=body + b" "))) == "signature_mismatch"
    assert code(act.verify(signed(URL))) == "signature_missing"
    # Called a form, it would be signed by no field of its own.
    as_form = [("X-Twilio-Signature", whole.headers.get("x-twilio-signature") or "")]
    as_form.append(("Content-Type", "application/x-www-form-urlencoded"))
    assert code(act.verify(replace(whole, headers=Headers(as_form), body=b"A=1"))) == "signature_mismatch"


def test_a_form_that_is_none_is_refused():
    assert code(acting("twilio").verify(twilio([], body=b"a=%ff"))) == "signature_malformed"
    assert code(acting("twilio").verify(twilio([], body=b"&" * 3000 + "é".encode()))) == "signature_malformed"


@pytest.mark.parametrize(
    ("form", "topic"),
    [
        ({"MessageStatus": "delivered"}, "message.delivered"),
        ({"SmsStatus": "received", "Body": "hello"}, "message.received"),
        ({"CallStatus": "completed"}, "call.completed"),
        ({"Else": "1"}, "message"),
    ],
)
def test_twilios_form_says_what_it_is(form, topic):
    act = acting("twilio")
    request = twilio([*form.items(), ("AccountSid", "AC5")])
    payload = act.provider.decode(request, act.source) if act.provider.decode else None
    identity = act.provider.identify(request, act.source, payload)
    assert (identity.topic, identity.tenant) == (topic, "AC5")


def test_a_repeat_of_twilios_is_known_and_its_next_status_is_none():
    act = acting("twilio")

    def key(status: str) -> bytes:
        request = twilio([("MessageSid", "SM1"), ("MessageStatus", status)])
        payload = act.provider.decode(request, act.source) if act.provider.decode else None
        return act.provider.identify(request, act.source, payload).key

    assert key("sent") == key("sent") != key("delivered")


def test_githubs_form_is_read_as_the_json_in_it():
    act = acting("github")
    assert act.provider.decode is not None
    headers = Headers([("Content-Type", "application/x-www-form-urlencoded")])
    request = Request("POST", "/", headers, urlencode({"payload": '{"zen":"ü"}'}).encode())
    assert act.provider.decode(request, act.source) == {"zen": "ü"}
    assert act.provider.decode(replace(request, headers=Headers()), act.source) is None
    nothing = replace(request, body=b'{"payload": 1}')  # a client that calls a form whatever it posts
    assert act.provider.decode(nothing, act.source) is None


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ([("payload", "{")], "the form's payload is not JSON: "),
        ([("payload", '{"a": 1, "a": 2}')], 'the form\'s payload names "a" twice'),
        ([("payload", '{"a": {"b": "\\ud800"}}')], "the form's payload holds a lone surrogate at a.b"),
        ([("payload", "{}"), ("payload", "[]")], 'the form has several fields "payload"'),
        ([("Body", "a\x00b")], "the form holds a NUL character at Body"),
        ([("a\x00", "b")], "the form holds a NUL character at a\ufffd"),
    ],
)
def test_a_form_that_cannot_be_kept_or_read_says_why(form, reason):
    act = acting("github")
    assert act.provider.decode is not None
    headers = Headers([("Content-Type", "application/x-www-form-urlencoded")])
    with pytest.raises(PayloadUnexpected, match=re.escape(reason)):
        act.provider.decode(Request("POST", "/", headers, urlencode(form).encode()), act.source)


def test_a_field_that_stands_twice_in_a_form_keeps_all_its_values():
    act = acting("twilio")
    assert act.provider.decode is not None
    request = twilio([("Tag", "b"), ("Tag", "a"), ("Tag", "b"), ("Body", "x")])
    assert act.verify(request) is None
    assert act.provider.decode(request, act.source) == {"Tag": ["a", "b"], "Body": "x"}
    request = replace(request, body=urlencode({"payload": '{"id": 18446744073709551617}'}).encode())
    assert act.provider.decode(request, act.source) == {"id": "18446744073709551617"}
