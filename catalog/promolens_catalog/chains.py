"""The chains, as an explicit table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Chain(StrEnum):
    """One convenience-store chain; the value is what databases, addresses and options spell."""

    CU = "cu"
    GS25 = "gs25"
    SEVEN = "seven"
    EMART24 = "emart24"
    CSPACE = "cspace"
    MINISTOP = "ministop"


@dataclass(frozen=True)
class ChainInfo:
    """What people read about a chain.

    Attributes:
        stores_of: the chain whose stores answer for it: Ministop's became 7-Eleven's in 2024.
        historic: its lists are data of the past; nothing is crawled any more.
    """

    chain: Chain
    name_ko: str
    name_en: str
    stores_of: Chain
    historic: bool = False


CHAINS: dict[Chain, ChainInfo] = {
    info.chain: info
    for info in (
        ChainInfo(Chain.CU, "CU", "CU", Chain.CU),
        ChainInfo(Chain.GS25, "GS25", "GS25", Chain.GS25),
        ChainInfo(Chain.SEVEN, "세븐일레븐", "7-Eleven", Chain.SEVEN),
        ChainInfo(Chain.EMART24, "이마트24", "emart24", Chain.EMART24),
        ChainInfo(Chain.CSPACE, "씨스페이스", "C-Space", Chain.CSPACE),
        ChainInfo(Chain.MINISTOP, "미니스톱", "Ministop", Chain.SEVEN, historic=True),
    )
}
