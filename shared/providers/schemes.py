"""Signature schemes as settings: what is signed, how, and in which header.

Comes in: a scheme, a request and the secrets. Comes out: a refusal or none. Pure; nothing is left behind.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from pydantic.alias_generators import to_snake

from shared import macs, signatures
from shared.clock import to_json
from shared.providers import form_body, networks, public_keys
from shared.providers.contract import JSON, Headers, Refusal, Request, Sample
from shared.providers.options import Options
from shared.providers.presets import SCHEMES as PRESETS

_TOKEN = re.compile(r"\{(body|form|ts|id|method|url|url:decoded|header:[A-Za-z0-9_-]+)\}")
# What HubSpot writes plainly in a query before it signs it, however it was sent.
# Source: developers.hubspot.com, webhooks/validating-requests, read 2026-11.
_DECODED = {f"%{ord(sign):02X}": sign for sign in ":/?@!$'()*,;"}
_ESCAPE = re.compile("|".join(_DECODED), re.IGNORECASE)
TOLERANCE_MAX_SECONDS = 86_400 * 7
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class Elements(Options):
    """The names within a header of the form `t=1,v1=ab`."""

    timestamp: str = ""
    signatures: tuple[str, ...] = Field(min_length=1)


class Timestamp(Options):
    """Where the signed time is, and how far it may be off. Neither header nor element: there is none."""

    header: str = ""
    unit: signatures.Unit = "s"
    tolerance_seconds: float = Field(300, gt=0, le=TOLERANCE_MAX_SECONDS)
    future_seconds: float = Field(300, ge=0, le=TOLERANCE_MAX_SECONDS)


class Scheme(Options):
    """One way to prove where a request comes from."""

    # digest: of the secret and the template. path_token: the secret is the part of the URL behind the source's path.
    mode: Literal["hmac", "digest", "static_header", "basic", "path_token", "none_with_ip_allowlist"] = "hmac"
    addresses: networks.Networks = ()
    algorithm: macs.Algorithm = "sha256"
    encoding: signatures.Encoding = "hex"
    header: str = Field("X-Webhook-Signature", min_length=1)
    prefix: str = ""
    public_key_prefix: str = ""  # entries of the list that begin so are Ed25519 signatures, for keys whpk_
    elements: Elements | None = None
    list_separator: Literal["", " ", ","] = ""
    id_header: str = ""
    timestamp: Timestamp | None = None
    template: str = "{body}"
    key_encoding: Literal["utf8", "hex", "base64", "whsec"] = "utf8"

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        tokens = _TOKEN.findall(self.template)
        element = self.elements.timestamp if self.elements else ""
        if self.mode == "none_with_ip_allowlist" and not self.addresses:
            raise ValueError("addresses: needed, for where it comes from is all that is proved")
        if self.mode in ("hmac", "digest"):
            if "body" not in tokens and not {"form", "url"} <= set(tokens):
                raise ValueError("template: {body}, or {url} and {form}, must be in it, or the body is not protected")
            if ("ts" in tokens) != (self.timestamp is not None):
                raise ValueError("template and timestamp go together: {ts} is signed when there is a timestamp")
            if self.timestamp is not None and bool(self.timestamp.header) == bool(element):
                raise ValueError("timestamp: either its header or elements.timestamp is needed")
            if "id" in tokens and not self.id_header:
                raise ValueError("id_header: needed where the template has {id}")
            if self.elements is not None and (self.prefix or self.list_separator):
                raise ValueError("elements stand instead of prefix and list_separator")
            if self.public_key_prefix and not self.list_separator:
                raise ValueError("public_key_prefix: only the entries of a list have it")
        return self

    @property
    def signed_headers(self) -> frozenset[str]:
        """The lower-case names of headers that the signature covers."""
        tokens = _TOKEN.findall(self.template)
        names = {token.removeprefix("header:").lower() for token in tokens if token.startswith("header:")}
        return frozenset(names | ({self.id_header.lower()} if "id" in tokens else set()))


def layered(preset: str, own: Mapping[str, JSON]) -> dict[str, JSON]:
    """The preset's scheme with a source's own words on top, one level deep."""
    return merged(PRESETS[preset], own)


def merged(known: Mapping[str, JSON], own: Mapping[str, JSON]) -> dict[str, JSON]:
    """A scheme with a source's own words on top, one level deep."""
    scheme = dict(known)
    for name, value in own.items():
        below = scheme.get(to_snake(name))
        if isinstance(below, dict) and isinstance(value, dict):
            value = {**below, **{to_snake(key): item for key, item in value.items()}}  # noqa: PLW2901
        scheme[to_snake(name)] = value
    return scheme


