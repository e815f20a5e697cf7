"""The nearest stores of the local table, the same on every engine.

An engine only says which stores may be near (`_near`): SQLite by its R*Tree, PostgreSQL by PostGIS
or, without it, by its plain index. Distances and order are computed here, so that no engine's idea
of the Earth's shape decides who is nearest.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, TextClause, func, select, text

from promolens_catalog.chains import CHAINS, Chain
from promolens_catalog.database import Database
from promolens_catalog.schema import store, store_source
from promolens_catalog.store_distance import boxes_around, distance_m
from promolens_catalog.store_index import PLACE, PlaceIndex, place_index
from promolens_runtime.errors import InputError

MAX_RADIUS_M = 20_000
MAX_LIMIT = 100
# Where nothing is found in a town, twice as far is hardly more work.
_FIRST_RADIUS_M = 250.0
_GROWTH = 3.0
# Engines round: what they leave out must be clearly too far.
_SLACK_M = 1.0


@dataclass(frozen=True)
class Store:
    """One store; `chain` is `None` for a shop of no known chain."""

    id: int
    source: str
    source_id: str
    chain: Chain | None
    name: str
    branch: str | None
    address: str | None
    phone: str | None
    latitude: float
    longitude: float


# Candidates, with the columns of `Store` in their order.
_Rows = Sequence[Any]
_COLUMNS = tuple(column.name for column in fields(Store))
_SOURCE, _NUMBER, _LATITUDE, _LONGITUDE = map(
    _COLUMNS.index, ("source", "source_id", "latitude", "longitude")
)


@dataclass(frozen=True)
class NearStore:
    """A store and how far it is, as the crow flies."""

    store: Store
    distance_m: float


@dataclass(frozen=True)
class StoreSource:
    """A list that was imported."""

    name: str
    format: str
    attribution: str
    imported_at: datetime
    rows: int


@dataclass(frozen=True)
class Nearest:
    """What the local table knows.

    Attributes:
        stores: nearest first; of equally near ones by source and number.
        sources: the lists that these stores are of, or, without any, all that there are.
        covered: whether there is any store, of whatever chain, within `MAX_RADIUS_M`: without one
            the lists do not reach there, and finding none means nothing.
    """

    stores: tuple[NearStore, ...]
    sources: tuple[StoreSource, ...]
    covered: bool


def nearest(
    database: Database,
    latitude: float,
    longitude: float,
    radius_m: float,
    *,
    chains: Iterable[Chain] = (),
    limit: int = 20,
) -> Nearest:
    """Return the nearest stores.

    Args:
        latitude, longitude: WGS84, degrees.
        radius_m: above 0, at most `MAX_RADIUS_M`.
        chains: only theirs; Ministop means 7-Eleven. Without any, all stores.
        limit: 1 to `MAX_LIMIT`.

    Raises:
        InputError: a number is out of range, or the database cannot be read.
    """
    check_question(latitude, longitude, radius_m, limit)
    wanted = sorted({str(CHAINS[chain].stores_of) for chain in chains})
    with database.read() as connection:
        look = _Look(connection, latitude, longitude, wanted)
        found = look.nearest(radius_m, limit)
        known = _sources(connection)
        covered = bool(found) or _Look(connection, latitude, longitude, []).any()
    shown = [NearStore(_store(row), away_m) for away_m, row in found]
    used = {one.store.source for one in shown} or set(known)
    return Nearest(tuple(shown), tuple(known[name] for name in sorted(used)), covered)


def store_sources(database: Database) -> tuple[StoreSource, ...]:
    """Return the lists that were imported, by name."""
    with database.read() as connection:
        return tuple(_sources(connection).values())


def stores_by_chain(database: Database) -> dict[tuple[str, Chain | None], int]:
    """Return how many stores there are by source and chain."""
    query = select(store.c.source, store.c.chain, func.count()).group_by(
        store.c.source, store.c.chain
    )
    with database.read() as connection:
        return {
            (source, Chain(chain) if chain else None): count
            for source, chain, count in connection.execute(query)
        }


def check_question(latitude: float, longitude: float, radius_m: float, limit: int) -> None:
    """Raise `InputError` unless place, radius and limit are in range."""
    if not (math.isfinite(latitude) and -90 <= latitude <= 90):
        raise InputError(f"Expected a latitude of -90 to 90. Received {latitude}. Change it.")
    if not (math.isfinite(longitude) and -180 <= longitude <= 180):
        raise InputError(f"Expected a longitude of -180 to 180. Received {longitude}. Change it.")
    if not (math.isfinite(radius_m) and 0 < radius_m <= MAX_RADIUS_M):
        raise InputError(
            f"Expected a radius above 0 and of at most {MAX_RADIUS_M} m. Received {radius_m:g}. "
            "Change it."
        )
    if not 1 <= limit <= MAX_LIMIT:
        raise InputError(f"Expected a limit of 1 to {MAX_LIMIT}. Received {limit}. Change it.")


@dataclass(frozen=True)
class _Look:
    """One question to one engine."""

    connection: Connection
    latitude: float
    longitude: float
    chains: Sequence[str]

    def nearest(self, radius_m: float, limit: int) -> list[tuple[float, Any]]:
        """Return the nearest rows, each with its distance."""
        index = place_index(self.connection)
        if index is PlaceIndex.POSTGIS:
            return self._cut(self._by_postgis(radius_m, limit), radius_m, limit)
        reach_m = min(radius_m, _FIRST_RADIUS_M)
        while True:
            found = self._cut(self._by_box(index, reach_m), reach_m, limit)
            if reach_m >= radius_m or len(found) >= limit:
                return found
            # A last ring that is only a little wider would be for nothing.
            wider_m = reach_m * _GROWTH
            reach_m = radius_m if wider_m * 1.5 > radius_m else wider_m

    def any(self) -> bool:
        """Say whether there is any store within `MAX_RADIUS_M`."""
        return bool(self.nearest(MAX_RADIUS_M, 1))

    def _cut(self, rows: _Rows, radius_m: float, limit: int) -> list[tuple[float, Any]]:
        """Return the nearest; of equally near ones those first by source and number."""
        away = (
            (distance_m(self.latitude, self.longitude, row[_LATITUDE], row[_LONGITUDE]), row)
            for row in rows
        )
        near = [one for one in away if one[0] <= radius_m]
        near.sort(key=lambda one: (one[0], one[1][_SOURCE], one[1][_NUMBER]))
        return near[:limit]

    def _by_box(self, index: PlaceIndex, radius_m: float) -> _Rows:
        rows: list[Any] = []
        for box in boxes_around(self.latitude, self.longitude, radius_m):
            if index is PlaceIndex.RTREE:
                rows += self._by_rtree(vars(box))
            else:
                query = _plain_query(len(self.chains))
                rows += self.connection.execute(query, self._chain_values() | vars(box))
        return rows

    def _by_rtree(self, box: dict[str, float]) -> _Rows:
        values = self._chain_values() | box
        if self.chains:
            lengths = [len(chain) for chain in self.chains]
            # Half a step further, since the tree's numbers have 32 bits.
            values["chain_from"] = 0.01 * min(lengths) - 0.005
            values["chain_to"] = 0.01 * max(lengths) + 0.005
        # SQLite knows named values itself; to have the statement built anew costs more than to run.
        raw = self.connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        return raw.execute(_rtree_query(len(self.chains)), values).fetchall()

    def _by_postgis(self, radius_m: float, limit: int) -> _Rows:
        values = self._chain_values() | {
            "latitude": self.latitude,
            "longitude": self.longitude,
            "limit": limit,
            "radius_m": radius_m + _SLACK_M,
            "slack_m": _SLACK_M,
        }
        at_edge = abs(self.longitude) > _EDGE[0] or abs(self.latitude) > _EDGE[1]
        return self.connection.execute(_postgis_query(len(self.chains), at_edge), values).all()

    def _chain_values(self) -> dict[str, Any]:
        return {f"chain{number}": chain for number, chain in enumerate(self.chains)}


# Queries are made for a number of chains; the chains themselves are bound. What they are put
# together of are this package's own words.


def _chain_is(chains: int) -> str:
    names = ", ".join(f":chain{number}" for number in range(chains))
    return f" AND s.chain IN ({names})" if chains else ""


@lru_cache
def _rtree_query(chains: int) -> str:
    in_chain = " AND p.chain_to >= :chain_from AND p.chain_from <= :chain_to" if chains else ""
    return (
        f"SELECT {_SELECTED} FROM store_place p JOIN store s ON s.id = p.id "  # noqa: S608
        "WHERE p.north >= :south AND p.south <= :north AND p.east >= :west AND p.west <= :east"
        f"{in_chain}{_chain_is(chains)}"
    )


@lru_cache
def _plain_query(chains: int) -> TextClause:
    return text(
        f"SELECT {_SELECTED} FROM store s "  # noqa: S608
        "WHERE s.latitude BETWEEN :south AND :north AND s.longitude BETWEEN :west AND :east"
        f"{_chain_is(chains)}"
    )


@lru_cache
def _postgis_query(chains: int, at_edge: bool = False) -> TextClause:
    """The index gives stores in the order of their distance; then all as near as the last one.

    Both conditions of the first step are needed: without a radius a rare chain reads all of it.

    Args:
        at_edge: near the poles and where longitudes begin again, PostGIS's index misjudges
            distances and refuses its own order; there all within the radius are measured.
    """
    away = f"ST_Distance({PLACE}, {_POINT}, false)" if at_edge else f"{PLACE} <-> {_POINT}"
    return text(
        f"""
WITH last AS (
    SELECT max(away) AS away FROM (
        SELECT {away} AS away FROM store s
        WHERE ST_DWithin({PLACE}, {_POINT}, :radius_m, false) {_chain_is(chains)}
        ORDER BY {away} LIMIT :limit
    ) AS nearest
)
SELECT {_SELECTED} FROM store s
WHERE ST_DWithin({PLACE}, {_POINT}, (SELECT away + :slack_m FROM last), false) {_chain_is(chains)}
"""  # noqa: S608
    )


# Degrees of longitude and latitude.
_EDGE = (178.0, 85.0)
_SELECTED = ", ".join(f"s.{name}" for name in _COLUMNS)
_POINT = "CAST(ST_SetSRID(ST_MakePoint(:longitude, :latitude), 4326) AS geography)"


def _store(row: Any) -> Store:
    values = dict(zip(_COLUMNS, row, strict=True))
    chain = values.pop("chain")
    return Store(**values, chain=Chain(chain) if chain else None)


def _sources(connection: Connection) -> dict[str, StoreSource]:
    rows = connection.execute(select(store_source).order_by(store_source.c.name))
    return {
        row.name: StoreSource(row.name, row.format, row.attribution, row.imported_at, row.row_count)
        for row in rows
    }
