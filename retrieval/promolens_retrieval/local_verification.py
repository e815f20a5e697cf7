"""Local geometric verification: are the same corners in the same arrangement?

Corners of both pictures (ORB: Rublee et al., ICCV 2011; SIFT: Lowe, IJCV 2004) are paired where
the best partner is clearly better than the second (Lowe's ratio test), and a homography is sought
that most pairs agree with (RANSAC: Fischler and Bolles 1981). Many agreeing pairs are strong
evidence for a copy; few say nothing, since plain or blurred pictures have few corners. So
verification only ever promotes an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from promolens_runtime.errors import InputError, MissingError

Picture = NDArray[np.uint8]
MAX_SIDE_PX = 4_096


@dataclass(frozen=True)
class VerificationConfig:
    """How to verify.

    Attributes:
        features: `orb` (fast) or `sift` (stands scaling and blur better).
        side_px: the longer side that pictures are brought to.
        max_features: corners in a picture.
        ratio: of the best distance to the second at most, 0..1.
        off_px: how far a pair may be from where the homography puts it, in pixels of that size.
        least_inliers: from so many agreeing pairs on a hit is promoted.
        weight: what a hit gains at most; it gains half at three times `least_inliers`.
    """

    features: Literal["orb", "sift"] = "orb"
    side_px: int = 480
    max_features: int = 1_000
    ratio: float = 0.8
    off_px: float = 4.0
    least_inliers: int = 15
    weight: float = 0.3

    def __post_init__(self) -> None:
        """Check the numbers; raises InputError."""
        sides = 32 <= self.side_px <= MAX_SIDE_PX and 8 <= self.max_features <= 20_000
        good = 0 < self.ratio < 1 and self.off_px > 0 and self.weight >= 0
        if self.features not in ("orb", "sift") or not sides or not good or self.least_inliers < 4:
            raise InputError(
                "Expected orb or sift, a side from 32 to 4096 px, 8 to 20000 features, a ratio "
                f"between 0 and 1 and at least 4 inliers. Received {self}. Correct them."
            )


@dataclass(frozen=True)
class Verified:
    """What two pictures have in common.

    Attributes:
        inliers: pairs of corners that one homography explains.
        pairs: pairs of corners that look alike.
        homography: `[3, 3]`, from pixels of the query to pixels of the reference; None where
            there is none.
    """

    inliers: int
    pairs: int
    homography: NDArray[np.float64] | None


@dataclass(frozen=True)
class Promoted:
    """A hit after verification: `score` is never below what it was."""

    place: int
    score: float
    verified: Verified


def verify(
    query: Picture, reference: Picture, config: VerificationConfig | None = None
) -> Verified:
    """Compare two RGB or grey pictures (uint8 `[h, w, 3]` or `[h, w]`).

    The same pictures give the same result in every run.

    Raises:
        InputError: not such a picture.
    """
    cv2 = _opencv()
    config = config or VerificationConfig()
    cv2.setRNGSeed(2026)
    (points, looks, scale), (other_points, other_looks, other_scale) = (
        _corners(picture, config) for picture in (query, reference)
    )
    if len(points) < 4 or len(other_points) < 4:
        return Verified(0, 0, None)
    pairs = _pairs(looks, other_looks, config)
    if len(pairs) < 4:
        return Verified(0, len(pairs), None)
    left = np.array([points[one] for one, _ in pairs])
    right = np.array([other_points[other] for _, other in pairs])
    matrix, mask = cv2.findHomography(left, right, cv2.RANSAC, config.off_px, maxIters=2_000)
    if matrix is None or not _plausible(matrix):
        return Verified(0, len(pairs), None)
    # From pixels of the brought sizes to pixels of the pictures.
    whole = np.diag([*other_scale, 1.0]) @ matrix @ np.diag([*(1 / scale), 1.0])
    return Verified(int(mask.sum()), len(pairs), whole / whole[2, 2])


def _pairs(
    looks: NDArray[Any], other_looks: NDArray[Any], config: VerificationConfig
) -> list[tuple[int, int]]:
    """Return which corner may be which, each of the second picture once."""
    cv2 = _opencv()
    norm = cv2.NORM_HAMMING if config.features == "orb" else cv2.NORM_L2
    found = cv2.BFMatcher(norm).knnMatch(looks, other_looks, k=2)
    clear = [
        two[0]
        for two in found
        if len(two) == 2 and two[0].distance < config.ratio * two[1].distance
    ]
    # Several corners of a repeated pattern may want the same partner: the best one gets it.
    partner: dict[int, int] = {}
    for pair in sorted(clear, key=lambda pair: (pair.distance, pair.queryIdx)):
        partner.setdefault(pair.trainIdx, pair.queryIdx)
    return [(one, other) for other, one in partner.items()]


def promote(
    scores: Sequence[float],
    compare: Callable[[int], Verified],
    config: VerificationConfig | None = None,
    *,
    first: int = 20,
) -> list[Promoted]:
    """Verify the first answers and return all of them in their new order.

    An answer gains `weight * (1 - 1 / (1 + (inliers - least) / (2 * least)))` from `least_inliers`
    on, which grows with the inliers and stays below `weight`; no answer loses.

    Args:
        scores: of answers, best first.
        compare: verifies the answer at a place; called for the first ones only.
        first: how many answers are verified.
    """
    config = config or VerificationConfig()
    least = config.least_inliers
    found = []
    for place, score in enumerate(scores):
        verified = compare(place) if place < first else Verified(0, 0, None)
        over = (verified.inliers - least) / (2 * least)
        gain = config.weight * (1 - 1 / (1 + over)) if over > 0 else 0.0
        found.append(Promoted(place, score + gain, verified))
    return sorted(found, key=lambda one: (-one.score, one.place))


def _corners(
    picture: Picture, config: VerificationConfig
) -> tuple[NDArray[np.float64], NDArray[Any], NDArray[np.float64]]:
    """Return corners `[n, 2]` (x, y), what is around each, and the picture's pixels in one."""
    cv2 = _opencv()
    image = np.asarray(picture)
    shape_ok = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
    if image.dtype != np.uint8 or not shape_ok or 0 in image.shape:
        raise InputError(
            f"Expected a picture of uint8 [h, w, 3] or [h, w]. Received {image.dtype} "
            f"{image.shape}. Decode it first."
        )
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
    factor = config.side_px / max(grey.shape)
    size = (max(8, round(grey.shape[1] * factor)), max(8, round(grey.shape[0] * factor)))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    small = cv2.resize(grey, size, interpolation=how)
    if config.features == "orb":
        finder: Any = cv2.ORB_create(nfeatures=config.max_features)
    else:
        finder = cv2.SIFT_create(nfeatures=config.max_features)
    corners, looks = finder.detectAndCompute(small, None)
    scale = np.array([grey.shape[1] / size[0], grey.shape[0] / size[1]])
    points = np.array([corner.pt for corner in corners], np.float64).reshape(-1, 2)
    return points, looks, scale


def _opencv() -> Any:
    """Return the module; its types do not know the makers of corners."""
    try:
        import cv2
    except ImportError as error:
        raise MissingError(
            "Expected OpenCV to verify pictures. Received a Python without it. "
            "Run: pip install 'promolens[retrieval]'"
        ) from error
    return cv2


def _plausible(matrix: NDArray[np.float64]) -> bool:
    """Refuse homographies that turn a picture inside out or into a line."""
    area = float(np.linalg.det(matrix[:2, :2]))
    return bool(np.isfinite(matrix).all()) and 1e-3 < abs(area) < 1e3
