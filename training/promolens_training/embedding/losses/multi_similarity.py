"""Multi-similarity loss with its pair mining (Wang et al. 2019, arXiv 1904.06627)."""

from __future__ import annotations

from promolens_training.embedding.losses.pairs import Memory, Tensor, all_pairs, log_sum_exp_where


def multi_similarity(
    embeddings: Tensor,
    labels: Tensor,
    alpha: float = 2.0,
    beta: float = 50.0,
    base: float = 0.5,
    epsilon: float = 0.1,
    memory: Memory | None = None,
) -> Tensor:
    """Return the mean over anchors of the paper's equation 15, on the pairs that mining keeps.

    (1/alpha) log(1 + sum exp(-alpha (s - base))) over kept positives, plus
    (1/beta) log(1 + sum exp(beta (s - base))) over kept negatives. A negative is kept where
    s > (the anchor's least positive) - epsilon, a positive where
    s < (the anchor's greatest negative) + epsilon.

    Args:
        embeddings: `[B, D]` unit rows; labels: int32 `[B]`; base, epsilon: cosines.
    """
    import tensorflow as tf

    pairs = all_pairs(embeddings, labels, memory)
    s = pairs.similarity
    least = tf.reduce_min(tf.where(pairs.positive, s, tf.ones_like(s) * 9), 1, keepdims=True)
    greatest = tf.reduce_max(tf.where(pairs.negative, s, tf.ones_like(s) * -9), 1, keepdims=True)
    # Anchors without a positive (9) or a negative (-9) keep nothing, as in the paper's sets.
    positive = pairs.positive & (s - epsilon < greatest)
    negative = pairs.negative & (s + epsilon > least)
    pull = log_sum_exp_where(-alpha * (s - base), positive, axis=1) / alpha
    push = log_sum_exp_where(beta * (s - base), negative, axis=1) / beta
    return tf.reduce_mean(pull + push)
