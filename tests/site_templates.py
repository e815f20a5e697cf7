"""The chains' pages as small templates: what a shop would print for given cards."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from html import escape

from promolens_catalog.chains import Chain
from promolens_catalog.kinds import Kind
from promolens_crawler.pages import Card

HOST = "https://images.invalid"
CU_BADGES = {
    Kind.ONE_PLUS_ONE: ("plus1", "1+1"),
    Kind.TWO_PLUS_ONE: ("plus2", "2+1"),
    Kind.THREE_PLUS_ONE: ("plus3", "3+1"),
}
GS25_BADGES = {
    Kind.ONE_PLUS_ONE: ("ONE_TO_ONE", "1+1"),
    Kind.TWO_PLUS_ONE: ("TWO_TO_ONE", "2+1"),
    Kind.GIFT: ("GIFT", "덤증정"),
}
SEVEN_BADGES = {
    Kind.ONE_PLUS_ONE: ("ico_tag_06", "1+1"),
    Kind.TWO_PLUS_ONE: ("ico_tag_07", "2+1"),
    Kind.GIFT: ("ico_present", "증정"),
    Kind.DISCOUNT: ("ico_tag_02", "할인"),
}
EMART24_BADGES = {
    Kind.ONE_PLUS_ONE: ("onepl", "1 + 1"),
    Kind.TWO_PLUS_ONE: ("twopl", "2 + 1"),
    Kind.THREE_PLUS_ONE: ("tripl", "3 + 1"),
    Kind.DISCOUNT: ("sale", "세일"),
    Kind.PICK_AND_MIX: ("gola", "골라담기"),
}
CSPACE_BADGES = {
    Kind.ONE_PLUS_ONE: "onePlus",
    Kind.TWO_PLUS_ONE: "twoPlus",
    Kind.DISCOUNT: "sale",
}
KINDS: dict[Chain, tuple[Kind, ...]] = {
    Chain.CU: tuple(CU_BADGES),
    Chain.GS25: tuple(GS25_BADGES),
    Chain.SEVEN: tuple(SEVEN_BADGES),
    Chain.EMART24: tuple(EMART24_BADGES),
    Chain.CSPACE: tuple(CSPACE_BADGES),
}


def image_of(chain: Chain, barcode: str | None) -> str | None:
    """Where the chain keeps the picture of a code; `None` where it shows a placeholder."""
    if barcode is None:
        return f"{HOST}/product/1B24AFDFCE.jpg" if chain is Chain.CU else None
    paths = {
        Chain.CU: f"/product/{barcode}_1.png",
        Chain.GS25: f"/imgsvr/item/GD_{barcode}_002.jpg",
        Chain.SEVEN: f"/upload/product/{barcode[:7]}/{barcode[7:]}.1.jpg",
        Chain.EMART24: f"/cmsbo/500x500/{barcode}.JPG",
        Chain.CSPACE: f"/program_file/{barcode}.jpg",
    }
    return HOST + paths[chain]


def cu(cards: Sequence[Card]) -> str:
    """A fragment of CU: blank lines, a head, two lists."""

    def one(card: Card) -> str:
        style, text = CU_BADGES[card.kind]
        view = f"view({card.site_id});"
        return f"""<li class="prod_list"><div class="prod_item"><div class="prod_wrap">
<div class="prod_img" onclick="{view}"><img src="{card.image_url}" class="prod_img"/></div>
<div class="prod_text"><div class="name" onclick="{view}"><p>{escape(card.name)}</p></div> <!-- -->
<div class="price"><strong>{card.price_krw:,}</strong><span class="won">원</span></div></div></div>
<div class="badge"> <!-- [D] .plus1 : 1+1 --> <span class="{style}">{text}</span></div>
<div class="tag"><span class="new"></span></div></div></li>"""

    half = len(cards) // 2
    lists = "".join(f"<ul>{''.join(map(one, part))}</ul>" for part in (cards[:half], cards[half:]))
    return "\n" * 24 + f'<head><!-- head --></head><div class="prodListWrap">{lists}</div>'


def gs25(cards: Sequence[Card]) -> str:
    """An answer of GS25: JSON inside a JSON string."""

    def one(card: Card) -> dict[str, object]:
        code, text = GS25_BADGES[card.kind]
        row: dict[str, object] = {
            "goodsNm": card.name,
            "price": float(card.price_krw),
            "priceOld": 1.0,
            "attFileNm": card.image_url or f"{HOST}/imgsvr/item/null",
            "eventTypeNm": text,
            "eventTypeSp": {"code": code, "codeLowerCase": code.lower()},
        }
        if card.gift:
            row["giftGoodsNm"], row["giftPrice"] = card.gift.name, card.gift.price_krw
            row["giftAttFileNm"] = card.gift.image_url or f"{HOST}/null"
        return row

    pages = {"totalNumberOfResults": len(cards), "numberOfPages": 1, "currentPage": 0}
    return json.dumps(json.dumps({"results": list(map(one, cards)), "pagination": pages}))


def gs25_rendered(cards: Sequence[Card]) -> str:
    """The page of GS25 in a browser, with the recommendations above the list."""

    def box(name: str, price_krw: int, image: str | None, more: str) -> str:
        src = image or f"{HOST}/imgsvr/item/null"
        return f"""<li><div class="prod_box"><p class="img"><img src="{src}"></p>
<p class="tit">{escape(name)}</p>
<p class="price"><span class="cost">{price_krw:,}<span>원</span></span></p>{more}</div></li>"""

    def one(card: Card) -> str:
        code, text = GS25_BADGES[card.kind]
        flag = f'<div class="flag_box {code}"><p class="flg01"><span>{text}</span></p></div>'
        gift = card.gift
        if gift:
            flag += f"""<div class="dum_box"><div class="dum_prd"><p class="tit">덤증정 상품</p>
