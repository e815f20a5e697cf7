"""Stand-in of GS25's legacy protocol: a token, a session, and JSON inside a JSON string."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable

from promolens_catalog.calendar import first_day
from promolens_catalog.chains import Chain
from promolens_catalog.kinds import Kind
from promolens_demo.shops.frame import Look, document
from promolens_demo.shops.rows import Row
from promolens_demo.shops.site import Draft, Page, StandIn, Visit
from promolens_demo.shops.view import fixed

PAGE_SIZE = 8
LARGEST_PAGE = 500
LISTS: dict[str, Callable[[Row], bool]] = {
    "ONE_TO_ONE": lambda row: row.kind is Kind.ONE_PLUS_ONE,
    "TWO_TO_ONE": lambda row: row.kind is Kind.TWO_PLUS_ONE,
    "GIFT": lambda row: row.kind is Kind.GIFT,
    "TOTAL": lambda row: True,
}
_KINDS = {
    Kind.ONE_PLUS_ONE: ("ONE_TO_ONE", "1+1"),
    Kind.TWO_PLUS_ONE: ("TWO_TO_ONE", "2+1"),
    Kind.GIFT: ("GIFT", "덤증정"),
}
_TAB_NAMES = {
    "ONE_TO_ONE": "1+1 행사",
    "TWO_TO_ONE": "2+1 행사",
    "GIFT": "덤증정 행사",
    "TOTAL": "전체",
}
_START = "/gscvs/ko/products/event-goods"
_LOOK = Look(
    banner="파랑재 25시",
    links=(("행사 상품", _START),),
    styles=("/css/gs25.css",),
    scripts=("/js/gs25.js",),
)
_JSON = "application/json"
_SESSION = "JSESSIONID"


def _session_of(visit: Visit) -> str:
    """Return the visitor's session, or a new one."""
    return visit.cookies.get(_SESSION) or visit.new_session


def _token_of(visit: Visit, session: str) -> str:
    key = f"gs25 {visit.shop.assortment.seed}".encode()
    return hmac.new(key, session.encode(), hashlib.sha256).hexdigest()[:36]


def _tab_block(token: str) -> str:
    tabs = "".join(
        f'<li><a href="#{code}" id="{code}" onclick="goodsPageController.moveTab(\'{code}\');'
        f'return false;">{name}</a></li>'
        for code, name in _TAB_NAMES.items()
    )
    return f"""<input type="hidden" name="CSRFToken" value="{token}" />
<div class="eventtab"><ul>{tabs}</ul></div>
"""


def _event_goods(visit: Visit) -> Draft:
    session = _session_of(visit)
    token = _token_of(visit, session)
    picks = visit.shop.rows()[:3]
    recommended = "".join(
        f'<li><p class="img"><img src="{row.image_shown}" alt="{row.name_html}" /></p>'
        f'<p class="tit">{row.name_html}</p></li>'
        for row in picks
    )
    body = f"""{_tab_block(token)}
<div class="tblwrap mt20">
<h2>MD 추천</h2>
<ul class="mdprod_list">{recommended}</ul>
</div>
<div class="tblwrap mt50">
<ul class="prod_list"></ul>
<div class="paging"></div>
</div>
<script type="text/javascript">
	var CSRFToken="{token}";
</script>
"""
    cookie = f"{_SESSION}={session}; Path=/; HttpOnly; SameSite=Lax"
    return Draft(document(visit, _LOOK, body), headers={"set-cookie": cookie})


def _allowed(visit: Visit) -> bool:
    session = visit.cookies.get(_SESSION, "")
    given = visit.query.get("CSRFToken", "")
    if visit.method != "POST" or not session or not given.isascii():
        return False
    return hmac.compare_digest(given, _token_of(visit, session))


def _picture(visit: Visit, path: str) -> str:
    return visit.home + (path or "/imgsvr/item/null")


def _stamp(visit: Visit) -> str:
    return f"{first_day(visit.shop.month):%b} 1, {visit.shop.month[:4]} 12:00:00 AM"


