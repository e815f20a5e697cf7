"""What a publication asks a linker, and what it gets back.

A linker is given to `publishing.publish`; the matcher of `linking` is one. It is asked once for all
rows of a publication that have no barcode and that no person has tied to an item.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection

from promolens_catalog.offers import Offer

CERTAIN_METHODS = ("barcode", "exact", "own", "review")
"""How a row comes to its item without a guess: by a key, as its first one, or by a person."""


@dataclass(frozen=True)
class LinkCandidate:
    """An item that a row may be; goes into the review queue. `score` rises with likeness, 0..1."""

    item_id: int
    score: float


@dataclass(frozen=True)
class Link:
    """Which item a row is.

    Attributes:
        item_id: `None` where nothing was sure enough: the row becomes an item of its own.
        method: how it was found, such as `name-price-size`.
        score: 0..1.
        candidates: the doubtful ones, best first; a person decides about them.
    """

    item_id: int | None
    method: str
    score: float | None = None
    candidates: tuple[LinkCandidate, ...] = ()


class Linker(Protocol):
    """Finds the items of rows that have no barcode."""

    def __call__(self, connection: Connection, offers: Sequence[Offer]) -> Sequence[Link]:
        """Return one link for each offer, in the same order.

        It runs inside the publication's write transaction, after the items with barcodes of the
        same publication were made, and before its rows are there. It writes nothing itself.
        """
        ...
