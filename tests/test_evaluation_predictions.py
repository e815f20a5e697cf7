"""Predictions: kept exactly, refused when damaged, the same from every way to run a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from promolens_runtime.errors import BundleError, ImageError, InputError
from promolens_runtime.preprocess import Preprocessing, preprocess
from promolens_runtime.recognizer import Recognizer
from promolens_training.data.photos import Photo, ProductClass
from promolens_training.evaluation import (
    Predictions,
    load_predictions,
    predict_keras,
    predict_recognizer,
    predict_tflite,
    save_predictions,
)
from promolens_training.evaluation.predictions import input_tensor, input_tensors

CLASSES = tuple(ProductClass(f"drink_{i}", f"item-{i}") for i in range(5))
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


def predictions_of(labels: list[int], sources: list[str] | None = None) -> Predictions:
    n = len(labels)
    logits = np.arange(n * 3, dtype=np.float32).reshape(n, 3)
    found = tuple(sources) if sources else ("",) * n
    return Predictions(
        logits, np.array(labels, np.int64), found, tuple(Path(f"{i}.jpg") for i in range(n))
    )


@pytest.fixture
def photos(tmp_path: Path) -> tuple[Photo, ...]:
    rng = np.random.default_rng(5)
    found = []
    for index in range(4):
        path = tmp_path / f"사진 {index}.png"
        Image.fromarray(rng.integers(0, 256, (50, 40, 3), np.uint8)).save(path)
        found.append(Photo(path, f"drink_{index}", source_id=f"scene{index // 2}"))
    return (*found, Photo(found[0].path, "나무"))


@given(st.lists(st.tuples(st.integers(-1, 2), names, names), max_size=8), st.booleans())
def test_what_is_saved_comes_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str, str]], embedded: bool
) -> None:
    n = len(rows)
    given_ = Predictions(
        np.linspace(-3, 3, n * 3, dtype=np.float32).reshape(n, 3),
        np.array([label for label, _, _ in rows], np.int64),
        tuple(source for _, source, _ in rows),
        tuple(Path("과자") / f"{name}.jpg".replace("/", "_") for _, _, name in rows),
        np.ones((n, 2), np.float32) if embedded else None,
    )
    path = tmp_path_factory.mktemp("saved") / "predictions.npz"
    save_predictions(given_, path)
    found = load_predictions(path)
    assert (found.logits == given_.logits).all()
    assert (found.labels == given_.labels).all()
    assert (found.sources, found.paths) == (given_.sources, given_.paths)
    assert (found.embeddings is None) != embedded


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 damaged"])
def test_a_damaged_file_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "p.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match="Expected saved predictions"):
        load_predictions(path)


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    objects = np.array([Path("x")], dtype=object)
    np.savez(path, logits=np.zeros((1, 2)), labels=np.zeros(1), sources=objects, paths=objects)
    with pytest.raises(InputError, match="pickle"):
        load_predictions(path)


@pytest.mark.parametrize(
    ("logits", "labels", "problem"),
    [
        (np.zeros((2, 3)), [0], "as many labels"),
        (np.zeros((1, 3)), [3], "labels from -1 to 2"),
        (np.full((1, 3), np.nan), [0], "finite logits"),
    ],
)
def test_predictions_that_do_not_fit_are_refused(
    logits: np.ndarray, labels: list[int], problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        Predictions(logits.astype(np.float32), np.array(labels), ("",), (Path("a"),))


def test_known_and_unknown_photos_part_ways() -> None:
    both = predictions_of([0, -1, 2], ["a", "b", "c"])
    assert both.known().sources == ("a", "c")
    assert both.unknown().paths == (Path("1.jpg"),)
    assert both.unknown().logits.tolist() == [[3.0, 4.0, 5.0]]
    assert len(predictions_of([]).known()) == 0


def test_every_way_to_run_a_bundle_agrees(
    tiny_bundle: Path, tiny_model_bytes: bytes, keys, photos: tuple[Photo, ...]
) -> None:
    recognizer = Recognizer.open(tiny_bundle, public_key=keys.own.public, num_threads=1)
    counts: list[int] = []
    client = predict_recognizer(recognizer, photos, CLASSES, counts.append)
    assert client.labels.tolist() == [0, 1, 2, 3, -1]
    assert client.sources == ("scene0", "scene0", "scene1", "scene1", "")
    assert sum(counts) == 5
    rule = recognizer.manifest.preprocessing
    file = predict_tflite(tiny_model_bytes, photos, CLASSES, rule, num_threads=1)
    assert (file.logits == client.logits).all()
    assert file.embeddings is not None
    assert client.embeddings is not None
    assert (file.embeddings == client.embeddings).all()
    tensors = list(input_tensors(photos, rule))
    again = predict_tflite(tiny_model_bytes, photos, CLASSES, rule, 1, tensors=tensors)
    assert (again.logits == client.logits).all()


def test_bytes_that_are_no_model_are_refused() -> None:
    with pytest.raises(BundleError, match="LiteRT refuses"):
        predict_tflite(b"TFL3 no model", (), CLASSES, Preprocessing.square(32))


def test_a_keras_network_sees_the_same_pixels(photos: tuple[Photo, ...]) -> None:
    import keras

    image = keras.Input((16, 16, 3), name="image")
    means = keras.layers.GlobalAveragePooling2D()(image)
    model = keras.Model(image, {"logits": means, "embedding": means})
    rule = Preprocessing.square(16)
    found = predict_keras(model, photos, CLASSES[:3], rule, batch=2)
    expected = [input_tensor(photo, rule).mean(axis=(0, 1)) for photo in photos]
    assert found.logits == pytest.approx(np.array(expected), abs=1e-3)
    assert found.labels.tolist() == [0, 1, 2, -1, -1]


def test_a_box_is_cut_out_of_the_whole_picture(photos: tuple[Photo, ...]) -> None:
    rule = Preprocessing.square(16)
    boxed = Photo(photos[0].path, "drink_0", box=(5, 10, 35, 40))
    whole = np.asarray(Image.open(photos[0].path))
    assert (input_tensor(boxed, rule) == preprocess(whole[10:40, 5:35].copy(), rule)).all()
    outside = Photo(photos[0].path, "drink_0", box=(400, 400, 410, 410))
    with pytest.raises(InputError, match="box inside the picture"):
        input_tensor(outside, rule)


def test_a_broken_photo_names_itself(tmp_path: Path, tiny_model_bytes: bytes) -> None:
    path = tmp_path / "broken.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0 cut off")
    with pytest.raises(ImageError, match=r"broken\.jpg"):
        predict_tflite(tiny_model_bytes, [Photo(path, "")], CLASSES, Preprocessing.square(32))
