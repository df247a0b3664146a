import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from shared.signing import hex_signature, key_of, new_secret, standard_signature, standard_signatures

ids = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=40)


def headers(message_id: str, timestamp: int, signature: str) -> dict[str, str]:
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": signature}


@given(st.text(), ids)
def test_the_reference_verifier_accepts_what_we_sign_and_nothing_else(body: str, message_id: str):
    secret, raw = new_secret(), body.encode("utf-8", "replace")
    now = int(datetime.now(UTC).timestamp())
    signature = standard_signature(secret, message_id=message_id, timestamp=now, body=raw)

    payload = b'{"body": "' + base64.b64encode(raw) + b'"}'
    signed = standard_signature(secret, message_id=message_id, timestamp=now, body=payload)
    assert Webhook(secret).verify(payload, headers(message_id, now, signed))
    for wrong in (
        headers(message_id + "x", now, signed),
        headers(message_id, now - 1, signed),
        headers(message_id, now, signed[:-4] + ("AAA=" if not signed.endswith("AAA=") else "BBB=")),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(payload, wrong)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(payload, headers(message_id, now, signed))
    assert signature.startswith("v1,")


@given(st.binary(max_size=2000), ids, st.integers(0, 2**40))
def test_a_signature_covers_id_time_and_every_byte(body: bytes, message_id: str, timestamp: int):
    secret = new_secret()
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()

    assert standard_signature(secret, message_id=message_id, timestamp=timestamp, body=body) == (
        "v1," + base64.b64encode(expected).decode()
    )


@given(st.binary(max_size=2000))
def test_the_plain_header_is_the_hex_hmac_of_the_body_with_the_whole_secret(body: bytes):
    secret = new_secret()
    assert hex_signature(secret, body) == hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def test_k16_either_secret_verifies_during_a_rotation():
    old, new = new_secret(), new_secret()
    now = int(datetime.now(UTC).timestamp())
    value = standard_signatures([new, old], message_id="e1", timestamp=now, body=b"{}")
    for secret in (old, new):
        assert Webhook(secret).verify(b"{}", headers("e1", now, value)) == {}


def test_secrets_are_fresh_and_of_32_bytes():
    made = {new_secret() for _ in range(50)}
    assert len(made) == 50
    assert {len(key_of(secret)) for secret in made} == {32}


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        ("whsec_YWJj", b"abc"),
        ("YWJj", b"abc"),
        ("whsec_YWI", b"ab"),  # padding left out
        ("not base64!", b"not base64!"),
        ("whsec_", b"whsec_"),
    ],
)
def test_a_secret_from_elsewhere_has_a_key_all_the_same(secret: str, key: bytes):
    assert key_of(secret) == key
