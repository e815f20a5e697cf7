"""The odd rows of each chain: seen on the real lists, so every stand-in list has them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import takewhile

from promolens_catalog.chains import Chain
from promolens_catalog.kinds import Kind
from promolens_catalog.offers import Gift
from promolens_demo.barcodes import ean13_check_digit
from promolens_demo.shops.image_paths import image_path, nameless_path
from promolens_demo.shops.rows import Row
from promolens_demo.shops.spelling import spell_fully

_CUT_AT = 17
_TWINS = 0.0035
_TWIN_NUMBERS_FROM = 5_000_000


@dataclass(frozen=True)
class Oddity:
    """A way in which some rows are unlike the others.

    Attributes:
        share: of a chain's rows.
        at_least: rows of even the shortest list.
        apply: row, its number among the rows of this oddity -> the odd row.
    """

    share: float
    at_least: int
    apply: Callable[[Row, int], Row]

    def count(self, n_rows: int) -> int:
        """Return how many of `n_rows` rows are odd in this way."""
        return max(self.at_least, round(self.share * n_rows))


def _gift_of(row: Row, *, stated_price: bool) -> Gift:
    """Give the smaller sibling of what is bought."""
    goods = row.goods
    name = f"{goods.makers[0]}){goods.flavour}맛보기"
    # The gift's code is made of the product's own, and belongs to no product of the catalogue.
    body = "29" + f"{5_000_000 + int(goods.barcode[2:12]):010d}"
    barcode = body + ean13_check_digit(body)
    path = image_path(row.chain, barcode, 0.0)
    return Gift(name, 500 if stated_price else None, barcode, path)


def _gift(row: Row, turn: int) -> Row:
    return replace(row, kind=Kind.GIFT, gift=_gift_of(row, stated_price=True))


def _reduced(row: Row, turn: int) -> Row:
    reduced = row.price_krw * (60 + 10 * (turn % 3)) // 1000 * 10
    return replace(
        row,
        kind=Kind.DISCOUNT,
        price_krw=reduced,
        regular_price_krw=row.price_krw,
        regular_price_listed=row.chain is Chain.EMART24,
    )


def _three_plus_one(row: Row, turn: int) -> Row:
    return replace(row, kind=Kind.THREE_PLUS_ONE)


def _pick_and_mix(row: Row, turn: int) -> Row:
    return replace(row, kind=Kind.PICK_AND_MIX)


def _no_badge(row: Row, turn: int) -> Row:
    return replace(row, badge_shown=False)


def _second_picture(row: Row, turn: int) -> Row:
    return replace(row, image=image_path(row.chain, row.goods.barcode, 0.0))


def _wrong_check_digit(row: Row, turn: int) -> Row:
    code = row.goods.barcode
    wrong = code[:-1] + str((int(code[-1]) + 1) % 10)
    return replace(row, barcode=wrong, barcode_valid=False, image=f"/product/{wrong}.jpg")


def _unnumbered_picture(row: Row, turn: int) -> Row:
    return replace(row, barcode=None, image=nameless_path(row.goods.barcode))


def _null_picture(row: Row, turn: int) -> Row:
    return replace(row, barcode=None, image="")


def _no_file_id(row: Row, turn: int) -> Row:
    return replace(row, file_id_shown=False)


def _delivery_run(row: Row, turn: int) -> Row:
    return replace(row, name=f"{row.name[:17]}{1 + turn % 2}편")


def _printed_twice(row: Row, turn: int) -> Row:
    return replace(row, printed_twice=True)


def _internal_code(row: Row, turn: int) -> Row:
    body = f"1500000{int(row.goods.barcode[7:12]):05d}"
    code = body + ean13_check_digit(body)
    return replace(row, barcode=code, image=image_path(row.chain, code))


def with_equal_names(rows: list[Row]) -> list[Row]:
    """Cut the names of a few pairs of products of one brand so short that they are equal."""
    brands: dict[tuple[str, str], list[int]] = {}
    for place, row in enumerate(rows):
        brands.setdefault((row.goods.brands[0], row.goods.kind), []).append(place)
    pairs = [(places[0], places[1]) for places in brands.values() if len(places) > 1]

    def common(pair: tuple[int, int]) -> str:
        names = [spell_fully(rows[place].goods) for place in pair]
        same = takewhile(lambda letters: letters[0] == letters[1], zip(*names, strict=False))
        return "".join(letter for letter, _ in same)[:_CUT_AT]

    changed = list(rows)
    for pair in sorted(pairs, key=lambda pair: -len(common(pair)))[: max(1, len(rows) // 200)]:
        for place in pair:
            changed[place] = replace(rows[place], name=common(pair))
    return changed


def with_twins(rows: list[Row]) -> list[Row]:
    """Put a few products on the list a second time, under another number of the site."""
    changed = list(rows)
    for turn in range(round(_TWINS * len(rows))):
        original, place = rows[2 * turn], 2 * turn + 1
        number = int(original.site_id or 0) + _TWIN_NUMBERS_FROM
        changed[place] = replace(original, site_id=str(number))
    return changed


ODDITIES: dict[Chain, tuple[Oddity, ...]] = {
    Chain.CU: (
        Oddity(0.005, 1, _no_badge),
        Oddity(0.02, 1, _second_picture),
        Oddity(0.003, 0, _wrong_check_digit),
        Oddity(0.0035, 0, _unnumbered_picture),
    ),
    Chain.GS25: (
        Oddity(0.007, 1, _gift),
        Oddity(0.003, 1, _null_picture),
        Oddity(0.01, 1, _no_file_id),
        Oddity(0.01, 1, _delivery_run),
    ),
    Chain.SEVEN: (
        Oddity(0.002, 1, _gift),
        Oddity(0.015, 2, _reduced),
        Oddity(0.5, 4, _null_picture),
    ),
    Chain.EMART24: (
        Oddity(0.022, 1, _three_plus_one),
        Oddity(0.01, 1, _reduced),
        Oddity(0.008, 1, _pick_and_mix),
        Oddity(0.007, 1, _internal_code),
        Oddity(0.01, 1, _printed_twice),
    ),
    Chain.CSPACE: (
        Oddity(0.01, 1, _reduced),
        Oddity(0.03, 1, _null_picture),
    ),
}
