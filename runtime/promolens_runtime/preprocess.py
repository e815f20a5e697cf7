"""From an upright picture to the tensor that the network wants: one declared, exact rule.

centre square crop (integer box) -> antialiased triangle filter in 22-bit fixed point -> uint8.
docs/preprocessing.md says the same in words and formulas; `triangle.py` is the slow reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from promolens_runtime.errors import BundleError, ImageError

Pixels = NDArray[np.uint8]
Box = tuple[int, int, int, int]

MAX_INPUT_PX = 2048


@dataclass(frozen=True)
class Preprocessing:
    """The manifest's `preprocessing`.

    Attributes:
        width_px, height_px: size of the network's input; equal, since the crop is a square.
        min_short_px: a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size as long as its short
            side keeps at least this many pixels (at least twice the input's side); None where
            only the full decode is allowed.
        color, orientation, alpha, crop, resize: names of the only rules of format 1.
    """

    width_px: int
    height_px: int
    min_short_px: int | None = None
    color: str = "srgb8"
    orientation: str = "exif-upright"
    alpha: str = "over-white"
    crop: str = "center-square"
    resize: str = "triangle-int22"

    def __post_init__(self) -> None:
        """Refuse a rule that this version does not know. Raises BundleError."""
        for name, known in RULES.items():
            if getattr(self, name) != known:
                raise BundleError(
                    f"Expected preprocessing {name} '{known}'. Received {getattr(self, name)!r}. "
                    "Use a newer promolens, or export the bundle again."
                )
        if self.width_px != self.height_px or not 1 <= self.width_px <= MAX_INPUT_PX:
            raise BundleError(
                f"Expected a square input of 1 to {MAX_INPUT_PX} px. "
                f"Received {self.width_px} x {self.height_px} px. Export the bundle again."
            )
        if self.min_short_px is not None and self.min_short_px < 2 * self.width_px:
            raise BundleError(
                f"Expected a scaled decode that keeps at least {2 * self.width_px} px. "
                f"Received min_short_px {self.min_short_px}. Export the bundle again."
            )

    @classmethod
    def square(cls, side_px: int) -> Preprocessing:
        """Return the usual rule for a network with a `side_px` x `side_px` input."""
        return cls(side_px, side_px, min_short_px=2 * side_px)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Preprocessing:
        """Read the manifest's object (already checked against the schema)."""
        scaled = value.get("scaled_decode")
        return cls(
            width_px=value["resize"]["width_px"],
            height_px=value["resize"]["height_px"],
            min_short_px=None if scaled is None else scaled["min_short_px"],
            color=value["color"],
            orientation=value["orientation"],
            alpha=value["alpha"],
            crop=value["crop"]["kind"],
            resize=value["resize"]["algorithm"],
        )

    def to_json(self) -> dict[str, Any]:
        """Return the manifest's object."""
        scaled = None if self.min_short_px is None else {"min_short_px": self.min_short_px}
        return {
            "color": self.color,
            "orientation": self.orientation,
            "alpha": self.alpha,
            "crop": {"kind": self.crop},
            "resize": {
                "algorithm": self.resize,
                "width_px": self.width_px,
                "height_px": self.height_px,
            },
            "scaled_decode": scaled,
        }


RULES = {
    "color": "srgb8",
    "orientation": "exif-upright",
    "alpha": "over-white",
    "crop": "center-square",
    "resize": "triangle-int22",
}


def crop_box(width_px: int, height_px: int) -> Box:
    """Return `left, top, right, bottom` of the centre square; an odd rest goes right and below."""
    side_px = min(width_px, height_px)
    left, top = (width_px - side_px) // 2, (height_px - side_px) // 2
    return left, top, left + side_px, top + side_px


def preprocess_image(image: Image.Image, spec: Preprocessing) -> Pixels:
    """Crop and resize an upright RGB picture; returns uint8 [height_px, width_px, 3].

    The crop comes first: pixels outside the box have no influence on the result.
    """
    square = image.crop(crop_box(image.width, image.height))
    size = (spec.width_px, spec.height_px)
    return np.asarray(square.resize(size, Image.Resampling.BILINEAR))


def preprocess(rgb: Pixels, spec: Preprocessing) -> Pixels:
    """Crop and resize `rgb` uint8 [h, w, 3] to uint8 [height_px, width_px, 3].

    Raises ImageError when `rgb` is not a uint8 RGB picture of at least one pixel.
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise ImageError(
            "Expected uint8 pixels of shape [height, width, 3]. "
            f"Received {rgb.dtype} of shape {list(rgb.shape)}. Convert with load_rgb()."
        )
    left, top, right, bottom = crop_box(rgb.shape[1], rgb.shape[0])
    square = Image.fromarray(np.ascontiguousarray(rgb[top:bottom, left:right]))
    return preprocess_image(square, spec)
