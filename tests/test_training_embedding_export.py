"""An embedder becomes an int8 file with one named output, measured and gated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from promolens_export import embedder as exporting
from promolens_export.embedder import Drift, check_drift, export_embedder, measure_drift
from promolens_export.embedder_correction import corrected_projection
from promolens_runtime.errors import GateError, InputError
from promolens_runtime.manifest_embedding import EmbeddingSpec, read_offset
from promolens_training.embedding.network import build_embedder
from promolens_training.embedding.recipes import EmbeddingRecipe
from promolens_training.embedding.runs import save_embedder
from promolens_training.embedding.train import Embedder
from promolens_training.embedding.whitening import Affine
from test_training_embedding_train import draw_dataset

pytest.importorskip("tensorflow")
OFFSET = np.linspace(-0.2, 0.3, 16, dtype=np.float32)
GOOD = Drift(100, 0.995, 0.97, 0.999, 0.90, 0.896)


def test_drift_is_measured_by_cosine_and_by_rank() -> None:
    """Photo 0 keeps its direction at twice the length: cosine 1. Photo 1 turns by 90 degrees, onto
    the wrong picture: cosine 0, and top-1 falls from 2 of 2 to 1 of 2."""
    before = np.array([[1, 0], [0, 1], [1, 0], [0, 1]], np.float32)
    after = np.array([[2, 0], [1, 0], [1, 0], [0, 1]], np.float32)
    found = measure_drift(before, after, np.array([0, 1, 0, 1]), 2)
    assert found == Drift(2, 0.75, 0.0, 1.0, 1.0, 0.5)
    judged = np.array([True, False, True, True])
    assert measure_drift(before, after, np.array([0, 1, 0, 1]), 2, judged).share_near == 1.0


def test_the_correction_takes_off_what_int8_does_to_every_picture_alike() -> None:
    """Features that int8 moves by a constant and shrinks by a tenth are put back; a projection of
    width 2 then answers as before. Noise that depends on nothing stays."""
    draw = np.random.default_rng(3)
    wanted = draw.normal(1.0, 0.5, (400, 6)).astype(np.float32)
    quantised = (0.9 * wanted + 0.2).astype(np.float32)
    kernel = draw.normal(size=(6, 2)).astype(np.float32)
    projection = Affine(kernel, np.array([0.5, -1.0], np.float32))
    exact = corrected_projection(wanted, quantised, projection, ridge=0.0)
    np.testing.assert_allclose(exact(quantised), projection(wanted), atol=1e-4)
    usual = corrected_projection(wanted, quantised, projection)
    before = np.abs(projection(quantised) - projection(wanted)).mean()
    assert np.abs(usual(quantised) - projection(wanted)).mean() < 0.5 * before
    biased = np.abs((usual(quantised) - projection(wanted)).mean(axis=0)).max()
    assert biased < 1e-4, "what is the same on every picture is gone whatever the ridge"


def test_where_int8_changes_nothing_the_projection_stays() -> None:
    rows = np.random.default_rng(4).normal(size=(50, 6)).astype(np.float32)
    projection = Affine(np.eye(6, 2, dtype=np.float32), np.ones(2, np.float32))
    found = corrected_projection(rows, rows, projection)
    np.testing.assert_allclose(found.kernel, projection.kernel, atol=1e-6)
    np.testing.assert_allclose(found.bias, projection.bias, atol=1e-6)


def test_the_gate_lets_small_drift_pass_and_says_what_is_wrong() -> None:
    check_drift(GOOD)
    with pytest.raises(GateError, match=r"98\.0%"):
        check_drift(replace(GOOD, share_near=0.98))
    with pytest.raises(GateError, match=r"0\.60 points"):
        check_drift(replace(GOOD, int8_top1=0.894))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("products")
    draw_dataset(data)
    recipe = EmbeddingRecipe("tiny", image_px=32, width=16, prefixes=(8, 16))
    photos = sorted(str(path) for path in data.glob("photo-*.png"))
    shown = sorted(str(path) for path in data.glob("catalogue-*.png"))
    labels = {path: int(Path(path).stem.split("-")[1]) for path in (*photos, *shown)}
    info = {"photos": photos, "catalogue": shown, "labels": labels}
    import keras

    keras.utils.set_random_seed(5)  # no weights are as kind to int8 as others
    model = build_embedder(recipe)
    folder = tmp_path_factory.mktemp("run")
    save_embedder(folder, recipe, Embedder(model, OFFSET), info)
    return folder


def test_a_run_becomes_an_int8_model_with_one_output(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An untrained projection of 32-pixel pictures, calibrated on 20: 90 % reached 0.98.
    monkeypatch.setattr(exporting, "MIN_SHARE", 0.8)
    found = export_embedder(run, calibration_images=20)
    entry = found.entry
    assert (entry.role, entry.signature) == ("embedder", "embed")
    assert [(port.name, port.dtype, port.shape) for port in entry.inputs] == [
        ("image", "uint8", (1, 32, 32, 3))
    ]
    assert [(port.name, port.shape) for port in entry.outputs] == [("embedding", (1, 16))]
    assert found.drift.median_cosine > 0.98
    assert set(found.files) == {
        "embedder.tflite", "embedder_golden.npz", "embedder_golden.json", "catalogue_offset.bin",
    }  # fmt: skip
    assert entry.embedding == EmbeddingSpec(False, (8, 16), "catalogue_offset.bin")
    offset = read_offset(found.files["catalogue_offset.bin"], 16)
    np.testing.assert_array_equal(offset, OFFSET)
    assert found.golden.golden.tensors["embedding"].shape[1:] == (16,)
    assert found.golden.tolerance.embedding_tolerance > 0


def test_no_picture_that_judges_has_made_the_file(run: Path) -> None:
    chosen = exporting._pictures(exporting.open_embedder(run))
    made = {one.path for one in (*chosen.to_calibrate(20), *chosen.to_correct())}
    both = zip(chosen.to_measure(), chosen.judged(), strict=True)
    judging = {photo.path for photo, judges in both if judges}
    assert made
    assert judging
    assert not made & judging


def test_pictures_that_are_gone_are_named() -> None:
    with pytest.raises(InputError, match=r"/nowhere/1\.jpg"):
        exporting._chosen(["/nowhere/1.jpg"], 1)
