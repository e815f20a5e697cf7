"""Measure what readers notice of publications: 50 clients read while another process publishes.

The service runs as `promolens serve` runs it, with log, limits, metrics and security headers. The
clients ask at a fixed total rate, in turn for a product by barcode, a page of a list, a search and
a page of sync. Rounds alternate: in the quiet ones nobody writes, in the others a process of its
own publishes one whole list after the other. All rows of list V cost the same and were read at a
second made of V, so an answer that mixes two lists shows; so does a client for whom time goes back.

Without a rate that the machine can bear, waiting in line is all that is measured: keep it below
half of what `benchmarks/server.py` reports. On a machine with few processors the publisher takes
one of them, and that is in the figures.

examples:
  python benchmarks/server_publishing.py
  python benchmarks/server_publishing.py --rows 10000 --rounds 5 --seconds 8 --rate 150
  python benchmarks/server_publishing.py --postgresql start --workers 2 --out publishing.json
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
MOST_TIMES = 3.0
FIRST_KRW = 1_000
PRICES = 9_000
# Of ten questions in a row; the others are for products.
KINDS = {7: "list", 8: "search", 9: "sync"}
SEARCH = "/v1/search?q=%EB%B3%B4%EB%A6%AC&limit=10"


@dataclass
class Round:
    """What the clients met in some seconds.

    Attributes:
        published: versions that came meanwhile.
        ms: how long each answer took.
        worst_ms: the slowest of each kind of question.
    """

    publishing: bool
    published: int = 0
    failed: int = 0
    mixed: int = 0
    back: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    ms: list[float] = field(default_factory=list)
    worst_ms: dict[str, float] = field(default_factory=dict)

    def share(self, part: float) -> float:
        """Return the time that this part of the answers took at most."""
        times = sorted(self.ms)
        return times[min(len(times) - 1, int(len(times) * part))] if times else float("nan")


def ean13(number: int) -> str:
    """Return the `number`-th code of the range for shops' own use."""
    digits = f"20{number:010d}"
    total = sum(int(d) * (3 if n % 2 else 1) for n, d in enumerate(digits))
    return digits + str(-total % 10)


def price_of(version: int) -> int:
    """Return the price on all rows of a version's list."""
    return FIRST_KRW + version % PRICES


def publish_lists(url: str, rows: int, stop_at: Path | None, begin: datetime) -> None:
    """Publish lists until a file is there (or one list without such a file)."""
    from promolens_catalog import publishing, staging
    from promolens_catalog.calendar import first_day, korean_month, last_day
    from promolens_catalog.chains import Chain
    from promolens_catalog.database import now_version, open_database
    from promolens_catalog.kinds import Kind
    from promolens_catalog.offers import Offer

    database = open_database(url)
    month = korean_month(begin)
    with database.read() as connection:
        version = now_version(connection)
    while True:
        version += 1
        now = begin + timedelta(seconds=version)
        crawl = staging.start_crawl(database, Chain.CU, month, "http", now)
        offers = tuple(
            Offer(
                chain=Chain.CU,
                name=f"달빛)보리과자{n}번{100 + n % 7}g",
                price_krw=price_of(version),
                kind=(Kind.ONE_PLUS_ONE, Kind.TWO_PLUS_ONE)[n % 2],
                valid_from=first_day(month),
                valid_until=last_day(month),
                barcode=ean13(n),
            )
            for n in range(rows)
        )
        page = staging.StagedPage("all", 1, "0" * 64, rows, rows, True, offers)
        staging.stage_page(database, crawl, page, now)
        done = publishing.publish(database, crawl, now)
        if done.version != version:
            raise SystemExit(f"somebody else publishes: {done.version}, not {version}")
        print(version, flush=True)
        if stop_at is None or stop_at.exists():
            break
    database.close()


