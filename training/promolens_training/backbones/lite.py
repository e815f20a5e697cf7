"""EfficientNet-Lite 0, 1 and 2 in Keras 3.

The architecture is Google's `EfficientNet-Lite
<https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite>`_: EfficientNet
(Tan & Le 2019, arXiv 1905.11946) without squeeze-and-excitation, with ReLU6 for swish, and with a
stem and head whose width does not scale. These are the three changes that let post-training int8
keep the accuracy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

BN_EPSILON = 1e-3
BN_MOMENTUM = 0.99
STEM_FILTERS = 32
HEAD_FILTERS = 1280
# The published weights were trained on (x - 127) / 128, not on ImageNet's mean and deviation.
INPUT_SCALE = 1.0 / 128.0
INPUT_OFFSET = -127.0 / 128.0


@dataclass(frozen=True)
class Stage:
    """One row of the architecture table: `repeats` blocks with the same kernel and width."""

    repeats: int
    kernel_px: int
    stride: int
    expansion: int
    filters: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


@dataclass(frozen=True)
class LiteScale:
    """How one member of the family scales the table (width and depth multipliers)."""

    width: float
    depth: float
    image_px: int


LITE_SCALES = {
    "efficientnet_lite0": LiteScale(1.0, 1.0, 224),
    "efficientnet_lite1": LiteScale(1.0, 1.1, 240),
    "efficientnet_lite2": LiteScale(1.1, 1.2, 260),
}


def round_filters(filters: int, width: float, divisor: int = 8) -> int:
    """Scale a channel count and round it to a multiple of `divisor`, losing at most a tenth."""
    scaled = filters * width
    rounded = max(divisor, int(scaled + divisor / 2) // divisor * divisor)
    if rounded < 0.9 * scaled:
        rounded += divisor
    return rounded


def block_plan(scale: LiteScale) -> list[Stage]:
    """Unroll the table into one `Stage` a block (`repeats == 1`), scaled for `scale`.

    The first and last stage keep their depth in the Lite family.
    """
    plan: list[Stage] = []
    for index, stage in enumerate(STAGES):
        fixed = index in (0, len(STAGES) - 1)
        repeats = stage.repeats if fixed else math.ceil(scale.depth * stage.repeats)
        filters = round_filters(stage.filters, scale.width)
        for repeat in range(repeats):
            stride = stage.stride if repeat == 0 else 1
            plan.append(Stage(1, stage.kernel_px, stride, stage.expansion, filters))
    return plan


def _conv_bn(x: object, filters: int, kernel: int, stride: int, name: str, *, relu: bool) -> object:
    from keras import layers

    x = layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, name=f"{name}_conv")(
        x
    )
    x = layers.BatchNormalization(epsilon=BN_EPSILON, momentum=BN_MOMENTUM, name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu6")(x) if relu else x


def _block(x: object, plan: Stage, name: str, drop_rate: float) -> object:
    from keras import layers

    inputs = x
    channels_in = int(x.shape[-1])  # type: ignore[attr-defined]
    if plan.expansion != 1:
        x = _conv_bn(x, channels_in * plan.expansion, 1, 1, f"{name}_expand", relu=True)
    x = layers.DepthwiseConv2D(
        plan.kernel_px, plan.stride, padding="same", use_bias=False, name=f"{name}_depthwise_conv"
    )(x)
    x = layers.BatchNormalization(
        epsilon=BN_EPSILON, momentum=BN_MOMENTUM, name=f"{name}_depthwise_bn"
    )(x)
    x = layers.ReLU(6.0, name=f"{name}_depthwise_relu6")(x)
    x = _conv_bn(x, plan.filters, 1, 1, f"{name}_project", relu=False)
    if plan.stride == 1 and channels_in == plan.filters:
        if drop_rate > 0:
            # One draw an image drops the whole branch: stochastic depth (arXiv 1603.09382).
            x = layers.Dropout(drop_rate, noise_shape=(None, 1, 1, 1), name=f"{name}_drop")(x)
        x = layers.Add(name=f"{name}_add")([inputs, x])
    return x


def build_lite(
    name: str, *, image_px: int | None = None, drop_connect_rate: float = 0.0
) -> keras.Model:
    """Build the headless network: uint8-range RGB in, pooled features out.

    Args:
        name: a key of `LITE_SCALES`.
        image_px: input side; the family's own when None.
        drop_connect_rate: stochastic depth of the last block, rising linearly from 0.

    Returns:
        A model from float32 `[n, image_px, image_px, 3]` in 0..255 to float32 `[n, 1280]`,
        with random weights. Normalisation to (x - 127) / 128 is its first layer.
    """
    import keras
    from keras import layers

    scale = LITE_SCALES[name]
    side = image_px or scale.image_px
    inputs = keras.Input((side, side, 3), name="image")
    x = layers.Rescaling(INPUT_SCALE, INPUT_OFFSET, name="normalise")(inputs)
    x = _conv_bn(x, STEM_FILTERS, 3, 2, "stem", relu=True)
    plan = block_plan(scale)
    for index, block in enumerate(plan):
        x = _block(x, block, f"block{index}", drop_connect_rate * index / len(plan))
    x = _conv_bn(x, HEAD_FILTERS, 1, 1, "head", relu=True)
    x = layers.GlobalAveragePooling2D(name="embedding")(x)
    return keras.Model(inputs, x, name=name)


def published_name(layer_name: str) -> str:
    """Translate our layer name to the module's name in the published PyTorch state dict.

    >>> published_name("block3_depthwise_bn")
    '_blocks.3._bn1'
    """
    outer = {
        "stem_conv": "_conv_stem",
        "stem_bn": "_bn0",
        "head_conv": "_conv_head",
        "head_bn": "_bn1",
    }
    if layer_name in outer:
        return outer[layer_name]
    block, _, part = layer_name.partition("_")
    inner = {
        "expand_conv": "_expand_conv",
        "expand_bn": "_bn0",
        "depthwise_conv": "_depthwise_conv",
        "depthwise_bn": "_bn1",
        "project_conv": "_project_conv",
        "project_bn": "_bn2",
    }
    return f"_blocks.{block.removeprefix('block')}.{inner[part]}"
