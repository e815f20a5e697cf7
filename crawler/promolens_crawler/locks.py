"""One crawl per chain at a time, whoever starts it; a lock dies with its process."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from promolens_catalog.chains import Chain
from promolens_catalog.database import Database
from promolens_crawler.errors import CrawlError

# Any number, the same for all processes; the chain's place in the table is the other half.
LOCK_SPACE = 0x63726177


class ChainBusyError(CrawlError):
    """Another process crawls this chain into the same catalog."""

    reason = "busy"


class LockLostError(CrawlError):
    """The connection that held the lock broke: another process may have begun."""

    reason = "lock-lost"


@contextlib.contextmanager
def chain_lock(db: Database, chain: Chain) -> Iterator[Callable[[], None]]:
    """Hold the chain's lock; gives a function that raises LockLostError if it is lost.

    SQLite: a locked file beside the catalog, which the system lets go of when the process ends,
    however it ends. PostgreSQL: an advisory lock of a session of its own.

    Raises:
        ChainBusyError: another process holds it.
    """
    holder = _file_lock(db.path, chain) if db.path is not None else _session_lock(db, chain)
    with holder as check:
        yield check


def lock_path(database: Path, chain: Chain) -> Path:
    """Return the file that is locked while a chain is crawled."""
    return database.with_name(f"{database.name}-locks") / f"{chain}.lock"


def _busy(chain: Chain) -> ChainBusyError:
    return ChainBusyError(
        f"Expected to be the only crawl of {chain}. Received another one that is running. "
        "Wait until it is done."
    )


@contextlib.contextmanager
def _file_lock(database: Path, chain: Chain) -> Iterator[Callable[[], None]]:
    # The file stays: removing it would let a third process lock a new one under the same name.
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    path = lock_path(database, chain)
    path.parent.mkdir(exist_ok=True)
    descriptor = os.open(path, flags, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _busy(chain) from None
        yield lambda: None
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _session_lock(db: Database, chain: Chain) -> Iterator[Callable[[], None]]:
    key = {"space": LOCK_SPACE, "chain": list(Chain).index(chain)}
    with db.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        query = text("SELECT pg_try_advisory_lock(:space, :chain)")
        if not connection.execute(query, key).scalar_one():
            raise _busy(chain)

        def check() -> None:
            try:
                connection.execute(text("SELECT 1"))
            except DBAPIError as error:
                raise LockLostError(
                    f"Expected to hold the lock of {chain} all the time. Received a broken "
                    "connection to the database. Run the crawl again."
                ) from error

        try:
            yield check
        finally:
            with contextlib.suppress(DBAPIError):
                connection.execute(text("SELECT pg_advisory_unlock(:space, :chain)"), key)
            # Whatever became of that: a session in the pool must not keep the lock.
            connection.invalidate()