def verify(scheme: Scheme, request: Request, secrets: Sequence[bytes], *, now: datetime) -> Refusal | None:
    """Passes a request that the scheme proves genuine under one of the secrets."""
    if refusal := networks.check(request, scheme.addresses):
        return refusal
    if scheme.mode == "none_with_ip_allowlist":
        return None
    if scheme.mode == "path_token":
        return _check_path(request, secrets)
    value = signatures.sole(request.headers, "Authorization" if scheme.mode == "basic" else scheme.header)
    if isinstance(value, Refusal):
        return value
    if value is None:
        return Refusal("signature_missing", f"{scheme.header} is missing.")
    if scheme.mode == "static_header":
        return signatures.check_token(value.removeprefix(scheme.prefix).strip(), secrets)
    if scheme.mode == "basic":
        return _check_basic(value, secrets)
    return _check_hmac(scheme, value, request, secrets, now)


def _check_path(request: Request, secrets: Sequence[bytes]) -> Refusal | None:
    token = request.beneath.partition("/")[2].partition("/")[0]
    if not token:
        return Refusal("signature_missing", "The token is missing from the path.")
    given = in_a_path(token.encode("utf-8", "surrogateescape"))
    return signatures.check_token(given.decode("utf-8", "surrogateescape"), [in_a_path(secret) for secret in secrets])


def in_a_path(secret: bytes) -> bytes:
    """A secret as it is spelled in a URL: what base64 has and a path has not is written as in base64url."""
    return secret.translate(_URL_SAFE).rstrip(b"=")


def _check_basic(value: str, secrets: Sequence[bytes]) -> Refusal | None:
    """The secret is the whole `user:password`."""
    kind, _, rest = value.partition(" ")
    pair = signatures.decode(rest.strip(), "base64") if kind.lower() == "basic" else None
    if pair is None:
        return Refusal("signature_malformed", "Authorization is not Basic.")
    return signatures.check_token(pair.decode("utf-8", "surrogateescape"), secrets)


def _check_hmac(
    scheme: Scheme, value: str, request: Request, secrets: Sequence[bytes], now: datetime
) -> Refusal | None:
    found = _given(scheme, value)
    if isinstance(found, Refusal):
        return found
    stamp = found.stamp
    if scheme.timestamp is not None and scheme.timestamp.header:
        outer = signatures.sole(request.headers, scheme.timestamp.header)
        if isinstance(outer, Refusal):
            return outer
        stamp = outer
    if scheme.timestamp is not None and not stamp:
        return Refusal("timestamp_missing", "The signed timestamp is missing.")
    delivery_id = signatures.sole(request.headers, scheme.id_header) if scheme.id_header else None
    if isinstance(delivery_id, Refusal):
        return delivery_id
    # With a dot in the id, "id.ts.body" could be cut in two ways.
    if "{id}" in scheme.template and (not delivery_id or "." in delivery_id):
        return Refusal("signature_malformed", f"{scheme.id_header} is missing or malformed.")
    contents = _contents(scheme, request, stamp=stamp or "", delivery_id=delivery_id or "")
    if isinstance(contents, Refusal):
        return contents
    if not _fits(scheme, found, contents, secrets):
        return Refusal("signature_mismatch", "The signature does not match the body.")
    if scheme.timestamp is None:
        return None
    return signatures.check_time(
        stamp,
        scheme.timestamp.unit,
        now=now,
        tolerance_seconds=scheme.timestamp.tolerance_seconds,
        future_seconds=scheme.timestamp.future_seconds,
    )


