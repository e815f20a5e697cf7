"""The parts of training that need no network: recipes, views, batches, schedules, files."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promolens_runtime.errors import InputError
from promolens_training.augment import augment, mix_batch
from promolens_training.feeder import TrainingPixels, batches, make_view, steps_per_epoch
from promolens_training.files import write_atomically
from promolens_training.finetune import learning_rate
from promolens_training.probe import fit_probe
from promolens_training.recipes import (
    FAST,
    RECIPES,
    Augmentation,
    Distillation,
    Phase,
    Recipe,
    recipe_from_json,
    recipe_named,
)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_survives_its_own_json(name: str) -> None:
    recipe = recipe_named(name)
    again = recipe_from_json(json.loads(json.dumps(recipe.to_json())))
    assert again == recipe
    assert again.fingerprint() == recipe.fingerprint()


def test_any_changed_knob_changes_the_fingerprint() -> None:
    assert replace(FAST, dropout=0.3).fingerprint() != FAST.fingerprint()
    stronger = replace(FAST.augmentation, rotate_deg=13.0)
    assert replace(FAST, augmentation=stronger).fingerprint() != FAST.fingerprint()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Recipe("x", dropout=1.0),
        lambda: Recipe("x", image_px=16),
        lambda: Phase(0, 224, 1e-3),
        lambda: Phase(1, 224, 0.0),
        lambda: Augmentation(min_area=0.0),
        lambda: Distillation("teacher", weight=1.5),
        lambda: recipe_named("quick"),
        lambda: recipe_from_json({"name": "x", "colour": 1}),
    ],
)
def test_a_recipe_out_of_range_is_refused(make: object) -> None:
    with pytest.raises(InputError, match="Expected"):
        make()  # type: ignore[operator]


def test_the_learning_rate_climbs_then_falls_along_a_cosine() -> None:
    phase = Phase(epochs=3, image_px=224, peak_learning_rate=0.1, warmup_epochs=1)
    rates = [learning_rate(phase, step, per_epoch=10) for step in range(30)]
    assert rates[0] == pytest.approx(0.01)
    assert rates[9] == pytest.approx(0.1)
    assert rates[20] == pytest.approx(0.05)  # half-way down: cos(pi / 2) = 0
    assert rates[29] == pytest.approx(0.05 * (1 + math.cos(math.pi * 19 / 20)))


def _picture(seed: int, side: int = 64) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), px=st.sampled_from([32, 48, 64]))
def test_a_view_depends_on_its_seed_alone(seed: int, px: int) -> None:
    first = augment(_picture(1), np.random.default_rng(seed), px, Augmentation())
    again = augment(_picture(1), np.random.default_rng(seed), px, Augmentation())
    assert first.shape == (px, px, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)


def test_a_teacher_sees_the_same_view_at_its_own_resolution() -> None:
    import cv2

    smooth = cv2.GaussianBlur(_picture(3, 128), (0, 0), 6)
    calm = Augmentation(blur=0, noise=0, jpeg=0, erase=0)
    small = augment(smooth, np.random.default_rng(5), 48, calm)
    large = augment(smooth, np.random.default_rng(5), 96, calm)
    shrunk = cv2.resize(large, (48, 48), interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk.astype(int) - small).mean() < 3


def test_mixing_keeps_targets_a_distribution_and_mixes_both_alike() -> None:
    images = np.zeros((2, 4, 4, 3), np.float32)
    images[0] = 100
    targets = np.eye(2, dtype=np.float32)
    rng = np.random.default_rng(0)
    mixed, soft = mix_batch(images, targets, rng, mixup_alpha=0.5, cutmix_alpha=0.0)
    assert soft.sum(axis=1) == pytest.approx([1, 1])
    assert mixed[0, 0, 0, 0] == pytest.approx(100 * soft[0, 0], rel=1e-5)
    cut, soft = mix_batch(images, targets, rng, mixup_alpha=0.0, cutmix_alpha=1.0)
    assert cut[0].mean() == pytest.approx(100 * soft[0, 0], rel=1e-5)


def _data(count: int = 11) -> TrainingPixels:
    pixels = np.stack([_picture(i, 40) for i in range(count)])
    return TrainingPixels(pixels, np.arange(count) % 3, 3)


def _small(**changes: object) -> Recipe:
    return replace(FAST, batch=4, phases=(Phase(2, 32, 1e-3),), **changes)  # type: ignore[arg-type]


def test_an_epoch_entered_half_way_yields_the_batches_it_would_have_had() -> None:
    whole = list(batches(_data(), _small(), 0, 1))
    rest = list(batches(_data(), _small(), 0, 1, first_step=1))
    assert len(whole) == steps_per_epoch(11, 4) == 2
    assert len(rest) == 1
    assert np.array_equal(whole[1].images, rest[0].images)
    assert np.array_equal(whole[1].targets, rest[0].targets)


def test_label_smoothing_leaves_the_right_class_on_top() -> None:
    batch = next(iter(batches(_data(), _small(label_smoothing=0.3), 0, 0)))
    assert batch.targets.sum(axis=1) == pytest.approx(np.ones(4))
    assert np.sort(np.unique(batch.targets.round(4))) == pytest.approx([0.1, 0.8])


def test_with_a_teacher_views_repeat_and_without_they_do_not() -> None:
    taught = _small(distillation=Distillation("teacher", views=2))
    views = [make_view(_data(), taught, 0, epoch, 3, 32) for epoch in range(3)]
    assert np.array_equal(views[0], views[2])
    assert not np.array_equal(views[0], views[1])
    fresh = [make_view(_data(), _small(), 0, epoch, 3, 32) for epoch in (0, 2)]
    assert not np.array_equal(fresh[0], fresh[1])


@pytest.mark.parametrize("class_count", [2, 4])
def test_the_probe_separates_what_is_separable(class_count: int) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(80) % class_count
    centres = 5 * np.eye(class_count, 6)
    features = (centres[labels] + rng.normal(0, 0.3, (80, 6))).astype(np.float32)
    kernel, bias = fit_probe(features, labels, class_count, c=1.0, seed=0)
    assert kernel.shape == (6, class_count)
    assert ((features @ kernel + bias).argmax(1) == labels).all()


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    target = tmp_path / "weights"
    target.write_bytes(b"old")

    def fails(file: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_atomically(target, fails)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]
