"""Promotion kinds: the closed list of what a badge may mean."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a shopper gets; the value is what databases, addresses and options spell."""

    ONE_PLUS_ONE = "1+1"
    TWO_PLUS_ONE = "2+1"
    THREE_PLUS_ONE = "3+1"
    GIFT = "gift"
    DISCOUNT = "discount"
    PICK_AND_MIX = "pick"


@dataclass(frozen=True)
class KindInfo:
    """Names of a kind, and how many are paid for and added; (0, 0) where it is no n+m."""

    kind: Kind
    name_ko: str
    name_en: str
    buy_n: int = 0
    get_m: int = 0


KINDS: dict[Kind, KindInfo] = {
    info.kind: info
    for info in (
        KindInfo(Kind.ONE_PLUS_ONE, "1+1", "buy 1 get 1", 1, 1),
        KindInfo(Kind.TWO_PLUS_ONE, "2+1", "buy 2 get 1", 2, 1),
        KindInfo(Kind.THREE_PLUS_ONE, "3+1", "buy 3 get 1", 3, 1),
        KindInfo(Kind.GIFT, "덤증정", "gift"),
        KindInfo(Kind.DISCOUNT, "할인", "discount"),
        KindInfo(Kind.PICK_AND_MIX, "골라담기", "pick and mix"),
    )
}
