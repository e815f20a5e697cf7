"""emart24: emart24.co.kr. Rendered on the server, twenty cards a page, the total in a script."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from selectolax.lexbor import LexborNode

from promolens_catalog.chains import Chain
from promolens_catalog.kinds import Kind
from promolens_crawler.pages import Answer, ParsedPage, Problem, Request
from promolens_crawler.sites.base import BrowserPlan, Listing, Site, Tokens
from promolens_crawler.sites.cards import Badge, CardRules, RawCard, RawGift, read_cards
from promolens_crawler.sites.markup import attribute, page_of, refuse_strange, text_in

PAGE_SIZE = 20
# One list of all kinds: a kind that has no tab yet cannot be missed, and the total covers it.
LISTINGS = (Listing("all"),)


def _section(key: str, name: str, number: str) -> Listing:
    return Listing(key, section=name, parameters={"base_category_seq": number})


# No card says its section. Whether every product is in one of these is seen anew in each crawl.
SECTIONS = (
    _section("meals", "간편식사", "1"),
    _section("snacks", "과자", "2"),
    _section("household", "생활용품", "3"),
    _section("drinks", "음료", "5"),
)
RULES = CardRules(
    badges={
        ("1+1", "onepl"): Kind.ONE_PLUS_ONE,
        ("2+1", "twopl"): Kind.TWO_PLUS_ONE,
        ("3+1", "tripl"): Kind.THREE_PLUS_ONE,
        ("골라담기", "gola"): Kind.PICK_AND_MIX,
        ("할인", "gola"): Kind.PICK_AND_MIX,
        ("세일", "sale"): Kind.DISCOUNT,
        ("SALE", "sale"): Kind.DISCOUNT,
        ("덤증정", "dum"): Kind.GIFT,
    },
    # 8801550005239.JPG; internal codes such as 1500000189402 too.
    barcode=re.compile(r"/(\d+)\.\w{3,4}$", re.ASCII),
    placeholder=re.compile(r"productPlaceHolder"),
)
_LAYOUT = frozenset({"floatR"})
_TOTAL = re.compile(r"totalCount\s*=\s*[\"']?(\d{1,7})\b")


def _address(listing: Listing, number: int) -> str:
    # By price: the newest-first order shifts while products are added.
    query = {
        "search": "",
        "page": str(number),
        "category_seq": "",
        "base_category_seq": listing.parameters.get("base_category_seq", ""),
        "align": "PRICE_ASC",
    }
    return f"/goods/event?{urlencode(query)}"


def page_request(home: str, listing: Listing, number: int, tokens: Tokens) -> Request:
    """Return one page of the list, as a link of the pager asks for it."""
    return Request(home + _address(listing, number))


def read(answer: Answer, listing: Listing) -> ParsedPage:
    """Read a page. Raises CrawlError."""
    page = page_of(answer)
    found = read_cards(map(fields, page.tree.css(".itemWrap")), RULES, listing, page.url)
    total = page.script_number(_TOTAL)
    grid = page.tree.css_first("section.itemList")
    # A grid with other children than cards has changed; an empty one lies beyond the end.
    empty = grid is not None and next(grid.iter(), None) is None
    if not found.seen and (total is None or not empty):
        refuse_strange(page.tree, ".itemWrap, or an empty section.itemList with totalCount")
    problems = found.problems
    if total is None:
        problems += (Problem("total-missing", "expected totalCount, received none"),)
    return ParsedPage(found.cards, found.seen, total, not found.seen, problems)


def fields(card: LexborNode) -> RawCard | None:
    """Read what a card says; `None` without name, price or a place for the badge.

    "NEW" is in every card and made invisible by its style: nothing is read from it. Half-month
    windows stand somewhere on the real page; where is not known, so no dates are read either.
    """
    name, price = text_in(card, ".itemtitle"), text_in(card, "a.price", " ")
    if name is None or price is None or card.css_first(".itemTit") is None:
        return None
    gift = card.css_first(".dumgift img")
    return RawCard(
        name=name,
        price=price,
        badges=tuple(_badge(span) for span in card.css(".itemTit > span:not(.floatL)")),
        image=attribute(card.css_first(".itemSpImg img, .itemImg img"), "src"),
        regular_price=text_in(card, "a.priceOff", " ") or "",
        gift=RawGift("", image=attribute(gift, "src")) if gift else None,
    )


def _badge(span: LexborNode) -> Badge:
    classes = (name for name in attribute(span, "class").split() if name not in _LAYOUT)
    return Badge(span.text(), " ".join(classes))


SITE = Site(
    chain=Chain.EMART24,
    home="https://emart24.co.kr",
    listings=LISTINGS,
    sections=SECTIONS,
    page_request=page_request,
    read=read,
    declares_total=True,
    page_size=PAGE_SIZE,
    browser=BrowserPlan(
        address=lambda listing: _address(listing, 1),
        row_selector="section.itemList .itemWrap",
        replaces=True,
        more="""
            const next = new URL(location.href);
            next.searchParams.set("page", String(Number(next.searchParams.get("page") || 1) + 1));
            location.href = next.href;
        """,
        done="return Number(page) * Number(pageLength) >= Number(totalCount);",
        context_selector="script:not([src]), section.itemList:not(:has(*))",
    ),
)
