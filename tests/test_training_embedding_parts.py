"""Sampling, memory, whitening, ranking, folds and pasted views: what each promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promolens_runtime.errors import InputError
from promolens_training.data.photos import Photo
from promolens_training.embedding.catalogue_views import Pasting as PastingRule
from promolens_training.embedding.catalogue_views import (
    bounding_box,
    catalogue_view,
    paste,
    pasted_view,
    product_mask,
)
from promolens_training.embedding.folds import class_folds, plan_splits, whole_split
from promolens_training.embedding.look_alikes import LookAlikes
from promolens_training.embedding.memory import CrossBatchMemory
from promolens_training.embedding.pictures import ProductPictures
from promolens_training.embedding.ranking import places, unit_rows
from promolens_training.embedding.recipes import (
    EMBEDDING_RECIPES,
    EmbeddingRecipe,
    embedding_recipe_from_json,
    embedding_recipe_named,
)
from promolens_training.embedding.sampler import balanced_batch, rows_by_class
from promolens_training.embedding.views import ViewPlan
from promolens_training.embedding.whitening import (
    Affine,
    discriminant_whitening,
    pca_whitening,
)

LABELS = np.repeat(np.arange(6), 5)


def drawn(seed: int, classes: int = 4, photos: int = 3) -> np.ndarray:
    pools = [(rows_by_class(LABELS), photos), ({2: np.array([100])}, 2)]
    return balanced_batch(pools, np.arange(6), classes, [7, seed])


@given(st.integers(0, 10_000))
def test_a_batch_has_so_many_classes_and_so_many_pictures_of_each(seed: int) -> None:
    rows = drawn(seed)
    photos = rows[rows < 100]
    counts = np.bincount(LABELS[photos], minlength=6)
    assert sorted(counts) == [0, 0, 3, 3, 3, 3]
    assert len(set(photos)) == len(photos), "a class with enough photos gives none twice"
    # Only class 2 has a row in the other pool: one row, taken twice where two are asked for.
    assert list(rows[rows == 100]) == [100] * (2 if counts[2] else 0)


def test_a_batch_is_named_by_its_seed() -> None:
    assert np.array_equal(drawn(1), drawn(1))
    assert not np.array_equal(drawn(1), drawn(2))


def test_every_class_is_drawn_in_the_long_run() -> None:
    seen = {int(LABELS[row]) for seed in range(40) for row in drawn(seed, 2, 1) if row < 100}
    assert seen == set(range(6))


def two_piles(size: int) -> np.ndarray:
    """Unit rows of `2 * size` classes: the even ones point one way, the odd ones another."""
    rows = np.zeros((2 * size, 3), np.float32)
    rows[::2, 0] = rows[1::2, 1] = 1
    return unit_rows(rows + 0.01 * np.random.default_rng(4).standard_normal(rows.shape))


@given(st.integers(0, 10_000))
def test_look_alikes_are_drawn_together(seed: int) -> None:
    drawn_classes = LookAlikes(two_piles(20), 4).draw(8, np.random.default_rng(seed))
    assert len(set(drawn_classes)) == 8
    for group in (drawn_classes[:4], drawn_classes[4:]):
        assert len(set(group % 2)) == 1, "a group is of one pile"


def test_look_alikes_meet_others_of_their_neighbours_each_time() -> None:
    alikes, rng = LookAlikes(two_piles(20), 4), np.random.default_rng(1)
    partners = {int(one) for _ in range(200) for one in alikes.draw(4, rng)}
    assert len(partners) == 40


def test_what_looks_alike_follows_the_network() -> None:
    alikes = LookAlikes(two_piles(6), 2)
    moved = np.tile(np.array([[0, 0, 1]], np.float32), (4, 1))
    alikes.push(moved, np.array([0, 1, 2, 3], np.int32))
    again = LookAlikes(two_piles(6), 2)
    again.restore(alikes.rows)
    for one in (alikes, again):
        pairs = [one.draw(2, np.random.default_rng(seed)) for seed in range(60)]
        assert all(len(set(pair < 4)) == 1 for pair in pairs), "0 to 3 are a pile of their own now"
        assert any(len(set(pair % 2)) == 2 for pair in pairs), "of both old piles"


def test_fewer_classes_than_asked_for_are_all_drawn() -> None:
    drawn_classes = LookAlikes(two_piles(3), 4).draw(16, np.random.default_rng(0))
    assert sorted(drawn_classes) == list(range(6))


def test_a_batch_of_look_alikes_has_every_picture_of_its_classes() -> None:
    pools = [(rows_by_class(np.arange(10, 16)), 1), (rows_by_class(np.arange(10, 16)), 2)]
    rows = balanced_batch(pools, np.arange(10, 16), 2, [7, 1], LookAlikes(two_piles(3), 2))
    met = np.bincount(rows, minlength=6)
    assert sorted(met) == [0, 0, 0, 0, 3, 3]
    assert len({row % 2 for row in rows}) == 1, "the rows 0 to 5 are of the classes 10 to 15"


def test_one_class_is_refused() -> None:
    with pytest.raises(InputError, match="at least 2 classes"):
        balanced_batch([], np.array([3]), 2, [1])


def test_a_memory_forgets_the_oldest() -> None:
    memory = CrossBatchMemory(4, 1)
    for number in range(3):
        rows = np.array([[2 * number], [2 * number + 1]], np.float32)
        memory.push(rows, np.array([number, number], np.int32))
    rows, labels = memory.arrays()
    assert sorted(zip(rows[:, 0], labels, strict=True)) == [(2, 1), (3, 1), (4, 2), (5, 2)]
    again = CrossBatchMemory(4, 1)
    again.restore(memory.state())
    for each in (memory, again):
        each.push(np.array([[9]], np.float32), np.array([9], np.int32))
    assert np.array_equal(memory.arrays()[0], again.arrays()[0])


def test_a_memory_may_be_empty_or_smaller_than_a_batch() -> None:
    none, small = CrossBatchMemory(0, 2), CrossBatchMemory(2, 2)
    assert none.arrays()[0].shape == (0, 2)
    for memory in (none, small):
        memory.push(np.arange(6, dtype=np.float32).reshape(3, 2), np.arange(3, dtype=np.int32))
    assert none.arrays()[0].shape == (0, 2)
    assert sorted(small.arrays()[1]) == [1, 2]


def correlated(count: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mix = rng.standard_normal((6, 6))
    return (rng.standard_normal((count, 6)) @ mix + 5).astype(np.float32)


def test_pca_whitening_gives_uncorrelated_directions_of_variance_one() -> None:
    rows = correlated(400)
    white = pca_whitening(rows, 4, shrink=0.0)(rows)
    np.testing.assert_allclose(np.cov(white, rowvar=False, bias=True), np.eye(4), atol=1e-3)
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-3)


def test_learned_whitening_makes_the_scatter_within_classes_round() -> None:
    rows = correlated(600)
    labels = np.arange(600) % 7
    rows += np.random.default_rng(2).standard_normal((7, 6)).astype(np.float32)[labels] * 3
    white = discriminant_whitening(rows, labels, 6, shrink=0.0)(rows)
    within = np.concatenate([white[labels == k] - white[labels == k].mean(0) for k in range(7)])
    np.testing.assert_allclose(within.T @ within / 600, np.eye(6), atol=2e-3)


def test_learned_whitening_keeps_the_direction_in_which_classes_differ() -> None:
    """Column 0 varies most, but within classes; column 1 tells the classes apart."""
    rng = np.random.default_rng(3)
    labels = np.arange(200) % 2
    rows = np.stack([rng.normal(0, 10, 200), labels + rng.normal(0, 0.1, 200)], axis=1)
    rows = rows.astype(np.float32)
    learned = discriminant_whitening(rows, labels, 1, shrink=0.001)(rows)[:, 0]
    blind = pca_whitening(rows, 1, shrink=0.0)(rows)[:, 0]
    assert abs(np.corrcoef(learned, labels)[0, 1]) > 0.9
    assert abs(np.corrcoef(blind, labels)[0, 1]) < 0.3


def test_two_maps_fold_into_one() -> None:
    rows = correlated(50)
    first = pca_whitening(rows, 5)
    second = Affine(np.ones((5, 2), np.float32), np.array([3, -4], np.float32))
    np.testing.assert_allclose(second.after(first)(rows), second(first(rows)), atol=1e-4)


@pytest.mark.parametrize(
    ("rows", "width"),
    [(np.zeros((1, 3)), 2), (np.full((4, 3), np.nan), 2), (np.zeros((4, 3)), 4)],
)
def test_whitening_refuses_what_it_cannot_use(rows: np.ndarray, width: int) -> None:
    with pytest.raises(InputError):
        pca_whitening(rows.astype(np.float32), width)
    with pytest.raises(InputError):
        discriminant_whitening(rows.astype(np.float32), np.zeros(len(rows), np.int64), width)


@given(st.integers(0, 1000))
def test_places_agree_with_sorting(seed: int) -> None:
    rng = np.random.default_rng(seed)
    queries, gallery = rng.standard_normal((5, 4)), rng.standard_normal((9, 4))
    labels = np.arange(9) % 4
    asked = rng.integers(0, 4, 5)
    found = places(queries.astype(np.float32), asked, gallery.astype(np.float32), labels)
    cosine = unit_rows(queries) @ unit_rows(gallery).T
    for row, label, place in zip(cosine, asked, found, strict=True):
        order = list(dict.fromkeys(labels[np.argsort(-row)]))
        assert order.index(label) == place


def test_a_tie_counts_against_the_right_answer() -> None:
    same = np.ones((3, 2), np.float32)
    found = places(np.ones((1, 2), np.float32), np.array([0]), same, np.array([0, 1, 2]))
    assert list(found) == [2]


def product_pictures(classes: int = 12, photos: int = 10) -> ProductPictures:
    names = tuple(f"class{number:02}" for number in range(classes))
    taken = tuple(
        Photo(Path(f"/photos/{name}-{number}.jpg"), name, source_id=f"{name}/{number // 2}")
        for name in names
        for number in range(photos)
    )
    labels = np.repeat(np.arange(classes), photos)
    shown = tuple(Photo(Path(f"/shown/{name}.jpg"), name, is_gallery=True) for name in names)
    target = np.arange(classes) < classes - 2
    return ProductPictures(Path("/"), names, taken, labels, shown, np.arange(classes), target)


def test_many_pictures_get_fewer_views_each() -> None:
    assert ViewPlan.within(40_000, 964, 81) == ViewPlan()
    plan = ViewPlan.within(40_000, 4_500, 1_500)
    assert (plan.photo, plan.catalogue, plan.pasted) == (1, 6, 12)
    assert len(plan.rows(4_500, 1_500)) <= 40_000


def test_every_target_class_is_unseen_once_and_never_trained_on_then() -> None:
    data = product_pictures()
    plans = plan_splits(data, folds=5)
    judged = np.concatenate([outer.judged_classes for outer, _ in plans])
    assert sorted(judged) == list(np.flatnonzero(data.is_target))
    for outer, inner in plans:
        assert list(outer.gallery_classes) == list(np.flatnonzero(data.is_target))
        assert not set(outer.judged_classes) & set(outer.train_classes)
        assert set(data.labels[outer.unseen_photos]) == set(outer.judged_classes)
        assert len(outer.unseen_photos) == 10 * len(outer.judged_classes)
        hidden = set(outer.judged_classes)
        for part in (inner.train_classes, inner.judged_classes, inner.gallery_classes):
            assert not hidden & set(part), "a choice must not see the classes it is judged on"
        assert not hidden & set(data.labels[inner.train_photos])


def test_seen_photos_share_no_source_with_training() -> None:
    data = product_pictures()
    for outer, _ in plan_splits(data, folds=5):
        trained = {data.photos[number].source_id for number in outer.train_photos}
        asked = {data.photos[number].source_id for number in outer.seen_photos}
        assert asked
        assert not trained & asked
        assert set(data.labels[outer.seen_photos]) <= set(outer.train_classes)
        assert data.is_target[data.labels[outer.seen_photos]].all()


def test_training_on_everything_judges_nothing() -> None:
    split = whole_split(product_pictures())
    assert len(split.train_photos) == 120
    assert len(split.unseen_photos) == len(split.seen_photos) == 0


def test_too_many_folds_are_refused() -> None:
    with pytest.raises(InputError, match="2 classes a fold"):
        class_folds(np.arange(9), 5, seed=1)


def carton(px: int = 64) -> np.ndarray:
    """A red box with a white label, before white."""
    picture = np.full((px, px, 3), 255, np.uint8)
    picture[12:52, 20:44] = (200, 30, 30)
    picture[24:36, 26:38] = 255
    return picture


def test_the_mask_is_the_product_with_the_white_inside_it() -> None:
    mask = product_mask(carton())
    assert mask[30, 32] == 255, "the label is white but not background"
    assert mask[2, 2] == 0
    # The outermost ring is cut away: it is mixed with the background.
    assert bounding_box(mask) == (13, 51, 21, 43)


def test_a_picture_that_fills_the_frame_is_all_product() -> None:
    full = np.full((20, 30, 3), 90, np.uint8)
    assert bounding_box(product_mask(full))[1::2] >= (19, 29)
    empty = np.full((20, 20, 3), 255, np.uint8)
    assert bounding_box(product_mask(empty)) == (0, 20, 0, 20)


def test_pasting_shows_the_product_before_the_background() -> None:
    background = np.full((64, 64, 3), (10, 200, 10), np.uint8)
    still = PastingRule(0.6, 0.6, rotate_deg=0, perspective=0, shift=0)
    scene = paste(carton(), product_mask(carton()), background, np.random.default_rng(1), still)
    assert tuple(scene[2, 2]) == (10, 200, 10)
    assert scene[32 - 15, 32, 0] > 180, "the box is in the middle"
    assert scene[32, 32].min() > 240, "its label too"
    assert background[32, 32, 1] == 200, "the background is not changed"


def test_views_are_named_by_their_seed() -> None:
    background = np.full((64, 64, 3), 80, np.uint8)
    for view in (
        lambda seed: catalogue_view(carton(), np.random.default_rng(seed), 32),
        lambda seed: pasted_view(carton(), background, np.random.default_rng(seed), 32),
    ):
        assert view(1).shape == (32, 32, 3)
        assert np.array_equal(view(1), view(1))
        assert not np.array_equal(view(1), view(2))


@pytest.mark.parametrize("name", EMBEDDING_RECIPES)
def test_recipes_survive_json(name: str) -> None:
    recipe = embedding_recipe_named(name)
    again = embedding_recipe_from_json(recipe.to_json())
    assert (again, again.fingerprint()) == (recipe, recipe.fingerprint())


@pytest.mark.parametrize(
    "wrong",
    [
        {"loss": "hinge"},
        {"level": "block3"},
        {"prefixes": (64, 128)},
        {"prefixes": ()},
        {"prefixes": (128, 64, 256)},
        {"temperature": 0.0},
        {"classes": 1},
        {"peak_learning_rate": 2.0},
    ],
)
def test_recipes_are_checked_when_made(wrong: dict) -> None:
    with pytest.raises(InputError):
        EmbeddingRecipe("mine", **wrong)


def test_an_unknown_recipe_is_answered_with_the_table() -> None:
    with pytest.raises(InputError, match="proxy-anchor"):
        embedding_recipe_named("best")
    with pytest.raises(InputError, match="Received another"):
        embedding_recipe_from_json({"name": "x", "colour": 3, "prefixes": [256]})
