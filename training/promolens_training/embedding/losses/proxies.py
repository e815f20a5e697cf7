"""Losses against learned proxies of the classes: ArcFace with sub-centres, and ProxyAnchor."""

from __future__ import annotations

import math

from promolens_training.embedding.losses.pairs import Tensor, log_sum_exp_where


def sub_center_arcface(
    embeddings: Tensor,
    labels: Tensor,
    centers: Tensor,
    margin_deg: float = 17.0,
    scale: float = 32.0,
) -> Tensor:
    """Return ArcFace's mean cross-entropy, each class the nearest of its sub-centres.

    The angle to the right class grows by the margin before the softmax over scale * cos. Past
    180 degrees less the margin, cos is continued by its tangent's height there (cos - margin *
    sin(margin)), as in the published code, so that the loss keeps falling with the angle.
    Deng et al. 2019 (arXiv 1801.07698), sub-centres: Deng et al. 2020 ("Sub-center ArcFace").

    Args:
        embeddings: `[B, D]` unit rows; labels: int32 `[B]` in 0..C - 1.
        centers: `[C, K, D]`, of any length; K sub-centres let a class have K looks.
        margin_deg: in degrees (the paper's 0.5 rad are 28.6); scale: the paper's s.
    """
    import tensorflow as tf

    unit = tf.math.l2_normalize(tf.cast(centers, embeddings.dtype), axis=-1)
    cosine = tf.reduce_max(tf.einsum("bd,ckd->bck", embeddings, unit), axis=2)
    margin = math.radians(margin_deg)
    inside = tf.clip_by_value(cosine, -1 + 1e-7, 1 - 1e-7)
    sine = tf.sqrt(1 - tf.square(inside))
    turned = inside * math.cos(margin) - sine * math.sin(margin)
    past = cosine <= math.cos(math.pi - margin)
    turned = tf.where(past, cosine - margin * math.sin(margin), turned)
    target = tf.one_hot(labels, tf.shape(cosine)[1], dtype=cosine.dtype)
    logits = scale * (target * turned + (1 - target) * cosine)
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(target, logits))


def proxy_anchor(
    embeddings: Tensor,
    labels: Tensor,
    proxies: Tensor,
    margin: float = 0.1,
    scale: float = 32.0,
) -> Tensor:
    """Return ProxyAnchor's loss (Kim et al. 2020, arXiv 2003.13911, equation 4).

    Mean over the classes in the batch of log(1 + sum exp(-scale (s - margin))) over their rows,
    plus mean over all classes of log(1 + sum exp(scale (s + margin))) over the other rows.

    Args:
        embeddings: `[B, D]` unit rows; labels: int32 `[B]` in 0..C - 1; proxies: `[C, D]`, of any
            length; margin: a cosine.
    """
    import tensorflow as tf

    unit = tf.math.l2_normalize(tf.cast(proxies, embeddings.dtype), axis=-1)
    s = tf.matmul(unit, embeddings, transpose_b=True)
    mine = tf.equal(tf.range(tf.shape(unit)[0])[:, None], labels[None, :])
    pull = log_sum_exp_where(-scale * (s - margin), mine, axis=1)
    push = log_sum_exp_where(scale * (s + margin), ~mine, axis=1)
    present = tf.reduce_sum(tf.cast(tf.reduce_any(mine, axis=1), s.dtype))
    return tf.reduce_sum(pull) / tf.maximum(present, 1) + tf.reduce_mean(push)
