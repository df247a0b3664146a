"""How a Flipkart notification proves where it comes from: FKLOGIN, or an HMAC, and from which addresses.

Comes in: a request and its source. Comes out: a refusal or none. Pure; nothing is left behind.

FKLOGIN signs the date, the URL and the method, and not the body: whoever has seen one request can send any body under
its headers. What limits that: TLS, a URL that is not told, the date's age, and the addresses it may come from.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import Field, ValidationError

from shared import signatures
from shared.clock import parse_http_date
from shared.providers import agreed, networks, options, scheme_words
from shared.providers.contract import JSON, Evidence, Refusal, Request, Sample, Source

HEADER: Final = "X_Authorization"
DATE: Final = "X_Date"
KIND: Final = "FKLOGIN"
# Whether a repeat gets a new date is not documented, so a day: their repeats may come late.
TOLERANCE_SECONDS: Final = 86_400
FUTURE_SECONDS: Final = 300
USUAL: Final = agreed.Usual(verification="hmac", hmac={"header": "X-Flipkart-Signature"}, token={})


class FlipkartOptions(options.SourceOptions):
    """The settings of a Flipkart source."""

    verification: Literal["fklogin", "hmac"] = "fklogin"
    url: str = ""  # as registered with Flipkart; the source's public URL when empty
    app_id: str = ""  # whose notifications; any when empty, since the secret decides
    tolerance_seconds: float = Field(TOLERANCE_SECONDS, gt=0, le=86_400 * 7)
    addresses: networks.Networks = ()
    scheme: dict[str, Any] = Field(default_factory=dict)  # of the HMAC


def verify(request: Request, source: Source, evidence: Evidence) -> Refusal | None:
    """Passes what comes from an allowed address and is proved as the source says."""
    try:
        chosen = FlipkartOptions.model_validate(dict(source.settings))
    except ValidationError:
        return agreed.MISCONFIGURED
    if refusal := networks.check(request, chosen.addresses):
        return refusal
    if chosen.verification == "hmac":
        return agreed.verify(USUAL, request, source, now=evidence.now)
    return _check_fklogin(request, source, chosen, evidence)


def _check_fklogin(request: Request, source: Source, chosen: FlipkartOptions, evidence: Evidence) -> Refusal | None:
    """`FKLOGIN base64(app id:hex)`, the hex a plain SHA-1 over the date, the registered URL, the method and the secret.

    Their worked example digests the date as Unix seconds while the header carries an HTTP date; either is taken.
    Source: flipkart.github.io/fk-api-platform-docs, order-management-notifications, read 2026-11.
    """
    value = signatures.sole(request.headers, HEADER)
    if isinstance(value, Refusal):
        return value
    if value is None:
        return Refusal("signature_missing", f"{HEADER} is missing.")
    date = signatures.sole(request.headers, DATE)
    if isinstance(date, Refusal):
        return date
    if date is None:
        return Refusal("timestamp_missing", f"{DATE} is missing.")
    if refusal := signatures.single(value, HEADER):
        return refusal
    kind, _, rest = value.partition(" ")
    pair = signatures.decode(rest.strip(), "base64") if kind == KIND else None
    app_id, colon, hexed = (pair or b"").rpartition(b":")
    given = signatures.decode(hexed.decode("latin-1"), "hex") if colon else None
    if not given:
        return Refusal("signature_malformed", f"{HEADER} is not of the form {KIND} base64(app id:signature).")
    at = parse_http_date(date)
    stamps = [date] if at is None else [str(int(at.timestamp())), date]
    url = chosen.url or request.url
    expected = [_digest(stamp, url, request.method, secret) for secret in source.secrets if secret for stamp in stamps]
    # An app id that is another one fails as a wrong secret does, and after the same work.
    theirs = not chosen.app_id or signatures.any_matches([app_id], [chosen.app_id.encode()])
    if not signatures.any_matches([given], expected) or not theirs:
        return Refusal("signature_mismatch", "The signature does not match the date, the URL and the method.")
    return signatures.check_time(
        date,
        "http-date",
        now=evidence.now,
        tolerance_seconds=chosen.tolerance_seconds,
        future_seconds=FUTURE_SECONDS,
    )


def _digest(stamp: str, url: str, method: str, secret: bytes) -> bytes:
    content = f"{stamp}{url}{method}".encode("utf-8", "surrogatepass") + secret
    return hashlib.sha1(content, usedforsecurity=False).digest()  # theirs, not ours to choose


def secret_headers(source: Source) -> tuple[str, ...]:
    """FKLOGIN's header, in both spellings: it signs no body, so until it is too old it lets in any."""
    del source
    return (HEADER, HEADER.replace("_", "-"))


def check_settings(settings: Mapping[str, JSON]) -> list[str]:
    """What is wrong with a source's settings."""
    found = options.problems(FlipkartOptions, settings)
    if found or settings.get("verification") != "hmac":
        return found
    return agreed.problems(FlipkartOptions, USUAL, settings)


def in_words(settings: Mapping[str, JSON]) -> str:
    """How a genuine notification proves itself, for people."""
    chosen = options.read(FlipkartOptions, settings)
    if chosen is None:
        return scheme_words.MISCONFIGURED
    if chosen.verification == "hmac":
        return agreed.in_words(USUAL, settings)
    whose = f"application {chosen.app_id}" if chosen.app_id else "application"
    told = f"The {whose}'s secret is the source's secret; with it they sign the URL to the letter."
    addresses = ", ".join(str(address) for address in chosen.addresses)
    return f"{told} It may come from {addresses} alone." if addresses else told


def sign(sample: Sample) -> list[tuple[str, str]]:
    """The headers of a genuine notification."""
    headers = [("Content-Type", "application/json")]
    chosen = options.read(FlipkartOptions, sample.settings) or FlipkartOptions()
    if chosen.verification == "hmac":
        return agreed.sign(USUAL, sample, headers)
    seconds = str(int(sample.now.timestamp()))
    digest = _digest(seconds, chosen.url or sample.url, "POST", sample.secret)
    pair = b"%s:%s" % ((chosen.app_id or "crossdock").encode(), digest.hex().encode())
    return [
        *headers,
        (DATE, sample.now.strftime("%a, %d %b %Y %H:%M:%S GMT")),
        (HEADER, f"{KIND} {signatures.encode(pair, 'base64')}"),
    ]
