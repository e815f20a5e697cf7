"""Whether a picture shows enough to be found by, or to be searched with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SIDE = 64


@dataclass(frozen=True)
class QualityGate:
    """What a picture must have.

    Attributes:
        min_short_px: of the shorter side.
        max_aspect: longer side over shorter side; recognisers look at the centre square only.
        min_contrast: standard deviation of brightness, 0..127, of the picture at 64 x 64.
        min_busy: share of neighbouring cells at 64 x 64 that differ by 8 levels or more.
    """

    min_short_px: int = 48
    max_aspect: float = 4.0
    min_contrast: float = 6.0
    min_busy: float = 0.01


def quality_problem(rgb: NDArray[np.uint8], gate: QualityGate | None = None) -> str | None:
    """Return what is wrong with a picture, uint8 `[h, w, 3]`, in a few words; None when nothing is.

    A blank wall is near to everything: its embedding says more about the network than about the
    picture, and a gallery with one in it answers with it too often.
    """
    return image_problem(Image.fromarray(rgb), gate)


def image_problem(image: Image.Image, gate: QualityGate | None = None) -> str | None:
    """As `quality_problem`, for Pillow's picture (mode "RGB"), which saves two copies."""
    gate = gate or QualityGate()
    width, height = image.size
    if min(height, width) < gate.min_short_px:
        return f"too small ({width} x {height} px, at least {gate.min_short_px} are needed)"
    if max(height, width) > gate.max_aspect * min(height, width):
        return f"too long ({width} x {height} px, at most {gate.max_aspect:g} to 1)"
    cells = _grey_cells(image)
    if float(cells.std()) < gate.min_contrast:
        return "too simple to match (nearly one colour)"
    across, down = np.abs(np.diff(cells, axis=1)), np.abs(np.diff(cells, axis=0))
    busy = float(np.mean(np.concatenate([across.ravel(), down.ravel()]) >= 8))
    if busy < gate.min_busy:
        return "too simple to match (nothing but a soft gradient)"
    return None


def _grey_cells(image: Image.Image) -> NDArray[np.float64]:
    """Return the brightness (ITU-R BT.601) of 64 x 64 equal cells, 0..255."""
    small = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    return np.asarray(small, np.float64)
