"""Which version of which catalog is the newest, asked for at almost no cost."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Protocol

from promolens_catalog.database import Database, now_version
from promolens_catalog.held_file import HeldFile
from promolens_catalog.identity import catalog_id
from promolens_server.problems import Problem

# How old the number of a database on another machine may be.
KEEP_S = 0.25
_QUERY = "SELECT version, (SELECT catalog_id FROM catalog_identity) FROM catalog_version"


class Versions(Protocol):
    """The newest version of one catalog. Safe to share between threads.

    Attributes:
        catalog_id: of the catalog whose version was last told. Tags of answers name it: another
            catalog that takes this one's place counts its versions anew.
    """

    catalog_id: str

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
        self.catalog_id = ""
        self._database = database
        self._lock = threading.Lock()
        self._held = HeldFile(database, wait_s=1.0)

    def current(self) -> int:
        """Return the newest version; raises InputError."""
        with self._lock:
            try:
                version, told_by = self._held.opened().execute(_QUERY).fetchone()
                self.catalog_id = str(told_by)
                return int(version)
            except sqlite3.Error:
                self._held.forget()
                with self._database.clear_errors():
                    raise

    def peek(self) -> int | None:
        """Return the newest version; raises InputError."""
        return self.current()

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            self._held.forget()


class RemoteVersions:
    """Asks a server, and keeps its answer for `KEEP_S`."""

    def __init__(self, database: Database) -> None:
        self.catalog_id = ""
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
            self.catalog_id = catalog_id(connection)
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


class PrimaryVersions:
    """The newest version of the catalog that a replica follows; asked anew each time.

    Who asks holds a version that the replica lacks, maybe one of a moment ago: what was the newest
    before that says nothing.
    """

    def __init__(self, open_primary: Callable[[], Database]) -> None:
        self.catalog_id = ""
        self._open = open_primary
        self._lock = threading.Lock()
        self._database: Database | None = None

    def current(self) -> int:
        """Return the newest version; raises InputError."""
        with self._lock:
            database = self._database = self._database or self._open()
        with database.read() as connection:
            self.catalog_id = catalog_id(connection)
            return now_version(connection)

    def peek(self) -> int | None:
        """Return nothing: it always takes a question."""
        return None

    def close(self) -> None:
        """Let go of the connections."""
        with self._lock:
            if self._database is not None:
                self._database.close()
            self._database = None


def check_not_behind(version: int, primary: Versions) -> None:
    """Check that a version which is not here yet is nowhere else either.

    Raises:
        Problem: 503, the primary has it: a replica lags behind, or another one answered before.
        InputError: the primary is away.
    """
    if version <= primary.current():
        raise Problem(
            503,
            "replica-behind",
            "Expected a version that has come here already. Received a newer one. "
            "Ask again in a second.",
            headers={"retry-after": "1"},
        )


def versions_of(database: Database) -> Versions:
    """Return what knows the newest version of a catalog; raises InputError if it is away."""
    on_file = database.path is not None
    versions: Versions = SqliteVersions(database) if on_file else RemoteVersions(database)
    versions.current()
    return versions