<p class="img"><img src="{gift.image_url or f"{HOST}/null"}"></p></div><div class="dum_txt">
<p class="name">{escape(gift.name)}</p>
<p class="price"><span class="cost">{gift.price_krw}<span>원</span></span></p></div></div>"""
        return box(card.name, card.price_krw, card.image_url, flag)

    advice = box("MD", 9_900, None, '<div class="flag_box ONE_TO_ONE">1+1</div>')
    return f"""<html><body><div class="tblwrap mt20"><ul class="mdprod_list">{advice}</ul></div>
<div class="tblwrap mt50"><ul class="prod_list">{"".join(map(one, cards))}</ul></div>
<data id="declared-total" value="{len(cards)}"></data></body></html>"""


def _seven_block(name: str, price_krw: int | None, image: str | None, *, nested: bool) -> str:
    src = image or "/front/img/product/product_list_01.jpg"
    price = f"{price_krw:,}" if price_krw is not None else ""
    inner = f"""<div class="pic_product"><img src="{src}" alt="{escape(name)}"/>
<div class='infowrap'><div class='name' style=''>{escape(name)}</div>
<div class='price' style=''><span>{price}</span></div></div></div>"""
    words = f"""<dl class="product_content"><dt><span class="tit_product">{escape(name)}</span></dt>
<dd class="txt_product">{escape(name)}</dd><dd class="price_list"><span>{price}</span></dd></dl>"""
    return (f'<div class="pic_product">{inner}</div>' if nested else inner) + words


def _seven_card(card: Card, *, nested: bool) -> str:
    style, text = SEVEN_BADGES[card.kind]
    link = f'<a href="javascript: fncGoView(\'{card.site_id}\');" class="btn_product_01"></a>'
    more = ""
    if card.gift:
        gift = card.gift
        more = _seven_block(gift.name, gift.price_krw, gift.image_url, nested=nested)
        more += '<a href="javascript: fncGoView(\'1\');" class="btn_product_02"></a>'
    return f"""<li><ul class="tag_list_01"><li class='{style}'>{text}</li>
<li class="ico_tag_04">PB</li></ul>
{_seven_block(card.name, card.price_krw, card.image_url, nested=nested)}{link}{more}</li>"""


def seven_first(cards: Sequence[Card]) -> str:
    """The page of 7-Eleven itself: pictures once, a heading first."""
    rows = "".join(_seven_card(card, nested=False) for card in cards)
    return f"""<html><body><ul id="listUl"><li><span class="img_list_tit_02">1+1</span></li>{rows}
<li class="btn_more" id="moreImg"><a href="javascript: fncMore('');">MORE</a></li></ul>
<input type="hidden" id="listCnt" value="{len(cards)}" />
<script>var intTotalCount = "{len(cards)}";</script></body></html>"""


def seven_more(cards: Sequence[Card]) -> str:
    """A fragment of 7-Eleven: pictures nested twice, the list's opening inside a comment."""
    rows = "".join(_seven_card(card, nested=True) for card in cards)
    return f"""<!-- <div><ul><li><span class="img_list_tit_02">1+1</span></li> -->{rows}
<li class="btn_more" id="moreImg"><a href="javascript: fncMore('1');">MORE</a></li>
<input type="hidden" id="listCnt" value="{len(cards)}" /><!-- 닫지 않은 주석"""


def emart24(cards: Sequence[Card]) -> str:
    """A page of emart24: NEW in every card, the total in a script."""

    def one(card: Card) -> str:
        style, text = EMART24_BADGES[card.kind]
        src = card.image_url or "/assets/imgs/productPlaceHolder.png"
        off = ""
        if card.regular_price_krw is not None:
            off = f'<a href="#none" class="priceOff">{card.regular_price_krw:,} 원</a>'
        return f"""<div class="itemWrap"><div class="itemTit">
<span class="floatL" style="opacity: 0;">NEW</span><span class="{style} floatR">{text}</span></div>
<div class="itemSpImg"><img onerror="this.src='/p.png'" src="{src}" alt=""></div>
<div class="itemTxtWrap"><div class="itemtitle"><p><a href="#none">{escape(card.name)}</a></p></div>
<span>{off}<a href="#none" class="price">{card.price_krw:,} 원</a></span></div></div>"""

    return f"""<html><body><section class="itemList">{"".join(map(one, cards))}</section>
<script>const page = "1"; const pageLength = "20"; const totalCount = "{len(cards)}";</script>"""


def cspace(cards: Sequence[Card]) -> str:
    """A page of C-Space: the class of a card is its badge."""

    def one(card: Card) -> str:
        return f"""<li class="{CSPACE_BADGES[card.kind]}"><div>
<span class="img"><img src="{card.image_url or "/images/no_img.gif"}" /></span>
<dl><dt>{escape(card.name)}</dt><dd>{card.price_krw:,}원</dd></dl></div></li>"""

    return f"""<html><body><div class="product-list"><ul class="box">{"".join(map(one, cards))}
</ul></div><select id="page"><option value="1">1 / 1</option></select></body></html>"""


TEMPLATES: dict[str, tuple[Chain, Callable[[Sequence[Card]], str], int, bool]] = {
    # name: chain, template, page number, as a browser rendered it
    "cu": (Chain.CU, cu, 1, False),
    "gs25": (Chain.GS25, gs25, 1, False),
    "gs25_rendered": (Chain.GS25, gs25_rendered, 1, True),
    "seven_first": (Chain.SEVEN, seven_first, 1, False),
    "seven_more": (Chain.SEVEN, seven_more, 2, False),
    "emart24": (Chain.EMART24, emart24, 1, False),
    "cspace": (Chain.CSPACE, cspace, 1, False),
}
