"""How much is in it, as product names say: `500ml`, `1.5L`, `40G`, `P500ml`, `캔355`, `10입`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from promolens_catalog.names import fold, normalise

Unit = Literal["ml", "g", "count"]

MAX_AMOUNT = 1_000_000
"""A larger amount (a tonne, a thousand litres) is no shop product: such a text is no size."""


@dataclass(frozen=True)
class Size:
    """The content of one sold piece.

    Attributes:
        amount: exact, above 0: millilitres, grams or pieces.
        unit: `ml`, `g` or `count`.
    """

    amount: Fraction
    unit: Unit

    def __str__(self) -> str:
        """Return text that `parse_size` reads back: `500ml`, `62.5g`, `10입`."""
        number = _decimal(self.amount)
        return f"{number}{'입' if self.unit == 'count' else self.unit}"


_NUMBER = r"(?<![\d.,])(?P<amount>\d{1,6}(?:\.\d{1,3})?)"
_TIMES = r"(?: ?[*x×] ?(?P<times>\d{1,3})(?!\d)(?:입|개|팩|봉|롤|병|캔|구|포|매|p|r)?)"
# "(3입)" and "24팩" straight after an amount is how often the amount is in the pack. The other way
# round, "5입100g", the amount is of the whole.
_PACKED = r"(?: ?\(?(?P<packed>\d{1,3})(?:입|개|팩|봉|병|캔|구|포)(?:묶음)?\)?)"
_UNITS = {
    "ml": ("ml", 1),
    "cc": ("ml", 1),
    "m": ("ml", 1),
    "l": ("ml", 1000),
    "g": ("g", 1),
    "kg": ("g", 1000),
}
_MEASURE = re.compile(
    # "2.2.l" is a slip that shops make; "20m" at the very end is "20ml" cut off.
    rf"{_NUMBER}\.? ?(?P<unit>ml|kg|cc|g|l|m$)(?:(?![a-z])|(?=pet|x\d))(?:{_TIMES}|{_PACKED})?"
)
_CONTAINER = re.compile(
    r"(?:(?<![a-z\d])p|pet|펫|페트|캔|병) ?(?P<amount>\d{2,4})(?![\d.,%a-z가-힣])"
)
# Ministop wrote it the other way round: "250캔".
_FILLED = re.compile(r"(?<![\d.,])(?P<amount>\d{3,4})(?=캔|병|펫|페트)")
_COUNT = re.compile(
    r"(?<![\d.,])(?P<amount>\d{1,4}) ?"
    rf"(?:입|매|개(?!월)|롤|정|캡슐?|포|구|팩|봉(?!지)|병|캔|장|[pt](?![a-z\d])){_TIMES}?"
)
_MULTIPACK = re.compile(r"[*x×] ?(?P<amount>\d{1,3})(?:입|개|팩|봉|롤|병|캔|구|포|p|r)?(?![\da-z])")


def parse_size(name: str) -> Size | None:
    """Return what the name says about its content, or `None` where it says nothing readable.

    Volume and weight win over counts (`카스타드6입138g` is 138 g). A multiplier is carried out:
    `햇반210g*3입` and `햇반210g(3입)` are 630 g. A bare number is a size only after a container
    word (`캔355`, `P500`: millilitres); cut-off names such as `아메리카노550` give `None`.
    """
    return split_size(name)[1]


def split_size(name: str) -> tuple[str, Size | None]:
    """Return the normalised name without its size, and the size: `콜라펫500ml` -> `콜라펫`, 500 ml.

    Without a readable size it is the whole normalised name and `None`.
    """
    # Blanks count here: "두유99.9 190ml" is not 99.919 litres.
    text = fold(name)
    for pattern, read in (
        (_MEASURE, _measure),
        (_CONTAINER, _millilitres),
        (_FILLED, _millilitres),
        (_COUNT, _pieces),
        (_MULTIPACK, _pieces),
    ):
        # The last one wins: sizes stand at the end, and numbers before are often part of a brand.
        for match in reversed(list(pattern.finditer(text))):
            size = read(match)
            if size is not None:
                start = match.start("amount")
                return normalise(text[:start] + text[match.end() :]), size
    return normalise(text), None


def _measure(match: re.Match[str]) -> Size | None:
    unit, factor = _UNITS[match["unit"]]
    times = int(match["times"] or match["packed"] or 1)
    return _size(match["amount"], factor * times, unit)


def _millilitres(match: re.Match[str]) -> Size | None:
    return _size(match["amount"], 1, "ml")


def _pieces(match: re.Match[str]) -> Size | None:
    times = match.groupdict().get("times")
    return _size(match["amount"], int(times or 1), "count")


def _size(number: str, times: int, unit: str) -> Size | None:
    # Reading a Fraction from text takes ten times as long as an integer.
    amount = Fraction(int(number) * times) if number.isdigit() else Fraction(number) * times
    if not 0 < amount <= MAX_AMOUNT:
        return None
    return Size(amount, "ml" if unit == "ml" else "g" if unit == "g" else "count")


def _decimal(amount: Fraction) -> str:
    """Return a plain decimal of up to 3 places; sizes have no more."""
    text = f"{float(amount):.3f}".rstrip("0").rstrip(".")
    return text or "0"
