"""A file as an answer: sent piece by piece from an open descriptor, whole or one range of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from anyio import to_thread
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from promolens_server.bundles.ranges import Span
from promolens_server.problems import Problem

# Small, so that a slow phone takes a piece within the time that an answer may stand still.
PIECE_BYTES = 64 * 1024


def open_checked(path: Path, size_bytes: int) -> int:
    """Open a plain file of that size for reading and return its descriptor.

    Raises:
        Problem: 503; it is missing, a link, no plain file or of another size, or the disk fails.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise unreadable(path.name) from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_size != size_bytes:
        os.close(descriptor)
        raise unreadable(path.name)
    return descriptor


def unreadable(what: str) -> Problem:
    """Return the problem of a store that is damaged or away."""
    return Problem(
        503,
        "bundle-unreadable",
        f"Expected {what} in the bundle store. Received none that can be read. Try again later.",
        headers={"retry-after": "60"},
    )


class FileAnswer(Response):
    """Sends bytes of a file; at most `PIECE_BYTES` of it are in memory at once.

    Args:
        path, size_bytes: the file, opened when the answer begins and closed at its end.
        span: what of it is sent; `None` for an empty file.
    """

    def __init__(
        self,
        path: Path,
        size_bytes: int,
        span: Span | None,
        *,
        status_code: int,
        headers: Mapping[str, str],
    ) -> None:
        length = span.size_bytes if span else 0
        super().__init__(
            status_code=status_code, headers={**headers, "content-length": str(length)}
        )
        self._path = path
        self._size_bytes = size_bytes
        self._span = span

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send head and body; HEAD gets the head alone. Raises Problem before the head."""
        descriptor = await to_thread.run_sync(open_checked, self._path, self._size_bytes)
        try:
            head = {"status": self.status_code, "headers": self.raw_headers}
            await send({"type": "http.response.start", **head})
            if scope["method"] == "HEAD" or self._span is None:
                await send({"type": "http.response.body", "body": b""})
            else:
                await _send_span(descriptor, self._span, send)
        finally:
            os.close(descriptor)


async def _send_span(descriptor: int, span: Span, send: Send) -> None:
    place, end = span.start, span.end + 1
    while place < end:
        size_bytes = min(PIECE_BYTES, end - place)
        piece = await to_thread.run_sync(os.pread, descriptor, size_bytes, place)
        if not piece:
            # Cut the connection: the client has the length, and asks for the rest again.
            raise OSError(f"a file ended at byte {place} of {end}")
        place += len(piece)
        await send({"type": "http.response.body", "body": piece, "more_body": place < end})
