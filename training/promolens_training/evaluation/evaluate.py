"""All the figures of one model on one set of photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promolens_runtime.errors import InputError
from promolens_runtime.intervals import rate_interval
from promolens_training.data.photos import ProductClass
from promolens_training.evaluation import metrics
from promolens_training.evaluation.metrics import ClassAccuracy, ConfusionPair, ReliabilityBin
from promolens_training.evaluation.predictions import Predictions


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` measures; every rate is in 0..1.

    Attributes:
        n: photos of known classes; n_sources: how many independent sources they come from.
        top1, top3, top5: share with the right class among the first 1, 3, 5 answers.
        top1_interval: 95 % interval (low, high) of top1; interval_method names how.
        coarse_top1: share with the right parent by summed probabilities, None without parents.
        ece, nll: expected calibration error (15 bins) and negative log likelihood, T = 1.
        ece_scaled, nll_scaled: the same with logits divided by `temperature`.
        per_class, pairs: in output order; most frequent confusion first.
        confusion: int64 `[c, c]`, row = what it is, column = what the model says.
        reliability, reliability_scaled: the bins behind the two errors.
    """

    n: int
    n_sources: int
    top1: float
    top1_interval: tuple[float, float]
    interval_method: str
    top3: float
    top5: float
    coarse_top1: float | None
    temperature: float
    ece: float
    ece_scaled: float
    nll: float
    nll_scaled: float
    per_class: tuple[ClassAccuracy, ...]
    pairs: tuple[ConfusionPair, ...]
    confusion: NDArray[np.int64] = field(repr=False, compare=False)
    reliability: tuple[ReliabilityBin, ...] = field(repr=False)
    reliability_scaled: tuple[ReliabilityBin, ...] = field(repr=False)

    def summary(self) -> dict[str, Any]:
        """Return the figures that a manifest holds, ready for JSON."""
        return {
            "n": self.n,
            "top1": self.top1,
            "top1_interval": list(self.top1_interval),
            "interval_method": self.interval_method,
            "top3": self.top3,
            "top5": self.top5,
            "coarse_top1": self.coarse_top1,
            "ece": self.ece,
        }

    def to_json(self) -> dict[str, Any]:
        """Return every figure ready for JSON: plain numbers, text and lists."""
        return {
            **self.summary(),
            "n_sources": self.n_sources,
            "temperature": self.temperature,
            "ece_after_temperature": self.ece_scaled,
            "nll": self.nll,
            "nll_after_temperature": self.nll_scaled,
            "per_class": [
                {
                    "label": one.label,
                    "n": one.n,
                    "correct": one.correct,
                    "accuracy": one.accuracy,
                    "mostly_taken_for": one.mostly_taken_for,
                }
                for one in self.per_class
            ],
            "confusion_pairs": [asdict(pair) for pair in self.pairs],
            "reliability": [asdict(each) for each in self.reliability],
        }


def evaluate(
    predictions: Predictions, classes: Sequence[ProductClass], temperature: float = 1.0
) -> Evaluation:
    """Measure predictions against their labels; photos of unknown objects are left out.

    Args:
        predictions: logits float32 `[n, c]` and labels.
        classes: the c classes in output order.
        temperature: what logits are divided by before they become probabilities.

    Raises:
        InputError: no photo of a known class, or another number of classes than logits.
    """
    if predictions.logits.shape[1] != len(classes):
        raise InputError(
            f"Expected {len(classes)} logits a photo, one a class. Received "
            f"{predictions.logits.shape[1]}. Use the classes that the model was trained on."
        )
    known = predictions.known()
    if len(known) == 0:
        raise InputError(
            "Expected at least one photo of a class that the model knows. Received none. "
            "Check the labels of the photos."
        )
    logits, labels = known.logits, known.labels
    places = metrics.ranks(logits, labels)
    interval = rate_interval(places == 0, known.sources)
    names = [one.name for one in classes]
    matrix = metrics.confusion_matrix(logits, labels)
    coarse = metrics.coarse_hits(logits, labels, [one.parent for one in classes], temperature)
    bins = metrics.reliability(logits, labels)
    bins_scaled = metrics.reliability(logits, labels, temperature)
    return Evaluation(
        n=len(known),
        n_sources=len({source or index for index, source in enumerate(known.sources)}),
        top1=float(np.mean(places == 0)),
        top1_interval=interval.bounds,
        interval_method=interval.method,
        top3=float(np.mean(places < 3)),
        top5=float(np.mean(places < 5)),
        coarse_top1=None if coarse is None else float(coarse.mean()),
        temperature=temperature,
        ece=metrics.expected_calibration_error(bins),
        ece_scaled=metrics.expected_calibration_error(bins_scaled),
        nll=metrics.negative_log_likelihood(logits, labels),
        nll_scaled=metrics.negative_log_likelihood(logits, labels, temperature),
        per_class=metrics.per_class(matrix, names),
        pairs=metrics.confusion_pairs(matrix, names),
        confusion=matrix,
        reliability=bins,
        reliability_scaled=bins_scaled,
    )
