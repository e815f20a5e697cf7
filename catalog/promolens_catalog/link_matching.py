"""The pure matcher: lists of rows in, scored pairs and links between the lists out.

Every row of one list is compared with its nearest rows of every other list; the pair's score is
then looked at again beside its rivals and third lists. A link needs a score of at least the
model's threshold, both rows to be each other's best, and no contradiction between the names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from promolens_catalog.link_candidates import NameIndex
from promolens_catalog.link_context import Evidence, Place
from promolens_catalog.link_features import (
    Listed,
    Rarity,
    Reading,
    Weighed,
    contradiction,
    pair_features,
    read,
)
from promolens_catalog.link_model import LinkModel, Rows

_KNOWN_SAME = 1.0


@dataclass(frozen=True)
class Entry:
    """A row of a list.

    Attributes:
        product: what it is, where that is known; rows of one product are never compared by name.
    """

    listed: Listed
    product: int | None = None


Lists = Mapping[str, Sequence[Entry]]


@dataclass(frozen=True)
class ScoredPair:
    """Two rows of different lists that were compared.

    Attributes:
        score: estimated probability, 0..1, that they are one product.
        mutual: each is the other's best in its list, or as good as the best.
        against: why no machine may link them (`link_features.contradiction`), or `None`.
    """

    a: Place
    b: Place
    score: float
    mutual: bool
    against: str | None


@dataclass(frozen=True)
class Compared:
    """Pairs before any model: what fitting and scoring share.

    Attributes:
        pairs: rows of two lists, the lists in their order, each pair once.
        features: [pairs, PAIR_FEATURES].
        readings: of every row.
        known: pairs of rows that are known to be one product; they were not compared.
    """

    pairs: tuple[tuple[Place, Place], ...]
    features: Rows
    readings: Mapping[Place, Reading]
    known: tuple[tuple[Place, Place], ...]


def score_lists(lists: Lists, model: LinkModel) -> list[ScoredPair]:
    """Compare the rows of several lists; pairs of rows that are both known are left out.

    Rows of one list with one name and one price (a product on two promotions) are compared as one.
    """
    kept = {name: _without_twins(entries) for name, entries in lists.items()}
    ones = {name: [lists[name][rows[0]] for rows in groups] for name, groups in kept.items()}
    return [
        replace(pair, a=(pair.a[0], row), b=(pair.b[0], other))
        for pair in _score(ones, model)
        for row in kept[pair.a[0]][pair.a[1]]
        for other in kept[pair.b[0]][pair.b[1]]
    ]


def _without_twins(entries: Sequence[Entry]) -> list[list[int]]:
    """Return the numbers of rows, those of the same name, price and product together."""
    groups: dict[tuple[str, int, int | None], list[int]] = {}
    for row, entry in enumerate(entries):
        key = (entry.listed.name, entry.listed.price_krw, entry.product)
        groups.setdefault(key, []).append(row)
    return list(groups.values())


def _score(lists: Lists, model: LinkModel) -> list[ScoredPair]:
    compared = compare_lists(lists)
    if not compared.pairs:
        return []
    first = model.pair.probabilities(compared.features)
    evidence = evidence_of(compared, first)
    context = context_features(compared, evidence)
    scores = model.context.probabilities(np.hstack([compared.features, context]))
    final = Evidence(_with_known(compared, scores), _makers(compared.readings))
    return [
        ScoredPair(
            a,
            b,
            float(score),
            final.is_mutual(a, b),
            contradiction(compared.readings[a], compared.readings[b]),
        )
        for (a, b), score in zip(compared.pairs, scores, strict=True)
    ]


def is_link(pair: ScoredPair, accept_at_least: float) -> bool:
    """Say whether a pair is linked without a person."""
    return pair.score >= accept_at_least and pair.mutual and pair.against is None


def compare_lists(lists: Lists) -> Compared:
    """Find the pairs that are worth a score, and compute their features."""
    readings = {
        (name, row): read(entry.listed)
        for name, entries in lists.items()
        for row, entry in enumerate(entries)
    }
    rarity = Rarity(readings.values())
    weighed: dict[Place, Weighed] = {}

    def weigh(place: Place) -> Weighed:
        if place not in weighed:
            weighed[place] = rarity.weigh(readings[place])
        return weighed[place]

    pairs = tuple(_candidates(lists, readings, rarity))
    features = [pair_features(weigh(a), weigh(b)) for a, b in pairs]
    known = tuple(_known_pairs(lists, pairs))
    return Compared(pairs, np.array(features, np.float64), readings, known)


def evidence_of(compared: Compared, scores: Rows) -> Evidence:
    """Return the scores of compared pairs, with the known ones, for looking up."""
    return Evidence(_with_known(compared, scores), _makers(compared.readings))


def context_features(compared: Compared, evidence: Evidence) -> Rows:
    """Return [pairs, CONTEXT_FEATURES]."""
    return np.array([evidence.features(a, b) for a, b in compared.pairs], np.float64)


def _with_known(compared: Compared, scores: Iterable[float]) -> dict[tuple[Place, Place], float]:
    pairs = dict(zip(compared.pairs, map(float, scores), strict=True))
    return pairs | dict.fromkeys(compared.known, _KNOWN_SAME)


def _makers(readings: Mapping[Place, Reading]) -> dict[Place, str]:
    return {place: reading.maker for place, reading in readings.items()}


def _candidates(
    lists: Lists, readings: Mapping[Place, Reading], rarity: Rarity
) -> Iterator[tuple[Place, Place]]:
    """Yield the pairs to compare, each once: rows without a known product ask all other lists."""
    indexes = {
        name: NameIndex([readings[name, row] for row in range(len(entries))], rarity)
        for name, entries in lists.items()
        if any(_asks(others) for other, others in lists.items() if other != name)
    }
    for one, two in combinations(lists, 2):
        found: dict[tuple[Place, Place], None] = {}
        for asking, asked in ((one, two), (two, one)):
            for row, entry in enumerate(lists[asking]):
                if entry.product is not None:
                    continue
                for other in indexes[asked].nearest(readings[asking, row]):
                    here, there = (asking, row), (asked, other)
                    found[(here, there) if asking == one else (there, here)] = None
        yield from sorted(found)


def _asks(entries: Sequence[Entry]) -> bool:
    return any(entry.product is None for entry in entries)


def _known_pairs(
    lists: Lists, compared: Iterable[tuple[Place, Place]]
) -> Iterator[tuple[Place, Place]]:
    """Yield the rows of one product in different lists, of products that were compared."""
    wanted = {lists[name][row].product for pair in compared for name, row in pair}
    places: dict[int, list[Place]] = {}
    for name, entries in lists.items():
        for row, entry in enumerate(entries):
            if entry.product is not None and entry.product in wanted:
                places.setdefault(entry.product, []).append((name, row))
    for rows in places.values():
        yield from ((a, b) for a, b in combinations(rows, 2) if a[0] != b[0])
