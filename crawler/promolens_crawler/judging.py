"""What validation is told: the facts of a staged crawl, and the snapshot it is compared with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from promolens_catalog import snapshots
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database
from promolens_catalog.offers import Offer
from promolens_catalog.staging import StagedPage
from promolens_crawler.sections import listings_of, whole_total
from promolens_crawler.sites.base import Listing, Site
from promolens_crawler.validation import Baseline, CrawlFacts, ListingFacts


def crawl_facts(
    site: Site, month: str, staged: Mapping[str, Sequence[StagedPage]], crawled_at: datetime
) -> CrawlFacts:
    """Sum up the staged pages of a crawl.

    Args:
        staged: pages by listing key, by number.
        crawled_at: when its reading ended.
    """
    listings = listings_of(site, staged)
    pages = [page for listing in listings for page in staged.get(listing.key, ())]
    rows: dict[Offer, None] = {offer: None for page in pages for offer in page.offers}
    return CrawlFacts(
        chain=site.chain,
        month=month,
        declares_total=site.declares_total,
        expected_listings=tuple(listing.key for listing in listings),
        listings=tuple(
            listing_facts(listing, staged[listing.key])
            for listing in listings
            if staged.get(listing.key)
        ),
        offers=tuple(rows),
        problems=Counter(problem.code for page in pages for problem in page.problems),
        crawled_at=crawled_at,
        whole_total=whole_total(site, staged),
    )


def listing_facts(listing: Listing, pages: Sequence[StagedPage]) -> ListingFacts:
    """Sum up the pages of one listing; there is at least one."""
    totals = [page.declared_total for page in pages if page.declared_total is not None]
    return ListingFacts(
        key=listing.key,
        kind=listing.kind,
        pages=len(pages),
        received=sum(page.cards_seen for page in pages),
        read=sum(len(page.offers) for page in pages),
        declared_total=totals[-1] if totals else None,
        end_seen=pages[-1].end_seen,
    )


def baseline_of(db: Database, chain: Chain) -> Baseline | None:
    """Return the chain's published snapshot; `None` before the first."""
    last = snapshots.published_snapshot(db, chain)
    if last is None:
        return None
    return Baseline(tuple(snapshots.offers_of(db, last.id)), last.crawled_at, last.month)
