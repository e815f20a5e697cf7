"""Measure how long a publication takes: diff, tombstones, items, search index and change log.

Each round publishes a month's list of one chain into a catalog that has four chains, the way a
month begins: `--changed` of the rows are new content (half of them a known product at another
price, half a product that nobody knows yet), as many live rows end with a tombstone, the rest stay.
What is timed is `publish` alone, in one transaction, with the staged rows already there. The first
round, which has nothing to compare with, is not counted.

SQLite writes into --folder (a temporary one by default), so its disk counts. PostgreSQL is measured
at --postgresql, or, with `--postgresql start`, in a server that is started for it with its usual
settings, fsync included. On a machine that does other things too, look at the CPU column: what this
process itself computed, to which PostgreSQL's own work does not belong.

examples:
  python benchmarks/publishing.py
  python benchmarks/publishing.py --changed 0.1 --out benchmarks/results/publishing.json
  python benchmarks/publishing.py --postgresql start
  python benchmarks/publishing.py --postgresql postgresql://me@localhost/empty_database
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from promolens_catalog import maintenance, publishing, staging
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database, open_database
from promolens_catalog.kinds import Kind
from promolens_catalog.offers import Offer

BEGIN = datetime(2026, 1, 31, 15, 0, tzinfo=UTC)
PAGE_ROWS = 100
OTHER_CHAINS = (Chain.GS25, Chain.SEVEN, Chain.EMART24)


@dataclass(frozen=True)
class Round:
    """One timed publication."""

    engine: str
    rows: int
    added: int
    ended: int
    unchanged: int
    seconds: float
    cpu_seconds: float


def main(arguments: list[str] | None = None) -> int:
    """Measure, print a Markdown table and write JSON."""
    args = _parser().parse_args(arguments)
    if args.rows < 1 or args.rounds < 1 or not 0 <= args.changed <= 1:
        _parser().error("rows and rounds are at least 1, changed is a share from 0 to 1")
    rounds: list[Round] = []
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        rounds += _measure(f"{folder}/catalog.db", args)
    if args.postgresql == "start":
        with _own_server() as url:
            rounds += _measure(url, args)
    elif args.postgresql:
        rounds += _measure(args.postgresql, args)
    _print(rounds, args)
    if args.out:
        _write(args.out, rounds, args)
    return 0


def _parser() -> argparse.ArgumentParser:
    doc, _, examples = (__doc__ or "").partition("examples:")
    parser = argparse.ArgumentParser(
        description=doc,
        epilog="examples:" + examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=int, default=10_000, help="of the chain (default: 10000)")
    parser.add_argument(
        "--changed", type=float, default=1.0, help="share that begins and ends (default: 1.0)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="timed publications (default: 5)")
    parser.add_argument("--folder", type=Path, help="where SQLite's file lies")
    parser.add_argument("--postgresql", metavar="URL", help="address of an empty one, or: start")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    return parser


def _measure(url: str, args: argparse.Namespace) -> list[Round]:
    db = open_database(url)
    try:
        for chain in OTHER_CHAINS:
            publishing.publish(db, _stage(db, chain, range(args.rows // 4), BEGIN), BEGIN)
        step = max(1, round(args.rows * args.changed)) if args.changed else 0
        rounds = [
            _publish(db, args.rows, number * step, number) for number in range(args.rounds + 1)
        ]
        problems = maintenance.integrity_check(db)
        if problems:
            raise SystemExit(f"the catalog is damaged: {problems[0]}")
        return rounds[1:]  # the first round has nothing to compare with
    finally:
        db.close()


def _publish(db: Database, rows: int, first: int, number: int) -> Round:
    now = BEGIN + timedelta(days=number)
    crawl_id = _stage(db, Chain.CU, range(first, first + rows), now)
    start, cpu_start = time.perf_counter(), time.process_time()
    done = publishing.publish(db, crawl_id, now)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu_start
    print(f"{db.dialect}: {done} {seconds:.3f} s, CPU {cpu:.3f} s", file=sys.stderr)
    return Round(db.dialect, rows, done.added, done.ended, done.unchanged, seconds, cpu)


def _stage(db: Database, chain: Chain, numbers: range, now: datetime) -> int:
    offers = [_offer(chain, number) for number in numbers]
    crawl_id = staging.start_crawl(db, chain, "2026-02", "http", now)
    for start in range(0, len(offers), PAGE_ROWS):
        some = tuple(offers[start : start + PAGE_ROWS])
        page = staging.StagedPage(
            listing="all",
            number=start // PAGE_ROWS + 1,
            sha256="0" * 64,
            cards_seen=len(some),
            declared_total=len(offers),
            end_seen=start + PAGE_ROWS >= len(offers),
            offers=some,
        )
        staging.stage_page(db, crawl_id, page, now)
    return crawl_id


def _offer(chain: Chain, number: int) -> Offer:
    """Half of the numbers are a known product at another price, the other half a new product."""
    product = number % 5_000 if number % 2 else number
    digits = f"20{product:010d}"
    total = sum(map(int, digits[::2])) + 3 * sum(map(int, digits[1::2]))
    return Offer(
        chain=chain,
        name=f"달빛)구름과자{product}번{50 + product % 9 * 25}g",
        price_krw=1000 + number // 7 % 9000,
        kind=Kind.ONE_PLUS_ONE if number % 3 else Kind.TWO_PLUS_ONE,
        valid_from=date(2026, 2, 1),
        valid_until=date(2026, 2, 28),
        # Every tenth row has none, and is named by the chain's own number.
        barcode=None if number % 10 == 0 else f"{digits}{-total % 10}",
        site_id=str(number),
        image_url=f"https://images.example/{number}.jpg",
        category="과자",
    )


@contextlib.contextmanager
def _own_server() -> Iterator[str]:
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from postgres_server import postgres_server

    with postgres_server(safe=True) as server:
        server.execute("CREATE DATABASE benchmark")
        yield server.url("benchmark")


def _print(rounds: list[Round], args: argparse.Namespace) -> None:
    print(f"load average at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors\n")
    print("| engine | rows | begun | ended | kept | publish, median | slowest | CPU, median |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for engine in dict.fromkeys(one.engine for one in rounds):
        own = [one for one in rounds if one.engine == engine]
        counts = f"{own[-1].added} | {own[-1].ended} | {own[-1].unchanged}"
        middle = statistics.median(one.seconds for one in own)
        cpu = statistics.median(one.cpu_seconds for one in own)
        print(
            f"| {engine} | {args.rows} | {counts} | {middle:.2f} s "
            f"| {max(one.seconds for one in own):.2f} s | {cpu:.2f} s |"
        )


def _write(out: Path, rounds: list[Round], args: argparse.Namespace) -> None:
    report = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "load_average_1min": os.getloadavg()[0],
        "rows": args.rows,
        "changed": args.changed,
        "rounds": [asdict(one) for one in rounds],
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
