"""Is a crawl good enough to publish? Pure: facts of a crawl and the last snapshot in, findings out.

Each finding says what was expected and what was received. One with severity `hold` keeps the crawl
from being published until a person decides; a `note` is only shown. `docs/publishing.md` has the
table of all codes and what to do about each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from enum import StrEnum
from statistics import median
from unicodedata import category
from urllib.parse import urlsplit

from promolens_catalog.barcodes import has_check_digit
from promolens_catalog.calendar import first_day, last_day
from promolens_catalog.chains import Chain
from promolens_catalog.kinds import Kind
from promolens_catalog.offers import MAX_NAME_CHARACTERS, MAX_PRICE_KRW, Offer

PERCENT_SHARES = (
    "max_drop",
    "min_readable_share",
    "min_image_share",
    "max_barcode_share_fall",
    "max_kind_shift",
    "max_odd_price_share",
    "max_bad_check_digit_share",
    "max_badge_disagreement_share",
    "max_repeated_id_share",
    "max_outside_month_share",
)


class Severity(StrEnum):
    """What a finding does: `hold` keeps the crawl from being published, `note` is shown."""

    HOLD = "hold"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One thing that a person should know about a crawl."""

    code: str
    expected: str
    received: str
    severity: Severity = Severity.HOLD

    def line(self) -> str:
        """Return `code: expected ..., received ...`: how a held snapshot's reasons are kept."""
        return f"{self.code}: expected {self.expected}, received {self.received}"


@dataclass(frozen=True)
class Thresholds:
    """Where a crawl is held. Shares are 0..1 of the rows, unless said otherwise.

    Attributes:
        max_drop: a count may fall by this share of the last snapshot's, overall and per group.
        max_surge: a count may grow by this many times the last snapshot's (3.0: to four times).
        min_group_rows: kinds and categories with fewer rows in the last snapshot come and go by
            chance; their counts are not compared.
        min_lasting_rows: but one of at least so many rows must not vanish altogether.
        max_unread_cards: so many cards may lack a readable name, price or badge. Each of them is a
            row that would end by mistake, so none may, unless a person allows it.
        min_readable_share: cards that were read as rows, of all cards; holds besides the number.
        min_image_share: rows with an image address.
        max_barcode_share_fall: how far the share of rows with a barcode may fall below the last.
        max_kind_shift: share of rows that changed kind group (total variation distance).
        odd_price_krw: a price outside these two, ends included, is odd for a convenience store.
        max_median_factor: how many times the median price may grow or shrink.
        max_bad_check_digit_share: codes in image addresses with a wrong check digit, of all rows.
        max_badge_disagreement_share: cards whose badge text, class and list disagree, of all cards.
        max_repeated_id_share: rows that share barcode or id with a different product.
        max_outside_month_share: rows whose own dates lie outside the month of the crawl.
        first_min_rows: the least a chain's first snapshot may have.
        baseline_max_age_days: an older snapshot says nothing about the counts of today.
    """

    max_drop: float = 0.30
    max_surge: float = 3.0
    min_group_rows: int = 100
    min_lasting_rows: int = 20
    max_unread_cards: int = 0
    min_readable_share: float = 0.99
    min_image_share: float = 0.95
    max_barcode_share_fall: float = 0.10
    max_kind_shift: float = 0.30
    odd_price_krw: tuple[int, int] = (100, 200_000)
    max_odd_price_share: float = 0.01
    max_median_factor: float = 2.0
    max_bad_check_digit_share: float = 0.02
    max_badge_disagreement_share: float = 0.005
    max_repeated_id_share: float = 0.02
    max_outside_month_share: float = 0.02
    first_min_rows: int = 10
    baseline_max_age_days: int = 62

    def __post_init__(self) -> None:
        for name in PERCENT_SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be within 0..1, not {getattr(self, name)}")
        low, high = self.odd_price_krw
        if not 0 < low <= high:
            raise ValueError(f"odd_price_krw must be two rising prices, not {self.odd_price_krw}")
        if self.max_surge <= 0 or self.max_median_factor < 1:
            raise ValueError("max_surge must be above 0 and max_median_factor at least 1")
        if self.max_unread_cards < 0:
            raise ValueError(f"max_unread_cards must be at least 0, not {self.max_unread_cards}")
        counts = (self.min_group_rows, self.min_lasting_rows, self.first_min_rows)
        if min(*counts, self.baseline_max_age_days) < 1:
            raise ValueError("counts of rows and days must be at least 1")


