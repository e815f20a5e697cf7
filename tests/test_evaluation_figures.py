"""`evaluate`, label matching and Grad-CAM on cases worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from promolens_runtime.errors import InputError
from promolens_runtime.intervals import wilson
from promolens_training.data.photos import Photo, ProductClass
from promolens_training.evaluation import Predictions, evaluate
from promolens_training.evaluation.grad_cam import class_heat, grad_cam, overlay
from promolens_training.evaluation.matching import match_labels, relabelled, require_matched

CLASSES = (
    ProductClass("apple", "a", parent="fruit"),
    ProductClass("pear", "p", parent="fruit"),
    ProductClass("milk", "m", parent="dairy"),
)


def predictions_of(rows: list[tuple[float, ...]], labels: list[int]) -> Predictions:
    n = len(labels)
    return Predictions(
        np.log(np.array(rows, np.float32)),
        np.array(labels, np.int64),
        tuple(f"s{i}" for i in range(n)),
        tuple(Path(f"{i}.jpg") for i in range(n)),
    )


def test_all_figures_of_four_photos() -> None:
    # Right; sibling instead; right only as a family (.6 fruit, .4 milk); an unknown object.
    rows = [(0.8, 0.1, 0.1), (0.7, 0.2, 0.1), (0.35, 0.25, 0.4), (0.4, 0.3, 0.3)]
    found = evaluate(predictions_of(rows, [0, 1, 1, -1]), CLASSES)
    assert (found.n, found.n_sources) == (3, 3)
    assert found.top1 == pytest.approx(1 / 3)
    assert (found.top3, found.top5, found.coarse_top1) == (1.0, 1.0, 1.0)
    assert found.top1_interval == pytest.approx(wilson(1, 3))
    # Confidences .8 (right), .7 (wrong), .4 (wrong), each in a bin of its own.
    assert found.ece == pytest.approx((0.2 + 0.7 + 0.4) / 3)
    assert found.nll == pytest.approx(-np.log([0.8, 0.2, 0.25]).mean())
    assert [(pair.actual, pair.predicted) for pair in found.pairs] == [
        ("pear", "apple"),
        ("pear", "milk"),
    ]


def test_the_temperature_changes_only_what_is_called_scaled() -> None:
    rows = predictions_of([(0.8, 0.1, 0.1), (0.5, 0.4, 0.1)], [0, 1])
    plain, scaled = evaluate(rows, CLASSES), evaluate(rows, CLASSES, temperature=2.0)
    assert (plain.ece, plain.nll, plain.top1) == (scaled.ece, scaled.nll, scaled.top1)
    # T = 2 takes square roots: .8 : .1 : .1 becomes .8944 : .3162 : .3162, so p(own) = .5858;
    # .5 : .4 : .1 becomes .7071 : .6325 : .3162, so p(own) = .3820 and the highest is .4270.
    assert scaled.nll_scaled == pytest.approx(-np.log([0.58579, 0.38197]).mean(), abs=1e-4)
    assert scaled.ece_scaled == pytest.approx((1 - 0.58579 + 0.42705) / 2, abs=1e-4)
    assert plain.nll_scaled == plain.nll


def test_the_json_is_plain_and_has_the_promised_keys() -> None:
    found = evaluate(predictions_of([(0.8, 0.1, 0.1)], [0]), CLASSES)
    answer = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert {"top1", "top3", "top5", "coarse_top1", "n", "top1_interval", "ece"} <= set(answer)
    assert answer["per_class"][1] == {
        "label": "pear",
        "n": 0,
        "correct": 0,
        "accuracy": None,
        "mostly_taken_for": None,
    }


def test_nothing_to_measure_is_an_error() -> None:
    with pytest.raises(InputError, match="at least one photo of a class"):
        evaluate(predictions_of([(0.8, 0.1, 0.1)], [-1]), CLASSES)
    with pytest.raises(InputError, match="Expected 2 logits"):
        evaluate(predictions_of([(0.8, 0.1, 0.1)], [0]), CLASSES[:2])


def test_labels_match_by_label_then_item_id_then_alias() -> None:
    model = (
        ProductClass("apple", "item-1", aliases=("0", "사과")),
        ProductClass("pear", "item-2", aliases=("1",)),
    )
    dataset = [
        ProductClass("apple", "x"),
        ProductClass("item-2", "y"),
        ProductClass("사과", "z"),
        ProductClass("Birne", "item-2"),
        ProductClass("plum", "plum"),
    ]
    found = match_labels(dataset, model)
    assert found.names == {"apple": "apple", "item-2": "pear", "사과": "apple", "Birne": "pear"}
    assert found.unmatched == ("plum",)
    photos = relabelled([Photo(Path("1"), "Birne"), Photo(Path("2"), "plum")], found)
    assert [photo.label for photo in photos] == ["pear", ""]
    with pytest.raises(InputError, match=r"Received 'plum'.*--flag"):
        require_matched(found, "--flag")


def test_an_alias_of_two_classes_is_refused() -> None:
    model = (ProductClass("a", "a", aliases=("7",)), ProductClass("b", "b", aliases=("7",)))
    with pytest.raises(InputError, match="alias of a, b"):
        match_labels([ProductClass("7", "7")], model)


def test_heat_is_the_positive_evidence() -> None:
    # Two maps of 1 x 2 places with mean gradients 2 and -1: 2 * (3, 1) - (1, 4) = (5, -2).
    features = np.array([[[[3.0, 1.0], [1.0, 4.0]]]])
    gradients = np.array([[[[2.0, -1.0], [2.0, -1.0]]]])
    assert class_heat(features, gradients).tolist() == [[[1.0, 0.0]]]
    assert class_heat(features, -np.abs(gradients)).tolist() == [[[0.0, 0.0]]]


def test_grad_cam_finds_the_colour_that_makes_the_class() -> None:
    import keras
    from keras import layers

    image = keras.Input((8, 8, 3), name="image")
    maps = layers.Conv2D(3, 1, use_bias=False, name="maps")(image)
    embedding = layers.GlobalAveragePooling2D(name="embedding")(maps)
    logits = layers.Dense(2, use_bias=False, name="logits")(embedding)
    model = keras.Model(image, {"logits": logits, "embedding": embedding})
    model.get_layer("maps").set_weights([np.eye(3, dtype=np.float32)[None, None]])
    # Class 0 is red, class 1 is blue.
    model.get_layer("logits").set_weights([np.array([[1, 0], [0, 0], [0, 1]], np.float32)])
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[:4, :4, 0] = 255
    picture[4:, 4:, 2] = 100
    heat = grad_cam(model, np.stack([picture, picture]), np.array([0, 1]))
    assert heat.shape == (2, 8, 8)
    expected = np.zeros((8, 8))
    expected[:4, :4] = 1
    assert heat[0] == pytest.approx(expected)
    assert heat[1] == pytest.approx(expected[::-1, ::-1])
    with pytest.raises(InputError, match="embedding"):
        grad_cam(keras.Model(image, maps), picture[None], np.array([0]))


def test_the_overlay_leaves_cold_places_alone() -> None:
    picture = np.full((2, 2, 3), 100, np.uint8)
    heat = np.array([[0.0, 1.0], [0.0, 0.0]])
    shown = overlay(picture, heat, strength=1.0)
    assert (shown[heat == 0] == 100).all()
    assert shown[0, 1].tolist() == [255, 245, 140]
    with pytest.raises(ValueError, match="picture's size"):
        overlay(picture, np.zeros((3, 3)))
