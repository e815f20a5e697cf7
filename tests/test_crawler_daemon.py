"""The daemon: what it crawls when, what it makes up for, what it tries again, how it stops."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from promolens_catalog.chains import Chain
from promolens_crawler.daemon import Daemon, PlanTrigger, run_until
from promolens_crawler.results import ChainResult, Outcome
from promolens_crawler.schedule import ChainPlan, SchedulePlan, visit_window

SHARP = SchedulePlan(jitter_s=0)
NOW = datetime(2026, 2, 11, 3, 0, tzinfo=UTC)  # noon in Korea; due was 06:40
PLANS = {Chain.CU: ChainPlan(SHARP), Chain.EMART24: ChainPlan(SHARP)}


class Crawls:
    """Notes what was crawled, and ends as the test says."""

    def __init__(self, outcome: Outcome = Outcome.PUBLISHED, reason: str = "") -> None:
        self.outcome, self.reason = outcome, reason
        self.done: list[Chain] = []
        self.changed = threading.Condition()

    def __call__(self, chain: Chain) -> ChainResult:
        with self.changed:
            self.done.append(chain)
            self.changed.notify_all()
        return ChainResult(chain, self.outcome, "2026-02", self.reason)

    def wait_for(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.done) >= count, 20), self.done


def daemon(
    crawl: Callable[[Chain], ChainResult],
    last: dict[Chain, datetime | None],
    now: datetime = NOW,
    plans: dict[Chain, ChainPlan] | None = None,
    heartbeat: Callable[[], None] | None = None,
) -> Daemon:
    return Daemon(plans or PLANS, crawl, lambda chain: last.get(chain), lambda: now, heartbeat)


def test_only_what_was_missed_is_made_up_for() -> None:
    last: dict[Chain, datetime | None] = {
        Chain.CU: NOW - timedelta(days=3),
        Chain.EMART24: NOW - timedelta(hours=2),
    }
    assert daemon(Crawls(), last).missed() == (Chain.CU,)


def test_a_crawl_that_waits_to_be_gone_on_with_is_due_at_once() -> None:
    """`runner.last_start` gives `None` for it."""
    assert daemon(Crawls(), {Chain.CU: None, Chain.EMART24: NOW}).missed() == (Chain.CU,)


def test_a_shop_that_is_closed_is_not_visited_to_make_up_for_anything() -> None:
    plans = {Chain.GS25: ChainPlan(SHARP, visit_window("0400-0845"))}
    assert daemon(Crawls(), {}, NOW, plans).missed() == ()
    assert daemon(Crawls(), {}, NOW + timedelta(hours=1), plans).missed() == (Chain.GS25,)


def test_the_next_times_are_those_of_the_plan() -> None:
    times = daemon(Crawls(), {}).next_times()
    assert times == dict.fromkeys(PLANS, datetime(2026, 2, 11, 21, 40, tzinfo=UTC))


def test_the_trigger_goes_from_one_planned_instant_to_the_next() -> None:
    trigger = PlanTrigger(Chain.CU, ChainPlan(SHARP))
    first = trigger.get_next_fire_time(None, NOW)
    assert first == datetime(2026, 2, 11, 21, 40, tzinfo=UTC)
    assert trigger.get_next_fire_time(first, first) == first + timedelta(days=1)


def test_missed_crawls_run_one_after_the_other_once_each() -> None:
    crawls = Crawls()
    running = daemon(crawls, {}, datetime.now(UTC))
    assert running.start() == tuple(PLANS)
    crawls.wait_for(2)
    running.stop()
    assert crawls.done == list(PLANS)


@pytest.mark.parametrize(
    ("outcome", "reason", "again"),
    [
        (Outcome.FAILED, "fetch-failed", True),
        (Outcome.BUSY, "busy", True),
        (Outcome.HELD, "count", False),
        (Outcome.GONE, "source-gone", False),
        (Outcome.FAILED, "bot-page", False),
        (Outcome.FAILED, "page-drift", False),
    ],
)
def test_what_may_pass_is_tried_again_and_a_refusal_never(
    outcome: Outcome, reason: str, again: bool
) -> None:
    """The clock of this daemon is past, so that a retry is due at once."""
    plan = ChainPlan(SchedulePlan(jitter_s=0, retry_after_s=60, max_retries=2))
    crawls = Crawls(outcome, reason)
    past = datetime.now(UTC) - timedelta(seconds=61)
    running = daemon(crawls, {}, past, {Chain.CU: plan})
    running.start()
    crawls.wait_for(3 if again else 1)
    time.sleep(0.2)
    running.stop()
    assert len(crawls.done) == (3 if again else 1)  # two retries, then the next plan


def test_a_stop_waits_for_the_crawl_that_runs_and_takes_no_other() -> None:
    stop, begun, lines = threading.Event(), threading.Event(), []
    done = []

    def crawl(chain: Chain) -> ChainResult:
        begun.set()
        stop.wait(20)  # what the pipeline asks between two pages
        done.append(chain)
        return ChainResult(chain, Outcome.STOPPED, "2026-02", "stopped")

    running = daemon(crawl, {}, datetime.now(UTC))
    thread = threading.Thread(target=run_until, args=(stop, running, lines.append))
    thread.start()
    assert begun.wait(20)
    stop.set()
    thread.join(20)
    assert not thread.is_alive()
    assert done == [Chain.CU]
    assert lines[0] == "making up for a missed crawl: cu, emart24"
    assert lines[-1] == "stopping after the page that is being read"


def test_a_stop_while_crawls_are_handed_out_leaves_no_trace() -> None:
    """The scheduler's thread takes a crawl out of its store that a stop has emptied."""
    died: list[threading.ExceptHookArgs] = []
    before, threading.excepthook = threading.excepthook, died.append
    try:
        for turn in range(20):
            running = daemon(Crawls(), {}, datetime.now(UTC))
            running.start()
            time.sleep(turn / 4000)
            running.stop()
    finally:
        threading.excepthook = before
    assert [str(one.exc_value) for one in died] == []


def test_a_crawl_that_fails_during_a_stop_is_not_planned_again_and_holds_nothing_up() -> None:
    begun, stopping = threading.Event(), threading.Event()

    def crawl(chain: Chain) -> ChainResult:
        begun.set()
        stopping.wait(20)
        time.sleep(0.2)  # the stop waits for this crawl by now
        return ChainResult(chain, Outcome.FAILED, "2026-02", "fetch-failed")

    running = daemon(crawl, {}, datetime.now(UTC))
    running.start()
    assert begun.wait(20)
    thread = threading.Thread(target=running.stop, daemon=True)
    thread.start()
    stopping.set()
    thread.join(20)
    assert not thread.is_alive()
