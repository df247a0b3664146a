"""The one HMAC of the house, on both sides: of what providers sign and of what we sign.

Comes in: a key and bytes. Comes out: the digest. Pure; nothing is left behind.
"""

import hmac
from typing import Literal

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC

Algorithm = Literal["sha256", "sha1", "sha512"]

# The standard library's gives the interpreter's lock away for every digest. For a short one among busy threads, getting
# it back takes ten times as long as the digest; for a long one it is the others who would wait.
_SHORT_BYTES = 65_536
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha1": hashes.SHA1(),  # noqa: S303  # some providers sign with it, and HMAC stands where the hash alone fell
    "sha512": hashes.SHA512(),
}


def digest(key: bytes, content: bytes, algorithm: Algorithm = "sha256") -> bytes:
    """The HMAC of `content`. Source: RFC 2104."""
    if len(content) > _SHORT_BYTES:
        return hmac.digest(key, content, algorithm)
    made = HMAC(key, _HASHES[algorithm])
    made.update(content)
    return made.finalize()
