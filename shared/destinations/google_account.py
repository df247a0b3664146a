"""A Google service account: its key file, and the token that it is exchanged for.

Comes in: the key file's JSON, the token endpoint's answers. Comes out: a signed request for a token. The token is kept
in the conversation's memory for the hour that it lives; a process that dies asks for another.

Source: developers.google.com, "Using OAuth 2.0 for Server to Server Applications", read 2026-11.
"""

import base64
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from shared.destinations.contract import Outgoing
from shared.destinations.replies import USER_AGENT

TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105  # an address
SCOPE = "https://www.googleapis.com/auth/spreadsheets"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTED_SECONDS = 3_600  # the longest that Google takes
EARLY_SECONDS = 60  # before its end a token is no longer used


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """Who asks, and the key that proves it."""

    email: str
    key_id: str
    key: rsa.RSAPrivateKey
    token_url: str

    def remember(self, memory: MutableMapping[str, Any], answer: Mapping[str, Any], *, now: datetime) -> bool:
        """Keep the token of an answer; False if there is none."""
        token, seconds = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not token or not isinstance(seconds, int):
            return False
        memory["token"] = (token, now + timedelta(seconds=seconds))
        return True


@lru_cache(maxsize=256)
def account_of(credential: str) -> ServiceAccount:
    """The account of a key file.

    Raises:
        ValueError: it is none; `check_account` has said so when it was set.
    """
    document = orjson.loads(credential)
    if not isinstance(document, dict) or document.get("type") != "service_account":
        raise ValueError("not a service account's key file")
    try:
        key = serialization.load_pem_private_key(str(document["private_key"]).encode(), password=None)
        account = ServiceAccount(
            email=str(document["client_email"]),
            key_id=str(document.get("private_key_id", "")),
            key=key,  # type: ignore[arg-type]  # looked at below
            token_url=str(document.get("token_uri") or TOKEN_URL),
        )
    except (KeyError, TypeError, UnsupportedAlgorithm) as error:
        raise ValueError("not a service account's key file") from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("its private key is no RSA key")  # noqa: TRY004  # the value is at fault, as above
    return account


def check_account(credential: str) -> list[str]:
    """Problems with a key file."""
    try:
        account = account_of(credential)
    except ValueError:
        return ["The credential is the JSON key file of a Google service account."]
    return [] if urlsplit(account.token_url).scheme == "https" else ["token_uri must begin with https://."]


def token_of(memory: Mapping[str, Any], *, now: datetime) -> str | None:
    """The token that is remembered and still good for a while."""
    token: tuple[str, datetime] | None = memory.get("token")
    return None if token is None or now + timedelta(seconds=EARLY_SECONDS) >= token[1] else token[0]


def token_request(account: ServiceAccount, *, now: datetime) -> Outgoing:
    """The request that a token is the answer to."""
    issued_at = int(now.timestamp())
    head = {"alg": "RS256", "typ": "JWT", "kid": account.key_id}
    claims = {
        "iss": account.email,
        "scope": SCOPE,
        "aud": account.token_url,
        "iat": issued_at,
        "exp": issued_at + ASSERTED_SECONDS,
    }
    signed = b".".join(_base64(orjson.dumps(part)) for part in (head, claims))
    signature = account.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    assertion = b".".join((signed, _base64(signature))).decode()
    return Outgoing(
        method="POST",
        url=account.token_url,
        headers=(("Content-Type", "application/x-www-form-urlencoded"), ("User-Agent", USER_AGENT)),
        body=urlencode({"grant_type": GRANT, "assertion": assertion}).encode(),
        reply_bytes=65_536,
    )


def _base64(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")
