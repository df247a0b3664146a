"""Shopify's OAuth: where a browser is sent, what it comes back with, and the token that its code is good for.

Comes in: the query of the callback, unparsed. Comes out: a refusal in a code of ours, or the token. Only `exchange`
calls out, once; a process that dies in the middle of it may have used the code up, and the person begins again.

Source: shopify.dev, authorization code grant, read 2026-11.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, urlencode

import requests

from shared import valkey
from shared.circuits import CircuitOpen, guarded_call
from shared.clock import parse_epoch
from shared.errors import EgressRefused, Unacceptable
from shared.settings import Settings
from shared.shopify_grant import HEADERS, Grant, code_form, read_answer, read_grant, token_url
from shared.shopify_shop import url_of

TOLERANCE_SECONDS: Final = 600  # as long as the nonce lives; the clocks of the two sides may differ by less
EXCHANGE_SECONDS: Final = 10.0
EXCHANGE_BYTES: Final = 100_000
_UNSIGNED: Final = ("hmac", "signature")


@dataclass(frozen=True, slots=True)
class Token:
    """What a code was exchanged for."""

    grant: Grant
    scopes: tuple[str, ...]  # granted, which may be fewer than asked for

    def missing(self, wanted: Iterable[str]) -> list[str]:
        """The scopes of `wanted` that were not granted; writing implies reading."""
        held = {*self.scopes, *(scope.replace("write_", "read_", 1) for scope in self.scopes)}
        return sorted(set(wanted) - held)


def authorize_url(settings: Settings, shop: str, *, state: str, redirect_uri: str) -> str:
    """Where the shop's owner is asked to agree."""
    query = {
        "client_id": settings.shopify_client_id,
        "scope": settings.shopify_scopes,
        "redirect_uri": redirect_uri,
        "state": state,
    }
    return f"{url_of(settings, shop)}/admin/oauth/authorize?{urlencode(query)}"


def read_query(query_string: bytes) -> dict[str, str]:
    """The callback's parameters, each once; a list (`ids[]`) as Shopify signs it, `["2", "1"]`.

    Raises:
        Unacceptable: `query_malformed`: it is no text, or one parameter was sent twice.
    """
    try:
        pairs = parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=50)
    except ValueError as error:
        raise Unacceptable("query_malformed", "The query cannot be read.", status=400) from error
    found: dict[str, str] = {}
    lists: dict[str, list[str]] = {}
    for name, value in pairs:
        if name.endswith("[]"):
            lists.setdefault(name.removesuffix("[]"), []).append(value)
        elif name in found:
            raise Unacceptable("query_malformed", "A parameter was sent twice.", status=400)
        else:
            found[name] = value
    for name, values in lists.items():
        if name in found:
            raise Unacceptable("query_malformed", "A parameter was sent twice.", status=400)
        found[name] = json.dumps(values)
    return found


def signed_text(parameters: Mapping[str, str]) -> str:
    """What Shopify signs of the parameters: sorted, and `%`, `&` and, in names, `=` told from their own kind."""
    pairs = []
    for name, value in parameters.items():
        if name not in _UNSIGNED:
            safe_name = name.replace("%", "%25").replace("=", "%3D")
            pairs.append(f"{safe_name}={value.replace('%', '%25')}".replace("&", "%26"))
    return "&".join(sorted(pairs))


def check(parameters: Mapping[str, str], secrets: Sequence[bytes], *, now: datetime) -> None:
    """Refuse a callback that Shopify did not send just now; every secret of the app is tried.

    Raises:
        Unacceptable: `hmac_mismatch` or `callback_expired`.
    """
    given = parameters.get("hmac", "").encode()
    text = signed_text(parameters).encode()
    digests = [hmac.new(secret, text, hashlib.sha256).hexdigest().encode() for secret in secrets]
    # Each is compared, whichever it is.
    if not sum(hmac.compare_digest(given, digest) for digest in digests):
        raise Unacceptable("hmac_mismatch", "The query is not signed by the app's secret.", status=401)
    at = parse_epoch(parameters.get("timestamp"))
    if at is None or abs((now - at).total_seconds()) > TOLERANCE_SECONDS:
        raise Unacceptable("callback_expired", "The callback is too old.", status=401)


def exchange(settings: Settings, client: valkey.Client, shop: str, *, code: str, secret: bytes, now: datetime) -> Token:
    """The token that `code` is good for, once; none is asked for while Shopify's circuit is open.

    Raises:
        Unacceptable: `exchange_refused` (the code is used or the secret wrong), `exchange_failed` (no answer), or
            `circuit_open` (not asked).
    """
    try:
        reply = guarded_call(
            client,
            settings,
            "POST",
            token_url(settings, shop),
            what="shopify.exchange",
            headers=HEADERS,
            body=code_form(settings, code=code, secret=secret),
            timeout_seconds=EXCHANGE_SECONDS,
            max_bytes=EXCHANGE_BYTES,
        )
    except CircuitOpen as error:
        raise Unacceptable("circuit_open", "Shopify did not answer again and again.", status=503) from error
    except (requests.RequestException, EgressRefused) as error:
        raise Unacceptable("exchange_failed", "Shopify did not answer.", status=502) from error
    if HTTPStatus.BAD_REQUEST <= reply.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Unacceptable("exchange_refused", "Shopify did not accept the code.", status=502)
    answer = read_answer(reply.body)
    grant = read_grant(answer, now=now) if reply.status == HTTPStatus.OK else None
    if grant is None:
        raise Unacceptable("exchange_failed", "Shopify's answer had no token.", status=502)
    scope = answer.get("scope")
    return Token(grant, tuple(sorted(set(scope.split(","))) if isinstance(scope, str) and scope else ()))
