"""Answers of one version on one Korean day, kept until the next."""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import date

# More than all products that the chains offer in a month: some three thousand, 1 to 2 KB each.
MOST_BYTES = 6 * 2**20


class Kept:
    """Bodies by key, those asked for last; safe to share between threads.

    Args:
        most_bytes: of bodies together; the ones not asked for the longest go first.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._of: tuple[int, date] | None = None
        self._bodies: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    def __contains__(self, key: str) -> bool:
        """Return whether there is a body of whatever version and day."""
        return key in self._bodies

    def get(self, version: int, day: date, key: str) -> bytes | None:
        """Return the body that was kept for this version and day, `None` for none."""
        with self._lock:
            if self._of != (version, day):
                return None
            body = self._bodies.get(key)
            if body is not None:
                self._bodies.move_to_end(key)
            return body

    def keep(self, version: int, day: date, key: str, body: bytes) -> None:
        """Keep a body; those of another version or day are forgotten."""
        with self._lock:
            if self._of != (version, day):
                self._of, self._bytes = (version, day), 0
                self._bodies.clear()
            self._bytes += len(body) - len(self._bodies.pop(key, b""))
            self._bodies[key] = body
            while self._bytes > self._most_bytes:
                self._bytes -= len(self._bodies.popitem(last=False)[1])
