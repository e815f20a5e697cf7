"""All figures of one set of queries against one gallery, given their vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promolens_retrieval.evaluation import galleries, pairs, ranking
from promolens_runtime.errors import InputError
from promolens_runtime.intervals import Interval, mean_interval, rate_interval

Vectors = NDArray[np.float32]
RECALLS = (1, 5, 10)
FALSE_ACCEPT_RATES = (0.1, 0.01, 0.001)
SEEDS = (0, 1, 2)
# How many references a query proposes for the measures over pairs.
PROPOSED = 100
_PAIRS_HELD = 20_000_000


@dataclass(frozen=True)
class Pictures:
    """Embedded pictures.

    Attributes:
        vectors: float32 `[n, d]`, unit length.
        labels: what each shows; a distractor has "".
        sources: what was photographed together; "" where unknown, then a picture stands alone.
        contents: SHA-256 or another name of the picture's content; equal ones are one picture.
    """

    vectors: Vectors
    labels: tuple[str, ...]
    sources: tuple[str, ...]
    contents: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raises InputError when the parts do not fit or a vector has not unit length."""
        n = len(self.vectors)
        if not len(self.labels) == len(self.sources) == len(self.contents) == n or n == 0:
            raise InputError(
                f"Expected a label, a source and a content for each of at least one vector. "
                f"Received {len(self.labels)}, {len(self.sources)}, {len(self.contents)} for {n}. "
                "Embed the pictures again."
            )
        norms = np.linalg.norm(self.vectors, axis=1)
        if not np.allclose(norms, 1, atol=1e-3):
            raise InputError(
                "Expected vectors of length 1. Received lengths between "
                f"{norms.min():.3g} and {norms.max():.3g}. Normalise them."
            )


@dataclass(frozen=True)
class Rate:
    """A mean over queries with its 95 % interval over sources."""

    value: float
    interval: Interval

    def to_json(self) -> dict[str, Any]:
        """Return the rate ready for JSON."""
        return {"value": self.value, **asdict(self.interval)}


@dataclass(frozen=True)
class SizeFigures:
    """Recall at k in galleries of one size; mean and sd over the seeds that drew them."""

    size: int
    recall: Mapping[int, float]
    recall_sd: Mapping[int, float]
    seeds: int


@dataclass(frozen=True)
class BestAnswers:
    """Scores, flags and sources, `[2 q]` or fewer: half of the queries have no true answer.

    Attributes:
        scores: float64, of the best gallery picture.
        matches: bool, whether it is of the query's label.
        sources: of the queries.
    """

    scores: NDArray[np.float64]
    matches: NDArray[np.bool_]
    sources: tuple[str, ...]