class Client:
    """One connection that asks at its own pace and looks at every answer."""

    def __init__(self, number: int, port: int, rows: int, begin: datetime) -> None:
        self._number, self._port, self._rows = number, port, rows
        self._begin = begin
        # Not all ask for lists at the same moment.
        self._asked = number
        self._newest = 0
        self._since = "0"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def read_until(self, end_s: float, every_s: float, told: Round) -> None:
        """Ask every `every_s` seconds until a moment of the loop's clock."""
        clock = asyncio.get_running_loop().time
        at_s = clock() + every_s * (self._number % 50) / 50
        while at_s < end_s:
            await asyncio.sleep(max(0.0, at_s - clock()))
            began = time.perf_counter()
            try:
                await self._step(told, began)
            except (OSError, ValueError, asyncio.IncompleteReadError):
                told.failed += 1
                self._streams = None
            at_s = max(at_s + every_s, clock())

    async def _step(self, told: Round, began: float) -> None:
        kind = self._asked % 10
        if kind < 7:
            path = (
                f"/v1/products/by-barcode/{ean13((self._number * 97 + self._asked) % self._rows)}"
            )
        else:
            path = {
                7: "/v1/promotions?limit=20",
                8: SEARCH,
                9: f"/v1/sync?limit=100&since={self._since}",
            }[kind]
        self._asked += 1
        status, body = await self._ask(path)
        ms = (time.perf_counter() - began) * 1000
        told.ms.append(ms)
        name = KINDS.get(kind, "product")
        told.worst_ms[name] = max(ms, told.worst_ms.get(name, 0.0))
        told.statuses[str(status)] = told.statuses.get(str(status), 0) + 1
        if status != 200:
            told.failed += 1
            return
        found = json.loads(body)
        if kind == 9:
            self._since = found["next_since"]
            return
        self._check(found, told)

    def _check(self, found: Any, told: Round) -> None:
        (read_at,) = (one["snapshot_at"] for one in found["chains"] if one["chain"] == "cu")
        moment = datetime.fromisoformat(read_at)
        version = round((moment - self._begin).total_seconds())
        rows = [*found.get("promotions", [])]
        rows += [row for match in found.get("matches", []) for row in match["promotions"]]
        if not rows or {row["price_krw"] for row in rows} != {price_of(version)}:
            told.mixed += 1
        if version < self._newest:
            told.back += 1
        self._newest = max(self._newest, version)

    async def _ask(self, path: str) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=2**22)
        reader, writer = self._streams
        writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").lower().split("\r\n")
        sizes = [int(one.partition(":")[2]) for one in lines if one.startswith("content-length:")]
        body = await reader.readexactly(sizes[0]) if sizes else b""
        return int(lines[0].split()[1]), body


@contextlib.contextmanager
def serving(url: str, workers: int, folder: Path) -> Iterator[int]:
    """Run the service until the end of the block; gives its port."""
    config = folder / "server.toml"
    config.write_text(
        f'[rate]\nper_s = 1e9\nburst = 1000000000\n[sync]\nfolder = "{folder}/files"\n', "utf-8"
    )
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = int(one.getsockname()[1])
    command = [str(BIN / "promolens"), "serve", "--port", str(port), "--config", str(config)]
    process = subprocess.Popen(
        [*command, "--workers", str(workers)],
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PROMOLENS_DATABASE_URL": url},
    )
    try:
        _wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int) -> None:
    import urllib.request

    for _ in range(1_200):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10).close()
            return
        time.sleep(0.05)
    raise SystemExit("the service did not start")


async def one_round(
    clients: list[Client], publishing: bool, url: str, folder: Path, args: argparse.Namespace
) -> Round:
    """Let the clients read for `--seconds`; in a publishing round until the last list is whole."""
    told = Round(publishing)
    stop = folder / "stop"
    stop.unlink(missing_ok=True)
    publisher = None
    if publishing:
        words = (sys.executable, __file__, "--publish", url, "--rows", str(args.rows))
        publisher = await asyncio.create_subprocess_exec(
            *words, "--begin", args.begin.isoformat(), "--stop", str(stop), stdout=subprocess.PIPE
        )
        assert publisher.stdout is not None
        await publisher.stdout.readline()  # its start, which compiles and opens, is not measured
    end_s = asyncio.get_running_loop().time() + args.seconds
    every_s = len(clients) / args.rate
    await asyncio.gather(*(one.read_until(end_s, every_s, told) for one in clients))
    if publisher is not None:
        stop.touch()
        said, _ = await publisher.communicate()
        if publisher.returncode:
            raise SystemExit("the publisher failed")
        told.published = len(said.split())
    return told


async def measure(url: str, port: int, folder: Path, args: argparse.Namespace) -> list[Round]:
    """Return the rounds, quiet ones and others in turn; a first one of each is not counted."""
    clients = [Client(number, port, args.rows, args.begin) for number in range(args.clients)]
    rounds = []
    for number in range(2 * args.rounds + 1):
        one = await one_round(clients, bool(number % 2), url, folder, args)
        if number:
            rounds.append(one)
    return rounds


