"""Where other machines of the same network reach this one."""

from __future__ import annotations

import socket
from contextlib import suppress
from ipaddress import IPv4Address, ip_address

# Nothing is sent there (RFC 5737): the kernel is only asked which way it would go.
_ELSEWHERE = ("198.51.100.1", 9)


def lan_addresses() -> tuple[IPv4Address, ...]:
    """Return this machine's IPv4 addresses, that of the way to other networks first.

    None where it is in no network.
    """
    found: dict[IPv4Address, None] = {}
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect(_ELSEWHERE)
        found[_v4(asking.getsockname()[0])] = None
    with suppress(OSError):
        for row in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET):
            found[_v4(str(row[4][0]))] = None
    return tuple(one for one in found if not (one.is_loopback or one.is_unspecified))


def _v4(text: str) -> IPv4Address:
    address = ip_address(text)
    assert isinstance(address, IPv4Address)
    return address