@dataclass(frozen=True, slots=True)
class _Given:
    """What a signature header holds; malformed entries are left out."""

    digests: list[bytes]
    by_private_key: list[bytes]
    stamp: str | None


def _given(scheme: Scheme, value: str) -> _Given | Refusal:
    """The signatures and the timestamp in the signature header; one signature must be there."""
    stamp, private = None, []
    if scheme.elements is not None:
        pairs = signatures.elements(value)
        texts = [item for key, item in pairs if key in scheme.elements.signatures]
        times = [item for key, item in pairs if scheme.elements.timestamp and key == scheme.elements.timestamp]
        if len(times) > 1:
            return Refusal("header_duplicated", f"{scheme.header} is present more than once.")
        stamp = times[0] if times else None
    else:
        entries = value.split(scheme.list_separator) if scheme.list_separator else [value]
        texts = [entry[len(scheme.prefix) :] for entry in entries if entry.startswith(scheme.prefix)]
        if texts and not scheme.list_separator and (refusal := signatures.single(texts[0], scheme.header)):
            return refusal
        mark = scheme.public_key_prefix
        private = [entry[len(mark) :] for entry in entries if mark and entry.startswith(mark)]
    given = _Given(_decoded(scheme, texts), _decoded(scheme, private), stamp)
    if not given.digests and not given.by_private_key:
        return Refusal("signature_malformed", f"{scheme.header} holds no signature of the agreed form.")
    return given


def _decoded(scheme: Scheme, texts: Sequence[str]) -> list[bytes]:
    return [found for text in texts if (found := signatures.decode(text.strip(), scheme.encoding))]


def _fits(scheme: Scheme, given: _Given, contents: Sequence[bytes], secrets: Sequence[bytes]) -> bool:
    """Whether a signature fits one of the contents: a digest under a secret, another one under a public key."""
    keys = [key for secret in secrets if (key := key_of(secret, scheme.key_encoding))]
    expected = [_digest(scheme, key, content) for content in contents for key in keys]
    found = signatures.any_matches(given.digests, expected)
    for content in contents if given.by_private_key else ():
        found |= public_keys.any_verifies(given.by_private_key, content, secrets)
    return found


def _digest(scheme: Scheme, key: bytes, content: bytes) -> bytes:
    if scheme.mode == "digest":
        return hashlib.new(scheme.algorithm, key + content).digest()
    return macs.digest(key, content, scheme.algorithm)


def _contents(scheme: Scheme, request: Request, *, stamp: str, delivery_id: str) -> list[bytes] | Refusal:
    """What may have been signed: one content, or, where a form is, also that of the URL with or without its port."""
    if "{form}" not in scheme.template:
        return [fill(scheme.template, request, stamp=stamp, delivery_id=delivery_id)]
    form = form_body.signed(request)
    if isinstance(form, Refusal):
        return form
    return [
        fill(scheme.template, replace(request, url=url), stamp=stamp, delivery_id=delivery_id, form=form)
        for url in _with_and_without_port(request.url)
    ]


def _with_and_without_port(url: str) -> tuple[str, ...]:
    # Source: twilio.com, docs/usage/security, read 2026-11: whether the port is in what is signed varies by product.
    parts = urlsplit(url)
    host, colon, port = parts.netloc.rpartition(":")
    if colon and port.isdigit():
        return url, parts._replace(netloc=host).geturl()
    usual = {"https": "443", "http": "80"}.get(parts.scheme)
    return (url, parts._replace(netloc=f"{parts.netloc}:{usual}").geturl()) if usual else (url,)


