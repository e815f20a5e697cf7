"""Open the catalog: SQLite by path or PostgreSQL by address, the same from there on."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from promolens_catalog.storage_errors import clear_error
from promolens_runtime.errors import InputError, MissingError

WAIT_S = 30.0
# Any number, the same for all processes: who holds it writes.
WRITER_LOCK = 0x70726F6D
_POSTGRESQL = ("postgresql", "postgresql+psycopg", "postgres")


@dataclass(frozen=True)
class Pool:
    """The connections that one process keeps.

    Attributes:
        size: kept open.
        overflow: further ones for a peak, closed after it.
        wait_s: how long to wait for one, seconds.
        statement_s: how long PostgreSQL works on one statement; `None` for as long as it takes.
        pooler: PgBouncer in transaction mode is between: no statement is prepared, and
            `statement_s` is for the role to say, since a session there is nobody's own.
        cache_kib: pages that each connection to a file may keep, and memory that a statement may
            sort in.
    """

    size: int = 5
    overflow: int = 10
    wait_s: float = 30.0
    statement_s: float | None = None
    pooler: bool = False
    # SQLite's own measure of 2 MiB does not hold the search index.
    cache_kib: int = 32_768

    def options(self) -> dict[str, Any]:
        """Return what SQLAlchemy calls these."""
        return {
            "pool_size": self.size,
            "max_overflow": self.overflow,
            "pool_timeout": self.wait_s,
        }


POOL = Pool()


class Database:
    """One catalog. Safe to share between threads; each `read` and `write` has its own connection.

    Attributes:
        engine: SQLAlchemy's, for what this class does not offer.
        dialect: `sqlite` or `postgresql`.
        place: path or address without password, for messages.
        path: the file; `None` on PostgreSQL.
        wait_s: how long a writer waits for another one.
    """

    def __init__(self, engine: Engine, place: str, path: Path | None, wait_s: float) -> None:
        self.engine = engine
        self.dialect = engine.dialect.name
        self.place = place
        self.path = path
        self.wait_s = wait_s
        self._file = self.file_id()

    def file_id(self) -> tuple[int, int] | None:
        """Return what tells SQLite's file from another of its name; `None` where there is none.

        Who keeps a connection open compares it: a file that was replaced, or taken away, can still
        be read through old connections for ever.
        """
        if self.path is None:
            return None
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _forget_other_file(self) -> None:
        file = self.file_id()
        if file != self._file:
            self._file = file
            self.engine.dispose()

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees one version from its first query on; it cannot write.

        Raises:
            InputError: the database is locked, damaged or gone.
        """
        self._forget_other_file()
        with self.clear_errors(), self.engine.connect() as connection:
            if self.dialect == "postgresql":
                connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
                with connection.begin():
                    yield connection
            else:
                with _query_only(connection), connection.begin():
                    yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection in the one transaction that may write; rolled back on an error.

        There is one writer at a time on both engines: SQLite has no more, and PostgreSQL takes an
        advisory lock, so that publications follow one another in the order of their versions.

        Raises:
            InputError: another process writes for longer than `wait_s`; PostgreSQL ended the
                transaction for somebody else's (`conflicts.retried` runs it again); the disk is
                full; the database is damaged or gone.
        """
        self._forget_other_file()
        with self.clear_errors(), self.engine.connect() as connection:
            connection.execution_options(sqlite_begin="IMMEDIATE")
            if self.dialect == "postgresql":
                # Whatever the role's default: a stricter one would take its view of the rows before
                # it waits for the writer in front, and fail for what that one changed.
                connection.execution_options(isolation_level="READ COMMITTED")
            with connection.begin():
                if self.dialect == "postgresql":
                    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {self.wait_s * 1000:.0f}")
                    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")
                yield connection

    def close(self) -> None:
        """Let go of all connections; SQLite first brings the planner's statistics up to date."""
        if self.dialect == "sqlite":
            with contextlib.suppress(DBAPIError), self.engine.connect() as connection:
                raw = connection.connection.driver_connection
                assert isinstance(raw, sqlite3.Connection)
                with contextlib.suppress(sqlite3.Error):
                    raw.execute("PRAGMA busy_timeout = 0")
                    raw.execute("PRAGMA optimize")
        self.engine.dispose()

    @contextlib.contextmanager
    def clear_errors(self) -> Iterator[None]:
        """Turn what the database says into an error that a user can act on, where there is one."""
        try:
            yield
        except (DBAPIError, sqlite3.Error, PoolTimeoutError) as error:
            clear = clear_error(error, self.place, self.wait_s)
            if clear is None:
                raise
            raise clear from error


