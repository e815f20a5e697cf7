"""A shop whose cards do not say their section: may its sections' lists be read in its whole list's
place? Only if their totals add up to the whole list's own; else that one is read, without sections.

This costs one request, for the first page of the whole list: the sections' first pages are the
beginning of their reading. A shop whose sections overlap or leave a product out costs one request a
section more, and its rows say no section. Nothing of it is remembered from crawl to crawl.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from promolens_catalog.staging import (
    AnomalyRow,
    StagedPage,
    add_anomalies,
    drop_listing,
    stage_page,
)
from promolens_crawler.errors import PageDriftError
from promolens_crawler.reading import Reading, ReadingError, first_page
from promolens_crawler.sites.base import Listing, Site

log = logging.getLogger(__name__)

CODE = "sections"
StagedPages = Mapping[str, Sequence[StagedPage]]
"""Staged pages of a crawl by the key of their listing, by number."""


def is_settled(site: Site, staged: StagedPages) -> bool:
    """Say whether a crawl knows already which lists it goes by."""
    return not site.sections or bool(staged.get(site.listings[0].key))


def listings_of(site: Site, staged: StagedPages) -> tuple[Listing, ...]:
    """Return the lists that a settled crawl goes by: those of the sections, or the chain's own."""
    by_sections = any(staged.get(one.key) for one in site.sections)
    return site.sections if by_sections else site.listings


def whole_total(site: Site, staged: StagedPages) -> int | None:
    """Return how many rows the sections must have together; `None` if not read by sections."""
    pages = staged.get(site.listings[0].key)
    if listings_of(site, staged) is not site.sections or not pages:
        return None
    return pages[0].declared_total


def settle(reading: Reading, staged: StagedPages) -> None:
    """Find out which lists to read, and stage that; `staged` is what a killed process left of it.

    By sections: the first page of each, and the whole list's total as a page without cards.
    Else nothing but a note why.

    Raises:
        ReadingError: a page cannot be had, or the whole list's cannot be read.
        StoppedError: asked to stop.
    """
    site, crawl_id = reading.site, reading.crawl_id
    whole, answer = first_page(reading, site.listings[0])
    why = _stage_sections(reading, whole, staged)
    if not why:
        stage_page(reading.db, crawl_id, total_only(whole), answer.fetched_at)
        return
    for listing in site.sections:
        drop_listing(reading.db, crawl_id, listing.key)
    log.warning("%s: rows will say no section: %s", site.chain, why)
    note = f"{CODE}: {why}; read as one list, rows say no section"
    add_anomalies(reading.db, crawl_id, [AnomalyRow(CODE, note)])


def settled(site: Site, archived: StagedPages) -> dict[str, Sequence[StagedPage]]:
    """Return what `settle` and reading would have staged of archived pages."""
    staged = dict(archived)
    whole = staged.get(site.listings[0].key)
    firsts = [staged[one.key][0] for one in site.sections if staged.get(one.key)]
    if site.sections and whole and len(firsts) == len(site.sections) and not _gap(whole[0], firsts):
        staged[whole[0].listing] = (total_only(whole[0]),)
        return staged
    for listing in site.sections:
        staged.pop(listing.key, None)
    return staged


def total_only(whole: StagedPage) -> StagedPage:
    """Return the page as the statement of a total: its rows come from the sections."""
    return replace(whole, cards_seen=0, end_seen=False, offers=(), problems=())


def _stage_sections(reading: Reading, whole: StagedPage, staged: StagedPages) -> str:
    """Stage each section's first page; return why they cannot stand for the whole list, or `""`."""
    firsts: list[StagedPage] = []
    for listing in reading.site.sections:
        if staged.get(listing.key):
            firsts.append(staged[listing.key][0])
            continue
        try:
            page, answer = first_page(reading, listing)
        except ReadingError as failed:
            if not isinstance(failed.error, PageDriftError):
                raise
            return f"expected a list of section {listing.section}, received another page"
        stage_page(reading.db, reading.crawl_id, page, answer.fetched_at)
        firsts.append(page)
    return _gap(whole, firsts)


def _gap(whole: StagedPage, firsts: Sequence[StagedPage]) -> str:
    totals = [page.declared_total for page in firsts]
    known = [total for total in totals if total is not None]
    if whole.declared_total is not None and sum(known) == whole.declared_total and known == totals:
        return ""
    received = " + ".join("unknown" if total is None else str(total) for total in totals)
    return f"expected {whole.declared_total} rows in all sections together, received {received}"
