"""GS25: gs25.gsretail.com, the protocol until 2026-09; the list is gone since.

The chain stays as it was: its stand-in proves what happens to a source that disappears, and a list
that comes back would be read again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode, urlsplit

from selectolax.lexbor import LexborNode

from promolens_catalog.chains import Chain
from promolens_catalog.kinds import Kind
from promolens_crawler.errors import PageDriftError, SourceGoneError
from promolens_crawler.pages import Answer, ParsedPage, Problem, Request
from promolens_crawler.sites.base import BrowserPlan, Listing, Site, Tokens
from promolens_crawler.sites.cards import Badge, CardRules, RawCard, RawGift, read_cards
from promolens_crawler.sites.decoding import text_of
from promolens_crawler.sites.markup import (
    ROWS_ID,
    Page,
    attribute,
    page_of,
    refuse_strange,
    text_in,
    tree_of,
    whole_number,
)

PAGE_SIZE = 100
_START = "/gscvs/ko/products/event-goods"
_SIZE = "pageSize"
_CSRF = "CSRFToken"
# One list of all kinds: its total covers a kind that has no tab yet.
LISTINGS = (Listing("total", None, {"parameterList": "TOTAL", _SIZE: str(PAGE_SIZE)}),)
RULES = CardRules(
    badges={
        ("1+1", "ONE_TO_ONE"): Kind.ONE_PLUS_ONE,
        ("2+1", "TWO_TO_ONE"): Kind.TWO_PLUS_ONE,
        ("3+1", "THREE_TO_ONE"): Kind.THREE_PLUS_ONE,
        ("덤증정", "GIFT"): Kind.GIFT,
        ("증정", "GIFT"): Kind.GIFT,
        ("증정(기타)", "GIFT"): Kind.GIFT,
    },
    # GD_8801308470692_002.jpg; older ones end after the digits.
    barcode=re.compile(r"/GD_(\d+)(?:_\d+)?\.\w{3,4}$", re.ASCII),
    placeholder=re.compile(r"/null$"),
)
_GONE_TO = frozenset({"www.gsretail.com", "gsretail.com"})
_INLINE = re.compile(r"CSRFToken\s*=\s*[\"']?([\w-]{8,128})", re.ASCII)
_GOOD = re.compile(r"[\w-]{8,128}", re.ASCII)
_NOTHING = "검색된 상품이 없습니다"
_KEYS = {"goodsNm", "price", "attFileNm", "eventTypeNm", "eventTypeSp"}


def opening(home: str, listing: Listing) -> Request:
    """Return the page that hands out cookie and token."""
    return Request(home + _START)


def tokens(answer: Answer) -> Tokens:
    """Read the CSRF token out of the opening page.

    Raises:
        SourceGoneError, BotPageError, PageDriftError: there is none.
    """
    _refuse_moved(answer)
    page = page_of(answer)
    value = attribute(page.tree.css_first(f"input[name={_CSRF}]"), "value")
    if not value:
        inline = _INLINE.search(" ".join(one.text() for one in page.tree.css("script")))
        value = inline[1] if inline else ""
    if not _GOOD.fullmatch(value):
        refuse_strange(page.tree, "a CSRFToken")
    return {_CSRF: value}


def page_request(home: str, listing: Listing, number: int, tokens: Tokens) -> Request:
    """Return the form post that the page's own script sends, with a larger page."""
    form = {
        "pageNum": str(number),
        _SIZE: listing.parameters[_SIZE],
        "searchType": "",
        "searchWord": "",
        "parameterList": listing.parameters["parameterList"],
    }
    query = urlencode({_CSRF: tokens.get(_CSRF, "")})
    headers = {"Referer": home + _START, "X-Requested-With": "XMLHttpRequest"}
    return Request(f"{home}{_START}-search?{query}", form, headers)


def read(answer: Answer, listing: Listing) -> ParsedPage:
    """Read a JSON answer, or what a browser rendered of it. Raises CrawlError."""
    _refuse_moved(answer)
    if answer.rendered:
        return _read_rendered(answer, listing)
    data = _json_of(text_of(answer))
    rows, pagination = (data.get(key) for key in _keys_of(data))
    if not isinstance(rows, list) or not isinstance(pagination, dict):
        raise PageDriftError(
            "Expected results and pagination in the answer. Received neither or one of them. "
            "Compare the archived answer with sites/gs25.py."
        )
    page = _whole(pagination.get("currentPage"))
    if rows and page is not None and page + 1 != answer.number:
        raise PageDriftError(
            f"Expected page {answer.number}. Received page {page + 1}. The way of paging changed."
        )
    found = read_cards(map(fields, rows), RULES, listing, answer.url)
    total, problems = _total(_whole(pagination.get("totalNumberOfResults")), found.problems)
    pages = _whole(pagination.get("numberOfPages"))
    over = not rows or (pages is not None and answer.number >= pages)
    return ParsedPage(found.cards, found.seen, total, over, problems)


def fields(row: Any) -> RawCard | None:
    """Read what a row of the JSON says; `None` without name, price or kind.

    `priceOld` is what the price was once upon a time, and no price before a discount.
    """
    if not isinstance(row, dict):
        return None
    name, gift = row.get("goodsNm"), row.get("giftGoodsNm")
    if not isinstance(name, str) or not row.keys() >= _KEYS:
        return None
    return RawCard(
        name=name,
        price=_text(row["price"]),
        badges=_badges(row["eventTypeNm"], row["eventTypeSp"]),
        image=_text(row.get("attFileNm")),
        gift=RawGift(gift, _text(row.get("giftPrice")), _text(row.get("giftAttFileNm")))
        if isinstance(gift, str)
        else None,
    )


