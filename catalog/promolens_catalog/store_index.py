"""The place index of PostgreSQL: GiST over PostGIS `geography`, where PostGIS is there.

SQLite's R*Tree is made with its table. PostGIS has to be switched on by a superuser, once for each
database (`CREATE EXTENSION postgis`), and may come after the catalog: so the index is made when
stores are imported, when a catalog is copied, and by `promolens catalog optimize`. Without it
stores are found by the plain index over latitude and longitude, more slowly and with the same
result.
"""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import Connection, text

NAME = "ix_store_place"
# As `stores` asks: the index is used where the words are the same.
PLACE = "CAST(ST_SetSRID(ST_MakePoint(longitude, latitude), 4326) AS geography)"


class PlaceIndex(StrEnum):
    """What finds stores by place."""

    RTREE = "R*Tree"
    POSTGIS = "PostGIS"
    PLAIN = "plain index"


def place_index(connection: Connection) -> PlaceIndex:
    """Return what finds stores by place in this catalog."""
    if connection.dialect.name == "sqlite":
        return PlaceIndex.RTREE
    there = connection.execute(
        text("SELECT to_regclass(:name) IS NOT NULL AND to_regtype('geography') IS NOT NULL"),
        {"name": NAME},
    ).scalar_one()
    return PlaceIndex.POSTGIS if there else PlaceIndex.PLAIN


def make_place_index(connection: Connection) -> PlaceIndex:
    """Make the index where it is possible and missing; the connection must be one that writes."""
    found = place_index(connection)
    if found is not PlaceIndex.PLAIN:
        return found
    if connection.execute(text("SELECT to_regtype('geography') IS NULL")).scalar_one():
        return PlaceIndex.PLAIN
    # The bundled names are constants of this file.
    connection.exec_driver_sql(f"CREATE INDEX IF NOT EXISTS {NAME} ON store USING gist (({PLACE}))")
    return PlaceIndex.POSTGIS
