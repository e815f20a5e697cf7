"""Opening a catalog: addresses, tables, transactions, and what goes wrong with databases."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sqlite3
import threading
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, event, insert, inspect, select, text, update

from catalog_support import NOW, PostgresServer, make_offers, stage_crawl
from promolens_catalog import publishing, snapshots
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database, now_version, open_database
from promolens_catalog.maintenance import integrity_check
from promolens_catalog.migrations import REVISION
from promolens_catalog.schema import catalog_version, crawl, item, metadata
from promolens_catalog.upgrading import MIGRATIONS, revision_of
from promolens_runtime.errors import InputError

FORK = multiprocessing.get_context("fork")


def test_migrations_build_what_the_schema_says(database: Database) -> None:
    with database.read() as connection:
        context = MigrationContext.configure(connection)
        # Alembic cannot compare indexes over expressions, and knows no R*Tree: the full-text index
        # and the one over places are not in the schema.
        differences = [
            d
            for d in compare_metadata(context, metadata)
            if "item_search" not in str(d) and "store_place" not in str(d)
        ]
        assert differences == []
        assert revision_of(connection) == REVISION


def test_migrations_build_the_schema_line_by_line(sqlite_template: Path, tmp_path: Path) -> None:
    """Conditions of partial indexes, collations, what is counted up: nothing else compares them."""
    direct = tmp_path / "direct.db"
    engine = create_engine(f"sqlite:///{direct}")
    metadata.create_all(engine)
    engine.dispose()
    migrated, expected = (_definition(path) for path in (sqlite_template, direct))
    assert expected - migrated == set()
    extra = {line for line in migrated - expected if "alembic" not in line and "fts" not in line}
    own = ("item_search_", "store_place")
    assert {one for one in extra if "CREATE" in one and not any(o in one for o in own)} == set()


def _definition(path: Path) -> set[str]:
    with contextlib.closing(sqlite3.connect(path)) as raw:
        found = raw.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {line.strip().rstrip(",") for (sql,) in found for line in sql.splitlines()}


def test_checks_and_defaults_are_the_schemas_on_both_engines(database: Database) -> None:
    """What Alembic does not compare, or not on both."""
    with database.read() as connection:
        inspector = inspect(connection)
        for table in metadata.sorted_tables:
            expected = {
                str(constraint.name)
                for constraint in table.constraints
                if str(constraint.name).startswith("ck_")
            }
            found = {str(check["name"]) for check in inspector.get_check_constraints(table.name)}
            assert found == expected, table.name
            defaults = {
                column["name"]
                for column in inspector.get_columns(table.name)
                if column["default"] is not None and "nextval" not in column["default"]
            }
            assert defaults == {c.name for c in table.columns if c.server_default is not None}


def test_the_revision_in_the_code_is_the_newest_and_only_end() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [REVISION]


def test_opening_twice_changes_nothing(database_url: str) -> None:
    for _ in range(2):
        opened = open_database(database_url)
        with opened.read() as connection:
            assert now_version(connection) == 0
        opened.close()


def test_a_bare_path_and_an_address_name_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "a b%20c?d=e.db"
    for url in (str(path), f"sqlite:///{path}"):
        opened = open_database(url)
        assert opened.path == path
        assert opened.dialect == "sqlite"
        opened.close()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_sqlite_is_opened_with_write_ahead_log_and_foreign_keys(tmp_path: Path) -> None:
    opened = open_database(str(tmp_path / "catalog.db"), wait_s=1.5)
    with opened.read() as connection:
        pragma = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "busy_timeout", "synchronous")
        }
    assert pragma == {
        "journal_mode": "wal",
        "foreign_keys": 1,
        "busy_timeout": 1500,
        "synchronous": 1,  # NORMAL
    }
    opened.close()


def _open_and_close(url: str, gate: Any, results: Any) -> None:
    gate.wait()
    try:
        open_database(url).close()
        results.put("")
    except Exception as error:
        results.put(repr(error))


def test_processes_that_open_a_new_catalog_at_once_take_turns(empty_url: str) -> None:
    gate, results = FORK.Barrier(4), FORK.Queue()
    children = [
        FORK.Process(target=_open_and_close, args=(empty_url, gate, results)) for _ in range(4)
    ]
    for child in children:
        child.start()
    assert [results.get(timeout=60) for _ in children] == [""] * 4
    for child in children:
        child.join(10)
    opened = open_database(empty_url)
    with opened.read() as connection:
        assert connection.execute(select(catalog_version.c.version)).scalars().all() == [0]
        assert connection.execute(text("SELECT count(*) FROM alembic_version")).scalar() == 1
    opened.close()


def _die_while_migrating(url: str, statement: int) -> None:
    from sqlalchemy.engine import Engine

    seen = 0

    def count(_connection: Any, _cursor: Any, sql: str, *_rest: Any) -> None:
        nonlocal seen
        seen += sql.strip().startswith(("CREATE TABLE", "\nCREATE TABLE"))
        if seen == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", count)
    open_database(url)


@pytest.mark.parametrize("statement", [1, 2, 12])
def test_a_migration_that_is_killed_leaves_nothing_behind(empty_url: str, statement: int) -> None:
    child = FORK.Process(target=_die_while_migrating, args=(empty_url, statement))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    opened = open_database(empty_url)
    assert integrity_check(opened) == []
    opened.close()


def test_a_newer_catalog_is_refused_and_left_alone(database_url: str) -> None:
    opened = open_database(database_url)
    with opened.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    opened.close()
    for migrate in (True, False):
        with pytest.raises(InputError, match="9999"):
            open_database(database_url, migrate=migrate)


@pytest.mark.parametrize("name", ["item", "bookmark"])
def test_a_database_of_someone_else_is_refused_and_left_alone(empty_url: str, name: str) -> None:
    _execute_raw(empty_url, f"CREATE TABLE {name} (colour TEXT)")
    file = Path(empty_url.removeprefix("sqlite:///"))
    before = file.read_bytes() if file.exists() else b""
    with pytest.raises(InputError, match=f"a table {name}"):
        open_database(empty_url)
    assert (file.read_bytes() if file.exists() else b"") == before
    _execute_raw(empty_url, f"INSERT INTO {name} (colour) VALUES ('red')")
    assert _table_names(empty_url) == [name]


def _table_names(url: str) -> list[str]:
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    names = inspect(engine).get_table_names()
    engine.dispose()
    return names


def _execute_raw(url: str, statement: str) -> None:
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


def test_without_leave_to_migrate_an_empty_database_is_refused(empty_url: str) -> None:
    with pytest.raises(InputError, match="no catalog"):
        open_database(empty_url, migrate=False)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://me:secret@host/x", "mysql://..."),
        ("sqlite://", "sqlite://..."),
        ("", "a file for the catalog"),
        (":memory:", "a file for the catalog"),
        ("/nowhere/at/all/catalog.db", "Make the folder first"),
        ("/tmp", "a file for the catalog"),
        ("a\0b", "a file for the catalog"),
        ("postgresql://me:secret@host:notaport/x", "cannot be read"),
    ],
)
def test_bad_addresses_end_in_one_clear_line(url: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        open_database(url)
    message = str(caught.value)
    assert said in message
    assert "secret" not in message
    assert "\n" not in message


def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    with pytest.raises(InputError) as caught:
        open_database("postgresql://me:secret@127.0.0.1:1/x", wait_s=1)
    message = str(caught.value)
    assert message.startswith("Expected to reach the database in postgresql://me:***@127.0.0.1:1/x")
    assert "secret" not in message


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("milk, eggs\n" * 500)
    with pytest.raises(InputError, match="Expected a whole catalog"):
        open_database(str(path))
    assert path.read_text() == "milk, eggs\n" * 500


def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(InputError, match="Expected leave to write"), database.read() as connection:
        connection.execute(update(catalog_version).values(version=7))
    with database.read() as connection:
        assert now_version(connection) == 0
    # The connection goes back to the pool and can write again.
    with database.write() as connection:
        connection.execute(update(catalog_version).values(version=7))


def test_an_error_rolls_a_transaction_back(database: Database) -> None:
    def fail() -> None:
        with database.write() as connection:
            connection.execute(update(catalog_version).values(version=7))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.read() as connection:
        assert now_version(connection) == 0


def test_a_second_writer_waits_and_then_says_so(database: Database, database_url: str) -> None:
    hurried = open_database(database_url, wait_s=0.3)
    with database.write():
        start = time.monotonic()
        with pytest.raises(InputError, match=r"within 0\.3 s"), hurried.write():
            pass
        assert 0.2 < time.monotonic() - start < 10
    with hurried.write() as connection:
        connection.execute(update(catalog_version).values(version=7))
    hurried.close()


def test_a_second_writer_goes_on_when_the_first_is_done(
    database: Database, database_url: str
) -> None:
    patient = open_database(database_url, wait_s=30)
    entered, order = threading.Event(), []

    def first() -> None:
        with database.write():
            entered.set()
            time.sleep(0.3)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    entered.wait(10)
    with patient.write():
        order.append("second")
    thread.join()
    assert order == ["first", "second"]
    patient.close()


def test_times_come_back_in_utc_and_need_a_zone(database: Database) -> None:
    seoul = datetime(2026, 3, 1, 0, 0, 0, 123456, timezone(timedelta(hours=9)))
    values = {"chain": "cu", "month": "2026-03", "transport": "http", "state": "running"}
    with database.write() as connection:
        connection.execute(insert(crawl).values(**values, started_at=seoul))
    with database.read() as connection:
        stored = connection.execute(select(crawl.c.started_at)).scalar_one()
    assert stored == datetime(2026, 2, 28, 15, 0, 0, 123456, UTC)
    assert stored.tzinfo is UTC
    with pytest.raises(Exception, match="a time without a zone"), database.write() as connection:
        connection.execute(insert(crawl).values(**values, started_at=seoul.replace(tzinfo=None)))


def test_text_that_no_database_stores_cannot_break_one(database: Database) -> None:
    with database.write() as connection:
        connection.execute(
            insert(item).values(canonical_name="a\0b\ud800c\udfff한", created_at=NOW)
        )
        found = connection.execute(
            select(item.c.canonical_name).where(item.c.canonical_name == "a\0b\ud800c\udfff한")
        ).scalar_one()
    assert found == "a\ufffdb\ufffdc\ufffd한"


def test_text_is_ordered_by_code_point_on_both_engines(database: Database) -> None:
    names = ["b", "B", "a", "가", "나", "ㄱ", "_", "10", "9", "é", "z"]
    with database.write() as connection:
        rows = [{"canonical_name": name, "created_at": NOW} for name in names]
        connection.execute(insert(item), rows)
        query = select(item.c.canonical_name).order_by(item.c.canonical_name)
        assert connection.execute(query).scalars().all() == sorted(names)


def test_a_full_disk_leaves_what_is_published_whole(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    roomy = open_database(str(path))
    publishing.publish(roomy, stage_crawl(roomy, make_offers(range(50))), NOW)
    crawl_id = stage_crawl(roomy, make_offers(range(1000, 3000)), NOW, page_size=500)
    roomy.close()

    narrow = open_database(str(path))
    event.listen(narrow.engine, "connect", _allow_few_more_pages)
    narrow.engine.dispose()
    with pytest.raises(InputError) as caught:
        publishing.publish(narrow, crawl_id, NOW)
    assert str(caught.value).startswith(f"Expected room to write in {path}. Received: ")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="Expected room to write"):
        stage_crawl(narrow, make_offers(range(5000, 9000)), NOW, page_size=1000)
    live = snapshots.published_snapshot(narrow, Chain.CU)
    assert live is not None
    assert live.row_count == 50
    assert set(snapshots.offers_of(narrow, live.id)) == set(make_offers(range(50)))
    narrow.close()

    roomy = open_database(str(path))
    assert integrity_check(roomy) == []
    assert publishing.publish(roomy, crawl_id, NOW).added == 2000
    roomy.close()


def _allow_few_more_pages(raw: sqlite3.Connection, _record: Any) -> None:
    pages = raw.execute("PRAGMA page_count").fetchone()[0]
    raw.execute(f"PRAGMA max_page_count = {pages + 20}")


def test_a_damaged_file_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    opened = open_database(str(path))
    publishing.publish(opened, stage_crawl(opened, make_offers(range(500)), NOW), NOW)
    opened.close()
    data = bytearray(path.read_bytes())
    data[4096 * 2 :] = b"\xa5" * (len(data) - 4096 * 2)
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match="Restore a backup"):
        snapshots.snapshots(open_database(str(path)))


def test_a_postgresql_session_that_is_ended_is_replaced(
    postgresql_server: PostgresServer, postgresql_catalog: str
) -> None:
    # With a time to wait for: else the session may answer once more before it ends.
    end = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = 'shared'"
    opened = open_database(postgresql_catalog)

    def read(*, interrupted: bool) -> None:
        with opened.read() as connection:
            if interrupted:
                postgresql_server.execute(end)
            now_version(connection)

    read(interrupted=False)
    postgresql_server.execute(end)
    read(interrupted=False)
    with pytest.raises(InputError, match="Expected to reach the database"):
        read(interrupted=True)
    opened.close()