def _badges(name: object, kind: object) -> tuple[Badge, ...]:
    """Return the badge; none for a row that states neither, as in lists without promotions."""
    if name is None and kind is None:
        return ()
    return (Badge(_text(name), _text(kind.get("code")) if isinstance(kind, dict) else ""),)


def rendered_fields(card: LexborNode) -> RawCard | None:
    """Read what a rendered card says; `None` without name, price or a place for the badge."""
    name = text_in(card, ".prod_box > .tit")
    price = text_in(card, ".prod_box > .price", " ")
    if name is None or price is None or card.css_first(".flag_box") is None:
        return None
    given = text_in(card, ".dum_txt > .name")
    return RawCard(
        name=name,
        price=price,
        badges=tuple(_flags(card.css(".flag_box"))),
        image=attribute(card.css_first(".prod_box > .img > img"), "src"),
        gift=RawGift(
            given,
            text_in(card, ".dum_txt > .price", " ") or "",
            attribute(card.css_first(".dum_prd img"), "src"),
        )
        if given is not None
        else None,
    )


def _flags(boxes: Iterable[LexborNode]) -> Iterable[Badge]:
    for box in boxes:
        classes = (name for name in attribute(box, "class").split() if name != "flag_box")
        yield Badge(box.text(), " ".join(classes))


def _read_rendered(answer: Answer, listing: Listing) -> ParsedPage:
    page = page_of(answer)
    found = read_cards(map(rendered_fields, _rendered_cards(page)), RULES, listing, page.url)
    nothing = not found.seen and _NOTHING in page.tree.text()
    if not found.seen and not nothing:
        refuse_strange(page.tree, f"li with .prod_box, or {_NOTHING}")
    stated = attribute(page.tree.css_first("#declared-total"), "value")
    total, problems = _total(whole_number(stated), found.problems)
    return ParsedPage(found.cards, found.seen, total, nothing, problems)


def _rendered_cards(page: Page) -> list[LexborNode]:
    """Return the cards of the last block; the one before it recommends other things."""
    rows = page.tree.css(f"#{ROWS_ID} > li")
    blocks = page.tree.css("div.tblwrap")
    if not rows and blocks:
        rows = blocks[-1].css("ul.prod_list > li")
    return [row for row in rows if _NOTHING not in row.text()]


def _total(
    total: int | None, problems: tuple[Problem, ...]
) -> tuple[int | None, tuple[Problem, ...]]:
    if total is None:
        missing = Problem("total-missing", "expected totalNumberOfResults, received none")
        return None, (*problems, missing)
    return total, problems


def _refuse_moved(answer: Answer) -> None:
    host = urlsplit(answer.url).hostname
    if host in _GONE_TO:
        raise SourceGoneError(
            f"Expected the list of GS25. Received a redirect to {host}. Import its rows from a "
            "file, or switch the source off."
        )


def _keys_of(data: dict[str, Any]) -> tuple[str, str]:
    """Return where rows and pagination are; the shop's own brand has a list of the same rows."""
    if "SubPageListData" in data:
        return "SubPageListData", "SubPageListPagination"
    return "results", "pagination"


def _json_of(text: str) -> dict[str, Any]:
    """Decode JSON whose content is a string of JSON, or that was decoded once already."""
    try:
        data = json.loads(text)
        if isinstance(data, str):
            data = json.loads(data)
    except (ValueError, RecursionError) as error:
        if text.lstrip().startswith("<"):
            refuse_strange(tree_of(text), "a JSON answer")
        raise PageDriftError(
            "Expected a JSON answer. Received text that is none, or half of one. Look at the "
            "archived answer."
        ) from error
    if not isinstance(data, dict):
        raise PageDriftError(
            f"Expected a JSON object. Received {type(data).__name__}. Look at the archived answer."
        )
    return data


def _whole(value: object) -> int | None:
    """Return a whole number from 0, `None` for anything else."""
    return value if type(value) is int and value >= 0 else None


def _text(value: object) -> str:
    """Return a string or number as text; anything else is no statement at all."""
    return str(value) if type(value) in (str, int, float) else ""


SITE = Site(
    chain=Chain.GS25,
    home="https://gs25.gsretail.com",
    listings=LISTINGS,
    opening=opening,
    tokens=tokens,
    page_request=page_request,
    read=read,
    declares_total=True,
    page_size=PAGE_SIZE,
    page_size_parameter=_SIZE,
    browser=BrowserPlan(
        address=lambda listing: f"{_START}#{listing.parameters['parameterList']}",
        # The block above it recommends other things in a list of its own.
        row_selector=".tblwrap.mt50 > ul.prod_list > li:has(.prod_box)",
        replaces=True,
        more="goodsPageController.moveControl(1);",
        # The page knows its total and shows it nowhere; it is written down for the reader.
        done="""
            const next = document.querySelector(".tblwrap.mt50 .paging a.next");
            if (next === null) { return false; }
            let note = document.querySelector("#declared-total");
            if (note === null) {
                note = document.createElement("data");
                note.id = "declared-total";
                document.body.appendChild(note);
            }
            note.value = String(goodsPageController.totalNumberOfResults);
            return !next.hasAttribute("onclick");
        """,
        context_selector="#declared-total, .tblwrap.mt50 > ul.prod_list > li > p",
    ),
)
