"""How well a reported region covers the true one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.floating]


def box_iou(reported: Boxes, true: Boxes) -> NDArray[np.float64]:
    """Return the intersection over union of pairs of boxes, `[n]`, 0..1.

    Boxes are `[n, 4]` as x1, y1, x2, y2 in one unit (pixels or shares of the side), x1 < x2 and
    y1 < y2. Raises ValueError for other shapes and for empty boxes.
    """
    one, other = _checked(reported), _checked(true)
    if one.shape != other.shape:
        raise ValueError(f"Expected as many boxes. Received {one.shape} and {other.shape}.")
    low = np.maximum(one[:, :2], other[:, :2])
    high = np.minimum(one[:, 2:], other[:, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=1)
    return np.asarray(common / (_areas(one) + _areas(other) - common))


def localisation_score(found: NDArray[np.bool_], ious: NDArray[np.float64]) -> float:
    """Return the mean over all queries of the IoU where the right item was found, else 0.

    One figure for "the right picture, and the right place in it", in the manner of LocScore (arXiv
    2512.12610). `found` and `ious` are `[q]`. Raises ValueError for other shapes.
    """
    if found.shape != ious.shape or found.ndim != 1 or len(found) == 0:
        raise ValueError(f"Expected one flag and one IoU a query. Received {found.shape}.")
    return float(np.mean(np.where(found, ious, 0.0)))


def _checked(boxes: Boxes) -> NDArray[np.float64]:
    checked = np.asarray(boxes, np.float64)
    if checked.ndim != 2 or checked.shape[1] != 4:
        raise ValueError(f"Expected boxes [n, 4]. Received {checked.shape}.")
    if not np.all(checked[:, :2] < checked[:, 2:]):
        raise ValueError("Expected boxes with x1 < x2 and y1 < y2. Received an empty one.")
    return checked


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
