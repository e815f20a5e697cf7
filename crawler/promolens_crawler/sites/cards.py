"""From what a card says to what is believed: the rules that are common to all chains.

A chain's file reads a `RawCard` out of its markup and states its `CardRules`; prices, names,
badges, barcodes and image addresses are judged here. Whatever is doubtful becomes a `Problem`;
nothing falls back to a default.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TypeVar

from promolens_catalog.barcodes import normalise
from promolens_catalog.kinds import Kind
from promolens_catalog.offers import MAX_NAME_CHARACTERS, Gift
from promolens_crawler.errors import PageDriftError
from promolens_crawler.pages import Card, Problem
from promolens_crawler.sites.base import Listing
from promolens_crawler.sites.fields import clean_name, image_address, path_of, price_krw

T = TypeVar("T")
_BARCODE_LENGTHS = frozenset({8, 12, 13, 14})
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class Badge:
    """What a badge says twice: in words, and by its class or code.

    Attributes:
        text: `""` where this chain's badges have none.
        css: class names without those of layout; `""` where they have none.
    """

    text: str
    css: str


@dataclass(frozen=True)
class RawGift:
    """What a card says of the thing given, unread; `name` is `""` where a picture says it all."""

    name: str
    price: str = ""
    image: str = ""


@dataclass(frozen=True)
class RawCard:
    """What a card says, unread.

    Attributes:
        badges: those that may tell a kind; empty where the card has none.
        image: address as written; `""` where there is none.
        regular_price: the price before a discount; `""` where the card shows none.
        gift: read only where the card's kind is a gift.
    """

    name: str
    price: str
    badges: tuple[Badge, ...] = ()
    image: str = ""
    site_id: str | None = None
    regular_price: str = ""
    gift: RawGift | None = None
    window: tuple[date, date] | None = None


@dataclass(frozen=True)
class CardRules:
    """What a chain's cards may say.

    Attributes:
        badges: (text without blanks, class) -> kind. `("할인", "")` stands for that text with any
            class that the table does not have.
        silent: texts of badges that tell no kind (`PB`).
        barcode: matches in the path of an image address; its groups joined are the digits.
        placeholder: matches in image addresses that show no product.
    """

    badges: Mapping[tuple[str, str], Kind]
    barcode: re.Pattern[str] | None = None
    placeholder: re.Pattern[str] | None = None
    silent: frozenset[str] = frozenset()
    texts: frozenset[str] = field(init=False)
    classes: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "texts", frozenset(text for text, _ in self.badges))
        object.__setattr__(self, "classes", frozenset(css for _, css in self.badges if css))


@dataclass(frozen=True)
class ReadCards:
    """The cards of one page; `seen` counts the unreadable ones too."""

    cards: tuple[Card, ...]
    seen: int
    problems: tuple[Problem, ...]


class _UnreadableError(Exception):
    """A part without which there is no card."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


def read_cards(
    raw: Iterable[RawCard | None], rules: CardRules, listing: Listing, page_url: str
) -> ReadCards:
    """Judge the cards of a page.

    Args:
        raw: `None` for a card without the parts that every card has.
        page_url: what image addresses are relative to.

    Raises:
        PageDriftError: there are cards, and none has the parts that every card has.
    """
    cards: list[Card] = []
    problems: list[Problem] = []
    seen = shapeless = 0
    for position, one in enumerate(raw):
        seen += 1
        if one is None:
            shapeless += 1
            detail = "expected name, price and badge, received a card without one of them"
            problems.append(Problem("card-unreadable", detail, position))
            continue
        reader = _Reader(rules, listing, page_url, position)
        card = reader.card(one)
        problems += reader.problems
        if card is not None:
            cards.append(card)
    if seen and shapeless == seen:
        raise PageDriftError(
            f"Expected name, price and badge in each card. Received {seen} cards without them. "
            "Compare the archived page with the chain's file in sites/."
        )
    return ReadCards(tuple(cards), seen, tuple(problems))


def kind_of(badges: tuple[Badge, ...], rules: CardRules, listing: Listing) -> Kind:
    """Return the kind in which badge texts, badge classes and the requested list agree.

    Raises:
        _UnreadableError: they do not, one of them is unknown, or nothing tells a kind.
    """
    kinds = {kind for badge in badges if (kind := _kind_of_badge(badge, rules)) is not None}
    if listing.kind is not None:
        kinds.add(listing.kind)
    if not kinds:
        raise _UnreadableError("badge-missing", "expected a badge, received a card without any")
    if len(kinds) > 1:
        found = " and ".join(sorted(kinds))
        raise _UnreadableError("badge-disagrees", f"expected one kind, received {found}")
    return kinds.pop()


