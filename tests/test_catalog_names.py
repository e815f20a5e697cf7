"""Names in one spelling, and the maker's prefix; all products are invented."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promolens_catalog.names import bigrams, normalise, split_prefix, without_shop_marks

NAMES = st.text(max_size=40)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("달빛)보리 콜라500ＭＬ", "달빛)보리콜라500ml"),
        ("ＨＫ）새벽차", "hk)새벽차"),
        ("달빛)\u200b보리\x07콜라\u00a0", "달빛)보리콜라"),
        ("구름\u1112\u1161\u11ab잔", "구름한잔"),
        ("㎖ 250", "ml250"),
        ("\ud800달빛", "달빛"),
        (" \t\n", ""),
        ("", ""),
    ],
)
def test_one_spelling_for_what_shops_write_differently(name: str, expected: str) -> None:
    assert normalise(name) == expected


@given(NAMES)
def test_normalising_twice_changes_nothing(name: str) -> None:
    once = normalise(name)
    assert normalise(once) == once


@given(NAMES)
def test_nothing_invisible_is_left(name: str) -> None:
    for letter in normalise(name):
        assert not letter.isspace()
        assert unicodedata.category(letter)[0] != "C"


@pytest.mark.parametrize(
    ("name", "prefix", "rest"),
    [
        ("달빛)보리콜라355ml", "달빛", "보리콜라355ml"),
        ("보리콜라(오리지널)", "", "보리콜라(오리지널)"),
        ("보리콜라355ml", "", "보리콜라355ml"),
        ("달빛) 보리콜라(제로)", "달빛", "보리콜라(제로)"),
        ("일이삼사오육칠팔)보리", "일이삼사오육칠팔", "보리"),
        ("일이삼사오육칠팔구)보리", "", "일이삼사오육칠팔구)보리"),
        (")보리", "", ")보리"),
        ("도)", "도", ""),
        ("", "", ""),
    ],
)
def test_the_maker_stands_before_the_first_parenthesis(name: str, prefix: str, rest: str) -> None:
    assert split_prefix(name) == (prefix, rest)


@given(NAMES)
def test_splitting_loses_only_the_parenthesis_and_blanks_at_ends(name: str) -> None:
    prefix, rest = split_prefix(name)
    if prefix:
        whole = "".join(f"{prefix}){rest}".split())
        assert whole == "".join(name.split())
    else:
        assert rest in (name, name.partition(")")[2].strip())


@given(st.text("가나다", min_size=1, max_size=8), st.text("라마바(1ml", max_size=20))
def test_a_prefix_that_was_put_there_is_found(prefix: str, rest: str) -> None:
    assert split_prefix(f"{prefix}){rest}") == (prefix, rest)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("달빛)샴푸680ml_h", "달빛)샴푸680ml"),
        ("달빛)보리과자90g(16)", "달빛)보리과자90g"),
        ("달빛)보리과자90g(s)new", "달빛)보리과자90g"),
        ("달빛)젤리30g[d2]", "달빛)젤리30g"),
        ("도)한낮도시락1편", "도)한낮도시락"),
        ("달빛)샴푸(리필)_", "달빛)샴푸(리필)"),
        # Sizes of clothes and words in parentheses are the product's own.
        ("달빛)팬티4p(l)", "달빛)팬티4p(l)"),
        ("달빛)보리(오리지널)", "달빛)보리(오리지널)"),
        ("_h", "_h"),
        ("", ""),
    ],
)
def test_marks_that_shops_add_for_themselves_go(name: str, expected: str) -> None:
    assert without_shop_marks(name) == expected


@given(NAMES.map(normalise))
def test_taking_marks_away_leaves_a_beginning_that_is_not_empty(name: str) -> None:
    left = without_shop_marks(name)
    assert name.startswith(left)
    assert bool(left) == bool(name)


@given(NAMES)
def test_bigrams_overlap_and_hold_every_character(text: str) -> None:
    pairs = bigrams(text)
    assert len(pairs) == (len(text) - 1 if len(text) > 1 else len(text))
    if len(text) > 1:
        assert pairs[0] + "".join(pair[1] for pair in pairs[1:]) == text
