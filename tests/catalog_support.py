"""What the tests of the catalog share: a fresh database on each engine, and rows to put into it.

`database` runs a test twice: on SQLite, and on a real PostgreSQL that is started once a session in
a temporary folder, reachable over a socket in it only, and stopped at the end.
"""

from __future__ import annotations

import itertools
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, delete, insert, inspect, text, update

from postgres_server import NoPostgresError, PostgresServer, postgres_server
from promolens_catalog import staging
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database, open_database
from promolens_catalog.kinds import Kind
from promolens_catalog.migrations import REVISION
from promolens_catalog.offers import Offer
from promolens_catalog.schema import catalog_identity, catalog_version, metadata, source

NOW = datetime(2026, 2, 24, 3, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
MONTH = "2026-02"


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresServer]:
    """A PostgreSQL of its own, without care for power cuts; skips where none is installed."""
    try:
        with postgres_server() as server:
            yield server
    except NoPostgresError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def postgresql_catalog(postgresql_server: PostgresServer) -> str:
    """The address of one catalog that tests use in turn: making one takes a second."""
    postgresql_server.execute("CREATE DATABASE shared")
    open_database(postgresql_server.url("shared")).close()
    return postgresql_server.url("shared")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed file with the tables, to copy."""
    path = tmp_path_factory.mktemp("catalog") / "template.db"
    open_database(str(path)).close()
    return path


_numbers = itertools.count(1)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a fresh catalog."""
    if request.param == "sqlite":
        path = tmp_path / "catalog.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        return f"sqlite:///{path}"
    server: PostgresServer = request.getfixturevalue("postgresql_server")
    url: str = request.getfixturevalue("postgresql_catalog")
    # A test before this one may have left sessions behind, killed ones among them.
    server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shared'"
    )
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        empty_catalog(connection)
    engine.dispose()
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'catalog.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgresql_server")
    name = f"empty_{next(_numbers)}"
    server.execute(f"CREATE DATABASE {name} STRATEGY FILE_COPY")
    yield server.url(name)
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def empty_catalog(connection: Connection) -> None:
    """Make a catalog as it is when it is new: no rows, version 0, numbers from 1 on."""
    connection.execute(update(source).values(last_snapshot_id=None))
    for table in reversed(metadata.sorted_tables):
        connection.execute(delete(table))
    connection.execute(insert(catalog_version).values(id=1, version=0, floor=0))
    connection.execute(insert(catalog_identity).values(id=1, catalog_id=secrets.token_hex(16)))
    connection.execute(text("UPDATE alembic_version SET version_num = :now"), {"now": REVISION})
    if connection.dialect.name == "sqlite":
        connection.execute(text("DELETE FROM sqlite_sequence"))
        return
    for name in inspect(connection).get_sequence_names():
        connection.execute(text("SELECT setval(:name, 1, false)"), {"name": name})


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh catalog, opened."""
    opened = open_database(database_url)
    yield opened
    opened.close()


def make_offer(number: int, **changes: Any) -> Offer:
    """Return the `number`-th invented offer of CU, with a barcode of the in-store range."""
    values: dict[str, Any] = {
        "chain": Chain.CU,
        "name": f"달빛)보리과자{number}번{100 + number % 7}g",
        "price_krw": 1000 + number % 90 * 100,
        "kind": (Kind.ONE_PLUS_ONE, Kind.TWO_PLUS_ONE)[number % 2],
        "valid_from": date(2026, 2, 1),
        "valid_until": date(2026, 2, 28),
        "barcode": ean13(f"20{number:010d}"),
        "site_id": str(17_000 + number),
        "image_url": f"https://images.example/product/{number}.jpg",
        "category": ("과자", "음료", None)[number % 3],
    }
    return Offer(**(values | changes))


def make_offers(numbers: Iterable[int], **changes: Any) -> list[Offer]:
    """Return several of `make_offer`."""
    return [make_offer(number, **changes) for number in numbers]


def ean13(first_twelve: str) -> str:
    """Append the check digit."""
    assert re.fullmatch(r"\d{12}", first_twelve)
    odd, even = first_twelve[::2], first_twelve[1::2]
    total = sum(map(int, odd)) + 3 * sum(map(int, even))
    return first_twelve + str(-total % 10)


def stage_crawl(
    db: Database,
    offers: Iterable[Offer],
    now: datetime = NOW,
    *,
    chain: Chain = Chain.CU,
    page_size: int = 40,
    month: str = MONTH,
) -> int:
    """Stage a whole crawl of one listing, `page_size` rows a page, and return its number."""
    rows = list(offers)
    crawl_id = staging.start_crawl(db, chain, month, "http", now)
    for start in range(0, len(rows) or 1, page_size):
        some = tuple(rows[start : start + page_size])
        page = staging.StagedPage(
            listing="all",
            number=start // page_size + 1,
            sha256=f"{start:064x}",
            cards_seen=len(some),
            declared_total=len(rows),
            end_seen=start + page_size >= len(rows),
            offers=some,
        )
        staging.stage_page(db, crawl_id, page, now)
    return crawl_id
