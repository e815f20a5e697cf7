"""Stand-in of C-Space: small, rendered on the server, no numbers and no barcodes."""

from __future__ import annotations

from promolens_catalog.chains import Chain
from promolens_catalog.kinds import Kind
from promolens_demo.shops.frame import Look, document, marked
from promolens_demo.shops.rows import Row
from promolens_demo.shops.site import Draft, Page, StandIn, Visit
from promolens_demo.shops.view import View, fixed

PAGE_SIZE = 12
CATEGORIES = {
    "00030000000000000000": Kind.ONE_PLUS_ONE,
    "00040000000000000000": Kind.TWO_PLUS_ONE,
    "00050000000000000000": Kind.GIFT,
    "00060000000000000000": Kind.DISCOUNT,
}
_TAB_NAMES = ("1+1", "2+1", "덤증정", "할인")
_STYLES = {
    Kind.ONE_PLUS_ONE: "onePlus",
    Kind.TWO_PLUS_ONE: "twoPlus",
    Kind.DISCOUNT: "sale",
}
_PATH = "/service/product.html"
_LOOK = Look(
    banner="하늘칸 스토어",
    links=(("행사 상품", _PATH),),
    styles=("/css/cspace.css",),
)


def _address(category: str, page: int) -> str:
    return (
        f"{_PATH}?prod_name_s=&amp;category={category}"
        f"&amp;id_position_move=calSelId&amp;cpage={page}&amp;spage=1"
    )


def _card(row: Row) -> str:
    style = "fourPlus" if row.faults.badge else _STYLES[row.kind]
    image = row.image_shown or "/images/no_img.gif"
    return f"""
  <li class="{style}">
    <div>
      <span class="img"><img src="{image}" alt="{row.name_html}" /></span>
      <dl>
        <dt>{row.name_html}</dt>
        <dd>{row.price_text}원</dd>
      </dl>
    </div>
  </li>"""


def _pager(category: str, shown: View) -> str:
    pages = max(shown.pages, 1)
    first = (shown.page - 1) // 10 * 10 + 1
    numbers = "".join(
        f'<li><a href="{_address(category, number)}"'
        f"{marked(number == shown.page, 'active')}>{number}</a></li>"
        for number in range(first, min(first + 10, pages + 1))
    )
    chosen, plain = " selected", ""
    options = "".join(
        f'<option value="{number}"{chosen if number == shown.page else plain}>'
        f"{number} / {pages}</option>"
        for number in range(1, pages + 1)
    )
    address = _address(category, 0).replace("cpage=0", "cpage='+this.value+'")
    return f"""<ul class="pagination pc">{numbers}</ul>
<select id="page" onchange="location.href='{address}'">{options}</select>"""


def _product(visit: Visit) -> Draft:
    category = visit.value("category")
    known = category if category in CATEGORIES else next(iter(CATEGORIES))
    kind = CATEGORIES[known]
    rows = visit.shop.listing(lambda row: row.kind is kind)
    page = visit.number("cpage", 1)
    shown = visit.view(f"product{known}", rows, page, fixed(PAGE_SIZE))
    return Draft(document(visit, _LOOK, _body(known, shown)))


def _body(category: str, shown: View) -> str:
    tabs = "".join(
        f'<li><a href="{_address(code, 1)}"{marked(code == category)}>{name}</a></li>'
        for code, name in zip(CATEGORIES, _TAB_NAMES, strict=True)
    )
    cards = "".join(_card(row) for row in shown.rows)
    empty = "" if shown.rows else '<p class="no-data">등록된 상품이 없습니다.</p>'
    return f"""<ul class="calSel" id="calSelId">{tabs}</ul>
<div class="product-list">
<ul class="box">{cards}
</ul>{empty}
</div>
{_pager(category, shown)}
"""


CSPACE = StandIn(
    chain=Chain.CSPACE,
    start=_PATH,
    pages={_PATH: Page(_product, "document")},
    robots="User-agent: *\nAllow: /\n",
    list_selector=".product-list",
    drift={"product-list": "goods-list", "onePlus": "plus-a", "twoPlus": "plus-b", "box": "cells"},
)
