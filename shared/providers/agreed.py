"""Proof of where a request comes from, for senders with no documented scheme: what a source agreed on with its sender.

Comes in: a request, and settings such as `{"verification": "token", "scheme": {"header": "X-Token"}}` on top of what
is usual for the provider. Comes out: a refusal or none. Pure; nothing is left behind.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Literal

import orjson
from pydantic import Field, ValidationError

from shared import signatures
from shared.providers import networks, options, scheme_words, schemes
from shared.providers.contract import JSON, Refusal, Request, Sample, Source

Verification = Literal["hmac", "token", "path_token", "none_with_ip_allowlist"]
_MODES: Final[Mapping[str, str]] = {"token": "static_header"}  # of the scheme, where it is called otherwise

MISCONFIGURED = Refusal("source_misconfigured", "The source's settings do not hold together.", status=503)


class Agreement(options.SourceOptions):
    """The settings of a source whose sender proves itself as agreed."""

    verification: Verification | None = None  # None: the usual one
    scheme: dict[str, Any] = Field(default_factory=dict)  # on top of the usual one
    addresses: networks.Networks = ()


@dataclass(frozen=True, slots=True)
class Usual:
    """How a provider's senders prove themselves unless a source says otherwise."""

    verification: Verification
    hmac: Mapping[str, JSON]
    token: Mapping[str, JSON]

    def scheme(self, settings: Mapping[str, JSON]) -> schemes.Scheme:
        """The scheme of a source.

        Raises:
            ValidationError: its settings do not hold together.
            TypeError: they are no JSON.
        """
        chosen = str(settings.get("verification") or self.verification)
        known = {"hmac": self.hmac, "token": self.token}.get(chosen, {})
        own = {name: settings[name] for name in ("scheme", "addresses") if settings.get(name)}
        return _compile(chosen, orjson.dumps(known), orjson.dumps(own))


@lru_cache(maxsize=256)
def _compile(verification: str, known: bytes, own: bytes) -> schemes.Scheme:
    agreed = Agreement.model_validate({"verification": verification, **orjson.loads(own)})
    fixed = {"mode": _MODES.get(verification, verification), "addresses": agreed.addresses}
    return schemes.Scheme.model_validate(schemes.merged(orjson.loads(known), agreed.scheme) | fixed)


def verify(usual: Usual, request: Request, source: Source, *, now: datetime) -> Refusal | None:
    """Passes what the source's scheme proves genuine. Settings gone wrong refuse with 503, so that nothing is lost."""
    try:
        scheme = usual.scheme(source.settings)
    except (ValidationError, TypeError):
        return MISCONFIGURED
    refusal = schemes.verify(scheme, request, source.secrets, now=now)
    if refusal is not None and scheme.mode == "static_header":
        # A token may have a comma of its own, so only one that does not fit is taken for two headers folded.
        return signatures.single(request.headers.get(scheme.header) or "", scheme.header) or refusal
    return refusal


def problems(model: type[options.Options], usual: Usual, settings: Mapping[str, JSON]) -> list[str]:
    """What is wrong with a source's settings, a sentence each."""
    if found := options.problems(model, settings):
        return found
    try:
        usual.scheme(settings)
    except ValidationError as error:
        found = options.readable(error)
        return [problem if problem.startswith("addresses") else f"scheme.{problem}" for problem in found]
    except TypeError:
        return ["scheme: not JSON"]
    return []


def secret_headers(usual: Usual, source: Source) -> tuple[str, ...]:
    """The header of a token, in both spellings: WSGI has one for `-` and `_`."""
    try:
        scheme = usual.scheme(source.settings)
    except (ValidationError, TypeError):
        return ()
    if scheme.mode != "static_header":
        return ()
    return tuple(dict.fromkeys((scheme.header, scheme.header.replace("_", "-"))))


def path_token(usual: Usual, source: Source) -> bool:
    """Whether the source's sender proves itself by a part of the path."""
    try:
        return usual.scheme(source.settings).mode == "path_token"
    except (ValidationError, TypeError):
        return True  # who knows: it is hidden


def in_words(usual: Usual, settings: Mapping[str, JSON]) -> str:
    """How a genuine request proves itself, for people."""
    try:
        return scheme_words.in_words(usual.scheme(settings))
    except (ValidationError, TypeError):
        return scheme_words.MISCONFIGURED


def beneath(usual: Usual, sample: Sample) -> str:
    """What a genuine request has in its path behind the source's, before any path of its own."""
    return schemes.beneath(usual.scheme(sample.settings), sample)


def sign(usual: Usual, sample: Sample, given: list[tuple[str, str]], *, method: str = "POST") -> list[tuple[str, str]]:
    """The headers of a genuine request: `given`, and the proof."""
    return [*given, *schemes.sign(usual.scheme(sample.settings), sample, given, method=method)]
