"""A connection to SQLite's file that stays open, for what is asked thousands of times a second."""

from __future__ import annotations

import contextlib
import sqlite3
import time

from promolens_catalog.database import Database

# How often to look whether the file is still the one that is open, seconds.
_LOOK_S = 0.1


class HeldFile:
    """One connection that only reads, opened when it is first asked for; for one thread at a time.

    Args:
        database: on a file.
        wait_s: how long to wait for a file that somebody has locked whole, seconds.
        cache_kib: pages kept for this connection; `None` for SQLite's own measure.
    """

    def __init__(self, database: Database, wait_s: float, cache_kib: int | None = None) -> None:
        self._database = database
        self._wait_s = wait_s
        self._cache_kib = cache_kib
        self._raw: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._looked_s = 0.0

    def opened(self) -> sqlite3.Connection:
        """Return the connection, a new one where another file has taken the name.

        Raises:
            sqlite3.Error: there is no such file, or it cannot be read.
        """
        now_s = time.monotonic()
        if self._raw is None or now_s - self._looked_s > _LOOK_S:
            file = self._database.file_id()
            if self._raw is None or file != self._file:
                self.forget()
                self._raw, self._file = self._open(), file
            self._looked_s = now_s
        return self._raw

    def forget(self) -> None:
        """Let go of the connection; the next one asked for is new."""
        if self._raw is not None:
            with contextlib.suppress(sqlite3.Error):
                self._raw.close()
            self._raw = None

    def _open(self) -> sqlite3.Connection:
        path = self._database.path
        assert path is not None
        raw = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=self._wait_s,
            isolation_level=None,
            check_same_thread=False,
        )
        raw.execute("PRAGMA query_only = ON")
        if self._cache_kib is not None:
            raw.execute(f"PRAGMA cache_size = -{self._cache_kib}")
        return raw