def open_database(
    url: str, *, migrate: bool = True, wait_s: float = WAIT_S, pool: Pool = POOL
) -> Database:
    """Open a catalog and bring its tables up to date.

    Args:
        url: `sqlite:///path`, a bare path, or `postgresql://user:password@host/name`. A new SQLite
            file is made; its folder must exist.
        migrate: bring older tables up to date; `False` refuses them instead.
        wait_s: how long a writer waits for another process, and anybody for a server, seconds.
        pool: how many connections are kept.

    Raises:
        InputError: not an address, not a catalog, another program's database, newer than this
            code, or not reachable.
        MissingError: PostgreSQL without the driver.
    """
    database = connect_database(url, wait_s=wait_s, pool=pool)
    try:
        from promolens_catalog.upgrading import check_ours, upgrade

        check_ours(database)
        if database.path is not None:
            _use_wal(database)
        upgrade(database, migrate=migrate)
    except BaseException:
        database.engine.dispose()
        raise
    return database


def connect_database(url: str, *, wait_s: float = WAIT_S, pool: Pool = POOL) -> Database:
    """Return the database of an address, whatever is in it: no table is looked at or made.

    Raises:
        InputError: not an address.
        MissingError: PostgreSQL without the driver.
    """
    if "://" not in url:
        return _open_sqlite(url, wait_s, pool)
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite" and rest.startswith("/"):
        return _open_sqlite(rest[1:], wait_s, pool)
    if scheme in _POSTGRESQL:
        return _open_postgresql(url, wait_s, pool)
    raise InputError(
        f"Expected a path, sqlite:///path or postgresql://... as database. Received {scheme}://... "
        "Give one of these."
    )


def _open_sqlite(name: str, wait_s: float, pool: Pool) -> Database:
    path = Path(name)
    if not name or name == ":memory:" or "\0" in name or path.is_dir():
        raise InputError(f"Expected a file for the catalog. Received {name!r}. Name a file.")
    if not path.absolute().parent.is_dir():
        raise InputError(
            f"Expected a folder for {path}. Received {path.parent}, which is none. "
            "Make the folder first."
        )
    with contextlib.suppress(OSError):  # which SQLite says better
        path.touch()
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        # A file that went away must not be made anew, empty, by whoever reads next.
        creator=lambda: sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=wait_s,
            check_same_thread=False,
        ),
        **pool.options(),
    )
    event.listen(engine, "connect", partial(_prepare_sqlite, pool.cache_kib))
    event.listen(engine, "begin", _begin_sqlite)
    return Database(engine, str(path), path, wait_s)


def _prepare_sqlite(cache_kib: int, raw: Any, _record: Any) -> None:
    # SQLAlchemy says BEGIN itself, so that statements that define tables are in it too.
    raw.isolation_level = None
    raw.execute("PRAGMA foreign_keys = ON")
    raw.execute("PRAGMA synchronous = NORMAL")
    # A statement that meets the end of the cache spills; temporary tables stay in memory.
    raw.execute("PRAGMA temp_store = MEMORY")
    raw.execute(f"PRAGMA cache_size = -{cache_kib}")


def _begin_sqlite(connection: Connection) -> None:
    mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")


def _use_wal(database: Database) -> None:
    """Switch the file to write-ahead logging; two first openers may have to take turns."""
    deadline = time.monotonic() + database.wait_s
    while True:
        try:
            with database.clear_errors(), database.engine.connect() as connection:
                raw = connection.connection.driver_connection
                assert isinstance(raw, sqlite3.Connection)
                raw.execute("PRAGMA journal_mode = WAL")
                return
        except InputError as error:
            # SQLite does not wait here by itself, whatever its timeout says.
            busy = isinstance(error.__cause__, sqlite3.Error) and (
                error.__cause__.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            )
            if not busy or time.monotonic() >= deadline:
                raise
            time.sleep(0.02)


@contextlib.contextmanager
def _query_only(connection: Connection) -> Iterator[None]:
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    raw.execute("PRAGMA query_only = ON")
    try:
        yield
    finally:
        raw.execute("PRAGMA query_only = OFF")


def _open_postgresql(url: str, wait_s: float, pool: Pool) -> Database:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # Without the address itself: it may hold a password.
        raise InputError(
            "Expected postgresql://user:password@host:port/name as database. Received something "
            "that cannot be read as one. Check the spelling; escape special characters as %XX."
        ) from None
    try:
        engine = create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,
            connect_args=_session(wait_s, pool),
            **pool.options(),
        )
    except ImportError as error:
        raise MissingError(
            "Expected the PostgreSQL driver psycopg. Received a Python without it. "
            "Run: pip install 'promolens[postgres]'"
        ) from error
    place = parsed.set(drivername="postgresql").render_as_string(hide_password=True)
    return Database(engine, place, None, wait_s)


def _session(wait_s: float, pool: Pool) -> dict[str, Any]:
    settings: dict[str, Any] = {"connect_timeout": max(2, round(wait_s))}
    if pool.pooler:
        settings["prepare_threshold"] = None
    elif pool.statement_s is not None:
        settings["options"] = f"-c statement_timeout={pool.statement_s * 1000:.0f}"
    return settings


def now_version(connection: Connection) -> int:
    """Return the version of the newest publication that this connection sees; 0 before any."""
    return int(connection.execute(text("SELECT version FROM catalog_version")).scalar_one())
