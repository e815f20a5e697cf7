"""One store as a public list states it, and why a row of a list gives none."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from promolens_catalog.chains import Chain
from promolens_catalog.store_distance import Box

# From Marado to the northern border, from Baengnyeongdo to Dokdo, with room around it.
KOREA = Box(32.5, 39.5, 124.0, 132.5)
MAX_TEXT_CHARACTERS = 300
MAX_ID_CHARACTERS = 100


class LeftOut(StrEnum):
    """Why a row is not among the stores; the value is what reports count it under."""

    BROKEN = "broken row"
    UNREADABLE = "unreadable name"
    OTHER_KIND = "no convenience store"
    CLOSED = "closed"
    NO_ID = "no number"
    NO_NAME = "no name"
    NO_PLACE = "no coordinates"
    OUTSIDE = "coordinates outside Korea"
    REPEATED = "repeated"


@dataclass(frozen=True)
class StoreRow:
    """One store.

    Attributes:
        source: the list that has it, replaced as a whole: `semas-41`, `gyeonggi-수원시`.
        source_id: what names it there.
        chain: whose stores it is one of today; `None` for a shop of no known chain.
        name: as the list spells it.
        branch: the part of the name that tells it from others of its chain.
        latitude, longitude: WGS84, degrees.
    """

    source: str
    source_id: str
    chain: Chain | None
    name: str
    branch: str | None
    address: str | None
    phone: str | None
    latitude: float
    longitude: float


def place_of(latitude: str, longitude: str) -> tuple[float, float] | LeftOut:
    """Return the coordinates that two cells hold, or why they hold none."""
    try:
        north, east = float(latitude), float(longitude)
    except ValueError:
        return LeftOut.NO_PLACE
    # Lists write 0 where nobody has looked a place up.
    if not (math.isfinite(north) and math.isfinite(east)) or (north == 0 and east == 0):
        return LeftOut.NO_PLACE
    return (north, east) if KOREA.holds(north, east) else LeftOut.OUTSIDE


def cell_text(cell: str) -> str:
    """Return a cell without blanks around it and without control characters, cut to a sane length.

    `""` where it holds what could not be read.
    """
    if "\N{REPLACEMENT CHARACTER}" in cell:
        return ""
    shown = "".join(letter if letter.isprintable() else " " for letter in cell)
    return " ".join(shown.split())[:MAX_TEXT_CHARACTERS]
