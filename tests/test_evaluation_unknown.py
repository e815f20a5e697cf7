"""Refusing unknown objects: scores, thresholds and rates on cases small enough for paper."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promolens_training.data.photos import ProductClass
from promolens_training.evaluation import unknown

scores = st.lists(st.floats(-100, 100), min_size=1, max_size=40)


def test_scores_by_hand() -> None:
    logits = np.log(np.array([[1.0, 2.0, 5.0]]))
    assert unknown.max_logit(logits) == pytest.approx([math.log(5)])
    assert unknown.energy(logits) == pytest.approx([math.log(8)])
    # T ln sum x**(1/T) with T = 2: 2 ln(1 + sqrt 2 + sqrt 5).
    assert unknown.energy(logits, 2.0) == pytest.approx([2 * math.log(1 + 2**0.5 + 5**0.5)])
    # Far beyond what exp can hold.
    assert unknown.energy(np.array([[2000.0, 2000.0]])) == pytest.approx([2000 + math.log(2)])


def test_a_bundle_scores_as_the_measurement_does() -> None:
    from promolens_runtime.manifest import UnknownRule
    from promolens_runtime.recognizer import unknown_score

    logits = np.random.default_rng(0).normal(0, 5, (8, 6)).astype(np.float32)
    for name, score in unknown.SCORES.items():
        rule = UnknownRule(name, 0.0, 0.95, None, 8, 0)
        assert score(logits) == pytest.approx([unknown_score(row, rule) for row in logits])


def test_the_threshold_accepts_just_enough() -> None:
    known = np.arange(20.0)
    assert unknown.choose_threshold(known, 0.95) == 1.0  # 19 of 20 are at least 1
    assert unknown.choose_threshold(known, 0.951) == 0.0
    assert unknown.choose_threshold(known, 1.0) == 0.0


@given(scores, st.floats(0.01, 1.0))
def test_the_threshold_keeps_its_promise(values: list[float], rate: float) -> None:
    known = np.array(values)
    threshold = unknown.choose_threshold(known, rate)
    assert (known >= threshold).mean() >= rate - 1e-9
    # And it is the highest that does.
    assert (known > threshold).mean() < rate


@pytest.mark.parametrize(("known", "rate"), [([], 0.95), ([1.0], 0.0), ([1.0], 1.1)])
def test_a_threshold_needs_photos_and_a_rate(known: list[float], rate: float) -> None:
    with pytest.raises(ValueError, match="Expected scores"):
        unknown.choose_threshold(np.array(known), rate)


def test_auroc_by_hand() -> None:
    # Pairs (3,2) (3,1) (2,1) won, (2,2) half, of 4... 3 + .5 = 3.5 of 4.
    assert unknown.auroc(np.array([3.0, 2.0]), np.array([2.0, 1.0])) == 3.5 / 4
    assert unknown.auroc(np.array([1.0]), np.array([2.0])) == 0.0
    with pytest.raises(ValueError, match="empty side"):
        unknown.auroc(np.array([1.0]), np.array([]))


@given(scores, scores)
def test_auroc_mirrors(known: list[float], other: list[float]) -> None:
    there = unknown.auroc(np.array(known), np.array(other))
    back = unknown.auroc(np.array(other), np.array(known))
    assert there + back == pytest.approx(1)


def test_the_better_score_is_first() -> None:
    # Known: one class stands out. Unknown: two classes share the evidence, ln 5 each, so
    # the highest logit is lower and the energy, ln 10 over ln 9, higher: max_logit judges better.
    known = np.tile([[math.log(8.0), 0.0]], (20, 1))
    other = np.tile([[math.log(5.0), math.log(5.0)]], (10, 1))
    names = [str(index) for index in range(20)]
    results = unknown.compare_scores(known, other, names, names[:10])
    assert [result.score for result in results] == ["max_logit", "energy"]
    best = results[0]
    assert best.accept_at_least == pytest.approx(math.log(8))
    assert (best.false_accept_rate, best.auroc) == (0.0, 1.0)
    assert (results[1].false_accept_rate, results[1].auroc) == (1.0, 0.0)
    # No acceptance among 10: Wilson's upper end is z2 / (n + z2).
    assert best.false_accept_interval.bounds == pytest.approx((0.0, 0.27753), abs=1e-5)
    assert best.accepted_known == 1.0


def test_the_accept_rate_on_new_sources_does_not_flatter() -> None:
    rng = np.random.default_rng(0)
    scores_of = rng.normal(size=400)
    sources = [str(index) for index in range(400)]
    rate = unknown.cross_fitted_accept_rate(scores_of, sources, 0.95)
    assert rate == pytest.approx(0.95, abs=0.02)
    assert unknown.cross_fitted_accept_rate(scores_of, ["one"] * 400, 0.95) is None


def test_held_out_classes_are_chosen_once_and_leave_siblings() -> None:
    classes = [
        ProductClass(f"{family}{index}", f"{family}{index}", parent=family)
        for family in ("cola", "tea", "chips")
        for index in range(4)
    ]
    chosen = unknown.held_out_labels(classes, share=0.25, seed=3)
    assert len(chosen) == 3
    assert {name[:-1] for name in chosen} == {"cola", "tea", "chips"}
    assert unknown.held_out_labels(classes, share=0.25, seed=3) == chosen
    assert len(unknown.held_out_labels(classes, share=0.99)) == 10
    with pytest.raises(ValueError, match="at least 3 classes"):
        unknown.held_out_labels(classes[:2])
