"""Every way in which a stand-in shop can go wrong has its expected end, over real HTTP.

By default each mode is tried on CU (which declares no total) and on one other chain, in turn with
the modes. `PROMOLENS_ALL_MODES=1` tries every mode on every chain (`make soak` does).
"""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from promolens_catalog import snapshots, staging
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database, open_database
from promolens_catalog.maintenance import integrity_check
from promolens_catalog.offers import Offer
from promolens_crawler.config import CrawlerConfig, TransportName, config_of
from promolens_crawler.progress import NoProgress
from promolens_crawler.results import ChainResult, Outcome
from promolens_crawler.runner import Run, RunOptions
from promolens_demo.shops.assortment import SHOPS
from promolens_demo.shops.modes import MODES, End
from promolens_demo.shops.running import Shops
from shops_support import MONTH, open_shops

# So many that emart24's smallest section has the 20 rows which must not vanish.
N_ROWS = 120
# The same modes, small enough for a test; the limits below are cut accordingly.
GENTLE = {"slow": "slow:0.1", "drip": "drip:0.05", "gzip-bomb": "gzip-bomb:64", "huge": "huge:30"}
LIMITS = {
    "tries": 2,
    "backoff_s": 0.01,
    "max_backoff_s": 2.0,
    "read_timeout_s": 5.0,
    "total_timeout_s": 15.0,
    "max_pages": 18,
}
# What the record of a crawl must name; several where the shop's page decides which.
REASONS: dict[str, set[str]] = {
    "drop": {"fetch-failed"},
    "half": {"listing-broken", "count", "page-drift"},
    "drift": {"page-drift"},
    "wrong-charset": {"page-drift", "fetch-failed"},
    "broken-utf8": {"page-drift", "fetch-failed"},
    "bot": {"bot-page"},
    "gone": {"source-gone"},
    "fewer": {"count"},
    "section-gone": {"count-category"},
    "empty": {"count", "page-drift"},
    "price": {"unreadable"},
    "badge": {"unreadable", "badge-unknown"},
    "endless": {"listing-broken"},
    "repeated": {"listing-broken"},
    "total": {"listing-broken"},
    "shift": {"listing-broken"},
    "duplicate-ids": {"id-repeated"},
    "gzip-bomb": {"fetch-failed"},
    "huge": {"fetch-failed"},
    "drip": {"fetch-failed"},
    "redirect-loop": {"fetch-failed"},
    "robots-503": {"not-allowed"},
}
ANOMALIES = {
    "price": "price-unreadable",
    "badge": "badge-unknown",
    "image-path": "image-address-refused",
    "names": "name-unclean",
}


@dataclass
class Street:
    """Open shops, and a catalog in which each of them was published once."""

    shops: Shops
    config: CrawlerConfig
    baseline: Path
    folder: Path


def config_for(shops: Shops, folder: Path, **limits: Any) -> CrawlerConfig:
    sources: dict[str, Any] = {
        str(chain): {"enabled": True, "home": shops.home(chain)} for chain in shops.shops
    }
    sources["gs25"]["page_size"] = 20
    crawler = {"min_delay_s": 0.0, "archive": "archive", "limits": {**LIMITS, **limits}}
    return config_of({"crawler": crawler, "sources": sources}, folder)


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    folder = tmp_path_factory.mktemp("street")
    with open_shops(N_ROWS) as shops:
        config = config_for(shops, folder)
        db = open_database(str(folder / "baseline.db"))
        results = Run(config, db, NoProgress()).crawl_all(list(SHOPS), RunOptions(MONTH))
        assert [(one.outcome, one.message) for one in results] == [("published", "")] * len(SHOPS)
        db.close()
        yield Street(shops, config, folder / "baseline.db", folder)


@pytest.fixture
def db(street: Street, tmp_path: Path) -> Iterator[Database]:
    """A catalog of its own for each test, with all chains published."""
    shutil.copyfile(street.baseline, tmp_path / "promotions.db")
    opened = open_database(str(tmp_path / "promotions.db"))
    yield opened
    opened.close()


def live(db: Database, chain: Chain) -> set[Offer]:
    published = snapshots.published_snapshot(db, chain)
    assert published is not None
    return set(snapshots.offers_of(db, published.id))


def crawl_in_mode(
    street: Street,
    db: Database,
    chain: Chain,
    mode: str,
    transport: TransportName = TransportName.HTTP,
) -> ChainResult:
    street.shops.set_modes(chain, GENTLE.get(mode, mode))
    config = street.config
    if mode == "drip":  # the only one that time ends
        config = config_for(street.shops, street.folder, total_timeout_s=1.0)
    try:
        return Run(config, db, NoProgress()).crawl(chain, RunOptions(MONTH, transport))
    finally:
        street.shops.set_modes(chain, "")


def cases() -> list[tuple[str, Chain]]:
    found: list[tuple[str, Chain]] = []
    for place, mode in enumerate(MODES.values()):
        able = [chain for chain in SHOPS if chain not in mode.not_at]
        others = [chain for chain in able if chain is not Chain.CU]
        chosen = {Chain.CU, others[place % len(others)]} & set(able)
        if os.environ.get("PROMOLENS_ALL_MODES"):
            chosen = set(able)
        found += [(mode.name, chain) for chain in able if chain in chosen]
    return found


