"""A run: the chains of a configuration, one after the other, and what is told about it after."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from promolens_catalog import snapshots, staging
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database
from promolens_catalog.links import Linker
from promolens_crawler.alert_memory import AlertMemory
from promolens_crawler.alerts import TELLS, alert_body, alert_target, send_alert
from promolens_crawler.archive import Archive
from promolens_crawler.config import CrawlerConfig, TransportName
from promolens_crawler.manners import Clock
from promolens_crawler.metrics import write_textfile
from promolens_crawler.pipeline import GOING, Desk, Job, Progress, crawl_chain
from promolens_crawler.results import ChainResult, Outcome
from promolens_crawler.schedule import KNOWN_WINDOWS, ChainPlan
from promolens_crawler.sites import site_of
from promolens_crawler.status import chain_statuses
from promolens_crawler.transports.build import archive_of, home_of, open_transport
from promolens_runtime.errors import InputError, PromolensError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunOptions:
    """What a person may ask of a run.

    Attributes:
        month: `YYYY-MM`, where it is not the Korean month of now.
        transport: another one than the configured.
        fresh: begin anew even where a killed crawl could go on.
    """

    month: str | None = None
    transport: TransportName | None = None
    fresh: bool = False


@dataclass(frozen=True)
class Run:
    """Everything a run needs; safe to use again for the next one.

    Attributes:
        stop: says whether to stop between two pages.
    """

    config: CrawlerConfig
    db: Database
    progress: Progress
    linker: Linker | None = None
    clock: Clock = field(default_factory=Clock)
    stop: Callable[[], bool] = lambda: False

    def crawl(self, chain: Chain, options: RunOptions) -> ChainResult:
        """Crawl one chain.

        Raises:
            NotAllowedError: its source is not switched on.
        """
        self.config.source(chain)
        archive = archive_of(self.config)
        desk = Desk(self.db, archive, self.clock.now, self.progress, self.linker, self.stop)
        return crawl_chain(self._job(chain, options, archive), desk)

    def crawl_all(self, chains: Sequence[Chain], options: RunOptions) -> list[ChainResult]:
        """Crawl some chains and tell metrics and alerts; one that fails does not stop the others.

        Raises:
            InputError: no chain is given.
            NotAllowedError: one of them is not switched on; nothing was crawled then.
        """
        if not chains:
            raise _nothing_on()
        for chain in chains:
            self.config.source(chain)
        results: list[ChainResult] = []
        for chain in chains:
            results.append(self.crawl(chain, options))
            if results[-1].outcome is Outcome.STOPPED:
                break
        self.tell(results)
        return results

    def tell(self, results: Sequence[ChainResult]) -> None:
        """Send alerts, write metrics and drop old archives; none of them fails a run."""
        for step in (lambda: self._alert(results), self._write_metrics, self._prune):
            _without_harm(step)

    def measure(self) -> None:
        """Write the metrics file, where one is configured; never raises."""
        _without_harm(self._write_metrics)

    def _job(self, chain: Chain, options: RunOptions, archive: Archive) -> Job:
        site = site_of(chain, self.config.sources[chain].page_size)
        return Job(
            site=site,
            home=home_of(self.config, site),
            transport=lambda: open_transport(
                self.config, site, name=options.transport, archive=archive, clock=self.clock
            ),
            transport_name=options.transport or self.config.sources[chain].transport,
            month=options.month,
            thresholds=self.config.sources[chain].thresholds,
            limits=self.config.limits.paging,
            fresh=options.fresh,
        )

    def _alert(self, results: Sequence[ChainResult]) -> None:
        target = alert_target(self.config.alerts.url, os.environ)
        if target is None:
            return
        memory = AlertMemory(self.config.archive)
        memory.mended(results)
        untold = [one for one in memory.untold(results) if one.outcome in TELLS]
        body = alert_body(untold, self.clock.now())
        if body is not None and send_alert(target, body):
            memory.remember(untold)

    def _write_metrics(self) -> None:
        if self.config.metrics.textfile is not None:
            now = self.clock.now()
            write_textfile(self.config.metrics.textfile, chain_statuses(self.db, now))

    def _prune(self) -> None:
        now = self.clock.now()
        gone = archive_of(self.config).prune(
            now - timedelta(days=self.config.retention_days), kept_archives(self.db)
        )
        if gone:
            log.info("dropped %d archived crawls", len(gone))


def _without_harm(step: Callable[[], None]) -> None:
    try:
        step()
    except (PromolensError, OSError, ValueError) as error:
        log.warning("after the crawl: %s", error)


def chain_plans(config: CrawlerConfig) -> dict[Chain, ChainPlan]:
    """Return when each chain that is switched on is crawled.

    Raises:
        InputError: none is.
    """
    plans = {}
    for chain in config.enabled():
        source = config.sources[chain]
        known = None if source.is_loopback else KNOWN_WINDOWS.get(chain)
        plans[chain] = ChainPlan(source.schedule, source.visit_window or known)
    if not plans:
        raise _nothing_on()
    return plans


def _nothing_on() -> InputError:
    return InputError(
        "Expected a source that is switched on. Received a configuration without any. "
        "Write one with: promolens crawl init"
    )


def kept_archives(db: Database) -> set[str]:
    """Return the archives that stay whatever their age: of live, held and unfinished crawls."""
    kept: set[str] = set()
    for chain in Chain:
        shown = [snapshots.published_snapshot(db, chain), *snapshots.held_snapshots(db, chain)]
        ids = {one.crawl_id for one in shown if one is not None and one.crawl_id is not None}
        records = [staging.crawl_record(db, number) for number in ids]
        recent = staging.crawls(db, chain, limit=20)
        records += [one for one in recent if one.state in GOING]
        kept |= {one.archive for one in records if one.archive}
    return kept


def last_start(db: Database, chain: Chain) -> datetime | None:
    """Return when a chain's newest crawl began; `None` before the first, and where one waits.

    A crawl that a killed process left is gone on with at once: that counts as never begun.
    """
    newest = next(iter(staging.crawls(db, chain, limit=1)), None)
    return None if newest is None or newest.state in GOING else newest.started_at
