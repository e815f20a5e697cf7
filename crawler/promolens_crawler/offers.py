"""From a parsed page to rows that can be stored: chain and dates put to each card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from promolens_catalog.calendar import first_day, last_day
from promolens_catalog.chains import Chain
from promolens_catalog.offers import Offer
from promolens_catalog.rows import check_offer
from promolens_catalog.staging import AnomalyRow, StagedPage
from promolens_crawler.pages import Card, ParsedPage
from promolens_runtime.errors import InputError

MAX_OF_ONE_CODE = 200


def offer_of_card(card: Card, chain: Chain, month: str) -> Offer:
    """Return the offer that a card states.

    Args:
        month: `YYYY-MM` in Korea. A card without dates of its own is valid from the first to the
            last day of it, and the offer says that the end is inferred.
    """
    start, end = card.window or (first_day(month), last_day(month))
    return Offer(
        chain=chain,
        name=card.name,
        price_krw=card.price_krw,
        kind=card.kind,
        valid_from=start,
        valid_until=end,
        valid_until_inferred=card.window is None,
        barcode=card.barcode,
        site_id=card.site_id,
        regular_price_krw=card.regular_price_krw,
        gift=card.gift,
        image_url=card.image_url,
        category=card.category,
    )


def staged_page_of(
    parsed: ParsedPage, chain: Chain, month: str, listing: str, number: int, sha256: str
) -> StagedPage:
    """Return what staging keeps of a page.

    A card that storage would refuse becomes an anomaly and no row: one odd card never stops a page,
    and it counts as unread when the crawl is judged.
    """
    offers: list[Offer] = []
    problems = [AnomalyRow(one.code, one.detail, one.position) for one in parsed.problems]
    for card in parsed.cards:
        offer = offer_of_card(card, chain, month)
        try:
            check_offer(offer)
        except InputError as error:
            problems.append(AnomalyRow("card-unreadable", str(error)))
        else:
            offers.append(offer)
    return StagedPage(
        listing=listing,
        number=number,
        sha256=sha256,
        cards_seen=parsed.cards_seen,
        declared_total=parsed.declared_total,
        end_seen=parsed.end_seen,
        offers=tuple(offers),
        problems=tuple(_bounded(problems)),
    )


def _bounded(problems: Sequence[AnomalyRow]) -> list[AnomalyRow]:
    """Keep the first of each code: a page of nothing but faults must not fill the catalog."""
    counts = Counter(row.code for row in problems)
    kept: list[AnomalyRow] = []
    seen: Counter[str] = Counter()
    for row in problems:
        seen[row.code] += 1
        if seen[row.code] <= MAX_OF_ONE_CODE:
            kept.append(row)
    for code, count in counts.items():
        if count > MAX_OF_ONE_CODE:
            kept.append(AnomalyRow(code, f"and {count - MAX_OF_ONE_CODE} more of this page"))
    return kept
