"""Effective prices, checked with a pencil, and the order in which deals are shown."""

from __future__ import annotations

import itertools
from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promolens_catalog.chains import Chain
from promolens_catalog.deals import (
    best_first,
    best_per_100_first,
    deal_of,
    price_per_100,
    round_half_up,
    unit_price,
)
from promolens_catalog.kinds import Kind
from promolens_catalog.offers import MAX_PRICE_KRW, Gift, Offer


def offer(
    kind: Kind, price_krw: int = 3000, chain: Chain = Chain.CU, name: str = "별솔샘", **more: object
) -> Offer:
    days = (date(2026, 2, 1), date(2026, 2, 28))
    return Offer(chain, name, price_krw, kind, *days, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "price_krw", "exact", "won", "pieces"),
    [
        (Kind.ONE_PLUS_ONE, 2500, Fraction(1250), 1250, 2),
        (Kind.ONE_PLUS_ONE, 1501, Fraction(1501, 2), 751, 2),  # 750.5 goes up
        (Kind.TWO_PLUS_ONE, 2500, Fraction(5000, 3), 1667, 3),  # 1666.67
        (Kind.TWO_PLUS_ONE, 2000, Fraction(4000, 3), 1333, 3),  # 1333.33
        (Kind.THREE_PLUS_ONE, 1500, Fraction(1125), 1125, 4),
        (Kind.GIFT, 4500, Fraction(4500), 4500, 1),
        (Kind.DISCOUNT, 1700, Fraction(1700), 1700, 1),
        (Kind.PICK_AND_MIX, 1700, Fraction(1700), 1700, 1),
    ],
)
def test_effective_unit_price(
    kind: Kind, price_krw: int, exact: Fraction, won: int, pieces: int
) -> None:
    deal = deal_of(offer(kind, price_krw))
    assert (deal.unit_price, deal.unit_price_krw, deal.pieces) == (exact, won, pieces)


def test_a_gift_is_noted_and_not_divided_in() -> None:
    deal = deal_of(offer(Kind.GIFT, 4500, gift=Gift("컵", 900)))
    assert (deal.unit_price_krw, deal.gift_value_krw) == (4500, 900)
    assert deal_of(offer(Kind.GIFT, 4500, gift=Gift("컵"))).gift_value_krw is None


def test_what_is_saved_is_a_part_of_the_ordinary_price() -> None:
    assert deal_of(offer(Kind.ONE_PLUS_ONE)).saving == Fraction(1, 2)
    assert deal_of(offer(Kind.DISCOUNT, 1700, regular_price_krw=2000)).saving == Fraction(3, 20)
    # A "regular price" below the price is no saving, and never a negative one.
    assert deal_of(offer(Kind.DISCOUNT, 1700, regular_price_krw=1500)).saving == 0


@pytest.mark.parametrize(
    ("price", "amount", "unit", "expected"),
    [
        (Fraction(1250), 500, "ml", Fraction(250)),
        (Fraction(5000, 3), 40, "g", Fraction(12500, 3)),
        (Fraction(900), 1.5, "g", Fraction(60000)),
        (Fraction(900), 0.1, "g", Fraction(900000)),  # exactly a tenth, not its binary neighbour
        (Fraction(900), 10, "count", None),
        (Fraction(900), None, None, None),
        (Fraction(900), 0, "ml", None),
    ],
)
def test_price_per_100(
    price: Fraction, amount: float | None, unit: str | None, expected: Fraction | None
) -> None:
    assert price_per_100(price, amount, unit) == expected


def test_the_best_deal_comes_first_whatever_the_order_before() -> None:
    """2+1 of 2,700 is 1,800 a piece, as much as 1,800 with a gift: the worthier gift wins."""
    wanted = [
        offer(Kind.ONE_PLUS_ONE, 3000, Chain.EMART24),  # 1500
        offer(Kind.GIFT, 1800, Chain.SEVEN, gift=Gift("컵", 500)),
        offer(Kind.DISCOUNT, 1800, Chain.GS25),
        offer(Kind.TWO_PLUS_ONE, 2700, Chain.CU),  # 1800, but three must be bought
        offer(Kind.TWO_PLUS_ONE, 2700, Chain.GS25),
    ]
    for shuffled in itertools.permutations(wanted):
        assert sorted(shuffled, key=best_first) == wanted


def test_what_is_certainly_of_the_product_goes_before_a_guess_of_the_same_price() -> None:
    dearer = (offer(Kind.DISCOUNT, 1801, Chain.CU), False)
    sure = (offer(Kind.DISCOUNT, 1800, Chain.SEVEN), False)
    guess = (offer(Kind.DISCOUNT, 1800, Chain.CU), True)
    other_guess = (offer(Kind.DISCOUNT, 1800, Chain.GS25), True)
    wanted = [sure, guess, other_guess, dearer]
    for shuffled in itertools.permutations(wanted):
        assert sorted(shuffled, key=lambda one: best_first(one[0], guessed=one[1])) == wanted


def test_unknown_sizes_come_last_by_price_per_100() -> None:
    small, large, unknown = (
        offer(Kind.DISCOUNT, p, name=n) for p, n in ((9, "s"), (5, "l"), (1, "u"))
    )
    sizes = {"s": (100.0, "ml"), "l": (50.0, "g")}  # 9 and 10 won for 100
    key = best_per_100_first(lambda one: sizes.get(one.name))
    assert sorted([unknown, large, small], key=key) == [small, large, unknown]


@given(st.sampled_from(Kind), st.integers(1, MAX_PRICE_KRW))
def test_no_deal_costs_more_than_its_price_nor_less_than_half(kind: Kind, price_krw: int) -> None:
    assert Fraction(price_krw, 2) <= unit_price(kind, price_krw) <= price_krw


@given(st.fractions(min_value=0))
def test_rounding_is_to_the_nearest_and_halves_go_up(value: Fraction) -> None:
    assert -Fraction(1, 2) < round_half_up(value) - value <= Fraction(1, 2)
