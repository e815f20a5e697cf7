"""Background classes: taught, never answered, and counted as unknown where they were held out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from promolens_demo.config import DemoConfig
from promolens_demo.strangers import shots
from promolens_runtime.errors import InputError
from promolens_training.data.doctor import examine
from promolens_training.data.load import load_photo_set
from promolens_training.data.photos import PhotoSet
from promolens_training.discriminant import SCALE, fit_discriminant, head_width
from promolens_training.evaluation.bundle import unknown_background
from promolens_training.fit import make_job, train_one
from promolens_training.recipes import Distillation, Phase, recipe_named
from promolens_training.runs import build_model, open_run
from promolens_training.train import with_test_split, without_held_places

COLOURS = {
    "apple": (200, 30, 30),
    "pear": (60, 190, 60),
    "~plum": (90, 20, 120),
    "~fig": (60, 40, 70),
}


def draw(root: Path) -> None:
    rng = np.random.default_rng(3)
    rows = ["path,label,split,source_id"]
    for label, colour in COLOURS.items():
        for number in range(4):
            split = "test" if number == 3 else "train"
            noise = rng.integers(-30, 30, (64, 64, 3))
            picture = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            name = f"{label.strip('~')}-{number}.png"
            Image.fromarray(picture).save(root / name)
            rows.append(f"{name},{label},{split},{split}-{label}-{number}")
    (root / "photos.csv").write_text("\n".join(rows) + "\n", "utf-8")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fruit")
    draw(root)
    return root


@pytest.fixture(scope="module")
def photo_set(data: Path) -> PhotoSet:
    return load_photo_set(data)


def test_background_is_apart_from_the_classes(photo_set: PhotoSet) -> None:
    assert [one.name for one in photo_set.classes] == ["apple", "pear"]
    assert {photo.label for photo in photo_set.photos} == {"apple", "pear"}
    assert {photo.label for photo in photo_set.background} == {"~plum", "~fig"}
    assert any("2 background classes" in note for note in photo_set.notes)


def test_a_pattern_keeps_all_background(data: Path) -> None:
    chosen = load_photo_set(data, "apple")
    assert [one.name for one in chosen.classes] == ["apple"]
    assert len(chosen.background) == 8
    with pytest.raises(InputError, match="pattern that matches a class"):
        load_photo_set(data, "kiwi")


def test_the_doctor_opens_background_pictures_too(tmp_path: Path) -> None:
    root = tmp_path / "sick"
    root.mkdir()
    draw(root)
    (root / "fig-0.png").write_bytes(b"not a picture")
    found = examine(root, fast=True, use_cache=False)
    assert not found.may_train
    named = {path.name for finding in found.findings for path in finding.paths}
    assert "fig-0.png" in named
    assert {count.label for count in found.classes} == {"apple", "pear"}


def test_held_out_places_are_not_shown_by_background(photo_set: PhotoSet) -> None:
    shared = tuple(
        replace(photo, source_id="train-apple-0") if photo.label == "~fig" else photo
        for photo in photo_set.background
    )
    held = np.array([i for i, p in enumerate(photo_set.photos) if p.source_id == "train-apple-0"])
    cut = replace(photo_set, photos=with_test_split(photo_set.photos, held), background=shared)
    assert {photo.label for photo in without_held_places(cut).background} == {"~plum"}


def test_background_of_the_exam_is_unknown_one_source_a_thing(photo_set: PhotoSet) -> None:
    photos = unknown_background(photo_set.background, "test")
    assert [(photo.label, photo.source_id) for photo in photos] == [("", "~fig"), ("", "~plum")]
    assert len(unknown_background(photo_set.background, "all")) == 8
    assert unknown_background(photo_set.background, "val") == ()


def test_a_recipe_that_distils_refuses_background(photo_set: PhotoSet, tmp_path: Path) -> None:
    recipe = replace(recipe_named("fast"), distillation=Distillation("teacher"))
    with pytest.raises(InputError, match="no background classes"):
        make_job(tmp_path, recipe, photo_set)


def test_a_fit_learns_background_and_answers_products_only(
    photo_set: PhotoSet, tmp_path: Path
) -> None:
    pytest.importorskip("tensorflow")
    phase = Phase(epochs=1, image_px=32, peak_learning_rate=1e-3)
    recipe = replace(recipe_named("fast"), image_px=32, batch=4, probe_first=False, phases=(phase,))
    job = make_job(tmp_path / "run", recipe, photo_set)
    assert [one.name for one in job.taught] == ["apple", "pear", "~fig", "~plum"]
    run = train_one(job, resume=False)
    assert run.info["background"] == {"photos": 6, "classes": 2}
    again = open_run(run.folder)
    assert [one.name for one in again.classes] == ["apple", "pear"]
    assert len(again.background) == 8
    assert build_model(again).output["logits"].shape == (None, 2)


def test_strangers_of_the_exam_are_never_taught() -> None:
    found = shots(DemoConfig())
    taught = {one.stranger.product.item_id for one in found if one.split == "train"}
    judged = {one.stranger.product.item_id for one in found if one.split == "test"}
    assert (len(taught), len(judged)) == (130, 134)
    assert not taught & judged
    assert shots(DemoConfig(8, 6)) == ()


def test_the_discriminant_head_answers_cosines_to_class_means() -> None:
    """Three classes along three axes, noise along a fourth that says nothing; the third class is
    background. A stranger far from all classes gets no high logit."""
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(3), 40)
    rows = 3 * np.eye(4)[labels] + rng.normal(0, 0.05, (120, 4))
    rows[:, 3] = rng.normal(0, 5, 120)
    head = fit_discriminant(rows.astype(np.float32), labels, 2)
    assert head.directions.shape == (2, 2)

    def logits(row: list[float]) -> np.ndarray:
        space = head.space(np.array([row], np.float32))
        return (space / np.linalg.norm(space) @ head.directions)[0]

    assert np.linalg.norm(head.directions, axis=0) == pytest.approx(SCALE, rel=1e-5)
    for row, right in (([3, 0, 0, 9], 0), ([0, 3, 0, -9], 1)):
        assert logits(row).argmax() == right
        assert logits(row).max() > 0.95 * SCALE
    assert logits([0, 0, 3, 0]).max() < 0.2 * SCALE
    assert head_width(500) == 128
    assert head_width(3) == 2
