"""Compare the server with a bare endpoint on the same uvicorn, and with Datasette on the same file.

    apt-get install wrk hey
    pip install 'promolens[server,catalog,server-bench]'
    .venv/bin/python benchmarks/server.py
    .venv/bin/python benchmarks/server.py --products 50000 --rounds 5 --seconds 5 --out server.json
    .venv/bin/python benchmarks/server.py --catalog kept.db      # made if it is not there

One process each, on loopback, one after the other in every round, in shuffled order, with the same
number of connections: a bare Starlette "hello", Datasette on the same SQLite file, and promolens as
`promolens serve` runs it, with request log, rate limit (set so high that it never says no), metrics
and security headers. wrk sends the requests. Barcodes are those of all products in a shuffled
order; fragments are `--fragments` distinct ones of names, none twice in a lap.

Ratios are to the bare endpoint of the same round; the median of the rounds is shown. On a machine
that does other things too, look at the ratio of processor times (of the server's process, for each
request), which others disturb less. The tail is measured by hey, at half of what each endpoint
answered at most, on one address. The exit status is 1 where a bound does not hold by processor
time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from search import distinct_queries, invented_names

BOUNDS = {"lookup": 0.25, "not modified": 0.40, "search": 0.03}
OVER_DATASETTE = 5.0
# Products with a barcode that four chains offered in one real month: 3,366.
MONTH = 3_400
BIN = Path(sys.executable).parent
SQL = (
    "SELECT i.canonical_name, p.chain, p.kind, p.price_krw, p.valid_from, p.valid_until "
    "FROM item_key k JOIN item i ON i.id = k.item_id "
    "LEFT JOIN promotion p ON p.item_id = i.id AND p.until_version IS NULL "
    "WHERE k.kind = 'barcode' AND k.value = :code"
)
SCRIPT = """
local paths, at = {{}}, 0
for line in io.lines("{file}") do paths[#paths + 1] = line end
request = function()
  at = at % #paths + 1
  return wrk.format("GET", paths[at], {headers})
end
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %.1f %.1f\\n", summary.requests, summary.duration,
    e.connect + e.read + e.write + e.timeout + e.status, latency:percentile(50),
    latency:percentile(99)))
end
"""


@dataclass
class Case:
    """One endpoint and what was measured of it, a value a round.

    Attributes:
        headers: sent with each request.
        rps: requests a second. `busy_us`: processor time of the server for each, microseconds.
    """

    name: str
    server: str
    paths: list[str]
    headers: dict[str, str] = field(default_factory=dict)
    rps: list[float] = field(default_factory=list)
    busy_us: list[float] = field(default_factory=list)
    errors: int = 0
    tail: list[float] = field(default_factory=list)


def hello() -> Any:
    """Return the bare endpoint, for `uvicorn --factory`."""
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def answer(_request: object) -> PlainTextResponse:
        return PlainTextResponse("hello")

    return Starlette(routes=[Route("/", answer)])


def ean13(number: int) -> str:
    """Return the `number`-th code of the range for shops' own use."""
    digits = f"20{number:010d}"
    total = sum(int(d) * (3 if n % 2 else 1) for n, d in enumerate(digits))
    return digits + str(-total % 10)


def fill(path: Path, names: list[str]) -> None:
    """Publish a list of two chains: all products at the first, every third at the second too."""
    from promolens_catalog import publishing, staging
    from promolens_catalog.calendar import korean_month
    from promolens_catalog.chains import Chain
    from promolens_catalog.database import open_database

    now = datetime.now(UTC)
    database = open_database(str(path))
    for chain, step in ((Chain.CU, 1), (Chain.GS25, 3)):
        crawl = staging.start_crawl(database, chain, korean_month(now), "http", now)
        offers = [_offer(chain, n, names[n], now) for n in range(0, len(names), step)]
        for page, start in enumerate(range(0, len(offers), 1_000), 1):
            some = tuple(offers[start : start + 1_000])
            staged = staging.StagedPage("all", page, "0" * 64, len(some), len(offers), True, some)
            staging.stage_page(database, crawl, staged, now)
        publishing.publish(database, crawl, now)
    database.close()


def _offer(chain: Any, number: int, name: str, now: datetime) -> Any:
    from promolens_catalog.calendar import first_day, korean_month, last_day
    from promolens_catalog.kinds import Kind
    from promolens_catalog.offers import Offer

    month = korean_month(now)
    return Offer(
        chain=chain,
        name=name,
        price_krw=900 + number % 90 * 100,
        kind=(Kind.ONE_PLUS_ONE, Kind.TWO_PLUS_ONE, Kind.GIFT, Kind.DISCOUNT)[number % 4],
        valid_from=first_day(month),
        valid_until=last_day(month),
        barcode=ean13(number),
        image_url=f"https://images.example/{chain}/{ean13(number)}.jpg",
        category=("과자", "음료", "식품", None)[number % 4],
    )


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass
class Server:
    """A running one.

    Attributes:
        ready_s: from its start to its first answer.
    """

    process: subprocess.Popen[bytes]
    url: str
    ready_s: float = 0.0

    def busy_s(self) -> float:
        """Return the processor time of its process so far, seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        """Return its resident memory, MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        return int(found[1]) / 1000 if found else 0.0


