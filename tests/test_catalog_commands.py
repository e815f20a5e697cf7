"""`promolens catalog` as people type it, bad input included."""

from __future__ import annotations

import json
import re
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from catalog_support import make_offer, stage_crawl
from promolens_catalog import copying
from promolens_catalog.calendar import first_day, korean_month, last_day
from promolens_catalog.database import open_database
from promolens_catalog.kinds import Kind
from promolens_catalog.publishing import publish
from promolens_cli.main import main
from promolens_demo.catalogue import make_catalogue

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"
LEMON = make_catalogue(24)[0]


@pytest.fixture
def catalog(sqlite_template: Path, tmp_path: Path) -> Path:
    """A catalog of this month with two promotions, in a file."""
    path = tmp_path / "promotions.db"
    path.write_bytes(sqlite_template.read_bytes())
    now = datetime.now(UTC)
    month = korean_month(now)
    days: dict[str, Any] = {"valid_from": first_day(month), "valid_until": last_day(month)}
    database = open_database(str(path))
    offers = [
        make_offer(0, barcode=LEMON.barcode, name="별솔샘레몬소다250ml", price_krw=1400, **days),
        make_offer(1, name="달빛)보리차500ml", price_krw=2500, kind=Kind.TWO_PLUS_ONE, **days),
    ]
    publish(database, stage_crawl(database, offers, now, month=month), now)
    database.close()
    return path


def run(catalog: Path, *words: str) -> int:
    return main(["catalog", words[0], "--database", str(catalog), *words[1:]])


def answer(catalog: Path, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert run(catalog, *words, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_a_lookup_joins_whatever_is_loaded(
    catalog: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(EXAMPLES / name) for name in ("nutrition.toml", "nutrition.csv")]
    assert run(catalog, "load-source", *files) == 0
    assert "nutrition: 24 rows (before: 0), joined by barcode" in capsys.readouterr().out
    assert run(catalog, "lookup", LEMON.barcode, "--history") == 0
    text = capsys.readouterr().out
    assert "1,400 won       700 each       280 for 100 ml" in text
    assert "영양 성분: 1회 제공량 250ml, 열량 " in text
    found = answer(catalog, capsys, "lookup", LEMON.barcode, "--history")
    assert found["status"] == "promotions"
    assert [one["unit_price_krw"] for one in found["promotions"]] == [700]
    assert found["facts"][0]["rows"][0]["serving"] == "250ml"
    assert [one["live"] for one in found["history"]] == [True]
    listed = answer(catalog, capsys, "sources")
    assert [(one["declaration"]["name"], one["rows"]) for one in listed] == [
        ("promotions", 2),
        ("nutrition", 24),
    ]
    assert run(catalog, "drop-source", "nutrition") == 0


def test_a_no_and_an_unknown_product_are_said_differently(
    catalog: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(catalog, "lookup", "8801056150013") == 0
    assert "no list ever had this product" in capsys.readouterr().out


def test_search_and_list(catalog: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(catalog, capsys, "search", "보리 차", "--offered")
    assert [match["name"] for match in found["matches"]] == ["달빛)보리차500ml"]
    assert run(catalog, "search", "없는것") == 0
    assert capsys.readouterr().out == "nothing is like it\n"
    page = answer(catalog, capsys, "list", "--sort", "per-100", "--limit", "1")
    assert (page["total"], page["next_offset"], page["version"]) == (2, 1, 1)
    assert page["promotions"][0]["price_per_100_krw"] == 280.0
    assert run(catalog, "list", "--chain", "cu", "--kind", "2+1") == 0
    assert capsys.readouterr().out.endswith("달빛)보리차500ml\n1 of 1 at version 1\n")


def test_a_backup_opens_and_a_damaged_catalog_is_said_to_be_so(
    catalog: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy.db"
    assert run(catalog, "backup", str(copy)) == 0
    assert run(catalog, "optimize", "--reindex") == 0
    assert "2 products in the text index" in capsys.readouterr().out
    assert answer(copy, capsys, "check") == {"ok": True, "findings": []}
    database = open_database(str(copy))
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE promotion SET until_version = 1")
    database.close()
    assert run(copy, "check") == 3
    assert capsys.readouterr().out.startswith("wrong: ")


def test_a_catalog_is_copied_to_the_other_engine_and_back(
    catalog: Path, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["catalog", "copy", str(catalog), database_url]) == 0
    out = capsys.readouterr().out
    assert re.search(r"(?m)^promotion +2$", out)
    assert re.search(r"rows, version 1$", out)
    back = tmp_path / "back.db"
    assert main(["catalog", "copy", database_url, str(back), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["target"], told["version"]) == (str(back), 1)
    assert (told["rows"]["promotion"], told["rows"]["snapshot"]) == (2, 1)
    assert answer(back, capsys, "check") == {"ok": True, "findings": []}
    assert answer(back, capsys, "list") == answer(catalog, capsys, "list")


def test_a_copy_into_a_catalog_with_rows_is_refused(
    catalog: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["catalog", "copy", str(catalog), database_url]) == 0
    for target in (database_url, str(catalog)):
        assert main(["catalog", "copy", str(catalog), target]) == 2
        assert "error: Expected an empty catalog in " in capsys.readouterr().err


def test_a_copy_that_fails_leaves_no_new_file(
    catalog: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with sqlite3.connect(catalog) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    target = tmp_path / "new.db"
    assert main(["catalog", "copy", str(catalog), str(target)]) == 2
    assert main(["catalog", "copy", str(tmp_path / "none.db"), str(target)]) == 2
    assert "Received no file" in capsys.readouterr().err
    assert list(tmp_path.glob("n*")) == []


def test_a_copy_that_is_interrupted_leaves_no_new_file(
    catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_connection: Connection) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(copying, "_count_on", interrupt)
    assert main(["catalog", "copy", str(catalog), str(tmp_path / "new.db")]) == 130
    assert list(tmp_path.glob("new*")) == []


def test_a_copy_shows_how_far_it_is_on_a_terminal(
    catalog: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert main(["catalog", "copy", str(catalog), str(tmp_path / "new.db")]) == 0
    shown = re.findall(r"\r([\d,]+) of ([\d,]+) rows", capsys.readouterr().err)
    assert [int(copied) for copied, _ in shown] == sorted(int(copied) for copied, _ in shown)
    assert shown[-1][0] == shown[-1][1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("lookup", "8801056150014"), "Expected a barcode"),
        (("lookup", "콜라"), "Expected a barcode"),
        (("search", "x" * 201), "at most 200 characters"),
        (("search", "x", "--limit", "0"), "limit of 1 to 60"),
        (("list", "--kind", "4+1"), "Expected one of 1+1"),
        (("list", "--chain", "story"), "Expected one of cu"),
        (("list", "--sort", "name"), "Expected one of unit-price"),
        (("list", "--limit", "501"), "limit of 1 to 500"),
        (("list", "--at-version", "9"), "a version of at most 1"),
        (("drop-source", "x"), "name of a loaded data source"),
        (
            ("load-source", str(EXAMPLES / "nutrition.toml"), "/dev/null"),
            "Expected a table with a header line",
        ),
        (
            ("load-source", str(EXAMPLES / "nutrition.csv"), str(EXAMPLES / "nutrition.csv")),
            "Expected TOML",
        ),
    ],
)
def test_bad_input_is_one_line(
    catalog: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    assert run(catalog, *words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: Expected ")
    assert message in error
    assert error.count("\n") == 1


def test_a_catalog_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    assert run(path, "search", "콜라") == 2
    assert run(path, "check") == 2
    assert not path.exists()
