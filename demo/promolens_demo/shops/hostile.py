"""Answers that break the connection or the reader: sent byte by byte, without end, or cut off."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Mapping

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from promolens_demo.shops.modes import Modes

_MIB = 1024 * 1024
_BLANKS = b" " * 65536


class Truncated:
    """Declares a whole body, sends half of it and breaks the connection."""

    def __init__(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Answer with half of `body`."""
        self._body, self._headers = body, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the half; an unfinished answer makes the server close the connection."""
        headers = dict(self._headers) | {"content-length": str(len(self._body))}
        await send(_start(headers))
        half = self._body[: len(self._body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        # Time for the first half to reach the reader before the end does.
        await asyncio.sleep(0.05)


class Streamed:
    """Sends parts until they end or the reader goes away."""

    def __init__(self, parts: AsyncIterator[bytes], headers: Mapping[str, str]) -> None:
        """Answer with `parts`."""
        self._parts, self._headers = parts, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send part by part."""
        request = Request(scope, receive)
        await send(_start(self._headers))
        async for part in self._parts:
            if await request.is_disconnected():
                return
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _start(headers: Mapping[str, str]) -> dict[str, object]:
    raw = [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()
    ]
    return {"type": "http.response.start", "status": 200, "headers": raw}


def hostile_answer(
    body: bytes, headers: Mapping[str, str], modes: Modes
) -> Truncated | Streamed | None:
    """Return the answer that breaks its reader, if a mode asks for one."""
    if "drop" in modes:
        return Truncated(body, headers)
    if "drip" in modes:
        length = {"content-length": str(len(body))}
        return Streamed(_dripping(body, modes.number("drip")), dict(headers) | length)
    if "huge" in modes:
        return Streamed(_padded(body, int(modes.number("huge") * 1_000_000)), headers)
    if "gzip-bomb" in modes:
        packed = dict(headers) | {"content-encoding": "gzip"}
        return Streamed(_bomb(body, int(modes.number("gzip-bomb"))), packed)
    return None


async def _dripping(body: bytes, pause_s: float) -> AsyncIterator[bytes]:
    for place in range(len(body)):
        yield body[place : place + 1]
        await asyncio.sleep(pause_s)


async def _padded(body: bytes, length: int) -> AsyncIterator[bytes]:
    yield body
    for _ in range(max(0, length - len(body)) // len(_BLANKS)):
        yield _BLANKS
        await asyncio.sleep(0)


async def _bomb(body: bytes, mib: int) -> AsyncIterator[bytes]:
    """Yield a gzip stream of `body` and `mib` MiB of blanks: about 1 KiB on the wire a MiB.

    A full flush forgets what came before, so one packed MiB can be sent again and again. The
    checksum at the end is left out: nobody should read so far.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    yield packer.compress(body) + packer.flush(zlib.Z_FULL_FLUSH)
    packed = packer.compress(b" " * _MIB) + packer.flush(zlib.Z_FULL_FLUSH)
    for _ in range(mib):
        yield packed
        await asyncio.sleep(0)
