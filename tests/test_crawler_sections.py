"""Rows say the section that was asked for, if the sections are the whole list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from crawl_desk import NOW, SITE, Bench, make_bench
from promolens_catalog import snapshots, staging
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database, open_database
from promolens_catalog.importing import list_of
from promolens_catalog.kinds import Kind
from promolens_catalog.offers import Offer
from promolens_catalog.records import parse_records
from promolens_crawler.config import CrawlerConfig, config_of
from promolens_crawler.feeding import feed
from promolens_crawler.manners import Clock
from promolens_crawler.pipeline import Desk, Job, crawl_chain
from promolens_crawler.progress import NoProgress
from promolens_crawler.replaying import publish_again, read_again
from promolens_crawler.results import ChainResult, Outcome
from promolens_crawler.runner import Run, RunOptions
from promolens_crawler.sites import site_of
from promolens_crawler.sites.base import Listing
from promolens_crawler.transports.build import archive_of, open_transport
from promolens_demo.shops.running import Shops
from shops_support import MONTH, open_shops

EMART24 = Chain.EMART24
LEFT = Listing("left", Kind.ONE_PLUS_ONE, section="왼쪽")
RIGHT = Listing("right", Kind.ONE_PLUS_ONE, section="오른쪽")
DIVIDED = replace(SITE, listings=(Listing("all", Kind.ONE_PLUS_ONE),), sections=(LEFT, RIGHT))
ALL = list(range(35))
N_ROWS = 120


class Killed(BaseException):
    """Stands for a kill between two pages."""


@pytest.fixture
def bench(sqlite_template: Path, tmp_path: Path) -> Iterator[Bench]:
    """A shop of 35 rows, 20 on the left and 15 on the right."""
    db = open_database(str(tmp_path / "promotions.db"), wait_s=0.2)
    made = make_bench(db, tmp_path)
    made.shop.lists = {"all": ALL, "left": ALL[:20], "right": ALL[20:]}
    yield made
    db.close()


def run(bench: Bench) -> ChainResult:
    return crawl_chain(replace(bench.job(), site=DIVIDED), bench.desk())


def live(db: Database, chain: Chain = EMART24) -> list[Offer]:
    published = snapshots.published_snapshot(db, chain)
    return [] if published is None else snapshots.offers_of(db, published.id)


def sections(db: Database) -> Counter[str | None]:
    return Counter(offer.category for offer in live(db))


def test_each_row_says_its_section_for_one_request_more(bench: Bench) -> None:
    result = run(bench)
    assert (result.outcome, result.rows, result.pages) == ("published", 35, 5)
    assert sections(bench.db) == {"왼쪽": 20, "오른쪽": 15}
    assert bench.shop.fetched == [
        ("all", 1),  # for its total alone
        ("left", 1),
        ("right", 1),
        ("left", 2),
        ("right", 2),
    ]
    published = snapshots.published_snapshot(bench.db, EMART24)
    assert published is not None
    assert published.by_category == {"왼쪽": 20, "오른쪽": 15}


@pytest.mark.parametrize(
    ("left", "right"),
    [(ALL[:20], ALL[20:34]), (ALL, ALL), ([], [])],
    ids=["a row is in no section", "the shop takes no notice", "nothing in them"],
)
def test_sections_that_are_not_the_whole_list_are_not_believed(
    bench: Bench, left: list[int], right: list[int]
) -> None:
    bench.shop.lists |= {"left": left, "right": right}
    result = run(bench)
    assert (result.outcome, result.rows) == ("published", 35)
    assert sections(bench.db) == {None: 35}
    assert len(bench.shop.fetched) == 3 + 4
    assert result.crawl_id is not None
    notes = staging.anomalies(bench.db, result.crawl_id)
    (note,) = [one for one in notes if one.code == "sections"]
    assert note.listing is None  # of the crawl, and of no single page
    assert note.detail.startswith(
        f"sections: expected 35 rows in all sections together, received {len(left)} + {len(right)};"
    )


def test_a_section_with_another_page_leads_back_to_the_whole_list(bench: Bench) -> None:
    bench.shop.problems["right"] = "drift"
    result = run(bench)
    assert (result.outcome, sections(bench.db)) == ("published", {None: 35})


def test_sections_that_overlap_are_held_even_if_the_sum_is_right(bench: Bench) -> None:
    bench.shop.lists["right"] = [19, *ALL[20:34]]  # 34 is in none, 19 in both
    result = run(bench)
    assert (result.outcome, result.reason) == ("held", "sections")
    assert result.message == "sections: expected each row in one section, received 1 in several"
    assert live(bench.db) == []


def test_a_section_that_grows_while_it_is_read_is_held(bench: Bench) -> None:
    def grow(listing: str, number: int) -> None:
        if (listing, number) == ("left", 2):
            bench.shop.lists["left"] = [*ALL[:20], 99]

    bench.shop.before = grow
    result = run(bench)
    assert (result.outcome, result.reason) == ("held", "sections")
    assert "expected 35 rows in all sections together" in result.message
    assert result.message.endswith("received 36")


@pytest.mark.parametrize(
    "place", [("all", 1), ("left", 1), ("right", 1), ("left", 2), ("right", 2)]
)
@pytest.mark.parametrize("anywhere", [True, False], ids=["http", "browser"])
def test_a_crawl_killed_anywhere_goes_on(
    bench: Bench, place: tuple[str, int], anywhere: bool
) -> None:
    def kill(listing: str, number: int) -> None:
        if (listing, number) == place:
            raise Killed

    bench.resumes_anywhere = anywhere
    bench.shop.before = kill
    with pytest.raises(Killed):
        run(bench)
    bench.shop.before = lambda _listing, _number: None
    assert run(bench).outcome == "published"
    assert sections(bench.db) == {"왼쪽": 20, "오른쪽": 15}
    # The whole list's total is asked for again where a kill came before it was settled.
    twice = Counter(bench.shop.fetched) - Counter(set(bench.shop.fetched))
    if anywhere:
        assert set(twice) == ({("all", 1)} if place[1] == 1 and place[0] != "all" else set())


# Over HTTP, with the stand-in shop


@pytest.fixture(scope="module")
def shops() -> Iterator[Shops]:
    with open_shops(N_ROWS) as opened:
        yield opened


@pytest.fixture
def config(shops: Shops, tmp_path: Path) -> Iterator[CrawlerConfig]:
    sources = {"emart24": {"enabled": True, "home": shops.home(EMART24)}}
    yield config_of({"crawler": {"min_delay_s": 0.0}, "sources": sources}, tmp_path)
    shops.set_modes(EMART24, "")


@pytest.fixture
def db(sqlite_template: Path, tmp_path: Path) -> Iterator[Database]:
    opened = open_database(str(tmp_path / "promotions.db"))
    yield opened
    opened.close()


def crawl(config: CrawlerConfig, db: Database) -> ChainResult:
    return Run(config, db, NoProgress()).crawl(EMART24, RunOptions(MONTH))


def listed(shops: Shops) -> list[Offer]:
    """The offers as they are printed, some of them twice."""
    shop = shops.shops[EMART24]
    return [row.offer("", MONTH) for row in shop.listing(lambda _row: True)]


def test_emart24_is_read_section_by_section(
    shops: Shops, config: CrawlerConfig, db: Database
) -> None:
    shops.log.clear()
    result = crawl(config, db)
    assert (result.outcome, set(live(db))) == ("published", set(shops.truth(EMART24)))
    counts = sections(db)
    assert set(counts) == {"간편식사", "과자", "음료"}  # of household goods it sells none
    asked = shops.log.entries(EMART24, "document", "list")
    cards = Counter(offer.category for offer in listed(shops))
    # One page for the total, one for the empty section, and those of the sections.
    assert len(asked) == result.pages == 2 + sum(-(-count // 20) for count in cards.values())


def test_a_section_that_vanishes_is_held_with_that_reason_alone(
    shops: Shops, config: CrawlerConfig, db: Database
) -> None:
    assert crawl(config, db).outcome == "published"
    before, gone = live(db), sections(db)["간편식사"]
    shops.set_modes(EMART24, "section-gone")
    result = crawl(config, db)
    assert result.outcome is Outcome.HELD
    assert result.message == (
        f"count-category: expected rows of category 간편식사 (last: {gone}), received none"
    )
    assert live(db) == before


def test_an_archived_crawl_gives_the_sections_again(
    shops: Shops, config: CrawlerConfig, db: Database, tmp_path: Path
) -> None:
    result = crawl(config, db)
    assert result.crawl_id is not None
    name = staging.crawl_record(db, result.crawl_id).archive
    assert name is not None
    site, archive = site_of(EMART24), archive_of(config)
    seen = read_again(archive, name, site, db)
    assert (set(seen.facts.offers), seen.unread) == (set(shops.truth(EMART24)), ())
    assert not [one for one in seen.findings if one.severity == "hold"]
    second = open_database(str(tmp_path / "second.db"))
    again = publish_again(archive, name, site, second)
    assert (again.outcome, set(live(second))) == ("published", set(shops.truth(EMART24)))
    second.close()


def test_an_archive_without_sections_is_read_as_one_list(
    shops: Shops, config: CrawlerConfig, db: Database, tmp_path: Path
) -> None:
    """As crawls were archived before there were sections."""
    site, archive = site_of(EMART24), archive_of(config)
    plain = replace(site, sections=())
    job = Job(plain, shops.home(EMART24), lambda: open_transport(config, plain), month=MONTH)
    result = crawl_chain(job, Desk(db, archive, Clock().now, NoProgress()))
    assert (result.outcome, sections(db)) == ("published", {None: N_ROWS})
    assert result.crawl_id is not None
    name = staging.crawl_record(db, result.crawl_id).archive
    assert name is not None
    assert read_again(archive, name, site, db).facts.cards >= N_ROWS
    second = open_database(str(tmp_path / "second.db"))
    assert publish_again(archive, name, site, second).outcome == "published"
    assert sections(second) == {None: N_ROWS}
    second.close()


def test_a_section_of_an_imported_list_that_vanishes_is_held(db: Database) -> None:
    def table(*names: str) -> bytes:
        rows = [
            f"CU,달빛){name}{n}번100g,{1000 + n},1+1,{name},https://images.example/{n}.jpg"
            for name, count in (("과자", 100), ("음료", 100), ("생활용품", 25))
            for n in range(count)
            if name in names
        ]
        header = "chain,name,price_krw,promotion,category,image_url"
        return "\n".join([header, *rows]).encode()

    def given(*names: str) -> ChainResult:
        read = list_of(parse_records(table(*names), "list.csv"), Chain.CU, "2026-02")
        return feed(db, read, NOW)

    assert given("과자", "음료", "생활용품").outcome == "published"
    before = live(db, Chain.CU)
    held = given("과자", "음료")
    assert (held.outcome, held.message) == (
        "held",
        "count-category: expected rows of category 생활용품 (last: 25), received none",
    )
    assert live(db, Chain.CU) == before
