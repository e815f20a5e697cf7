"""Stand-in of 7-Eleven: thirteen plain cards, then fragments with nested pictures."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from promolens_catalog.chains import Chain
from promolens_catalog.kinds import Kind
from promolens_demo.shops.frame import Look, document, marked
from promolens_demo.shops.rows import Row
from promolens_demo.shops.site import Draft, Page, StandIn, Visit
from promolens_demo.shops.view import TOTAL_GROWS_BY, Bounds, View

FIRST_PAGE = 13
PAGE_SIZE = 10
TABS: dict[str, tuple[str, Callable[[Row], bool]]] = {
    "1": ("1+1", lambda row: row.kind is Kind.ONE_PLUS_ONE),
    "2": ("2+1", lambda row: row.kind is Kind.TWO_PLUS_ONE),
    "3": ("증정행사", lambda row: row.kind is Kind.GIFT),
    "4": ("할인행사", lambda row: row.kind is Kind.DISCOUNT),
    "5": ("7-Select", lambda row: row.own_brand),
    "8": ("신상품", lambda row: row.is_new),
}
_TAGS = {
    Kind.ONE_PLUS_ONE: ("ico_tag_06", "1+1"),
    Kind.TWO_PLUS_ONE: ("ico_tag_07", "2+1"),
    Kind.GIFT: ("ico_present", "증정"),
    Kind.DISCOUNT: ("ico_tag_02", "할인"),
}
_PLACEHOLDER = "/front/img/product/product_list_01.jpg"
_RESIZE = "onload=\"Fn_ResizeImg(this,'163','130');\""
_START = "/product/presentList.asp"
_LOOK = Look(
    banner="초록마루 스토어",
    links=(("행사 상품", _START),),
    styles=("/css/seven.css",),
    scripts=("/js/seven.js",),
)
_ROBOTS = "User-agent: *\n" + "".join(
    f"Disallow: /{folder}/\n"
    for folder in ("front", "library", "management", "manager", "upload", "util")
)


def bounds(size: int) -> Bounds:
    """Return the paging rule: the first page has 13 rows, whatever size was asked for."""

    def of(page: int) -> tuple[int, int]:
        if page == 1:
            return 0, FIRST_PAGE
        start = FIRST_PAGE + (page - 2) * size
        return start, start + size

    return of


def _tab(visit: Visit) -> str:
    tab = visit.value("pTab")
    return tab if tab in TABS else "1"


def _shown(visit: Visit, page: int, size: int) -> View:
    tab = _tab(visit)
    return visit.view(f"tab{tab}", visit.shop.listing(TABS[tab][1]), page, bounds(size))


def _picture(name: str, price: str, image: str, *, nested: bool) -> str:
    alt = name if image else "디폴트 이미지"
    inner = f"""<div class="pic_product">

								<img src="{image or _PLACEHOLDER}"  alt="{alt}"  {_RESIZE}/>

								<div class='infowrap'>
									<div class='name' style=''>{name}</div>
									<div class='price' style=''>
									<span>{price}</span>
									</div>
								</div>
							</div>"""
    return f'<div class="pic_product">\n\n{inner}\n\n</div>' if nested else inner


_LIKES = """<span class="like_wrap_01">
	<span class="ico_like_01"><span class="hide">좋아요</span></span>
	<span class="ico_like_02">
		<span class="ico_like_02_in">0</span>
	</span>
</span>"""


def _words(name: str, price: str) -> str:
    return f"""<dl class="product_content">
<dt><span class="tit_product">{name}</span>
	{_LIKES}
</dt>
								<dd class="txt_product">{name}</dd>
								<dd class="price_list">

									<span>{price}</span>

								</dd>
							</dl>"""


def _link(row: Row, style: str) -> str:
    return (
        f'<a href="javascript: fncGoView(\'{row.site_id}\');" class="{style}">'
        '<span class="hide">상품 상세정보 바로가기</span></a>'
    )


def _gift_block(row: Row, *, nested: bool) -> str:
    gift = row.gift
    if gift is None:
        return ""
    name, price = escape(gift.name), f"{gift.price_krw:,}"
    picture = _picture(name, price, gift.image_url or "", nested=nested)
    return f"{picture}\n{_words(name, price)}\n{_link(row, 'btn_product_02')}"


def _card(row: Row, *, nested: bool) -> str:
    style, text = _TAGS[row.kind]
    if row.faults.badge:
        style, text = "ico_tag_09", row.faults.badge
    tags = f"<li class='{style}'>{text}</li>"
    tags += '<li class="ico_tag_04">PB</li>' if row.own_brand else ""
    tags += '<li class="ico_tag_03">신상품</li>' if row.is_new else ""
    name, price = row.name_html, row.price_text
    return f"""
						<li>
							<ul class="tag_list_01">
								{tags}
							</ul>
							{_picture(name, price, row.image_shown, nested=nested)}
							{_words(name, price)}
							{_link(row, "btn_product_01")}
							{_gift_block(row, nested=nested)}
						</li>