@dataclass(frozen=True)
class RetrievalFigures:
    """What `measure` finds; every rate is in 0..1.

    Attributes:
        n_queries, n_sources, n_gallery, n_labels: what it was measured on; the gallery with its
            distractors, the labels among the queries.
        n_without_answer: queries whose label the gallery has not: left out of the rates.
        recall: k to the share of queries with a right picture among the first k.
        map_at_r: mean of MAP@R.
        mean_ap: mean average precision.
        by_size: recall in smaller galleries.
        micro_ap: uAP over the best `PROPOSED` references of every query, queries without an answer
            included.
        recall_at_p90: largest recall of matches with a precision of at least 90 %.
        roc_auc, equal_error_rate, tpr_at_fpr: over all pairs of a query and a gallery picture.
        best: the best answer of every query, once as it is and once with all pictures of its own
            label left out: what cut-points are fitted on.
        places: int64 `[q]`, of the best right picture: -1 where the gallery has no answer.
    """

    n_queries: int
    n_sources: int
    n_gallery: int
    n_labels: int
    n_without_answer: int
    recall: Mapping[int, Rate]
    map_at_r: Rate
    mean_ap: Rate
    by_size: tuple[SizeFigures, ...]
    micro_ap: float
    recall_at_p90: float
    roc_auc: float | None
    equal_error_rate: float | None
    tpr_at_fpr: Mapping[float, float]
    best: BestAnswers = field(repr=False, compare=False)
    places: NDArray[np.int64] = field(repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return every figure ready for JSON."""
        return {
            "n_queries": self.n_queries,
            "n_sources": self.n_sources,
            "n_gallery": self.n_gallery,
            "n_labels": self.n_labels,
            "n_without_answer": self.n_without_answer,
            "recall": {str(k): rate.to_json() for k, rate in self.recall.items()},
            "map_at_r": self.map_at_r.to_json(),
            "mean_ap": self.mean_ap.to_json(),
            "by_size": [
                {
                    "size": one.size,
                    "recall": {str(k): rate for k, rate in one.recall.items()},
                    "recall_sd": {str(k): sd for k, sd in one.recall_sd.items()},
                    "seeds": one.seeds,
                }
                for one in self.by_size
            ],
            "micro_ap": self.micro_ap,
            "recall_at_p90": self.recall_at_p90,
            "roc_auc": self.roc_auc,
            "equal_error_rate": self.equal_error_rate,
            "tpr_at_fpr": {str(fpr): tpr for fpr, tpr in self.tpr_at_fpr.items()},
        }


@dataclass(frozen=True)
class _Ranked:
    """The places of one query's right pictures, and how many others stood beside them."""

    places: NDArray[np.int64]
    n_others: int


@dataclass(frozen=True)
class _Scored:
    ranked: list[_Ranked]
    scores: NDArray[np.float32]
    matches: NDArray[np.bool_]
    proposed_scores: NDArray[np.float32]
    proposed_matches: NDArray[np.bool_]
    n_matches: int
    best: BestAnswers


def measure(queries: Pictures, gallery: Pictures, *, pair_seed: int = 0) -> RetrievalFigures:
    """Rank the gallery for every query by cosine, and measure the rankings.

    A gallery picture with the query's own content is taken out of that query's ranking. Where all
    pairs are more than can be held, the curve over pairs is drawn on a random share of the queries
    (`pair_seed`).

    Raises:
        InputError: no query has an answer in the gallery, or vectors of different lengths.
    """
    if queries.vectors.shape[1] != gallery.vectors.shape[1]:
        raise InputError(
            f"Expected vectors of one length. Received {queries.vectors.shape[1]} for the queries "
            f"and {gallery.vectors.shape[1]} for the gallery. Embed both with one model."
        )
    scored = _score(queries, gallery, pair_seed)
    answered = np.array([len(one.places) > 0 for one in scored.ranked])
    if not answered.any():
        raise InputError(
            "Expected at least one query whose label is in the gallery. Received none. "
            "Check the labels of both."
        )
    kept = [one for one, flag in zip(scored.ranked, answered, strict=True) if flag]
    sources = [source for source, flag in zip(queries.sources, answered, strict=True) if flag]
    curve = _curve(scored)
    return RetrievalFigures(
        n_queries=len(queries.labels),
        n_sources=len({source or f"\0{i}" for i, source in enumerate(queries.sources)}),
        n_gallery=len(gallery.labels),
        n_labels=len(set(queries.labels)),
        n_without_answer=int(np.count_nonzero(~answered)),
        recall={
            k: _hits([ranking.hit_at(one.places, k) for one in kept], sources) for k in RECALLS
        },
        map_at_r=_mean([ranking.average_precision_at_r(one.places) for one in kept], sources),
        mean_ap=_mean([ranking.average_precision(one.places) for one in kept], sources),
        by_size=tuple(
            _at_size(kept, size) for size in galleries.sizes_within(_smallest_whole(kept))
        ),
        micro_ap=pairs.micro_average_precision(
            scored.proposed_scores, scored.proposed_matches, scored.n_matches
        ),
        recall_at_p90=pairs.recall_at_precision(
            scored.proposed_scores, scored.proposed_matches, scored.n_matches, 0.9
        ),
        roc_auc=curve.auc if curve else None,
        equal_error_rate=curve.equal_error_rate if curve else None,
        tpr_at_fpr={rate: curve.tpr_at_fpr(rate) for rate in FALSE_ACCEPT_RATES} if curve else {},
        best=scored.best,
        places=np.array([one.places[0] if len(one.places) else -1 for one in scored.ranked]),
    )


def _score(queries: Pictures, gallery: Pictures, pair_seed: int) -> _Scored:
    labels = np.array(gallery.labels)
    contents = np.array(gallery.contents)
    share = min(1.0, _PAIRS_HELD / (len(queries.labels) * len(gallery.labels)))
    chosen = np.random.default_rng(pair_seed).random(len(queries.labels)) < share
    ranked, scores, matches, best_scores, best_matches = [], [], [], [], []
    answers: list[tuple[float, bool, str]] = []
    n_matches = 0
    for index, (label, content) in enumerate(zip(queries.labels, queries.contents, strict=True)):
        row = gallery.vectors @ queries.vectors[index]
        own = contents == content
        relevant = (labels == label) if label else np.zeros(len(labels), np.bool_)
        ranked.append(
            _Ranked(
                ranking.places_of_relevant(row, relevant, own),
                int(np.count_nonzero(~relevant & ~own)),
            )
        )
        row, relevant = row[~own], relevant[~own]
        n_matches += int(np.count_nonzero(relevant))
        top = np.argsort(-row, kind="stable")[:PROPOSED]
        best_scores.append(row[top])
        best_matches.append(relevant[top])
        answers += _best(row, relevant, queries.sources[index])
        if chosen[index]:
            scores.append(row)
            matches.append(relevant)
    return _Scored(
        ranked,
        np.concatenate(scores) if scores else np.empty(0, np.float32),
        np.concatenate(matches) if matches else np.empty(0, np.bool_),
        np.concatenate(best_scores),
        np.concatenate(best_matches),
        n_matches,
        BestAnswers(
            np.array([score for score, _, _ in answers]),
            np.array([match for _, match, _ in answers]),
            tuple(source for _, _, source in answers),
        ),
    )


def _best(
    row: NDArray[np.float32], relevant: NDArray[np.bool_], source: str
) -> list[tuple[float, bool, str]]:
    """Return the best answer, and the best with everything relevant left out."""
    if not len(row):
        return []
    first = int(row.argmax())
    found = [(float(row[first]), bool(relevant[first]), source)]
    strange = row[~relevant]
    return [*found, (float(strange.max()), False, source)] if len(strange) else found


def _curve(scored: _Scored) -> pairs.Roc | None:
    if not scored.matches.any() or scored.matches.all():
        return None
    return pairs.roc(scored.scores, scored.matches)


def _smallest_whole(kept: Sequence[_Ranked]) -> int:
    return min(len(one.places) + one.n_others for one in kept)


def _at_size(kept: Sequence[_Ranked], size: int) -> SizeFigures:
    """Return the recall of queries whose right pictures leave room for others in that size."""
    runs = []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        places = [
            galleries.sampled_places(one.places[:size], one.n_others, size, rng)
            if size < len(one.places) + one.n_others
            else one.places
            for one in kept
        ]
        runs.append([ranking.share([ranking.hit_at(each, k) for each in places]) for k in RECALLS])
    means, spread = np.mean(runs, axis=0), np.std(runs, axis=0, ddof=1)
    return SizeFigures(
        size,
        dict(zip(RECALLS, map(float, means), strict=True)),
        dict(zip(RECALLS, map(float, spread), strict=True)),
        len(SEEDS),
    )


def _hits(hits: Sequence[bool], sources: Sequence[str]) -> Rate:
    return Rate(ranking.share(hits), rate_interval(np.asarray(hits), sources))


def _mean(values: Sequence[float], sources: Sequence[str]) -> Rate:
    return Rate(float(np.mean(values)), mean_interval(np.asarray(values), sources))
