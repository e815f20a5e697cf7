"""Who sends a request: the peer, or whom a trusted proxy names."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

# A peer without an address: a socket in the file system, or a test.
LOCAL = "local"
_REMEMBERED = 8_192
# Somebody with one IPv6 address mostly has 2^64 of them.
_IPV6_PREFIX = 64


def one_of(networks: tuple[str, ...]) -> Callable[[str], bool]:
    """Return a function that says whether an address is in one of these networks."""
    known = [ip_network(one, strict=False) for one in networks]

    @lru_cache(maxsize=_REMEMBERED)
    def inside(address: str) -> bool:
        parsed = _parsed(address)
        return parsed is not None and any(parsed in one for one in known)

    return inside


def peer_of(client: tuple[str, int] | list[object] | None) -> str:
    """Return the address of the other end of the connection."""
    return str(client[0]) if client else LOCAL


def forwarded(peer: str, header: bytes | None, trusted: Callable[[str], bool]) -> str:
    """Return the nearest address in X-Forwarded-For that is not a trusted proxy's.

    What is written further left was sent by that client and may be invented. From a peer that is
    not trusted, the header counts for nothing.
    """
    if header is None or not (peer == LOCAL or trusted(peer)):
        return peer
    for name in reversed(header.decode("latin-1").split(",")[-20:]):
        address = name.strip()
        if _parsed(address) is None:
            break
        peer = address
        if not trusted(address):
            break
    return peer


@lru_cache(maxsize=_REMEMBERED)
def counted_as(address: str) -> str:
    """Return under which name requests of an address are counted: IPv6 by its /64."""
    parsed = _parsed(address)
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ip_network((int(parsed), _IPV6_PREFIX), strict=False))
    return address


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(address.partition("%")[0])
    except ValueError:
        return None
