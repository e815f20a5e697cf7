"""Plain readers of the stand-in shops: what a person who follows docs/demo-shops.md would write.

They share nothing with the crawler, so that a test of the shops is no test of the crawler.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import requests
from selectolax.lexbor import LexborHTMLParser, LexborNode

from promolens_catalog.chains import Chain

TIMEOUT_S = 20
SEVEN_TABS = ("1", "2", "3", "4")
GS25_LISTS = ("ONE_TO_ONE", "TWO_TO_ONE", "GIFT")
EMART24_CATEGORIES = ("1", "2", "3", "4", "12")
CSPACE_CATEGORIES = tuple(f"000{n}0000000000000000" for n in (3, 4, 5, 6))


@dataclass(frozen=True)
class Seen:
    """One card as it is printed."""

    name: str
    price: str
    badge: str
    image: str
    site_id: str | None = None


def html(text: str | bytes) -> LexborHTMLParser:
    return LexborHTMLParser(text)


def words(node: LexborNode, selector: str) -> str:
    found = node.css_first(selector)
    return found.text(strip=True) if found is not None else ""


def attribute(node: LexborNode, selector: str, name: str) -> str:
    found = node.css_first(selector)
    return (found.attributes.get(name) or "") if found is not None else ""


def post(home: str, path: str, form: dict[str, str], **options: Any) -> requests.Response:
    return requests.post(home + path, data=form, timeout=TIMEOUT_S, **options)


# CU


def cu_page(home: str, page: int, condition: str = "") -> requests.Response:
    form = {"pageIndex": str(page), "listType": "0", "searchCondition": condition}
    return post(home, "/event/plusAjax.do", form)


def cu_cards(text: str) -> list[Seen]:
    cards = []
    for card in html(text).css(".prodListWrap > ul > li.prod_list"):
        number = re.search(r"view\((\d+)\)", card.html or "")
        cards.append(
            Seen(
                words(card, ".name p"),
                words(card, ".price strong"),
                words(card, ".badge span"),
                attribute(card, "img.prod_img", "src"),
                number[1] if number else None,
            )
        )
    return cards


def read_cu(home: str, condition: str = "") -> Iterator[Seen]:
    page = 1
    while True:
        text = cu_page(home, page, condition).text
        yield from cu_cards(text)
        if "prodListBtn" not in text:
            return
        page += 1


# GS25


def gs25_session(home: str) -> tuple[requests.Session, str]:
    session = requests.Session()
    text = session.get(f"{home}/gscvs/ko/products/event-goods", timeout=TIMEOUT_S).text
    hidden = html(text).css_first("input[name=CSRFToken]")
    assert hidden is not None
    return session, hidden.attributes["value"] or ""


def gs25_page(
    home: str, session: requests.Session, token: str, listing: str, page: int, size: int = 100
) -> requests.Response:
    form = {
        "pageNum": str(page),
        "pageSize": str(size),
        "searchType": "",
        "searchWord": "",
        "parameterList": listing,
    }
    address = f"{home}/gscvs/ko/products/event-goods-search?CSRFToken={token}"
    return session.post(address, data=form, timeout=TIMEOUT_S)


def gs25_answer(response: requests.Response) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(json.loads(response.content))
    return answer


def gs25_cards(answer: dict[str, Any]) -> list[Seen]:
    return [
        Seen(row["goodsNm"], f"{row['price']:,.0f}", row["eventTypeNm"], row["attFileNm"])
        for row in answer["results"]
    ]


def read_gs25(home: str) -> Iterator[Seen]:
    session, token = gs25_session(home)
    for listing in GS25_LISTS:
        page = pages = 1
        while page <= pages:
            answer = gs25_answer(gs25_page(home, session, token, listing, page))
            pages = answer["pagination"]["numberOfPages"]
            yield from gs25_cards(answer)
            page += 1


# 7-Eleven


def seven_opening(home: str, tab: str) -> requests.Response:
    return post(home, "/product/presentList.asp", {"pTab": tab})


def seven_more(home: str, tab: str, page: int, size: int = 100) -> requests.Response:
    form = {
        "intPageSize": str(size),
        "intCurrPage": str(page),
        "cateCd1": "",
        "cateCd2": "",
        "cateCd3": "",
        "pTab": tab,
    }
    return post(home, "/product/listMoreAjax.asp", form)


def seven_total(text: str) -> int:
    found = re.search(r'intTotalCount\s*=\s*"(\d+)"', text)
    assert found is not None
    return int(found[1])


def seven_cards(text: str) -> list[Seen]:
    cards = []
    for card in html(text).css("li:has(.infowrap)"):
        number = re.search(r"\d+", attribute(card, "a.btn_product_01", "href"))
        cards.append(
            Seen(
                words(card, ".infowrap .name"),
                words(card, ".infowrap .price span"),
                words(card, ".tag_list_01 li"),
                attribute(card, ".pic_product img", "src"),
                number[0] if number else None,
            )
        )
    return cards


def read_seven(home: str) -> Iterator[Seen]:
    for tab in SEVEN_TABS:
        total = seven_total(seven_opening(home, tab).text)
        received, page = 0, 1
        while received < total:
            cards = seven_cards(seven_more(home, tab, page).text)
            assert cards
            yield from cards
            received += len(cards)
            page += 1


# emart24


def emart24_page(home: str, page: int, category: str = "", align: str = "RECENT") -> str:
    query = {"search": "", "page": page, "category_seq": category, "align": align}
    answer = requests.get(f"{home}/goods/event", params=query, timeout=TIMEOUT_S)
    return answer.text


def emart24_total(text: str) -> int:
    found = re.search(r'totalCount\s*=\s*"(\d+)"', text)
    assert found is not None
    return int(found[1])


def emart24_cards(text: str) -> list[Seen]:
    return [
        Seen(
            words(card, ".itemtitle p a"),
            words(card, "a.price").removesuffix("원").strip(),
            words(card, ".floatR"),
            attribute(card, ".itemSpImg img", "src"),
        )
        for card in html(text).css(".itemWrap")
    ]


def read_emart24(home: str) -> Iterator[Seen]:
    for category in EMART24_CATEGORIES:
        page = 1
        while cards := emart24_cards(emart24_page(home, page, category)):
            yield from cards
            page += 1


# C-Space


def cspace_page(home: str, category: str, page: int) -> str:
    query = {"prod_name_s": "", "category": category, "cpage": page, "spage": 1}
    return requests.get(f"{home}/service/product.html", params=query, timeout=TIMEOUT_S).text


def cspace_cards(text: str) -> list[Seen]:
    return [
        Seen(
            words(card, "dt"),
            words(card, "dd").removesuffix("원"),
            card.attributes.get("class") or "",
            attribute(card, "img", "src"),
        )
        for card in html(text).css(".product-list > ul.box > li")
    ]


def cspace_pages(text: str) -> int:
    return len(html(text).css("select#page option"))


def read_cspace(home: str) -> Iterator[Seen]:
    for category in CSPACE_CATEGORIES:
        page = pages = 1
        while page <= pages:
            text = cspace_page(home, category, page)
            pages = cspace_pages(text)
            yield from cspace_cards(text)
            page += 1


READERS: dict[Chain, Callable[[str], Iterator[Seen]]] = {
    Chain.CU: read_cu,
    Chain.GS25: read_gs25,
    Chain.SEVEN: read_seven,
    Chain.EMART24: read_emart24,
    Chain.CSPACE: read_cspace,
}
