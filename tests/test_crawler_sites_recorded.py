"""The readers on real recorded pages, which are no part of the repository.

Set PROMOLENS_DATA to a folder with `promotions/recorded` in it. Counts and a few fields are what a
person reads in those files.
"""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from pathlib import Path

import pytest
from selectolax.lexbor import LexborHTMLParser

from promolens_catalog.barcodes import normalise
from promolens_catalog.chains import Chain
from promolens_catalog.kinds import Kind
from promolens_crawler.pages import ParsedPage
from promolens_crawler.sites import SITES, cu, emart24, gs25, ministop, seven
from promolens_crawler.sites.base import Listing
from promolens_crawler.sites.cards import Badge, CardRules, RawCard, read_cards
from site_pages import answer, read

ANY = Listing("any")


def _folder(name: str) -> Path:
    data = os.environ.get("PROMOLENS_DATA")
    folder = Path(data or "") / "promotions" / name
    if not data or not folder.is_dir():
        pytest.skip(f"no recorded pages: set PROMOLENS_DATA to a folder with promotions/{name}")
    return folder


@pytest.fixture(scope="module")
def recorded() -> Path:
    return _folder("recorded")


def read_recorded(folder: Path, chain: Chain, name: str, number: int = 1) -> ParsedPage:
    return read(chain, answer(chain, (folder / name).read_bytes(), number=number), ANY)


def test_cu_catalogue_cards_are_read_and_lack_their_badge(recorded: Path) -> None:
    name = "cu_productAjax_2cards_2026-08.html"
    page = read_recorded(recorded, Chain.CU, name)
    assert (page.cards_seen, page.cards, page.end_seen) == (2, (), False)
    assert [problem.code for problem in page.problems] == ["badge-missing"] * 2
    tree = LexborHTMLParser((recorded / name).read_text("utf-8"))
    cards = [cu.fields(card) for card in tree.css(".prodListWrap > ul > li")]
    assert [card and card.site_id for card in cards] == ["17620", "25446"]
    with_badge = [_promoted(card, Badge("2+1", "plus2")) for card in cards]
    second = read_cards(with_badge, cu.RULES, ANY, SITES[Chain.CU].home).cards[1]
    assert (second.price_krw, second.barcode) == (7900, "8809655892303")
    assert second.image_url is not None
    assert second.image_url.startswith("https://")
    assert second.image_url.endswith("/product/8809655892303_1.png")


def test_emart24_cards_are_read_and_lack_their_badge(recorded: Path) -> None:
    name = "emart24_pl_2cards_2026-08.html"
    page = read_recorded(recorded, Chain.EMART24, name)
    assert (page.cards_seen, page.cards) == (2, ())
    codes = Counter(problem.code for problem in page.problems)
    assert codes == {"badge-missing": 2, "total-missing": 1}
    tree = LexborHTMLParser((recorded / name).read_text("utf-8"))
    cards = [emart24.fields(card) for card in tree.css(".itemWrap")]
    with_badge = [_promoted(card, Badge("1 + 1", "onepl")) for card in cards]
    read = read_cards(with_badge, emart24.RULES, ANY, SITES[Chain.EMART24].home)
    assert [(card.price_krw, card.barcode) for card in read.cards] == [
        (1700, "8801550005239"),
        (5900, "8805489005711"),
    ]
    assert not any("NEW" in card.name for card in read.cards)


def _promoted(card: RawCard | None, badge: Badge) -> RawCard:
    assert card is not None
    assert card.badges == ()
    return RawCard(card.name, card.price, (badge,), card.image, card.site_id)


def test_seven_fragment_has_ten_cards(recorded: Path) -> None:
    page = read_recorded(recorded, Chain.SEVEN, "seven_listMoreAjax_pTab5_2023-11.html", 2)
    assert (page.cards_seen, len(page.cards), page.problems) == (10, 10, ())
    assert (page.declared_total, page.end_seen) == (None, False)
    assert Counter(card.kind for card in page.cards) == {
        Kind.ONE_PLUS_ONE: 6,
        Kind.TWO_PLUS_ONE: 4,
    }
    # Four pictures are placeholders; one card stands there twice.
    assert sum(card.barcode is None for card in page.cards) == 4
    assert len({card.site_id for card in page.cards}) == 9
    first = page.cards[0]
    assert (first.price_krw, first.site_id, first.barcode) == (2600, "062386", "8801069415024")


