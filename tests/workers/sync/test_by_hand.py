"""What a person is told to enter in a provider's console follows from what the source asks of its senders."""

from typing import Any

import pytest

from shared.upstream_work import Kind
from tests.workers.sync.conftest import Rig
from tests.workers.sync.test_other_registrars import ARN, connect

AGREED: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    (
        "flipkart",
        {"verification": "hmac", "scheme": {"prefix": "sha256="}, "addresses": ["203.0.113.0/24"]},
        ["X-Flipkart-Signature has sha256=<signature>", "hex HMAC-SHA256 of {body}", "203.0.113.0/24 alone"],
        ["VAPT", "@flipkart.com", "signed to the letter", "sign the URL"],
    ),
    (
        "flipkart",
        {"url": "https://hooks.example/f", "appId": "app-7"},
        ["https://hooks.example/f,", "app-7"],
        ["61001"],
    ),
    ("amazon", {"topic_arns": [ARN], "signature_versions": ["2"]}, [ARN, "SignatureVersion 2"], []),
    ("amazon", {"topicArns": [ARN]}, [ARN, "raw message delivery off. "], ["SignatureVersion"]),
    ("selloship", {}, ["POST to http", "into the header X-Webhook-Token."], ["HMAC"]),
    ("selloship", {"scheme": {"header": "X-Api-Key"}}, ["into the header X-Api-Key."], ["X-Webhook-Token"]),
    (
        "selloship",
        {"verification": "hmac", "scheme": {"timestamp": {"header": "X-T"}, "template": "{ts}.{body}"}},
        ["X-Webhook-Signature", "of {ts}.{body}", "the header X-T, in seconds"],
        ["X-Webhook-Token"],
    ),
    ("selloship", {"verification": "path_token"}, ["goes into the URL", "/<secret>"], ["header", "very-secret"]),
    (
        "selloship",
        {"verification": "none_with_ip_allowlist", "addresses": ["203.0.113.7"]},
        ["where it comes from, 203.0.113.7."],
        ["secret", "header"],
    ),
    ("myntra", {}, ["POST or PUT to http", "paths of their own", "header access_token."], []),
    ("myntra", {"verification": "hmac"}, ["X-Myntra-Signature", "{method}\\n{url}\\n{body}"], ["access_token"]),
    ("manychat", {}, ["header Authorization behind 'Bearer '"], []),
    (
        "generic",
        {"preset": "stripe"},
        ["Stripe-Signature has t={ts},v1=<signature>", "{ts}.{body}; the key is the source's secret."],
        [],
    ),
    ("generic", {"preset": "svix"}, ["svix-id", "base64 HMAC-SHA256", "behind whsec_"], []),
    ("generic", {"preset": "hubspot-v1"}, ["hex SHA256 of {body}; before it stands the source's secret"], ["HMAC"]),
    ("generic", {"scheme": {"mode": "basic"}}, ["as Basic", "user:password"], ["X-Webhook-Signature"]),
]


@pytest.mark.parametrize(("provider", "own", "said", "unsaid"), AGREED)
def test_what_a_person_is_told_to_enter_is_what_the_source_asks_for(
    rig: Rig, provider: str, own: dict[str, Any], said: list[str], unsaid: list[str]
) -> None:
    connect(rig, provider, "A1", "very-secret", {}, own=own)
    assert rig.do(Kind.REGISTRATION)["state"] == "done"
    rows = rig.rows("SELECT * FROM registrations")
    assert rows
    for row in rows:
        assert [word for word in said if word not in row["note"]] == [], row["note"]
        assert [word for word in unsaid if word in row["note"]] == [], row["note"]
        assert "very-secret" not in row["note"]