@contextlib.contextmanager
def running(command: list[str], path: str, environment: dict[str, str]) -> Iterator[Server]:
    """Start a server with `PORT` in its command replaced, and wait for `path`."""
    port = free_port()
    began = time.perf_counter()
    process = subprocess.Popen(
        [part.replace("PORT", str(port)) for part in command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | environment,
    )
    server = Server(process, f"http://127.0.0.1:{port}")
    try:
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(server.url + path, timeout=5).read()  # noqa: S310
                break
            if process.poll() is not None or time.perf_counter() - began > 60:
                raise SystemExit(f"error: {command[0]} did not start")
            time.sleep(0.005)
        server.ready_s = time.perf_counter() - began
        yield server
    finally:
        process.terminate()
        process.wait(20)


def load(case: Case, server: Server, folder: Path, seconds: float, connections: int) -> None:
    """Let wrk send a case's requests and keep what it measured."""
    file = folder / "paths.txt"
    file.write_text("\n".join(case.paths) + "\n", "utf-8")
    headers = "{" + ",".join(f'["{k}"]={json.dumps(v)}' for k, v in case.headers.items()) + "}"
    script = folder / "load.lua"
    script.write_text(SCRIPT.format(file=file, headers=headers), "utf-8")
    before = server.busy_s()
    done = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "-s", str(script), server.url],
        capture_output=True,
        text=True,
        check=True,
    )
    busy = server.busy_s() - before
    found = re.search(r"RESULT (\d+) (\d+) (\d+)", done.stdout)
    assert found is not None, done.stdout
    requests, microseconds, errors = map(int, found.groups())
    # wrk counts 304 as what it is; only 4xx and 5xx are errors of status.
    case.rps.append(requests / microseconds * 1e6)
    case.busy_us.append(busy / max(requests, 1) * 1e6)
    case.errors += errors


