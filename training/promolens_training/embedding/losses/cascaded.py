"""Hard-aware cascaded embedding (Yuan, Yang, Zhang 2017, arXiv 1611.05720) over prefixes.

The paper reads embeddings of growing strength at growing depths of the network and hands to each
level only the pairs that the level before found hard. Here the levels are growing prefixes of one
vector: the file on the phone stays one network with one output.
"""

from __future__ import annotations

from collections.abc import Sequence

from promolens_training.embedding.losses.pairs import Tensor, all_pairs, distances


def _hardest(values: Tensor, mask: Tensor, share: float) -> Tensor:
    """Return the mask of the `share` of masked entries with the greatest values, ties included."""
    import tensorflow as tf

    if share >= 1:
        return mask
    kept = tf.boolean_mask(values, mask)
    count = tf.cast(tf.math.ceil(share * tf.cast(tf.size(kept), tf.float64)), tf.int32)
    # One entry more, for a batch without any: it is never reached otherwise.
    ordered = tf.concat([tf.sort(kept, direction="DESCENDING"), [tf.cast(0, values.dtype)]], 0)
    return mask & (values >= ordered[tf.maximum(count - 1, 0)])


def cascaded_contrastive(
    levels: Sequence[Tensor],
    labels: Tensor,
    margin: float = 0.8,
    shares: Sequence[float] = (1.0, 0.5, 0.25),
) -> Tensor:
    """Return the sum over levels of the contrastive loss on the pairs that reach the level.

    Level k sees the hardest `shares[k]` (of positives and of negatives, each by its own loss at
    level k - 1) of the pairs that reached level k - 1. The loss of a pair is d^2 or
    max(0, margin - d)^2, d the Euclidean distance of unit vectors; positives and negatives are
    averaged apart.

    Args:
        levels: embeddings `[B, D_k]` of unit rows, from the weakest to the strongest.
        labels: int32 `[B]`; shares: one in (0, 1] a level, the first is 1.
    """
    import tensorflow as tf

    from promolens_training.embedding.losses.pairs import masked_mean

    pairs = all_pairs(levels[0], labels)
    positive, negative = pairs.positive, pairs.negative
    loss = tf.zeros((), levels[0].dtype)
    for number, embeddings in enumerate(levels):
        distance = distances(all_pairs(embeddings, labels).similarity)
        pull, push = tf.square(distance), tf.square(tf.maximum(margin - distance, 0))
        loss += masked_mean(pull, positive) + masked_mean(push, negative & (distance < margin))
        if number + 1 < len(levels):
            positive = _hardest(pull, positive, shares[number + 1])
            negative = _hardest(push, negative, shares[number + 1])
    return loss
