"""How long it takes to link rows without a barcode against a large catalog.

    .venv/bin/python benchmarks/matching.py
    .venv/bin/python benchmarks/matching.py --items 50000 --rows 800 --out matching.json

Names are the invented ones of benchmarks/search.py. Every item is sold by one to three chains, each
spelling it in its way, at one price; the rows to link are the same products as a fourth chain would
spell them, half of them unknown to the catalog. The catalog is a SQLite file in a temporary folder.

`call` is the whole linker, reading the catalog included; the bound is 15 s of processor time.
How good the links are is another question: see `promolens match evaluate`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import tempfile
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from search import invented_names

from promolens_catalog import publishing, staging
from promolens_catalog.barcodes import check_digit
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database, open_database
from promolens_catalog.kinds import Kind
from promolens_catalog.linking import NameLinker, known_names
from promolens_catalog.offers import Offer

BOUND_S = 15.0
NOW = datetime(2026, 2, 24, 3, 0, tzinfo=UTC)
OTHERS = (Chain.CU, Chain.GS25, Chain.EMART24)
PAGE = 1000


def offer(chain: Chain, name: str, number: int, barcode: str | None) -> Offer:
    """Return a row of a chain for the `number`-th product."""
    spelled = {
        Chain.SEVEN: name,
        Chain.CU: name[:15],
        Chain.GS25: name.upper(),
        Chain.EMART24: name.replace(")", ")new", 1) if number % 5 == 0 else name,
    }[chain]
    return Offer(
        chain=chain,
        name=spelled,
        price_krw=800 + number % 70 * 100,
        kind=(Kind.ONE_PLUS_ONE, Kind.TWO_PLUS_ONE)[number % 2],
        valid_from=date(2026, 2, 1),
        valid_until=date(2026, 2, 28),
        barcode=barcode,
        site_id=str(number),
    )


def barcode_of(number: int) -> str:
    """Return the in-store barcode of the `number`-th product."""
    digits = f"20{number:010d}"
    return digits + check_digit(digits)


def publish(database: Database, chain: Chain, offers: list[Offer]) -> None:
    """Make the offers the chain's list."""
    crawl_id = staging.start_crawl(database, chain, "2026-02", "http", NOW)
    for start in range(0, len(offers), PAGE):
        some = tuple(offers[start : start + PAGE])
        page = staging.StagedPage(
            listing="all",
            number=start // PAGE + 1,
            sha256=f"{start:064x}",
            cards_seen=len(some),
            declared_total=len(offers),
            end_seen=start + PAGE >= len(offers),
            offers=some,
        )
        staging.stage_page(database, crawl_id, page, NOW)
    publishing.publish(database, crawl_id, NOW)


def measure(database: Database, names: list[str], items: int, rows: int) -> dict[str, Any]:
    """Fill the catalog, link, and return seconds and counts."""
    rng = random.Random(3)  # noqa: S311
    for chain in OTHERS:
        sold = [n for n in range(items) if n % 3 == OTHERS.index(chain) or rng.random() < 0.3]
        publish(database, chain, [offer(chain, names[n], n, barcode_of(n)) for n in sold])
        print(f"{chain}: {len(sold)} rows")
    asked = rng.sample(range(items), rows // 2) + list(range(items, items + rows - rows // 2))
    offers = [offer(Chain.SEVEN, names[n], n, None) for n in asked]
    linker = NameLinker()
    with database.read() as connection:
        start = time.process_time()
        known = known_names(connection, Chain.SEVEN)
        reading_s = time.process_time() - start
        wall, processor = time.perf_counter(), time.process_time()
        links = linker(connection, offers)
        processor_s, wall_s = time.process_time() - processor, time.perf_counter() - wall
    return {
        "items": items,
        "known_names": len(known),
        "rows": rows,
        "linked": sum(link.item_id is not None for link in links),
        "doubtful": sum(bool(link.candidates) for link in links),
        "catalog_processor_s": round(reading_s, 2),
        "call_processor_s": round(processor_s, 2),
        "call_wall_s": round(wall_s, 2),
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "load_average": round(os.getloadavg()[0], 1),
    }


def main() -> int:
    """Measure, print a table, and say by the exit status whether the bound holds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--rows", type=int, default=800)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    names = invented_names(args.items + args.rows)
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(str(Path(folder) / "catalog.db"))
        found = measure(database, names, args.items, args.rows)
        database.close()
    print("\n| " + " | ".join(found) + " |")
    print("|" + " --- |" * len(found))
    print("| " + " | ".join(map(str, found.values())) + " |")
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    return 0 if found["call_processor_s"] <= BOUND_S else 1


if __name__ == "__main__":
    raise SystemExit(main())
