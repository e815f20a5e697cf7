"""The losses of metric learning: values worked out by hand, gradients by finite differences."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from promolens_training.embedding.losses.cascaded import cascaded_contrastive
from promolens_training.embedding.losses.center import center_loss, moved_centers
from promolens_training.embedding.losses.contrastive import contrastive
from promolens_training.embedding.losses.distillation import regression, relational
from promolens_training.embedding.losses.multi_similarity import multi_similarity
from promolens_training.embedding.losses.pairs import Memory
from promolens_training.embedding.losses.proxies import proxy_anchor, sub_center_arcface
from promolens_training.embedding.losses.supervised_contrastive import (
    across_domains,
    supervised_contrastive,
)
from promolens_training.embedding.losses.threshold import threshold_consistent_margin
from promolens_training.embedding.losses.triplet import triplet_semi_hard
from promolens_training.embedding.matryoshka import over_prefixes, unit_prefixes
from promolens_training.embedding.pooling import generalised_mean, make_gem

tf: Any = pytest.importorskip("tensorflow")
HALF = math.sqrt(0.5)
LN_1_E = math.log(1 + math.e)  # 1.313262
LN_1_1E = math.log(1 + 1 / math.e)  # 0.313262


def rows(*points: tuple[float, ...]) -> Any:
    return tf.constant(points, tf.float64)


def labels(*values: int) -> Any:
    return tf.constant(values, tf.int32)


def test_triplet_takes_the_semi_hard_negative_else_the_farthest() -> None:
    """d = 2 - 2 cos: a0-a1 2, a0-b 4, a1-b 2. (a0, a1): b is beyond 2, max(0, 2 - 4 + .2) = 0.
    (a1, a0): no negative beyond 2, the farthest is at 2: 2 - 2 + .2 = .2. Mean .1."""
    found = triplet_semi_hard(rows((1, 0), (0, 1), (-1, 0)), labels(0, 0, 1), margin=0.2)
    assert float(found) == pytest.approx(0.1)


def test_contrastive_pulls_by_the_square_and_pushes_within_the_margin() -> None:
    """Positives coincide: 0. Negatives at 60 degrees, d = 1: (1.5 - 1)^2 = .25.
    With positives at right angles instead, d^2 = 2, and no negative within .8: 2."""
    near = rows((1, 0), (1, 0), (0.5, math.sqrt(0.75)))
    assert float(contrastive(near, labels(0, 0, 1), margin=1.5)) == pytest.approx(0.25)
    wide = rows((1, 0), (0, 1), (-1, 0))
    assert float(contrastive(wide, labels(0, 0, 1), margin=0.8)) == pytest.approx(2.0)


def test_multi_similarity_follows_equation_15_on_mined_pairs() -> None:
    """Anchors a0 and a1: positive s = 0, negative s = .70711, both kept.
    (1/2) ln(1 + e^(-2 (0 - .5))) = .656631 and (1/50) ln(1 + e^(50 * .207107)) = .207107.
    Anchor b has no positive, so nothing is kept: (2/3) * .863738 = .575825.
    Where the positive (s = 1) is far above the negative (s = 0), nothing is kept: 0."""
    hard = rows((1, 0), (0, 1), (HALF, HALF))
    assert float(multi_similarity(hard, labels(0, 0, 1))) == pytest.approx(0.575825, abs=1e-5)
    easy = rows((1, 0), (1, 0), (0, 1))
    assert float(multi_similarity(easy, labels(0, 0, 1))) == 0.0


def test_supervised_contrastive_is_a_softmax_over_the_others() -> None:
    """Both anchors of class 0: -ln(e / (e + 1)) = ln(1 + 1/e) = .313262; b has no positive."""
    found = supervised_contrastive(rows((1, 0), (1, 0), (0, 1)), labels(0, 0, 1), temperature=1)
    assert float(found) == pytest.approx(LN_1_1E)


def test_across_domains_asks_photos_about_catalogue_pictures_alone() -> None:
    """Photo 0 has s = 1 with its picture and 0 with the other: ln(1 + 1/e). Photo 1 has s = -1 with
    its picture and 0 with the other: -ln(e^-1 / (e^-1 + 1)) = ln(1 + e). Mean .813262.
    That the photos are at right angles to each other plays no part."""
    found = across_domains(
        rows((1, 0), (0, -1), (1, 0), (0, 1)),
        labels(0, 1, 0, 1),
        tf.constant([False, False, True, True]),
        temperature=1,
    )
    assert float(found) == pytest.approx((LN_1_1E + LN_1_E) / 2)


def test_center_loss_is_half_the_squared_distance_and_centres_follow() -> None:
    """Distances 1 and 0: mean of 1/2 and 0. The centre (0, 0) with rows (1, 0) and (0, 1):
    sum(c - x) = (-1, -1), over 1 + 2, times 1/2: it moves to (1/6, 1/6); the other stays."""
    found = center_loss(rows((1, 0), (0, 1)), labels(0, 1), rows((0, 0), (0, 1)))
    assert float(found) == pytest.approx(0.25)
    moved = moved_centers(rows((1, 0), (0, 1)), labels(0, 0), rows((0, 0), (5, 5)), rate=0.5)
    np.testing.assert_allclose(moved, [[1 / 6, 1 / 6], [5, 5]])


def test_the_cascade_hands_on_the_hardest_pairs() -> None:
    """d^2 of the positives: 0, 0 (class 0) and 2, 2 (class 1), negatives beyond the margin.
    Level 1: mean 1. Level 2 sees the harder half: mean 2. Sum 3."""
    level = rows((1, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))
    found = cascaded_contrastive([level, level], labels(0, 0, 1, 1), 0.8, shares=(1, 0.5))
    assert float(found) == pytest.approx(3.0)


def test_arcface_adds_its_margin_to_the_nearest_sub_centre() -> None:
    """The row is at 30 degrees to the nearer sub-centre of class 0 and at 60 to that of class 1.
    With 30 degrees of margin both logits are cos 60: ln 2."""
    row = rows((math.cos(math.pi / 6), 0.5))
    centers = tf.constant([[[-1, 0], [2, 0]], [[0, 3], [0, -1]]], tf.float64)
    found = sub_center_arcface(row, labels(0), centers, margin_deg=30, scale=1)
    assert float(found) == pytest.approx(math.log(2))


def test_arcface_rises_with_the_angle_all_the_way() -> None:
    """The other centre is at right angles to the whole path, so only the own angle counts. Past
    150 degrees, angle plus margin would turn back: the continuation must not."""
    centers = tf.constant([[[1.0, 0, 0]], [[0, 0, 1.0]]], tf.float64)
    losses = []
    for degrees in range(0, 181, 5):
        angle = math.radians(degrees)
        row = rows((math.cos(angle), math.sin(angle), 0))
        losses.append(float(sub_center_arcface(row, labels(0), centers, 30, scale=1)))
    assert all(later > earlier for earlier, later in itertools.pairwise(losses))


def test_proxy_anchor_follows_equation_4() -> None:
    """Pull of the one class present: ln(1 + e^-1) = .313262. Push: class 0 has no other rows: 0;
    class 1 has one at s = 0: ln 2; mean over 2 classes .346574. Sum .659835."""
    found = proxy_anchor(rows((1, 0)), labels(0), rows((7, 0), (0, 1)), margin=0, scale=1)
    assert float(found) == pytest.approx(LN_1_1E + math.log(2) / 2)


def test_the_threshold_margin_counts_hard_pairs_alone() -> None:
    """Positives at s = .5: .9 - .5 = .4. Negatives are below .5: nothing."""
    found = threshold_consistent_margin(
        rows((1, 0), (0.5, math.sqrt(0.75)), (0, -1)), labels(0, 0, 1), 0.9, 0.5
    )
    assert float(found) == pytest.approx(0.4)


def test_regression_is_one_minus_cosine() -> None:
    assert float(regression(rows((1, 0), (0, 1)), rows((1, 0), (1, 0)))) == pytest.approx(0.5)


def test_relational_distillation_compares_distances_over_their_mean() -> None:
    """Teacher at 0, 1, 2 on a line: 1, 1, 2 over 4/3 = .75, .75, 1.5. Student equilateral: 1, 1, 1.
    Huber of .25, .25, .5: .03125 + .03125 + .125 = .1875; both orders, over 9 entries: 1/24."""
    student = rows((0, 0), (1, 0), (0.5, math.sqrt(0.75)))
    assert float(relational(student, rows((0,), (1,), (2,)))) == pytest.approx(1 / 24)
    assert float(relational(3 * student, student @ rows((0, 1), (-1, 0)))) == pytest.approx(0)


def test_a_memory_adds_pairs_but_no_anchors() -> None:
    """Alone the anchor has no positive; the memory brings one at s = 1 and a negative at 0."""
    memory = Memory(rows((1, 0), (0, 1)), labels(0, 1))
    batch = rows((1, 0))
    assert float(supervised_contrastive(batch, labels(0), 1)) == 0.0
    found = supervised_contrastive(batch, labels(0), 1, memory)
    assert float(found) == pytest.approx(LN_1_1E)


def test_generalised_mean_goes_from_the_average_to_the_maximum() -> None:
    """Of 1, 2, 3, 4: p = 1 gives 2.5; p = 3 gives (100 / 4)^(1/3) = 2.924; p = 200 almost 4."""
    features = tf.reshape(tf.constant([1.0, 2, 3, 4], tf.float64), (1, 2, 2, 1))
    assert float(generalised_mean(features, 1.0)[0, 0]) == pytest.approx(2.5)
    assert float(generalised_mean(features, 3.0)[0, 0]) == pytest.approx(25 ** (1 / 3))
    assert float(generalised_mean(features, 200.0)[0, 0]) == pytest.approx(4, rel=0.01)
    layer = make_gem()
    single = tf.cast(features, tf.float32)
    assert float(layer(single)[0, 0]) == pytest.approx(25 ** (1 / 3), rel=1e-5)
    assert len(layer.trainable_weights) == 1


def test_prefixes_are_unit_vectors_and_losses_are_averaged_over_them() -> None:
    """(3, 4, 12): prefixes (1), (.6, .8) and the whole over 13; sums 1, 1.4 and 19/13."""
    whole = rows((3, 4, 12))
    found = unit_prefixes(whole, (1, 2, 3))
    np.testing.assert_allclose(found[1], [[0.6, 0.8]])
    mean = over_prefixes(tf.reduce_sum, whole, (1, 2, 3))
    assert float(mean) == pytest.approx((1 + 1.4 + 19 / 13) / 3)


LABELS = labels(0, 0, 0, 1, 1, 2, 2, 3)
WORLD = tf.constant([False, True, False, False, True, True, False, True])
CENTERS = np.random.default_rng(8).standard_normal((4, 2, 5))
Loss = Callable[[Any], Any]
LOSSES: dict[str, Loss] = {
    "triplet": lambda x: triplet_semi_hard(x, LABELS),
    "contrastive": lambda x: contrastive(x, LABELS, margin=1.3),
    "multi-similarity": lambda x: multi_similarity(x, LABELS),
    "supervised contrastive": lambda x: supervised_contrastive(x, LABELS),
    "across domains": lambda x: across_domains(x, LABELS, WORLD),
    "cascaded": lambda x: cascaded_contrastive(
        [x, tf.math.l2_normalize(x[:, :3], axis=1)], LABELS, 1.3, (1, 0.5)
    ),
    "center": lambda x: center_loss(x, LABELS, tf.constant(CENTERS[:, 0])),
    "arcface": lambda x: sub_center_arcface(x, LABELS, tf.constant(CENTERS)),
    "proxy-anchor": lambda x: proxy_anchor(x, LABELS, tf.constant(CENTERS[:, 0])),
    "threshold": lambda x: threshold_consistent_margin(x, LABELS),
    "regression": lambda x: regression(x, tf.math.l2_normalize(tf.constant(_points(9)), axis=1)),
    "relational": lambda x: relational(x, tf.constant(_points(9))),
}


def _points(seed: int, count: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 5))


def _gradient(loss: Loss, points: np.ndarray) -> np.ndarray:
    variable = tf.Variable(points)
    with tf.GradientTape() as tape:
        value = loss(tf.math.l2_normalize(variable, axis=1))
    return np.asarray(tape.gradient(value, variable))


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_agree_with_finite_differences(name: str) -> None:
    loss, points, step = LOSSES[name], _points(4), 1e-6
    expected = np.zeros_like(points)
    for place in np.ndindex(points.shape):
        values = []
        for sign in (1, -1):
            moved = points.copy()
            moved[place] += sign * step
            values.append(float(loss(tf.math.l2_normalize(tf.constant(moved), axis=1))))
        expected[place] = (values[0] - values[1]) / (2 * step)
    assert np.abs(expected).max() > 1e-4, "this batch would not notice a wrong gradient"
    np.testing.assert_allclose(_gradient(loss, points), expected, rtol=1e-4, atol=1e-7)


PAIRED: dict[str, Callable[[Any, Any], Any]] = {
    "triplet": triplet_semi_hard,
    "contrastive": contrastive,
    "multi-similarity": multi_similarity,
    "supervised contrastive": supervised_contrastive,
    "across domains": lambda x, y: across_domains(x, y, tf.constant([False] * 3)),
    "cascaded": lambda x, y: cascaded_contrastive([x, x], y, shares=(1, 0.5)),
    "threshold": threshold_consistent_margin,
}


@pytest.mark.parametrize("name", PAIRED)
@pytest.mark.parametrize("classes", [(0, 0, 0), (0, 1, 2)])
def test_a_batch_without_the_pairs_gives_a_number_and_a_finite_gradient(
    name: str, classes: tuple[int, ...]
) -> None:
    # Two equal rows: a distance of 0 must not give an infinite gradient.
    points = np.array([[1.0, 0, 0, 0, 0], [1.0, 0, 0, 0, 0], [0, 1, 0, 0, 0]])
    gradient = _gradient(lambda x: PAIRED[name](x, labels(*classes)), points)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", LOSSES)
def test_perfect_rows_cost_less_than_shuffled_ones(name: str) -> None:
    """Rows on their class's centre against rows on the next class's."""
    if name in ("regression", "relational", "cascaded"):
        pytest.skip("judges other things than labels, or the same by the contrastive loss")
    units = CENTERS[:, 0] / np.linalg.norm(CENTERS[:, 0], axis=1, keepdims=True)
    own = units[np.asarray(LABELS)]
    mixed = units[np.arange(8) % 4]
    assert float(LOSSES[name](tf.constant(own))) < float(LOSSES[name](tf.constant(mixed)))
