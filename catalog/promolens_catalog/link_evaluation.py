"""How good the matcher is: precision and recall on lists whose barcodes it does not see.

Every row asks every other list for its one product there. A link is right where the two barcodes
are equal. Pairs are counted per ordered pair of lists: precision is right links of all links,
recall is right links of all rows that have a partner in the other list. So a row that has a
partner and gets no link is a miss, and a link of a row that has none is a mistake.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from promolens_catalog.link_context import Place
from promolens_catalog.link_features import Listed
from promolens_catalog.link_lists import TruthLists, TruthRow
from promolens_catalog.link_matching import Entry, ScoredPair, score_lists
from promolens_catalog.link_model import LinkModel
from promolens_runtime.errors import InputError

THRESHOLDS = (*(round(0.05 * step, 2) for step in range(1, 18)), 0.88, 0.9, 0.92, 0.94, 0.96)
_RESAMPLES = 2000
_SEED = 2026


@dataclass(frozen=True)
class Figures:
    """What a threshold gives.

    Attributes:
        partners: rows that have a partner, summed over ordered pairs of lists.
        precision, recall: 0..1; precision is `None` where nothing was linked.
    """

    accept_at_least: float
    links: int
    right: int
    partners: int

    @property
    def precision(self) -> float | None:
        """Right links of all links."""
        return self.right / self.links if self.links else None

    @property
    def recall(self) -> float:
        """Right links of all rows that have a partner."""
        return self.right / self.partners if self.partners else 0.0


@dataclass(frozen=True)
class Mistake:
    """A wrong link, or a row that missed its partner.

    Attributes:
        score: of the wrong link; of the missed pair, 0 if it was never compared.
        why: of a miss: `below threshold`, `another is nearer`, `not compared`, or a contradiction.
    """

    list_name: str
    row: Listed
    other_list: str
    other: Listed
    score: float
    why: str = ""


@dataclass(frozen=True)
class Evaluation:
    """All figures at the model's threshold, and the whole curve.

    Attributes:
        precision_interval, recall_interval: 95 %, by drawing makers (the first digits of the
            barcodes) anew, since products of one maker are named and mistaken alike.
        curve: one `Figures` for each of `THRESHOLDS`.
        by_lists: figures of each ordered pair of lists.
        wrong: wrong links, the surest first; each pair of rows once.
        missed: the misses, the least sure first; each pair of rows once.
        reasons: how many pairs were missed for each `Mistake.why`.
    """

    figures: Figures
    precision_interval: tuple[float, float]
    recall_interval: tuple[float, float]
    curve: tuple[Figures, ...]
    by_lists: Mapping[tuple[str, str], Figures]
    wrong: tuple[Mistake, ...]
    missed: tuple[Mistake, ...]
    reasons: Mapping[str, int]


@dataclass(frozen=True)
class Answered:
    """One row's answer in one other list.

    Attributes:
        link: the pair that is linked as soon as the threshold allows it, or `None`.
        right: the link's barcodes are equal.
        partner: the row has a partner there.
    """

    asking: Place
    other_list: str
    link: ScoredPair | None
    right: bool
    partner: bool

    def links_at(self, accept_at_least: float) -> bool:
        """Say whether there is a link at this threshold."""
        return self.link is not None and self.link.score >= accept_at_least


def evaluate(truth: TruthLists, model: LinkModel) -> Evaluation:
    """Hide the barcodes, link, and compare with them.

    Raises:
        InputError: no two lists share a barcode.
    """
    lists = {name: [Entry(row.listed) for row in rows] for name, rows in truth.rows.items()}
    return judge(truth, score_lists(lists, model), model.accept_at_least)


def judge(truth: TruthLists, pairs: Sequence[ScoredPair], accept_at_least: float) -> Evaluation:
    """Compare scored pairs, wherever their scores come from, with the barcodes.

    Raises:
        InputError: no two lists share a barcode.
    """
    answers = answers_of(truth, pairs)
    if not any(answer.partner for answer in answers):
        raise InputError(
            "Expected lists that share barcodes. Received none that is in two files. Give lists "
            "of the same month."
        )
    by_lists: dict[tuple[str, str], list[Answered]] = {}
    for answer in answers:
        by_lists.setdefault((answer.asking[0], answer.other_list), []).append(answer)
    missed = _missed(truth, pairs, answers, accept_at_least)
    intervals = _intervals(truth, answers, accept_at_least)
    return Evaluation(
        figures=figures_at(answers, accept_at_least),
        precision_interval=intervals[0],
        recall_interval=intervals[1],
        curve=tuple(figures_at(answers, threshold) for threshold in THRESHOLDS),
        by_lists={key: figures_at(some, accept_at_least) for key, some in by_lists.items()},
        wrong=_wrong(truth, answers, accept_at_least),
        missed=missed,
        reasons=Counter(mistake.why for mistake in missed),
    )


def answers_of(truth: TruthLists, pairs: Sequence[ScoredPair]) -> list[Answered]:
    """Return every row's best allowed pair in every other list."""
    best: dict[tuple[Place, str], ScoredPair] = {}
    for pair in pairs:
        if not pair.mutual or pair.against is not None:
            continue
        for asking, other in ((pair.a, pair.b), (pair.b, pair.a)):
            known = best.get((asking, other[0]))
            if known is None or pair.score > known.score:
                best[asking, other[0]] = pair
    codes = {name: {row.barcode for row in rows} for name, rows in truth.rows.items()}
    answers = []
    for one, two in permutations(truth.rows, 2):
        for number, row in enumerate(truth.rows[one]):
            link = best.get(((one, number), two))
            right = link is not None and _is_right(truth, link)
            answers.append(Answered((one, number), two, link, right, row.barcode in codes[two]))
    return answers


