"""Bring a catalog's tables to the form that this code knows."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from promolens_catalog.database import Database
from promolens_catalog.identity import has_id, make_id
from promolens_catalog.migrations import REVISION
from promolens_runtime.errors import InputError

MIGRATIONS = Path(__file__).with_name("migrations")
# Tables that PostgreSQL's extensions bring along: PostGIS.
_OF_EXTENSIONS = {"spatial_ref_sys"}


def check_ours(database: Database) -> None:
    """Check that a database is a catalog or empty; nothing is changed.

    Raises:
        InputError: it is another program's.
    """
    with database.read() as connection:
        if revision_of(connection) is not None:
            return
        others = sorted(set(inspect(connection).get_table_names()) - _OF_EXTENSIONS)
    if others:
        raise InputError(
            f"Expected a catalog or an empty database in {database.place}. Received one that has a "
            f"table {others[0]} and is no catalog: another program's. Name another one."
        )


def upgrade(database: Database, *, migrate: bool = True) -> None:
    """Run the migrations that the catalog lacks, all of them in one transaction; give it its id.

    Two processes that come at once take turns: the second finds nothing left to do.

    Raises:
        InputError: the catalog is newer than this code; or it is older, or there is none, and
            `migrate` is off.
    """
    with database.read() as connection:
        found = revision_of(connection)
        if found == REVISION and has_id(connection):
            return
    if not migrate:
        raise InputError(
            f"Expected tables of revision {REVISION} in {database.place}. Received "
            f"{_lacking(found)}. Open it once with a program that may change it."
        )
    with database.write() as connection:
        if found != REVISION:
            _run(connection, database.place)
        make_id(connection)


def _lacking(found: str | None) -> str:
    if found == REVISION:
        return "a restored backup, which has no id yet"
    return found or "no catalog"


def revision_of(connection: Connection) -> str | None:
    """Return the revision of the tables; `None` where there is no catalog yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if revision is None else str(revision)


def _run(connection: Connection, place: str) -> None:
    # Costs a tenth of a second, and only the first opening of a catalog needs it.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    # Options are interpolated: a percent sign in the path must not be.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    found = revision_of(connection)
    if found is not None and found not in known:
        raise InputError(
            f"Expected a catalog of revision {REVISION} or older in {place}. Received revision "
            f"{found}, which this program does not know. Use a newer promolens, or name another "
            "database if this one is not a catalog."
        )
    command.upgrade(config, "head")