def _kind_of_badge(badge: Badge, rules: CardRules) -> Kind | None:
    text = "".join(badge.text.split())
    known_class = badge.css in rules.classes
    if text in rules.silent and not known_class:
        return None
    kind = rules.badges.get((text, badge.css))
    if kind is None and not known_class:
        kind = rules.badges.get((text, ""))
    if kind is not None:
        return kind
    received = f"{_short(text)} in class {_short(badge.css)}"
    if known_class and text in rules.texts:
        raise _UnreadableError("badge-disagrees", f"expected one kind, received {received}")
    raise _UnreadableError("badge-unknown", f"expected a known badge, received {received}")


class _Reader:
    """Judges one card and notes what is wrong with it."""

    def __init__(self, rules: CardRules, listing: Listing, page_url: str, position: int) -> None:
        self._rules, self._listing, self._page_url = rules, listing, page_url
        self._position = position
        self.problems: list[Problem] = []

    def card(self, raw: RawCard) -> Card | None:
        """Return the card, or `None` where a part that it needs cannot be believed."""
        name = self._or_none(lambda: self._name(raw.name))
        price = self._or_none(lambda: self._price(raw.price, "a price"))
        kind = self._or_none(lambda: kind_of(raw.badges, self._rules, self._listing))
        if name is None or price is None or kind is None:
            return None
        image_url, barcode = self._image(raw.image)
        return Card(
            name=name,
            price_krw=price,
            kind=kind,
            barcode=barcode,
            site_id=raw.site_id,
            regular_price_krw=self._optional_price(raw.regular_price, "a regular price"),
            gift=self._gift(raw.gift) if kind is Kind.GIFT and raw.gift else None,
            image_url=image_url,
            window=raw.window,
            category=self._listing.section,
        )

    def _or_none(self, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except _UnreadableError as problem:
            self._note(problem.code, problem.detail)
            return None

    def _note(self, code: str, detail: str) -> None:
        self.problems.append(Problem(code, detail, self._position))

    def _name(self, text: str) -> str:
        name, unclean = clean_name(text)
        if unclean:
            self._note("name-unclean", f"expected printable characters, received {_short(text)}")
        if not name:
            raise _UnreadableError("name-missing", f"expected a name, received {_short(text)}")
        if len(name) > MAX_NAME_CHARACTERS:
            detail = f"expected a name of at most {MAX_NAME_CHARACTERS} characters"
            raise _UnreadableError("card-unreadable", f"{detail}, received {len(name)}")
        return name

    def _price(self, text: str, what: str) -> int:
        price = price_krw(text)
        if price is None:
            detail = f"expected {what} of 1 to 1,000,000 won, received {_short(text)}"
            raise _UnreadableError("price-unreadable", detail)
        return price

    def _optional_price(self, text: str, what: str) -> int | None:
        return self._or_none(lambda: self._price(text, what)) if text.strip() else None

    def _image(self, text: str) -> tuple[str | None, str | None]:
        """Return image address and barcode; of a refused address nothing is believed."""
        rules = self._rules
        if not text.strip() or (rules.placeholder and rules.placeholder.search(text)):
            return None, None
        address = image_address(text, self._page_url)
        if address is None:
            detail = f"expected a plain http(s) address, received {_short(text)}"
            self._note("image-address-refused", detail)
            return None, None
        found = rules.barcode.search(path_of(address)) if rules.barcode else None
        digits = "".join(found.groups()) if found else ""
        if len(digits) not in _BARCODE_LENGTHS:
            return address, None
        barcode = normalise(digits)
        if barcode is None:
            self._note("barcode-check-digit", f"expected a right check digit, received {digits}")
        return address, barcode

    def _gift(self, raw: RawGift) -> Gift | None:
        image_url, barcode = self._image(raw.image)
        name = self._or_none(lambda: self._name(raw.name)) if raw.name.strip() else ""
        if name is None or not (name or image_url):
            return None
        return Gift(name, self._optional_price(raw.price, "a gift's price"), barcode, image_url)


def _short(text: str) -> str:
    """Return the beginning of a text, what cannot be printed escaped."""
    return repr(text[:_SHOWN_CHARACTERS])
