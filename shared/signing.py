"""Signatures of what we send: Standard Webhooks v1, and the plain hex HMAC that the CRM guide's snippet checks.

Comes in: secrets and bytes. Comes out: header values. Pure; a process that dies in the middle leaves nothing.
"""

import base64
import binascii
import os
from collections.abc import Sequence
from functools import lru_cache

from shared import macs

PREFIX = "whsec_"
SECRET_BYTES = 32


def new_secret() -> str:
    """A fresh secret: `whsec_` and the base64 of 32 random bytes."""
    return PREFIX + base64.b64encode(os.urandom(SECRET_BYTES)).decode()


@lru_cache(maxsize=4096)
def key_of(secret: str) -> bytes:
    """The HMAC key of Standard Webhooks in `secret`: what the base64 after `whsec_` holds, padding optional.

    A secret that is not base64 (one that was brought from elsewhere) is its own key, as UTF-8.
    """
    text = secret.removeprefix(PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    return key or secret.encode()


def standard_signature(secret: str, *, message_id: str, timestamp: int, body: bytes) -> str:
    """One entry of `webhook-signature`.

    Source: standard-webhooks, spec/standard-webhooks.md, "Signature scheme", read 2026-11.
    """
    signed = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
    return "v1," + base64.b64encode(macs.digest(key_of(secret), signed)).decode()


def standard_signatures(secrets: Sequence[str], *, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`: an entry for each secret, so that a receiver may hold the old or the new."""
    return " ".join(
        standard_signature(secret, message_id=message_id, timestamp=timestamp, body=body) for secret in secrets
    )


def hex_signature(secret: str, body: bytes) -> str:
    """The value of `X-Webhook-Signature`: HMAC-SHA256 of the body alone, keyed with the whole secret's text."""
    return macs.digest(secret.encode(), body).hex()
