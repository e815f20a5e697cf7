"""Backups while others work, checks that find damage, upkeep that changes nothing."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from catalog_support import HOUR, NOW, PostgresServer, make_offer, make_offers, stage_crawl
from promolens_catalog import publishing, snapshots
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database, open_database
from promolens_catalog.maintenance import backup, integrity_check, optimize
from promolens_catalog.schema import catalog_version, change, promotion, snapshot
from promolens_catalog.search import search
from promolens_runtime.errors import InputError

ROWS = 60


@pytest.fixture
def filled(database: Database) -> Database:
    """A catalog with 50 live rows and one that has ended."""
    publishing.publish(database, stage_crawl(database, make_offers(range(51))), NOW)
    again = stage_crawl(database, make_offers(range(1, 51)), NOW + HOUR)
    publishing.publish(database, again, NOW + HOUR)
    return database


class Writer(threading.Thread):
    """Publishes on and on; every list has one price only, another one each time."""

    def __init__(self, db: Database) -> None:
        super().__init__()
        self.db = db
        self.stop, self.published = threading.Event(), threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        price = 1_000
        try:
            while not self.stop.is_set():
                price += 1
                now = NOW + price * HOUR
                offers = [make_offer(number, price_krw=price) for number in range(ROWS)]
                publishing.publish(self.db, stage_crawl(self.db, offers, now), now)
                self.published.set()
        except BaseException as error:
            self.error = error
            self.published.set()


@pytest.fixture
def restored(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[object]:
    """A function that opens a backup: the file itself, or what pg_restore makes of it."""
    opened: list[Database] = []

    def restore(db: Database, path: Path) -> Database:
        url = str(path)
        if db.dialect == "postgresql":
            server: PostgresServer = request.getfixturevalue("postgresql_server")
            name = f"restored_{path.stem}"
            server.execute(f"CREATE DATABASE {name}")
            url = server.url(name)
            programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_restore"))
            program = str(programs[-1]) if programs else "pg_restore"
            subprocess.run(
                [program, "--no-owner", "-h", server.folder, "-U", "promolens", "-d", name, path],
                check=True,
            )
        opened.append(open_database(url))
        return opened[-1]

    yield restore
    for db in opened:
        db.close()
        if db.dialect == "postgresql":
            server = request.getfixturevalue("postgresql_server")
            server.execute(f"DROP DATABASE {db.engine.url.database}")


def test_a_backup_made_while_others_write_is_whole(
    database: Database, tmp_path: Path, restored: object
) -> None:
    assert callable(restored)
    writer = Writer(database)
    writer.start()
    copies = []
    for number in range(3):
        assert writer.published.wait(60)
        copies.append(backup(database, tmp_path / f"copy{number}.db"))
        writer.published.clear()
    writer.stop.set()
    writer.join()
    assert writer.error is None
    assert sorted(tmp_path.glob("copy*")) == copies, "nothing unfinished lies about"
    for path in copies:
        copy: Database = restored(database, path)
        assert integrity_check(copy) == []
        with copy.read() as connection:
            live = connection.execute(select(promotion.c.price_krw).where(snapshots.live_at()))
            prices = live.scalars().all()
        assert len(prices) == ROWS
        assert len(set(prices)) == 1


def test_a_backup_works_on_as_a_catalog(filled: Database, tmp_path: Path, restored: object) -> None:
    assert callable(restored)
    copy: Database = restored(filled, backup(filled, tmp_path / "copy.db"))
    assert snapshots.snapshots(copy) == snapshots.snapshots(filled)
    assert search(copy, "보리과자") == search(filled, "보리과자") != []
    later = stage_crawl(copy, make_offers(range(9)), NOW + 2 * HOUR)
    assert publishing.publish(copy, later, NOW + 2 * HOUR).version == 3
    assert integrity_check(copy) == []


def test_a_backup_replaces_nothing(filled: Database, tmp_path: Path) -> None:
    path = tmp_path / "copy.db"
    path.write_text("precious")
    with pytest.raises(InputError, match="Expected a new file for the backup"):
        backup(filled, path)
    assert path.read_text() == "precious"
    with pytest.raises(InputError, match="Make the folder first"):
        backup(filled, tmp_path / "nowhere" / "copy.db")


def test_a_backup_that_fails_leaves_no_half_file(
    filled: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if filled.dialect == "postgresql":
        monkeypatch.setenv("PGOPTIONS", "-c no_such_setting=1")
    else:
        assert filled.path is not None
        filled.engine.dispose()
        filled.path.write_bytes(b"\xa5" * 40_000)
    with pytest.raises(InputError):
        backup(filled, tmp_path / "copy.bak")
    assert list(tmp_path.glob("copy*")) == []


def test_a_sound_catalog_has_nothing_wrong(filled: Database) -> None:
    assert integrity_check(filled) == []


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (update(promotion).where(promotion.c.id == 7).values(until_version=99), "ends after"),
        (update(promotion).where(promotion.c.id == 7).values(until_version=2), "only as deleted"),
        (update(promotion).where(promotion.c.id == 1).values(until_version=None), "as many live"),
        (change.delete().where(change.c.entity_id == "9"), "a live row is in the change log"),
        (update(catalog_version).values(version=1), "no version that is not there"),
        (update(snapshot).where(snapshot.c.id == 2).values(row_count=3), "as many live rows"),
    ],
)
def test_broken_rules_are_found(filled: Database, damage: object, said: str) -> None:
    with filled.write() as connection:
        connection.execute(damage)  # type: ignore[call-overload]
    assert any(said in line for line in integrity_check(filled))


def test_leftovers_in_staging_are_found(filled: Database) -> None:
    crawl_id = stage_crawl(filled, make_offers(range(3)), NOW)
    assert integrity_check(filled) == []
    with filled.write() as connection:
        connection.execute(
            text("UPDATE crawl SET state = 'failed' WHERE id = :id"), {"id": crawl_id}
        )
    assert any("wait in staging" in line for line in integrity_check(filled))


def test_damaged_pages_are_found(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    db = open_database(str(path))
    publishing.publish(db, stage_crawl(db, make_offers(range(400))), NOW)
    db.close()
    data = bytearray(path.read_bytes())
    # The newest pages hold rows: damage in the first ones would make it no database at all.
    for page in range(len(data) // 4096 - 30, len(data) // 4096, 3):
        data[page * 4096 + 8 : page * 4096 + 200] = b"\xa5" * 192
    path.write_bytes(bytes(data))
    damaged = open_database(str(path))
    assert integrity_check(damaged) != []
    damaged.engine.dispose()


def test_a_full_text_index_that_does_not_fit_is_found(tmp_path: Path) -> None:
    db = open_database(str(tmp_path / "catalog.db"))
    publishing.publish(db, stage_crawl(db, make_offers(range(9))), NOW)
    with db.write() as connection:
        connection.exec_driver_sql("DROP TRIGGER item_search_ad")
        connection.exec_driver_sql("DELETE FROM item_search WHERE item_id = 3")
    assert integrity_check(db) == [
        "the full-text index does not fit its table; run: promolens catalog optimize --reindex"
    ]
    db.close()


def test_upkeep_changes_nothing_that_anyone_reads(filled: Database) -> None:
    before = (snapshots.snapshots(filled), snapshots.sources(filled), search(filled, "보리과자"))
    optimize(filled)
    after = (snapshots.snapshots(filled), snapshots.sources(filled), search(filled, "보리과자"))
    assert after == before
    assert integrity_check(filled) == []


def test_upkeep_gives_the_log_file_back(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    db = open_database(str(path))
    publishing.publish(db, stage_crawl(db, make_offers(range(200))), NOW)
    log = path.with_name("catalog.db-wal")
    assert log.stat().st_size > 0
    optimize(db)
    assert log.stat().st_size == 0
    db.close()
    assert Chain.CU in {s.chain for s in snapshots.snapshots(open_database(str(path)))}
