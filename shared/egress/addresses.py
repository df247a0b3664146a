"""Which addresses may be reached: public ones, and what the operator's allow-list opens.

The tables are the special-purpose registries of IANA, stated here rather than asked of the standard library, whose
answers differ between Python releases. Pure; nothing is left behind.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from shared.errors import EgressRefused
from shared.networks import Networks

# Source: iana.org/assignments/iana-ipv4-special-registry, read 2026-11.
_REFUSED_4: tuple[tuple[IPv4Network, str], ...] = tuple(
    (IPv4Network(network), why)
    for network, why in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),  # and 100.100.100.200, a cloud's metadata
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "cloud metadata"),  # a public address, but answers for the host alone
        ("169.254.0.0/16", "link-local"),  # and 169.254.169.254, most clouds' metadata
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)
_GLOBAL_6 = IPv6Network("2000::/3")  # all that is handed out; loopback, unique-local, link-local... are outside
# Source: iana.org/assignments/iana-ipv6-special-registry, read 2026-11.
_REFUSED_6: tuple[tuple[IPv6Network, str], ...] = tuple(
    (IPv6Network(network), why)
    for network, why in (
        ("2001::/32", "Teredo"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "documentation"),
    )
)
_NAMED_6: tuple[tuple[IPv6Network, str], ...] = tuple(
    (IPv6Network(network), why)
    for network, why in (
        ("::1/128", "loopback"),
        ("::/128", "unspecified"),
        ("64:ff9b:1::/48", "local NAT64"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("ff00::/8", "multicast"),
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")


def why_refused(address: str, networks: Networks = ()) -> str | None:
    """Why `address` may not be reached, in words; `None` when it may.

    An IPv4 address inside an IPv6 one (mapped, or NAT64's well-known prefix) is judged as the IPv4 address it leads to.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return "not an address"
    real = _unwrapped(parsed)
    if any(one in network for one in (parsed, real) for network in networks if network.version == one.version):
        return None
    if isinstance(real, IPv4Address):
        return next((why for network, why in _REFUSED_4 if real in network), None)
    if real not in _GLOBAL_6:
        return next((why for network, why in _NAMED_6 if real in network), "reserved")
    return next((why for network, why in _REFUSED_6 if real in network), None)


def vet(host: str, addresses: Iterable[str], networks: Networks) -> None:
    """Refuse a host if any of its addresses may not be reached: one bad one among good ones is how rebinding begins.

    Raises:
        EgressRefused: `address_refused`.
    """
    for address in addresses:
        why = why_refused(address, networks)
        if why is not None:
            raise EgressRefused(
                "address_refused",
                f"{host} leads to {address} ({why}), which is not reachable unless allowed_destination_cidrs opens it",
            )


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address
