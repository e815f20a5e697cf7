"""Which backend searches: the one place that decides."""

from __future__ import annotations

import os
from collections.abc import Mapping

from promolens_catalog.database import Database, connect_database
from promolens_retrieval import catalog_rows as rows
from promolens_retrieval.faiss_index import FaissConfig, FaissIndex
from promolens_retrieval.index import VectorIndex
from promolens_retrieval.spaces import Space

URL_VARIABLE = "PROMOLENS_VECTOR_URL"


def open_index(
    database: Database,
    space: Space,
    config: FaissConfig | None = None,
    *,
    environment: Mapping[str, str] = os.environ,
) -> VectorIndex:
    """Open the index of a space; the space is made if it is not there.

    pgvector searches where `PROMOLENS_VECTOR_URL` names a server, or, where the variable is not
    set, where the catalog itself is in a PostgreSQL that has the extension switched on. Otherwise,
    and where the variable is `catalog`, FAISS searches the catalog's rows in this process.

    Raises:
        InputError: the address cannot be used, or the server has no good pgvector.
        MissingError: FAISS or pgvector's client is not installed.
    """
    url = _server_url(database, environment)
    if not url:
        return FaissIndex(database, space, config)
    from promolens_retrieval.pgvector_index import PgVectorIndex

    vectors = connect_database(url, wait_s=database.wait_s)
    try:
        return PgVectorIndex(vectors, space)
    except BaseException:
        vectors.engine.dispose()
        raise


def list_spaces(database: Database, *, environment: Mapping[str, str] = os.environ) -> list[Space]:
    """Return the spaces that there are where `open_index` searches, sorted; raises InputError."""
    url = _server_url(database, environment)
    if not url:
        with database.read() as connection:
            return rows.spaces(connection)
    from promolens_retrieval import pgvector_tables as tables

    vectors = connect_database(url, wait_s=database.wait_s)
    try:
        with vectors.read() as connection:
            return tables.spaces(connection)
    finally:
        vectors.engine.dispose()


def _server_url(database: Database, environment: Mapping[str, str]) -> str:
    """Return the address of the server whose pgvector searches; empty where FAISS does."""
    named = environment.get(URL_VARIABLE, "")
    return "" if named == "catalog" else named or _own_url(database)


def _own_url(database: Database) -> str:
    """Return the catalog's address if pgvector is switched on there, else nothing."""
    if database.dialect != "postgresql":
        return ""
    from promolens_retrieval import pgvector_tables as tables

    with database.read() as connection:
        found = tables.version(connection)
    if found is None or found < tables.MINIMUM:
        return ""
    url = database.engine.url.set(drivername="postgresql")
    return url.render_as_string(hide_password=False)
