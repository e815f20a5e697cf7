"""Pages for the tests of the chains' readers: saved invented ones, and how answers are made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from promolens_catalog.chains import Chain
from promolens_crawler.pages import Answer, ParsedPage
from promolens_crawler.sites import SITES, ministop
from promolens_crawler.sites.base import Listing

GOLDENS = Path(__file__).parent / "goldens" / "sites"
AT = datetime(2026, 11, 3, 2, 0, tzinfo=UTC)
HTML = "text/html;charset=UTF-8"
URLS = {
    Chain.CU: "https://shop.invalid/event/plusAjax.do",
    Chain.GS25: "https://shop.invalid/gscvs/ko/products/event-goods-search",
    Chain.SEVEN: "https://shop.invalid/product/listMoreAjax.asp",
    Chain.EMART24: "https://shop.invalid/goods/event?page=1",
    Chain.CSPACE: "https://shop.invalid/service/product.html?cpage=1",
    Chain.MINISTOP: "https://shop.invalid/MiniStopHomePage/page/querySimple.do",
}


@dataclass(frozen=True)
class Saved:
    """A saved page and what was asked for when it came; `file` below the chain's folder."""

    chain: Chain
    file: str
    listing: str
    number: int = 1
    rendered: bool = False

    @property
    def path(self) -> Path:
        return GOLDENS / self.chain / self.file

    @property
    def expected(self) -> Path:
        return self.path.with_name(self.path.name + ".expected.json")

    def __str__(self) -> str:
        return f"{self.chain}/{self.file}"


SAVED = (
    Saved(Chain.CU, "first.html", "one-plus-one"),
    Saved(Chain.CU, "last.html", "one-plus-one", 2),
    Saved(Chain.CU, "nothing.html", "one-plus-one", 3),
    Saved(Chain.CU, "rendered.html", "one-plus-one", rendered=True),
    Saved(Chain.GS25, "first.json", "total"),
    Saved(Chain.GS25, "empty.json", "total"),
    Saved(Chain.GS25, "rendered.html", "total", rendered=True),
    Saved(Chain.GS25, "saved_page.html", "total", rendered=True),
    Saved(Chain.SEVEN, "first.html", "one-plus-one"),
    Saved(Chain.SEVEN, "more.html", "one-plus-one", 2),
    Saved(Chain.SEVEN, "gift.html", "gift"),
    Saved(Chain.SEVEN, "discount.html", "discount"),
    Saved(Chain.SEVEN, "nothing.html", "one-plus-one", 4),
    Saved(Chain.SEVEN, "rendered.html", "one-plus-one", 2, rendered=True),
    Saved(Chain.EMART24, "first.html", "all"),
    Saved(Chain.EMART24, "beyond.html", "all", 3),
    Saved(Chain.EMART24, "section.html", "meals"),
    Saved(Chain.EMART24, "rendered.html", "all", rendered=True),
    Saved(Chain.CSPACE, "last.html", "two-plus-one", 2),
    Saved(Chain.CSPACE, "middle.html", "two-plus-one"),
    Saved(Chain.CSPACE, "empty.html", "gift"),
    Saved(Chain.CSPACE, "lost.html", "two-plus-one", 2),
    Saved(Chain.MINISTOP, "plus1.json", "one-plus-one"),
)


def listing_of(chain: Chain, key: str) -> Listing:
    """The chain's listing `key`."""
    if chain is Chain.MINISTOP:
        return next(listing for listing in ministop.LISTINGS if listing.key == key)
    listings = (*SITES[chain].listings, *SITES[chain].sections)
    return next(listing for listing in listings if listing.key == key)


def answer(
    chain: Chain,
    body: bytes | str,
    *,
    number: int = 1,
    rendered: bool = False,
    content_type: str = HTML,
    url: str = "",
    status: int = 200,
) -> Answer:
    """An answer as a transport hands it to a reader."""
    data = body.encode() if isinstance(body, str) else body
    address = url or URLS[chain]
    return Answer("listing", number, address, status, data, content_type, AT, rendered)


def read(chain: Chain, given: Answer, listing: Listing) -> ParsedPage:
    """What the chain's reader makes of an answer."""
    reader = ministop.read if chain is Chain.MINISTOP else SITES[chain].read
    return reader(given, listing)


def read_saved(saved: Saved, body: bytes | None = None) -> ParsedPage:
    """What the reader makes of a saved page, or of another body in its place."""
    given = answer(
        saved.chain,
        saved.path.read_bytes() if body is None else body,
        number=saved.number,
        rendered=saved.rendered,
    )
    return read(saved.chain, given, listing_of(saved.chain, saved.listing))
