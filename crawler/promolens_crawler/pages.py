"""What moves between transports, parsers and the pipeline: requests, answers, parsed pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from promolens_catalog.kinds import Kind
from promolens_catalog.offers import Gift


@dataclass(frozen=True)
class Request:
    """One document or list request, as plain HTTP sends it.

    Attributes:
        url: absolute address, query included.
        form: url-encoded body; a request with a form is a POST.
    """

    url: str
    form: Mapping[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What came back, as bytes: what the archive keeps and parsers read.

    Attributes:
        number: page of the listing, from 1; 0 is the listing's opening page.
        url: the address that answered in the end, after redirects.
        body: the decompressed body, at most the configured limit.
        content_type: the header's text, charset included; `""` if there was none.
        fetched_at: UTC.
        rendered: HTML of rows that a browser rendered, and not the answer to a list request; its
            shape is that of `transports.rendered.rendered_page`.
        etag, last_modified: what the shop tells this version of the page by; `""` if it does not.
    """

    listing: str
    number: int
    url: str
    status: int
    body: bytes
    content_type: str
    fetched_at: datetime
    rendered: bool = False
    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True)
class Problem:
    """Something on a page that is not as it should be; counted, shown to a person, never dropped.

    Attributes:
        code: kebab-case name out of `PROBLEMS`.
        detail: what was expected and received, in one line.
        position: card of the page, from 0; `None` for the page as a whole.
    """

    code: str
    detail: str
    position: int | None = None


PROBLEMS: dict[str, str] = {
    "badge-unknown": "a badge text or class that stands for no known kind",
    "badge-disagrees": "badge text, badge class or requested list name different kinds",
    "badge-missing": "a card without a badge on a list that is not of one kind",
    "price-unreadable": "a price that is not integer won between 1 and 1,000,000",
    "name-missing": "a card without a name",
    "name-unclean": "control characters or lone surrogates were taken out of a name",
    "barcode-check-digit": "a code in the image address whose check digit is wrong",
    "image-address-refused": "an image address with path tricks or another scheme than http(s)",
    "row-repeated": "a row that an earlier page of the same listing also had",
    "card-unreadable": "a card without the parts that every card has",
    "total-missing": "a page that declares no total where this chain declares one",
}


@dataclass(frozen=True)
class Card:
    """One readable card: an offer before its chain and its dates are put to it.

    Attributes:
        kind: agreed by badge text, badge class and requested list.
        window: first and last day where the card shows them.
    """

    name: str
    price_krw: int
    kind: Kind
    barcode: str | None = None
    site_id: str | None = None
    regular_price_krw: int | None = None
    gift: Gift | None = None
    image_url: str | None = None
    category: str | None = None
    window: tuple[date, date] | None = None


@dataclass(frozen=True)
class ParsedPage:
    """What a pure parser reads out of one answer.

    Attributes:
        cards: the readable ones, in page order.
        cards_seen: all cards, the unreadable included: what a declared total counts.
        declared_total: rows of the whole listing as the page states them.
        end_seen: the page says that there is no further one (marker, short page, last number).
    """

    cards: tuple[Card, ...]
    cards_seen: int
    declared_total: int | None = None
    end_seen: bool = False
    problems: tuple[Problem, ...] = ()
