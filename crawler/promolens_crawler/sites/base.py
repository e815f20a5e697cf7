"""The shape of a chain file: everything about one chain that is not common to all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from promolens_catalog.chains import Chain
from promolens_catalog.kinds import Kind
from promolens_crawler.pages import Answer, ParsedPage, Request

Tokens = Mapping[str, str]
"""What an opening page hands out for the requests after it, such as a CSRF token."""


@dataclass(frozen=True)
class Listing:
    """One list of a chain that is paged through: a tab, a search condition.

    Attributes:
        key: short name, unique within the chain; part of file names: `[a-z0-9-]+`.
        kind: what the list holds where it is of one kind; cross-checked with every badge.
        parameters: what the chain's requests need to name it.
        section: the chain's own section where the list is of one; every card of it says so.
    """

    key: str
    kind: Kind | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    section: str | None = None


@dataclass(frozen=True)
class BrowserPlan:
    """How a real browser gets the same rows as `page_request`, step by step.

    The scripts are the chain's words for four questions; the browser transport asks them.

    Attributes:
        address: listing -> path and query that the browser opens.
        prepare: JavaScript run once after load to choose the listing (a tab); `""` for none.
        row_selector: CSS of one row; a step is over when their number grew, or `done` holds.
        replaces: a step replaces the rows (a pager) and does not append to them (a more button).
        more: JavaScript that asks for the next rows; run as a function body.
        done: JavaScript function body that returns true when no further rows will come; asked
            after every step, before rows and context are read, so that it may also write down
            what the page knows and shows nowhere (a total). `false` while the page still loads.
        overlay: CSS of what covers the page while it loads; `""` for none.
        context_selector: CSS of elements outside the rows whose HTML the parser also needs
            (totals, end markers).
    """

    address: Callable[[Listing], str]
    row_selector: str
    more: str
    done: str
    prepare: Callable[[Listing], str] | None = None
    replaces: bool = False
    overlay: str = ""
    context_selector: str = ""


@dataclass(frozen=True)
class Site:
    """A chain's pages: where, how to page, how to read one card.

    Attributes:
        home: `https://host` of the live site; a configuration may point elsewhere (stand-ins).
        sections: lists of one section each that may be read in place of `listings`, which is then
            one list of everything: only if their totals add up to its own (`sections.settle`).
        declares_total: pages state the number of rows, so that completeness can be proved.
        page_size: rows of a full page (after the first, where that differs).
        page_size_parameter: key of `Listing.parameters` by which another size is asked for, where
            the shop honours that; `""` where its pages have one size.
        opening: home, listing -> a request to make first (cookies, tokens, totals), or `None`.
        tokens: opening answer -> what it hands out.
        page_request: home, listing, page number from 1, tokens -> the request for that page.
        read: answer, listing -> rows, of what plain HTTP answers and of what `browser` renders
            (`Answer.rendered`). Pure; raises `PageDriftError`, `BotPageError`, `SourceGoneError`.
    """

    chain: Chain
    home: str
    listings: tuple[Listing, ...]
    page_request: Callable[[str, Listing, int, Tokens], Request]
    read: Callable[[Answer, Listing], ParsedPage]
    browser: BrowserPlan
    declares_total: bool
    page_size: int
    page_size_parameter: str = ""
    sections: tuple[Listing, ...] = ()
    opening: Callable[[str, Listing], Request] | None = None
    tokens: Callable[[Answer], Tokens] | None = None
