"""CU: cu.bgfretail.com. Forty cards a page, no total; the end of a list is a sign on the page."""

from __future__ import annotations

import re

from selectolax.lexbor import LexborNode

from promolens_catalog.chains import Chain
from promolens_catalog.kinds import Kind
from promolens_crawler.pages import Answer, ParsedPage, Request
from promolens_crawler.sites.base import BrowserPlan, Listing, Site, Tokens
from promolens_crawler.sites.cards import Badge, CardRules, RawCard, read_cards
from promolens_crawler.sites.markup import ROWS_ID, attribute, page_of, refuse_strange, text_in

PAGE_SIZE = 40
_START = "/event/plus.do?category=event&depth2=1&sf=N"
# The page marks what the list is asked for by number; 3+1 has none and is met by chance only.
LISTINGS = (
    Listing("one-plus-one", Kind.ONE_PLUS_ONE, {"searchCondition": "23"}),
    Listing("two-plus-one", Kind.TWO_PLUS_ONE, {"searchCondition": "24"}),
)
RULES = CardRules(
    badges={
        ("1+1", "plus1"): Kind.ONE_PLUS_ONE,
        ("2+1", "plus2"): Kind.TWO_PLUS_ONE,
        ("3+1", "plus3"): Kind.THREE_PLUS_ONE,
    },
    # 8809655892303_1.png; until 2019 files had hexadecimal names.
    barcode=re.compile(r"/(\d+)(?:_\w{1,3})?\.\w{3,4}$", re.ASCII),
)
_CARDS = f".prodListWrap > ul > li, #{ROWS_ID} > li"
_MORE = ".prodListBtn a"
_NUMBER = re.compile(r"view\(\s*'?(\d{1,12})'?\s*\)")


def page_request(home: str, listing: Listing, number: int, tokens: Tokens) -> Request:
    """Return the form post that the page's own script sends; a JSON body would be ignored."""
    form = {
        "pageIndex": str(number),
        "listType": "0",
        "searchCondition": listing.parameters["searchCondition"],
    }
    headers = {"Referer": home + _START, "X-Requested-With": "XMLHttpRequest"}
    return Request(f"{home}/event/plusAjax.do", form, headers)


def read(answer: Answer, listing: Listing) -> ParsedPage:
    """Read a fragment, or what a browser rendered of it. Raises CrawlError."""
    page = page_of(answer)
    found = read_cards(map(fields, page.tree.css(_CARDS)), RULES, listing, page.url)
    nothing = page.has("#nothing")
    if not found.seen and not nothing:
        refuse_strange(page.tree, "li in .prodListWrap, or #nothing")
    # Both signs are asked for: a button that was renamed must not make a list short.
    over = found.seen < PAGE_SIZE and not page.has(_MORE)
    return ParsedPage(found.cards, found.seen, None, nothing or over, found.problems)


def fields(card: LexborNode) -> RawCard | None:
    """Read what a card says; `None` without name, price or a place for the badge."""
    name, price = text_in(card, ".name"), text_in(card, ".price", " ")
    if name is None or price is None or card.css_first(".badge") is None:
        return None
    return RawCard(
        name=name,
        price=price,
        badges=tuple(
            Badge(span.text(), attribute(span, "class")) for span in card.css(".badge > span")
        ),
        image=attribute(card.css_first(".prod_img img"), "src"),
        site_id=_site_id(card),
    )


def _site_id(card: LexborNode) -> str | None:
    for link in card.css("[onclick], a[href]"):
        found = _NUMBER.search(attribute(link, "onclick") or attribute(link, "href"))
        if found:
            return found[1]
    return None


SITE = Site(
    chain=Chain.CU,
    home="https://cu.bgfretail.com",
    listings=LISTINGS,
    page_request=page_request,
    read=read,
    declares_total=False,
    page_size=PAGE_SIZE,
    browser=BrowserPlan(
        address=lambda listing: _START,
        # The page loads all kinds on sight; this asks for the one wanted.
        prepare=lambda listing: f"goDepth('{listing.parameters['searchCondition']}');",
        row_selector=".prodListWrap > ul > li",
        more="nextPage(1);",
        done="""
            const rows = document.querySelectorAll(".prodListWrap > ul > li").length;
            return document.querySelector("#nothing") !== null
                || (rows % 40 !== 0 && document.querySelector(".prodListBtn a") === null);
        """,
        overlay=".AjaxLoading",
        context_selector=".prodListBtn, #nothing",
    ),
)
