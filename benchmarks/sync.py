"""How much a phone that is three months behind has to load, and how long the server works on it.

    .venv/bin/python benchmarks/sync.py
    .venv/bin/python benchmarks/sync.py --changed 20000 --out sync.json

Invented lists as realistic as they need to be for their size: distinct names of 8 to 20 letters,
barcodes with makers' prefixes, image addresses with barcode or number, sections, gifts, prices. A
phone knows the catalog as it is; then four chains publish new months until `--changed` rows of the
log lie ahead of it. It loads them by `/v1/sync` page by page, as gzip and as brotli, from the
application in this process; and a bootstrap file. The worst case is measured too: as many rows that
are all new (no deletions among them). Bytes are those of bodies as they are sent. The exit status
is 1 where they are over 2 MB.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from search import invented_names

BOUND_BYTES = 2_000_000
MONTHS = ("2026-02", "2026-03", "2026-04", "2026-05")
PAGE = 2_000


def offers_of(chain: Any, month: str, names: list[str], numbers: list[int]) -> list[Any]:
    """Return a chain's list of a month."""
    from promolens_catalog.barcodes import check_digit
    from promolens_catalog.calendar import first_day, last_day
    from promolens_catalog.kinds import Kind
    from promolens_catalog.offers import Gift, Offer

    rng = random.Random(f"{chain}{month}")  # noqa: S311
    kinds = [Kind.ONE_PLUS_ONE] * 4 + [Kind.TWO_PLUS_ONE] * 5 + [Kind.GIFT, Kind.DISCOUNT]
    found = []
    for number in numbers:
        kind = rng.choice(kinds)
        digits = f"880{number * 7919 % 10**9:09d}"
        code = digits + check_digit(digits)
        found.append(
            Offer(
                chain=chain,
                name=names[number],
                price_krw=rng.randrange(8, 90) * 100,
                kind=kind,
                valid_from=first_day(month),
                valid_until=last_day(month),
                barcode=code,
                site_id=str(rng.randrange(10**5, 10**6)),
                gift=Gift(names[rng.randrange(len(names))]) if kind is Kind.GIFT else None,
                image_url=f"https://images.example/{chain}/product/{code}.jpg",
                category=rng.choice(("과자류", "음료", "아이스크림", "식품", "생활용품", None)),
            )
        )
    return found


def publish(database: Any, chain: Any, month: str, offers: list[Any]) -> None:
    """Stage and publish a list."""
    from promolens_catalog import publishing, staging
    from promolens_catalog.calendar import first_day, start_of_day

    now = start_of_day(first_day(month))
    crawl = staging.start_crawl(database, chain, month, "http", now)
    for page, start in enumerate(range(0, len(offers), 1_000), 1):
        some = tuple(offers[start : start + 1_000])
        staged = staging.StagedPage("all", page, "0" * 64, len(some), len(offers), True, some)
        staging.stage_page(database, crawl, staged, now)
    publishing.publish(database, crawl, now)


def fill(database: Any, changed: int, *, worst: bool) -> int:
    """Publish lists and return the version that the phone knows."""
    from promolens_catalog import changes
    from promolens_catalog.chains import Chain

    chains = (Chain.CU, Chain.GS25, Chain.SEVEN, Chain.EMART24)
    names = invented_names(changed * 2)
    rng = random.Random(1)  # noqa: S311
    if worst:
        publish(database, chains[0], MONTHS[0], offers_of(chains[0], MONTHS[0], names, [0]))
        begun: int = changes.catalog_versions(database)[0]
        half = [number + 1 for number in range(changed // 2)]
        publish(database, chains[1], MONTHS[1], offers_of(chains[1], MONTHS[1], names, half))
        return begun
    # A month's list is an eighth of what changes in three months at each of four chains, with a
    # tombstone for each row of the month before and a fifth of products that nobody knew.
    each = changed // 18
    pool = list(range(each * 3))
    known = 0
    for number, month in enumerate(MONTHS):
        for chain in chains:
            numbers = rng.sample(pool[: each * 2 + each * number // 4], each)
            publish(database, chain, month, offers_of(chain, month, names, numbers))
        if number == 0:
            known = changes.catalog_versions(database)[0]
    return known


def load(client: Any, since: int, coding: str) -> dict[str, Any]:
    """Page through what is ahead; return rows, pages, bytes and processor time."""
    position, pages, sent, ops = str(since), 0, 0, {"upsert": 0, "delete": 0}
    began = time.process_time()
    while True:
        query = {"since": position, "limit": PAGE}
        with client.stream(
            "GET", "/v1/sync", params=query, headers={"accept-encoding": coding}
        ) as got:
            sent += sum(map(len, got.iter_raw()))
        page = client.get("/v1/sync", params=query, headers={"accept-encoding": "identity"}).json()
        pages += 1
        for one in page["changes"]:
            ops[one["op"]] += 1
        position = page["next_since"]
        if not page["more"]:
            break
    used_s = time.process_time() - began
    return {"coding": coding, "pages": pages, "bytes": sent, "cpu_s": used_s, **ops}


def measure(changed: int, *, worst: bool) -> list[dict[str, Any]]:
    """Fill a catalog and load from it."""
    from starlette.testclient import TestClient

    from promolens_catalog.database import open_database
    from promolens_server.config import RateConfig, ServerConfig, SyncConfig
    from promolens_server.factory import create_app
    from promolens_server.services import open_services

    with tempfile.TemporaryDirectory() as folder:
        database = open_database(f"{folder}/catalog.db")
        known = fill(database, changed, worst=worst)
        database.close()
        config = ServerConfig(
            database_url=f"{folder}/catalog.db",
            rate=RateConfig(enabled=False),
            sync=SyncConfig(Path(folder) / "bootstrap"),
        )
        services = open_services(config, clock=lambda: datetime(2026, 5, 2, tzinfo=UTC))
        case = "all new" if worst else "three months"
        with TestClient(create_app(services)) as client:
            rows = [load(client, known, coding) | {"case": case} for coding in ("gzip", "br")]
            began = time.process_time()
            file = client.get("/v1/sync/bootstrap")
        rows.append(
            {
                "case": f"{case}: bootstrap file",
                "coding": "gzip",
                "pages": 1,
                "bytes": len(file.content),
                "cpu_s": time.process_time() - began,
                "upsert": int(file.headers["promolens-rows"]),
                "delete": 0,
            }
        )
    return rows


def main() -> int:
    """Measure, print a table; the exit status says whether the bound holds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--changed", type=int, default=20_000, help="rows of the log")
    parser.add_argument("--out", type=Path, help="also write the figures to this JSON file")
    args = parser.parse_args()
    rows = measure(args.changed, worst=False) + measure(args.changed, worst=True)
    print("| case | coding | upserts | deletions | pages | bytes | bytes a row | processor s |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in rows:
        count = row["upsert"] + row["delete"]
        print(
            f"| {row['case']} | {row['coding']} | {row['upsert']} | {row['delete']} "
            f"| {row['pages']} | {row['bytes']:,} | {row['bytes'] / count:.1f} "
            f"| {row['cpu_s']:.1f} |"
        )
    if args.out:
        args.out.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")
    return 0 if all(row["bytes"] < BOUND_BYTES for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
