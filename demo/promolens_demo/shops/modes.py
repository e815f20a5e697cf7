"""The ways in which a stand-in shop can go wrong, and what a crawl must make of each.

A mode is written `NAME` or `NAME:NUMBER` (`slow:0.5`); several are joined by commas. `NAME@COUNT`
(`drop@3`, `slow:0.5@3`) begins after so many documents and lists, in the middle of a crawl.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from promolens_catalog.chains import Chain
from promolens_runtime.errors import InputError

MAX_MODES_CHARACTERS = 500
MAX_NUMBER = 10_000


class End(StrEnum):
    """What a crawl in a mode must end in; the value is the explanation for people."""

    FULL = "publishes exactly the full list"
    STOPPED = "held or failed; the published snapshot is unchanged"
    SAFE = "publishes exactly the full list, or held or failed"
    FLAGGED = "anomalies counted; held, or published without what is wrong"


@dataclass(frozen=True)
class Mode:
    """One way to go wrong.

    Attributes:
        reason: what the crawl's record names: a `reason` of the crawler's errors, or what the
            validation finds; `""` where the crawl goes through.
        number: the default of the number after the colon; `None` where there is none.
        unit: what the number counts.
        not_at: chains that have nothing to which this could happen.
        not_why: what those chains lack, after their name.
        pages: pages that a listing needs to show it.
    """

    name: str
    summary: str
    end: End
    reason: str = ""
    number: float | None = None
    unit: str = ""
    not_at: tuple[Chain, ...] = ()
    not_why: str = ""
    pages: int = 1


_STOPPED, _FULL = End.STOPPED, End.FULL
MODES: dict[str, Mode] = {
    mode.name: mode
    for mode in (
        Mode("503", "every fourth request answers 503 at first and then works", _FULL),
        Mode("slow", "every document and list takes its time", _FULL, number=10, unit="s"),
        Mode("alert", "alert() boxes when a page has loaded", _FULL),
        Mode("stale", "the list is rendered anew while it is read", _FULL),
        Mode(
            "malformed",
            "unclosed elements and comments, stray tags; GS25: JSON cut short",
            End.SAFE,
            "page-drift or fetch-failed, if anything",
        ),
        Mode("drop", "the connection breaks in the middle of a body", _STOPPED, "fetch-failed"),
        Mode(
            "half",
            "the second half of the pages is missing",
            _STOPPED,
            "listing-broken; count at CU, which declares no total",
        ),
        Mode("drift", "other class names and fields", _STOPPED, "page-drift"),
        Mode(
            "euc-kr",
            "UTF-8 text declared as EUC-KR",
            End.SAFE,
            "fetch-failed or page-drift, if anything",
        ),
        Mode(
            "wrong-charset",
            "EUC-KR text declared as UTF-8",
            _STOPPED,
            "fetch-failed or page-drift",
        ),
        Mode(
            "broken-utf8",
            "bytes that are no UTF-8 inside one name",
            _STOPPED,
            "fetch-failed or page-drift",
        ),
        Mode("bot", "a page for robots, with status 200", _STOPPED, "bot-page"),
        Mode("gone", "every address leads to an application's shell", _STOPPED, "source-gone"),
        Mode("fewer", "60 % fewer rows, totals included", _STOPPED, "count"),
        Mode(
            "section-gone",
            "one section has no rows any more, totals included",
            _STOPPED,
            "count-category",
            not_at=(Chain.CU, Chain.GS25, Chain.SEVEN, Chain.CSPACE),
            not_why="has no sections",
        ),
        Mode("empty", "no rows, with status 200", _STOPPED, "count or page-drift"),
        Mode(
            "price", "one price of each list is 가격문의", _STOPPED, "unreadable (price-unreadable)"
        ),
        Mode("badge", "one badge of each list is 4+1", _STOPPED, "unreadable (badge-unknown)"),
        Mode("endless", "pages go on for ever with ever new rows", _STOPPED, "listing-broken"),
        Mode("repeated", "one page shows the page before it", _STOPPED, "listing-broken", pages=2),
        Mode(
            "total",
            "the total changes while the list is read",
            _STOPPED,
            "listing-broken",
            not_at=(Chain.CU, Chain.CSPACE),
            not_why="declares no total",
            pages=2,
        ),
        Mode(
            "shift",
            "with every request rows move over the pages' edges",
            _STOPPED,
            "listing-broken",
            pages=2,
        ),
        Mode(
            "duplicate-ids", "rows with another row's number and barcode", _STOPPED, "id-repeated"
        ),
        Mode(
            "gzip-bomb",
            "a small compressed body that grows",
            _STOPPED,
            "fetch-failed",
            number=1024,
            unit="MiB",
        ),
        Mode("huge", "a very large body", _STOPPED, "fetch-failed", number=200, unit="MB"),
        Mode(
            "drip",
            "a body that comes byte by byte",
            _STOPPED,
            "fetch-failed",
            number=0.5,
            unit="s a byte",
        ),
        Mode("redirect-loop", "redirects without end", _STOPPED, "fetch-failed"),
        Mode(
            "image-path",
            "a picture's address with ../",
            End.FLAGGED,
            "image-address-refused",
        ),
        Mode(
            "names",
            "control characters and lone surrogates in a name",
            End.FLAGGED,
            "name-unclean",
        ),
        Mode("robots-503", "robots.txt answers 503", _STOPPED, "not-allowed"),
    )
}


@dataclass(frozen=True)
class Modes:
    """What is switched on.

    Attributes:
        numbers: name -> number after the colon, or the mode's own.
        after: name -> documents and lists that are answered before it begins.
    """

    numbers: Mapping[str, float] = field(default_factory=dict)
    after: Mapping[str, int] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.numbers

    def __iter__(self) -> Iterator[str]:
        return iter(self.numbers)

    def __bool__(self) -> bool:
        return bool(self.numbers)

    def number(self, name: str) -> float:
        """Return the number of a mode that is on."""
        return self.numbers[name]

    def joined(self, other: Modes) -> Modes:
        """Return both; numbers of `other` win."""
        if not other:
            return self
        return Modes({**self.numbers, **other.numbers}, {**self.after, **other.after})

    def begun(self, answered: int) -> Modes:
        """Return those that have begun when `answered` documents and lists are out."""
        if not self.after:
            return self
        begun = {n: x for n, x in self.numbers.items() if self.after.get(n, 0) <= answered}
        return Modes(begun)


def parse_modes(words: str | Iterable[str], chain: Chain) -> Modes:
    """Read `drop,slow:0.5@3`, or several such texts.

    Raises:
        InputError: an unknown mode, one that `chain` cannot show, or a number out of range.
    """
    texts = [words] if isinstance(words, str) else list(words)
    parts = [part.strip() for text in texts for part in text[:MAX_MODES_CHARACTERS].split(",")]
    numbers: dict[str, float] = {}
    after: dict[str, int] = {}
    for part in filter(None, parts):
        rest, at, count = part.partition("@")
        name, colon, number = rest.partition(":")
        mode = _known(name, chain)
        numbers[name] = _number(mode, number) if colon else mode.number or 0.0
        after[name] = _count(part, count) if at else 0
    return Modes(numbers, {name: count for name, count in after.items() if count})


def _known(name: str, chain: Chain) -> Mode:
    mode = MODES.get(name)
    if mode is None:
        raise InputError(
            f"Expected a mode such as {', '.join(list(MODES)[:3])}. Received {name[:40]!r}. "
            "List them with: promolens demo-shops --list-modes"
        )
    if chain in mode.not_at:
        raise InputError(
            f"Expected a mode that {chain} can show. Received {name!r}: {chain} {mode.not_why}. "
            "List the modes with: promolens demo-shops --list-modes"
        )
    return mode


def _count(part: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 8):
        raise InputError(
            f"Expected a number of requests after @. Received {part[:40]!r}. For example: drop@3"
        )
    return int(text)


def _number(mode: Mode, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if mode.number is None or not 0 <= number <= MAX_NUMBER:
        wanted = f"{mode.name}:{mode.number:g} ({mode.unit})" if mode.number else mode.name
        raise InputError(
            f"Expected {wanted}, with a number from 0 to {MAX_NUMBER} if any. Received "
            f"{text[:20]!r} after the colon. Leave the number out or change it."
        )
    return number


def modes_of(chain: Chain) -> tuple[Mode, ...]:
    """Return the modes that a chain's stand-in can show."""
    return tuple(mode for mode in MODES.values() if chain not in mode.not_at)
