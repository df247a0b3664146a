"""Networks by their names, and whether an address is among them: of proxies, of senders, of receivers.

Comes in: texts such as `203.0.113.0/24` or `2001:db8::1`. Comes out: what they say. Pure; nothing is left behind.
"""

from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Networks = Sequence[IPv4Network | IPv6Network]


def networks_of(cidrs: Iterable[str] | Networks) -> Networks:
    """The networks that are named, or are ones already.

    Raises:
        ValueError: a text names none.
    """
    return tuple(ip_network(cidr) for cidr in cidrs)


@lru_cache(maxsize=256)
def named(cidrs: tuple[str, ...]) -> Networks:
    """The same of what is asked for again and again: a source's settings, with each of its requests."""
    return networks_of(cidrs)


def is_among(address: str, networks: Collection[IPv4Network | IPv6Network]) -> bool:
    """Whether `address` is in one of the networks, an IPv4 one mapped into IPv6 as the IPv4 one; no address is not."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return any((mapped or found) in network for network in networks)
