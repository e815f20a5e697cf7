"""Public lists of stores as they come: columns, delimiters, encodings, spellings, broken rows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promolens_catalog.chains import Chain
from promolens_catalog.store_brands import brand_of, chain_of
from promolens_catalog.store_files import read_store_file, source_name
from promolens_catalog.store_rows import LeftOut
from promolens_runtime.errors import InputError
from stores_support import SUWON, csv_bytes, read

_GYEONGGI = (
    "시군명,사업장명,인허가일자,영업상태명,폐업일자,다중이용업소여부,총시설규모(㎡),위생업종명,위생업태명,"
    "소재지도로명주소,소재지지번주소,소재지우편번호,WGS84위도,WGS84경도"
)
_SEMAS = (
    "상가업소번호,상호명,지점명,상권업종대분류코드,상권업종대분류명,상권업종중분류코드,상권업종중분류명,"
    "상권업종소분류코드,상권업종소분류명,시도코드,시도명,시군구코드,지번주소,도로명주소,경도,위도"
)
GYEONGGI, SEMAS = tuple(_GYEONGGI.split(",")), tuple(_SEMAS.split(","))


def gyeonggi_row(name: str = "씨유 예시점", **changes: str) -> list[str]:
    values = dict.fromkeys(GYEONGGI, "")
    values |= {"시군명": "예시시", "사업장명": name, "인허가일자": "20200226", "영업상태명": "영업"}
    values |= {"위생업태명": "편의점", "소재지도로명주소": "경기도 예시시 예시로 1, 1층"}
    values |= {"소재지지번주소": "예시동 1-1", "WGS84위도": "37.26", "WGS84경도": "127.03"}
    return list((values | changes).values())


def semas_row(number: str = "MA0101", name: str = "GS25", **changes: str) -> list[str]:
    values = dict.fromkeys(SEMAS, "")
    values |= {"상가업소번호": number, "상호명": name, "지점명": "예시역점", "시도코드": "41"}
    values |= {"상권업종소분류코드": "G20405", "도로명주소": "경기도 예시시 예시로 2"}
    values |= {"경도": "127.01", "위도": "37.25"}
    return list((values | changes).values())


@pytest.mark.parametrize(
    ("name", "chain", "branch"),
    [
        ("GS25 예시역점", Chain.GS25, "예시역점"),
        ("GS25예시점", Chain.GS25, "예시점"),
        ("지에스25송파점", Chain.GS25, "송파점"),
        ("지에스(GS)25 광교점", Chain.GS25, "광교점"),
        ("지에스25(GS25) 수원점", Chain.GS25, "수원점"),
        ("지에스 GS25 망포점", Chain.GS25, "망포점"),
        ("지에스이십오 송파", Chain.GS25, "송파"),
        ("ＧＳ２５역삼점", Chain.GS25, "역삼점"),
        ("㈜지에스리테일 GS25 강남점", Chain.GS25, "강남점"),
        ("GS세류타운점", Chain.GS25, "세류타운점"),
        ("지에스25 GS자이점", Chain.GS25, "GS자이점"),
        ("CU", Chain.CU, ""),
        ("씨유(CU)권선곡선초점", Chain.CU, "권선곡선초점"),
        ("cu(씨유) 율전동문점", Chain.CU, "율전동문점"),
        ("씨유CU 율전삼성점", Chain.CU, "율전삼성점"),
        ("(주)비지에프휴먼넷 수원1호점", Chain.CU, "수원1호점"),
        ("BGF리테일 씨유 강남", Chain.CU, "강남"),
        ("세븐일레븐(수원영통점)", Chain.SEVEN, "수원영통점"),
        ("7-ELEVEN 강남", Chain.SEVEN, "강남"),
        ("코리아세븐 세븐일레븐 구로점", Chain.SEVEN, "구로점"),
        ("이마트24 R 영통임광점", Chain.EMART24, "영통임광점"),
        ("이마트24R고색산단점", Chain.EMART24, "고색산단점"),
        ("이마트이십사 역삼점", Chain.EMART24, "역삼점"),
        ("emart24 x", Chain.EMART24, "x"),
        ("위드미 역삼", Chain.EMART24, "역삼"),
        ("미니스톱장안나이스점", Chain.MINISTOP, "장안나이스점"),
        ("C-SPACE 24 종로점", Chain.CSPACE, "종로점"),
        ("GS THE FRESH 매탄점", None, ""),
        ("지에스더프레시 화서점", None, ""),
        ("GS슈퍼마켓 아트리움점", None, ""),
        ("주식회사 동문지에스", None, ""),
        ("GS칼텍스", None, ""),
        ("이마트 에브리데이", None, ""),
        ("cube마트", None, ""),
        ("씨유통상사", None, ""),
        ("행복마트", None, ""),
        ("", None, ""),
    ],
)
def test_names_in_all_their_spellings(name: str, chain: Chain | None, branch: str) -> None:
    found = brand_of(name)
    assert (found.chain, found.branch) == (chain, branch)


def test_names_typed_on_a_mac_are_the_same_names() -> None:
    import unicodedata

    assert chain_of(unicodedata.normalize("NFD", "세븐일레븐 예시점")) is Chain.SEVEN


def test_ministops_stores_are_seven_elevens_today() -> None:
    assert chain_of("미니스톱 예시점") is Chain.SEVEN


@given(st.text(max_size=300))
def test_any_text_is_read_as_a_name(text: str) -> None:
    found = brand_of(text)
    assert found.chain is None or found.chain in Chain
    assert len(found.branch) <= 4 * len(text)  # one sign may fold into a few letters


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", "|", "\t", ";"])
def test_encoding_and_delimiter_are_found_out(encoding: str, delimiter: str) -> None:
    data = csv_bytes(GYEONGGI, [gyeonggi_row()], encoding, delimiter)
    found = read(data)
    assert (found.format, found.delimiter) == ("gyeonggi", delimiter)
    assert found.encoding == encoding.removesuffix("-sig")
    (store,) = found.stores
    assert (store.source, store.chain, store.name) == ("gyeonggi-예시시", Chain.CU, "씨유 예시점")
    assert store.address == "경기도 예시시 예시로 1, 1층"
    assert (store.latitude, store.longitude) == (37.26, 127.03)


def test_a_file_put_together_of_two_encodings_is_read() -> None:
    top = csv_bytes(GYEONGGI, [gyeonggi_row("씨유 가점")], "cp949")
    rest = csv_bytes(gyeonggi_row("세븐일레븐 나점"), [], "utf-8")
    found = read(top + rest)
    assert found.encoding == "mixed"
    assert [one.chain for one in found.stores] == [Chain.CU, Chain.SEVEN]


def test_a_name_in_no_encoding_is_left_out_and_counted() -> None:
    good = csv_bytes(GYEONGGI, [gyeonggi_row("씨유 가점")])
    bad = csv_bytes(gyeonggi_row("XX 나점"), []).replace(b"XX", b"\xff\xfe\x81")
    found = read(good + bad)
    assert len(found.stores) == 1
    assert found.left_out == {LeftOut.UNREADABLE: 1}


def test_an_address_in_no_encoding_costs_the_address_only() -> None:
    good = csv_bytes(GYEONGGI, [])
    bad = csv_bytes(gyeonggi_row(소재지도로명주소="XX"), []).replace(b"XX", b"\xff\xff")
    (store,) = read(good + bad).stores
    assert store.address == "예시동 1-1"


def test_semas_gives_the_convenience_stores_among_all_shops() -> None:
    rows = [
        semas_row("MA1", "GS25"),
        semas_row("MA2", "행복슈퍼", 상권업종소분류코드="G20404"),
        semas_row("MA3", "씨유", 상권업종소분류코드="D03A01"),  # as before 2023
        semas_row("MA4", "나들가게"),
        semas_row("MA5", "미니스톱", 시도코드="11"),
    ]
    found = read(csv_bytes(SEMAS, rows, "cp949", "|"))
    assert (found.format, found.rows, found.left_out) == ("semas", 5, {LeftOut.OTHER_KIND: 1})
    assert [(one.source, one.source_id, one.chain) for one in found.stores] == [
        ("semas-41", "MA1", Chain.GS25),
        ("semas-41", "MA3", Chain.CU),
        ("semas-41", "MA4", None),
        ("semas-11", "MA5", Chain.SEVEN),
    ]
    assert found.stores[0].branch == "예시역점"
    assert "data.go.kr" in found.attribution


def test_columns_in_another_order_and_spelling() -> None:
    data = csv_bytes(
        ("BIZPLC_NM", "REFINE_WGS84_LOGT", " refine_wgs84_lat ", "BSN_STATE_NM", "새로운칸"),
        [("CU예시점", "127.1", "37.5", "영업", "?")],
    )
    (store,) = read(data).stores
    assert (store.chain, store.latitude, store.longitude) == (Chain.CU, 37.5, 127.1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"WGS84위도": "", "WGS84경도": ""}, LeftOut.NO_PLACE),
        ({"WGS84위도": "0", "WGS84경도": "0"}, LeftOut.NO_PLACE),
        ({"WGS84위도": "nan"}, LeftOut.NO_PLACE),
        ({"WGS84위도": "1e999"}, LeftOut.NO_PLACE),
        ({"WGS84위도": "북위 37도"}, LeftOut.NO_PLACE),
        ({"WGS84위도": "127.03", "WGS84경도": "37.26"}, LeftOut.OUTSIDE),  # exchanged
        ({"WGS84위도": "48.85", "WGS84경도": "2.35"}, LeftOut.OUTSIDE),
        ({"영업상태명": "폐업"}, LeftOut.CLOSED),
        ({"폐업일자": "20240101"}, LeftOut.CLOSED),
        ({"위생업태명": "슈퍼마켓"}, LeftOut.OTHER_KIND),
        ({"사업장명": " "}, LeftOut.NO_NAME),
    ],
)
def test_a_row_that_is_no_store_is_counted_by_its_reason(
    changes: dict[str, str], reason: LeftOut
) -> None:
    rows = [gyeonggi_row(), gyeonggi_row("씨유 다른점", **changes)]
    found = read(csv_bytes(GYEONGGI, rows))
    assert (len(found.stores), found.left_out) == (1, {reason: 1})


def test_rows_cut_short_and_repeated_are_counted() -> None:
    rows = [gyeonggi_row(), gyeonggi_row()[:5], gyeonggi_row(), [*gyeonggi_row("씨유 나점"), ""]]
    found = read(csv_bytes(GYEONGGI, rows))
    assert found.left_out == {LeftOut.BROKEN: 1, LeftOut.REPEATED: 1}
    assert found.problems == ("line 3: broken row", "line 4: repeated")
    # A row that ends with one delimiter more is whole.
    assert [one.name for one in found.stores] == ["씨유 예시점", "씨유 나점"]


def test_a_licence_keeps_its_number_whatever_else_changes() -> None:
    first = read(csv_bytes(GYEONGGI, [gyeonggi_row(인허가일자="20200226")])).stores[0]
    again = read(
        csv_bytes(GYEONGGI, [gyeonggi_row(인허가일자="2020-02-26", WGS84위도="37.2601")], "cp949")
    ).stores[0]
    other = read(csv_bytes(GYEONGGI, [gyeonggi_row(소재지지번주소="예시동 2-2")])).stores[0]
    assert first.source_id == again.source_id != other.source_id


def test_a_list_of_ones_own() -> None:
    data = csv_bytes(
        ("id", "name", "chain", "lat", "lon"),
        [
            ("1", "우리가게", "emart24", "37.1", "127.1"),
            ("2", "다른가게", "미니스톱", "37.2", "127.2"),
            ("3", "씨유 셋점", "", "37.3", "127.3"),
            ("", "씨유 넷점", "", "37.4", "127.4"),
        ],
    )
    found = read(data, "My Stores 2026.csv")
    assert found.format == "plain"
    assert {one.source for one in found.stores} == {"my-stores-2026"}
    chains = [Chain.EMART24, Chain.SEVEN, Chain.CU, Chain.CU]
    assert [one.chain for one in found.stores] == chains
    assert len({one.source_id for one in found.stores}) == 4


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "Expected the columns of a list of stores"),
        (b"a,b,c\n1,2,3\n", "Received a,b,c"),
        (b"name,latitude\nx,1\n", "plain: name, latitude, longitude"),
        (b"name,latitude,longitude\n", "Expected rows below the header"),
        (b"PK\x03\x04rest", "packed or a spreadsheet"),
        (b"\xd0\xcf\x11\xe0rest", "packed or a spreadsheet"),
        (b"x" * 2_000_000, "Is it a CSV file?"),
        (b'name,latitude,longitude\n"x,1,2\n' + b"y,1,2\n" * 30_000, "not closed"),
    ],
)
def test_a_file_that_is_no_list_ends_in_one_clear_line(data: bytes, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read(data)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(InputError, match="semas, gyeonggi, plain as format"):
        read(csv_bytes(GYEONGGI, [gyeonggi_row()]), format_name="osm")
    with pytest.raises(InputError, match="상가업소번호"):
        read(csv_bytes(GYEONGGI, [gyeonggi_row()]), format_name="semas")


@given(st.binary(max_size=400))
def test_any_bytes_end_in_a_list_or_in_one_line(data: bytes) -> None:
    said = ""
    try:
        found = read(csv_bytes(GYEONGGI, [gyeonggi_row()], "cp949") + data)
        assert len(found.stores) + sum(found.left_out.values()) == found.rows
    except InputError as error:
        said = str(error)
    assert "\n" not in said


def test_the_name_of_a_plain_list_is_its_files() -> None:
    assert source_name("우리 가게.csv") == "우리-가게"
    assert source_name("...") == "stores"


def test_the_real_list_of_suwon() -> None:
    """378 rows in cp949, two of them without coordinates; counted by hand from the names."""
    folder = os.environ.get("PROMOLENS_DATA")
    if not folder or not (Path(folder) / SUWON).is_file():
        pytest.skip("PROMOLENS_DATA names no folder with stores/")
    found = read_store_file(Path(folder) / SUWON)
    assert (found.format, found.encoding, found.rows) == ("gyeonggi", "cp949", 378)
    assert found.left_out == {LeftOut.NO_PLACE: 2}
    unknown = sorted(one.name for one in found.stores if one.chain is None)
    assert unknown == [
        "GS THE FRESH 수원 매탄점",
        "GS슈퍼마켓 수원아트리움점",
        "주식회사 동문지에스",
        "지에스더프레시 수원화서점",
    ]
    # Three are still called Ministop.
    assert sum(one.chain is Chain.SEVEN for one in found.stores) == 112 + 3
    assert all(37.2 < one.latitude < 37.4 and 126.9 < one.longitude < 127.2 for one in found.stores)
