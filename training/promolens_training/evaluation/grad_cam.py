"""Where the network looked: Grad-CAM (Selvaraju et al., ICCV 2017, arXiv 1610.02391).

The heat of a class is the last feature maps, each weighted by the mean gradient of the class's
logit with respect to it, negative parts cut off.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from promolens_runtime.errors import InputError
from promolens_training.evaluation.arrays import Bytes

EMBEDDING_LAYER = "embedding"
# Transparent violet to yellow: ordered in lightness, so it also reads without colour.
_STOPS = np.array([0.0, 0.35, 0.7, 1.0])
_COLOURS = np.array([(70, 20, 130), (190, 40, 120), (250, 140, 40), (255, 245, 140)], float)


def _feature_model(model: Any) -> Any:
    import keras

    try:
        pooled = model.get_layer(EMBEDDING_LAYER)
    except ValueError as error:
        raise InputError(
            f'Expected a model with a pooling layer named "{EMBEDDING_LAYER}". Received '
            f"{model.name!r} without one. Build it with promolens_training."
        ) from error
    if len(pooled.input.shape) != 4:
        raise InputError(
            f'Expected feature maps [n, h, w, d] before "{EMBEDDING_LAYER}". Received '
            f"{pooled.input.shape}. Build the model with promolens_training."
        )
    outputs = model.output
    logits = outputs["logits"] if isinstance(outputs, dict) else outputs
    return keras.Model(model.input, [pooled.input, logits])


def class_heat(features: NDArray[Any], gradients: NDArray[Any]) -> NDArray[np.float32]:
    """Combine feature maps and gradients `[n, h, w, d]` into heat float32 `[n, h, w]` in 0..1.

    A map without any positive evidence is all 0.
    """
    weights = gradients.mean(axis=(1, 2), keepdims=True)
    heat = np.maximum((features * weights).sum(axis=3), 0.0)
    peak = heat.max(axis=(1, 2), keepdims=True)
    result: NDArray[np.float32] = np.divide(
        heat, peak, out=np.zeros_like(heat), where=peak > 0
    ).astype(np.float32)
    return result


def grad_cam(model: Any, images: NDArray[Any], classes: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return how much each place speaks for a class: float32 `[n, h, w]` in 0..1.

    Args:
        model: Keras network whose feature maps enter a pooling layer named "embedding".
        images: `[n, h, w, 3]` RGB in 0..255, as the model takes them.
        classes: int64 `[n]`, the class to explain for each picture.

    Raises:
        InputError: the model has no such layer.
    """
    import tensorflow as tf

    split = _feature_model(model)
    pictures = tf.constant(np.asarray(images, np.float32))
    with tf.GradientTape() as tape:
        tape.watch(pictures)  # so that every operation between is recorded
        features, logits = split(pictures, training=False)
        chosen = tf.reduce_sum(logits * tf.one_hot(classes, logits.shape[-1]))
    gradients = tape.gradient(chosen, features)
    coarse = class_heat(features.numpy(), gradients.numpy())
    return np.stack([_resized(heat, images.shape[1], images.shape[2]) for heat in coarse])


def _resized(heat: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    from PIL import Image

    picture = Image.fromarray(heat).resize((width, height), Image.Resampling.BILINEAR)
    return np.clip(np.asarray(picture, np.float32), 0.0, 1.0)


def overlay(image: Bytes, heat: NDArray[np.floating[Any]], strength: float = 0.8) -> Bytes:
    """Lay heat `[h, w]` in 0..1 over a picture uint8 `[h, w, 3]`; cold places stay as they are."""
    if image.shape[:2] != heat.shape:
        raise ValueError(
            f"Expected heat of the picture's size {image.shape[:2]}. Received {heat.shape}. "
            "Resize it first."
        )
    colour = np.stack([np.interp(heat, _STOPS, _COLOURS[:, each]) for each in range(3)], axis=-1)
    # Lukewarm is everywhere in such maps; squaring leaves the eye to the hot places.
    alpha = (strength * np.clip(heat, 0, 1) ** 2)[..., None]
    mixed = image * (1 - alpha) + colour * alpha
    result: Bytes = np.round(mixed).astype(np.uint8)
    return result