def figures_at(answers: Sequence[Answered], accept_at_least: float) -> Figures:
    """Count links, right links and partners at a threshold."""
    linked = [answer for answer in answers if answer.links_at(accept_at_least)]
    return Figures(
        accept_at_least,
        links=len(linked),
        right=sum(answer.right for answer in linked),
        partners=sum(answer.partner for answer in answers),
    )


def maker_counts(
    truth: TruthLists, answers: Sequence[Answered], accept_at_least: float
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return [makers, 3]: links, right links and partners of each maker's rows."""
    counts: dict[str, list[float]] = {}
    for answer in answers:
        row = counts.setdefault(_row(truth, answer.asking).maker_code, [0.0, 0.0, 0.0])
        linked = answer.links_at(accept_at_least)
        row[0] += linked
        row[1] += linked and answer.right
        row[2] += answer.partner
    return np.array(list(counts.values()))


def resampled(
    counts: np.ndarray[Any, np.dtype[np.float64]], resamples: int = _RESAMPLES
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return [resamples, 2] of precision and recall, makers drawn anew with replacement."""
    random = np.random.default_rng(_SEED)
    drawn = random.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=resamples)
    links, right, partners = (drawn @ counts).T
    return np.stack([right / np.maximum(links, 1), right / np.maximum(partners, 1)], axis=1)


def _intervals(
    truth: TruthLists, answers: Sequence[Answered], accept_at_least: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    drawn = resampled(maker_counts(truth, answers, accept_at_least))
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return (float(low[0]), float(high[0])), (float(low[1]), float(high[1]))


def _wrong(
    truth: TruthLists, answers: Sequence[Answered], accept_at_least: float
) -> tuple[Mistake, ...]:
    pairs = {
        (answer.link.a, answer.link.b): answer.link.score
        for answer in answers
        if answer.link is not None and answer.links_at(accept_at_least) and not answer.right
    }
    found = [_mistake(truth, a, b, score) for (a, b), score in pairs.items()]
    return tuple(sorted(found, key=lambda mistake: (-mistake.score, mistake.row.name)))


def _missed(
    truth: TruthLists,
    pairs: Sequence[ScoredPair],
    answers: Sequence[Answered],
    accept_at_least: float,
) -> tuple[Mistake, ...]:
    scored = {(pair.a, pair.b): pair for pair in pairs}
    scored |= {(pair.b, pair.a): pair for pair in pairs}
    places: dict[tuple[str, str], list[Place]] = {}
    for name, rows in truth.rows.items():
        for number, row in enumerate(rows):
            places.setdefault((name, row.barcode), []).append((name, number))
    found: dict[frozenset[Place], Mistake] = {}
    for answer in answers:
        if not answer.partner or (answer.links_at(accept_at_least) and answer.right):
            continue
        code = _row(truth, answer.asking).barcode
        partners = places[answer.other_list, code]
        partner = max(partners, key=lambda other: _score(scored.get((answer.asking, other))))
        pair = scored.get((answer.asking, partner))
        why = _why_missed(pair, accept_at_least)
        mistake = _mistake(truth, answer.asking, partner, _score(pair), why)
        found.setdefault(frozenset((answer.asking, partner)), mistake)
    return tuple(sorted(found.values(), key=lambda mistake: (mistake.score, mistake.row.name)))


def _why_missed(pair: ScoredPair | None, accept_at_least: float) -> str:
    if pair is None:
        return "not compared"
    if pair.against is not None:
        return pair.against
    return "below threshold" if pair.score < accept_at_least else "another is nearer"


def _mistake(truth: TruthLists, a: Place, b: Place, score: float, why: str = "") -> Mistake:
    return Mistake(a[0], _row(truth, a).listed, b[0], _row(truth, b).listed, score, why)


def _is_right(truth: TruthLists, pair: ScoredPair) -> bool:
    return _row(truth, pair.a).barcode == _row(truth, pair.b).barcode


def _row(truth: TruthLists, place: Place) -> TruthRow:
    return truth.rows[place[0]][place[1]]


def _score(pair: ScoredPair | None) -> float:
    return pair.score if pair else 0.0
