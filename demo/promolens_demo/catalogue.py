"""The invented products: families of look-alikes that one brand sells in flavours and sizes.

The first six families are written by hand and are the default catalogue of 24; any further ones
are composed from the word lists, so that the catalogue scales and stays the same for every seed.
All brands, makers and products are invented.
"""

from __future__ import annotations

from dataclasses import dataclass

from promolens_demo.barcodes import in_store_ean13
from promolens_demo.names import BRAND_HEADS, BRAND_TAILS, FLAVOURS, KINDS, PALETTES, Flavour, Kind
from promolens_runtime.errors import InputError

FAMILY_SIZE = 4
MIN_PRODUCTS = 3
DEFAULT_PRODUCTS = 24
# (flavour index, size index) of a family's products, in catalogue order; the last two are used
# only where a family takes one or two products more to make the number come out.
_FLAVOURS_FIRST = ((0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1))
_SIZES_FIRST = ((0, 0), (1, 0), (0, 1), (1, 1), (2, 0), (2, 1))


@dataclass(frozen=True)
class Family:
    """One brand of one kind of product.

    Attributes:
        slug: ascii name, the parent class of its products.
        colours: base and ink colour of every label of the family, `#rrggbb`.
        layout: which arrangement of the label, 0 to 2.
        flavours: three keys of `FLAVOURS`.
        order: the (flavour, size) pairs in catalogue order.
    """

    slug: str
    brand_ko: str
    brand_en: str
    maker: str
    kind: Kind
    colours: tuple[str, str]
    layout: int
    flavours: tuple[str, str, str]
    order: tuple[tuple[int, int], ...] = _FLAVOURS_FIRST


@dataclass(frozen=True)
class Product:
    """One thing on the shelf; `item_id` is also its class label."""

    item_id: str
    barcode: str
    name_ko: str
    name_en: str
    family: Family
    flavour: Flavour
    size: int
    unit: str
    large: bool
    price_krw: int


def _family(
    brand: tuple[str, str, str],
    kind: str,
    look: tuple[tuple[str, str], int],
    flavours: tuple[str, str, str],
    order: tuple[tuple[int, int], ...] = _FLAVOURS_FIRST,
) -> Family:
    brand_ko, brand_en, maker = brand
    slug = f"{brand_en.lower().replace(' ', '-')}-{kind}"
    colours, layout = look
    return Family(slug, brand_ko, brand_en, maker, KINDS[kind], colours, layout, flavours, order)


_TEAL = ("#14656b", "#ffffff")
_RED = ("#b5262b", "#fff6e0")
_CREAM = ("#f3e6c8", "#4a2f1d")
DEFAULT_FAMILIES = (
    _family(
        ("별솔샘", "Byeolsolsaem", "새벽모퉁이음료"),
        "soda",
        (_TEAL, 0),
        ("lemon", "plum", "green-grape"),
    ),
    _family(
        ("구름나루터", "Gureumnaruteo", "새벽모퉁이음료"),
        "tea",
        (_TEAL, 1),
        ("citron", "green-plum", "pear"),
        _SIZES_FIRST,
    ),
    _family(
        ("바사락언덕", "Basarak Eondeok", "노을고개식품"),
        "chips",
        (_RED, 2),
        ("potato", "chili", "cheese"),
    ),
    _family(
        ("네모달빛", "Nemo Dalbit", "노을고개식품"),
        "biscuit",
        (_CREAM, 1),
        ("chocolate", "strawberry", "tea-leaf"),
    ),
    _family(
        ("후루룩별밭", "Hururuk Byeolbat", "달그락부엌"),
        "noodles",
        (_RED, 0),
        ("chili", "shrimp", "cabbage"),
        _SIZES_FIRST,
    ),
    _family(
        ("아침두루뫼", "Achim Durumoe", "달그락부엌"),
        "milk",
        (_CREAM, 2),
        ("strawberry", "banana", "blueberry"),
    ),
)


def composed_family(number: int) -> Family:
    """Compose family `number` (0, 1, 2 ...) from the word lists; every number has its own brand."""
    head_ko, head_en = BRAND_HEADS[number % len(BRAND_HEADS)]
    # Stepping the tail by the round as well keeps neighbours in the catalogue unlike each other.
    tail_round = number // len(BRAND_HEADS)
    tail_ko, tail_en = BRAND_TAILS[(number + tail_round) % len(BRAND_TAILS)]
    if tail_round >= len(BRAND_TAILS):
        raise InputError(
            f"Expected at most {max_products()} products. Received a number beyond that: the word "
            "lists give no further brand. Ask for fewer with --products."
        )
    names = tuple(KINDS)
    kind = KINDS[names[number % len(names)]]
    first = (number * 5 + tail_round) % len(kind.flavours)
    step = 1 + number % 2
    flavours = tuple(kind.flavours[(first + step * k) % len(kind.flavours)] for k in range(3))
    return _family(
        (head_ko + tail_ko, f"{head_en} {tail_en}", "너른들상회"),
        kind.slug,
        (PALETTES[number % len(PALETTES)], (number // len(names)) % 3),
        (flavours[0], flavours[1], flavours[2]),
        _SIZES_FIRST if number % 3 == 1 else _FLAVOURS_FIRST,
    )


def max_products() -> int:
    """Return how many products the word lists can name."""
    return FAMILY_SIZE * (len(DEFAULT_FAMILIES) + len(BRAND_HEADS) * len(BRAND_TAILS))


def _product(number: int, family: Family, variant: tuple[int, int]) -> Product:
    flavour = FLAVOURS[family.flavours[variant[0]]]
    large = variant[1] == 1
    kind = family.kind
    size = kind.sizes[variant[1]]
    return Product(
        item_id=f"{family.slug}-{flavour.slug}-{size}{kind.unit.lower()}",
        barcode=in_store_ean13(number),
        name_ko=f"{family.brand_ko} {flavour.name_ko} {kind.name_ko} {size}{kind.unit}",
        name_en=f"{family.brand_en} {flavour.name_en} {kind.name_en} {size} {kind.unit}",
        family=family,
        flavour=flavour,
        size=size,
        unit=kind.unit,
        large=large,
        price_krw=kind.prices_krw[variant[1]] + 100 * (number % 3),
    )


def _family_sizes(n: int) -> list[int]:
    """Split `n` into families of four; a rest below three joins the last family."""
    whole, rest = divmod(n, FAMILY_SIZE)
    sizes = [FAMILY_SIZE] * whole
    if rest == FAMILY_SIZE - 1:
        sizes.append(rest)
    elif rest:
        sizes[-1] += rest
    return sizes


def make_catalogue(n_products: int = DEFAULT_PRODUCTS) -> tuple[Product, ...]:
    """Return the first `n_products` of the endless shelf; a longer catalogue starts with a shorter.

    Families hold four products each, the last one three to six.

    Raises:
        InputError: fewer than `MIN_PRODUCTS`, or more than the word lists can name.
    """
    if not MIN_PRODUCTS <= n_products <= max_products():
        raise InputError(
            f"Expected {MIN_PRODUCTS} to {max_products()} products. Received {n_products}. "
            "Choose another number with --products."
        )
    products: list[Product] = []
    for index, size in enumerate(_family_sizes(n_products)):
        composed = index - len(DEFAULT_FAMILIES)
        family = composed_family(composed) if composed >= 0 else DEFAULT_FAMILIES[index]
        for variant in family.order[:size]:
            products.append(_product(len(products) + 1, family, variant))
    return tuple(products)
