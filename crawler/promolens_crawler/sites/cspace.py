"""C-Space: www.cspace.co.kr. Small, rendered on the server, without numbers and barcodes."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from selectolax.lexbor import LexborNode

from promolens_catalog.chains import Chain
from promolens_catalog.kinds import Kind
from promolens_crawler.pages import Answer, ParsedPage, Request
from promolens_crawler.sites.base import BrowserPlan, Listing, Site, Tokens
from promolens_crawler.sites.cards import Badge, CardRules, RawCard, read_cards
from promolens_crawler.sites.markup import (
    ROWS_ID,
    Page,
    attribute,
    page_of,
    refuse_strange,
    text_in,
    whole_number,
)

PAGE_SIZE = 12
LISTINGS = tuple(
    Listing(key, kind, {"category": f"{code}0000000000000000"})
    for key, kind, code in (
        ("one-plus-one", Kind.ONE_PLUS_ONE, "0003"),
        ("two-plus-one", Kind.TWO_PLUS_ONE, "0004"),
        ("gift", Kind.GIFT, "0005"),
        ("discount", Kind.DISCOUNT, "0006"),
    )
)
# The card's class is its badge; there are no words.
RULES = CardRules(
    badges={
        ("", "onePlus"): Kind.ONE_PLUS_ONE,
        ("", "twoPlus"): Kind.TWO_PLUS_ONE,
        ("", "sale"): Kind.DISCOUNT,
    },
    placeholder=re.compile(r"no_img"),
)
_CARDS = f".product-list > ul.box > li, #{ROWS_ID} > li"
_PAGES = "select#page option"
_PAGER = "ul.pagination.pc"


def _address(listing: Listing, number: int) -> str:
    query = {
        "prod_name_s": "",
        "category": listing.parameters["category"],
        "id_position_move": "calSelId",
        "cpage": str(number),
        "spage": "1",
    }
    return f"/service/product.html?{urlencode(query)}"


def page_request(home: str, listing: Listing, number: int, tokens: Tokens) -> Request:
    """Return one page of a category."""
    return Request(home + _address(listing, number))


def read(answer: Answer, listing: Listing) -> ParsedPage:
    """Read a page. Raises CrawlError."""
    page = page_of(answer)
    found = read_cards(map(fields, page.tree.css(_CARDS)), RULES, listing, page.url)
    last = _last_page(page)
    if not found.seen and (last is None or not page.has(".product-list")):
        refuse_strange(page.tree, "li in .product-list ul.box, or an empty one with a pager")
    # An empty page that the pager counts among its pages has lost its rows.
    over = last is not None and page.number >= last and bool(found.seen or last == 1)
    return ParsedPage(found.cards, found.seen, None, over, found.problems)


def _last_page(page: Page) -> int | None:
    """Return the last page as far as the pager tells; `None` without a pager."""
    values = [whole_number(attribute(option, "value")) for option in page.tree.css(_PAGES)]
    numbers = [value for value in values if value is not None]
    if numbers:
        return max(numbers)
    active = page.tree.css_first(f"{_PAGER} a.active")
    place = active.parent if active is not None else None
    if place is None:
        return None
    following = place.next
    while following is not None and not following.is_element_node:
        following = following.next
    return page.number if following is None else page.number + 1


def fields(card: LexborNode) -> RawCard | None:
    """Read what a card says; `None` without name or price."""
    name, price = text_in(card, "dl > dt"), text_in(card, "dl > dd", " ")
    if name is None or price is None:
        return None
    style = attribute(card, "class").strip()
    return RawCard(
        name=name,
        price=price,
        badges=(Badge("", style),) if style else (),
        image=attribute(card.css_first(".img img"), "src"),
    )


SITE = Site(
    chain=Chain.CSPACE,
    home="https://www.cspace.co.kr",
    listings=LISTINGS,
    page_request=page_request,
    read=read,
    declares_total=False,
    page_size=PAGE_SIZE,
    browser=BrowserPlan(
        address=lambda listing: _address(listing, 1),
        row_selector=".product-list > ul.box > li",
        replaces=True,
        more="""
            const next = new URL(location.href);
            next.searchParams.set("cpage", String(Number(next.searchParams.get("cpage")) + 1));
            location.href = next.href;
        """,
        done="""
            const pages = Array.from(document.querySelectorAll("select#page option"));
            const shown = Number(new URL(location.href).searchParams.get("cpage"));
            return pages.length > 0 && pages.every((option) => Number(option.value) <= shown);
        """,
        context_selector=f"select#page, {_PAGER}, .product-list:not(:has(li))",
    ),
)
