"""What the losses over pairs share: similarities, masks, safe means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

Tensor: TypeAlias = Any
"""A TensorFlow tensor or variable; its shape and type stand in each docstring."""


@dataclass(frozen=True)
class Memory:
    """Earlier embeddings that a batch is also compared with (cross-batch memory).

    Attributes:
        embeddings: `[M, D]`, unit rows, no gradient flows into them; labels: int32 `[M]`.
    """

    embeddings: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Pairs:
    """All pairs of a batch with itself and with the memory.

    Attributes:
        similarity: `[B, B + M]` cosines.
        positive, negative: bool `[B, B + M]`; a row is neither to itself.
    """

    similarity: Tensor
    positive: Tensor
    negative: Tensor


def all_pairs(embeddings: Tensor, labels: Tensor, memory: Memory | None = None) -> Pairs:
    """Compare each row of the batch with every other row, and with the memory where there is one.

    Args:
        embeddings: `[B, D]` unit rows; labels: int32 `[B]`.
    """
    import tensorflow as tf

    count = tf.shape(labels)[0]
    keys, key_labels = embeddings, labels
    if memory is not None:
        keys = tf.concat([keys, tf.cast(memory.embeddings, keys.dtype)], 0)
        key_labels = tf.concat([labels, memory.labels], 0)
    same = tf.equal(labels[:, None], key_labels[None, :])
    itself = tf.equal(tf.range(count)[:, None], tf.range(tf.shape(key_labels)[0])[None, :])
    similarity = tf.matmul(embeddings, keys, transpose_b=True)
    return Pairs(similarity, tf.logical_and(same, tf.logical_not(itself)), tf.logical_not(same))


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of `values` where the bool `mask` (same shape) is set; 0 where nowhere."""
    import tensorflow as tf

    weights = tf.cast(mask, values.dtype)
    # `where` and not a product: 0 * inf would be NaN.
    total = tf.reduce_sum(tf.where(mask, values, tf.zeros_like(values)))
    return total / tf.maximum(tf.reduce_sum(weights), 1)


def squared_distances(similarity: Tensor) -> Tensor:
    """Return squared Euclidean distances of unit vectors, 2 - 2 cos, in 0..4."""
    import tensorflow as tf

    return tf.maximum(2 - 2 * similarity, 0)


def distances(similarity: Tensor) -> Tensor:
    """Return Euclidean distances of unit vectors, 0..2, with a finite gradient at 0."""
    import tensorflow as tf

    squared = squared_distances(similarity)
    is_zero = squared < 1e-12
    safe = tf.sqrt(tf.where(is_zero, tf.ones_like(squared), squared))
    return tf.where(is_zero, tf.zeros_like(squared), safe)


def log_sum_exp_where(values: Tensor, mask: Tensor, axis: int) -> Tensor:
    """Return log(1 + sum of exp(values) where `mask`) along an axis; 0 where nothing is set."""
    import tensorflow as tf

    lowest = tf.constant(-1e9, values.dtype)
    kept = tf.where(mask, values, lowest)
    zero = tf.zeros_like(tf.reduce_sum(kept, axis=axis, keepdims=True))
    return tf.reduce_logsumexp(tf.concat([kept, zero], axis=axis), axis=axis)
