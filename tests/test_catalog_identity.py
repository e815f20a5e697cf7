"""Which catalog it is: kept where it only moves, another where its versions may mean other rows."""

from __future__ import annotations

import contextlib
import re
import subprocess
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from catalog_support import HOUR, NOW, PostgresServer, make_offers, stage_crawl
from promolens_catalog import bootstrap, changes, copying, maintenance, publishing
from promolens_catalog.database import Database, open_database
from promolens_catalog.identity import catalog_id, renew_id
from promolens_catalog.migrations import REVISION
from promolens_catalog.upgrading import MIGRATIONS, revision_of
from promolens_cli.main import main
from promolens_runtime.errors import InputError


def id_of(url: str) -> str:
    with contextlib.closing(open_database(url)) as database, database.read() as connection:
        return catalog_id(connection)


def test_every_new_catalog_has_an_id_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    first, second = str(tmp_path / "first.db"), str(tmp_path / "second.db")
    found = [id_of(first), id_of(second), id_of(first)]
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in found)
    assert found[0] == found[2] != found[1]


def test_a_catalog_of_the_first_revision_gets_one(empty_url: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = create_engine(empty_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    engine.dispose()
    with pytest.raises(InputError, match="Received 0001"):
        open_database(empty_url, migrate=False)
    assert re.fullmatch("[0-9a-f]{32}", id_of(empty_url))
    opened = open_database(empty_url)
    with opened.read() as connection:
        assert revision_of(connection) == REVISION
    opened.close()


def test_a_copy_is_the_same_catalog_until_its_id_is_renewed(
    database: Database, tmp_path: Path
) -> None:
    publishing.publish(database, stage_crawl(database, make_offers(range(5))), NOW)
    copy = open_database(str(tmp_path / "copy.db"))
    copying.copy_catalog(database, copy)
    before = changes.changes_since(database, 0)
    assert changes.changes_since(copy, 0) == before
    renewed = renew_id(copy)
    after = changes.changes_since(copy, 0)
    assert (after.catalog_id, after.changes) == (renewed, before.changes)
    assert renewed != before.catalog_id == changes.changes_since(database, 0).catalog_id
    copy.close()


def restored(db: Database, path: Path, request: pytest.FixtureRequest) -> str:
    """Return the address of a backup: the file, or what pg_restore makes of it."""
    if db.dialect == "sqlite":
        return str(path)
    server: PostgresServer = request.getfixturevalue("postgresql_server")
    server.execute("DROP DATABASE IF EXISTS restored_identity")
    server.execute("CREATE DATABASE restored_identity")
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_restore"))
    words = ["--no-owner", "-h", str(server.folder), "-U", "promolens", "-d", "restored_identity"]
    subprocess.run([str(programs[-1]), *words, path], check=True)
    return server.url("restored_identity")


def test_what_is_restored_from_a_backup_is_another_catalog(
    database: Database, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    publishing.publish(database, stage_crawl(database, make_offers(range(5))), NOW)
    url = restored(database, maintenance.backup(database, tmp_path / "backup"), request)
    with pytest.raises(InputError, match="Received a restored backup, which has no id yet"):
        open_database(url, migrate=False)
    assert id_of(url) == id_of(url)
    with database.read() as connection:
        assert id_of(url) != catalog_id(connection)


def test_a_backup_under_a_running_program_is_told(database: Database) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("DELETE FROM catalog_identity")
    with pytest.raises(InputError, match="Run: promolens catalog check"):
        changes.changes_since(database, 0)


def test_the_bootstrap_file_names_its_catalog(database: Database, tmp_path: Path) -> None:
    publishing.publish(database, stage_crawl(database, make_offers(range(5))), NOW)
    first = bootstrap.make(database, tmp_path)
    assert bootstrap.make(database, tmp_path) == first
    renewed = renew_id(database)
    second = bootstrap.make(database, tmp_path)
    assert (second.catalog_id, second.version) == (renewed, first.version)
    assert second.path != first.path
    assert second.sha256 != first.sha256


def test_the_command_renews(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "catalog.db"
    before = id_of(str(path))
    assert main(["catalog", "renew-id", "--database", str(path)]) == 0
    assert id_of(str(path)) in capsys.readouterr().out
    assert id_of(str(path)) != before
    assert main(["catalog", "renew-id", "--database", str(tmp_path / "none.db")]) == 2
    assert not (tmp_path / "none.db").exists()


def test_versions_go_on_under_a_new_id(database: Database) -> None:
    publishing.publish(database, stage_crawl(database, make_offers(range(5))), NOW)
    renew_id(database)
    later = stage_crawl(database, make_offers(range(2, 7)), NOW + HOUR)
    assert publishing.publish(database, later, NOW + HOUR).version == 2
    assert maintenance.integrity_check(database) == []
