"""Which chain sells what in which promotion: decided by seed, chain and month alone.

Shares are those of the four-chain list of 2026-02: of two chains that sell one product, about 97 %
ask the same price and 94 % give the same promotion.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from promolens_catalog.calendar import first_day
from promolens_catalog.chains import Chain
from promolens_catalog.kinds import Kind
from promolens_demo.catalogue import DEFAULT_PRODUCTS, make_catalogue, max_products
from promolens_demo.shops.chance import chosen, draws
from promolens_demo.shops.goods import N_FRESH, Goods, fresh_food, shelf
from promolens_demo.shops.image_paths import image_path
from promolens_demo.shops.oddities import ODDITIES, with_equal_names, with_twins
from promolens_demo.shops.rows import Row
from promolens_demo.shops.sections import section_of
from promolens_demo.shops.spelling import spell, spell_fully
from promolens_runtime.errors import InputError

SHOPS = (Chain.CU, Chain.GS25, Chain.SEVEN, Chain.EMART24, Chain.CSPACE)
MIN_ROWS = 12
DEFAULT_ROWS = 120
_ONE_PLUS_ONE = 0.42
_OTHER_KIND = 0.015
_OTHER_PRICE = 0.007
_NEW_PRICE_THIS_MONTH = 0.03
# What each chain's choice shares with the others'; the rest is its own taste.
_COMMON_TASTE = 0.45


@dataclass(frozen=True)
class Assortment:
    """What decides every list.

    Attributes:
        n_rows: promotions of each chain, `MIN_ROWS` to the size of the invented catalogue.
        seed: of every choice.

    Raises:
        InputError: `n_rows` is out of range.
    """

    n_rows: int = DEFAULT_ROWS
    seed: int = 2026

    def __post_init__(self) -> None:
        if not MIN_ROWS <= self.n_rows <= max_products():
            raise InputError(
                f"Expected {MIN_ROWS} to {max_products()} products a chain. Received "
                f"{self.n_rows}. Choose another number with --products."
            )


def _taste(assortment: Assortment, chain: Chain, month: str, goods: Goods) -> float:
    common = draws(assortment.seed, "taste", month, goods.barcode)[0]
    own = draws(assortment.seed, "own-taste", chain, month, goods.barcode)[0]
    # The catalogue's own 24 have demo pictures and a recogniser: they are sold more often.
    favour = 0.1 if goods.barcode in _favourites() else 0.0
    return _COMMON_TASTE * common + (1 - _COMMON_TASTE) * own - favour


@lru_cache(maxsize=1)
def _favourites() -> frozenset[str]:
    return frozenset(product.barcode for product in make_catalogue(DEFAULT_PRODUCTS))


def _goods(assortment: Assortment, chain: Chain, month: str) -> list[Goods]:
    n_fresh = min(N_FRESH, max(2, assortment.n_rows // 50)) if chain is Chain.CU else 0
    # Numbers in a row: the two rice triangles that only their prefix tells apart come first.
    fresh = [fresh_food(number) for number in range(n_fresh)]
    rest = chosen(
        shelf(assortment.n_rows),
        assortment.n_rows - n_fresh,
        lambda goods: _taste(assortment, chain, month, goods),
    )
    order = {
        goods.barcode: draws(assortment.seed, "order", chain, month, goods.barcode)[0]
        for goods in (*fresh, *rest)
    }
    return sorted((*fresh, *rest), key=lambda goods: order[goods.barcode])


def _row(assortment: Assortment, chain: Chain, month: str, goods: Goods) -> Row:
    seed, code = assortment.seed, goods.barcode
    base_kind, new_price, *_ = draws(seed, "base", month, code)
    other_kind, other_price, change, picture, own_brand, new, linked, _ = draws(
        seed, "chain", chain, month, code
    )
    one_plus_one = (base_kind < _ONE_PLUS_ONE) != (other_kind < _OTHER_KIND)
    price_krw = goods.price_krw + (100 if new_price < _NEW_PRICE_THIS_MONTH else 0)
    if other_price < _OTHER_PRICE:
        price_krw += 100 * (1 + int(change * 5)) * (1 if change < 0.6 else -1)
    is_own = chain is Chain.SEVEN and own_brand < 0.05
    return Row(
        chain=chain,
        goods=goods,
        name=spell(goods, chain, seed, own_brand=is_own),
        price_krw=price_krw,
        kind=Kind.ONE_PLUS_ONE if one_plus_one else Kind.TWO_PLUS_ONE,
        barcode=None if chain is Chain.CSPACE else code,
        image=image_path(chain, goods.barcode, picture),
        site_id=_site_id(chain, goods),
        is_new=new < 0.06,
        own_brand=is_own,
        section=section_of(chain, goods),
        linked_card=chain is Chain.CU and linked < 0.1,
    )


def _site_id(chain: Chain, goods: Goods) -> str | None:
    number = int(goods.barcode[2:12])
    if chain is Chain.CU:
        return str(10_000 + number)
    if chain is Chain.SEVEN:
        return f"{60_000 + number:06d}"
    return None


def _distinct(rows: list[Row]) -> list[Row]:
    """Spell names out where two rows of one chain would else be the same thing to a reader."""
    seen: set[tuple[str | None, str | None, str]] = set()
    distinct = []
    for row in rows:
        name = row.name
        # A list without numbers and barcodes has nothing but names to tell products apart.
        nameless = row.site_id is None and not (row.barcode and row.barcode_valid)
        if nameless and (None, None, name) in seen:
            name = spell_fully(row.goods)
        seen.add((None, None, name) if nameless else (row.barcode, row.site_id, name))
        distinct.append(replace(row, name=name))
    return distinct


@lru_cache(maxsize=32)
def list_of(assortment: Assortment, chain: Chain, month: str) -> tuple[Row, ...]:
    """Return the rows of a chain in the month `YYYY-MM`, newest first, every offer once.

    Raises:
        InputError: the chain has no stand-in, or `month` is none.
    """
    if chain not in SHOPS:
        raise InputError(
            f"Expected one of {', '.join(SHOPS)}. Received {chain}. This chain has no stand-in."
        )
    first_day(month)
    rows = [_row(assortment, chain, month, goods) for goods in _goods(assortment, chain, month)]
    if chain is Chain.CU:
        rows = with_twins(with_equal_names(rows))
    taken = 0
    by_chance = sorted(
        range(len(rows)),
        key=lambda n: draws(assortment.seed, "odd", chain, month, rows[n].goods.barcode)[0],
    )
    for oddity in ODDITIES[chain]:
        places = by_chance[taken : taken + oddity.count(len(rows))]
        taken += len(places)
        for turn, place in enumerate(places):
            rows[place] = oddity.apply(rows[place], turn)
    return tuple(_distinct(rows))
