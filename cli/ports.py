"""Ports: the one asked for, or the next free one when nobody insists.

Nothing is left behind: a port is only looked at, so another process may still take it first, and then the server that
wanted it says so and is started again.
"""

import socket

from shared.errors import SettingsInvalid

TRIES = 200


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen on `host`:`port` now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # Ports of connections that have just ended are free to a server, and servers set this too.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def choose(host: str, wanted: int, *, insist: bool, taken: set[int], name: str) -> int:
    """`wanted` when it is free, or else the next free port that is not in `taken`; the choice is added to `taken`.

    `insist` says that a person set the port, so that another would be a surprise.

    Raises:
        SettingsInvalid: a port that is insisted on is taken, or none is free.
    """
    if insist:
        if wanted in taken or not is_free(host, wanted):
            raise SettingsInvalid(f"{name}: port {wanted} of {host} is taken")
        taken.add(wanted)
        return wanted
    for port in range(wanted, min(wanted + TRIES, 65536)):
        if port not in taken and is_free(host, port):
            taken.add(port)
            return port
    raise SettingsInvalid(f"{name}: no free port from {wanted} on")
