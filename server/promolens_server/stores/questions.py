"""What somebody asks, what a provider is asked, and how its answer becomes theirs.

Where a person stands goes to nobody: a provider is asked about a cell of some hundred metres, and
distances are computed here. So neighbours share one answer, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from promolens_catalog.chains import CHAINS, Chain
from promolens_catalog.store_distance import distance_m
from promolens_catalog.stores import MAX_RADIUS_M

# Coordinates are rounded to three decimals: at most 56 m north and 56 m east.
DECIMALS = 3
CELL_M = 80
RADII_M = (100, 250, 500, 1_000, 2_000, 5_000, 10_000, MAX_RADIUS_M)
LIMITS = (15, 45, 100)


@dataclass(frozen=True)
class Question:
    """What somebody asks; in range (`stores.check_question`).

    Attributes:
        chains: only theirs, those whose stores they are today; all stores without any.
    """

    latitude: float
    longitude: float
    radius_m: float
    chains: frozenset[Chain]
    limit: int


@dataclass(frozen=True)
class Area:
    """What a provider is asked: equal for people who are near to each other.

    Attributes:
        latitude, longitude: of the cell, `DECIMALS` decimals.
        wanted: so many stores are enough.
    """

    latitude: float
    longitude: float
    radius_m: int
    chains: tuple[Chain, ...]
    wanted: int


@dataclass(frozen=True)
class FoundStore:
    """A store as a provider tells it; `id` and `url` are the provider's own."""

    id: str
    chain: Chain | None
    name: str
    branch: str | None
    address: str | None
    phone: str | None
    latitude: float
    longitude: float
    url: str | None = None


@dataclass(frozen=True)
class Found:
    """What a provider knows of an area.

    Attributes:
        complete_m: it has all stores that are within this distance of the area's centre.
        as_of: when its data was true.
    """

    stores: tuple[FoundStore, ...]
    complete_m: float
    as_of: datetime


@dataclass(frozen=True)
class Answer:
    """What one provider says to a question.

    Attributes:
        stores: nearest first, each with its distance in metres.
        complete: no store of the provider's that belongs here is missing.
        certain: that there is no store means that there is none.
    """

    provider: str
    attribution: str
    stores: tuple[tuple[FoundStore, float], ...]
    as_of: datetime
    complete: bool
    certain: bool


def question_of(
    latitude: float, longitude: float, radius_m: float, chains: Iterable[Chain], limit: int
) -> Question:
    """Return a question; Ministop means 7-Eleven."""
    stores_of = frozenset(CHAINS[chain].stores_of for chain in chains)
    return Question(latitude, longitude, radius_m, stores_of, limit)


def area_of(question: Question, *, by_chain: bool) -> Area:
    """Return what a provider is asked.

    Args:
        by_chain: it can be asked for one chain; one that cannot gives all in one answer.
    """
    radius_m = next(step for step in RADII_M if step >= question.radius_m)
    return Area(
        # Zero has two signs, which would be two cells.
        latitude=round(question.latitude, DECIMALS) + 0.0,
        longitude=round(question.longitude, DECIMALS) + 0.0,
        radius_m=min(radius_m + CELL_M, MAX_RADIUS_M),
        chains=tuple(sorted(question.chains)) if by_chain else (),
        wanted=next(step for step in LIMITS if step >= question.limit) if by_chain else 0,
    )


def answer_of(
    question: Question,
    area: Area,
    found: Found,
    *,
    provider: str,
    attribution: str,
    certain: bool,
) -> Answer:
    """Turn what is known of an area into the answer to a question within it."""
    away = sorted(
        (
            (distance_m(question.latitude, question.longitude, one.latitude, one.longitude), one)
            for one in found.stores
            if not question.chains or one.chain in question.chains
        ),
        key=lambda pair: (pair[0], pair[1].id),
    )
    near = [(one, away_m) for away_m, one in away if away_m <= question.radius_m]
    shown = tuple(near[: question.limit])
    needed_m = shown[-1][1] if len(near) >= question.limit else question.radius_m
    off_m = distance_m(question.latitude, question.longitude, area.latitude, area.longitude)
    complete = needed_m + off_m <= found.complete_m
    return Answer(provider, attribution, shown, found.as_of, complete, certain and complete)
