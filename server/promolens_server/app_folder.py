"""The files of the camera app as they lie in a folder, looked at again when one changes."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

INDEX = "index.html"
# What the build makes is spelt like this; nothing else is asked for on the disk.
_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
_MAX_DEPTH = 4
_CODINGS = {"br": ".br", "gzip": ".gz"}
_HIDDEN = tuple(_CODINGS.values())
_PIECE_BYTES = 1 << 20
_MAX_KEPT = 2_000


@dataclass(frozen=True)
class FolderFile:
    """A file to send.

    Attributes:
        etag: of the plain file, without quotes.
        codings: its compressed forms: path and size by content coding.
    """

    path: Path
    size_bytes: int
    etag: str
    codings: dict[str, tuple[Path, int]]


class AppFolder:
    """Finds files below a folder. Safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._hashes: dict[tuple[Path, int, int], str] = {}
        self._lock = Lock()

    def find(self, address: str) -> FolderFile | None:
        """Return the file of an address such as `litert/x.wasm`; the index for an empty one.

        `None` for what is not there, is no plain file, or is not spelt as the build spells files.
        """
        parts = (address or INDEX).split("/")
        if len(parts) > _MAX_DEPTH or not all(map(_PART.fullmatch, parts)):
            return None
        path = self._folder.joinpath(*parts)
        if path.name.endswith(_HIDDEN) or path.parent.resolve() != path.parent:
            return None
        found = _plain(path)
        if found is None:
            return None
        codings = {}
        for coding, ending in _CODINGS.items():
            packed = path.with_name(path.name + ending)
            told = _plain(packed)
            # One that is older than its file is of another build.
            if told is not None and told.st_mtime_ns >= found.st_mtime_ns:
                codings[coding] = (packed, told.st_size)
        return FolderFile(path, found.st_size, self._hash(path, found), codings)

    def _hash(self, path: Path, found: os.stat_result) -> str:
        key = (path, found.st_mtime_ns, found.st_size)
        with self._lock:
            known = self._hashes.get(key)
        if known is not None:
            return known
        made = _digest()
        with path.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                made.update(piece)
        with self._lock:
            if len(self._hashes) >= _MAX_KEPT:
                self._hashes.clear()
            self._hashes[key] = made.hexdigest()
        return made.hexdigest()


def content_tag(content: bytes) -> str:
    """Return the tag of a file with this content."""
    made = _digest()
    made.update(content)
    return made.hexdigest()


def _digest() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=16)


def _plain(path: Path) -> os.stat_result | None:
    try:
        found = path.lstat()
    except (OSError, ValueError):
        return None
    return found if stat.S_ISREG(found.st_mode) else None
