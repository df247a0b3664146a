"""Where a request may come from, as a source's settings say it.

Comes in: texts such as `203.0.113.0/24` or `2001:db8::1`. Comes out: what they say. Pure; nothing is left behind.
"""

from typing import Annotated

from pydantic import AfterValidator

from shared.networks import is_among, named, networks_of
from shared.providers.contract import Refusal, Request


def _are_networks(addresses: tuple[str, ...]) -> tuple[str, ...]:
    networks_of(addresses)
    return addresses


# Of a source's settings: addresses or networks that it may be posted to from; any when empty.
Networks = Annotated[tuple[str, ...], AfterValidator(_are_networks)]


def check(request: Request, networks: tuple[str, ...]) -> Refusal | None:
    """Refuses what comes from an address that is in none of the networks, if there are any."""
    if not networks or is_among(request.remote_addr, named(networks)):
        return None
    return Refusal("address_refused", "The source does not take requests from this address.", 403)
