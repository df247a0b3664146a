"""Acting as a provider: the genuine request that brings a sample, for `crossdock simulate` and the demo.

Comes in: a provider, a sample and where it goes. Comes out: the request as it is to be sent. Left behind: nothing but
the stand-in's folder, for a provider that signs with a private key of its own.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from cli.sns_stand_in import furnish
from shared.errors import Unacceptable
from shared.providers.contract import Provider, Sample
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class Call:
    """A request on its way out."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    body: bytes


def call(provider: Provider, sample: Sample, url: str) -> Call:
    """The request that brings `sample` to the source at `url`.

    `sample.url` is the source's address as the provider was told it, which some sign; `url` is where it answers.
    """
    method, beneath = provider.call(sample)
    headers, body = provider.post(replace(sample, url=f"{sample.url}{beneath}"))
    return Call(method, f"{url}{beneath}", headers, body)


def secret_of(provider: Provider, secrets: tuple[bytes, ...], settings: Settings, *, now: datetime) -> bytes:
    """What a source's genuine requests are signed with: its newest secret, or the key of the stand-in.

    Raises:
        Unacceptable: the source has no secret, or there is no stand-in to sign in the provider's place.
    """
    if provider.envelope is None:
        if not secrets:
            raise Unacceptable("secret_needed", "The source has no secret that counts; give --secret.")
        return secrets[0]
    if settings.sns_stand_in is None:
        raise Unacceptable(
            "stand_in_needed",
            f"{provider.title} signs with a private key of its own. Name a folder in CROSSDOCK_SNS_STAND_IN, here and "
            "where the ingress runs, and a key that is made there is believed beside it; never where real webhooks "
            "come in.",
        )
    return furnish(settings.sns_stand_in, now=now)
