"""Sizes in product names; all products are invented."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promolens_catalog.sizes import Size, Unit, parse_size, split_size

UNITS: st.SearchStrategy[Unit] = st.sampled_from(["ml", "g"])
NOTHING = "nothing"


def said(name: str) -> str:
    size = parse_size(name)
    return str(size) if size else NOTHING


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # the ways in which chains write one bottle
        ("달빛)보리콜라500ml", "500ml"),
        ("달빛)보리콜라P500ml", "500ml"),
        ("달빛)보리콜라500ML", "500ml"),
        ("달빛)보리콜라펫500ml", "500ml"),
        ("달빛)보리콜라PET500", "500ml"),
        ("달빛)보리콜라500MLPET", "500ml"),
        ("달빛)보리콜라P500m", "500ml"),
        ("달빛)보리콜라캔355", "355ml"),
        ("구름밀크티250캔", "250ml"),
        ("달빛)보리콜라1.5L", "1500ml"),
        ("달빛)보리콜라５００ｍｌ캔", "500ml"),
        ("달빛)보리콜라 500 ml", "500ml"),
        # weights
        ("달빛)감자칩40G", "40g"),
        ("달빛)반찬가루2.0kg", "2000g"),
        ("달빛)낫또45.5g", "45.5g"),
        ("달빛)세제2.2.L(겸용)", "2200ml"),
        # packs: the multiplier counts, pieces inside a stated weight do not
        ("달빛)즉석밥210g*3입", "630g"),
        ("달빛)즉석밥210G(3입)", "630g"),
        ("달빛)두유190ml24팩", "4560ml"),
        ("달빛)생수500mlx20", "10000ml"),
        ("달빛)카스텔라6입138g", "138g"),
        ("달빛)휴지180매X3입", "540입"),
        ("달빛)휴지150*2R", "2입"),
        # counts
        ("달빛)물티슈100매", "100입"),
        ("달빛)콤부차10T", "10입"),
        ("달빛)패드슈퍼롱16P", "16입"),
        ("달빛)라면봉지*4입", "4입"),
        ("달빛)마스크KF94흰색대형3P", "3입"),
        # numbers that belong to a name
        ("달빛)두유99.9 190ml", "190ml"),
        ("달빛)17차P500ml", "500ml"),
        ("달빛)아르기닌6200mg", NOTHING),
        ("달빛)1963봉지면", NOTHING),
        ("달빛)18cm핫도그", NOTHING),
        ("달빛)비오는날29", NOTHING),
        ("달빛)감자칩1500(16)", NOTHING),
        ("달빛)순수30%빙수바", NOTHING),
        # a bare number that may be cut off is no size
        ("달빛)벤티아메리카노550", NOTHING),
        ("달빛)아이스파인애플1", NOTHING),
        ("달빛)보리콜라0ml", NOTHING),
        ("달빛)보리콜라9999999g", NOTHING),
        ("", NOTHING),
    ],
)
def test_sizes_as_chains_write_them(name: str, expected: str) -> None:
    assert said(name) == expected


def test_amounts_are_exact() -> None:
    assert parse_size("달빛)낫또62.5g*3입") == Size(Fraction(375, 2), "g")


@given(st.integers(1, 999_999), UNITS)
def test_what_is_written_is_read_back(thousandths: int, unit: Unit) -> None:
    size = Size(Fraction(thousandths, 1000), unit)
    assert parse_size(str(size)) == size
    assert parse_size(f"달빛)보리{size}") == size
    assert parse_size(f"달빛)보리{size}".upper()) == size


@given(st.integers(1, 9_999))
def test_counts_are_read_back(pieces: int) -> None:
    size = Size(Fraction(pieces), "count")
    assert parse_size(f"달빛)과자{size}") == size


@given(st.text("가나다)(", max_size=12), st.integers(1, 9_999), UNITS)
def test_the_rest_of_the_name_is_what_stood_around_the_size(
    words: str, amount: int, unit: Unit
) -> None:
    assert split_size(f"{words}{amount}{unit}") == (words, Size(Fraction(amount), unit))


@given(st.text(max_size=60))
def test_no_text_breaks_it_and_no_size_is_odd(text: str) -> None:
    rest, size = split_size(text)
    assert "\n" not in rest
    if size is not None:
        assert 0 < size.amount <= 1_000_000
        assert size.unit in ("ml", "g", "count")


@pytest.mark.parametrize("text", ["1" * 50_000, "1 " * 25_000, "*1입" * 15_000, "캔1" * 20_000])
def test_endless_texts_take_no_endless_time(text: str) -> None:
    parse_size(text)
