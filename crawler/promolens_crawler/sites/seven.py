"""7-Eleven: www.7-eleven.co.kr. Thirteen cards on the page itself, then fragments of any size."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from selectolax.lexbor import LexborNode

from promolens_catalog.chains import Chain
from promolens_catalog.kinds import Kind
from promolens_crawler.pages import Answer, ParsedPage, Problem, Request
from promolens_crawler.sites.base import BrowserPlan, Listing, Site, Tokens
from promolens_crawler.sites.cards import Badge, CardRules, RawCard, RawGift, read_cards
from promolens_crawler.sites.markup import (
    Page,
    attribute,
    outermost,
    page_of,
    refuse_strange,
    text_in,
)

PAGE_SIZE = 100
_START = "/product/presentList.asp"
_SIZE = "intPageSize"
LISTINGS = tuple(
    Listing(key, kind, {"pTab": tab, _SIZE: str(PAGE_SIZE)})
    for key, kind, tab in (
        ("one-plus-one", Kind.ONE_PLUS_ONE, "1"),
        ("two-plus-one", Kind.TWO_PLUS_ONE, "2"),
        ("gift", Kind.GIFT, "3"),
        ("discount", Kind.DISCOUNT, "4"),
    )
)
RULES = CardRules(
    badges={
        ("1+1", "ico_tag_06"): Kind.ONE_PLUS_ONE,
        ("2+1", "ico_tag_07"): Kind.TWO_PLUS_ONE,
        ("3+1", ""): Kind.THREE_PLUS_ONE,
        ("증정", ""): Kind.GIFT,
        ("덤증정", ""): Kind.GIFT,
        ("할인", ""): Kind.DISCOUNT,
    },
    silent=frozenset({"PB", "신상품", "인기", "단체"}),
    # 8801069/415024.1.jpg; short codes are split too: 80001/263.1.jpg.
    barcode=re.compile(r"/(\d{5,8})/(\d{3,6})\.\d+\.\w{3,4}$", re.ASCII),
    placeholder=re.compile(r"/front/img/"),
)
_CARD_PARTS = ".infowrap, a.btn_product_01"
_TOTAL = re.compile(r"intTotalCount\s*=\s*[\"']?(\d{1,7})\b")
_NUMBER = re.compile(r"fncGoView\(\s*'?(\w{1,20})'?\s*\)", re.ASCII)
_NOTHING = ("검색 결과가 없습니다", "데이터가 없습니다")


def page_request(home: str, listing: Listing, number: int, tokens: Tokens) -> Request:
    """Return the page itself, which states the total, and from page 2 on what MORE asks for.

    A size is honoured from page 2 on: those rows begin at 13 + (number - 2) * size.
    """
    tab = listing.parameters["pTab"]
    page = f"{home}{_START}?{urlencode({'pTab': tab})}"
    if number == 1:
        return Request(page)
    form = {
        _SIZE: listing.parameters[_SIZE],
        "intCurrPage": str(number),
        "cateCd1": "",
        "cateCd2": "",
        "cateCd3": "",
        "pTab": tab,
    }
    headers = {"Referer": page, "X-Requested-With": "XMLHttpRequest"}
    return Request(f"{home}/product/listMoreAjax.asp", form, headers)


def read(answer: Answer, listing: Listing) -> ParsedPage:
    """Read the page, a fragment, or what a browser rendered of them. Raises CrawlError."""
    page = page_of(answer)
    items = outermost(page.tree.css(_CARD_PARTS), "li")
    found = read_cards(map(fields, items), RULES, listing, page.url)
    nothing = not found.seen and _says_nothing(page)
    if not found.seen and not nothing:
        refuse_strange(page.tree, "li with .infowrap, or #listCnt 0")
    total = page.script_number(_TOTAL)
    problems = found.problems
    if total is None and page.number == 1:
        problems += (Problem("total-missing", "expected intTotalCount, received none"),)
    return ParsedPage(found.cards, found.seen, total, nothing, problems)


def fields(card: LexborNode) -> RawCard | None:
    """Read what a card says; `None` without name or price.

    Pictures are nested twice in fragments and once on the page; names and prices stand there three
    times. The block around `.infowrap` is there once in both, and a second time for a gift.
    """
    blocks = [block for info in card.css(".infowrap") if (block := info.parent) is not None]
    if not blocks:
        return None
    name, price = _name(blocks[0]), _price(blocks[0])
    if name is None or price is None:
        return None
    number = _NUMBER.search(attribute(card.css_first("a.btn_product_01"), "href"))
    return RawCard(
        name=name,
        price=price,
        badges=tuple(
            Badge(tag.text(), attribute(tag, "class")) for tag in card.css("ul.tag_list_01 > li")
        ),
        image=attribute(blocks[0].css_first("img"), "src"),
        site_id=number[1] if number else None,
        gift=_gift(blocks[1]) if len(blocks) == 2 else None,
    )


def _name(block: LexborNode) -> str | None:
    return text_in(block, ".infowrap > .name")


def _price(block: LexborNode) -> str | None:
    return text_in(block, ".infowrap > .price", " ")


def _gift(block: LexborNode) -> RawGift:
    image = attribute(block.css_first("img"), "src")
    return RawGift(_name(block) or "", _price(block) or "", image)


def _says_nothing(page: Page) -> bool:
    count = page.tree.css_first("#listCnt")
    shown = " ".join(item.text() for item in page.tree.css("li, p, td"))
    return attribute(count, "value") == "0" or any(words in shown for words in _NOTHING)


SITE = Site(
    chain=Chain.SEVEN,
    home="https://www.7-eleven.co.kr",
    listings=LISTINGS,
    page_request=page_request,
    read=read,
    declares_total=True,
    page_size=PAGE_SIZE,
    page_size_parameter=_SIZE,
    browser=BrowserPlan(
        address=lambda listing: f"{_START}?{urlencode({'pTab': listing.parameters['pTab']})}",
        row_selector="#listUl > li:has(.infowrap)",
        # Without a tab the page takes its own.
        more="fncMore('');",
        done="""
            const shown = document.querySelector("#listCnt");
            if (shown === null) { return false; }
            const total = typeof intTotalCount === "undefined" ? Infinity : Number(intTotalCount);
            return shown.value === "0" || Number(shown.value) >= total
                || document.querySelector("#moreImg") === null;
        """,
        context_selector="script:not([src]), #listCnt, #listUl > .no_data",
    ),
)
