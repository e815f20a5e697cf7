"""Contrastive loss (Hadsell, Chopra, LeCun 2006, "Dimensionality reduction by learning an invariant
mapping")."""

from __future__ import annotations

from promolens_training.embedding.losses.pairs import (
    Memory,
    Tensor,
    all_pairs,
    distances,
    masked_mean,
)


def contrastive(
    embeddings: Tensor, labels: Tensor, margin: float = 0.8, memory: Memory | None = None
) -> Tensor:
    """Return mean d^2 of positive pairs plus mean max(0, margin - d)^2 of close negatives.

    d is the Euclidean distance of unit vectors, 0..2. Negatives count only where they are within
    the margin: there are so many that the mean over all would be almost 0.

    Args:
        embeddings: `[B, D]` unit rows; labels: int32 `[B]`; margin: in units of d.
    """
    import tensorflow as tf

    pairs = all_pairs(embeddings, labels, memory)
    distance = distances(pairs.similarity)
    pull = masked_mean(tf.square(distance), pairs.positive)
    push = tf.square(tf.maximum(margin - distance, 0))
    return pull + masked_mean(push, pairs.negative & (distance < margin))
