"""Supervised contrastive loss (Khosla et al. 2020, arXiv 2004.11362), and one across two worlds."""

from __future__ import annotations

from promolens_training.embedding.losses.pairs import Memory, Pairs, Tensor, all_pairs


def _anchored(pairs: Pairs, compared: Tensor, temperature: float) -> Tensor:
    """Mean over anchors with a positive of the mean over positives of -log softmax."""
    import tensorflow as tf

    scaled = pairs.similarity / temperature
    lowest = tf.constant(-1e9, scaled.dtype)
    total = tf.reduce_logsumexp(tf.where(compared, scaled, lowest), axis=1, keepdims=True)
    weights = tf.cast(pairs.positive, scaled.dtype)
    count = tf.reduce_sum(weights, axis=1)
    per_anchor = tf.reduce_sum(weights * (total - scaled), axis=1) / tf.maximum(count, 1)
    anchors = tf.reduce_sum(tf.cast(count > 0, scaled.dtype))
    return tf.reduce_sum(per_anchor) / tf.maximum(anchors, 1)


def supervised_contrastive(
    embeddings: Tensor, labels: Tensor, temperature: float = 0.1, memory: Memory | None = None
) -> Tensor:
    """Return the paper's L_out (equation 2) over anchors that have a positive.

    For each anchor, the mean over its positives of -log(exp(s_p / t) / sum exp(s_a / t)), where a
    runs over everything but the anchor itself.

    Args:
        embeddings: `[B, D]` unit rows; labels: int32 `[B]`; temperature: t > 0.
    """
    pairs = all_pairs(embeddings, labels, memory)
    return _anchored(pairs, pairs.positive | pairs.negative, temperature)


def across_domains(
    embeddings: Tensor, labels: Tensor, is_catalogue: Tensor, temperature: float = 0.1
) -> Tensor:
    """Return the supervised contrastive loss with photos as anchors and catalogue pictures as keys.

    It is the question that a shopper asks, as a softmax: which of these catalogue pictures shows
    the product of this photo? Catalogue pictures are the classes' proxies, as in ProxyNCA
    (Movshovitz-Attias et al. 2017, arXiv 1703.07464), but made by the network and not learned.

    Args:
        embeddings: `[B, D]` unit rows; labels: int32 `[B]`.
        is_catalogue: bool `[B]`, False for photos.
    """
    pairs = all_pairs(embeddings, labels)
    crossing = ~is_catalogue[:, None] & is_catalogue[None, :]
    kept = Pairs(pairs.similarity, pairs.positive & crossing, pairs.negative & crossing)
    return _anchored(kept, kept.positive | kept.negative, temperature)
