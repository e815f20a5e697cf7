"""Local verification on drawn pictures: what is the same, what is not; nothing is demoted."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from promolens_retrieval.local_verification import (
    VerificationConfig,
    Verified,
    promote,
    verify,
)
from promolens_runtime.errors import InputError


def picture(seed: int, side_px: int = 480) -> np.ndarray:
    """Return a picture full of corners: random rectangles and letters."""
    rng = np.random.default_rng(seed)
    image = np.full((side_px, side_px, 3), 200, np.uint8)
    for _ in range(90):
        x, y, w, h = (int(v) for v in rng.integers(0, side_px, 4) // np.array([1, 1, 6, 6]))
        colour = tuple(int(v) for v in rng.integers(0, 255, 3))
        cv2.rectangle(image, (x, y), (x + w, y + h), colour, -1)
        letter = chr(int(rng.integers(65, 90)))
        cv2.putText(image, letter, (y, x), cv2.FONT_HERSHEY_SIMPLEX, 1.2, colour, 2)
    return image


@pytest.mark.parametrize("features", ["orb", "sift"])
def test_a_crop_is_found_where_it_was_taken_from(features: str) -> None:
    config = VerificationConfig(features=features)  # type: ignore[arg-type]
    whole = picture(1)
    crop = cv2.resize(whole[100:380, 60:440], None, fx=1.3, fy=1.3)
    found = verify(crop, whole, config)
    assert found.inliers >= 3 * config.least_inliers
    assert found.homography is not None
    corner = found.homography @ np.array([0.0, 0.0, 1.0])
    assert corner[:2] / corner[2] == pytest.approx([60, 100], abs=6)


def test_other_pictures_have_little_in_common() -> None:
    config = VerificationConfig()
    counts = [verify(picture(seed), picture(seed + 50), config).inliers for seed in range(4)]
    assert max(counts) < config.least_inliers


@pytest.mark.parametrize("plain", [np.full((60, 90, 3), 128, np.uint8), np.zeros((1, 1), np.uint8)])
def test_plain_pictures_say_nothing(plain: np.ndarray) -> None:
    assert verify(plain, picture(2)) == Verified(0, 0, None)


def test_the_same_pictures_give_the_same_result() -> None:
    one, two = (verify(picture(3)[50:], picture(3)) for _ in range(2))
    assert (one.inliers, one.pairs) == (two.inliers, two.pairs)
    assert np.array_equal(one.homography, two.homography)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "bad", [np.zeros((5, 5), np.float32), np.zeros((5, 5, 4), np.uint8), np.zeros((0, 5), np.uint8)]
)
def test_what_is_no_picture_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(InputError, match="Expected a picture"):
        verify(bad, picture(1))


def test_verification_promotes_and_never_demotes() -> None:
    inliers = {0: 2, 1: 45, 2: 15}
    asked = []

    def compare(place: int) -> Verified:
        asked.append(place)
        return Verified(inliers[place], 60, None)

    found = promote([0.8, 0.7, 0.6, 0.5], compare, first=3)
    # Place 1: 45 inliers are three times 15, half of the 0.3: 0.85. 15 are the least: nothing yet.
    assert [one.place for one in found] == [1, 0, 2, 3]
    assert [one.score for one in found] == pytest.approx([0.85, 0.8, 0.6, 0.5])
    assert asked == [0, 1, 2]


def test_bad_settings_are_refused() -> None:
    with pytest.raises(InputError):
        VerificationConfig(ratio=1.5)
    with pytest.raises(InputError):
        VerificationConfig(least_inliers=3)
