"""The invented catalogue: names, families, barcodes."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promolens_demo.barcodes import (
    IN_STORE_PREFIXES,
    ean13_check_digit,
    ean13_modules,
    in_store_ean13,
    is_ean13,
)
from promolens_demo.catalogue import make_catalogue, max_products
from promolens_demo.motifs import MOTIFS
from promolens_demo.names import FLAVOURS
from promolens_runtime.errors import InputError


def test_the_check_digit_is_that_of_the_gs1_example():
    assert ean13_check_digit("629104150021") == "3"


@given(st.integers(0, 10**10 - 1))
def test_every_item_number_gives_its_own_valid_in_store_code(number):
    code = in_store_ean13(number)
    assert is_ean13(code)
    assert code[:2] in IN_STORE_PREFIXES
    assert int(code[2:12]) == number


@given(st.integers(0, 10**9), st.integers(0, 12), st.integers(1, 9))
def test_one_wrong_digit_is_noticed(number, place, step):
    code = in_store_ean13(number)
    wrong = str((int(code[place]) + step) % 10)
    assert not is_ean13(code[:place] + wrong + code[place + 1 :])


def test_the_symbol_has_95_modules_and_its_three_guards():
    modules = ean13_modules("4006381333931")
    assert len(modules) == 95
    assert (modules[:3], modules[45:50], modules[-3:]) == ("101", "01010", "101")
    # First and last digit as printed: 0 with even or odd parity, 1 on the right.
    assert modules[3:10] == "0001101"
    assert modules[85:92] == "1100110"


def test_the_default_catalogue_has_24_products_in_look_alike_families_of_every_package():
    products = make_catalogue()
    assert len(products) == 24
    assert set(Counter(p.family.slug for p in products).values()) == {4}
    packages = {p.family.kind.package for p in products}
    assert packages >= {"can", "bottle", "bag", "box", "cup"}
    for family in {p.family for p in products}:
        members = [p for p in products if p.family == family]
        assert len({p.flavour for p in members}) >= 2
        assert len({p.size for p in members}) == 2


@pytest.mark.parametrize("n", [3, 4, 5, 23, 25, 26, 27, 500, 2000])
def test_a_catalogue_of_any_size_has_unique_products_and_families_of_three_or_more(n):
    products = make_catalogue(n)
    assert len(products) == n
    for names in (
        [p.item_id for p in products],
        [p.barcode for p in products],
        [p.name_ko for p in products],
        [p.name_en for p in products],
    ):
        assert len(set(names)) == n
    assert min(Counter(p.family.slug for p in products).values()) >= 3


def test_a_longer_catalogue_begins_with_the_default_one():
    assert make_catalogue(100)[:24] == make_catalogue()


def test_labels_are_plain_ascii_slugs():
    assert all(
        p.item_id.isascii() and p.item_id.replace("-", "").isalnum() for p in make_catalogue(2000)
    )


@pytest.mark.parametrize("n", [-1, 0, 2, max_products() + 1])
def test_an_impossible_number_of_products_is_refused_in_one_line(n):
    with pytest.raises(InputError, match=r"^Expected 3 to \d+ products\. Received") as caught:
        make_catalogue(n)
    assert "\n" not in str(caught.value)


def test_every_flavour_has_a_drawing():
    assert set(FLAVOURS) <= set(MOTIFS)
