"""The learnt scorer: two tables of decision trees as plain numbers, evaluated with NumPy.

`benchmarks/fit_matching.py` fits them with scikit-learn and writes `link_model.json`; nothing else
of scikit-learn is needed here. The first table scores a pair by itself, the second one with what
the other rows and lists say about it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

from promolens_catalog.link_features import PAIR_FEATURES
from promolens_runtime.errors import InputError

Rows = npt.NDArray[np.float64]
_MODEL_FILE = "link_model.json"
_MAX_TREES = 2_000
_MAX_DEPTH = 64

CONTEXT_FEATURES = (
    "own_log_odds",
    "ahead_in_b",
    "ahead_in_a",
    "third_list_agrees",
    "third_list_differs",
    "third_lists",
    "makers_together",
    "makers_share",
)
"""What the second table sees besides `PAIR_FEATURES`; `link_context` computes it."""


@dataclass(frozen=True)
class Trees:
    """Boosted decision trees: their leaves' sum is a log-odds.

    Attributes:
        features: names of the columns, in order.
        baseline: log-odds before the first tree.
        roots: node number of each tree's root.
        feature: column that a node asks; -1 at a leaf.
        threshold: rows with at most this value go left.
        left, right: node numbers.
        value: log-odds that a leaf adds.
    """

    features: tuple[str, ...]
    baseline: float
    roots: npt.NDArray[np.int64]
    feature: npt.NDArray[np.int64]
    threshold: Rows
    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    value: Rows

    def probabilities(self, rows: Rows) -> Rows:
        """Return the probability of each row of `rows` [n, features], between 0 and 1."""
        log_odds = np.full(len(rows), self.baseline)
        numbers = np.arange(len(rows))
        for root in self.roots:
            node = np.full(len(rows), root)
            for _ in range(_MAX_DEPTH):
                asked = self.feature[node]
                if (asked < 0).all():
                    break
                low = rows[numbers, np.maximum(asked, 0)] <= self.threshold[node]
                node = np.where(asked < 0, node, np.where(low, self.left[node], self.right[node]))
            log_odds += self.value[node]
        result: Rows = 1 / (1 + np.exp(-log_odds))
        return result


@dataclass(frozen=True)
class LinkModel:
    """What links are made with.

    Attributes:
        version: goes into the method of every link that is stored.
        accept_at_least: score from which a link is made without a person.
        review_at_least: score from which a person is asked.
        pair: scores `PAIR_FEATURES`.
        context: scores `PAIR_FEATURES` and `CONTEXT_FEATURES`.
        trained_on: SHA-256 of the lists that it was fitted on: figures on those flatter.
    """

    version: int
    accept_at_least: float
    review_at_least: float
    pair: Trees
    context: Trees
    trained_on: frozenset[str] = frozenset()


def shipped_model() -> LinkModel:
    """Return the model that this version ships."""
    text = resources.files("promolens_catalog").joinpath(_MODEL_FILE).read_text("utf-8")
    return model_from_json(json.loads(text))


def model_from_json(data: Mapping[str, Any]) -> LinkModel:
    """Read what `model_to_json` wrote.

    Raises:
        InputError: a part is missing or contradicts itself, or the features are others than those
            that this code computes.
    """
    try:
        model = LinkModel(
            version=int(data["version"]),
            accept_at_least=float(data["accept_at_least"]),
            review_at_least=float(data["review_at_least"]),
            pair=_trees(data["pair"], PAIR_FEATURES),
            context=_trees(data["context"], PAIR_FEATURES + CONTEXT_FEATURES),
            trained_on=frozenset(map(str, data["trained_on"])),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"Expected a link model as benchmarks/fit_matching.py writes it. Received {error!r}. "
            "Fit it again."
        ) from None
    if not 0 < model.review_at_least <= model.accept_at_least < 1:
        raise InputError(
            "Expected thresholds 0 < review_at_least <= accept_at_least < 1. Received "
            f"{model.review_at_least} and {model.accept_at_least}. Fit the model again."
        )
    return model


def model_to_json(model: LinkModel) -> dict[str, Any]:
    """Return the model as JSON-ready numbers; thresholds are kept exactly."""
    return {
        "version": model.version,
        "accept_at_least": model.accept_at_least,
        "review_at_least": model.review_at_least,
        "trained_on": sorted(model.trained_on),
        "pair": _trees_to_json(model.pair),
        "context": _trees_to_json(model.context),
    }


def _trees_to_json(trees: Trees) -> dict[str, Any]:
    return {
        "features": list(trees.features),
        "baseline": trees.baseline,
        "roots": trees.roots.tolist(),
        "feature": trees.feature.tolist(),
        "threshold": trees.threshold.tolist(),
        "left": trees.left.tolist(),
        "right": trees.right.tolist(),
        "value": trees.value.tolist(),
    }


def _trees(data: Mapping[str, Any], features: Sequence[str]) -> Trees:
    if tuple(data["features"]) != tuple(features):
        raise ValueError("other features than this version's")
    trees = Trees(
        features=tuple(features),
        baseline=float(data["baseline"]),
        roots=np.array(data["roots"], np.int64),
        feature=np.array(data["feature"], np.int64),
        threshold=np.array(data["threshold"], np.float64),
        left=np.array(data["left"], np.int64),
        right=np.array(data["right"], np.int64),
        value=np.array(data["value"], np.float64),
    )
    _check_nodes(trees)
    return trees


def _check_nodes(trees: Trees) -> None:
    nodes = len(trees.feature)
    parts = (trees.threshold, trees.left, trees.right, trees.value)
    if any(part.shape != (nodes,) for part in parts) or not 0 < len(trees.roots) <= _MAX_TREES:
        raise ValueError("columns of different lengths")
    if not (np.isfinite(trees.threshold).all() and np.isfinite(trees.value).all()):
        raise ValueError("numbers that are not finite")
    numbers = np.arange(nodes)
    inner = trees.feature >= 0
    children = (trees.left[inner], trees.right[inner])
    # Children come after their parent, so that no walk through the nodes can go in a circle.
    forward = all((child > numbers[inner]).all() and (child < nodes).all() for child in children)
    known = (trees.roots >= 0).all() and (trees.roots < nodes).all()
    if not (forward and known and (trees.feature < len(trees.features)).all()):
        raise ValueError("nodes that lead nowhere")
