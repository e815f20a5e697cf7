"""The table of networks that a recipe can name, and the one function that builds them.

To add one, write its builder and its row here: docs/backbones.md walks through it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from promolens_runtime.errors import InputError
from promolens_training.backbones.applications import build_application
from promolens_training.backbones.weights import build_lite_backbone

if TYPE_CHECKING:
    import keras

Weights: TypeAlias = Literal["imagenet"] | Path | None
# (name, image_px, weights, drop_connect_rate) -> model
Builder: TypeAlias = Callable[[str, int, Weights, float], "keras.Model"]

MIN_IMAGE_PX = 32
MAX_IMAGE_PX = 600


@dataclass(frozen=True)
class Backbone:
    """One network of the table.

    Attributes:
        name: what a recipe writes.
        image_px: the input side it was trained at; others work, far ones lose accuracy.
        embedding_width: length of the pooled feature vector.
        int8_friendly: True where full int8 keeps the accuracy (ReLU6, no squeeze-and-excitation).
        licence: of the ImageNet weights.
        build: its builder.
    """

    name: str
    image_px: int
    embedding_width: int
    int8_friendly: bool
    licence: str
    build: Builder

    @property
    def warning(self) -> str | None:
        """What to tell a user who is about to train this for a phone; None where all is well."""
        if self.int8_friendly:
            return None
        return (
            f"{self.name} has swish and squeeze-and-excitation, which full int8 damages: expect "
            "the export's gate to refuse it. For a phone take efficientnet_lite0."
        )


def _lite(name: str, image_px: int) -> Backbone:
    licence = "Apache-2.0 (EfficientNet-Lite, Google)"
    return Backbone(name, image_px, 1280, True, licence, build_lite_backbone)


def _application(name: str, image_px: int, embedding_width: int) -> Backbone:
    licence = "Apache-2.0 (keras.applications, Google)"
    return Backbone(name, image_px, embedding_width, False, licence, build_application)


BACKBONES: dict[str, Backbone] = {
    "efficientnet_lite0": _lite("efficientnet_lite0", 224),
    "efficientnet_lite1": _lite("efficientnet_lite1", 240),
    "efficientnet_lite2": _lite("efficientnet_lite2", 260),
    "efficientnet_b0": _application("efficientnet_b0", 224, 1280),
    "efficientnet_b1": _application("efficientnet_b1", 240, 1280),
    "efficientnet_b2": _application("efficientnet_b2", 260, 1408),
    "efficientnet_b3": _application("efficientnet_b3", 300, 1536),
    "efficientnet_v2b0": _application("efficientnet_v2b0", 224, 1280),
    "efficientnet_v2b1": _application("efficientnet_v2b1", 240, 1280),
    "efficientnet_v2b2": _application("efficientnet_v2b2", 260, 1408),
    "efficientnet_v2b3": _application("efficientnet_v2b3", 300, 1536),
}


def find_backbone(name: str) -> Backbone:
    """Return the row called `name`.

    Raises:
        InputError: there is none; the text lists what there is.
    """
    if name not in BACKBONES:
        raise InputError(
            f"Expected a backbone of the table. Received {name!r}. "
            f"Choose one of: {', '.join(BACKBONES)}."
        )
    return BACKBONES[name]


def build_backbone(
    name: str,
    image_px: int | None = None,
    weights: Weights = "imagenet",
    drop_connect_rate: float = 0.0,
) -> keras.Model:
    """Build a headless network: pixels in, pooled features out.

    Args:
        name: a key of `BACKBONES`.
        image_px: input side, 32 to 600; the network's own when None.
        weights: "imagenet" (from the weights' Python package for Lite, downloaded once for
            keras.applications), a file, or None for random weights.
        drop_connect_rate: stochastic depth of the last block, 0 to below 1, rising linearly
            from 0 at the first (arXiv 1603.09382).

    Returns:
        A model from float32 RGB `[n, px, px, 3]` in 0..255 (every network scales inside) to
        float32 `[n, embedding_width]`. The last layer is called "embedding" and averages the
        layer before it, the last feature map `[n, h, w, embedding_width]`.

    Raises:
        InputError: unknown name, an impossible size or rate, or a file with other weights.
        MissingError: the ImageNet weights are not on this machine and cannot be fetched.
    """
    backbone = find_backbone(name)
    side = backbone.image_px if image_px is None else image_px
    if not MIN_IMAGE_PX <= side <= MAX_IMAGE_PX:
        raise InputError(
            f"Expected an input side of {MIN_IMAGE_PX} to {MAX_IMAGE_PX} pixels. "
            f"Received {side}. {name} was trained at {backbone.image_px}."
        )
    if not 0.0 <= drop_connect_rate < 1.0:
        raise InputError(
            f"Expected a drop_connect_rate from 0 to below 1. Received {drop_connect_rate}. "
            "Published recipes use 0 to 0.3."
        )
    if isinstance(weights, Path) and not weights.is_file():
        raise InputError(f"Expected a weights file. Received {weights}, which is no file.")
    return backbone.build(name, side, weights, drop_connect_rate)