def run(url: str, engine: str, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Measure one engine."""
    publish_lists(url, args.rows, None, args.begin)
    with serving(url, args.workers, folder) as port:
        rounds = asyncio.run(measure(url, port, folder, args))
    quiet = [one for one in rounds if not one.publishing]
    busy = [one for one in rounds if one.publishing]
    found: dict[str, Any] = {"engine": engine, "workers": args.workers}
    for name, some in (("quiet", quiet), ("publishing", busy)):
        found[name] = {
            "answers": sum(len(one.ms) for one in some),
            "failed": sum(one.failed for one in some),
            "mixed": sum(one.mixed for one in some),
            "back": sum(one.back for one in some),
            "published": sum(one.published for one in some),
            "p50_ms": statistics.median(one.share(0.5) for one in some),
            "p99_ms": statistics.median(one.share(0.99) for one in some),
        }
    found["p99_times"] = found["publishing"]["p99_ms"] / found["quiet"]["p99_ms"]
    found["rounds"] = [
        {key: value for key, value in asdict(one).items() if key != "ms"}
        | {"p50_ms": one.share(0.5), "p99_ms": one.share(0.99)}
        for one in rounds
    ]
    return found


def show(found: list[dict[str, Any]]) -> bool:
    """Print a Markdown table; return whether readers noticed no more than they may."""
    print("| engine | workers | | answers | lists | failed | mixed | back | p50 ms | p99 ms |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    good = True
    for one in found:
        for name in ("quiet", "publishing"):
            row = one[name]
            print(
                f"| {one['engine']} | {one['workers']} | {name} | {row['answers']} "
                f"| {row['published']} | {row['failed']} | {row['mixed']} | {row['back']} "
                f"| {row['p50_ms']:.1f} | {row['p99_ms']:.1f} |"
            )
            good = good and row["failed"] == row["mixed"] == row["back"] == 0
        print(f"\n{one['engine']}: p99 is {one['p99_times']:.2f} times that of quiet rounds\n")
        good = good and one["p99_times"] <= MOST_TIMES
    return good


def _parser() -> argparse.ArgumentParser:
    doc, _, examples = (__doc__ or "").partition("examples:")
    parser = argparse.ArgumentParser(
        description=doc,
        epilog="examples:" + examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=int, default=10_000, help="of a list, all of them new")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--rate", type=float, default=150.0, help="requests a second, of all")
    parser.add_argument("--rounds", type=int, default=5, help="of each kind")
    parser.add_argument("--seconds", type=float, default=8.0, help="of a round")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--no-sqlite", action="store_true")
    parser.add_argument("--postgresql", metavar="URL", help="address of an empty one, or: start")
    parser.add_argument("--out", type=Path, help="also write the figures to this JSON file")
    parser.add_argument("--publish", metavar="URL", help=argparse.SUPPRESS)
    parser.add_argument("--begin", type=datetime.fromisoformat, help=argparse.SUPPRESS)
    parser.add_argument("--stop", type=Path, help=argparse.SUPPRESS)
    return parser


def main() -> int:
    """Measure, print tables, write JSON."""
    from datetime import UTC

    args = _parser().parse_args()
    if args.publish:
        publish_lists(args.publish, args.rows, args.stop, args.begin)
        return 0
    args.begin = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    load_before = os.getloadavg()[0]
    found = []
    with tempfile.TemporaryDirectory() as name:
        if not args.no_sqlite:
            found.append(run(f"sqlite:///{name}/catalog.db", "SQLite", Path(name), args))
        if args.postgresql == "start":
            sys.path.insert(0, str(Path(__file__).parent))
            from publishing import _own_server

            with _own_server() as url:
                found.append(run(url, "PostgreSQL", Path(name), args))
        elif args.postgresql:
            found.append(run(args.postgresql, "PostgreSQL", Path(name), args))
    good = show(found)
    print(f"load average before {load_before:.1f} on {os.cpu_count()} processors")
    if args.out:
        options = {k: getattr(args, k) for k in ("rows", "clients", "rate", "rounds", "seconds")}
        report = {
            "engines": found,
            **options,
            "load_average_before": load_before,
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
        }
        args.out.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
