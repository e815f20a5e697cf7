"""How near is a crawl to the time that politeness alone takes, and does it get every row once?

Stand-in shops with many products are crawled into a fresh catalog, chain by chain. Between two
requests to a shop lies the politeness delay; nothing can be quicker than the requests that a list
needs, times that delay. `needed` counts robots.txt, an opening page for each listing where the
chain has one, and each page once (emart24: those of its sections, and the one of the whole list
that states what they must add up to); `made` also counts what a crawl asks again to prove that the
list stood still. Plain HTTP is held against `needed` (at most 1.3), a browser against the requests
that it made itself (at most 2.0). Rows are compared with the shop's own list: all of them, each
once.

examples:
  python benchmarks/crawl.py
  python benchmarks/crawl.py --rows 500 --delay-s 0.5 --chains cu emart24 --transports http
  python benchmarks/crawl.py --out crawl.json
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from promolens_catalog import snapshots
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database, open_database
from promolens_crawler.config import CrawlerConfig, TransportName, config_of
from promolens_crawler.progress import NoProgress
from promolens_crawler.runner import Run, RunOptions
from promolens_crawler.sites import site_of
from promolens_demo.shops.assortment import SHOPS
from promolens_demo.shops.running import Shops
from promolens_demo.shops.settings import ShopSettings

MONTH = "2026-11"
BUDGET = {TransportName.HTTP: 1.3, TransportName.BROWSER: 2.0}


@dataclass(frozen=True)
class Figure:
    """One crawl.

    Attributes:
        needed, made: requests.
        bound_s: delay times one less than the requests that the transport is held against.
        ratio: seconds by bound_s.
        gap_s: the smallest that the shop saw between two documents or list requests.
        whole: every row of the shop exactly once, and none else.
    """

    chain: str
    transport: str
    rows: int
    needed: int
    made: int
    seconds: float
    bound_s: float
    ratio: float
    gap_s: float
    whole: bool

    @property
    def good(self) -> bool:
        """Say whether the crawl is whole and within its budget."""
        return self.whole and self.ratio <= BUDGET[TransportName(self.transport)]


def measure(
    shops: Shops, config: CrawlerConfig, db: Database, chain: Chain, transport: TransportName
) -> Figure:
    """Crawl one chain anew and compare it with the shop."""
    shops.log.clear()
    result = Run(config, db, NoProgress()).crawl(chain, RunOptions(MONTH, transport, fresh=True))
    asked = shops.log.entries(chain, "document", "list")
    site = site_of(chain)
    needed = 1 + result.pages + (len(site.listings) if site.opening else 0)
    held_against = needed if transport is TransportName.HTTP else result.requests
    bound_s = config.min_delay_s * (held_against - 1)
    gaps = shops.log.gaps_s(chain, "document", "list")
    return Figure(
        chain=str(chain),
        transport=str(transport),
        rows=result.rows,
        needed=needed,
        made=max(result.requests, len(asked)),
        seconds=result.seconds,
        bound_s=bound_s,
        ratio=result.seconds / bound_s,
        gap_s=min(gaps, default=0.0),
        whole=_is_whole(shops, db, chain),
    )


def _is_whole(shops: Shops, db: Database, chain: Chain) -> bool:
    published = snapshots.published_snapshot(db, chain)
    if published is None:
        return False
    live = snapshots.offers_of(db, published.id)
    return len(live) == len(set(live)) and set(live) == set(shops.truth(chain))


def figures(
    chains: Sequence[Chain], transports: Sequence[TransportName], rows: int, delay_s: float
) -> Iterator[Figure]:
    """Crawl each chain with each transport, into a catalog of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="crawl-") as folder,
        Shops(ShopSettings(month=MONTH, n_rows=rows)) as shops,
    ):
        sources = {str(c): {"enabled": True, "home": shops.home(c)} for c in shops.shops}
        tables = {"crawler": {"min_delay_s": delay_s}, "sources": sources}
        config = config_of(tables, Path(folder))
        for transport in transports:
            db = open_database(str(Path(folder) / f"{transport}.db"))
            for chain in chains:
                yield measure(shops, config, db, chain, transport)
            db.close()


def row(figure: Figure) -> str:
    """Return a line of the Markdown table."""
    cells = (
        figure.chain,
        figure.transport,
        figure.rows,
        "yes" if figure.whole else "NO",
        figure.needed,
        figure.made,
        f"{figure.seconds:.1f}",
        f"{figure.bound_s:.1f}",
        f"{figure.ratio:.2f}",
        f"{figure.gap_s:.3f}",
    )
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def main() -> int:
    """Run from the command line; status 1 if a crawl is not whole or over its budget."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=2000, help="promotions of each chain (2000)")
    parser.add_argument("--delay-s", type=float, default=1.0, help="between requests (1.0)")
    parser.add_argument("--chains", nargs="+", type=Chain, default=list(SHOPS), metavar="CHAIN")
    parser.add_argument(
        "--transports",
        nargs="+",
        type=TransportName,
        default=list(TransportName),
        metavar="NAME",
        help="http browser",
    )
    parser.add_argument("--out", type=Path, metavar="FILE.json")
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    print("| chain | transport | rows | all once | needed | made | s | bound s | ratio | gap s |")
    print("| --- | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    done = []
    for figure in figures(args.chains, args.transports, args.rows, args.delay_s):
        done.append(figure)
        print(row(figure), flush=True)
    load = os.getloadavg()[0]
    print(f"delay {args.delay_s:g} s, load {load:.1f} on {os.cpu_count()} cores", file=sys.stderr)
    if args.out:
        told = {"delay_s": args.delay_s, "load": load, "crawls": [asdict(one) for one in done]}
        args.out.write_text(json.dumps(told, indent=1) + "\n")
    return 0 if all(figure.good for figure in done) else 1


if __name__ == "__main__":
    raise SystemExit(main())