def test_gs25_answer_has_a_hundred_of_1435_rows(recorded: Path) -> None:
    page = read_recorded(recorded, Chain.GS25, "gs25_event-goods-search_2023-05-21.json")
    assert (page.cards_seen, len(page.cards), page.problems) == (100, 100, ())
    assert (page.declared_total, page.end_seen) == (1435, False)
    assert Counter(card.kind for card in page.cards) == {
        Kind.TWO_PLUS_ONE: 71,
        Kind.ONE_PLUS_ONE: 24,
        Kind.GIFT: 5,
    }
    # One picture is ".../null".
    assert sum(card.barcode is None for card in page.cards) == 1
    assert sum(card.image_url is None for card in page.cards) == 1
    gifts = [card.gift for card in page.cards if card.kind is Kind.GIFT]
    assert all(gift is not None for gift in gifts)
    assert gifts[0] is not None
    assert (gifts[0].price_krw, gifts[0].barcode) == (1800, "8809399462541")
    assert (page.cards[0].price_krw, page.cards[0].barcode) == (4900, "8801308470692")


def test_gs25_own_brand_rows_lack_their_badge(recorded: Path) -> None:
    page = read_recorded(recorded, Chain.GS25, "gs25_youus-freshfood_2023-05.json")
    assert (page.cards_seen, page.cards, page.declared_total) == (100, (), 524)
    assert Counter(problem.code for problem in page.problems) == {"badge-missing": 100}


@pytest.mark.parametrize(
    ("chain", "rules", "file"),
    [
        (Chain.CU, cu.RULES, "CU.csv"),
        (Chain.GS25, gs25.RULES, "GS25.csv"),
        (Chain.SEVEN, seven.RULES, "7Eleven.csv"),
        (Chain.EMART24, emart24.RULES, "emart24.csv"),
    ],
)
def test_barcodes_of_real_image_addresses(chain: Chain, rules: CardRules, file: str) -> None:
    with (_folder("2026-02") / file).open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    raw = [RawCard(row["name"], row["price_krw"], image=row["image_url"]) for row in rows]
    read = read_cards(raw, rules, Listing("any", Kind.ONE_PLUS_ONE), SITES[chain].home)
    assert read.seen == len(rows) > 600
    assert [card.price_krw for card in read.cards] == [int(row["price_krw"]) for row in rows]
    # One code of CU has a wrong check digit; the list itself leaves some short codes out.
    assert Counter(one.code for one in read.problems) in ({}, {"barcode-check-digit": 1})
    pairs = zip(rows, read.cards, strict=True)
    different = [
        (row["barcode"], card.barcode)
        for row, card in pairs
        if row["barcode"] and card.barcode != normalise(row["barcode"])
    ]
    assert different == []


def test_ministop_rows_of_2018_are_read_from_the_records_they_came_in() -> None:
    rows = json.loads((_folder("2018-12") / "ministop.json").read_text("utf-8"))["items"]
    rows = [row for row in rows if row["event"] == "1+1"]
    home = "https://www.ministop.co.kr/MiniStopHomePage/page/"
    start = f"{home}pic.do?n=event1plus1."
    records = [
        {"fields": [row["name"], f"{row['price']:,}", "", "", row["img"].removeprefix(start)]}
        for row in rows
    ]
    body = json.dumps({"recordList": records})
    page = ministop.read(
        answer(Chain.MINISTOP, body, url=f"{home}querySimple.do"), ministop.LISTINGS[0]
    )
    assert (page.cards_seen, page.problems) == (116, ())
    assert [card.image_url for card in page.cards] == [row["img"] for row in rows]
    assert [card.price_krw for card in page.cards] == [row["price"] for row in rows]