# What binary fractions may add to a share: exactly at the limit is still within it.
ROUNDING = 1e-9

# Problems that keep a card from becoming a row.
UNREAD_CODES = (
    "price-unreadable",
    "badge-unknown",
    "badge-disagrees",
    "badge-missing",
    "name-missing",
    "card-unreadable",
)
SAME_LIST_SHARE = 0.95

THRESHOLD_NAMES = tuple(one.name for one in fields(Thresholds))

# What is normal for a chain where the common value would hold every crawl.
CHAIN_THRESHOLDS: dict[Chain, Thresholds] = {
    # Half of 7-Eleven's rows show a placeholder picture, C-Space's some.
    Chain.SEVEN: Thresholds(min_image_share=0.40),
    Chain.CSPACE: Thresholds(min_image_share=0.70),
}


@dataclass(frozen=True)
class ListingFacts:
    """How the reading of one listing ended.

    Attributes:
        received: cards of all its pages before anything is de-duplicated, unreadable ones included.
        read: those of them that became rows, repeated ones included.
        declared_total: the rows it should have, where its pages state them.
        end_seen: its last page said that there is no further one.
    """

    key: str
    kind: Kind | None
    pages: int
    received: int
    read: int
    declared_total: int | None
    end_seen: bool


@dataclass(frozen=True)
class Measures:
    """What snapshots are compared by.

    Attributes:
        rows: distinct rows.
        median_price_krw: 0 where there are no rows.
    """

    rows: int
    by_kind: Mapping[Kind, int]
    by_category: Mapping[str, int]
    barcode_share: float
    image_share: float
    median_price_krw: float


@dataclass(frozen=True)
class Baseline:
    """The last published snapshot, as far as a new one is compared with it."""

    offers: tuple[Offer, ...]
    crawled_at: datetime
    month: str


@dataclass(frozen=True)
class CrawlFacts:
    """A crawl whose listings were all read to their end.

    Attributes:
        month: `YYYY-MM`, in Korea.
        expected_listings: keys of the listings that the chain has.
        offers: the distinct rows.
        problems: how often each code of `promolens_crawler.pages.PROBLEMS` occurred.
        crawled_at: UTC.
        whole_total: rows of the chain's whole list, where it was read section by section.
    """

    chain: Chain
    month: str
    declares_total: bool
    expected_listings: tuple[str, ...]
    listings: tuple[ListingFacts, ...]
    offers: tuple[Offer, ...]
    problems: Mapping[str, int]
    crawled_at: datetime
    whole_total: int | None = None

    @property
    def cards(self) -> int:
        """All cards received."""
        return sum(listing.received for listing in self.listings)


@dataclass(frozen=True)
class _Case:
    """Everything a rule looks at."""

    crawl: CrawlFacts
    now: Measures
    before: Measures | None
    limits: Thresholds = field(default_factory=Thresholds)

    def problem_share(self, code: str) -> float:
        return self.crawl.problems.get(code, 0) / max(1, self.crawl.cards)


def measure(offers: Sequence[Offer]) -> Measures:
    """Count what snapshots are compared by."""
    rows = len(offers)
    prices = [offer.price_krw for offer in offers]
    return Measures(
        rows=rows,
        by_kind=Counter(offer.kind for offer in offers),
        by_category=Counter(offer.category for offer in offers if offer.category),
        barcode_share=sum(offer.barcode is not None for offer in offers) / max(1, rows),
        image_share=sum(offer.image_url is not None for offer in offers) / max(1, rows),
        median_price_krw=float(median(prices)) if prices else 0.0,
    )