def _fields(row: Row, visit: Visit) -> dict[str, object]:
    code, kind_name = _KINDS[row.kind]
    if row.faults.badge:
        code, kind_name = "FOUR_TO_ONE", row.faults.badge
    number = int(row.goods.barcode[2:12])
    name = row.faults.name_json or row.name
    price: object = row.faults.price or float(row.price_krw)
    image, stamp = _picture(visit, row.image_shown), _stamp(visit)
    fields: dict[str, object] = {
        "attFileId": f"MD{number:013d}",
        "goodsStat": {"code": "M", "codeLowerCase": "m"},
        "prmtPriority": 1 + number % 9,
        "imageFileAppDt": stamp,
        "goodsStatOld": {"code": "L", "codeLowerCase": "l"},
        "eventTypeNm": kind_name,
        "goodsNm": name,
        "goodsStatNm": "정상",
        "goodsStatAppDt": stamp,
        "prmtCd": f"C{100 + number % 900}",
        "eventTypeSp": {"code": code, "codeLowerCase": code.lower()},
        "price": price,
        "prmtBuyQty": 0,
        "priceOld": float(row.price_krw),
        "attFileNmOld": image,
        "abrGoodsNm": row.name.partition(")")[2][:7] or row.name[:7],
        "priceApplyDate": stamp,
        "prmtYear": visit.shop.month[:4],
        "goodsStatNmOld": "중단",
        "attFileNm": image,
    }
    if number % 7:
        fields["attFileIdOld"] = f"MD{number + 1_000:013d}"
    if not row.file_id_shown:
        del fields["attFileId"]
    if row.gift is not None:
        fields["giftGoodsNm"] = row.gift.name
        fields["giftPrice"] = float(row.gift.price_krw or 0)
        fields["giftAttFileNm"] = _picture(visit, row.gift.image_url or "")
    return fields


def _search(visit: Visit) -> Draft:
    if not _allowed(visit):
        return Draft("<html><body><h1>403 Forbidden</h1></body></html>", status=403)
    listing = visit.value("parameterList")
    belongs = LISTS.get(listing, lambda row: False)
    size = visit.number("pageSize", PAGE_SIZE, LARGEST_PAGE)
    number = visit.number("pageNum", 1)
    shown = visit.view(listing[:20], visit.shop.listing(belongs), number, fixed(size))
    answer = {
        "results": [_fields(row, visit) for row in shown.rows],
        "pagination": {
            "totalNumberOfResults": shown.total,
            "numberOfPages": shown.pages,
            "pageSize": size,
            # Counted from 0, although pageNum counts from 1.
            "currentPage": number - 1,
        },
    }
    inner = json.dumps(answer, ensure_ascii=False)
    return Draft(json.dumps(inner, ensure_ascii=False), _JSON)


def _popups(visit: Visit) -> Draft:
    return Draft(
        json.dumps([{"pk": "1", "title": "이달의 행사", "text": "지어낸 행사 소식입니다."}]), _JSON
    )


GS25 = StandIn(
    chain=Chain.GS25,
    start=_START,
    pages={
        _START: Page(_event_goods, "document"),
        "/gscvs/ko/products/event-goods-search": Page(_search, "list"),
        "/gscvs/ko/popup-list": Page(_popups, "asset"),
    },
    robots=(
        "User-agent: *\nCrawl-delay: 10\nRequest-rate: 1/10\nVisit-time: 0400-0845\n"
        "Disallow: /cart\nDisallow: /checkout\nDisallow: /my-account\n"
    ),
    list_selector=".tblwrap ul.prod_list",
    drift={
        "results": "goodsItems",
        "pagination": "pageState",
        "totalNumberOfResults": "allResults",
        "goodsNm": "goodsTitle",
        "eventTypeSp": "eventSort",
        "eventTypeNm": "eventName",
        "attFileNm": "pictureName",
        "prod_list": "goods_list",
        "prod_box": "goods_box",
        "flag_box": "flag_area",
        "tblwrap": "tblarea",
    },
)