def tail(case: Case, server: Server, seconds: float) -> None:
    """Let hey send half of what the case answered at most, and keep p99 / median."""
    clients = 4
    rate = max(1.0, statistics.median(case.rps) / 2 / clients)
    command = ["hey", "-o", "csv", "-z", f"{seconds:.0f}s", "-c", str(clients), "-q", f"{rate:.1f}"]
    for name, value in case.headers.items():
        command += ["-H", f"{name}: {value}"]
    done = subprocess.run(
        [*command, server.url + case.paths[0]], capture_output=True, text=True, check=True
    )
    times = sorted(float(line.split(",")[0]) for line in done.stdout.splitlines()[1:])
    if times:
        case.tail.append(times[int(len(times) * 0.99)] / max(times[len(times) // 2], 1e-6))


def tagged(server: Server, path: str) -> dict[str, str]:
    """Return the header with which an address answers 304."""
    with urllib.request.urlopen(server.url + path) as answer:  # noqa: S310
        return {"If-None-Match": answer.headers["etag"]}


def cases_of(names: list[str], fragments: int, database: str, seed: int = 3) -> list[Case]:
    """Return what is measured; `database` is what Datasette calls the catalog."""
    rng = random.Random(seed)  # noqa: S311
    codes = [ean13(number) for number in range(len(names))]
    rng.shuffle(codes)
    quoted = [urllib.parse.quote(text, safe="") for text in distinct_queries(names, fragments)]
    sql = urllib.parse.quote(SQL)
    lookups = [f"/v1/products/by-barcode/{code}" for code in codes]
    return [
        Case("bare hello", "hello", ["/"]),
        Case("lookup", "promolens", lookups[:MONTH]),
        Case("lookup, each once", "promolens", lookups),
        Case("not modified", "promolens", lookups[:1]),
        Case("not modified, list", "promolens", ["/v1/promotions?chain=cu&sort=per-100"]),
        Case("search", "promolens", [f"/v1/search?q={text}" for text in quoted]),
        Case("autocomplete", "promolens", [f"/v1/autocomplete?q={text}" for text in quoted]),
        Case(
            "Datasette lookup",
            "datasette",
            [f"/{database}.json?sql={sql}&_shape=array&code={code}" for code in codes],
        ),
    ]


def commands(catalog: Path, folder: Path) -> dict[str, tuple[list[str], str, dict[str, str]]]:
    """Return how each server is started: command, address to wait for, environment."""
    config = folder / "server.toml"
    config.write_text("[rate]\nper_s = 1e9\nburst = 1000000000\n", "utf-8")
    here = str(Path(__file__).parent)
    uvicorn = [str(BIN / "uvicorn"), "--port", "PORT", "--no-access-log", "--log-level", "warning"]
    serve = [str(BIN / "promolens"), "serve", "--port", "PORT", "--config", str(config)]
    datasette = [str(BIN / "datasette"), "serve", str(catalog), "--port", "PORT"]
    return {
        "hello": ([*uvicorn, "--factory", "--app-dir", here, "server:hello"], "/", {}),
        "promolens": (
            serve,
            "/readyz",
            {"PROMOLENS_DATABASE_URL": str(catalog), "XDG_CACHE_HOME": str(folder)},
        ),
        "datasette": (datasette, "/-/versions.json", {}),
    }


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Start everything, send everything, return the report."""
    catalog = args.catalog or folder / "catalog.db"
    names = invented_names(args.products)
    if not catalog.exists():
        began = time.perf_counter()
        fill(catalog, names)
        print(f"filled in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    cases = cases_of(names, args.fragments, catalog.stem)
    how = commands(catalog, folder)
    if args.no_datasette:
        cases = [case for case in cases if case.server != "datasette"]
        how.pop("datasette")
    starts = start_times(*how["promolens"], runs=args.rounds)
    with contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(running(*one)) for name, one in how.items()}
        for case in cases:
            if case.name.startswith("not modified"):
                case.headers |= tagged(servers["promolens"], case.paths[0])
        rng = random.Random(4)  # noqa: S311
        for _ in range(args.rounds):
            for case in rng.sample(cases, len(cases)):
                load(case, servers[case.server], folder, args.seconds, args.connections)
        for _ in range(args.rounds):
            for case in cases:
                tail(case, servers[case.server], args.seconds)
        memory = {name: server.memory_mb() for name, server in servers.items()}
    return report(cases, memory, starts, args)


def start_times(
    command: list[str], path: str, environment: dict[str, str], runs: int
) -> list[float]:
    """Return seconds from start to the first good answer of /readyz."""
    found: list[float] = []
    for _ in range(runs):
        with running(command, path, environment) as server:
            found.append(server.ready_s)
    return found


def report(
    cases: list[Case], memory: dict[str, float], starts: list[float], args: argparse.Namespace
) -> dict[str, Any]:
    """Return everything that was measured, with medians and ratios."""
    bare = cases[0]
    rows: list[dict[str, Any]] = []
    for case in cases:
        rows.append(
            {
                "name": case.name,
                "rps": statistics.median(case.rps),
                "ratio": statistics.median(
                    ours / theirs for ours, theirs in zip(case.rps, bare.rps, strict=True)
                ),
                "busy_us": statistics.median(case.busy_us),
                "ratio_busy": statistics.median(
                    theirs / ours for ours, theirs in zip(case.busy_us, bare.busy_us, strict=True)
                ),
                "tail": statistics.median(case.tail) if case.tail else None,
                "errors": case.errors,
            }
        )
    return {
        "cases": rows,
        "raw": [{k: v for k, v in asdict(case).items() if k != "paths"} for case in cases],
        "memory_mb": memory,
        "ready_s": statistics.median(starts),
        "products": args.products,
        "fragments": args.fragments,
        "connections": args.connections,
        "rounds": args.rounds,
        "seconds": args.seconds,
        "load_average": os.getloadavg()[0],
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
    }


def show(found: dict[str, Any]) -> bool:
    """Print the report as Markdown; return whether the bounds hold by processor time."""
    print("| endpoint | requests/s | x bare | µs of processor | x bare | p99 / median | errors |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    good = True
    by_name = {row["name"]: row for row in found["cases"]}
    for row in found["cases"]:
        tail_text = f"{row['tail']:.1f}" if row["tail"] else ""
        print(
            f"| {row['name']} | {row['rps']:.0f} | {row['ratio']:.3f} | {row['busy_us']:.0f} "
            f"| {row['ratio_busy']:.3f} | {tail_text} | {row['errors']} |"
        )
        good = good and row["ratio_busy"] >= BOUNDS.get(row["name"], 0) and not row["errors"]
    if "Datasette lookup" in by_name:
        times = by_name["Datasette lookup"]["busy_us"] / by_name["lookup"]["busy_us"]
        good = good and times >= OVER_DATASETTE
        print(f"\nlookup against Datasette's: {times:.1f} times (processor time)")
    memory = ", ".join(f"{name} {mb:.0f}" for name, mb in found["memory_mb"].items())
    print(f"\nmemory after the load, MB: {memory}; start to ready: {found['ready_s']:.2f} s")
    print(f"load average {found['load_average']:.1f} on {found['cpus']} processors")
    return good


def main() -> int:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--products", type=int, default=50_000)
    parser.add_argument("--fragments", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of load, each")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--catalog", type=Path, help="keep the catalog in this file")
    parser.add_argument("--no-datasette", action="store_true")
    parser.add_argument("--out", type=Path, help="also write the figures to this JSON file")
    args = parser.parse_args()
    for tool in ("wrk", "hey"):
        if shutil.which(tool) is None:
            raise SystemExit(f"error: Expected {tool}. Run: apt-get install {tool}")
    with tempfile.TemporaryDirectory() as folder:
        found = measure(args, Path(folder))
    good = show(found)
    if args.out:
        args.out.write_text(json.dumps(found, ensure_ascii=False, indent=2) + "\n", "utf-8")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
