"""Center loss (Wen et al. 2016, "A discriminative feature learning approach for deep face
recognition")."""

from __future__ import annotations

from promolens_training.embedding.losses.pairs import Tensor


def center_loss(embeddings: Tensor, labels: Tensor, centers: Tensor) -> Tensor:
    """Return half the mean squared distance of each row to its class's centre.

    Args:
        embeddings: `[B, D]`; labels: int32 `[B]` in 0..C - 1; centers: `[C, D]`.
    """
    import tensorflow as tf

    away = embeddings - tf.gather(tf.cast(centers, embeddings.dtype), labels)
    return 0.5 * tf.reduce_mean(tf.reduce_sum(tf.square(away), axis=1))


def moved_centers(embeddings: Tensor, labels: Tensor, centers: Tensor, rate: float = 0.5) -> Tensor:
    """Return the centres after the paper's update (equation 4).

    Each goes `rate` times sum(center - row) / (1 + count) towards its rows; one without rows stays.

    Args:
        embeddings: `[B, D]`; labels: int32 `[B]`; centers: `[C, D]`; rate: 0..1.
    """
    import tensorflow as tf

    classes = tf.shape(centers)[0]
    rows = tf.gather(centers, labels) - tf.cast(embeddings, centers.dtype)
    sums = tf.math.unsorted_segment_sum(rows, labels, classes)
    ones = tf.ones_like(labels, dtype=centers.dtype)
    counts = tf.math.unsorted_segment_sum(ones, labels, classes)
    return centers - rate * sums / (1 + counts)[:, None]
