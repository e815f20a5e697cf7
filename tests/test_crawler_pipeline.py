"""From pages to snapshots: what is published, held, resumed, and never mixed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from crawl_desk import NOW, SITE, Bench, barcode, make_bench
from promolens_catalog import publishing, snapshots, staging
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database, open_database
from promolens_catalog.kinds import Kind
from promolens_crawler.errors import FetchFailedError, SourceGoneError
from promolens_crawler.locks import ChainBusyError, chain_lock
from promolens_crawler.metrics import registry_of
from promolens_crawler.offers import staged_page_of
from promolens_crawler.pages import Card, ParsedPage, Problem
from promolens_crawler.pipeline import crawl_chain
from promolens_crawler.report import report_content
from promolens_crawler.results import ChainResult, Outcome, exit_status, log_line
from promolens_crawler.status import chain_statuses, todo_lines
from promolens_crawler.transports.base import Transport
from promolens_runtime.errors import MissingError

EMART24 = Chain.EMART24


@pytest.fixture
def bench(database: Database, tmp_path: Path) -> Bench:
    """On each engine."""
    return make_bench(database, tmp_path)


@pytest.fixture
def lite(sqlite_template: Path, tmp_path: Path) -> Iterator[Bench]:
    """On SQLite only, where the engine makes no difference."""
    db = open_database(str(tmp_path / "promotions.db"), wait_s=0.2)
    yield make_bench(db, tmp_path)
    db.close()


def run(bench: Bench, **changes: object) -> ChainResult:
    return crawl_chain(bench.job(**changes), bench.desk())


def live(bench: Bench) -> list[str]:
    """Barcodes of the live rows."""
    published = snapshots.published_snapshot(bench.db, EMART24)
    if published is None:
        return []
    return sorted(offer.barcode or "" for offer in snapshots.offers_of(bench.db, published.id))


def all_codes(bench: Bench) -> list[str]:
    return sorted(barcode(number) for rows in bench.shop.lists.values() for number in rows)


def source(bench: Bench) -> snapshots.SourceState:
    return next(one for one in snapshots.sources(bench.db) if one.chain is EMART24)


class Killed(BaseException):
    """Stands for a kill between two pages: nothing in the pipeline may catch it."""


def test_a_whole_crawl_is_published_row_by_row(bench: Bench) -> None:
    result = run(bench)
    assert (result.outcome, result.rows, result.added, result.ended) == ("published", 60, 60, 0)
    assert (result.pages, result.pages_kept) == (7, 0)
    assert live(bench) == all_codes(bench)
    assert source(bench).state == "ok"
    assert bench.transports[0].closed == 1
    assert len(list(bench.folder.glob("*/*"))) == 7  # every answer is archived


def test_the_same_list_again_changes_nothing(bench: Bench) -> None:
    first = run(bench)
    bench.clock.move(days=1)
    second = run(bench)
    assert (second.outcome, second.added, second.ended) == ("unchanged", 0, 0)
    assert second.version is not None
    assert first.version is not None
    assert second.version > first.version


def test_rows_that_left_the_shop_end_and_new_ones_begin(bench: Bench) -> None:
    run(bench)
    bench.shop.lists["one"] = [*range(3, 35), 50, 51]
    bench.clock.move(days=1)
    result = run(bench)
    assert (result.outcome, result.added, result.ended) == ("published", 2, 3)
    assert live(bench) == all_codes(bench)


def test_a_killed_crawl_goes_on_and_fetches_no_page_twice(bench: Bench) -> None:
    def kill(listing: str, number: int) -> None:
        if (listing, number) == ("two", 2):
            raise Killed

    bench.shop.before = kill
    with pytest.raises(Killed):
        run(bench)
    assert live(bench) == []
    bench.shop.before = lambda _listing, _number: None
    result = run(bench)
    assert (result.outcome, result.pages, result.pages_kept) == ("published", 2, 5)
    assert sorted(bench.shop.fetched) == sorted(set(bench.shop.fetched))
    assert live(bench) == all_codes(bench)


def test_pages_of_some_time_ago_are_sampled_before_the_crawl_goes_on(lite: Bench) -> None:
    """Killed on page 3 of the second listing; 20 minutes later its page 2 is compared."""

    def kill(listing: str, number: int) -> None:
        if (listing, number) == ("two", 3):
            raise Killed

    lite.shop.before = kill
    with pytest.raises(Killed):
        run(lite)
    lite.shop.before = lambda _listing, _number: None
    lite.clock.move(minutes=20)
    lite.shop.fetched.clear()
    lite.shop.lists["two"] = list(range(200, 225))  # as many rows, but other ones
    result = run(lite)
    assert (result.outcome, live(lite)) == ("published", all_codes(lite))
    assert lite.shop.fetched == [("one", 4), ("two", 2), ("two", 1), ("two", 2), ("two", 3)]


def test_a_browser_reads_its_unfinished_listing_from_the_start(lite: Bench) -> None:
    lite.resumes_anywhere = False

    def kill(listing: str, number: int) -> None:
        if (listing, number) == ("two", 2):
            raise Killed

    lite.shop.before = kill
    with pytest.raises(Killed):
        run(lite)
    lite.shop.before = lambda _listing, _number: None
    assert run(lite).outcome == "published"
    assert lite.shop.fetched.count(("one", 1)) == 1
    assert lite.shop.fetched.count(("two", 1)) == 2
    assert live(lite) == all_codes(lite)


def test_a_crawl_that_was_read_whole_only_has_to_be_published(lite: Bench) -> None:
    def kill(*_args: object) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publishing, "publish", kill)
        with pytest.raises(Killed):
            run(lite)
    fetched = list(lite.shop.fetched)
    result = run(lite)
    assert (result.outcome, result.pages, result.crawl_id) == ("published", 0, 1)
    assert lite.shop.fetched == fetched


@pytest.mark.parametrize("age_h", [7, -7])
def test_an_old_unfinished_crawl_is_given_up(lite: Bench, age_h: float) -> None:
    """Its pages may be of another list; a clock that was put back looks the same."""
    number = staging.start_crawl(
        lite.db, EMART24, "2026-02", "memory", NOW - timedelta(hours=age_h), archive="x"
    )
    result = run(lite)
    assert result.outcome == "published"
    assert result.crawl_id != number
    assert staging.crawl_record(lite.db, number).reason == "abandoned"


def test_one_can_ask_for_a_fresh_crawl(lite: Bench) -> None:
    number = staging.start_crawl(lite.db, EMART24, "2026-02", "memory", NOW, archive="x")
    assert run(lite, fresh=True).crawl_id != number


def test_a_crawl_of_another_transport_is_not_gone_on_with(lite: Bench) -> None:
    number = staging.start_crawl(lite.db, EMART24, "2026-02", "browser", NOW, archive="x")
    assert run(lite).crawl_id != number


def test_a_drop_is_held_and_the_published_rows_stay(bench: Bench) -> None:
    run(bench)
    before = live(bench)
    bench.shop.lists["one"] = list(range(5))
    bench.clock.move(days=1)
    result = run(bench)
    assert (result.outcome, result.reason) == ("held", "count")
    assert "expected 42 to 240 rows (last: 60), received 30" in result.message
    assert live(bench) == before
    assert (source(bench).state, source(bench).reason) == ("stale", "held")
    held = snapshots.held_snapshots(bench.db, EMART24)
    assert [one.id for one in held] == [result.snapshot_id]
    publishing.approve(bench.db, held[0].id, bench.clock())
    assert live(bench) == all_codes(bench)
    assert source(bench).state == "ok"


def test_a_newer_held_crawl_takes_the_place_of_an_older_one(lite: Bench) -> None:
    run(lite)
    lite.shop.lists["one"] = list(range(5))
    lite.clock.move(days=1)
    first = run(lite)
    lite.clock.move(days=1)
    second = run(lite)
    assert first.outcome == "held"
    assert [one.id for one in snapshots.held_snapshots(lite.db)] == [second.snapshot_id]


def test_a_good_crawl_after_a_held_one_is_published(lite: Bench) -> None:
    run(lite)
    full = list(lite.shop.lists["one"])
    lite.shop.lists["one"] = []
    lite.clock.move(days=1)
    assert run(lite).outcome == "held"
    lite.shop.lists["one"] = full
    lite.clock.move(days=1)
    assert run(lite).outcome == "unchanged"
    assert snapshots.held_snapshots(lite.db) == []
    assert source(lite).state == "ok"


def test_an_unknown_badge_holds_and_is_kept_with_its_page(lite: Bench) -> None:
    lite.shop.problems["two"] = "badge-unknown"
    result = run(lite)
    assert (result.outcome, result.reason) == ("held", "badge-unknown")
    assert result.crawl_id is not None
    odd = staging.anomalies(lite.db, result.crawl_id)
    assert [(one.code, one.listing, one.number) for one in odd if one.listing] == [
        ("badge-unknown", "two", 1)
    ]
    assert source(lite).state == "never"  # nothing was ever published, so nothing grew old


@pytest.mark.parametrize(("problem", "reason"), [("drift", "page-drift"), ("crash", "page-drift")])
def test_a_page_that_cannot_be_read_fails_the_crawl_and_is_kept(
    lite: Bench, problem: str, reason: str
) -> None:
    run(lite)
    before = live(lite)
    lite.shop.problems["one"] = problem
    lite.clock.move(days=1)
    result = run(lite)
    assert (result.outcome, result.reason) == ("failed", reason)
    assert live(lite) == before
    assert (source(lite).state, source(lite).reason) == ("stale", reason)
    assert result.crawl_id is not None
    kept = staging.anomalies(lite.db, result.crawl_id)
    assert [(one.code, one.listing, one.number) for one in kept] == [(reason, "one", 1)]
    assert lite.transports[-1].closed == 1


def test_a_source_that_is_gone_keeps_its_last_good_snapshot(bench: Bench) -> None:
    run(bench)
    before = live(bench)

    def gone(_listing: str, _number: int) -> None:
        raise SourceGoneError("Expected the list. Received another site's shell.")

    bench.shop.before = gone
    bench.clock.move(days=1)
    since = bench.clock()
    assert run(bench).outcome == "gone"
    bench.clock.move(days=1)
    assert run(bench).outcome == "gone"
    assert (source(bench).state, source(bench).since) == ("gone", since)
    assert live(bench) == before


def test_a_failed_crawl_is_not_gone_on_with(lite: Bench) -> None:
    def fail(listing: str, number: int) -> None:
        if number == 2:
            raise FetchFailedError("Expected page 2. Received nothing.")

    lite.shop.before = fail
    failed = run(lite)
    lite.shop.before = lambda _listing, _number: None
    result = run(lite)
    assert (failed.reason, result.outcome) == ("fetch-failed", "published")
    assert failed.requests == 1
    assert result.crawl_id != failed.crawl_id
    assert result.pages_kept == 0


def test_rows_that_shift_once_are_read_again(lite: Bench) -> None:
    """A new row in front pushes one over the edge of page 1; the second reading is quiet."""

    def shift(listing: str, number: int) -> None:
        if lite.shop.fetched == [("one", 1)]:
            lite.shop.lists["one"].insert(0, 77)
            lite.shop.lists["one"].pop()

    lite.shop.before = shift
    assert run(lite).outcome == "published"
    assert live(lite) == all_codes(lite)


def test_rows_that_keep_shifting_fail_the_crawl(lite: Bench) -> None:
    run(lite)
    before = live(lite)

    def shift(listing: str, number: int) -> None:
        rows = lite.shop.lists["one"]
        rows.insert(0, rows.pop())

    lite.shop.before = shift
    lite.clock.move(days=1)
    result = run(lite)
    assert (result.outcome, result.reason) == ("failed", "listing-broken")
    assert "the list moved while it was read" in result.message
    assert live(lite) == before


def test_rows_that_the_shop_prints_twice_are_published_once(lite: Bench) -> None:
    lite.shop.lists["one"] = [*range(34), 5]  # row 5 stands on page 1 and on page 4
    result = run(lite)
    assert (result.outcome, result.rows) == ("published", 59)
    assert lite.shop.fetched.count(("one", 1)) == 2  # read again before it was believed


def test_a_total_that_changes_once_is_read_again_and_then_fails(lite: Bench) -> None:
    lite.shop.total_of = lambda listing, number: len(lite.shop.lists[listing]) + (number > 1)
    result = run(lite)
    assert (result.outcome, result.reason) == ("failed", "listing-broken")
    assert lite.shop.fetched.count(("one", 1)) == 2


def test_a_crawl_that_meets_the_end_of_the_month_begins_again_in_the_new_one(lite: Bench) -> None:
    """14:59 UTC on 28 February is 23:59 in Korea."""
    lite.clock.now = datetime(2026, 2, 28, 14, 59, tzinfo=UTC)

    def tick(listing: str, number: int) -> None:
        lite.clock.move(seconds=20)

    lite.shop.before = tick
    result = run(lite)
    assert (result.outcome, result.month) == ("published", "2026-03")
    ended = [one for one in staging.crawls(lite.db) if one.state == "failed"]
    assert [one.month for one in ended] == ["2026-02"]
    assert "month-turned" in ended[0].reason
    offers = snapshots.offers_of(lite.db, result.snapshot_id or 0)
    assert {str(offer.valid_from) for offer in offers} == {"2026-03-01"}
    assert {str(offer.valid_until) for offer in offers} == {"2026-03-31"}
    assert all(offer.valid_until_inferred for offer in offers)


def test_a_clock_that_jumps_back_mid_crawl_does_not_matter(lite: Bench) -> None:
    run(lite)
    lite.clock.move(days=1)

    def jump(listing: str, number: int) -> None:
        if (listing, number) == ("one", 3):
            lite.clock.move(hours=-5)

    lite.shop.before = jump
    lite.shop.lists["one"].append(60)
    assert run(lite).outcome == "published"
    lite.shop.before = lambda _listing, _number: None
    lite.shop.lists["one"].append(61)
    # Begun earlier, by the clock, than the crawl that is published.
    assert run(lite).outcome == "published"
    assert live(lite) == all_codes(lite)


def test_a_chain_is_crawled_by_one_at_a_time(bench: Bench) -> None:
    with chain_lock(bench.db, EMART24):
        result = run(bench)
        assert (result.outcome, result.reason) == ("busy", "busy")
        with chain_lock(bench.db, Chain.CU):
            pass  # another chain may be crawled meanwhile
    assert run(bench).outcome == "published"


def test_a_lock_is_free_again_after_an_error(bench: Bench) -> None:
    with pytest.raises(ZeroDivisionError), chain_lock(bench.db, EMART24):
        raise ZeroDivisionError
    with (
        chain_lock(bench.db, EMART24),
        pytest.raises(ChainBusyError),
        chain_lock(bench.db, EMART24),
    ):
        pass


def test_a_stop_is_noticed_between_two_pages(lite: Bench) -> None:
    stop = threading.Event()

    def ask(listing: str, number: int) -> None:
        if number == 3:
            stop.set()

    lite.shop.before = ask
    result = crawl_chain(lite.job(), lite.desk(stop.is_set))
    assert (result.outcome, len(lite.shop.fetched)) == ("stopped", 3)
    assert lite.transports[0].closed == 1
    lite.shop.before = lambda _listing, _number: None
    result = run(lite)
    assert (result.outcome, result.pages_kept) == ("published", 3)


def test_a_locked_catalog_fails_the_run_and_not_the_crawl(lite: Bench, tmp_path: Path) -> None:
    other = open_database(str(tmp_path / "promotions.db"))

    def lock(listing: str, number: int) -> None:
        if (listing, number) == ("two", 1):
            writing.__enter__()

    writing = other.write()
    lite.shop.before = lock
    result = run(lite)
    assert (result.outcome, result.reason) == ("failed", "storage")
    assert "Expected to write within 0.2 s" in result.message
    writing.__exit__(None, None, None)
    other.close()
    lite.shop.before = lambda _listing, _number: None
    result = run(lite)
    assert (result.outcome, result.pages_kept) == ("published", 4)
    assert live(lite) == all_codes(lite)


def test_an_answer_that_cannot_be_archived_fails_the_run_and_not_the_crawl(lite: Bench) -> None:
    def remove(listing: str, number: int) -> None:
        if (listing, number) == ("one", 3):
            next(lite.folder.iterdir()).rename(lite.folder.parent / "away")

    lite.shop.before = remove
    result = run(lite)
    assert (result.outcome, result.reason) == ("failed", "disk")
    away = lite.folder.parent / "away"
    away.rename(lite.folder / "emart24-2026-02-0")
    lite.shop.before = lambda _listing, _number: None
    assert run(lite).pages_kept == 2


def test_a_browser_that_is_missing_is_no_fault_of_the_storage(lite: Bench) -> None:
    def missing() -> Transport:
        raise MissingError("Expected the program chromium. Received none.")

    job = replace(lite.job(), transport=missing, transport_name="browser")
    result = crawl_chain(job, lite.desk())
    assert (result.outcome, result.reason) == ("failed", "browser")
    assert "chromium" in result.message


@pytest.mark.parametrize("published", [False, True])
def test_a_browser_that_is_missing_leaves_a_failed_crawl_for_all_who_ask(
    lite: Bench, published: bool
) -> None:
    def missing() -> Transport:
        raise MissingError("Expected the program chromium. Received none.")

    if published:
        run(lite)
        lite.clock.move(days=1)
    job = replace(lite.job(), transport=missing, transport_name="browser")
    result = crawl_chain(job, lite.desk())
    (record, *_) = staging.crawls(lite.db, EMART24)
    assert (record.id, record.state, record.transport) == (result.crawl_id, "failed", "browser")
    assert record.reason == "browser: Expected the program chromium. Received none."
    assert record.finished_at is not None
    told = [(one.code, one.listing) for one in staging.anomalies(lite.db, record.id)]
    assert told == [("browser", None)]
    (status,) = chain_statuses(lite.db, lite.clock(), [EMART24])
    assert (status.source.state, status.source.reason) == (
        ("stale", "browser") if published else ("never", "")
    )
    assert "  browser: Expected the program chromium. Received none." in todo_lines(status)
    metrics = generate_latest(registry_of(lambda: [status])).decode()
    assert 'last_crawl_state{chain="emart24",state="failed"} 1.0' in metrics
    (section,) = report_content(lite.db, lite.clock(), chains=[EMART24]).chains
    assert [row.code for row in section.findings] == ["browser"]
    assert section.crawls[0].state == "failed"
    assert run(lite).outcome == ("unchanged" if published else "published")


def test_a_defect_in_the_program_fails_one_chain_with_a_trace(
    lite: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    def defect(listing: str, number: int) -> None:
        raise KeyError("defect")

    lite.shop.before = defect
    result = run(lite)
    assert (result.outcome, result.reason) == ("failed", "internal-error")
    assert "Traceback" in caplog.text


def test_what_a_run_ends_with_is_its_worst_chain() -> None:
    def ended(*outcomes: str) -> int:
        return exit_status([ChainResult(EMART24, Outcome(one), "2026-02") for one in outcomes])

    assert ended() == 0
    assert ended("published", "unchanged") == 0
    assert ended("published", "busy") == 4
    assert ended("busy", "held", "published") == 3
    assert ended("held", "failed") == 1
    assert ended("gone") == 1
    assert ended("failed", "stopped") == 130


def test_a_run_leaves_one_line_in_the_log(lite: Bench, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "promolens_crawler.pipeline"):
        result = run(lite)
    lines = [record.message for record in caplog.records if record.message.startswith("crawl ")]
    assert lines == [log_line(result)]
    assert lines[0].startswith(
        "crawl chain=emart24 outcome=published month=2026-02 rows=60 added=60 ended=0 version="
    )


def test_the_month_may_be_given(lite: Bench) -> None:
    assert run(lite, month="2026-01").month == "2026-01"
    published = snapshots.published_snapshot(lite.db, EMART24)
    assert published is not None
    assert published.month == "2026-01"


def test_a_month_older_than_the_published_one_is_refused_once(lite: Bench) -> None:
    run(lite)
    before = live(lite)
    lite.clock.move(days=1)
    result = run(lite, month="2026-01")
    assert (result.outcome, result.reason) == ("failed", "refused")
    assert "began after the published one" in result.message
    assert live(lite) == before
    assert staging.crawls(lite.db, limit=1)[0].state == "failed"  # not tried again for ever


def test_what_a_hostile_shop_says_cannot_steer_a_terminal(lite: Bench) -> None:
    def redirect(_listing: str, _number: int) -> None:
        raise SourceGoneError("Received a redirect to \x1b]0;owned\x07\x1b[2J\u202e/\ud800.")

    lite.shop.before = redirect
    result = run(lite)
    assert result.message == "Received a redirect to ?]0;owned??[2J?/?."
    assert result.crawl_id is not None
    assert "\x1b" not in staging.crawl_record(lite.db, result.crawl_id).reason


def test_a_page_of_nothing_but_faults_does_not_fill_the_catalog() -> None:
    faults = tuple(Problem("price-unreadable", f"row {n}", n) for n in range(5000))
    page = staged_page_of(ParsedPage((), 5000, None, True, faults), EMART24, "2026-02", "x", 1, "")
    assert len(page.problems) == 201
    assert page.problems[-1].detail == "and 4800 more of this page"
    assert page.cards_seen == 5000


def test_a_card_that_storage_would_refuse_is_an_anomaly_and_stops_nothing() -> None:
    good = Card("별빛)물결칩", 1000, Kind.ONE_PLUS_ONE)
    cards = (good, replace(good, name="ㅋ" * 201), replace(good, image_url="x" * 3000), good)
    page = staged_page_of(ParsedPage(cards, 4), EMART24, "2026-02", "one", 1, "")
    assert [offer.name for offer in page.offers] == ["별빛)물결칩"] * 2
    assert [row.code for row in page.problems] == ["card-unreadable"] * 2


def test_every_site_has_distinct_listing_keys() -> None:
    assert len({listing.key for listing in SITE.listings}) == len(SITE.listings)
