"""Backbone, pooling and softmax head: the network that is trained, evaluated and exported."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import keras


SPACE = "discriminant"


def build_classifier(
    backbone: str,
    image_px: int,
    class_count: int,
    weights: Literal["imagenet"] | Path | None = "imagenet",
    *,
    head_width: int = 0,
) -> keras.Model:
    """Build a classifier with two named outputs.

    Args:
        backbone: a key of `backbones.table.BACKBONES`.
        image_px: side of the square input.
        weights: "imagenet", a weights file, or None for random ones.
        head_width: 0 for a softmax's linear head; else the logits are scaled cosines in a space of
            this many dimensions (`discriminant_head`).

    Returns:
        A model from float32 `[n, px, px, 3]` in 0..255 RGB to `{"logits": [n, class_count],
        "embedding": [n, d]}`. The softmax stays outside: thresholds need logits.
    """
    import keras
    from keras import layers

    from promolens_training.backbones.table import build_backbone

    base = build_backbone(backbone, image_px=image_px, weights=weights)
    if head_width:
        space: Any = layers.Dense(head_width, name=SPACE)(base.output)
        space = _unit_length(space)
        logits = layers.Dense(class_count, use_bias=False, name="logits")(space)
    else:
        logits = layers.Dense(class_count, name="logits")(base.output)
    return keras.Model(base.input, {"logits": logits, "embedding": base.output}, name=backbone)


def _unit_length(rows: Any) -> Any:
    """Scale rows to length 1, in the form that the converter takes for one int8 operator.

    Keras' own `UnitNormalization` becomes five, some of them in float.
    """
    import tensorflow as tf
    from keras import layers

    class UnitLength(layers.Layer):  # type: ignore[misc,unused-ignore]
        def call(self, inputs: Any) -> Any:
            return tf.math.l2_normalize(inputs, axis=-1)

    return UnitLength(name="unit")(rows)


def freeze(model: keras.Model, first_block: int) -> None:
    """Let only the blocks from `first_block` on learn, and no batch normalisation at all.

    Batch statistics of a few hundred photos would be worse than ImageNet's, so every
    `BatchNormalization` stays in inference mode, its scale and offset included: in Keras a frozen
    one also normalises with its stored statistics, and training it costs half a step more.
    """
    from keras import layers

    block = 0
    for layer in model.layers:
        if layer.name.startswith("block"):
            block = int("".join(ch for ch in layer.name.split("_")[0] if ch.isdigit()) or 0)
        elif layer.name.startswith(("head", "top", "logits", "embedding")):
            block = 10**6
        frozen = block < first_block and layer.name != "logits"
        layer.trainable = not (frozen or isinstance(layer, layers.BatchNormalization))
