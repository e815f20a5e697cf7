"""What the other rows and lists say about a pair: rivals, third lists, makers that go together."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Place = tuple[str, int]
"""A row: the name of its list, and its number there from 0."""

# Scores nearer to 0 and 1 than this tell nothing more.
_EDGE = 1e-4
_SURE = 0.9
_LIKELY = 0.5
_MOST_TOGETHER = 5


@dataclass(frozen=True)
class Rival:
    """The best two rows of one list for a row of another."""

    best: int
    score: float
    second_score: float


class Evidence:
    """The scores of all compared pairs, looked up from both sides."""

    def __init__(
        self, scores: Mapping[tuple[Place, Place], float], makers: Mapping[Place, str]
    ) -> None:
        """Take pairs (each once, either way round) with scores 0..1, and each row's maker."""
        self._beside: dict[Place, dict[str, dict[int, float]]] = {}
        for (a, b), score in scores.items():
            for one, other in ((a, b), (b, a)):
                lists = self._beside.setdefault(one, {})
                lists.setdefault(other[0], {})[other[1]] = score
        self._rivals = {
            place: {name: _rival(rows) for name, rows in lists.items()}
            for place, lists in self._beside.items()
        }
        self._makers = makers
        self._together: Counter[frozenset[str]] = Counter()
        self._of_maker: Counter[str] = Counter()
        self._sure = {pair for pair, score in scores.items() if self._is_sure(*pair, score)}
        for a, b in self._sure:
            makers_of = frozenset((makers[a], makers[b]))
            self._together[makers_of] += 1
            self._of_maker.update(makers_of)

    def score(self, a: Place, b: Place) -> float:
        """Return the score of a pair, 0 if it was not compared."""
        return self._beside.get(a, {}).get(b[0], {}).get(b[1], 0.0)

    def is_mutual(self, a: Place, b: Place) -> bool:
        """Say whether each is the other's best, or as good as the best."""
        score = self.score(a, b)
        return score > 0 and all(
            self._rivals[one][other[0]].score <= score for one, other in ((a, b), (b, a))
        )

    def features(self, a: Place, b: Place) -> list[float]:
        """Return the numbers of `link_model.CONTEXT_FEATURES` for a compared pair."""
        own = log_odds(self.score(a, b))
        agrees, differs, lists = self._third_lists(a, b)
        together, share = self._maker_habit(a, b)
        return [
            own,
            own - log_odds(self._best_other(a, b)),
            own - log_odds(self._best_other(b, a)),
            agrees,
            differs,
            float(lists),
            float(min(together, _MOST_TOGETHER)),
            share,
        ]

    def _is_sure(self, a: Place, b: Place, score: float) -> bool:
        return (
            score > _SURE
            and self._rivals[a][b[0]].best == b[1]
            and self._rivals[b][a[0]].best == a[1]
        )

    def _best_other(self, a: Place, b: Place) -> float:
        """Return the best score of `a` in the list of `b`, `b` itself left out."""
        rival = self._rivals[a][b[0]]
        return rival.second_score if rival.best == b[1] else rival.score

    def _third_lists(self, a: Place, b: Place) -> tuple[float, float, int]:
        """Return how well third lists connect the two, how well they part them, how many connect.

        A row that is like both connects them, as well as its weaker likeness. Two different rows,
        each the best for one of them, part them.
        """
        agrees, differs, lists = 0.0, 0.0, 0
        ours, theirs = self._beside[a], self._beside[b]
        for name in ours.keys() & theirs.keys() - {a[0], b[0]}:
            rows = theirs[name]
            link = max(
                (min(score, rows[row]) for row, score in ours[name].items() if row in rows),
                default=0.0,
            )
            agrees = max(agrees, link)
            lists += link > _LIKELY
            one, two = self._rivals[a][name], self._rivals[b][name]
            if one.best != two.best:
                differs = max(differs, min(one.score, two.score) - link)
        return agrees, differs, lists

    def _maker_habit(self, a: Place, b: Place) -> tuple[int, float]:
        """Return in how many other sure pairs these makers stand together, and in what share."""
        makers = frozenset((self._makers[a], self._makers[b]))
        itself = (a, b) in self._sure or (b, a) in self._sure
        together = self._together[makers] - itself
        least = min(self._of_maker[maker] for maker in makers) - itself
        return together, together / least if least > 0 else -1.0


def log_odds(score: float) -> float:
    """Return the log-odds of a score, at most about 9 either way."""
    inside = min(max(score, _EDGE), 1 - _EDGE)
    return math.log(inside / (1 - inside))


def _rival(rows: Mapping[int, float]) -> Rival:
    ranked: Iterable[tuple[float, int]] = sorted((-score, row) for row, score in rows.items())
    (first, best), *others = ranked
    return Rival(best, -first, -others[0][0] if others else 0.0)
