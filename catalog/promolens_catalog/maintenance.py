"""Look after a catalog: copy it while it is in use, check that it is whole, keep it quick."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import text

from promolens_catalog.database import Database
from promolens_catalog.invariants import broken_rules
from promolens_catalog.schema import catalog_identity
from promolens_catalog.store_index import make_place_index
from promolens_runtime.errors import InputError, MissingError

DUMP_WITHIN_S = 3600
FULL_TEXT_STALE = (
    "the full-text index does not fit its table; run: promolens catalog optimize --reindex"
)


def backup(db: Database, path: Path) -> Path:
    """Copy the whole catalog as of one moment into a new file, while others read and write.

    SQLite gives a catalog that can be opened at once; PostgreSQL an archive for `pg_restore`, made
    by `pg_dump`. The file appears under its name only when it is complete. The catalog's id stays
    behind: what is restored gets one of its own when it is opened (`identity`).

    Raises:
        InputError: the file exists, its folder does not, or there is no room.
        MissingError: `pg_dump` is not installed.
    """
    if path.exists():
        raise InputError(f"Expected a new file for the backup. Received {path}. Name another one.")
    if not path.absolute().parent.is_dir():
        raise InputError(
            f"Expected a folder for the backup {path}. Received {path.parent}, which is none. "
            "Make the folder first."
        )
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    try:
        with db.clear_errors():
            (_copy_sqlite if db.dialect == "sqlite" else _dump_postgresql)(db, unfinished)
        # A link, not a rename: it refuses to replace a file that came meanwhile.
        os.link(unfinished, path)
    except FileExistsError:
        raise InputError(
            f"Expected a new file for the backup. Received {path}. Name another one."
        ) from None
    except OSError as error:
        raise InputError(
            f"Expected to write the backup {path}. Received: {error.strerror}. "
            "Make room, or name another folder."
        ) from error
    finally:
        for leftover in (unfinished, Path(f"{unfinished}-wal"), Path(f"{unfinished}-shm")):
            leftover.unlink(missing_ok=True)
    return path


def integrity_check(db: Database) -> list[str]:
    """Return what is wrong with a catalog, one line each; an empty list if nothing is.

    The engine's own check (SQLite's pages, indexes, references and full text; PostgreSQL checks
    pages as it reads them), then the rules that hold between tables.

    Raises:
        InputError: the file cannot be read at all.
    """
    if db.dialect == "sqlite":
        damage = _check_sqlite(db)
        if damage:
            return damage
    with db.read() as connection:
        return broken_rules(connection)


def optimize(db: Database) -> None:
    """Bring statistics and indexes up to date, and give back room; worth it after a month's change.

    Raises:
        InputError: another process writes for too long, or there is no room.
    """
    with db.clear_errors():
        if db.dialect == "sqlite":
            _optimize_sqlite(db)
        else:
            with db.write() as connection:
                make_place_index(connection)
            with db.engine.connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT")
                connection.exec_driver_sql("VACUUM (ANALYZE)")


@contextlib.contextmanager
def _raw_sqlite(db: Database) -> Iterator[sqlite3.Connection]:
    with db.engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        yield raw


def _copy_sqlite(db: Database, target: Path) -> None:
    with _raw_sqlite(db) as source, contextlib.closing(sqlite3.connect(target)) as copy:
        # All pages in one go: in WAL that is one read transaction, which holds up no writer.
        source.backup(copy, pages=-1)
        # Without WAL the copy is one file: it can be moved about.
        copy.execute("PRAGMA journal_mode = DELETE")
        copy.execute(f"DELETE FROM {catalog_identity.name}")  # noqa: S608 - our own name
        copy.commit()
        found = copy.execute("PRAGMA quick_check").fetchone()[0]
    if found != "ok":
        raise InputError(
            f"Expected a whole catalog in {db.place}. Received: {found}. "
            "Run: promolens catalog check"
        )
    with target.open("rb") as stream:
        os.fsync(stream.fileno())


def _dump_postgresql(db: Database, target: Path) -> None:
    url = db.engine.url
    command = [_pg_dump(), "--format=custom", "--no-password", f"--file={target}"]
    command.append(f"--exclude-table-data={catalog_identity.name}")
    # Not among the arguments, where every user of the machine could read a password.
    environment = dict(os.environ)
    settings = {
        "PGDATABASE": url.database,
        "PGUSER": url.username,
        "PGPASSWORD": url.password,
        "PGHOST": url.host or url.query.get("host"),
        "PGPORT": url.port or url.query.get("port"),
    }
    environment |= {name: str(value) for name, value in settings.items() if value is not None}
    done = subprocess.run(  # noqa: S603 (a fixed program, no shell)
        command, env=environment, capture_output=True, text=True, timeout=DUMP_WITHIN_S
    )
    if done.returncode:
        said = " ".join(done.stderr.split())[:300]
        raise InputError(f"Expected pg_dump to copy {db.place}. Received: {said}. See above.")


def _pg_dump() -> str:
    """Return the newest pg_dump: an older one refuses a newer server."""
    folders = Path("/usr/lib/postgresql").glob("*/bin/pg_dump")
    newest = max(folders, key=lambda path: float(path.parent.parent.name), default=None)
    found = str(newest) if newest else shutil.which("pg_dump")
    if found is None:
        raise MissingError(
            "Expected pg_dump to copy a PostgreSQL catalog. Received a machine without it. "
            "Install the package postgresql-client."
        )
    return found


def _check_sqlite(db: Database) -> list[str]:
    found: list[str] = []
    with db.clear_errors(), _raw_sqlite(db) as raw:
        # They end with rows that say what is wrong, or with an error where even that is lost.
        try:
            pages = [str(row[0]) for row in raw.execute("PRAGMA integrity_check(20)")]
            found += [line for line in pages if line != "ok"]
            for table, row_id, parent, _ in raw.execute("PRAGMA foreign_key_check").fetchmany(20):
                found.append(f"row {row_id} of {table} names a row of {parent} that is not there")
        except sqlite3.DatabaseError as error:
            if (error.sqlite_errorcode & 0xFF) != sqlite3.SQLITE_CORRUPT:
                raise
            return [str(error)]
    if not found:
        found += _check_full_text(db)
    return found


def _check_full_text(db: Database) -> list[str]:
    try:
        with db.write() as connection:
            connection.execute(
                # 1: compare with the table that it indexes too.
                text(
                    "INSERT INTO item_search_fts (item_search_fts, rank) "
                    "VALUES ('integrity-check', 1)"
                )
            )
    except InputError as error:
        if "malformed" not in str(error):
            raise
        return [FULL_TEXT_STALE]
    return []


def _optimize_sqlite(db: Database) -> None:
    import sqlite_utils

    with _raw_sqlite(db) as raw:
        tidy = sqlite_utils.Database(raw)
        tidy.table("item_search").optimize()
        tidy.analyze()
        tidy.execute("PRAGMA wal_checkpoint(TRUNCATE)")
