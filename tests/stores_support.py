"""What the tests of stores share: every engine with what finds places on it, and seeded stores.

`places` runs a test on SQLite (R*Tree), on PostgreSQL with PostGIS, and on PostgreSQL without it.
"""

from __future__ import annotations

import csv
import io
import random
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from catalog_support import NOW, empty_catalog
from postgres_server import PostgresServer
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database, open_database
from promolens_catalog.store_distance import distance_m
from promolens_catalog.store_files import StoreFile, read_stores
from promolens_catalog.store_imports import ImportReport, import_stores
from promolens_catalog.store_index import PlaceIndex
from promolens_catalog.store_rows import StoreRow

SUWON = Path("stores") / "convenience_suwon_cp949.csv"
CHAINS = (Chain.CU, Chain.GS25, Chain.SEVEN, Chain.EMART24, Chain.CSPACE, None)


@pytest.fixture(scope="session")
def postgis_catalog(postgresql_server: PostgresServer) -> str:
    """The address of a catalog with PostGIS; skips where that is not installed."""
    postgresql_server.execute("CREATE DATABASE places")
    url = postgresql_server.url("places")
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        known = "SELECT count(*) FROM pg_available_extensions WHERE name = 'postgis'"
        if not connection.execute(text(known)).scalar_one():
            pytest.skip(
                "PostGIS is not installed (Debian: apt-get install postgresql-15-postgis-3)"
            )
        connection.exec_driver_sql("CREATE EXTENSION postgis")
    engine.dispose()
    open_database(url).close()
    return url


@pytest.fixture(params=list(PlaceIndex), ids=["sqlite", "postgis", "plain"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A fresh catalog on each engine, opened."""
    if request.param is PlaceIndex.RTREE:
        path = tmp_path / "catalog.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        url = str(path)
    else:
        postgis = request.param is PlaceIndex.POSTGIS
        name = "postgis_catalog" if postgis else "postgresql_catalog"
        url = request.getfixturevalue(name)
        engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
        with engine.begin() as connection:
            empty_catalog(connection)
        engine.dispose()
    opened = open_database(url)
    yield opened
    opened.close()


def store_row(number: int, latitude: float, longitude: float, chain: Chain | None) -> StoreRow:
    """Return a store of the list `test`."""
    return StoreRow(
        "test", f"{number:06d}", chain, f"점포 {number}", None, None, None, latitude, longitude
    )


def seeded_rows(count: int, seed: int = 1) -> list[StoreRow]:
    """Return stores around three towns, some at one place, and a few all over the globe."""
    chance = random.Random(seed)
    towns = ((37.5, 127.0), (37.27, 127.02), (35.16, 129.06))
    rows = []
    for number in range(count):
        town = chance.choice(towns)
        latitude, longitude = (chance.gauss(centre, 0.03) for centre in town)
        if number % 20 == 0 and rows:
            latitude, longitude = rows[-1].latitude, rows[-1].longitude
        chain = chance.choices(CHAINS, (30, 30, 20, 12, 1, 7))[0]
        rows.append(store_row(number, latitude, longitude, chain))
    return rows


def store_file(rows: Sequence[StoreRow], name: str = "test.csv") -> StoreFile:
    """Return stores as if read from a file."""
    return StoreFile(name, "0" * 64, "plain", "utf-8", ",", len(rows), tuple(rows), {}, (), "")


def put(database: Database, rows: Sequence[StoreRow], **options: bool) -> ImportReport:
    """Import stores."""
    return import_stores(database, [store_file(rows)], NOW, attribution="the test", **options)


def brute_force(
    rows: Iterable[StoreRow],
    place: tuple[float, float],
    radius_m: float,
    chains: Iterable[Chain],
    limit: int,
) -> list[str]:
    """Return the numbers of the nearest stores, found by looking at each."""
    wanted = set(chains)
    found = sorted(
        (distance_m(*place, row.latitude, row.longitude), row.source, row.source_id)
        for row in rows
        if not wanted or row.chain in wanted
    )
    return [number for away_m, _, number in found if away_m <= radius_m][:limit]


def csv_bytes(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    encoding: str = "utf-8",
    delimiter: str = ",",
) -> bytes:
    """Return a CSV file."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerows([columns, *rows])
    return text.getvalue().encode(encoding)


def read(data: bytes, name: str = "list.csv", format_name: str = "auto") -> StoreFile:
    """Read a list of stores from bytes."""
    return read_stores(io.BytesIO(data), name, format_name)
