"""Stand-in of emart24: rendered on the server, twenty cards a page, the total in a script."""

from __future__ import annotations

from promolens_catalog.chains import Chain
from promolens_catalog.kinds import Kind
from promolens_demo.shops.frame import Look, document, marked
from promolens_demo.shops.rows import Row
from promolens_demo.shops.sections import EMART24_SECTIONS
from promolens_demo.shops.site import Draft, Page, StandIn, Visit
from promolens_demo.shops.view import View, fixed

PAGE_SIZE = 20
CATEGORIES = {
    "1": Kind.ONE_PLUS_ONE,
    "2": Kind.TWO_PLUS_ONE,
    "3": Kind.THREE_PLUS_ONE,
    "4": Kind.DISCOUNT,
    "12": Kind.PICK_AND_MIX,
}
# What mode `section-gone` leaves out: of the smaller ones, so that the whole count tells nothing.
GONE_SECTION = EMART24_SECTIONS["1"]
_BADGES = {
    Kind.ONE_PLUS_ONE: ("onepl", "1 + 1"),
    Kind.TWO_PLUS_ONE: ("twopl", "2 + 1"),
    Kind.THREE_PLUS_ONE: ("tripl", "3 + 1"),
    Kind.DISCOUNT: ("sale", "세일"),
    Kind.PICK_AND_MIX: ("gola", "골라담기"),
}
_ON_ERROR = "this.onerror=null;this.src='/assets/assets/imgs/productPlaceHolder.png'"
_START = "/goods/event"
_TABS = (
    ("전체", ""), ("1 + 1", "1"), ("2 + 1", "2"), ("3 + 1", "3"), ("SALE", "4"), ("골라담기", "12"),
)  # fmt: skip
_BASE_TABS = (("전체", ""), *((name, seq) for seq, name in EMART24_SECTIONS.items()))
_ALIGNS = (
    ("RECENT", "최신순"),
    ("PRICE_ASC", "낮은 가격순"),
    ("PRICE_DESC", "높은 가격순"),
    ("POPULAR", "인기순"),
)
_LOOK = Look(
    banner="노랑섬 마켓",
    links=(("행사 상품", _START),),
    styles=("/css/emart24.css",),
    scripts=("/js/emart24.js",),
)


def _aligned(rows: list[Row], align: str) -> list[Row]:
    if align == "PRICE_ASC":
        return sorted(rows, key=lambda row: row.price_krw)
    if align == "PRICE_DESC":
        return sorted(rows, key=lambda row: -row.price_krw)
    if align == "POPULAR":
        return sorted(rows, key=lambda row: row.goods.barcode[::-1])
    return rows


def _rows(visit: Visit) -> list[Row]:
    category, base = visit.value("category_seq"), visit.value("base_category_seq")
    kind, section = CATEGORIES.get(category), EMART24_SECTIONS.get(base)
    gone = GONE_SECTION if "section-gone" in visit.modes else None
    word = visit.value("search")
    rows = visit.shop.listing(
        lambda row: (
            (not category or row.kind is kind)
            and (not base or (section is not None and row.section == section))
            and (gone is None or row.section != gone)
            and word in row.name
        )
    )
    return _aligned(rows, visit.value("align"))


def _card(row: Row) -> str:
    style, text = _BADGES[row.kind]
    if row.faults.badge:
        style, text = "fourpl", row.faults.badge
    # NEW is always in the text; the style alone tells whether it is meant.
    new = "" if row.is_new else ' style="opacity: 0;"'
    return f"""
        <div class="itemWrap">
            <div class="itemTit">
                <span class="floatL"{new}>NEW</span>
                <span class="{style} floatR">{text}</span>
            </div>
            <div class="itemSpImg">
                <img onerror="{_ON_ERROR}" src="{row.image_shown}" alt="">
            </div>
            <span class="itemLine"></span>
            <div class="itemTxtWrap">
                <div class="itemtitle">
                    <p>
                        <a href="#none">{row.name_html}</a>
                    </p>
                </div>
                <span>
                    {_prices(row)}
                </span>
            </div>
        </div>"""


def _prices(row: Row) -> str:
    before = row.regular_price_krw
    prices = [] if before is None else [("priceOff", f"{before:,}")]
    return "\n                    ".join(
        f'<a style="cursor:default;" href="#none" class="{style}">{price} 원</a>'
        for style, price in (*prices, ("price", row.price_text))
    )


def _choices(visit: Visit) -> str:
    align = visit.value("align") or "RECENT"
    category, base = visit.value("category_seq"), visit.value("base_category_seq")
    category = category if category in CATEGORIES else ""
    base = base if base in EMART24_SECTIONS else ""

    def anchor(text: str, chosen: bool, seq: str, base_seq: str, order: str = "RECENT") -> str:
        address = (
            f"/goods/event?search=&amp;page=1&amp;category_seq={seq}"
            f"&amp;base_category_seq={base_seq}&amp;align={order}"
        )
        return f'<a href="{address}"{marked(chosen)}>{text}</a>'

    tabs = [anchor(text, seq == category, seq, base) for text, seq in _TABS]
    bases = [anchor(text, seq == base, category, seq) for text, seq in _BASE_TABS]
    aligns = "".join(
        f'<li class="dropOption" data-align="{name}">'
        f"{anchor(text, name == align, category, base, name)}</li>"
        for name, text in _ALIGNS
    )
    return (
        f'<ul class="eventTab"><li>{"</li><li>".join(tabs)}</li></ul>\n'
        f'<ul class="baseTab"><li>{"</li><li>".join(bases)}</li></ul>\n'
        f'<ul class="dropDown">{aligns}</ul>'
    )


def _event(visit: Visit) -> Draft:
    parts = (visit.value(name) for name in ("category_seq", "base_category_seq", "align"))
    key = "-".join(("event", *parts))
    page = visit.number("page", 1)
    shown = visit.view(key, _rows(visit), page, fixed(PAGE_SIZE))
    return Draft(document(visit, _LOOK, _body(visit, shown)))


def _body(visit: Visit, shown: View) -> str:
    cards = "".join(_card(row) for row in shown.rows)
    return f"""{_choices(visit)}
                <section class="itemList">{cards}
                </section>
<div class="pageNationWrap"></div>
<script type="text/javascript">
    const page = "{shown.page}";
    const pageLength = "{PAGE_SIZE}";
    const totalCount = "{shown.total}";
</script>
"""


EMART24 = StandIn(
    chain=Chain.EMART24,
    start=_START,
    pages={"/goods/event": Page(_event, "document")},
    robots="User-agent: *\nAllow: /\nDisallow: /founded/brief/req\nDisallow: /founded/recommend\n",
    list_selector="section.itemList",
    drift={
        "itemWrap": "goodsBox",
        "itemList": "goodsGrid",
        "itemTit": "goodsTop",
        "itemSpImg": "goodsPic",
        "itemtitle": "goodsName",
        "totalCount": "allCount",
        "onepl": "one1",
        "twopl": "two1",
    },
)
