"""All transports give the same rows: those that the shop prints, each once; and what hostile shops
come to over plain HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from promolens_catalog.chains import Chain
from promolens_catalog.offers import Offer
from promolens_crawler.archive import Archive, ArchiveRun
from promolens_crawler.config import CrawlerConfig, SourceConfig, TransportName
from promolens_crawler.errors import (
    BotPageError,
    CrawlError,
    FetchFailedError,
    NotAllowedError,
    SourceGoneError,
)
from promolens_crawler.limits import Limits
from promolens_crawler.manners import Clock, utc_now
from promolens_crawler.offers import staged_page_of
from promolens_crawler.sites import SITES
from promolens_crawler.sites.base import Site
from promolens_crawler.transports.base import Transport
from promolens_crawler.transports.build import open_transport
from promolens_crawler.transports.replay import ReplayTransport
from promolens_demo.shops.running import Shops
from shops_support import MONTH, open_shops
from tiny_shop import on_a_busy_machine

N_ROWS = 60
MOST_PAGES = 60
LIMITS = Limits(total_timeout_s=20, read_timeout_s=10, backoff_s=0.05)


@pytest.fixture(scope="module")
def shops() -> Iterator[Shops]:
    with open_shops(N_ROWS) as opened:
        yield opened


@pytest.fixture(autouse=True)
def peaceful(shops: Shops) -> Iterator[None]:
    yield
    for chain in SITES:
        shops.set_modes(chain, "")
    shops.set_robots("open")
    shops.log.clear()


def config_for(
    shops: Shops, folder: Path, *, delay_s: float = 0.0, limits: Limits = LIMITS
) -> CrawlerConfig:
    sources = {
        chain: SourceConfig(chain, enabled=True, home=shops.home(chain), delay_s=delay_s)
        for chain in SITES
    }
    every = {chain: SourceConfig(chain) for chain in Chain} | sources
    return CrawlerConfig(archive=folder / "archive", limits=limits, sources=every)


def crawl(
    transport: Transport, site: Site, home: str, keep: ArchiveRun | None = None
) -> list[Offer]:
    """Read every listing until its end is seen or its total reached; rows as they are printed."""
    found: list[Offer] = []
    for listing in site.sections or site.listings:
        session = transport.open(site, home, listing)
        received, total = 0, None
        for number in range(1, MOST_PAGES + 1):
            answer = session.fetch(number)
            if keep is not None:
                keep.keep(answer)
            page = site.read(answer, listing)
            staged = staged_page_of(page, site.chain, MONTH, listing.key, number, "")
            found += staged.offers
            received += page.cards_seen
            total = page.declared_total if total is None else total
            if page.end_seen or received == total:
                break
        else:
            raise AssertionError(f"{listing.key} does not end")
        assert total in (None, received)
        session.close()
    return found


def truth(shops: Shops, chain: Chain) -> set[Offer]:
    offers = set(shops.truth(chain))
    assert len(offers) == N_ROWS
    return offers


def crawl_by(
    name: TransportName,
    shops: Shops,
    chain: Chain,
    folder: Path,
    keep: ArchiveRun | None = None,
    clock: Clock | None = None,
    **more: Any,
) -> list[Offer]:
    site = SITES[chain]
    transport = open_transport(config_for(shops, folder, **more), site, name=name, clock=clock)
    try:
        return crawl(transport, site, shops.home(chain), keep)
    finally:
        transport.close()


@pytest.mark.parametrize("chain", SITES)
def test_http_browser_and_replay_give_the_rows_of_the_shop(
    shops: Shops, tmp_path: Path, chain: Chain
) -> None:
    """Also in the shop's own log: no picture was asked for, and nobody hid who asks."""
    archive, offers = Archive(tmp_path / "kept"), truth(shops, chain)
    runs: dict[str, ArchiveRun] = {}
    printed: dict[str, list[Offer]] = {}
    for name in TransportName:
        runs[name] = archive.open_run(archive.new_run(chain, MONTH, utc_now()))
        printed[name] = crawl_by(name, shops, chain, tmp_path, runs[name])
    for name in TransportName:
        replayed = crawl(ReplayTransport(runs[name]), SITES[chain], "http://nowhere.invalid")
        assert replayed == printed[name]
    assert set(printed[TransportName.HTTP]) == offers
    assert sorted(map(repr, printed[TransportName.BROWSER])) == sorted(
        map(repr, printed[TransportName.HTTP])
    )
    entries = shops.log.entries(chain)
    assert {entry.kind for entry in entries} <= {"robots", "document", "list", "asset"}
    assert {entry.user_agent for entry in entries} == {"promolens/0.1.0 (loopback only)"}
    # 304: the browser asks whether a page that it had still holds.
    assert {entry.status for entry in entries} <= {200, 304}


@pytest.mark.parametrize("chain", [Chain.GS25, Chain.EMART24])
@on_a_busy_machine
def test_the_shops_own_log_shows_the_delay(shops: Shops, tmp_path: Path, chain: Chain) -> None:
    shops.log.clear()
    crawl_by(TransportName.HTTP, shops, chain, tmp_path, delay_s=0.1)
    gaps_s = shops.log.gaps_s(chain, "robots", "document", "list")
    assert min(gaps_s) >= 0.1 - 0.01


# ---- hostile shops over plain HTTP


