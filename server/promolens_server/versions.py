"""Which version of the catalog is the newest, asked for at almost no cost."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from typing import Protocol

from promolens_catalog.database import Database, now_version

# How old the number of a database on another machine may be.
KEEP_S = 0.25
_QUERY = "SELECT version FROM catalog_version"


class Versions(Protocol):
    """The newest version of one catalog. Safe to share between threads."""

    def current(self) -> int:
        """Return it, asking the database where that is needed.

        Raises:
            InputError: the database is locked, damaged or gone.
        """
        ...

    def peek(self) -> int | None:
        """Return it without waiting for a network; `None` where that needs `current`."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


class SqliteVersions:
    """Asks the file each time: some microseconds, so that both calls are always right."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def current(self) -> int:
        """Return the newest version; raises InputError."""
        with self._lock, self._database.clear_errors():
            if self._connection is None:
                self._connection = self._open()
            try:
                return int(self._connection.execute(_QUERY).fetchone()[0])
            except sqlite3.Error:
                self._forget()
                raise

    def peek(self) -> int | None:
        """Return the newest version; raises InputError."""
        return self.current()

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            self._forget()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            str(self._database.path), timeout=1.0, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA query_only = ON")
        return connection

    def _forget(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


class RemoteVersions:
    """Asks a server, and keeps its answer for `KEEP_S`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: tuple[float, int] | None = None

    def current(self) -> int:
        """Return the newest version, at most `KEEP_S` old; raises InputError."""
        known = self.peek()
        if known is not None:
            return known
        asked = time.monotonic()
        with self._database.read() as connection:
            version = now_version(connection)
        self._known = (asked, version)
        return version

    def peek(self) -> int | None:
        """Return the version that is known, unless it is too old."""
        known = self._known
        if known is None or time.monotonic() - known[0] > KEEP_S:
            return None
        return known[1]

    def close(self) -> None:
        """Nothing is held."""


def versions_of(database: Database) -> Versions:
    """Return what knows the newest version of a catalog."""
    return SqliteVersions(database) if database.path is not None else RemoteVersions(database)
