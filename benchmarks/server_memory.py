"""How much memory does a worker hold after everything that it is asked for?

    pip install 'promolens[server,catalog]'
    .venv/bin/python benchmarks/server_memory.py
    .venv/bin/python benchmarks/server_memory.py --products 50000 --out memory.json
    .venv/bin/python benchmarks/server_memory.py --catalog kept.db      # made if it is not there

A catalog of invented products and stores, one worker as `promolens serve` runs it, and clients in
threads of this process. Stage after stage: every product by barcode, searches, autocompletes, lists
with their filters and orders page by page, products with their past, a sync of everything page by
page, its bootstrap file, stores near places. After each, the resident memory of the worker, MB, and
what of it is its own (not the code of its libraries, which workers share). The exit status is 1
where the last is over 150 MB.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import sys
import tempfile
import threading
import urllib.parse
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from search import distinct_queries, invented_names
from server import commands, ean13, fill, running  # pyright: ignore[reportAttributeAccessIssue]
from stores import invented, place

BOUND_MB = 150.0


def filled(path: Path, names: list[str], stores: int) -> None:
    """Make the catalog, with stores."""
    from promolens_catalog.database import open_database
    from promolens_catalog.store_imports import import_stores

    if not path.exists():
        fill(path, names)
    database = open_database(str(path))
    import_stores(database, [invented(stores)], datetime.now(UTC))
    database.close()


def memory_of(pid: int) -> dict[str, float]:
    """Return resident memory, its peak, and what of it is the process's own, MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    names = {"resident": "VmRSS", "own": "RssAnon", "peak": "VmHWM"}
    found = {key: re.search(rf"{name}:\s+(\d+) kB", status) for key, name in names.items()}
    return {key: round(int(one[1]) / 1000, 1) if one else 0.0 for key, one in found.items()}


def ask(port: int, paths: list[str], clients: int) -> None:
    """Ask for all of some addresses over so many connections."""
    left: Iterator[str] = iter(paths)
    lock = threading.Lock()
    wrong: list[str] = []

    def go() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while True:
            with lock:
                path = next(left, None)
            if path is None:
                return
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                wrong.append(f"{answer.status} {path}")

    threads = [threading.Thread(target=go) for _ in range(clients)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    if wrong:
        raise SystemExit(f"error: {len(wrong)} answers were wrong, as {wrong[0]}")


def follow(port: int, path: str, position: str, more: str) -> None:
    """Ask for page after page: `position` is where the next one is told, `more` how it is asked."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    at = ""
    while True:
        connection.request("GET", f"{path}&{more}={urllib.parse.quote(at)}" if at else path)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise SystemExit(f"error: {answer.status} {path}")
        page = json.loads(body)
        at = page.get(position)
        if not at or page.get("more") is False:
            return


def stages(names: list[str]) -> dict[str, list[str]]:
    """Return the addresses of each stage."""
    rng = random.Random(5)  # noqa: S311
    quoted = [urllib.parse.quote(text, safe="") for text in distinct_queries(names, 5_000)]
    lists = [
        f"/v1/promotions?limit=200&chain={chain}&sort={sort}{kind}"
        for chain in ("cu", "gs25")
        for sort in ("unit-price", "per-100", "newest")
        for kind in ("", "&kind=1%2B1", "&kind=gift", "&price_max=3000")
    ]
    places = [place(rng) for _ in range(1_000)]
    return {
        "products by barcode": [f"/v1/products/by-barcode/{ean13(n)}" for n in range(len(names))],
        "searches": [f"/v1/search?q={text}" for text in quoted],
        "autocompletes": [f"/v1/autocomplete?q={text}" for text in quoted],
        "lists": lists * 4,
        "products with their past": [
            f"/v1/products/{1 + n}{tail}" for n in range(1_000) for tail in ("", "/history")
        ],
        "stores": [
            f"/v1/stores/nearby?lat={lat:.5f}&lon={lon:.5f}&radius_m=2000" for lat, lon in places
        ],
    }


def measure(args: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Return a row for each stage."""
    catalog = args.catalog or folder / "catalog.db"
    names = invented_names(args.products)
    filled(catalog, names, args.stores)
    rows: list[dict[str, Any]] = []
    with running(*commands(catalog, folder)["promolens"]) as server:
        port, pid = int(server.url.rpartition(":")[2]), server.process.pid
        rows.append({"after": "its start", **memory_of(pid)})
        for name, paths in stages(names).items():
            ask(port, paths, args.clients)
            rows.append({"after": name, **memory_of(pid)})
        follow(port, "/v1/promotions?limit=200", "next_cursor", "cursor")
        follow(port, "/v1/sync?limit=2000&since=0", "next_since", "since")
        rows.append({"after": "all pages of the list and of sync", **memory_of(pid)})
        ask(port, ["/v1/sync/bootstrap", "/v1/meta", "/metrics", "/openapi.json"], 1)
        rows.append({"after": "a bootstrap file", **memory_of(pid)})
    return rows


def main() -> int:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--products", type=int, default=50_000)
    parser.add_argument("--stores", type=int, default=60_000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--catalog", type=Path, help="keep the catalog in this file")
    parser.add_argument("--out", type=Path, help="also write the figures to this JSON file")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(args, Path(folder))
    print("| after | resident MB | own MB | peak MB |\n| --- | ---: | ---: | ---: |")
    for row in rows:
        print(f"| {row['after']} | {row['resident']} | {row['own']} | {row['peak']} |")
    print(f"\nload average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    if args.out:
        report = {"products": args.products, "stores": args.stores, "rows": rows}
        args.out.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    return 0 if rows[-1]["resident"] <= BOUND_MB else 1


if __name__ == "__main__":
    raise SystemExit(main())
