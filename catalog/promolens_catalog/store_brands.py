"""Which chain a store belongs to, from the many ways in which lists spell its name.

`지에스(GS)25 광교수자인`, `씨유(CU)천천삼호점`, `7-ELEVEN 강남점`, `(주)비지에프휴먼넷 1호점`.
A name that fits no chain gives none: a shop of nobody is better than one of the wrong chain.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from promolens_catalog.chains import CHAINS, Chain

MAX_NAME_CHARACTERS = 200

# Signs and blanks are taken out before these are compared; what precedes may be a form of company.
# Other shops and firms of a group whose convenience stores we look for.
_OTHERS = (
    r"(?:gs|지에스)(?:더프레[시쉬]|thefresh|fresh|슈퍼|수퍼|마트|마켓|프레[시쉬]|칼텍스|caltex|자이|"
    r"왓슨|리테일본사|넷비전|네트웍)|이마트(?:에브리데이|트레이더스)|(?:gs|지에스)+(?:gs)?thefresh"
)
_PATTERNS: tuple[tuple[Chain | None, str], ...] = (
    (None, _OTHERS),
    # Their names are too short to be looked for in the middle of another.
    (Chain.CU, r"^(?:주식회사|주)?(?:비지에프|bgf)(?:리테일|휴먼넷)(?:씨유|cu)?"),
    (Chain.CU, r"^(?:주식회사|주)?(?:씨유(?!통)|cu(?![a-z]))+"),
    (Chain.CU, r"^(?:훼미리마트|패밀리마트|familymart)"),
    (Chain.CSPACE, r"^(?:주식회사|주)?(?:씨스페이스|cspace)(?:24)?"),
    (Chain.SEVEN, r"(?:주식회사|주)?코리아세븐(?:세븐일레븐|7eleven)?"),
    (Chain.SEVEN, r"(?:세븐일[레래]븐|세븐11|7일레븐|7eleven|seveneleven)+"),
    (Chain.SEVEN, r"^바이더웨이"),
    (Chain.EMART24, r"(?:이마트(?:24|이십사|이사)|emart(?:24|이십사))+(?:r(?![a-z]))?"),
    (Chain.EMART24, r"^(?:위드미|withme)(?!디|드)"),
    (Chain.MINISTOP, r"(?:미니스톱|ministop)+"),
    (Chain.GS25, r"(?:gs|지에스)*(?:gs|지에스)(?:25|이십오)(?:(?:gs|지에스)25)?(?:시?편의점)?"),
    # A shop in a list of convenience stores that names the group only.
    (Chain.GS25, r"^(?:gs|지에스)(?:리테일)?(?=[가-힣])"),
)
_COMPILED = tuple((chain, re.compile(pattern)) for chain, pattern in _PATTERNS)


@dataclass(frozen=True)
class Brand:
    """What a name says.

    Attributes:
        chain: as the name spells it, Ministop included; `None` for a shop of no known chain.
        branch: what is left of the name, such as `수원서둔중앙점`; `""` if nothing is.
    """

    chain: Chain | None
    branch: str

    @property
    def stores_of(self) -> Chain | None:
        """The chain whose stores answer for it today: Ministop's are 7-Eleven's."""
        return None if self.chain is None else CHAINS[self.chain].stores_of


def brand_of(name: str) -> Brand:
    """Return what a name says; the earliest chain in it counts, of two at one place the first.

    >>> brand_of("지에스(GS)25 광교수자인")
    Brand(chain=<Chain.GS25: 'gs25'>, branch='광교수자인')
    """
    text = unicodedata.normalize("NFKC", name[:MAX_NAME_CHARACTERS])
    squeezed, places = _squeezed(text)
    found = [
        (match.start(), order, chain, match)
        for order, (chain, pattern) in enumerate(_COMPILED)
        if (match := pattern.search(squeezed))
    ]
    if not found:
        return Brand(None, "")
    _, _, chain, match = min(found, key=lambda one: one[:2])
    return Brand(chain, _branch(text, places, match.end()) if chain else "")


def chain_of(name: str) -> Chain | None:
    """Return the chain whose stores answer for a name; `None` for a shop of no known chain."""
    return brand_of(name).stores_of


def _squeezed(text: str) -> tuple[str, list[int]]:
    """Return letters and digits, casefolded, and where each was in `text`."""
    kept: list[str] = []
    places: list[int] = []
    for place, letter in enumerate(text):
        for folded in letter.casefold():
            if folded.isalnum():
                kept.append(folded)
                places.append(place)
    return "".join(kept), places


def _branch(text: str, places: list[int], end: int) -> str:
    rest = text[places[end] :] if end < len(places) else ""
    rest = " ".join(rest.split()).strip(" _-·.,")
    # `세븐일레븐(수원영통점)` leaves a bracket that opens nothing.
    if rest.endswith(")") and rest.count("(") < rest.count(")"):
        rest = rest[:-1].rstrip()
    return rest
