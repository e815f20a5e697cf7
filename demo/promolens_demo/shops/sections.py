"""The sections of a shop's promotions, where its pages can be asked for one."""

from __future__ import annotations

from promolens_catalog.chains import Chain
from promolens_demo.shops.goods import FRESH_CATEGORY, Goods

# emart24: value of base_category_seq -> name. What lies in none of them is under "all" alone.
EMART24_SECTIONS = {"1": "간편식사", "2": "과자", "3": "생활용품", "5": "음료"}
_SHELVES = {
    FRESH_CATEGORY: "간편식사",
    "면": "간편식사",
    "과자": "과자",
    "생활용품": "생활용품",
    "음료": "음료",
    "유제품": "음료",
}


def section_of(chain: Chain, goods: Goods) -> str | None:
    """Return the section under which a chain's list shows something; `None` where none is shown."""
    return _SHELVES.get(goods.category) if chain is Chain.EMART24 else None
