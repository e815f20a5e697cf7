"""Lists of stores in the catalog: replaced as a whole, again and again."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from catalog_support import NOW, empty_catalog
from promolens_catalog.chains import Chain
from promolens_catalog.copying import copy_catalog
from promolens_catalog.database import Database, open_database
from promolens_catalog.maintenance import integrity_check, optimize
from promolens_catalog.store_imports import drop_source, import_stores
from promolens_catalog.store_index import PlaceIndex, place_index
from promolens_catalog.stores import nearest, store_sources, stores_by_chain
from promolens_cli.main import main
from promolens_demo.maps.stores import ATTRIBUTION, demo_store_file, demo_stores, write_stores
from promolens_runtime.errors import InputError
from stores_support import SUWON, put, seeded_rows, store_file, store_row

TOWN = (37.5, 127.0)


def test_the_same_list_again_changes_nothing_but_its_age(places: Database) -> None:
    rows = seeded_rows(40)
    (first,) = put(places, rows).sources
    assert (first.rows, first.added, first.changed, first.dropped) == (40, 40, 0, 0)
    later = NOW + timedelta(days=90)
    (again,) = import_stores(places, [store_file(rows)], later).sources
    assert (again.rows, again.added, again.changed, again.dropped) == (40, 0, 0, 0)
    (source,) = store_sources(places)
    assert (source.imported_at, source.rows) == (later, 40)


def test_a_store_that_is_not_in_the_list_any_more_is_closed(places: Database) -> None:
    rows = [store_row(n, 37.5 + n / 1000, 127.0, Chain.CU) for n in range(4)]
    put(places, rows)
    moved = replace(rows[1], latitude=37.6, name="옮긴 점포")
    (report,) = put(places, [rows[0], moved, store_row(9, *TOWN, Chain.GS25)]).sources
    assert (report.rows, report.added, report.changed, report.dropped) == (3, 1, 1, 2)
    found = {one.store.source_id: one for one in nearest(places, *TOWN, 20_000).stores}
    assert sorted(found) == ["000000", "000001", "000009"]
    assert found["000001"].store.name == "옮긴 점포"
    assert found["000001"].distance_m == pytest.approx(11_119.5, abs=0.1)  # 0.1 degrees


def test_lists_of_other_regions_stay(places: Database) -> None:
    put(places, [store_row(1, *TOWN, Chain.CU)])
    other = replace(store_row(1, *TOWN, Chain.GS25), source="elsewhere")
    put(places, [other])
    assert stores_by_chain(places) == {("test", Chain.CU): 1, ("elsewhere", Chain.GS25): 1}
    assert drop_source(places, "test") == 1
    assert [one.name for one in store_sources(places)] == ["elsewhere"]
    assert [one.store.source for one in nearest(places, *TOWN, 10).stores] == ["elsewhere"]
    with pytest.raises(InputError, match="name of an imported list"):
        drop_source(places, "test")


def test_half_a_list_is_refused_unless_it_is_meant(places: Database) -> None:
    rows = seeded_rows(10)
    put(places, rows)
    with pytest.raises(InputError, match="at least half of the 10 stores"):
        put(places, rows[:4])
    assert sum(stores_by_chain(places).values()) == 10
    assert put(places, rows[:4], allow_fewer=True).sources[0].dropped == 6


def test_a_list_without_stores_is_refused(places: Database) -> None:
    put(places, seeded_rows(3))
    with pytest.raises(InputError, match="none that can be used"):
        put(places, [])
    assert sum(stores_by_chain(places).values()) == 3


def test_text_that_no_database_stores_stays_the_same_row(places: Database) -> None:
    row = replace(store_row(1, *TOWN, Chain.CU), source_id="a\0b", name="x\ud800y")
    put(places, [row])
    assert put(places, [row]).sources[0].changed == 0


def test_the_place_index_of_sqlite_stays_whole(sqlite_template: Path, tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    path.write_bytes(sqlite_template.read_bytes())
    database = open_database(str(path))
    for seed in range(3):
        put(database, seeded_rows(200 - seed * 30, seed), allow_fewer=True)
    with database.read() as connection:
        assert connection.execute(text("SELECT rtreecheck('store_place')")).scalar() == "ok"
        unlike = text(
            "SELECT count(*) FROM store s LEFT JOIN store_place p ON p.id = s.id "
            "WHERE p.id IS NULL OR s.latitude NOT BETWEEN p.south AND p.north"
        )
        assert connection.execute(unlike).scalar() == 0
        count = text("SELECT (SELECT count(*) FROM store), (SELECT count(*) FROM store_place)")
        assert connection.execute(count).one() == (140, 140)
    assert integrity_check(database) == []
    database.close()


def test_postgis_that_comes_later_is_used_from_the_next_import_on(
    postgis_catalog: str,
) -> None:
    database = open_database(postgis_catalog)
    with database.write() as connection:
        connection.exec_driver_sql("DROP INDEX IF EXISTS ix_store_place")
        connection.exec_driver_sql("DELETE FROM store_source")
    rows = seeded_rows(50)
    assert put(database, rows).index == "PostGIS"
    with database.write() as connection:
        connection.exec_driver_sql("DROP INDEX ix_store_place")
    # Without the index: the plain way, and the same stores.
    assert len(nearest(database, *TOWN, 20_000, limit=100).stores) > 0
    optimize(database)
    assert _index(database) == "PostGIS"
    database.close()


def test_a_catalog_that_moves_to_postgis_gets_the_index(
    sqlite_template: Path, tmp_path: Path, postgis_catalog: str
) -> None:
    path = tmp_path / "catalog.db"
    path.write_bytes(sqlite_template.read_bytes())
    source, target = open_database(str(path)), open_database(postgis_catalog)
    rows = seeded_rows(50)
    put(source, rows)
    with target.write() as connection:
        connection.exec_driver_sql("DROP INDEX IF EXISTS ix_store_place")
        empty_catalog(connection)
    copy_catalog(source, target)
    assert _index(target) == "PostGIS"
    found = [nearest(one, *TOWN, 20_000, limit=100).stores for one in (source, target)]
    assert [one.store.source_id for one in found[0]] == [one.store.source_id for one in found[1]]
    assert len(found[0]) > 0
    source.close()
    target.close()


def _index(database: Database) -> PlaceIndex:
    with database.read() as connection:
        return place_index(connection)


def test_the_demos_list_is_imported_like_any_other(places: Database) -> None:
    listed = demo_store_file(count=120)
    assert (listed.left_out, len(listed.stores)) == ({}, 120)
    # The chain that a name spells is the chain that the list states.
    assert [one.chain for one in listed.stores] == [one.chain for one in demo_stores(count=120)]
    import_stores(places, [listed], NOW)
    (source,) = store_sources(places)
    assert (source.name, source.attribution, source.rows) == ("demo", ATTRIBUTION, 120)


@pytest.fixture
def catalog(sqlite_template: Path, tmp_path: Path) -> Path:
    path = tmp_path / "promotions.db"
    path.write_bytes(sqlite_template.read_bytes())
    return path


def run(catalog: Path, *words: str) -> int:
    return main(["stores", words[0], "--database", str(catalog), *words[1:]])


def test_the_program_imports_and_finds(
    catalog: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "demo.csv"
    stores = demo_stores(count=200)
    write_stores(path, stores)
    assert run(catalog, "import", str(path), "--attribution", "invented") == 0
    assert "demo: 200 stores: 200 new" in capsys.readouterr().out
    one = next(store for store in stores if store.chain is Chain.GS25)
    place = ["--lat", str(one.latitude), "--lon", str(one.longitude)]
    assert run(catalog, "nearby", *place, "--chain", "gs25", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["stores"][0]["name"] == one.name
    assert answer["stores"][0]["distance_m"] == 0
    assert {store["chain"] for store in answer["stores"]} == {"gs25"}
    assert run(catalog, "nearby", *place, "--limit", "1") == 0
    assert "source: invented" in capsys.readouterr().out
    assert run(catalog, "nearby", "--lat", "33", "--lon", "125") == 0
    assert "no list of stores reaches there" in capsys.readouterr().out
    assert run(catalog, "sources") == 0
    assert "demo: 200 stores (plain)" in capsys.readouterr().out
    assert run(catalog, "drop", "demo") == 0
    assert run(catalog, "nearby", *place) == 0
    assert "no list of stores was imported" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nearby", "--lat", "91", "--lon", "0"), "latitude of -90 to 90"),
        (("nearby", "--lat", "nan", "--lon", "0"), "latitude of -90 to 90"),
        (("nearby", "--lat", "1", "--lon", "1", "--radius-m", "1e9"), "at most 20000 m"),
        (("nearby", "--lat", "1", "--lon", "1", "--chain", "aldi"), "Expected one of cu"),
        (("import", "nowhere.csv"), "No such file"),
        (("import", __file__), "columns of a list of stores"),
    ],
)
def test_bad_words_end_in_one_clear_line(
    catalog: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert run(catalog, *words) != 0
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_the_real_list_of_suwon_twice(catalog: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = os.environ.get("PROMOLENS_DATA")
    if not folder or not (Path(folder) / SUWON).is_file():
        pytest.skip("PROMOLENS_DATA names no folder with stores/")
    for added in (376, 0):
        assert run(catalog, "import", str(Path(folder) / SUWON), "--json") == 0
        report = json.loads(capsys.readouterr().out)
        assert report["files"][0]["left_out"] == {"no coordinates": 2}
        (source,) = report["sources"]
        assert (source["source"], source["rows"]) == ("gyeonggi-수원시", 376)
        assert (source["added"], source["dropped"]) == (added, 0)
