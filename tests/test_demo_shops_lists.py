"""What the stand-in shops sell: decided by seed, chain and month, with the real lists' habits."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable

import pytest

from promolens_catalog.barcodes import has_check_digit
from promolens_catalog.chains import Chain
from promolens_catalog.kinds import Kind
from promolens_demo.catalogue import make_catalogue
from promolens_demo.shops.assortment import MIN_ROWS, SHOPS, Assortment, list_of
from promolens_demo.shops.goods import N_FRESH, fresh_food
from promolens_demo.shops.rows import Row
from promolens_demo.shops.spelling import SPELLINGS
from promolens_runtime.errors import InputError

MONTH = "2026-11"
LARGE = Assortment(2000)
SIZES = (MIN_ROWS, 60, 2000)


def rows_of(chain: Chain, n_rows: int = 2000, month: str = MONTH) -> tuple[Row, ...]:
    return list_of(Assortment(n_rows), chain, month)


def share(rows: Iterable[Row], holds: Callable[[Row], bool]) -> float:
    judged = [holds(row) for row in rows]
    return sum(judged) / len(judged)


@pytest.mark.parametrize("n_rows", SIZES)
@pytest.mark.parametrize("chain", SHOPS)
def test_a_list_has_as_many_different_offers_as_asked_for(chain: Chain, n_rows: int) -> None:
    offers = [row.offer("http://shop", MONTH) for row in rows_of(chain, n_rows)]
    assert len(offers) == len(set(offers)) == n_rows
    assert {offer.chain for offer in offers} == {chain}


def test_another_process_makes_the_same_list() -> None:
    program = (
        "from promolens_demo.shops.assortment import Assortment, list_of\n"
        "from promolens_catalog.chains import Chain\n"
        "for chain in Chain:\n"
        "    if chain != Chain.MINISTOP:\n"
        "        print(hash_of := [r.offer('', '2026-11') for r in\n"
        "              list_of(Assortment(30), chain, '2026-11')])\n"
    )
    texts = [
        subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]
    assert texts[0] == texts[1]
    assert texts[0].count("Offer(") == 30 * len(SHOPS)


@pytest.mark.parametrize("chain", SHOPS)
def test_another_month_and_another_seed_are_other_lists(chain: Chain) -> None:
    here = {row.goods.barcode for row in rows_of(chain, 120)}
    next_month = {row.goods.barcode for row in rows_of(chain, 120, "2026-12")}
    other_seed = {row.goods.barcode for row in list_of(Assortment(120, seed=7), chain, MONTH)}
    for other in (next_month, other_seed):
        assert 0 < len(here & other) < 0.9 * len(here)


def test_chains_sell_the_catalogue_with_its_barcodes() -> None:
    catalogue = {product.barcode for product in make_catalogue(2328)}
    fresh = {fresh_food(number).barcode for number in range(N_FRESH)}
    assert catalogue.isdisjoint(fresh)
    for chain in SHOPS:
        sold = {row.goods.barcode for row in rows_of(chain, 120)}
        assert sold <= catalogue | (fresh if chain is Chain.CU else set())


def test_each_product_of_the_default_catalogue_is_on_offer_somewhere_this_year() -> None:
    sold = {
        row.goods.barcode
        for month in range(1, 13)
        for chain in SHOPS
        for row in rows_of(chain, 120, f"2026-{month:02d}")
    }
    assert {product.barcode for product in make_catalogue()} <= sold


def test_prices_and_kinds_agree_between_chains_as_measured() -> None:
    """97.3 % and 93.6 % of the pairs of chains that sell one product."""
    prices, kinds = [], []
    for first, second in itertools.combinations(SHOPS[:4], 2):
        others = {row.goods.barcode: row for row in rows_of(second)}
        for row in rows_of(first):
            other = others.get(row.goods.barcode)
            if other is not None:
                prices.append(row.price_krw == other.price_krw)
                kinds.append(row.kind == other.kind)
    assert len(prices) > 5000
    assert 0.96 < sum(prices) / len(prices) < 0.985
    assert 0.92 < sum(kinds) / len(kinds) < 0.955


def test_names_rarely_agree_between_chains() -> None:
    """7.3 % of the pairs: an exact-string join misses nearly everything, here as there."""
    equal = []
    for first, second in itertools.combinations(SHOPS[:4], 2):
        others = {row.goods.barcode: row.name for row in rows_of(second)}
        equal += [
            row.name == others[row.goods.barcode]
            for row in rows_of(first)
            if row.goods.barcode in others
        ]
    assert 0.02 < sum(equal) / len(equal) < 0.15


@pytest.mark.parametrize("chain", SHOPS)
def test_names_follow_the_chains_convention(chain: Chain) -> None:
    rows = rows_of(chain)
    longest = max(len(row.name) for row in rows)
    assert longest <= SPELLINGS[chain].longest
    assert share(rows, lambda row: ")" in row.name[:9]) > 0.93
    assert share(rows, lambda row: " " in row.name) == 0
    assert all(row.name.isprintable() and row.name for row in rows)


@pytest.mark.parametrize(
    ("chain", "spelled", "never"),
    [(Chain.GS25, "ML", "ml"), (Chain.EMART24, "ml", "ML"), (Chain.SEVEN, "ml", "ML")],
)
def test_sizes_are_spelled_as_the_chain_spells_them(chain: Chain, spelled: str, never: str) -> None:
    names = [row.name for row in rows_of(chain)]
    assert any(spelled in name for name in names)
    assert not any(never in name for name in names)


def test_cu_cuts_names_so_that_different_products_are_spelled_alike() -> None:
    for n_rows in SIZES:
        names = Counter(row.name for row in rows_of(Chain.CU, n_rows))
        assert max(names.values()) > 1


def test_cu_sells_food_that_only_its_prefix_tells_apart() -> None:
    rows = {row.name.partition(")")[0]: row for row in rows_of(Chain.CU, MIN_ROWS)}
    small, large = rows["삼"], rows["빅삼"]
    assert small.goods.flavour + small.goods.kind == large.goods.flavour + large.goods.kind
    assert small.goods.barcode != large.goods.barcode


@pytest.mark.parametrize("n_rows", SIZES)
def test_every_odd_row_is_on_even_the_shortest_list(n_rows: int) -> None:
    cu, gs25, seven, emart24, cspace = (rows_of(chain, n_rows) for chain in SHOPS)
    assert any(row.image.endswith("_1.png") for row in cu)
    assert any(not row.badge_shown for row in cu)
    assert any(row.image == "" for row in gs25)
    assert any(not row.file_id_shown for row in gs25)
    assert any(row.gift for row in gs25)
    assert any(row.name.endswith("편") for row in gs25)
    assert any(row.gift for row in seven)
    assert any(row.kind is Kind.DISCOUNT and row.regular_price_krw for row in seven)
    assert {row.kind for row in emart24} >= {
        Kind.THREE_PLUS_ONE,
        Kind.DISCOUNT,
        Kind.PICK_AND_MIX,
    }
    assert any((row.barcode or "").startswith("1500000") for row in emart24)
    assert any(row.printed_twice for row in emart24)
    assert all(row.barcode is None for row in cspace)
    assert any(row.image == "" for row in cspace)


def test_half_of_seven_elevens_rows_have_no_picture_and_so_no_barcode() -> None:
    rows = rows_of(Chain.SEVEN)
    assert share(rows, lambda row: row.image == "") == 0.5
    assert all((row.barcode is None) == (row.image == "") for row in rows)
    assert len({row.site_id for row in rows}) == len(rows)


def test_codes_have_right_check_digits_but_for_a_few_of_cus() -> None:
    for chain in SHOPS:
        rows = rows_of(chain)
        wrong = [row for row in rows if row.barcode and not has_check_digit(row.barcode)]
        assert len(wrong) == (6 if chain is Chain.CU else 0)
        assert all(row.offer("", MONTH).barcode is None for row in wrong)


def test_a_reduced_price_is_below_the_regular_one() -> None:
    for chain in (Chain.SEVEN, Chain.EMART24, Chain.CSPACE):
        for row in rows_of(chain):
            if row.kind is Kind.DISCOUNT:
                assert row.regular_price_krw is not None
                assert 0 < row.price_krw < row.regular_price_krw
                assert row.price_krw % 10 == 0


@pytest.mark.parametrize("n_rows", [0, MIN_ROWS - 1, 2329, 10**9])
def test_a_number_of_rows_out_of_range_is_refused(n_rows: int) -> None:
    with pytest.raises(InputError, match="12 to 2328 products a chain"):
        Assortment(n_rows)


def test_a_chain_without_a_stand_in_is_refused() -> None:
    with pytest.raises(InputError, match="no stand-in"):
        list_of(LARGE, Chain.MINISTOP, MONTH)


@pytest.mark.parametrize("month", ["2026-13", "2026-1", "", "november"])
def test_a_month_that_is_none_is_refused(month: str) -> None:
    with pytest.raises(InputError, match="Expected a month"):
        list_of(LARGE, Chain.CU, month)
