"""How often free text finds the right product, on recorded lists of several chains.

    .venv/bin/python benchmarks/search_quality.py ../shared/data/promotions/2026-02 --month 2026-02
    .venv/bin/python benchmarks/search_quality.py lists/ --month 2026-02 --out quality.json

The folder holds one CSV for each chain, named in its `chain` column. For each chain, a catalog is
made of the others' lists; every name of the chain whose barcode one of them has is asked for. An
answer is right if it is the item with that barcode. Items without a barcode are left out of the
answers: some are the very product, and nobody knows which.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select

from promolens_catalog import items
from promolens_catalog.database import Database, open_database
from promolens_catalog.importing import ImportedList, list_of, stage_list
from promolens_catalog.items import BARCODE, ItemKey
from promolens_catalog.list_rows import chain_of
from promolens_catalog.publishing import publish
from promolens_catalog.records import read_records
from promolens_catalog.schema import item_key
from promolens_catalog.search import candidates
from promolens_runtime.errors import InputError

SHOWN = 5
ASKED_FOR = 20


def read_lists(folder: Path, month: str) -> list[ImportedList]:
    """Read all lists of a folder; each row names its chain."""
    found = []
    for path in sorted(folder.glob("*.csv")):
        file = read_records(path)
        chain = chain_of(str(file.records[0].fields.get("chain", ""))) if file.records else None
        if chain is None:
            raise InputError(
                f"Expected a chain in the first row of {path}. Received none. Name it."
            )
        found.append(list_of(file, chain, month))
    return found


def measure(database: Database, asking: ImportedList) -> dict[str, int]:
    """Ask for every name whose barcode the catalog has; count how often it came first."""
    with database.read() as connection:
        coded = set(
            connection.execute(
                select(item_key.c.item_id).where(item_key.c.kind == BARCODE)
            ).scalars()
        )
        wanted = {
            (offer.name, ItemKey(BARCODE, offer.barcode))
            for offer in asking.offers
            if offer.barcode
        }
        known = items.find(connection, (key for _, key in wanted))
        counts = {"queries": 0, "first": 0, f"of first {SHOWN}": 0}
        for name, key in wanted:
            if key not in known:
                continue
            found = candidates(connection, name, limit=ASKED_FOR, min_score=0)
            ids = [one.item_id for one in found if one.item_id in coded]
            counts["queries"] += 1
            counts["first"] += ids[:1] == [known[key]]
            counts[f"of first {SHOWN}"] += known[key] in ids[:SHOWN]
    return counts


def run(lists: list[ImportedList]) -> dict[str, dict[str, int]]:
    """Return the counts of each chain against the others."""
    now = datetime.now(UTC)
    report = {}
    for asking in lists:
        with tempfile.TemporaryDirectory() as folder:
            database = open_database(f"{folder}/catalog.db")
            for other in lists:
                if other is not asking:
                    publish(database, stage_list(database, other, now), now)
            report[str(asking.chain)] = measure(database, asking)
            database.close()
    return report


def main() -> int:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--month", required=True, metavar="YYYY-MM")
    parser.add_argument("--out", type=Path, help="also write the counts to this JSON file")
    args = parser.parse_args()
    report = run(read_lists(args.folder, args.month))
    columns = ("queries", "first", f"of first {SHOWN}")
    report["all"] = {name: sum(row[name] for row in report.values()) for name in columns}
    print(f"| names of | queries | right first | right among {SHOWN} |\n| --- | --- | --- | --- |")
    for chain, row in report.items():
        queries, first, among = (row[name] for name in columns)
        print(f"| {chain} | {queries} | {first / queries:.1%} | {among / queries:.1%} |")
    if args.out:
        args.out.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