@pytest.mark.parametrize(("mode", "chain"), cases())
def test_every_mode_has_its_expected_end(
    street: Street, db: Database, mode: str, chain: Chain
) -> None:
    truth = set(street.shops.truth(chain))
    before = snapshots.published_snapshot(db, chain)
    result = crawl_in_mode(street, db, chain, mode)
    after = snapshots.published_snapshot(db, chain)
    assert before is not None
    assert after is not None
    end = MODES[mode].end
    if end is End.FULL:
        assert (result.outcome, result.message) == ("unchanged", "")
        assert live(db, chain) == truth
    elif end is End.STOPPED:
        assert result.outcome in (Outcome.HELD, Outcome.FAILED, Outcome.GONE), result
        assert result.reason in REASONS[mode], result.message
        assert (after.id, live(db, chain)) == (before.id, truth)
        state = next(one for one in snapshots.sources(db) if one.chain is chain)
        assert state.state == ("gone" if mode == "gone" else "stale")
    elif end is End.SAFE:
        assert live(db, chain) == truth
    if mode in ANOMALIES:
        assert result.crawl_id is not None
        odd = [one.code for one in staging.anomalies(db, result.crawl_id) if one.listing]
        assert ANOMALIES[mode] in odd
    assert integrity_check(db) == []


@pytest.mark.parametrize("chain", SHOPS)
def test_the_crawl_after_a_bad_day_is_good_again(
    street: Street, db: Database, chain: Chain
) -> None:
    assert crawl_in_mode(street, db, chain, "price").outcome == "held"
    assert crawl_in_mode(street, db, chain, "").outcome == "unchanged"
    assert live(db, chain) == set(street.shops.truth(chain))
    assert snapshots.held_snapshots(db, chain) == []
    state = next(one for one in snapshots.sources(db) if one.chain is chain)
    assert state.state == "ok"


@pytest.mark.parametrize("chain", [Chain.CU, Chain.EMART24])
def test_a_refused_picture_address_is_left_out_and_the_rest_of_the_row_stays(
    street: Street, db: Database, chain: Chain
) -> None:
    crawl_in_mode(street, db, chain, "image-path")
    truth = {(one.name, one.price_krw, one.kind) for one in street.shops.truth(chain)}
    assert {(one.name, one.price_krw, one.kind) for one in live(db, chain)} == truth
    assert not [one for one in live(db, chain) if ".." in (one.image_url or "")]


def test_the_page_with_the_odd_card_is_kept_for_a_person(street: Street, db: Database) -> None:
    result = crawl_in_mode(street, db, Chain.EMART24, "badge")
    assert result.crawl_id is not None
    odd = [one for one in staging.anomalies(db, result.crawl_id) if one.code == "badge-unknown"]
    record = staging.crawl_record(db, result.crawl_id)
    place = next(one for one in odd if one.listing)
    kept = list(
        (street.folder / "archive" / str(record.archive)).glob(
            f"{place.listing}-{place.number:04d}-*.gz"
        )
    )
    assert len(kept) == 1
    assert "4+1" in gzip.decompress(kept[0].read_bytes()).decode()


def test_a_browser_that_does_not_start_is_told_as_that(
    street: Street, db: Database, tmp_path: Path
) -> None:
    """After robots.txt, when the first page is opened: the crawl has begun by then."""
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    config = replace(street.config, chromium=broken)
    truth = live(db, Chain.CSPACE)
    options = RunOptions(MONTH, TransportName.BROWSER)
    result = Run(config, db, NoProgress()).crawl(Chain.CSPACE, options)
    assert (result.outcome, result.reason) == (Outcome.FAILED, "browser")
    assert "Expected Chromium and its driver to start" in result.message
    assert result.crawl_id is not None
    record = staging.crawl_record(db, result.crawl_id)
    assert (record.state, record.transport) == ("failed", "browser")
    assert record.reason.startswith("browser: ")
    assert live(db, Chain.CSPACE) == truth


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "chain"),
    [
        ("503", Chain.EMART24),
        ("slow", Chain.CU),
        ("alert", Chain.SEVEN),
        ("stale", Chain.CU),
        ("badge", Chain.GS25),
        ("gone", Chain.CSPACE),
    ],
)
def test_a_browser_comes_to_the_same_ends(
    street: Street, db: Database, tmp_path: Path, mode: str, chain: Chain
) -> None:
    """All modes in a browser are the transports' own tests; here they go through the pipeline."""
    patient = config_for(street.shops, street.folder, read_timeout_s=30.0, total_timeout_s=60.0)
    result = crawl_in_mode(
        Street(street.shops, patient, street.baseline, street.folder),
        db,
        chain,
        mode,
        TransportName.BROWSER,
    )
    expected = {"badge": Outcome.HELD, "gone": Outcome.GONE}.get(mode, Outcome.UNCHANGED)
    assert (result.outcome, live(db, chain)) == (expected, set(street.shops.truth(chain)))
