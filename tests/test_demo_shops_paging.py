"""The cutting of lists into pages and the reading of modes, for any list and any text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promolens_catalog.chains import Chain
from promolens_demo.shops.assortment import Assortment, list_of
from promolens_demo.shops.modes import MODES, Modes, modes_of, parse_modes
from promolens_demo.shops.rows import Row
from promolens_demo.shops.seven import bounds
from promolens_demo.shops.view import Bounds, fixed, pages_of, view
from promolens_runtime.errors import InputError

ROWS = list_of(Assortment(120), Chain.SEVEN, "2026-11")
NONE = Modes()
COUNTS = st.integers(0, len(ROWS))
SIZES = st.integers(1, 60)
RULES = st.builds(fixed, SIZES) | st.builds(bounds, SIZES)


def read_all(rows: tuple[Row, ...], rule: Bounds, modes: Modes = NONE) -> list[Row]:
    pages = pages_of(len(rows), rule)
    return [row for page in range(1, pages + 1) for row in view(rows, page, rule, modes).rows]


@given(COUNTS, RULES)
def test_all_pages_together_are_the_list_once(n_rows: int, rule: Bounds) -> None:
    rows = ROWS[:n_rows]
    assert read_all(rows, rule) == list(rows)
    beyond = view(rows, pages_of(n_rows, rule) + 1, rule, NONE)
    assert (beyond.rows, beyond.total) == ((), n_rows)


@given(st.integers(20, len(ROWS)), RULES)
def test_a_repeated_page_costs_other_rows(n_rows: int, rule: Bounds) -> None:
    rows = ROWS[:n_rows]
    shown = read_all(rows, rule, Modes({"repeated": 0}))
    if pages_of(n_rows, rule) == 1:
        assert shown == list(rows)
    else:
        assert len(set(shown)) < n_rows


@given(st.integers(1, len(ROWS)), RULES, st.integers(1, 300))
def test_endless_lists_are_full_on_every_page(n_rows: int, rule: Bounds, page: int) -> None:
    shown = view(ROWS[:n_rows], page, rule, Modes({"endless": 0}))
    start, stop = rule(page)
    assert len(shown.rows) == stop - start
    assert shown.pages > page
    assert shown.total % 10 == 7


def test_seven_elevens_rule_by_hand() -> None:
    """13, then 13 to 23, then 23 to 33: offset = 13 + (page - 2) * size."""
    assert [bounds(10)(page) for page in (1, 2, 3)] == [(0, 13), (13, 23), (23, 33)]
    assert bounds(100)(1) == (0, 13)
    assert pages_of(1067, bounds(100)) == 12  # 13 + 10 * 100 + 54


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from([*MODES, ":", "@", ",", "1", "\n"])).map("".join)
)
def test_any_text_is_modes_or_one_line_of_refusal(text: str) -> None:
    for chain in (Chain.CU, Chain.GS25):
        known = {mode.name for mode in modes_of(chain)}
        try:
            modes = parse_modes(text, chain)
        except InputError as error:
            refusal = str(error)
        else:
            assert set(modes) <= known
            continue
        assert refusal.startswith("Expected ")
        assert "\n" not in refusal


@given(
    st.dictionaries(
        st.sampled_from([mode.name for mode in MODES.values() if mode.number is not None]),
        st.tuples(st.integers(0, 9999), st.integers(0, 99)),
    )
)
def test_modes_are_read_as_they_are_written(wanted: dict[str, tuple[int, int]]) -> None:
    text = ",".join(f"{name}:{number}@{after}" for name, (number, after) in wanted.items())
    modes = parse_modes(text, Chain.GS25)
    assert {name: modes.number(name) for name in modes} == {n: x for n, (x, _) in wanted.items()}
    for answered in (0, 50, 99):
        begun = {name for name, (_, after) in wanted.items() if after <= answered}
        assert set(modes.begun(answered)) == begun


def test_modes_of_a_request_are_added_to_those_of_the_shop() -> None:
    both = parse_modes("slow:2,drop@3", Chain.CU).joined(parse_modes("slow:5@1", Chain.CU))
    assert dict(both.numbers) == {"slow": 5, "drop": 0}
    assert dict(both.after) == {"drop": 3, "slow": 1}


@pytest.mark.parametrize("mode", ["half", "fewer"])
def test_lists_lose_rows_and_never_gain_any(mode: str) -> None:
    shown = read_all(ROWS, fixed(20), Modes({mode: 0}))
    assert 0 < len(shown) < len(ROWS)
    assert set(shown) < set(ROWS)
