"""Where a request may come from: addresses and networks, and whether one is among them.

Comes in: texts such as `203.0.113.0/24` or `2001:db8::1`. Comes out: what they say. Pure; nothing is left behind.
"""

import ipaddress
from collections.abc import Collection
from typing import Annotated

from pydantic import AfterValidator

from shared.providers.contract import Refusal, Request


def _are_networks(addresses: tuple[str, ...]) -> tuple[str, ...]:
    for address in addresses:
        ipaddress.ip_network(address)
    return addresses


# Of a source's settings: addresses or networks that it may be posted to from; any when empty.
Networks = Annotated[tuple[str, ...], AfterValidator(_are_networks)]


def check(request: Request, networks: Collection[str]) -> Refusal | None:
    """Refuses what comes from an address that is in none of the networks, if there are any."""
    if not networks or _is_among(request.remote_addr, networks):
        return None
    return Refusal("address_refused", "The source does not take requests from this address.", 403)


def _is_among(address: str, networks: Collection[str]) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in ipaddress.ip_network(network) for network in networks)
