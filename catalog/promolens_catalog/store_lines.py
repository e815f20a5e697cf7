"""Lines of a public CSV, whatever it was saved in: UTF-8, cp949, UTF-16, or several of them.

Some of these files were put together from others, so that the encoding changes from line to line.
They have hundreds of megabytes: nothing here holds more than a line.
"""

from __future__ import annotations

import codecs
import hashlib
import io
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

from promolens_runtime.errors import InputError

MAX_LINE_BYTES = 1_000_000
MAX_BYTES = 4 * 2**30
_BOTH = ("utf-8", "cp949")
_ARCHIVES = (b"PK\x03\x04", b"\x1f\x8b", b"\xd0\xcf\x11\xe0")


class StoreLines(Iterator[str]):
    """Iterates over the decoded lines of a file.

    Attributes:
        read_as: how many lines with more than ASCII were of which encoding; `unreadable` counts
            those that are in none, whose odd bytes became U+FFFD.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        """Begin with a file opened for bytes.

        Raises:
            InputError: it is packed, or a spreadsheet's own format.
        """
        self._name = name
        self._sha256 = hashlib.sha256()
        self._bytes = 0
        self.read_as: Counter[str] = Counter()
        self._buffer = io.BufferedReader(stream) if isinstance(stream, io.RawIOBase) else stream
        start = self._buffer.read(4)
        if start.startswith(_ARCHIVES):
            raise InputError(
                f"Expected a CSV file. Received {name}, which is packed or a spreadsheet. "
                "Unpack it, or save the sheet as CSV."
            )
        self._order = list(_BOTH)
        self._wide = start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        self._lines = self._utf16_lines(start) if self._wide else self._byte_lines(start)

    @property
    def sha256(self) -> str:
        """Hex, of the bytes read so far."""
        return self._sha256.hexdigest()

    @property
    def encoding(self) -> str:
        """`utf-8`, `cp949` or `utf-16`; `mixed` where lines differ."""
        known = [name for name in self.read_as if name != "unreadable"]
        return "mixed" if len(known) > 1 else (known or ["utf-8"])[0]

    def __next__(self) -> str:
        """Return the next line, with its end."""
        return next(self._lines)

    def _count(self, data: bytes) -> None:
        self._sha256.update(data)
        self._bytes += len(data)
        if len(data) > MAX_LINE_BYTES or self._bytes > MAX_BYTES:
            raise InputError(
                f"Expected lines of at most {MAX_LINE_BYTES} bytes and {MAX_BYTES // 2**30} GiB in "
                f"all. Received {self._name}, which has more. Is it a CSV file?"
            )

    def _byte_lines(self, start: bytes) -> Iterator[str]:
        # What was looked at may be more than a line.
        while b"\n" in start:
            line, _, start = start.partition(b"\n")
            yield self._decoded(line + b"\n")
        while line := start + self._buffer.readline(MAX_LINE_BYTES + 1):
            start = b""
            yield self._decoded(line)

    def _decoded(self, line: bytes) -> str:
        first = self._bytes == 0
        self._count(line)
        if first:
            line = line.removeprefix(codecs.BOM_UTF8)
        if line.isascii():
            return line.decode("ascii")
        for encoding in self._order:
            try:
                text = line.decode(encoding)
            except UnicodeDecodeError:
                continue
            if not self.read_as:
                # A short line can pass for the other encoding: the file's own is tried first.
                self._order.sort(key=lambda one: one != encoding)
            self.read_as[encoding] += 1
            return text
        self.read_as["unreadable"] += 1
        return line.decode(self._order[0], "replace")

    def _utf16_lines(self, start: bytes) -> Iterator[str]:
        name = "utf-16-le" if start[:2] == codecs.BOM_UTF16_LE else "utf-16-be"
        decoder = codecs.getincrementaldecoder(name)("replace")
        self._count(start)
        rest = decoder.decode(start[2:])
        self.read_as["utf-16"] += 1
        while data := self._buffer.read(65_536):
            self._count(data)
            *lines, rest = (rest + decoder.decode(data)).split("\n")
            yield from (line + "\n" for line in lines)
            if len(rest) > MAX_LINE_BYTES:
                self._count(bytes(MAX_LINE_BYTES + 1))
        if rest := rest + decoder.decode(b"", final=True):
            yield rest
