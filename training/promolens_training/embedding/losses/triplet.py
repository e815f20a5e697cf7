"""Triplet loss with semi-hard negatives (FaceNet: Schroff et al. 2015, arXiv 1503.03832)."""

from __future__ import annotations

from promolens_training.embedding.losses.pairs import (
    Memory,
    Tensor,
    all_pairs,
    masked_mean,
    squared_distances,
)


def triplet_semi_hard(
    embeddings: Tensor, labels: Tensor, margin: float = 0.2, memory: Memory | None = None
) -> Tensor:
    """Return the mean of max(0, d(a, p) - d(a, n) + margin) over all anchor-positive pairs.

    d is the squared Euclidean distance, 0..4. The negative of a pair is the nearest one that is
    farther than the positive (semi-hard), else the farthest negative there is.

    Args:
        embeddings: `[B, D]` unit rows; labels: int32 `[B]`; margin: in units of d.
    """
    import tensorflow as tf

    pairs = all_pairs(embeddings, labels, memory)
    distance = squared_distances(pairs.similarity)
    far = tf.constant(1e9, distance.dtype)
    to_positive = distance[:, :, None]  # [anchor, positive, 1] against [anchor, 1, negative]
    to_negative = distance[:, None, :]
    beyond = pairs.negative[:, None, :] & (to_negative > to_positive)
    nearest_beyond = tf.reduce_min(tf.where(beyond, to_negative, far), axis=2)
    farthest = tf.reduce_max(tf.where(pairs.negative, distance, -far), axis=1, keepdims=True)
    negative = tf.where(tf.reduce_any(beyond, axis=2), nearest_beyond, farthest)
    hinge = tf.maximum(distance - negative + margin, 0)
    has_negative = tf.reduce_any(pairs.negative, axis=1, keepdims=True)
    return masked_mean(hinge, pairs.positive & has_negative)
