"""Moving a catalog from one engine to another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from catalog_support import HOUR, NOW, make_offers, stage_crawl
from promolens_catalog import changes, copying, publishing, snapshots
from promolens_catalog.chains import Chain
from promolens_catalog.copying import copy_catalog
from promolens_catalog.database import Database, open_database
from promolens_catalog.maintenance import integrity_check
from promolens_catalog.schema import metadata
from promolens_catalog.search import search
from promolens_runtime.errors import InputError


def contents(db: Database) -> dict[str, list[dict[str, Any]]]:
    with db.read() as connection:
        return {
            table.name: [
                dict(row)
                for row in connection.execute(
                    select(table).order_by(*table.primary_key.columns)
                ).mappings()
            ]
            for table in metadata.sorted_tables
        }


def test_a_catalog_moves_to_the_other_engine_and_back(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "ROWS_AT_ONCE", 100)
    first = open_database(str(tmp_path / "first.db"))
    publishing.publish(first, stage_crawl(first, make_offers(range(300)), page_size=100), NOW)
    again = stage_crawl(first, make_offers(range(30, 60)), NOW + HOUR)
    publishing.publish(first, again, NOW + HOUR)
    publishing.rollback(first, Chain.CU, NOW + HOUR)
    held = stage_crawl(first, make_offers(range(9)), NOW + 2 * HOUR)
    held_id = publishing.hold(first, held, ["ask a person"], NOW + 2 * HOUR)
    changes.prune(first, 2)

    copied = copy_catalog(first, database)
    assert contents(database) == contents(first)
    assert (copied["promotion"], copied["snapshot"], copied["staged_offer"]) == (570, 4, 9)
    assert integrity_check(database) == []
    assert search(database, "보리과자") == search(first, "보리과자") != []
    # It works on: numbers go on after the copied ones, what was held can be decided.
    assert publishing.approve(database, held_id, NOW + 3 * HOUR).version == 4
    later = stage_crawl(database, make_offers(range(5, 500, 100)), NOW + 4 * HOUR)
    assert publishing.publish(database, later, NOW + 4 * HOUR).version == 5

    last = open_database(str(tmp_path / "last.db"))
    copy_catalog(database, last)
    assert contents(last) == contents(database)
    assert integrity_check(last) == []
    for db in (first, last):
        db.close()


def test_a_catalog_is_copied_into_an_empty_one_only(database: Database, tmp_path: Path) -> None:
    other = open_database(str(tmp_path / "other.db"))
    publishing.publish(other, stage_crawl(other, make_offers(range(3))), NOW)
    publishing.mark_source(database, Chain.GS25, "gone", NOW, "redirect")
    with pytest.raises(InputError, match=r"with rows in (source|change)"):
        copy_catalog(other, database)
    assert snapshots.snapshots(database) == []
    assert changes.catalog_versions(database) == (1, 0)
    other.close()
