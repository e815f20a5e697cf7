"""Which thing is it: the neighbours vote, and the lead over the second tells how sure they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from promolens_retrieval.entries import Hit
from promolens_runtime.errors import InputError


@dataclass(frozen=True)
class VoteConfig:
    """How neighbours vote.

    Attributes:
        k: how many vote.
        power: a vote weighs `max(0, score) ** power`; 0 counts heads.
        least_score: smallest score of the winner's best picture, -1..1.
        least_margin: smallest lead over the second, as a share of all votes, 0..1.
    """

    k: int = 5
    power: float = 1.0
    least_score: float = 0.0
    least_margin: float = 0.0

    def __post_init__(self) -> None:
        """Check the numbers; raises InputError."""
        good = self.k >= 1 and self.power >= 0 and 0 <= self.least_margin <= 1
        if not good or not -1 <= self.least_score <= 1:
            raise InputError(
                "Expected k >= 1, power >= 0, least_margin in 0..1 and least_score in -1..1. "
                f"Received {self}. Correct them."
            )


@dataclass(frozen=True)
class Tally:
    """What came out.

    Attributes:
        item_id: the winner; None where it is not sure enough: a new item, perhaps.
        shares: item and its share of all votes, 0..1, most first; equal ones by best score.
        margin: the lead of the first over the second, 0..1.
    """

    item_id: str | None
    shares: tuple[tuple[str, float], ...]
    margin: float


def vote(hits: Iterable[Hit], config: VoteConfig | None = None) -> Tally:
    """Let the first `k` hits vote, weighed by their scores (Dudani 1976)."""
    config = config or VoteConfig()
    voters = sorted(hits, key=lambda hit: (-hit.score, hit.image_id, hit.region_id))[: config.k]
    weights: dict[str, float] = {}
    best: dict[str, float] = {}
    for hit in voters:
        weights[hit.item_id] = weights.get(hit.item_id, 0.0) + max(0.0, hit.score) ** config.power
        best[hit.item_id] = max(best.get(hit.item_id, -1.0), hit.score)
    total = sum(weights.values())
    if total <= 0:
        return Tally(None, (), 0.0)
    order = sorted(weights, key=lambda item: (-weights[item], -best[item], item))
    shares = tuple((item, weights[item] / total) for item in order)
    margin = shares[0][1] - (shares[1][1] if len(shares) > 1 else 0.0)
    sure = best[order[0]] >= config.least_score and margin >= config.least_margin
    return Tally(order[0] if sure else None, shares, margin)
