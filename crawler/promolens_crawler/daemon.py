"""Crawls on schedule until it is told to stop: APScheduler keeps time, `schedule` knows when.

One worker: chains are crawled one after the other, so that one machine never asks faster than one
person would. What was missed while the machine was off is made up for once at the start. Between
two pages a stop is noticed; the crawl then goes on after the next start.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from promolens_catalog.chains import Chain
from promolens_crawler.results import ChainResult, Outcome
from promolens_crawler.schedule import ChainPlan, is_missed, next_fire

log = logging.getLogger(__name__)

HEARTBEAT_S = 60
# What a later try may find mended; a held or gone list waits for a person or the next plan.
RETRIED = ("fetch-failed", "storage", "disk", "browser", "listing-broken", "busy", "internal-error")


class PlanTrigger(BaseTrigger):  # type: ignore[misc]
    """APScheduler's question for the next time, answered by `schedule.next_fire`."""

    __slots__ = ("_chain", "_plan")

    def __init__(self, chain: Chain, plan: ChainPlan) -> None:
        """Keep whose plan it is."""
        self._chain, self._plan = chain, plan

    def get_next_fire_time(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, previous_fire_time: datetime | None, now: datetime
    ) -> datetime:
        """Return the first planned instant after the one before, or after now at the start."""
        after = previous_fire_time or now
        return next_fire(self._plan.schedule, self._chain, after, self._plan.window)


class _Scheduler(BackgroundScheduler):  # type: ignore[misc]
    """One that may be stopped while it hands out a crawl."""

    def remove_job(self, job_id: str, jobstore: str | None = None) -> None:
        """Remove a job.

        APScheduler's thread removes a crawl of one time once it is handed out, and does not find
        it where a stop came in between.
        """
        with contextlib.suppress(JobLookupError):
            super().remove_job(job_id, jobstore)


class Daemon:
    """Runs planned crawls in a thread of its own."""

    def __init__(
        self,
        plans: Mapping[Chain, ChainPlan],
        crawl: Callable[[Chain], ChainResult],
        last_started: Callable[[Chain], datetime | None],
        clock: Callable[[], datetime],
        heartbeat: Callable[[], None] | None = None,
    ) -> None:
        """Prepare; `start` begins.

        Args:
            crawl: crawls a chain and tells alerts and metrics about it.
            last_started: when the chain's newest finished crawl began; `None` before the first
                and where one is unfinished, so that it is gone on with at once.
            heartbeat: called every minute from the scheduler's worker.
        """
        self._plans, self._crawl, self._clock = dict(plans), crawl, clock
        self._last_started = last_started
        self._retries = dict.fromkeys(plans, 0)
        self._stopping = threading.Event()
        # A stop waits for the crawl that runs, and that must not wait for the stop to plan a retry.
        self._planning = threading.Lock()
        self._scheduler = _Scheduler(
            timezone=UTC,
            # A second worker for the heartbeat alone; the lock keeps crawls one after the other.
            executors={"default": ThreadPoolExecutor(1), "heartbeat": ThreadPoolExecutor(1)},
        )
        if heartbeat is not None:
            self._scheduler.add_job(
                heartbeat,
                "interval",
                seconds=HEARTBEAT_S,
                executor="heartbeat",
                coalesce=True,
                id="heartbeat",
            )

    def start(self) -> tuple[Chain, ...]:
        """Begin to keep time; return the chains whose missed crawl is made up for now."""
        missed = self.missed()
        for chain, plan in self._plans.items():
            self._scheduler.add_job(
                self._planned,
                PlanTrigger(chain, plan),
                args=[chain],
                id=str(chain),
                coalesce=True,
                max_instances=1,
                misfire_grace_time=plan.schedule.misfire_grace_s,
            )
        self._scheduler.start()
        for chain in missed:
            self._once(chain, self._clock(), "missed")
        return missed

    def missed(self) -> tuple[Chain, ...]:
        """Return the chains with a crawl that should have been and was not, if open now."""
        now = self._clock()
        return tuple(
            chain
            for chain, plan in self._plans.items()
            if plan.is_open(now)
            and is_missed(plan.schedule, chain, now, self._last_started(chain), plan.window)
        )

    def next_times(self) -> dict[Chain, datetime]:
        """Return when each chain is crawled next."""
        now = self._clock()
        return {
            chain: next_fire(plan.schedule, chain, now, plan.window)
            for chain, plan in self._plans.items()
        }

    def stop(self) -> None:
        """Take no further crawl and wait for the one that runs; it was asked to stop elsewhere."""
        with self._planning:
            self._stopping.set()
        self._scheduler.shutdown(wait=True)

    def _planned(self, chain: Chain) -> None:
        self._retries[chain] = 0
        self._run(chain)

    def _run(self, chain: Chain) -> None:
        if self._stopping.is_set():
            return  # it waited for its turn while another one was stopped
        result = self._crawl(chain)
        if result.outcome is Outcome.STOPPED:
            self._stopping.set()
        if result.outcome in (Outcome.FAILED, Outcome.BUSY) and result.reason in RETRIED:
            self._retry(chain)

    def _retry(self, chain: Chain) -> None:
        plan = self._plans[chain]
        if self._retries[chain] >= plan.schedule.max_retries:
            log.warning("%s: no further try before the next planned crawl", chain)
            return
        self._retries[chain] += 1
        at = self._clock() + timedelta(seconds=plan.schedule.retry_after_s)
        if plan.is_open(at):
            log.info("%s: trying again at %s", chain, f"{at:%Y-%m-%d %H:%M} UTC")
            self._once(chain, at, "retry")

    def _once(self, chain: Chain, at: datetime, why: str) -> None:
        with self._planning:
            if self._stopping.is_set():
                return
            self._scheduler.add_job(
                self._run,
                "date",
                run_date=at,
                args=[chain],
                id=f"{chain}-{why}",
                replace_existing=True,
                misfire_grace_time=self._plans[chain].schedule.misfire_grace_s,
            )


def run_until(stop: threading.Event, daemon: Daemon, announce: Callable[[str], None]) -> None:
    """Run the daemon until `stop` is set; says what it does in a few lines."""
    missed = daemon.start()
    if missed:
        announce(f"making up for a missed crawl: {', '.join(missed)}")
    for chain, at in sorted(daemon.next_times().items(), key=lambda pair: pair[1]):
        announce(f"next crawl of {chain}: {at:%Y-%m-%d %H:%M} UTC")
    try:
        stop.wait()
    finally:
        stop.set()
        announce("stopping after the page that is being read")
        daemon.stop()
