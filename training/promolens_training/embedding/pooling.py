"""Generalised-mean pooling (Radenović et al. 2018, arXiv 1711.02512)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

from promolens_training.embedding.losses.pairs import Tensor

EPSILON = 1e-6


def generalised_mean(features: Tensor, power: Tensor | float) -> Tensor:
    """Return (mean of x^p over height and width)^(1/p): p = 1 averages, p -> inf takes the maximum.

    Args:
        features: `[n, h, w, c]`, values below 1e-6 count as 1e-6; power: p > 0.

    Returns:
        `[n, c]`.
    """
    import tensorflow as tf

    positive = tf.maximum(features, EPSILON)
    return tf.pow(tf.reduce_mean(tf.pow(positive, power), axis=(1, 2)), 1 / power)


def make_gem(power: float = 3.0, name: str = "gem") -> keras.layers.Layer:
    """Return a pooling layer `[n, h, w, c]` -> `[n, c]` whose power is learned from `power` on.

    Full int8 has no power operator: `promolens export` refuses it, and it is for servers only.
    """
    import keras

    class GeM(keras.layers.Layer):  # type: ignore[misc,unused-ignore]
        def build(self, input_shape: Any) -> None:
            del input_shape
            start = keras.initializers.Constant(power)
            self.power = self.add_weight(name="power", shape=(), initializer=start)

        def call(self, features: Any) -> Any:
            return generalised_mean(features, self.power)

    return GeM(name=name)