def fill(template: str, request: Request, *, stamp: str, delivery_id: str, form: bytes = b"") -> bytes:
    """The signed bytes: the template with its tokens replaced once, the body as it came."""
    out = []
    for index, part in enumerate(_TOKEN.split(template)):
        if index % 2 == 0:
            out.append(part.encode())
        elif part in ("body", "form"):
            out.append(request.body if part == "body" else form)
        else:
            out.append(_text(part, request, stamp, delivery_id).encode("utf-8", "surrogateescape"))
    return b"".join(out)


def _text(token: str, request: Request, stamp: str, delivery_id: str) -> str:
    match token:
        case "ts":
            return stamp
        case "id":
            return delivery_id
        case "method":
            return request.method
        case "url":
            return request.url
        case "url:decoded":
            path, mark, query = request.url.partition("#")[0].partition("?")
            return path + mark + _ESCAPE.sub(lambda match: _DECODED[match[0].upper()], query)
        case _:
            return request.headers.get(token.removeprefix("header:")) or ""


def key_of(secret: bytes, encoding: str) -> bytes | None:
    """The HMAC key that a secret spells; `None` when it is malformed, and then it fits nothing."""
    try:
        if encoding == "whsec":
            if public_keys.is_one(secret):
                return None
            return signatures.whsec_key(secret)
        if encoding == "hex":
            return binascii.unhexlify(secret)
        if encoding == "base64":
            return base64.b64decode(secret, validate=True)
    except (binascii.Error, ValueError):
        return None
    return secret


def sign(
    scheme: Scheme, sample: Sample, given: Sequence[tuple[str, str]] = (), *, method: str = "POST"
) -> list[tuple[str, str]]:
    """The headers that prove a request genuine under the scheme, which may sign some of the `given` ones too."""
    secret = sample.secret
    if scheme.mode in ("path_token", "none_with_ip_allowlist"):
        return []
    if scheme.mode == "basic":
        return [("Authorization", f"Basic {signatures.encode(secret, 'base64')}")]
    if scheme.mode == "static_header":
        return [(scheme.header, scheme.prefix + secret.decode())]
    headers: list[tuple[str, str]] = []
    stamp = _stamp(sample.now, scheme.timestamp.unit) if scheme.timestamp else ""
    if scheme.id_header:
        headers.append((scheme.id_header, sample.delivery_id))
    if scheme.timestamp and scheme.timestamp.header:
        headers.append((scheme.timestamp.header, stamp))
    request = Request(method, "", Headers([*given, *headers]), sample.body, url=sample.url)
    form = form_body.signed(request)
    content = fill(
        scheme.template,
        request,
        stamp=stamp,
        delivery_id=sample.delivery_id,
        form=form if isinstance(form, bytes) else b"",
    )
    if scheme.public_key_prefix and (signature := public_keys.sign(secret, content)):
        return [*headers, (scheme.header, scheme.public_key_prefix + signatures.encode(signature, scheme.encoding))]
    digest = _digest(scheme, key_of(secret, scheme.key_encoding) or b"", content)
    value = scheme.prefix + signatures.encode(digest, scheme.encoding)
    if scheme.elements is not None:
        time = f"{scheme.elements.timestamp}={stamp}," if scheme.elements.timestamp else ""
        value = f"{time}{scheme.elements.signatures[0]}={value}"
    return [*headers, (scheme.header, value)]


def beneath(scheme: Scheme, sample: Sample) -> str:
    """What a genuine request has in its path behind the source's: the token, or nothing."""
    return f"/{in_a_path(sample.secret).decode()}" if scheme.mode == "path_token" else ""


def _stamp(now: datetime, unit: signatures.Unit) -> str:
    if unit == "iso":
        return to_json(now)
    if unit == "http-date":
        return now.strftime("%a, %d %b %Y %H:%M:%S GMT")
    return str(int(now.timestamp() * (1000 if unit == "ms" else 1)))
