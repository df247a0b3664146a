"""Signatures that a sender makes with a private key and we check with its public one: `v1a` of Standard Webhooks.

Comes in: signatures, the signed bytes and keys as people paste them (`whpk_...`). Comes out: whether one fits. Pure;
nothing is left behind. A public key is never taken for an HMAC secret: everybody may know it.

Source: github.com/standard-webhooks, spec, read 2026-11: Ed25519, the raw key in base64 after `whpk_` (32 bytes) or
`whsk_` (the seed, alone or with the public key behind it).
"""

import base64
import binascii
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PUBLIC = b"whpk_"
PRIVATE = b"whsk_"
SIGNATURE_BYTES = 64
SEED_BYTES = 32
SIGNATURES_MAX = 10  # each one costs a verification for every key, and who sends them is not known yet


def public_keys(secrets: Sequence[bytes]) -> list[Ed25519PublicKey]:
    """The public keys among a source's secrets; malformed ones are left out, and fit nothing."""
    found = []
    for secret in secrets:
        raw = _raw(secret, PUBLIC) if secret.startswith(PUBLIC) else None
        if raw is not None and len(raw) == SEED_BYTES:
            found.append(Ed25519PublicKey.from_public_bytes(raw))
    return found


def any_verifies(signatures: Sequence[bytes], content: bytes, secrets: Sequence[bytes]) -> bool:
    """Whether one of the signatures was made over `content` with the private half of one of the public keys."""
    for key in public_keys(secrets):
        for signature in signatures[:SIGNATURES_MAX]:
            try:
                key.verify(signature, content)
            except InvalidSignature:
                continue
            return True
    return False


def sign(secret: bytes, content: bytes) -> bytes | None:
    """The signature under a private key `whsk_...`; `None` when it is none."""
    raw = _raw(secret, PRIVATE) if secret.startswith(PRIVATE) else None
    if raw is None or len(raw) not in (SEED_BYTES, 2 * SEED_BYTES):
        return None
    return Ed25519PrivateKey.from_private_bytes(raw[:SEED_BYTES]).sign(content)


def is_one(secret: bytes) -> bool:
    """Whether a secret is a key of this kind, public or private."""
    return secret.startswith((PUBLIC, PRIVATE))


def _raw(secret: bytes, prefix: bytes) -> bytes | None:
    text = secret.removeprefix(prefix)
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
