"""Unpacking a body under a limit, and proving that it is whole.

requests and urllib3 take a gzip stream that was cut off for a whole one. A list that lacks its
second half must never look like a short list, so the stream's own end is asked for here.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

_GZIP = ("gzip", "x-gzip")
_PLAIN = ("", "identity")
_RAW_DEFLATE = -zlib.MAX_WBITS


class TooLargeError(Exception):
    """More than the limit came out."""


class CutOffError(Exception):
    """The stream ends before its end, or is damaged."""


class UnknownEncodingError(Exception):
    """A content encoding that we never ask for."""


def unpacked(parts: Iterable[bytes], encoding: str, limit: int) -> bytes:
    """Return the body of which `parts` come in, unpacked.

    Args:
        encoding: the header Content-Encoding: gzip, deflate or nothing.
        limit: bytes; memory stays near it however much is packed.

    Raises:
        TooLargeError, CutOffError, UnknownEncodingError.
    """
    name = encoding.strip().lower()
    if name in _PLAIN:
        return _joined(parts, limit)
    if name in _GZIP:
        return _inflated(parts, limit, 16 + zlib.MAX_WBITS)
    if name == "deflate":
        first, parts = _first(parts)
        # Meant is a zlib stream; some servers send a bare one.
        is_zlib = len(first) >= 2 and first[0] & 15 == 8 and (first[0] * 256 + first[1]) % 31 == 0
        return _inflated(parts, limit, zlib.MAX_WBITS if is_zlib else _RAW_DEFLATE)
    raise UnknownEncodingError(name)


def _joined(parts: Iterable[bytes], limit: int) -> bytes:
    body = bytearray()
    for part in parts:
        body += part
        if len(body) > limit:
            raise TooLargeError
    return bytes(body)


def _inflated(parts: Iterable[bytes], limit: int, window_bits: int) -> bytes:
    unpacker, body = zlib.decompressobj(window_bits), bytearray()
    try:
        for part in parts:
            body += unpacker.decompress(part, limit + 1 - len(body))
            if len(body) > limit or unpacker.unconsumed_tail:
                raise TooLargeError
    except zlib.error as error:
        raise CutOffError from error
    # What follows the end is not part of the page.
    if not unpacker.eof:
        raise CutOffError
    return bytes(body)


def _first(parts: Iterable[bytes]) -> tuple[bytes, Iterable[bytes]]:
    together = b""
    rest = iter(parts)
    for part in rest:
        together += part
        if len(together) >= 2:
            break

    def again() -> Iterable[bytes]:
        yield together
        yield from rest

    return together, again()
