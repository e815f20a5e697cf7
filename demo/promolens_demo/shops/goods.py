"""What the stand-in shops may sell: the invented catalogue, and CU's own fresh food."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from promolens_demo.barcodes import in_store_ean13
from promolens_demo.catalogue import DEFAULT_PRODUCTS, Product, make_catalogue, max_products

FRESH_CATEGORY = "간편식사"
# Far beyond the catalogue's numbers, so that no barcode is given twice.
FRESH_NUMBERS_FROM = 9_000_000


@dataclass(frozen=True)
class Goods:
    """One thing on a shelf, before a chain spells its name.

    Attributes:
        makers: words that a name may begin with before `)`, the usual one first.
        brand: the brand as the body of the name spells it behind each of `makers`.
        flavour, kind: the other words of a name.
        size, unit: content of one piece; size 0 where nobody prints one.
        product: the catalogue's entry, where there is a picture of it.
    """

    barcode: str
    makers: tuple[str, str]
    brands: tuple[str, str]
    flavour: str
    kind: str
    size: int
    unit: str
    package: str
    category: str
    price_krw: int
    product: Product | None = None


_MAKERS = {
    "새벽모퉁이음료": "새벽모퉁이",
    "노을고개식품": "노을고개",
    "달그락부엌": "달그락",
    "너른들상회": "너른들",
}


def _of_product(product: Product) -> Goods:
    family = product.family
    maker, brand = _MAKERS[family.maker], family.brand_ko
    # A name begins with its maker, or with the first word of its brand: `너른들)달무리고개레몬`,
    # `달무리)고개레몬`. Which is usual is a matter of the family.
    heads = (maker, brand), (brand[:3], brand[3:])
    if len(brand + family.kind.slug) % 2:
        heads = heads[1], heads[0]
    return Goods(
        barcode=product.barcode,
        makers=(heads[0][0], heads[1][0]),
        brands=(heads[0][1], heads[1][1]),
        flavour=product.flavour.name_ko,
        kind=family.kind.name_ko,
        size=product.size,
        unit=product.unit.lower(),
        package=family.kind.package,
        category=family.kind.category,
        price_krw=product.price_krw,
        product=product,
    )


# (POS prefix, what it is, price): `삼)` and `빅삼)` are two products with the same words after it.
_FRESH_KINDS = (
    ("삼", "마요", 1300),
    ("빅삼", "마요", 1900),
    ("김", "말이김밥", 3200),
    ("주", "한입주먹밥", 2000),
    ("도", "든든한정식", 5200),
    ("샌", "겹겹샌드", 3100),
    ("햄", "더블패티", 3900),
    ("샐", "아삭한접시", 4800),
)
_FRESH_WORDS = ("고추장버섯", "치즈옥수수", "매운감자", "구운마늘", "단짠고구마", "새우마늘")
N_FRESH = len(_FRESH_KINDS) * len(_FRESH_WORDS)


def fresh_food(number: int) -> Goods:
    """Return fresh food `number` (0 to `N_FRESH - 1`), sold by CU alone."""
    prefix, kind, price_krw = _FRESH_KINDS[number % len(_FRESH_KINDS)]
    word = _FRESH_WORDS[number // len(_FRESH_KINDS)]
    return Goods(
        barcode=in_store_ean13(FRESH_NUMBERS_FROM + number),
        makers=(prefix, prefix),
        brands=("", ""),
        flavour=word,
        kind=kind,
        size=0,
        unit="g",
        package="",
        category=FRESH_CATEGORY,
        price_krw=price_krw,
    )


@lru_cache(maxsize=8)
def shelf(n_rows: int) -> tuple[Goods, ...]:
    """Return what chains with `n_rows` rows each choose from: twice as much, where there is."""
    wanted = max(DEFAULT_PRODUCTS, 2 * n_rows)
    return tuple(_of_product(product) for product in make_catalogue(min(wanted, max_products())))
