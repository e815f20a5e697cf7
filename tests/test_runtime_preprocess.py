"""One exact rule from pixels to the tensor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promolens_runtime.errors import BundleError, ImageError
from promolens_runtime.preprocess import Preprocessing, crop_box, preprocess
from promolens_runtime.triangle import resize_reference, triangle_weights

SIDES = st.integers(1, 120)


def pixels(width: int, height: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@settings(max_examples=200, deadline=None)
@given(SIDES, SIDES, st.integers(1, 64), st.integers(0, 2**32))
def test_equals_the_written_reference_bit_for_bit(
    width: int, height: int, side: int, seed: int
) -> None:
    rgb = pixels(width, height, seed)
    left, top, right, bottom = crop_box(width, height)
    expected = resize_reference(rgb[top:bottom, left:right], side, side)
    assert np.array_equal(preprocess(rgb, Preprocessing(side, side)), expected)


@pytest.mark.parametrize(("width", "height"), [(348, 348), (1008, 756), (213, 640)])
def test_equals_the_reference_at_real_sizes(width: int, height: int) -> None:
    rgb = pixels(width, height, 5)
    left, top, right, bottom = crop_box(width, height)
    expected = resize_reference(rgb[top:bottom, left:right], 224, 224)
    assert np.array_equal(preprocess(rgb, Preprocessing.square(224)), expected)


def test_crop_box_is_the_centre_square_with_the_odd_pixel_right_and_below() -> None:
    assert crop_box(7, 4) == (1, 0, 5, 4)
    assert crop_box(4, 7) == (0, 1, 4, 5)
    assert crop_box(5, 5) == (0, 0, 5, 5)


def test_pixels_outside_the_crop_do_not_matter() -> None:
    rgb = pixels(90, 60, 1)
    other = rgb.copy()
    other[:, :15] = 0
    other[:, 75:] = 255
    rule = Preprocessing(20, 20)
    assert np.array_equal(preprocess(rgb, rule), preprocess(other, rule))


def test_a_picture_of_the_right_size_stays_as_it_is() -> None:
    rgb = pixels(32, 32, 2)
    assert np.array_equal(preprocess(rgb, Preprocessing(32, 32)), rgb)


@given(SIDES, SIDES)
def test_weights_of_each_pixel_sum_to_one(source: int, target: int) -> None:
    for first, fixed in triangle_weights(source, target):
        assert abs(sum(fixed) - (1 << 22)) <= len(fixed)
        assert first >= 0
        assert first + len(fixed) <= source


def test_weights_worked_by_hand() -> None:
    # Halving: support 2, four neighbours at distances 1.5, .5, .5, 1.5 of 2 -> 1/8 3/8 3/8 1/8.
    first, fixed = triangle_weights(8, 4)[1]
    assert (first, fixed) == (1, [1 << 19, 3 << 19, 3 << 19, 1 << 19])
    # At the border the outer neighbour is missing and the rest is scaled up: 3/7 3/7 1/7.
    assert triangle_weights(8, 4)[0] == (0, [1797559, 1797559, 599186])


def test_refuses_other_pixels() -> None:
    others: list[Any] = [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), "B")]
    for wrong in others:
        with pytest.raises(ImageError, match="Expected uint8 pixels"):
            preprocess(wrong, Preprocessing(8, 8))


def test_rule_round_trip_and_refusals() -> None:
    rule = Preprocessing.square(224)
    assert rule.min_short_px == 448
    assert Preprocessing.from_json(rule.to_json()) == rule
    assert Preprocessing.from_json(Preprocessing(8, 8).to_json()) == Preprocessing(8, 8)
    with pytest.raises(BundleError, match="resize 'triangle-int22'"):
        Preprocessing(8, 8, resize="bicubic")
    with pytest.raises(BundleError, match="square"):
        Preprocessing(8, 9)
    with pytest.raises(BundleError, match="keeps at least 16 px"):
        Preprocessing(8, 8, min_short_px=15)


def test_the_page_for_other_languages_shows_this_rule() -> None:
    page = Path(__file__).parents[1] / "docs" / "preprocessing.md"
    shown = page.read_text("utf-8").split("```json\n")[1].split("```")[0]
    assert Preprocessing.from_json(json.loads(shown)) == Preprocessing.square(224)
    # The page's worked example: target pixel 0 of 8 -> 4 with 10, 20, 30 at the border.
    line = np.array([10, 20, 30, 0, 0, 0, 0, 0], np.uint8)
    rgb = np.broadcast_to(line[None, :, None], (8, 8, 3)).copy()
    assert preprocess(rgb, Preprocessing(4, 4))[0, 0, 0] == 17
