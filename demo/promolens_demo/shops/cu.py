"""Stand-in of CU: an empty list that a script fills, forty cards at a time, under an overlay."""

from __future__ import annotations

from promolens_catalog.chains import Chain
from promolens_catalog.kinds import Kind
from promolens_demo.shops.frame import Look, document, marked
from promolens_demo.shops.rows import Row
from promolens_demo.shops.site import Draft, Page, StandIn, Visit
from promolens_demo.shops.view import View, fixed

PAGE_SIZE = 40
CONDITIONS = {"23": Kind.ONE_PLUS_ONE, "24": Kind.TWO_PLUS_ONE}
_BADGES = {Kind.ONE_PLUS_ONE: ("plus1", "1+1"), Kind.TWO_PLUS_ONE: ("plus2", "2+1")}
_TABS = (("01", "", "전체"), ("02", "23", "1+1"), ("03", "24", "2+1"))
_NEW = '<span class="new"><img src="/images/common/new.png" alt="NEW" /></span>'
_BLANK_LINES = "\n" * 24
_START = "/event/plus.do?category=event&depth2=1&sf=N"
_LOOK = Look(
    banner="보라들 편의점",
    links=(("행사 상품", _START), ("전체 상품", "/product/product.do?category=product")),
    styles=("/css/cu.css",),
    scripts=("/js/cu.js",),
)


def _plus_page(visit: Visit) -> Draft:
    condition = visit.value("searchCondition")
    tabs = "".join(
        f'<li class="eventInfo_{number}"><a href="javascript:goDepth(\'{code}\');"'
        f"{marked(code == condition)}>{text}</a></li>"
        for number, code, text in _TABS
    )
    return Draft(document(visit, _LOOK, _list_body(visit, "/event/plusAjax.do", tabs)))


def _catalogue_page(visit: Visit) -> Draft:
    return Draft(document(visit, _LOOK, _list_body(visit, "/product/productAjax.do", "")))


def _list_body(visit: Visit, address: str, tabs: str) -> str:
    condition = visit.value("searchCondition")
    known = condition if condition in CONDITIONS else ""
    return f"""<form id="plusForm" data-address="{address}" onsubmit="return false;">
<input type="hidden" id="pageIndex" name="pageIndex" value="0" />
<input type="hidden" id="listType" name="listType" value="0" />
<input type="hidden" id="searchCondition" name="searchCondition" value="{known}" />
</form>
<ul class="eventInfo">{tabs}</ul>
<div class="relCon">
<div class="prodListWrap"></div>
</div>
<div class="AjaxLoading" data-least-ms="{visit.shop.settings.overlay_ms}">
<p>상품을 불러오는 중입니다</p></div>
"""


def _card(row: Row, visit: Visit, *, badged: bool) -> str:
    opening, closing = '<div class="prod_item">', "</div>"
    click = f' onclick="view({row.site_id});"'
    if row.linked_card:
        opening, closing = f'<a class="prod_item" href="javascript:view({row.site_id});">', "</a>"
        click = ""
    badge = _badge(row) if badged and row.badge_shown else ""
    return f"""
				<li class="prod_list">
					{opening}
						<div class="prod_wrap">
							<div class="prod_img"{click}>
								{_image(row, visit)}
							</div>
							<div class="prod_text">
								<div class="name"><p>{row.name_html}</p></div> <!-- 제품명 -->
								{_price(row)}	<!-- 제품가격 -->
							</div>
						</div>
						<div class="badge"> <!-- [D] .badge > span .plus2 : 2+1 / .plus1 : 1+1 -->
							{badge}
						</div>
						<div class="tag"> <!-- [D] .tag > span .new : new /  .best : best -->
							{_NEW if row.is_new else ""}
						</div>
					{closing}
				</li>"""


def _image(row: Row, visit: Visit) -> str:
    """Print the picture; it shares its class with the element around it, as on the real page."""
    host = visit.home.partition(":")[2]
    file = row.image_shown.rpartition("/")[2]
    return f'<img src="{host}{row.image_shown}" alt="{file}" class="prod_img"/>'


def _price(row: Row) -> str:
    return f'<div class="price"><strong>{row.price_text}</strong><span class="won">원</span></div>'


def _badge(row: Row) -> str:
    style, text = _BADGES[row.kind]
    if row.faults.badge:
        style, text = "plus4", row.faults.badge
    return f'<span class="{style}">{text}</span>'


def _fragment(visit: Visit, shown: View, *, badged: bool) -> str:
    cards = "".join(_card(row, visit, badged=badged) for row in shown.rows)
    more = ""
    if len(shown.rows) == PAGE_SIZE:
        more = (
            '<div class="prodListBtn"><div class="prodListBtn-w">'
            '<a href="javascript:nextPage(1);">더보기</a></div>'
            '<div class="prodListBtn-e"></div></div>'
        )
    rows = f"<ul>{cards}\n\t\t\t\t</ul>" if shown.rows else _NOTHING
    return f"""{_BLANK_LINES}<head>
	<!-- head -->
	<link rel="stylesheet" type="text/css" href="/css/cu.css" media="all" />
	<script type="text/javascript" src="/js/prod_list.js"></script>
</head>
	<div class="prodListWrap">
				{rows}
				{more}
	</div>
"""


_NOTHING = '<div id="nothing"><p>조회된 상품이 없습니다.</p></div>'


def _plus_list(visit: Visit) -> Draft:
    condition = visit.value("searchCondition")
    kind = CONDITIONS.get(condition)
    rows = visit.shop.listing(lambda row: condition == "" or row.kind is kind)
    shown = visit.view(f"plus{condition}", rows, visit.number("pageIndex", 1), fixed(PAGE_SIZE))
    return Draft(_fragment(visit, shown, badged=True))


def _catalogue_list(visit: Visit) -> Draft:
    rows = visit.shop.listing(lambda row: True)
    shown = visit.view("product", rows, visit.number("pageIndex", 1), fixed(PAGE_SIZE))
    return Draft(_fragment(visit, shown, badged=False))


def _empty_script(visit: Visit) -> Draft:
    return Draft("", "text/javascript")


CU = StandIn(
    chain=Chain.CU,
    start=_START,
    pages={
        "/event/plus.do": Page(_plus_page, "document"),
        "/event/plusAjax.do": Page(_plus_list, "list"),
        "/product/product.do": Page(_catalogue_page, "document"),
        "/product/productAjax.do": Page(_catalogue_list, "list"),
        "/js/prod_list.js": Page(_empty_script, "asset"),
    },
    robots=None,
    list_selector=".prodListWrap",
    drift={
        "prodListWrap": "goodsArea",
        "prod_list": "goods_card",
        "prod_item": "goods_in",
        "prod_img": "goods_pic",
        "prod_text": "goods_words",
        "badge": "ribbon",
        "plus1": "onePlus",
        "plus2": "twoPlus",
    },
)
