"""Figures of a classifier: every expected value below is worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from promolens_training.evaluation import metrics

NAMES = ("apple", "pear", "milk", "juice")


def logits_of(*probabilities: tuple[float, ...]) -> np.ndarray:
    return np.log(np.array(probabilities))


@st.composite
def labelled_logits(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    n, c = draw(st.integers(1, 12)), draw(st.integers(2, 8))
    numbers = st.floats(-20, 20, width=32)
    logits = draw(arrays(np.float32, (n, c), elements=numbers))
    labels = draw(arrays(np.int64, n, elements=st.integers(0, c - 1)))
    return logits, labels


def test_top_k_counts_the_right_class_among_the_first_k() -> None:
    logits = np.array([[4, 3, 2, 1], [4, 3, 2, 1], [4, 3, 2, 1], [4, 3, 2, 1]], np.float32)
    labels = np.array([0, 1, 2, 3])
    assert [metrics.top_k(logits, labels, k) for k in (1, 2, 3, 4, 5)] == [0.25, 0.5, 0.75, 1, 1]


def test_equal_logits_rank_like_argmax() -> None:
    logits = np.zeros((2, 3), np.float32)
    assert metrics.ranks(logits, np.array([0, 2])).tolist() == [0, 2]


@given(labelled_logits())
def test_more_guesses_never_hurt(case: tuple[np.ndarray, np.ndarray]) -> None:
    logits, labels = case
    rates = [metrics.top_k(logits, labels, k) for k in (1, 3, 5, logits.shape[1])]
    assert rates == sorted(rates)
    assert rates[-1] == 1.0
    assert rates[0] == np.mean(logits.argmax(axis=1) == labels)


@given(labelled_logits(), st.randoms(use_true_random=False))
def test_the_order_of_photos_does_not_matter(case: tuple[np.ndarray, np.ndarray], rng) -> None:
    logits, labels = case
    order = rng.sample(range(len(labels)), len(labels))
    for figure in (metrics.ece, metrics.negative_log_likelihood):
        assert figure(logits[order], labels[order]) == pytest.approx(figure(logits, labels))
    matrix = metrics.confusion_matrix(logits[order], labels[order])
    assert (matrix == metrics.confusion_matrix(logits, labels)).all()


@given(labelled_logits(), st.floats(0.1, 10))
def test_temperature_keeps_the_first_answer(
    case: tuple[np.ndarray, np.ndarray], temperature: float
) -> None:
    probabilities = metrics.softmax(case[0], temperature)
    chosen = np.take_along_axis(probabilities, case[0].argmax(axis=1)[:, None], axis=1)[:, 0]
    assert chosen == pytest.approx(probabilities.max(axis=1))
    assert probabilities.sum(axis=1) == pytest.approx(1)


def test_confusions_name_classes_and_counts() -> None:
    # Three apples: one right, two called pear. One pear called milk. Two milks right. No juice.
    said = [0, 1, 1, 2, 2, 2]
    labels = np.array([0, 0, 0, 1, 2, 2])
    matrix = metrics.confusion_matrix(np.eye(4, dtype=np.float32)[said], labels)
    pairs = metrics.confusion_pairs(matrix, NAMES)
    assert [(p.actual, p.predicted, p.count) for p in pairs] == [
        ("apple", "pear", 2),
        ("pear", "milk", 1),
    ]
    assert pairs[0].share == pytest.approx(2 / 3)
    apple, pear, milk, juice = metrics.per_class(matrix, NAMES)
    assert (apple.n, apple.correct, apple.mostly_taken_for) == (3, 1, "pear")
    assert (pear.accuracy, milk.accuracy, juice.accuracy) == (0.0, 1.0, None)
    assert milk.mostly_taken_for is None


def test_coarse_answer_sums_the_children() -> None:
    # Milk is first alone (0.4), yet fruit has 0.35 + 0.25 = 0.6 together.
    logits = logits_of((0.35, 0.25, 0.4), (0.1, 0.2, 0.7))
    parents = ("fruit", "fruit", "dairy")
    hits = metrics.coarse_hits(logits, np.array([1, 2]), parents)
    assert hits is not None
    assert hits.tolist() == [True, True]
    assert metrics.top_k(logits, np.array([1, 2]), 1) == 0.5


def test_classes_without_a_parent_stand_alone_and_no_parents_means_no_figure() -> None:
    logits = logits_of((0.3, 0.3, 0.4))
    assert metrics.coarse_hits(logits, np.array([0]), (None, None, None)) is None
    hits = metrics.coarse_hits(logits, np.array([2]), ("fruit", None, None))
    assert hits is not None
    assert hits.tolist() == [True]


def test_negative_log_likelihood_is_the_mean_surprise() -> None:
    logits = logits_of((0.5, 0.5), (0.25, 0.75))
    expected = (math.log(2) + math.log(4)) / 2
    assert metrics.negative_log_likelihood(logits, np.array([0, 0])) == pytest.approx(expected)


def test_calibration_error_is_the_mean_gap() -> None:
    # Confidences .9 (right), .9 (wrong), .7 (right), .7 (right), with 15 bins of 1/15:
    # bin (13/15, 14/15] has gap |.5 - .9| = .4, bin (10/15, 11/15] gap |1 - .7| = .3.
    logits = logits_of((0.9, 0.1), (0.9, 0.1), (0.7, 0.3), (0.3, 0.7))
    labels = np.array([0, 1, 0, 1])
    assert metrics.ece(logits, labels) == pytest.approx(0.5 * 0.4 + 0.5 * 0.3)
    bins = metrics.reliability(logits, labels)
    filled = {index: (each.n, each.accuracy) for index, each in enumerate(bins) if each.n}
    assert filled == {13: (2, 0.5), 10: (2, 1.0)}
    assert len(bins) == 15


def test_a_bin_holds_its_upper_edge() -> None:
    bins = metrics.reliability(np.zeros((1, 2), np.float32), np.array([0]), bins=2)
    assert [each.n for each in bins] == [1, 0]


@given(labelled_logits())
def test_calibration_error_is_a_rate(case: tuple[np.ndarray, np.ndarray]) -> None:
    assert 0 <= metrics.ece(*case) <= 1


@pytest.mark.parametrize(
    ("won", "lost", "p"),
    # 2 * (1 + 5) / 2**5 = 0.375; 2 * 1 / 2**3 = 0.25; equal counts are no evidence at all.
    [(1, 4, 0.375), (0, 3, 0.25), (3, 0, 0.25), (2, 2, 1.0), (0, 0, 1.0)],
)
def test_mcnemar_is_the_coin_toss(won: int, lost: int, p: float) -> None:
    assert metrics.mcnemar_exact(won, lost) == pytest.approx(p)


def test_mcnemar_copes_with_many_photos() -> None:
    assert metrics.mcnemar_exact(4000, 4000) == 1.0
    assert metrics.mcnemar_exact(0, 8000) < 1e-300


def test_kl_is_zero_only_for_equal_answers() -> None:
    a, b = logits_of((0.5, 0.5)), logits_of((0.25, 0.75))
    assert metrics.kl_divergence(a, a)[0] == 0
    # .5 ln 2 + .5 ln(2/3)
    assert metrics.kl_divergence(a, b)[0] == pytest.approx(0.5 * math.log(4 / 3))


def test_agreement_counts_who_won_and_shows_the_worst() -> None:
    a = logits_of((0.9, 0.1), (0.6, 0.4), (0.8, 0.2), (0.1, 0.9), (0.7, 0.3))
    b = logits_of((0.9, 0.1), (0.4, 0.6), (0.1, 0.9), (0.1, 0.9), (0.4, 0.6))
    labels = np.array([0, 1, 0, 1, -1])
    found = metrics.agreement(a, b, labels, [f"s{index}" for index in range(5)])
    assert (found.rate, found.won, found.lost) == (pytest.approx(2 / 5), 1, 1)
    assert found.top1_change == 0
    assert found.top1_change_interval.low <= 0 <= found.top1_change_interval.high
    assert found.worst == (2, 4, 1)
    assert metrics.agreement(a, b, labels, [""] * 5, limit=1).worst == (2,)


def test_agreement_refuses_other_photos() -> None:
    with pytest.raises(ValueError, match="Predict the same photos"):
        metrics.agreement(np.zeros((2, 3)), np.zeros((1, 3)), np.zeros(2, np.int64), ["", ""])
