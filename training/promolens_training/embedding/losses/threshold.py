"""Threshold-consistent margin (Zhang et al. 2024, "Threshold-Consistent Margin Loss for Open-World
Deep Metric Learning", arXiv 2307.04047)."""

from __future__ import annotations

from promolens_training.embedding.losses.pairs import Memory, Tensor, all_pairs, masked_mean


def threshold_consistent_margin(
    embeddings: Tensor,
    labels: Tensor,
    positive_margin: float = 0.9,
    negative_margin: float = 0.5,
    memory: Memory | None = None,
) -> Tensor:
    """Return how far the hard pairs are on the wrong side of one pair of cosines for all classes.

    Mean of (positive_margin - s) over positive pairs with s <= positive_margin, plus mean of
    (s - negative_margin) over negative pairs with s >= negative_margin. It is added to another
    loss, so that one threshold fits every class.

    Args:
        embeddings: `[B, D]` unit rows; labels: int32 `[B]`; margins: cosines.
    """
    pairs = all_pairs(embeddings, labels, memory)
    s = pairs.similarity
    pull = masked_mean(positive_margin - s, pairs.positive & (s <= positive_margin))
    return pull + masked_mean(s - negative_margin, pairs.negative & (s >= negative_margin))
