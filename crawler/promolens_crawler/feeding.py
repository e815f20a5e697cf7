"""A list from a file, judged and published like a crawl: the feeder for a source that is gone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime

from promolens_catalog import publishing, snapshots, staging
from promolens_catalog.database import Database
from promolens_catalog.importing import LISTING, ImportedList, pages_of, stage_list
from promolens_catalog.links import Linker
from promolens_catalog.staging import AnomalyRow
from promolens_crawler.judging import baseline_of, listing_facts
from promolens_crawler.locks import chain_lock
from promolens_crawler.results import ChainResult, Outcome
from promolens_crawler.sites.base import Listing
from promolens_crawler.validation import (
    CHAIN_THRESHOLDS,
    CrawlFacts,
    Thresholds,
    holds,
    validate,
)
from promolens_runtime.errors import InputError


def feed(
    db: Database,
    read: ImportedList,
    now: datetime,
    *,
    linker: Linker | None = None,
    thresholds: Thresholds | None = None,
) -> ChainResult:
    """Stage a list and publish it, or hold it with the reasons for a person to decide.

    Raises:
        ChainBusyError: a crawl of this chain is running.
        InputError: the published list is of a later month.
    """
    with chain_lock(db, read.chain) as check_lock:
        baseline = baseline_of(db, read.chain)
        if baseline is not None and read.month < baseline.month:
            raise InputError(
                f"Expected a list of {baseline.month} or later: the published one of {read.chain} "
                f"is of that month. Received one of {read.month}. Roll back first if you mean it."
            )
        findings = validate(facts_of(read, now), baseline, limits_for(read, thresholds))
        crawl_id = stage_list(db, read, now)
        found = [AnomalyRow(one.code, one.line()) for one in findings]
        staging.add_anomalies(db, crawl_id, found)
        check_lock()
        result = ChainResult(
            read.chain,
            Outcome.HELD,
            read.month,
            crawl_id=crawl_id,
            rows=len(set(read.offers)),
            findings=findings,
        )
        reasons = [one.line() for one in holds(findings)]
        if reasons:
            return _held(db, result, reasons, now)
        return _published(db, result, now, linker)


def limits_for(read: ImportedList, given: Thresholds | None) -> Thresholds:
    """Return where a list is held: one without any picture needs none, one that lost some does."""
    limits = given or CHAIN_THRESHOLDS.get(read.chain, Thresholds())
    if any(offer.image_url for offer in read.offers):
        return limits
    return replace(limits, min_image_share=0.0)


def facts_of(read: ImportedList, now: datetime) -> CrawlFacts:
    """Return what validation is told about a list: one listing whose total is the file's rows."""
    pages = pages_of(read)
    return CrawlFacts(
        chain=read.chain,
        month=read.month,
        declares_total=True,
        expected_listings=(LISTING,),
        listings=(listing_facts(Listing(LISTING), pages),),
        offers=tuple(dict.fromkeys(read.offers)),
        problems=Counter(problem.code for page in pages for problem in page.problems),
        crawled_at=now,
    )


def _held(db: Database, result: ChainResult, reasons: list[str], now: datetime) -> ChainResult:
    assert result.crawl_id is not None
    older = snapshots.held_snapshots(db, result.chain)
    snapshot_id = publishing.hold(db, result.crawl_id, reasons, now)
    for one in older:
        publishing.reject(db, one.id, now, f"replaced by held snapshot {snapshot_id}")
    code = holds(result.findings)[0].code
    return replace(result, snapshot_id=snapshot_id, reason=code, message="\n".join(reasons))


def _published(
    db: Database, result: ChainResult, now: datetime, linker: Linker | None
) -> ChainResult:
    assert result.crawl_id is not None
    try:
        done = publishing.publish(db, result.crawl_id, now, linker)
    except InputError as error:
        staging.finish_crawl(db, result.crawl_id, "failed", str(error), now)
        raise
    outcome = Outcome.PUBLISHED if done.added or done.ended else Outcome.UNCHANGED
    return replace(
        result,
        outcome=outcome,
        snapshot_id=done.snapshot_id,
        version=done.version,
        added=done.added,
        ended=done.ended,
    )
