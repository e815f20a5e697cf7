"""Temperature scaling, fitted on one side and judged on the other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promolens_training.evaluation import calibration, metrics


def overconfident(n_right: int, n_wrong: int, gap: float) -> tuple[np.ndarray, np.ndarray]:
    n = n_right + n_wrong
    logits = np.tile(np.array([[gap, 0.0]], np.float32), (n, 1))
    return logits, np.array([0] * n_right + [1] * n_wrong)


def test_the_temperature_makes_confidence_equal_accuracy() -> None:
    # Right 3 times in 4: the best T solves sigmoid(gap / T) = 3/4, so gap / T = ln 3.
    logits, labels = overconfident(30, 10, 2 * math.log(3))
    assert calibration.fit_temperature(logits, labels) == pytest.approx(2.0, rel=1e-3)
    logits, labels = overconfident(30, 10, math.log(3) / 2)
    assert calibration.fit_temperature(logits, labels) == pytest.approx(0.5, rel=1e-3)


def test_a_faultless_model_stays_within_the_bounds() -> None:
    logits, labels = overconfident(10, 0, 5.0)
    assert calibration.fit_temperature(logits, labels) == pytest.approx(0.05, rel=0.01)
    with pytest.raises(ValueError, match="at least one photo"):
        calibration.fit_temperature(logits[:0], labels[:0])


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_the_fitted_temperature_is_the_minimum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(0, 3, (40, 4)), rng.integers(0, 4, 40)
    best = calibration.fit_temperature(logits, labels)
    least = metrics.negative_log_likelihood(logits, labels, best)
    for other in (0.05, 0.5 * best, 0.95 * best, 1.05 * best, 2 * best, 20.0):
        inside = min(max(other, 0.05), 20.0)
        assert least <= metrics.negative_log_likelihood(logits, labels, inside) + 1e-6


def test_folds_keep_sources_together_whatever_the_order() -> None:
    sources = [f"scene{index // 3}" for index in range(60)]
    folds = calibration.source_folds(sources)
    of_source = dict(zip(sources, folds, strict=True))
    assert all(of_source[source] == fold for source, fold in zip(sources, folds, strict=True))
    assert np.bincount(folds).tolist() == [12] * 5
    assert calibration.source_folds(sources[::-1]).tolist() == folds.tolist()[::-1]


def test_the_error_after_is_measured_on_other_sources() -> None:
    logits, labels = overconfident(1500, 500, 6.0)
    sources = [str(index) for index in np.random.default_rng(0).permutation(2000)]
    found = calibration.calibrate(logits, labels, sources)
    assert found is not None
    # Confidence sigmoid(6) against accuracy 3/4.
    assert found.ece_before == pytest.approx(1 / (1 + math.exp(-6)) - 0.75, abs=1e-6)
    assert found.ece_after < 0.06
    assert found.nll_after < found.nll_before
    assert found.folds == 5
    # Fitted and judged on the same photos it would be nought: cross-fitting does not flatter.
    assert found.ece_after > metrics.ece(logits, labels, found.temperature)


def test_one_source_leaves_nothing_to_judge_on() -> None:
    logits, labels = overconfident(3, 1, 1.0)
    assert calibration.calibrate(logits, labels, ["same"] * 4) is None


def test_a_model_without_a_mistake_claims_no_more_than_its_photos_show() -> None:
    """Two classes, 98 photos all right by a lead of 3: e^(3/T) / (e^(3/T) + 1) = 99 / 100 at
    T = 3 / ln 99."""
    labels = np.zeros(98, np.int64)
    logits = np.tile(np.array([3.0, 0.0], np.float32), (98, 1))
    shipped = calibration.shipped_temperature(logits, labels)
    assert shipped == pytest.approx(3 / np.log(99), rel=1e-5)
    labels[0] = 1
    assert calibration.shipped_temperature(logits, labels) == calibration.fit_temperature(
        logits, labels
    )