"""


def _rest(shown: View, tab: str, *, first: bool) -> str:
    """Return what follows the cards: the button, and the two counts that a script reads."""
    if not shown.rows:
        return f"""<li class="no_data">데이터가 없습니다.</li>
{_counts(0, shown.page)}"""
    # The first page's button names no tab; the script then takes the page's own.
    button = (
        '<li class="btn_more" id="moreImg">'
        f"<a href=\"javascript: fncMore('{'' if first else tab}');\"><span>MORE</span></a></li>"
    )
    return f"{button}\n{_counts(shown.start + len(shown.rows), shown.page + 1)}"


def _counts(count: int, page: int) -> str:
    return "\n".join(
        f'<input type="hidden" id="{name}" name="{name}" value="{value}" title="{title}" />'
        for name, value, title in (
            ("listCnt", count, "실제 뿌려진 리스트 수"),
            ("listPage", page, "페이지 수"),
        )
    )


def _present_list(visit: Visit) -> Draft:
    tab = _tab(visit)
    shown = _shown(visit, 1, PAGE_SIZE)
    # The total stands on this page alone: it changes by being another one than the list's.
    total = shown.total + (TOTAL_GROWS_BY if "total" in visit.modes else 0)
    cards = "".join(_card(row, nested=False) for row in shown.rows)
    tabs = "".join(
        f"<li{marked(code == tab)}><a href=\"javascript: fncTab('{code}');\">{name}</a></li>"
        for code, (name, _) in TABS.items()
    )
    body = f"""<form name="actFrm" id="actFrm" method="post" action="{_START}">
<input type="hidden" name="pTab" id="pTab" value="{tab}" />
<div class="cont_body">
<div class="wrap_tab"><ul>{tabs}</ul></div>
<div class="conSection" id="listDiv">
<div class="img_list img_list_01 img_list_01_02">
<ul id="listUl">
<li><span class="img_list_tit_02">{TABS[tab][0]}</span></li>
{cards}
{_rest(shown, tab, first=True)}
</ul>
</div>
</div>
</div>
</form>
<script type="text/javascript">
	var intTotalCount = "{total}";
	var intPageSize = "{PAGE_SIZE}";
</script>
"""
    return Draft(document(visit, _LOOK, body))


def _list_more(visit: Visit) -> Draft:
    tab = _tab(visit)
    size = visit.number("intPageSize", PAGE_SIZE, 10_000)
    shown = _shown(visit, visit.number("intCurrPage", 1), size)
    cards = "".join(_card(row, nested=True) for row in shown.rows)
    # The list's opening stands inside a comment, as on the real fragment.
    return Draft(f"""
					<!-- <div class="conSection" id="listDiv">
						<div class="img_list img_list_01 img_list_01_02">
							<ul>
	<li><span class="img_list_tit_02">{TABS[tab][0]}</span></li> -->

{cards}
{_rest(shown, tab, first=False)}
""")


def _present_view(visit: Visit) -> Draft:
    wanted = visit.value("pCd")
    row = next((row for row in visit.shop.rows() if row.site_id == wanted), None)
    if row is None:
        text = '<p class="no_data">데이터가 없습니다.</p>'
        return Draft(document(visit, _LOOK, text), status=404)
    before = ""
    if row.regular_price_krw is not None:
        before = (
            f'<del><span class="hide">정상가</span>{row.regular_price_krw:,}'
            '<span class="hide">원</span></del>'
        )
    words = "".join(
        f"<li>{label} <strong>{value}</strong></li>"
        for label, value in (("분류", row.goods.category), ("행사", _TAGS[row.kind][1]))
    )
    body = f"""<div class="productView">
<h2 class="tit_product_view">{row.name_html}</h2>
<div class="product_img"><img src="{row.image_shown or _PLACEHOLDER}" alt="{row.name_html}" /></div>
<div class="productView_content">
<p class="product_price">{before}
<strong><span class="hide">판매가</span>{row.price_text}<span class="hide">원</span></strong></p>
<ul class="productView_content_ul">{words}</ul>
<p class="txt">{row.name_html}</p>
</div>
</div>"""
    return Draft(document(visit, _LOOK, body, title="상품 상세"))


SEVEN = StandIn(
    chain=Chain.SEVEN,
    start=_START,
    pages={
        _START: Page(_present_list, "document"),
        "/product/listMoreAjax.asp": Page(_list_more, "list"),
        "/product/presentView.asp": Page(_present_view, "document"),
    },
    robots=_ROBOTS,
    list_selector="#listUl",
    drift={
        "pic_product": "goods_pic",
        "infowrap": "goods_info",
        "tag_list_01": "goods_tags",
        "tit_product": "goods_tit",
        "product_content": "goods_words",
        "btn_product_01": "goods_link",
        "listUl": "goodsUl",
        "listCnt": "shownCount",
        "listPage": "nextNumber",
        "intTotalCount": "intAll",
    },
)