def http_error(shops: Shops, chain: Chain, folder: Path, **more: Any) -> CrawlError:
    with pytest.raises(CrawlError) as caught:
        crawl_by(TransportName.HTTP, shops, chain, folder, **more)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("chain", SITES)
@pytest.mark.parametrize("mode", ["503,slow:0.05", "alert,stale"])
def test_trouble_that_passes_costs_no_row(
    shops: Shops, tmp_path: Path, chain: Chain, mode: str
) -> None:
    shops.set_modes(chain, mode)
    waits: list[float] = []
    clock = Clock(sleep=lambda seconds: waits.append(seconds))
    rows = crawl_by(TransportName.HTTP, shops, chain, tmp_path, clock=clock)
    assert set(rows) == truth(shops, chain)
    # The shop asks for one second with its 503.
    assert any(wait >= 1 for wait in waits) == ("503" in mode)


# A shop with a token and posts, and one of plain pages. test_crawler_faults.py has all five.
@pytest.mark.parametrize("chain", [Chain.GS25, Chain.EMART24])
@pytest.mark.parametrize(
    ("mode", "kind", "told"),
    [
        ("drop", FetchFailedError, "a body that broke off, 3 times"),
        ("gzip-bomb:64", FetchFailedError, "at most 2000000 bytes"),
        ("huge:200", FetchFailedError, "at most 2000000 bytes"),
        ("drip:0.05", FetchFailedError, "within 0.8 s"),
        ("redirect-loop", FetchFailedError, "at most 5 redirects"),
        ("bot", BotPageError, ""),
        ("gone", SourceGoneError, "Received a redirect to http://localhost:"),
        ("robots-503", NotAllowedError, "Received status 503"),
    ],
)
def test_trouble_that_stays_ends_the_crawl_with_its_reason(
    shops: Shops, tmp_path: Path, chain: Chain, mode: str, kind: type[CrawlError], told: str
) -> None:
    shops.set_modes(chain, mode)
    limits = Limits(
        total_timeout_s=0.8 if "drip" in mode else 20, backoff_s=0.01, max_body_bytes=2_000_000
    )
    began_s = time.monotonic()
    error = http_error(shops, chain, tmp_path, limits=limits)
    assert time.monotonic() - began_s < 15
    assert type(error) is kind, error
    assert told in str(error)


# ---- hostile shops in the browser


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chain", "mode"),
    [
        (Chain.CU, "503,alert"),
        (Chain.GS25, "503,stale"),
        (Chain.SEVEN, "alert,stale"),
        (Chain.EMART24, "503,alert,stale"),
    ],
)
def test_trouble_that_passes_costs_the_browser_no_row(
    shops: Shops, tmp_path: Path, chain: Chain, mode: str
) -> None:
    shops.set_modes(chain, mode)
    # The shop's wish for a second's wait is tested above.
    impatient = Clock(sleep=lambda seconds: time.sleep(min(seconds, 0.05)))
    rows = crawl_by(TransportName.BROWSER, shops, chain, tmp_path, clock=impatient)
    assert set(rows) == truth(shops, chain)


# ---- the real robots.txt of the shops


def test_a_shop_with_hours_is_left_alone_outside_them(shops: Shops, tmp_path: Path) -> None:
    shops.set_robots("real")
    noon = utc_now().replace(hour=12, minute=0)
    error = http_error(shops, Chain.GS25, tmp_path, clock=Clock(now=lambda: noon))
    assert isinstance(error, NotAllowedError)
    assert "within 04:00-08:45 UTC" in str(error)
    assert [entry.kind for entry in shops.log.entries(Chain.GS25)] == ["robots"]


def test_a_shops_own_delay_is_kept_within_its_hours(shops: Shops, tmp_path: Path) -> None:
    shops.set_robots("real")
    morning, waits, passed_s = utc_now().replace(hour=5), [], [time.time()]

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        passed_s[0] += seconds

    clock = Clock(now=lambda: morning, seconds=lambda: passed_s[0], sleep=sleep)
    rows = crawl_by(TransportName.HTTP, shops, Chain.GS25, tmp_path, clock=clock)
    assert set(rows) == truth(shops, Chain.GS25)
    # robots.txt, the opening page and one page of a hundred rows.
    assert waits == pytest.approx([10.05, 10.05], abs=0.01)


@pytest.mark.parametrize("chain", [Chain.CU, Chain.SEVEN, Chain.EMART24, Chain.CSPACE])
def test_the_real_rules_of_the_other_shops_allow_their_lists(
    shops: Shops, tmp_path: Path, chain: Chain
) -> None:
    shops.set_robots("real")
    assert set(crawl_by(TransportName.HTTP, shops, chain, tmp_path)) == truth(shops, chain)


@pytest.mark.slow
def test_the_browser_asks_for_no_picture_that_robots_txt_disallows(
    shops: Shops, tmp_path: Path
) -> None:
    """7-Eleven disallows /upload/ and /front/; its page shows pictures out of both."""
    shops.set_robots("real")
    rows = crawl_by(TransportName.BROWSER, shops, Chain.SEVEN, tmp_path)
    assert set(rows) == truth(shops, Chain.SEVEN)
    paths = [entry.path for entry in shops.log.entries(Chain.SEVEN)]
    assert any(row.image_url and "/upload/" in row.image_url for row in rows)
    assert not any(path.startswith(("/upload/", "/front/")) for path in paths)
    assert shops.log.entries(Chain.SEVEN, "image") == []
