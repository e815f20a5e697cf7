"""Lists from files: what spreadsheets do to them, what is counted, and what is never published."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_support import HOUR, NOW
from promolens_catalog import snapshots, staging
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database
from promolens_catalog.importing import ImportedList, list_of, read_list, stage_list
from promolens_catalog.kinds import Kind
from promolens_catalog.list_rows import barcode_in_address, chain_of, kind_of, price_of
from promolens_catalog.offers import Gift, Offer
from promolens_catalog.publishing import hold, publish
from promolens_catalog.records import RecordLimits, parse_records
from promolens_catalog.rows import check_offer
from promolens_catalog.search import search
from promolens_crawler.feeding import feed
from promolens_crawler.locks import ChainBusyError, chain_lock
from promolens_crawler.results import Outcome
from promolens_runtime.errors import InputError

HEADER = "chain,name,price_krw,promotion,barcode,image_url"
CODE = "8801056150013"
ROW = f"GS25,달빛)보리차500ml,2500,1+1,{CODE},https://images.example/GD_{CODE}_001.jpg"
FEBRUARY = (date(2026, 2, 1), date(2026, 2, 28))


def read(text: str | bytes, chain: Chain = Chain.GS25) -> ImportedList:
    data = text.encode() if isinstance(text, str) else text
    return list_of(parse_records(data, "list.csv"), chain, "2026-02")


def table(*rows: str, header: str = HEADER) -> str:
    return "\n".join([header, *rows]) + "\n"


def codes(found: ImportedList) -> list[str]:
    return [problem.code for row in found.rows for problem in row.problems]


def many(count: int, chain: str = "GS25") -> str:
    """A whole list of invented rows with pictures."""
    rows = [
        f"{chain},달빛)보리과자{n}번100g,{1000 + n},{'2+1' if n % 2 else '1+1'},,"
        f"https://images.example/{n}.jpg"
        for n in range(count)
    ]
    return table(*rows)


def test_a_row_is_an_offer_for_the_whole_month() -> None:
    found = read(table(ROW))
    assert found.offers == [
        Offer(
            Chain.GS25,
            "달빛)보리차500ml",
            2500,
            Kind.ONE_PLUS_ONE,
            *FEBRUARY,
            valid_until_inferred=True,
            barcode=CODE,
            image_url=f"https://images.example/GD_{CODE}_001.jpg",
        )
    ]
    assert (codes(found), found.unreadable, found.ignored_columns) == ([], 0, ())


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (table(ROW).encode(), "utf-8"),
        (table(ROW).encode("utf-8-sig"), "utf-8"),
        (table(ROW).encode("cp949"), "cp949"),
        (table(ROW).replace("\n", "\r\n").encode("utf-8-sig"), "utf-8"),
        (table(ROW).replace(",", "\t").encode(), "utf-8"),
        (("\n\n" + table(ROW, "", ",,,,,")).encode(), "utf-8"),
        (table(ROW, header=HEADER.upper().replace(",", " , ")).encode(), "utf-8"),
    ],
)
def test_what_spreadsheets_do_to_a_file(data: bytes, encoding: str) -> None:
    found = read(data)
    assert found.offers == read(table(ROW)).offers
    assert (found.file.encoding, codes(found)) == (encoding, [])


def test_json_lists_as_they_circulate() -> None:
    row = {
        "name": "달빛)보리차500ml",
        "price": 2500,
        "event": "1+1",
        "img": f"http://images.example/imgsvr/item/GD_{CODE}_001.jpg",
        "store": "gs25",
    }
    for whole in ({"date": "2018-12-31", "items": [row]}, [row], {"data": [row]}):
        (offer,) = read(json.dumps(whole, ensure_ascii=True)).offers
        assert (offer.name, offer.price_krw, offer.barcode) == ("달빛)보리차500ml", 2500, CODE)


def test_all_columns() -> None:
    header = (
        "name,price_krw,promotion,site_id,category,regular_price_krw,gift_name,gift_price_krw,"
        "gift_barcode,gift_image_url,valid_from,valid_until,remark"
    )
    found = read(
        table(
            f'"보리차, 큰 것","2,500 원",덤증정,0062,음료,"3,000",컵,900,{CODE},'
            "https://images.example/cup.jpg,2026-02-01,2026-02-14,새것",
            header=header,
        )
    )
    (offer,) = found.offers
    assert offer == Offer(
        Chain.GS25,
        "보리차, 큰 것",
        2500,
        Kind.GIFT,
        date(2026, 2, 1),
        date(2026, 2, 14),
        valid_until_inferred=False,
        site_id="0062",
        regular_price_krw=3000,
        gift=Gift("컵", 900, CODE, "https://images.example/cup.jpg"),
        category="음료",
    )
    assert found.ignored_columns == ("remark",)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (ROW.replace("2500", "가격문의"), "price-unreadable"),
        (ROW.replace("2500", "0"), "price-unreadable"),
        (ROW.replace("2500", "1000001"), "price-unreadable"),
        (ROW.replace("2500", "-2500"), "price-unreadable"),
        (ROW.replace("2500", "25.5"), "price-unreadable"),
        (ROW.replace("2500", ""), "price-unreadable"),
        (ROW.replace("1+1", "4+1"), "badge-unknown"),
        (ROW.replace("1+1", ""), "badge-unknown"),
        (ROW.replace("달빛)보리차500ml", " \u200b"), "name-missing"),
        (ROW.replace("달빛)보리차500ml", "가" * 201), "row-unreadable"),
        (ROW.replace("GS25", "CU"), "chain-disagrees"),
        (ROW.replace("GS25", "?"), "chain-disagrees"),
        (ROW + ",more", "row-unreadable"),
        ("GS25,달빛)보리차500ml,25", "row-unreadable"),  # the file was cut off here
        (ROW.replace("달빛)보리차500ml", "가" * 10_001), "row-unreadable"),
    ],
)
def test_a_row_that_cannot_be_read_is_lost_and_counted(row: str, code: str) -> None:
    found = read(table(ROW, row))
    assert (codes(found), found.unreadable, len(found.offers)) == ([code], 1, 1)
    (problem,) = found.rows[1].problems
    assert problem.detail.startswith("row 3: ")
    assert len(problem.detail) <= 500


@pytest.mark.parametrize(
    ("row", "code", "changed"),
    [
        (ROW.replace(CODE, "8801056150014", 1), "barcode-check-digit", {"barcode": None}),
        (ROW.replace("보리차", "보\x07리차"), "name-unclean", {}),
        (
            ROW.replace("https://images.example/", "https://images.example/../../"),
            "image-address-refused",
            {"image_url": None},
        ),
        (ROW.replace("https:", "javascript:"), "image-address-refused", {"image_url": None}),
    ],
)
def test_an_odd_row_is_kept_without_what_is_odd(
    row: str, code: str, changed: dict[str, object]
) -> None:
    found = read(table(row))
    assert codes(found) == [code]
    (good,), (odd,) = read(table(ROW)).offers, found.offers
    assert vars(odd) == {**vars(good), **changed}


def test_a_repeated_row_is_counted_and_is_one_offer() -> None:
    found = read(table(ROW, ROW))
    assert codes(found) == ["row-repeated"]
    assert len(set(found.offers)) == 1


def test_days_of_a_row_must_be_days() -> None:
    header = "name,price_krw,promotion,valid_from,valid_until"
    found = read(
        table("가,1000,1+1,02.01,02.14", "나,1000,1+1,2026-02-14,2026-02-01", header=header)
    )
    assert codes(found) == ["dates-unreadable", "row-unreadable"]


def test_values_of_json_that_are_no_text() -> None:
    rows = [
        {"name": "가", "price": 4900.0, "event": "1+1", "barcode": int(CODE)},
        {"name": ["나"], "price": 1000, "event": "1+1"},
        {"name": "다", "price": True, "event": "1+1"},
        {"name": "라", "price": float("nan"), "event": "1+1"},
        {"name": "마", "price": 1000, "event": {"a": 1}},
        {"name": "바\ud800", "price": 1000, "event": "1+1", "img": None},
        ["사"],
        None,
    ]
    found = read(json.dumps(rows))
    assert [(one.name, one.price_krw, one.barcode) for one in found.offers] == [
        ("가", 4900, CODE),
        ("바", 1000, None),
    ]
    assert codes(found) == [
        "name-missing",
        "price-unreadable",
        "price-unreadable",
        "badge-unknown",
        "name-unclean",
        "row-unreadable",
        "row-unreadable",
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "which is empty"),
        (b"name,price_krw,promotion\n", "Received none. An empty list ends no promotions"),
        (b'{"items": []}', "Received none. An empty list ends no promotions"),
        (b"name,price_krw\n1,2\n", "Add or rename promotion"),
        (b"name,price_krw,promotion,event\n1,2,3,4\n", "Expected one column for promotion"),
        (b"name,name,price_krw\n1,2,3\n", "with a name of its own"),
        (b"name,,price_krw\n1,2,3\n", "with a name of its own"),
        (b'name,price_krw,promotion\n"cut off,1000,1+1\n', "is the file cut off"),
        (b'[{"name": "cut', "is the file cut off"),
        (b"[" * 100_000, "text that is none"),
        (b'{"name": "x"}', "Expected a list of objects"),
        (b"\xff\xfen\x00a\x00m\x00e\x00", "in neither"),
        (b"name\xff\xff,price", "in neither"),
    ],
)
def test_a_file_that_is_no_list_is_refused_in_one_line(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=r"^Expected .*\. Received") as caught:
        read(data)
    assert message.casefold() in str(caught.value).casefold()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_file_too_large_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    with path.open("wb") as file:
        file.write(table(ROW).encode())
        file.truncate(200 * 2**20)  # sparse: it takes no room
    with pytest.raises(InputError, match="at most 16 MiB"):
        read_list(path, Chain.GS25, "2026-02")
    path.write_text(many(30), "utf-8")
    with pytest.raises(InputError, match="at most 29 rows"):
        read_list(path, Chain.GS25, "2026-02", RecordLimits(max_records=29))


def test_words_for_kinds_and_chains() -> None:
    kinds = {text: kind_of(text) for text in ("1 + 1", "ONE_TO_ONE", "덤증정", "SALE", "골라담기")}
    assert list(kinds.values()) == [
        Kind.ONE_PLUS_ONE,
        Kind.ONE_PLUS_ONE,
        Kind.GIFT,
        Kind.DISCOUNT,
        Kind.PICK_AND_MIX,
    ]
    assert [kind_of(text) for text in ("4+1", "", "1+1+1")] == [None, None, None]
    assert chain_of("7Eleven") is chain_of("세븐일레븐") is chain_of("7-Eleven") is Chain.SEVEN
    assert chain_of("emart24") is chain_of("이마트24") is Chain.EMART24
    assert chain_of("편의점") is None


@pytest.mark.parametrize(
    ("value", "won"),
    [
        (2500, 2500), (2500.0, 2500), ("2,500", 2500), (" 2500원 ", 2500), ("4900.0", 4900),
        ("1", 1), ("1,000,000", 1_000_000), (1_000_001, None), ("12,50", None), ("٢٥٠٠", None),
        ("1e3", None), (None, None), (10**400, None), (float("inf"), None), ("2500 won", None),
    ],
)  # fmt: skip
def test_prices(value: object, won: int | None) -> None:
    assert price_of(value) == won


@pytest.mark.parametrize(
    ("address", "code"),
    [
        (f"https://cdn.example/product/{CODE}.jpg", CODE),
        (f"https://cdn.example/product/{CODE}_1.png", CODE),
        (f"https://image.example/imgsvr/item/GD_{CODE}_002.jpg", CODE),
        (f"https://image.example/500x500/{CODE}.JPG", CODE),
        ("https://shop.example/upload/product/8801056/150013.1.jpg", CODE),
        ("https://shop.example/front/img/product/product_list_01.jpg", None),
        ("https://shop.example/8801056150014.jpg", None),  # wrong check digit
        ("https://shop.example/x8801056150013.jpg", None),
        ("https://shop.example/pic.do?n=8801056150013.jpg", None),
    ],
)
def test_barcodes_hide_in_image_addresses(address: str, code: str | None) -> None:
    assert barcode_in_address(address) == code


def test_a_list_is_published_like_a_crawl(database: Database) -> None:
    found = read(table(ROW))
    crawl_id = stage_list(database, found, NOW)
    record = staging.crawl_record(database, crawl_id)
    assert (record.state, record.transport, record.month) == ("staged", "import", "2026-02")
    done = publish(database, crawl_id, NOW)
    assert (done.added, done.ended) == (1, 0)
    assert [one.name for one in search(database, "보리")] == ["달빛)보리차500ml"]
    kept = staging.anomalies(database, crawl_id)
    assert [one.code for one in kept] == ["import-file"]
    assert found.file.sha256 in kept[0].detail


def test_long_lists_are_staged_in_pages(database: Database) -> None:
    found = read(many(2001))
    crawl_id = stage_list(database, found, NOW)
    pages = staging.staged_pages(database, crawl_id)
    assert [(page.number, page.cards_seen, page.end_seen) for page in pages] == [
        (1, 1000, False),
        (2, 1000, False),
        (3, 1, True),
    ]
    assert staging.staged_offers(database, crawl_id) == found.offers
    hold(database, crawl_id, ["to look at"], NOW)


def test_feeding_publishes_a_good_list_and_holds_a_bad_one(database: Database) -> None:
    done = feed(database, read(many(100)), NOW)
    assert (done.outcome, done.rows, done.added) == (Outcome.PUBLISHED, 100, 100)
    same = feed(database, read(many(100)), NOW + HOUR)
    assert (same.outcome, same.added, same.ended) == (Outcome.UNCHANGED, 0, 0)
    before = snapshots.published_snapshot(database, Chain.GS25)

    one_bad = many(100) + "GS25,달빛)새것,1000,4+1,,\n"
    cut = many(60)
    for text, reason in ((one_bad, "unreadable"), (cut, "count")):
        held = feed(database, read(text), NOW + 2 * HOUR)
        assert (held.outcome, held.reason) == (Outcome.HELD, reason)
        assert snapshots.published_snapshot(database, Chain.GS25) == before
    # The newer one took the older one's place: a person decides about one list.
    assert [one.row_count for one in snapshots.held_snapshots(database)] == [60]


def test_a_list_without_any_picture_is_published_and_one_that_lost_some_is_held(
    database: Database,
) -> None:
    """Pictures are optional; half of them missing is another matter."""
    bare = re.sub(r"https://\S+", "", many(40))
    assert feed(database, read(bare), NOW).outcome is Outcome.PUBLISHED
    without_column = "\n".join(line.rpartition(",")[0] for line in bare.splitlines())
    assert feed(database, read(without_column), NOW + HOUR).outcome is Outcome.UNCHANGED
    half = "\n".join([*many(40).splitlines()[:21], *bare.splitlines()[21:]])
    held = feed(database, read(half), NOW + 2 * HOUR)
    assert (held.outcome, held.reason) == (Outcome.HELD, "image-coverage")
    assert "50.0 %" in held.message


def test_feeding_never_goes_back_a_month_nor_beside_a_crawl(database: Database) -> None:
    feed(database, read(many(20)), NOW)
    older = list_of(parse_records(many(20).encode(), "old.csv"), Chain.GS25, "2026-01")
    with pytest.raises(InputError, match=r"a list of \S+ or later.*Received one of 2026-01"):
        feed(database, older, NOW + HOUR)
    assert len(staging.crawls(database, Chain.GS25)) == 1
    with chain_lock(database, Chain.GS25), pytest.raises(ChainBusyError):
        feed(database, read(many(20)), NOW + HOUR)


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    try:
        found = read(data)
    except InputError:
        return
    for offer in found.offers:
        check_offer(offer)


@given(st.lists(st.lists(st.text(max_size=12), min_size=6, max_size=6), max_size=5))
def test_no_cells_break_a_row(cells: list[list[str]]) -> None:
    rows = [dict(zip(HEADER.split(","), row, strict=True)) for row in cells]
    rows.append({"name": "보리차", "price_krw": "1000", "promotion": "1+1"})
    found = read(json.dumps(rows))
    assert len(found.rows) == len(rows)
    assert found.unreadable + len(found.offers) == len(rows)
    for row in found.rows:
        assert row.offer is not None or row.problems


def test_the_recorded_lists_are_read_whole() -> None:
    root = os.environ.get("PROMOLENS_DATA")
    if root is None:
        pytest.skip("PROMOLENS_DATA does not say where recorded lists are")
    folder = Path(root) / "promotions"
    counts = {}
    for name, chain, month in [
        ("2026-02/7Eleven.csv", Chain.SEVEN, "2026-02"),
        ("2026-02/CU.csv", Chain.CU, "2026-02"),
        ("2026-02/GS25.csv", Chain.GS25, "2026-02"),
        ("2026-02/emart24.csv", Chain.EMART24, "2026-02"),
        ("2018-12/gs25.json", Chain.GS25, "2018-12"),
        ("2018-12/ministop.json", Chain.MINISTOP, "2018-12"),
    ]:
        found = read_list(folder / name, chain, month)
        coded = sum(offer.barcode is not None for offer in found.offers)
        counts[name] = (len(found.offers), coded, Counter(codes(found)))
    assert counts == {
        "2026-02/7Eleven.csv": (821, 385, {}),
        "2026-02/CU.csv": (864, 862, {"barcode-check-digit": 1}),
        "2026-02/GS25.csv": (840, 840, {}),
        "2026-02/emart24.csv": (692, 692, {}),
        "2018-12/gs25.json": (644, 642, {}),
        "2018-12/ministop.json": (439, 0, {}),
    }
