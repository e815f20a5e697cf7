"""Which catalog this is: a random id beside the versions, which all catalogs count from 1.

Version 12 of one catalog says nothing about version 12 of another. A client that keeps a copy keeps
the id with it, and begins anew where it meets another one. The id is made when a catalog is first
opened, moves with `copying`, and is left out of backups: what is restored from one may lack
versions that clients have seen, and would give their numbers to other publications.
"""

from __future__ import annotations

import secrets

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import NoResultFound

from promolens_catalog.database import Database
from promolens_catalog.schema import catalog_identity
from promolens_runtime.errors import InputError

_BYTES = 16


def catalog_id(connection: Connection) -> str:
    """Return the id: 32 lower-case hexadecimal digits.

    Raises:
        InputError: there is none yet: a backup was put in the place of the file that was open.
    """
    try:
        return str(connection.execute(select(catalog_identity.c.catalog_id)).scalar_one())
    except NoResultFound as error:
        raise InputError(
            "Expected a catalog with its id. Received a restored backup that nobody has opened "
            "yet. Run: promolens catalog check"
        ) from error


def has_id(connection: Connection) -> bool:
    """Return whether the catalog has one: not so after its backup was restored."""
    return connection.execute(select(catalog_identity.c.id)).first() is not None


def make_id(connection: Connection) -> None:
    """Give the catalog an id if it has none, within a write transaction."""
    if not has_id(connection):
        connection.execute(insert(catalog_identity).values(id=1, catalog_id=_new()))


def renew_id(database: Database) -> str:
    """Make this another catalog for all clients, who begin anew; return its id.

    For a catalog that was put back to an earlier state by other means than `maintenance.backup`,
    and for one of two copies that both go on.

    Raises:
        InputError: another process writes for too long, or the database is away.
    """
    with database.write() as connection:
        connection.execute(delete(catalog_identity))
        make_id(connection)
        return catalog_id(connection)


def _new() -> str:
    return secrets.token_hex(_BYTES)
