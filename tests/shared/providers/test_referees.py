"""Twilio's, Stripe's and Slack's own libraries believe what our presets sign, ours what theirs do, and no more."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest
import stripe._webhook
from hypothesis import assume, given
from hypothesis import strategies as st
from slack_sdk.signature import SignatureVerifier
from stripe import SignatureVerificationError, WebhookSignature
from twilio.request_validator import RequestValidator
from werkzeug.datastructures import MultiDict

from shared.providers.contract import Headers, Request
from tests.shared.providers.acting import NOW, OTHER, SECRET
from tests.shared.providers.test_presets import acting

FORM_TYPE = ("Content-Type", "application/x-www-form-urlencoded")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = st.sampled_from(["Body", "MessageSid", "Ämter", "a", "A"]) | TEXTS  # few, so that one comes more than once
FORMS = st.lists(st.tuples(NAMES, TEXTS), max_size=8)
SCHEMES = st.sampled_from(["https", "http"])
PORTS = st.sampled_from(["", ":80", ":443", ":8443"])
URLS = st.builds(
    "{}://hooks.example.com{}{}{}".format,
    SCHEMES,
    PORTS,
    st.sampled_from(["/in", "/in/", "/gr%C3%BC%C3%9Fe", "/grüße"]),
    st.sampled_from(["", "?desk=3", "?desk=3&to=%20b", "?to=ü"]),
)
SECONDS = int(NOW.timestamp())


# Twilio.

TWILIO = acting("twilio")
VALIDATOR = RequestValidator(SECRET.decode())


def posted(form: list[tuple[str, str]], url: str, signature: str) -> Request:
    headers = [FORM_TYPE, ("X-Twilio-Signature", signature)]
    return Request("POST", "/", Headers(headers), urlencode(form).encode(), url=url)


@given(form=FORMS, url=URLS)
def test_twilio_and_we_believe_each_other(form: list[tuple[str, str]], url: str) -> None:
    theirs = VALIDATOR.compute_signature(url, MultiDict(form))
    assert TWILIO.verify(posted(form, url, theirs)) is None
    sample = TWILIO.sample(topic="t", body=urlencode(form).encode(), url=url, content_type=FORM_TYPE[1])
    ours = dict(TWILIO.provider.sign(sample))["X-Twilio-Signature"]
    assert VALIDATOR.validate(url, MultiDict(form), ours)


@given(form=FORMS, other=FORMS, url=URLS, other_url=URLS)
def test_twilio_and_we_agree_on_what_else_a_signature_proves(
    form: list[tuple[str, str]], other: list[tuple[str, str]], url: str, other_url: str
) -> None:
    signature = VALIDATOR.compute_signature(url, MultiDict(form))
    for changed, where in ((other, url), (form, other_url), (form[1:], url), ([*form, *other], url)):
        genuine = VALIDATOR.validate(where, MultiDict(changed), signature)
        assert (TWILIO.verify(posted(changed, where, signature)) is None) == genuine
    assert TWILIO.verify(posted(form, url, signature), secrets=(OTHER,)) is not None
    assert not RequestValidator(OTHER.decode()).validate(url, MultiDict(form), signature)


@given(form=FORMS, scheme=SCHEMES, signed_port=PORTS, port=PORTS)
def test_twilio_and_we_agree_on_a_port_that_was_left_out_or_put_in(
    form: list[tuple[str, str]], scheme: str, signed_port: str, port: str
) -> None:
    signature = VALIDATOR.compute_signature(f"{scheme}://hooks.example.com{signed_port}/in?a=1", MultiDict(form))
    url = f"{scheme}://hooks.example.com{port}/in?a=1"
    genuine = VALIDATOR.validate(url, MultiDict(form), signature)
    assert (TWILIO.verify(posted(form, url, signature)) is None) == genuine


@given(body=st.text(st.characters(exclude_categories=["Cs"]), min_size=1), url=URLS)
def test_twilio_and_we_agree_on_a_body_that_is_no_form(body: str, url: str) -> None:
    where = f"{url}{'&' if '?' in url else '?'}bodySHA256={VALIDATOR.compute_hash(body)}"
    signature = VALIDATOR.compute_signature(where, {})
    headers = Headers([("Content-Type", "application/json"), ("X-Twilio-Signature", signature)])
    for sent, is_genuine in ((body, True), (body + " ", False)):
        assert VALIDATOR.validate(where, sent, signature) is is_genuine
        assert (TWILIO.verify(Request("POST", "/", headers, sent.encode(), url=where)) is None) is is_genuine


# Stripe and Slack.


def stripe_believes(body: bytes, header: str, secret: bytes = SECRET) -> bool:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stripe._webhook, "time", SimpleNamespace(time=NOW.timestamp))
        try:
            return bool(WebhookSignature.verify_header(body.decode(), header, secret.decode(), tolerance=300))
        except SignatureVerificationError:
            return False


def slack_believes(body: bytes, headers: dict[str, str], secret: bytes = SECRET) -> bool:
    clock: Any = SimpleNamespace(now=NOW.timestamp)
    return SignatureVerifier(secret.decode(), clock).is_valid_request(body, headers)


def believed(preset: str, body: bytes, headers: dict[str, str], secret: bytes = SECRET) -> bool:
    request = Request("POST", "/", Headers(list(headers.items())), body)
    return acting(preset).verify(request, secrets=(secret,)) is None


def signed(preset: str, body: bytes, seconds: int = SECONDS) -> dict[str, str]:
    """The headers of ours."""
    act = acting(preset)
    at = NOW + timedelta(seconds=seconds - SECONDS)
    return dict(act.provider.sign(act.sample(topic="t", body=body, now=at)))


def signed_by_stripe(body: bytes, seconds: int = SECONDS) -> dict[str, str]:
    return {"Stripe-Signature": WebhookSignature.generate_signature_header(body.decode(), SECRET.decode(), seconds)}


def signed_by_slack(body: bytes, seconds: int = SECONDS) -> dict[str, str]:
    made = SignatureVerifier(SECRET.decode()).generate_signature(timestamp=str(seconds), body=body)
    return {"X-Slack-Request-Timestamp": str(seconds), "X-Slack-Signature": str(made)}


@given(body=TEXTS.map(str.encode), other=TEXTS.map(str.encode), age=st.integers(-280, 320))
def test_stripe_and_we_believe_the_same(body: bytes, other: bytes, age: int) -> None:
    assume(body != other)
    seconds = SECONDS - age
    for headers in (signed("stripe", body, seconds), signed_by_stripe(body, seconds)):
        header = headers["Stripe-Signature"]
        assert stripe_believes(body, header) == believed("stripe", body, headers) == (age <= 300)
        later = {"Stripe-Signature": header.replace(f"t={seconds}", f"t={seconds + 1}")}
        for sent, changed, secret in ((other, headers, SECRET), (body, later, SECRET), (body, headers, OTHER)):
            assert not stripe_believes(sent, changed["Stripe-Signature"], secret)
            assert not believed("stripe", sent, changed, secret)


@given(body=TEXTS.map(str.encode), other=TEXTS.map(str.encode), age=st.integers(-320, 320))
def test_slack_and_we_believe_the_same(body: bytes, other: bytes, age: int) -> None:
    assume(body != other)
    seconds = SECONDS - age
    for headers in (signed("slack", body, seconds), signed_by_slack(body, seconds)):
        assert slack_believes(body, headers) == believed("slack", body, headers) == (abs(age) <= 300)
        later = headers | {"X-Slack-Request-Timestamp": str(seconds + 1)}
        for sent, changed, secret in ((other, headers, SECRET), (body, later, SECRET), (body, headers, OTHER)):
            assert not slack_believes(sent, changed, secret)
            assert not believed("slack", sent, changed, secret)
