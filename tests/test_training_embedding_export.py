"""An embedder becomes an int8 file with one named output, measured and gated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from promolens_export import embedder as exporting
from promolens_export.embedder import Drift, check_drift, export_embedder, measure_drift
from promolens_runtime.errors import GateError, InputError
from promolens_training.embedding.network import build_embedder
from promolens_training.embedding.recipes import EmbeddingRecipe
from promolens_training.embedding.runs import save_embedder
from promolens_training.embedding.train import Embedder
from test_training_embedding_train import draw_dataset

pytest.importorskip("tensorflow")
GOOD = Drift(100, 0.995, 0.97, 0.999, 0.90, 0.896)


def test_drift_is_measured_by_cosine_and_by_rank() -> None:
    """Photo 0 keeps its direction at twice the length: cosine 1. Photo 1 turns by 90 degrees, onto
    the wrong picture: cosine 0, and top-1 falls from 2 of 2 to 1 of 2."""
    before = np.array([[1, 0], [0, 1], [1, 0], [0, 1]], np.float32)
    after = np.array([[2, 0], [1, 0], [1, 0], [0, 1]], np.float32)
    found = measure_drift(before, after, np.array([0, 1, 0, 1]), 2, np.zeros(2, np.float32))
    assert found == Drift(2, 0.75, 0.0, 1.0, 1.0, 0.5)


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
    save_embedder(folder, recipe, Embedder(model, np.zeros(16, np.float32)), info)
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
    assert set(found.files) == {"embedder.tflite", "embedder_golden.npz", "embedder_golden.json"}
    assert found.golden.golden.tensors["embedding"].shape[1:] == (16,)
    assert found.golden.tolerance.embedding_tolerance > 0


def test_pictures_that_are_gone_are_named() -> None:
    with pytest.raises(InputError, match=r"/nowhere/1\.jpg"):
        exporting._chosen(["/nowhere/1.jpg"], 1)
