"""Checks a URL before anything is sent to it: when a person sets it, and again before each connection.

Comes in: a URL that somebody else chose. Comes out: a refusal or none. Nothing is left behind.
"""

import re
import socket
from collections.abc import Iterable
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

import idna

from shared.egress.addresses import vet
from shared.errors import EgressRefused
from shared.networks import Networks, networks_of

URL_CHARACTERS = 2048
_DEFAULT_PORTS = {"http": 80, "https": 443}
# Ports that speak something else, where an HTTP request could be taken for commands.
# Source: fetch.spec.whatwg.org, "port blocking", the ones that servers run today, and databases; read 2026-11.
_REFUSED_PORTS = frozenset(
    {0, 1, 7, 9, 19, 20, 21, 22, 23, 25, 53, 69, 110, 111, 119, 123, 135, 137, 139, 143, 161, 179, 389, 445, 465, 514}
    | {
        515,
        548,
        554,
        587,
        636,
        993,
        995,
        2049,
        3306,
        3389,
        5060,
        5432,
        5672,
        6379,
        6380,
        6665,
        6666,
        6667,
        11211,
        27017,
    }
)
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?")


class Target(NamedTuple):
    """Where a URL leads; a key of connections, with every delivery."""

    scheme: str
    host: str  # ASCII, without the brackets of an IPv6 address
    port: int
    is_literal: bool  # the host is an address already

    @property
    def host_header(self) -> str:
        """What the Host header says: the very host that is resolved and connected to."""
        host = f"[{self.host}]" if ":" in self.host else self.host.rstrip(".")
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def target_of(url: str, *, allow_http: bool) -> Target:
    """Where `url` leads, without asking anyone.

    Raises:
        EgressRefused: `url_malformed`, `scheme_refused` or `port_refused`.
    """
    if len(url) > URL_CHARACTERS or _FORBIDDEN.search(url):
        raise EgressRefused("url_malformed", "The URL has spaces, control characters or backslashes, or is too long.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise EgressRefused("url_malformed", f"The URL cannot be read: {error}") from error
    scheme = parts.scheme.lower()
    if scheme != "https" and not (scheme == "http" and allow_http):
        raise EgressRefused("scheme_refused", f"The URL must begin with {'http(s)' if allow_http else 'https'}://.")
    if "@" in parts.netloc:
        raise EgressRefused("url_malformed", "The URL must not hold a user or password.")
    if port is None:
        port = _DEFAULT_PORTS[scheme]
    if port in _REFUSED_PORTS:
        raise EgressRefused("port_refused", f"Port {port} is not one that webhooks are received at.")
    literal = _is_literal(host)
    if "[" in parts.netloc and not literal:
        raise EgressRefused("url_malformed", "What stands in brackets is no address.")
    return Target(scheme, host if literal else _ascii(host), port, literal)


def host_of(url: str) -> str:
    """The host of `url` and nothing else of it, to be told to others: a path or a query may be a credential."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def check_url(url: str, *, allow_http: bool, networks: Iterable[str] | Networks, resolve: bool = True) -> None:
    """Refuse a URL that no delivery would be sent to; `networks` is the allow-list.

    With `resolve` the host is looked up as well, which may take seconds: never call it inside a transaction.

    Raises:
        EgressRefused: `url_malformed`, `scheme_refused`, `port_refused`, `address_refused`, or `host_unresolvable`,
            which may pass by itself and so is worth a warning only.
    """
    target = target_of(url, allow_http=allow_http)
    allowed = networks_of(networks)
    if target.is_literal:
        vet(target.host, [target.host], allowed)
    elif resolve:
        vet(target.host, look_up(target.host, target.port), allowed)


def look_up(host: str, port: int) -> list[str]:
    """Every address of `host`, in the order the system prefers them.

    Raises:
        EgressRefused: `host_unresolvable`.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise EgressRefused("host_unresolvable", f"{host} cannot be resolved") from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _is_literal(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _ascii(host: str) -> str:
    try:
        # As browsers do it. Python's own codec is of 2003: it takes faß.de for fass.de, which is somebody else's.
        name = idna.encode(host, uts46=True).decode() if not host.isascii() else host
    except UnicodeError as error:
        raise EgressRefused("url_malformed", "The URL's host is not a name.") from error
    if not _HOST.fullmatch(name) or ".." in name:
        raise EgressRefused("url_malformed", "The URL's host is not a name.")
    # 127.1, 0x7f.1 and 2130706433 are addresses to some resolvers and names to others; nobody means them honestly.
    last = name.rstrip(".").rpartition(".")[2]
    if last.isdigit() or last.lower().startswith("0x"):
        raise EgressRefused("url_malformed", "The URL's host is an address in an unusual form.")
    return name
