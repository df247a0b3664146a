"""Who asked, when our own proxies stand between: the client's address out of X-Forwarded-For.

Comes in: the address that connected to us and what the header says. Comes out: an address. Nothing is left behind.

Each proxy adds, at the right, the address that connected to it. So the header is read from the right for as long as
those who wrote it are ours; what stands further left a client may have made up.
"""

from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from shared.networks import Networks, is_among, networks_of

MOST_HOPS: Final = 20  # a header that is longer was not written by proxies of ours


class Proxies:
    """The proxies that are believed."""

    def __init__(self, networks: Networks) -> None:
        # The few proxies there are ask again and again; a client's address is looked at once and forgotten.
        self._is_ours = lru_cache(maxsize=1024)(lambda address: is_among(address, networks))

    def client(self, peer: str, forwarded: str) -> str:
        """The address of who asked: of the first, from us outwards, that is no proxy of ours.

        It is the peer's unless that is one of ours. Where the header is cut off or malformed, it is the last one of
        ours who is known: a client cannot make itself another by writing nonsense.
        """
        known = peer
        hops = forwarded.rsplit(",", MOST_HOPS)[-MOST_HOPS:]
        while hops and self._is_ours(known):
            address = _address(hops.pop())
            if not address:
                break
            known = address
        return known


def believed(networks: list[str]) -> Proxies | None:
    """The proxies in these networks; `None` when there are none, and the peer is who asked."""
    return Proxies(networks_of(networks)) if networks else None


def _address(hop: str) -> str:
    """The address of one entry, which may have a port; "" when it has none."""
    text = hop.strip()
    if text.startswith("["):  # [2001:db8::1]:4711
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:  # 192.0.2.1:4711
        text = text.partition(":")[0]
    try:
        found = ip_address(text)
    except ValueError:
        return ""
    return str(getattr(found, "ipv4_mapped", None) or found)
