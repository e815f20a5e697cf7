"""Comparing recipes by grouped k-fold, and learning from a teacher: small but real."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from promolens_runtime.errors import InputError
from promolens_training import ablation
from promolens_training.ablation import ROWS, RowResult, choose_rows, markdown, plan_folds, summary


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two products, each photographed on three visits with their own background colour."""
    root = tmp_path_factory.mktemp("visits")
    rng = np.random.default_rng(0)
    backgrounds = [(250, 250, 250), (20, 20, 20), (90, 160, 60)]
    row, column = np.mgrid[0:96, 0:96]
    for label, colour in (("striped", (220, 30, 30)), ("dotted", (30, 30, 220))):
        (root / label).mkdir()
        for number in range(9):
            pixels = np.full((96, 96, 3), backgrounds[number % 3], np.uint8)
            if label == "striped":
                angle, period = rng.uniform(0, 3), rng.uniform(10, 24)
                pixels[(row * np.cos(angle) + column * np.sin(angle)) % period < period / 2] = (
                    colour
                )
            for y, x, radius in rng.uniform((0, 0, 4), (96, 96, 12), (12, 3)):
                if label == "dotted":
                    pixels[(row - y) ** 2 + (column - x) ** 2 < radius**2] = colour
            Image.fromarray(pixels).save(root / label / f"{number}.png")
    return root


def test_every_photo_is_judged_once_by_a_model_of_other_sources(visits: Path) -> None:
    plan = plan_folds(visits, None, folds=3)
    judged = np.concatenate(plan.folds)
    assert sorted(judged) == list(range(18))
    for number in range(3):
        photos = plan.fold(number).photos
        held = {photo.source_id for photo in photos if photo.split == "test"}
        fitted = {photo.source_id for photo in photos if photo.split == "train"}
        assert held
        assert not held & fitted


def test_an_unknown_row_is_refused_with_the_list() -> None:
    assert choose_rows(["mixup"]) == ["mixup 0.2, off at the end"]
    with pytest.raises(InputError, match="Rows: frozen"):
        choose_rows(["dreams"])


def test_the_table_shows_gains_against_the_base() -> None:
    def result(row: str, right: int) -> dict[str, object]:
        hits = np.arange(10) < right
        return summary(RowResult(row, hits, tuple("abcdefghij"), 12.0))

    text = markdown([result("whole network (base)", 5), result("no probe first", 7)])
    assert "| whole network (base) | 50.0 % |" in text
    assert "| no probe first | 70.0 % |" in text
    assert "+20.0" in text
    assert "n = 10 photos" in text


@pytest.mark.slow
def test_a_row_is_trained_judged_and_read_back(
    visits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = replace(ROWS["frozen: softmax on ImageNet features"], image_px=64)
    monkeypatch.setitem(ROWS, "frozen: softmax on ImageNet features", small)
    plan = plan_folds(visits, None, folds=3)
    first = ablation.run_row(plan, "frozen: softmax on ImageNet features", tmp_path)
    assert len(first.right) == 18
    assert first.top1 > 0.8

    def refuse(run: object) -> np.ndarray:
        raise AssertionError("a finished fold was judged again")

    again = ablation.run_row(plan, "frozen: softmax on ImageNet features", tmp_path, refuse)
    assert np.array_equal(first.right, again.right)
    assert ablation.read_results(tmp_path)[0]["top1"] == round(first.top1, 4)


@pytest.mark.slow
def test_a_student_learns_from_a_teacher_of_another_resolution(
    visits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from promolens_training import fit
    from promolens_training.evaluation.predictions import class_indices
    from promolens_training.recipes import FAST, Distillation, Phase

    teacher = replace(FAST, name="teacher", image_px=96, phases=())
    monkeypatch.setattr(fit, "recipe_named", lambda name: teacher)
    student = replace(
        FAST,
        image_px=64,
        batch=4,
        probe_first=True,
        phases=(Phase(2, 64, 1e-3),),
        distillation=Distillation("teacher", weight=0.7, views=2),
    )
    plan = plan_folds(visits, None, folds=3)
    run = fit.train_one(fit.make_job(tmp_path / "run", student, plan.fold(0)), resume=False)
    logits = np.load(tmp_path / "run" / "teacher_logits.npy")
    n = len(run.in_split("train"))
    assert logits.shape == (2, n, 2)
    labels = class_indices(run.in_split("train"), run.classes)
    assert (logits.argmax(2) == labels).mean() > 0.8
    right = ablation.predict_float(run).argmax(1) == class_indices(
        run.in_split("test"), run.classes
    )
    assert right.mean() > 0.8
