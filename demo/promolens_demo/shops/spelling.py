"""How each chain spells a product's name; shares as measured on a four-chain list of 2026-02."""

from __future__ import annotations

from dataclasses import dataclass

from promolens_catalog.chains import Chain
from promolens_demo.shops.chance import draws, pick
from promolens_demo.shops.goods import FRESH_CATEGORY, Goods

_OTHER_MAKER = 0.08
_TAILS = ("(오리지널)", "(낱개)", "(실온)", "(봉입)")
_CONTAINERS = {"can": "캔", "bottle": "펫", "jug": "통", "cup": "컵"}


@dataclass(frozen=True)
class Spelling:
    """A chain's way to write.

    Attributes:
        size_share: names with a size.
        tail_share: names with a last word in brackets.
        no_prefix_share: names without `maker)`.
        longest: names are cut after so many characters at the latest.
        shortest: and some as early as this.
    """

    size_share: float
    tail_share: float
    no_prefix_share: float
    longest: int
    shortest: int


SPELLINGS = {
    Chain.CU: Spelling(0.45, 0.03, 0.005, 17, 12),
    Chain.GS25: Spelling(0.75, 0.1, 0.04, 20, 20),
    Chain.SEVEN: Spelling(0.72, 0.05, 0.01, 20, 20),
    Chain.EMART24: Spelling(0.84, 0.08, 0.01, 25, 25),
    Chain.CSPACE: Spelling(0.6, 0.04, 0.03, 25, 25),
}


def _size_text(goods: Goods, chain: Chain, draw: float) -> str:
    amount, container = f"{goods.size}{goods.unit}", _CONTAINERS.get(goods.package, "")
    if chain is Chain.GS25:
        return amount.upper()
    if chain is Chain.EMART24:
        return container + amount
    if chain is Chain.CU:
        # P500ml, P500 and 캔355 stand beside a bare 350.
        mark = "P" if goods.package == "bottle" else container
        spellings = ((0.4, mark + amount), (0.4, f"{mark}{goods.size}"), (0.1, str(goods.size)))
        return pick(draw, spellings, amount)
    return amount


def _body(goods: Goods, brand: str, draw: float) -> str:
    words = (
        (0.7, brand + goods.flavour + goods.kind),
        (0.12, brand + goods.kind + goods.flavour),
        (0.1, brand + goods.flavour),
    )
    return pick(draw, words, f"{brand}{goods.flavour}맛{goods.kind}")


def spell(goods: Goods, chain: Chain, seed: int, *, own_brand: bool = False) -> str:
    """Return the name that `chain` prints, cut where it cuts.

    Args:
        own_brand: the name begins with `PB)`.
    """
    spelling = SPELLINGS[chain]
    maker, prefix, body, sized, size, tail, tail_word, cut = draws(
        seed, "spelling", chain, goods.barcode
    )
    other = int(maker < _OTHER_MAKER)
    name = _body(goods, goods.brands[other], body)
    if goods.category == FRESH_CATEGORY:
        name = goods.flavour + goods.kind
    if prefix >= spelling.no_prefix_share:
        name = f"{'PB' if own_brand else goods.makers[other]}){name}"
    if goods.size and sized < spelling.size_share:
        name += _size_text(goods, chain, size)
    if tail < spelling.tail_share:
        name += _TAILS[int(tail_word * len(_TAILS))]
    return name[: spelling.shortest + int(cut * (spelling.longest - spelling.shortest + 1))]


def spell_fully(goods: Goods) -> str:
    """Return maker, brand, words and size uncut: no two products share this name."""
    size = f"{goods.size}{goods.unit}" if goods.size else ""
    return f"{goods.makers[0]}){goods.brands[0]}{goods.flavour}{goods.kind}{size}"