def validate(
    crawl: CrawlFacts, baseline: Baseline | None, limits: Thresholds | None = None
) -> tuple[Finding, ...]:
    """Compare a crawl with what it must be and with the last published snapshot of its chain.

    Args:
        baseline: `None` before a chain's first snapshot.
        limits: the chain's own of `CHAIN_THRESHOLDS`, else the common ones, if not given.

    Returns:
        The findings; the crawl may be published if none of them has severity `hold`.
    """
    limits = limits or CHAIN_THRESHOLDS.get(crawl.chain, Thresholds())
    age = timedelta(days=limits.baseline_max_age_days)
    fresh = baseline if baseline and crawl.crawled_at - baseline.crawled_at <= age else None
    case = _Case(crawl, measure(crawl.offers), measure(fresh.offers) if fresh else None, limits)
    found = [finding for rule in RULES for finding in rule(case)]
    if baseline:
        found += [_old_baseline(baseline, limits)] if not fresh else _same_list(crawl, baseline)
    return tuple(found)


def holds(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return those that keep a crawl from being published."""
    return tuple(finding for finding in findings if finding.severity is Severity.HOLD)


def _old_baseline(baseline: Baseline, limits: Thresholds) -> Finding:
    return Finding(
        "baseline-old",
        f"a snapshot of the last {limits.baseline_max_age_days} days to compare with",
        f"one of {baseline.crawled_at:%Y-%m-%d}; counts were not compared",
        Severity.NOTE,
    )


def _same_list(crawl: CrawlFacts, baseline: Baseline) -> Iterator[Finding]:
    """Lists are exchanged at the start of a month: the old one is perhaps still shown."""
    if crawl.month == baseline.month or not crawl.offers:
        return
    before = {(offer.key(), offer.kind, offer.price_krw) for offer in baseline.offers}
    now = {(offer.key(), offer.kind, offer.price_krw) for offer in crawl.offers}
    same = len(now & before) / len(now)
    if same >= SAME_LIST_SHARE:
        yield Finding(
            "month-not-turned",
            f"another list than that of {baseline.month}",
            f"{_percent(same)} the same rows",
            Severity.NOTE,
        )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _listings(case: _Case) -> Iterator[Finding]:
    have = {listing.key for listing in case.crawl.listings}
    for key in case.crawl.expected_listings:
        if key not in have:
            yield Finding("listing-missing", f"listing {key}", "none")
    for listing in case.crawl.listings:
        yield from _listing_end(listing, case.crawl.declares_total)


def _listing_end(listing: ListingFacts, declares_total: bool) -> Iterator[Finding]:
    total = listing.declared_total
    if total is not None and total != listing.received:
        yield Finding("total", f"{total} rows in listing {listing.key}", f"{listing.received}")
    elif total is None and declares_total:
        yield Finding("total", f"a declared total in listing {listing.key}", "none")
    elif total is None and not listing.end_seen:
        yield Finding("end", f"an end marker in listing {listing.key}", "none")


def _sections(case: _Case) -> Iterator[Finding]:
    """Sections stand for the whole list only if each of its rows is in exactly one of them."""
    total = case.crawl.whole_total
    if total is None:
        return
    if case.crawl.cards != total:
        what = f"{total} rows in all sections together, as in the whole list"
        yield Finding("sections", what, f"{case.crawl.cards}")
    rows = Counter(replace(offer, category=None) for offer in set(case.crawl.offers))
    shared = sum(count > 1 for count in rows.values())
    if shared:
        yield Finding("sections", "each row in one section", f"{shared} in several")


def _schema(case: _Case) -> Iterator[Finding]:
    faults = [fault for offer in case.crawl.offers for fault in offer_faults(offer, case.crawl)]
    for text, count in Counter(faults).most_common(3):
        yield Finding("schema", "rows that follow the schema", f"{count} with {text}")


def offer_faults(offer: Offer, crawl: CrawlFacts) -> Iterator[str]:
    """Say what in a row breaks the schema, in a few words each; nothing for a good row."""
    if offer.chain is not crawl.chain:
        yield "another chain"
    if not offer.name.strip() or len(offer.name) > MAX_NAME_CHARACTERS:
        yield f"no name of 1 to {MAX_NAME_CHARACTERS} characters"
    elif any(category(letter) in ("Cc", "Cs") for letter in offer.name):
        yield "control characters in the name"
    if not 1 <= offer.price_krw <= MAX_PRICE_KRW:
        yield f"a price outside 1..{MAX_PRICE_KRW}"
    if offer.regular_price_krw is not None and not 1 <= offer.regular_price_krw <= MAX_PRICE_KRW:
        yield f"a regular price outside 1..{MAX_PRICE_KRW}"
    if offer.valid_from > offer.valid_until:
        yield "an end before the beginning"
    if offer.barcode is not None and not has_check_digit(offer.barcode):
        yield "a barcode with a wrong check digit"
    if offer.image_url is not None and urlsplit(offer.image_url).scheme not in ("http", "https"):
        yield "an image address that is not http(s)"


def _counts(case: _Case) -> Iterator[Finding]:
    if case.before is None:
        yield from _first(case)
        return
    yield from _count("count", "rows", case.now.rows, case.before.rows, case.limits)
    for kind, before in sorted(case.before.by_kind.items()):
        now = case.now.by_kind.get(kind, 0)
        yield from _group_count("kind", kind, now, before, case.limits)
    for section, before in sorted(case.before.by_category.items()):
        now = case.now.by_category.get(section, 0)
        yield from _group_count("category", section, now, before, case.limits)


def _group_count(
    name: str, group: str, now: int, before: int, limits: Thresholds
) -> Iterator[Finding]:
    if now == 0 and before >= limits.min_lasting_rows:
        yield Finding(f"count-{name}", f"rows of {name} {group} (last: {before})", "none")
    elif before >= limits.min_group_rows:
        yield from _count(f"count-{name}", f"rows of {name} {group}", now, before, limits)


def _count(code: str, what: str, now: int, before: int, limits: Thresholds) -> Iterator[Finding]:
    low = before * (1 - limits.max_drop)
    high = before * (1 + limits.max_surge)
    if now < low - ROUNDING or (before and now > high + ROUNDING):
        yield Finding(code, f"{low:.0f} to {high:.0f} {what} (last: {before})", f"{now}")


def _first(case: _Case) -> Iterator[Finding]:
    least = case.limits.first_min_rows
    if case.now.rows < least:
        yield Finding("first-count", f"at least {least} rows with nothing to compare", _rows(case))
    for listing in case.crawl.listings:
        if listing.received == 0:
            yield Finding("listing-empty", f"rows in {listing.key}", "none", Severity.NOTE)
    yield Finding(
        "first", "a snapshot to compare the counts with", "none that is fresh", Severity.NOTE
    )


def _rows(case: _Case) -> str:
    return f"{case.now.rows}"


def _coverage(case: _Case) -> Iterator[Finding]:
    crawl, limits = case.crawl, case.limits
    unread = crawl.cards - sum(listing.read for listing in crawl.listings)
    if unread > 0:
        share = 1 - unread / crawl.cards
        over = unread > limits.max_unread_cards or share < limits.min_readable_share
        yield Finding(
            "unreadable",
            f"name, price and badge on all but {limits.max_unread_cards} cards, and on at least "
            f"{_percent(limits.min_readable_share)}",
            f"{unread} cards without ({_top(crawl.problems)})",
            Severity.HOLD if over else Severity.NOTE,
        )
    if case.now.rows and case.now.image_share < limits.min_image_share:
        yield Finding(
            "image-coverage",
            f"an image address on {_percent(limits.min_image_share)} of the rows",
            _percent(case.now.image_share),
        )


def _top(problems: Mapping[str, int]) -> str:
    known = Counter({code: problems[code] for code in UNREAD_CODES if problems.get(code)})
    return ", ".join(f"{count} x {code}" for code, count in known.most_common(3)) or "no reason"


def _barcodes(case: _Case) -> Iterator[Finding]:
    wrong = case.problem_share("barcode-check-digit")
    if wrong > case.limits.max_bad_check_digit_share:
        yield Finding(
            "check-digit",
            f"wrong check digits on at most {_percent(case.limits.max_bad_check_digit_share)}",
            _percent(wrong),
        )
    if case.before is None or not case.now.rows:
        return
    least = case.before.barcode_share - case.limits.max_barcode_share_fall
    if case.now.barcode_share < least - ROUNDING:
        yield Finding(
            "barcode-share",
            f"a barcode on at least {_percent(least)} of the rows "
            f"(last: {_percent(case.before.barcode_share)})",
            _percent(case.now.barcode_share),
        )


def _badges(case: _Case) -> Iterator[Finding]:
    unknown = case.crawl.problems.get("badge-unknown", 0)
    if unknown:
        yield Finding(
            "badge-unknown", "only badges that stand for a known kind", f"{unknown} other"
        )
    wrong = case.crawl.problems.get("badge-disagrees", 0)
    if wrong:
        over = case.problem_share("badge-disagrees") > case.limits.max_badge_disagreement_share
        yield Finding(
            "badge-disagrees",
            "badge text, badge class and list to name one kind",
            f"{wrong} cards where they differ",
            Severity.HOLD if over else Severity.NOTE,
        )


def _kinds(case: _Case) -> Iterator[Finding]:
    for listing in case.crawl.listings:
        if listing.kind and listing.received and not case.now.by_kind.get(listing.kind):
            yield Finding("kind-missing", f"rows of {listing.kind} from {listing.key}", "none")
    if case.before is None or not case.now.rows or not case.before.rows:
        return
    shift = _distance(case.now, case.before)
    if shift > case.limits.max_kind_shift + ROUNDING:
        mix = ", ".join(f"{kind} {count}" for kind, count in sorted(case.now.by_kind.items()))
        yield Finding(
            "kind-mix",
            f"at most {_percent(case.limits.max_kind_shift)} in other kinds",
            f"{_percent(shift)} ({mix})",
        )


def _distance(now: Measures, before: Measures) -> float:
    """Return the total variation distance of two kind mixes, 0..1."""
    kinds = {*now.by_kind, *before.by_kind}
    return 0.5 * sum(
        abs(now.by_kind.get(kind, 0) / now.rows - before.by_kind.get(kind, 0) / before.rows)
        for kind in kinds
    )


def _prices(case: _Case) -> Iterator[Finding]:
    low, high = case.limits.odd_price_krw
    odd = sum(not low <= offer.price_krw <= high for offer in case.crawl.offers)
    if odd > case.limits.max_odd_price_share * case.now.rows:
        yield Finding("price-range", f"prices of {low} to {high} won", f"{odd} rows outside")
    elif odd:
        yield Finding(
            "price-range", f"prices of {low} to {high} won", f"{odd} rows outside", Severity.NOTE
        )
    if case.before is None or not case.now.rows or not case.before.median_price_krw:
        return
    factor = case.now.median_price_krw / case.before.median_price_krw
    if not 1 / case.limits.max_median_factor <= factor <= case.limits.max_median_factor:
        yield Finding(
            "price-median",
            f"a median price near {case.before.median_price_krw:.0f} won",
            f"{case.now.median_price_krw:.0f} won",
        )


def _windows(case: _Case) -> Iterator[Finding]:
    """Dates that a card shows must touch the month of its list."""
    start, end = first_day(case.crawl.month), last_day(case.crawl.month)
    outside = sum(
        not offer.valid_until_inferred and (offer.valid_until < start or offer.valid_from > end)
        for offer in case.crawl.offers
    )
    if outside:
        over = outside > case.limits.max_outside_month_share * case.now.rows
        yield Finding(
            "window",
            f"dates within {case.crawl.month} where a card shows them",
            f"{outside} rows outside",
            Severity.HOLD if over else Severity.NOTE,
        )


def _repeated_ids(case: _Case) -> Iterator[Finding]:
    """One id or barcode on different things: the page mixes up its rows."""
    by_id: dict[tuple[str, Kind], set[tuple[str, int]]] = {}
    for offer in case.crawl.offers:
        if offer.barcode or offer.site_id:
            by_id.setdefault((offer.key(), offer.kind), set()).add((offer.name, offer.price_krw))
    double = sum(len(rows) for rows in by_id.values() if len(rows) > 1)
    if double:
        over = double > case.limits.max_repeated_id_share * case.now.rows
        yield Finding(
            "id-repeated",
            "one product for each barcode or id of the chain",
            f"{double} rows that share one with another product",
            Severity.HOLD if over else Severity.NOTE,
        )


RULES: tuple[Callable[[_Case], Iterator[Finding]], ...] = (
    _listings,
    _sections,
    _schema,
    _counts,
    _coverage,
    _barcodes,
    _badges,
    _kinds,
    _prices,
    _windows,
    _repeated_ids,
)
