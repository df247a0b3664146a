"""What the log of refused requests tells of a header or a path, and what it never does."""

import pytest

from shared import refusals
from shared.providers.contract import Headers


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "Proxy-Authorization",
        "X_Authorization",
        "X-Auth",
        "X-Auth-Signature",
        "Cookie",
        "X-Api-Key",
        "ApiKey",
        "X-Access-Token",
        "X-Webhook-Secret",
        "X-Password",
        "X-Session-Id",
        "X-Credential",
    ],
)
def test_nothing_of_a_header_that_is_named_like_a_credential_is_logged(name):
    value = "topsecret-and-longer-than-any-signature-is"
    assert refusals.redact(Headers([(name, value)])) == {name.lower(): "[redacted]"}


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("X-Shopify-Hmac-Sha256", "B23tXN681gZ0qIWNRrgtzBE9XSDo5yaUu6wfmhu3a7g=", "B23tXN681gZ0…"),
        ("X-Hub-Signature", "sha1=e1590250b85c1ad2c0bd9a6d2d1e8a2a0a0a0a0a", "sha1=e159025…"),
        ("Webhook-Signature", "v1,short", "[redacted]"),
        ("X-Hmac", "a-password-of-27-characters", "[redacted]"),
        ("X-Long", "x" * 5000, "x" * 500),
        ("X-Shopify-Topic", "customers/create", "customers/create"),
    ],
)
def test_what_is_logged_of_a_signature_is_its_beginning_and_of_the_rest_what_helps(name, value, shown):
    assert refusals.redact(Headers([(name, value)])) == {name.lower(): shown}


def test_what_is_logged_of_a_path_names_its_query_and_tells_no_value():
    path = "/api/webhooks/x?hub.mode=subscribe&hub.verify_token=hush=hush&flag&empty="
    assert refusals.without_values(path) == "/api/webhooks/x?hub.mode=…&hub.verify_token=…&flag&empty="
    assert refusals.without_values("/api/webhooks/x") == "/api/webhooks/x"
