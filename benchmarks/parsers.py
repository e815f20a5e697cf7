"""How many cards a second each chain's reader reads on one core.

The pages are those of the stand-in shops, which have the structure of the real ones. They are
fetched first; then only reading is timed, in processor time, so that a busy machine counts little.
The goal is 2,000 cards a second for each chain.

examples:
  python benchmarks/parsers.py
  python benchmarks/parsers.py --products 400 --seconds 1 --out parsers.json
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from promolens_catalog.chains import CHAINS, Chain
from promolens_crawler.config import CrawlerConfig, SourceConfig
from promolens_crawler.pages import Answer, ParsedPage
from promolens_crawler.paging import PageFacts, Paging
from promolens_crawler.sites import SITES, ministop
from promolens_crawler.sites.base import Listing
from promolens_crawler.transports.build import open_transport
from promolens_demo.shops.running import Shops
from promolens_demo.shops.settings import ShopSettings

GOAL_CARDS_PER_S = 2_000
MONTH = "2026-11"
ROUNDS = 5

Reader = Callable[[Answer, Listing], ParsedPage]
Page = tuple[Answer, Listing]


@dataclass(frozen=True)
class Measured:
    """One chain's figures; rates are cards a second of processor time.

    Attributes:
        kilobytes: of all pages.
        cards_per_s: the median of the rounds.
        slowest, fastest: of the rounds.
    """

    chain: str
    pages: int
    cards: int
    kilobytes: int
    cards_per_s: int
    slowest: int
    fastest: int

    @property
    def reaches_goal(self) -> bool:
        """Say whether even the slowest round reaches the goal."""
        return self.slowest >= GOAL_CARDS_PER_S


def fetch_pages(products: int) -> dict[Chain, list[Page]]:
    """Return all pages of all stand-in shops, over plain HTTP."""
    with Shops(ShopSettings(MONTH, products)) as shops, tempfile.TemporaryDirectory() as folder:
        sources = {
            chain: SourceConfig(chain, enabled=True, home=shops.home(chain), delay_s=0.0)
            for chain in SITES
        }
        config = CrawlerConfig(archive=Path(folder), min_delay_s=0.0, sources=sources)
        return {chain: _pages_of(config, chain, shops.home(chain)) for chain in SITES}


def _pages_of(config: CrawlerConfig, chain: Chain, home: str) -> list[Page]:
    site = SITES[chain]
    transport = open_transport(config, site)
    pages: list[Page] = []
    try:
        for listing in site.listings:
            paging, session = Paging(site.declares_total), transport.open(site, home, listing)
            while not paging.complete:
                answer = session.fetch(paging.next_number)
                pages.append((answer, listing))
                paging.accept(_facts(answer, site.read(answer, listing)))
    finally:
        transport.close()
    return pages


def _facts(answer: Answer, page: ParsedPage) -> PageFacts:
    rows = tuple(str(card) for card in page.cards)
    digest = f"{answer.listing} {answer.number}"
    return PageFacts(
        answer.number, digest, rows, page.cards_seen, page.declared_total, page.end_seen
    )


def ministop_pages(products: int) -> list[Page]:
    """Return records as Ministop's page had them; it has no stand-in."""
    records = [
        {"fields": [f"고개레몬소다{n}캔", f"{1_000 + n:,}", "", "", f"1plus1_{n}.jpg"]}
        for n in range(products)
    ]
    body = json.dumps({"recordList": records}, ensure_ascii=False).encode()
    listing = ministop.LISTINGS[0]
    url = "https://www.ministop.co.kr/MiniStopHomePage/page/querySimple.do"
    at = datetime(2018, 12, 31, tzinfo=UTC)
    return [(Answer(listing.key, 1, url, 200, body, "application/json", at), listing)]


def measure(chain: Chain, read: Reader, pages: Sequence[Page], seconds: float) -> Measured:
    """Read the pages again and again, `ROUNDS` rounds of `seconds` of processor time."""
    cards = sum(read(answer, listing).cards_seen for answer, listing in pages)
    rates = [_rate(read, pages, cards, seconds) for _ in range(ROUNDS)]
    return Measured(
        chain=chain,
        pages=len(pages),
        cards=cards,
        kilobytes=sum(len(answer.body) for answer, _ in pages) // 1_000,
        cards_per_s=round(statistics.median(rates)),
        slowest=round(min(rates)),
        fastest=round(max(rates)),
    )


def _rate(read: Reader, pages: Sequence[Page], cards: int, seconds: float) -> float:
    times, began_s = 0, time.process_time()
    while (spent_s := time.process_time() - began_s) < seconds or times == 0:
        for answer, listing in pages:
            read(answer, listing)
        times += 1
    return times * cards / spent_s


def table(results: Sequence[Measured]) -> str:
    """Return a Markdown table."""
    lines = [
        "| chain | pages | cards | kB | cards/s (median) | slowest | fastest | goal |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    lines += [
        f"| {CHAINS[Chain(one.chain)].name_en} | {one.pages} | {one.cards:,} | {one.kilobytes:,} "
        f"| {one.cards_per_s:,} | {one.slowest:,} | {one.fastest:,} "
        f"| {'reached' if one.reaches_goal else 'missed'} |"
        for one in results
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table; exit status 1 where a goal is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--products", type=int, default=2_000, help="rows a chain (2000)")
    parser.add_argument("--seconds", type=float, default=2.0, help="processor seconds a round (2)")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    given = parser.parse_args(arguments)
    pages = fetch_pages(given.products) | {Chain.MINISTOP: ministop_pages(given.products)}
    readers: dict[Chain, Reader] = {chain: SITES[chain].read for chain in SITES}
    readers[Chain.MINISTOP] = ministop.read
    results = [measure(chain, readers[chain], pages[chain], given.seconds) for chain in readers]
    print(table(results))
    if given.out:
        figures = {
            "goal_cards_per_s": GOAL_CARDS_PER_S,
            "rounds": ROUNDS,
            "seconds_a_round": given.seconds,
            "clock": "process_time",
            "python": platform.python_version(),
            "machine": platform.machine(),
            "chains": [asdict(one) for one in results],
        }
        given.out.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    return 0 if all(one.reaches_goal for one in results) else 1


if __name__ == "__main__":
    sys.exit(main())
