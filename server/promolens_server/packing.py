"""Files that came without compressed forms, compressed when first asked for and kept in memory.

The bundle that comes with the app is one: its manifest signs what lies in its folder, and nothing
is written beside that. A model of 4 MB takes a quarter of a second of one processor.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from threading import Lock
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from promolens_server.app_folder import FolderFile, content_tag
from promolens_server.bundles.sending import PIECE_BYTES

CODINGS = ("br", "gzip")
# Below one packet there is nothing to gain; above it, a request would wait too long.
LEAST_BYTES = 700
MOST_BYTES = 32_000_000
# At least so much must be saved, as for bundles in the store.
WORTH_IT = 0.95
# Of all files together; a bundle has 7 MB, which are 5 MB by brotli.
MOST_KEPT_BYTES = 64_000_000
# 11 saves one percent more of a model and takes forty times as long.
_BROTLI_QUALITY = 9
_GZIP_LEVEL = 9
_GZIP_WINDOW = 31


class Packer:
    """Compresses each content once for each coding. Safe to share between threads."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], bytes | None] = {}
        self._lock = Lock()

    def packed(self, file: FolderFile, coding: str) -> bytes | None:
        """Return the file in a coding of `CODINGS`; `None` where it is to be sent as it is.

        That is a file that is too small or too large, that gains too little, or that was replaced
        since it was looked at.
        """
        if not LEAST_BYTES <= file.size_bytes <= MOST_BYTES:
            return None
        key = (file.etag, coding)
        # Whoever else asks meanwhile waits for the one answer.
        with self._lock:
            if key not in self._kept:
                content = _read(file)
                if content is None:
                    return None
                self._keep(key, _smaller(content, coding))
            return self._kept[key]

    def _keep(self, key: tuple[str, str], packed: bytes | None) -> None:
        held = sum(len(one) for one in self._kept.values() if one is not None)
        if held + len(packed or b"") > MOST_KEPT_BYTES:
            self._kept.clear()
        self._kept[key] = packed


class BytesAnswer(Response):
    """Sends bytes from memory in small pieces, so that a slow phone never stands still on one."""

    def __init__(self, content: bytes, headers: Mapping[str, str]) -> None:
        super().__init__(headers={**headers, "content-length": str(len(content))})
        self._content = memoryview(content)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send head and body; HEAD gets the head alone."""
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        body = self._content[:0] if scope["method"] == "HEAD" else self._content
        for start in range(0, max(len(body), 1), PIECE_BYTES):
            end = start + PIECE_BYTES
            piece = bytes(body[start:end])
            more = end < len(body)
            await send({"type": "http.response.body", "body": piece, "more_body": more})


def _read(file: FolderFile) -> bytes | None:
    """Return the content that `file` was found with; `None` when it is another by now."""
    try:
        content = file.path.read_bytes()
    except OSError:
        return None
    return content if content_tag(content) == file.etag else None


def _smaller(content: bytes, coding: str) -> bytes | None:
    packed = _brotli(content) if coding == "br" else _gzip(content)
    return packed if len(packed) <= WORTH_IT * len(content) else None


def _brotli(content: bytes) -> bytes:
    import brotli

    packer: Any = brotli.compress
    return bytes(packer(content, quality=_BROTLI_QUALITY))


def _gzip(content: bytes) -> bytes:
    packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    return packer.compress(content) + packer.flush()
