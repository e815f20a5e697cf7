"""Items: one thing however many chains sell it, found by any key, called by its best name."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_support import HOUR, NOW, make_offer
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database
from promolens_catalog.items import (
    BARCODE,
    CLASS,
    Alias,
    ItemKey,
    Sighting,
    Wanted,
    add_key,
    best_name,
    by_key,
    count,
    find,
    find_or_make,
    get,
    key_of,
    note_names,
    wanted_by,
)
from promolens_runtime.errors import InputError

COLA = ItemKey(BARCODE, "8801056150013")


def make(database: Database, *wanted: Wanted) -> list[int]:
    with database.write() as connection:
        found = find_or_make(connection, wanted, NOW)
    return [found[wish.key] for wish in wanted]


def test_an_item_is_made_once_and_found_again(database: Database) -> None:
    keys = [ItemKey(BARCODE, f"{number:013d}") for number in range(1200)]  # several statements
    wanted = [Wanted(key, f"달빛)보리차{key.value}번500ml") for key in keys]
    first = make(database, *wanted)
    assert len(set(first)) == 1200
    assert make(database, *reversed(wanted)) == first[::-1]
    with database.read() as connection:
        assert count(connection) == 1200
        assert get(connection, [first[7]])[first[7]].keys == (keys[7],)


def test_a_name_tells_maker_and_size(database: Database) -> None:
    (item_id,) = make(database, Wanted(COLA, "달빛)보리차펫1.5L", "음료"))
    item = by_key(database, BARCODE, "8 801056-150013")
    assert item is not None
    assert (item.id, item.maker, item.category) == (item_id, "달빛", "음료")
    assert (item.size_amount, item.size_unit) == (1500.0, "ml")
    assert item.barcodes == (COLA.value,)


def test_two_wishes_for_one_new_key_make_one_item(database: Database) -> None:
    one, two = make(database, Wanted(COLA, "먼저"), Wanted(COLA, "나중"))
    assert one == two
    item = by_key(database, BARCODE, COLA.value)
    assert item is not None
    assert item.name == "먼저"


def test_rows_without_a_barcode_are_their_chains_own_items(database: Database) -> None:
    """The same name or number at two chains says nothing about the thing."""
    offers = [
        make_offer(1, barcode=None, chain=Chain.SEVEN),
        make_offer(1, barcode=None, chain=Chain.CU),
        make_offer(1, barcode=None, site_id=None, chain=Chain.CU),
        make_offer(1),
        make_offer(1, chain=Chain.SEVEN),
    ]
    assert [str(key_of(offer).value) for offer in offers[:3]] == [
        "seven:site:17001",
        "cu:site:17001",
        f"cu:name:{offers[2].name}",
    ]
    ids = make(database, *(wanted_by(offer) for offer in offers))
    assert len(set(ids)) == 4
    assert ids[3] == ids[4]  # by barcode


def test_a_key_never_moves_to_another_item(database: Database) -> None:
    one, two = make(database, Wanted(COLA, "하나"), Wanted(ItemKey(CLASS, "soda-lemon"), "둘"))
    with database.write() as connection:
        add_key(connection, one, ItemKey(CLASS, "byeol-soda"), "import")
        add_key(connection, one, ItemKey(CLASS, "byeol-soda"), "import")
    with pytest.raises(InputError, match="no other item has"), database.write() as connection:
        add_key(connection, two, COLA, "import")
    with pytest.raises(InputError, match="1 to 300 characters"), database.write() as connection:
        add_key(connection, two, ItemKey(CLASS, "x" * 301), "import")
    with database.read() as connection:
        assert find(connection, [COLA, ItemKey(CLASS, "byeol-soda"), ItemKey(CLASS, "?")]) == {
            COLA: one,
            ItemKey(CLASS, "byeol-soda"): one,
        }


def test_what_is_no_key_finds_nothing(database: Database) -> None:
    for value in ("8801056150014", "", "x" * 400, "\0", "' OR 1=1 --"):
        assert by_key(database, BARCODE, value) is None
        assert by_key(database, CLASS, value) is None


def test_names_are_kept_by_chain_with_their_time(database: Database) -> None:
    (item_id,) = make(database, Wanted(COLA, "보리차"))
    week = timedelta(days=7)
    for chain, name, seen in [
        (Chain.CU, "보리차", NOW),
        (Chain.CU, "보리차", NOW + week),
        (Chain.CU, "보리차", NOW - week),  # an older list, imported later
        (Chain.GS25, "달빛)보리차500ML", NOW),
    ]:
        with database.write() as connection:
            note_names(connection, [Sighting(item_id, chain, name)], seen)
    with database.read() as connection:
        item = get(connection, [item_id])[item_id]
    assert item.aliases == (
        Alias(Chain.CU, "보리차", NOW - week, NOW + week),
        Alias(Chain.GS25, "달빛)보리차500ML", NOW, NOW),
    )


def test_an_item_takes_the_best_of_its_names(database: Database) -> None:
    (item_id,) = make(database, Wanted(COLA, "보리차"))
    with database.write() as connection:
        sighting = Sighting(item_id, Chain.CU, "달빛)보리차500ml")
        assert note_names(connection, [sighting, sighting], NOW) == {item_id}
        assert note_names(connection, [sighting], NOW + HOUR) == set()
        assert note_names(connection, [], NOW) == set()
    item = by_key(database, BARCODE, COLA.value)
    assert item is not None
    assert (item.name, item.maker, item.size_amount) == ("달빛)보리차500ml", "달빛", 500.0)


@pytest.mark.parametrize(
    ("names", "best"),
    [
        (["달빛)콘칩", "콘칩150g"], "콘칩150g"),  # a size says more than a maker
        (["달빛)보리차P500ml", "보리차500ml"], "달빛)보리차P500ml"),
        (["보리차나", "보리차가"], "보리차가"),
    ],
)
def test_the_best_name_says_most(names: list[str], best: str) -> None:
    assert best_name(names) == best_name(reversed(names)) == best


@given(st.lists(st.text(min_size=1, max_size=30), min_size=1))
def test_the_best_name_is_one_of_them_in_any_order(names: list[str]) -> None:
    assert best_name(names) in names
    assert best_name(names) == best_name(sorted(names))
