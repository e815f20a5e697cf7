"""Learn the geometry of another network's embeddings: by regression, or by relations alone."""

from __future__ import annotations

from promolens_training.embedding.losses.pairs import Tensor


def regression(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean of 1 - cos(student row, teacher row), 0..2.

    "Asymmetric metric learning" (Budnik & Avrithis 2021, arXiv 2006.16331): the student then
    answers queries on the teacher's gallery.

    Args:
        student, teacher: `[B, D]` unit rows.
    """
    import tensorflow as tf

    teacher = tf.cast(teacher, student.dtype)
    return tf.reduce_mean(1 - tf.reduce_sum(student * teacher, axis=1))


def _huber(difference: Tensor) -> Tensor:
    import tensorflow as tf

    size = tf.abs(difference)
    return tf.where(size <= 1, 0.5 * tf.square(difference), size - 0.5)


def _scaled_distances(rows: Tensor) -> Tensor:
    """Return distances `[B, B]` in units of their mean over distinct rows."""
    import tensorflow as tf

    squared = tf.reduce_sum(tf.square(rows[:, None] - rows[None, :]), axis=2)
    is_zero = squared < 1e-12
    distance = tf.sqrt(tf.where(is_zero, tf.ones_like(squared), squared))
    distance = tf.where(is_zero, tf.zeros_like(squared), distance)
    count = tf.reduce_sum(tf.cast(tf.logical_not(is_zero), rows.dtype))
    return distance * count / tf.maximum(tf.reduce_sum(distance), 1e-12)


def relational(student: Tensor, teacher: Tensor) -> Tensor:
    """Return RKD's distance term: Huber loss between both sides' distances, each over its mean.

    Park et al. 2019, "Relational Knowledge Distillation" (arXiv 1904.05068). Widths may differ.

    Args:
        student: `[B, D]`; teacher: `[B, T]`.
    """
    import tensorflow as tf

    target = tf.stop_gradient(_scaled_distances(tf.cast(teacher, student.dtype)))
    return tf.reduce_mean(_huber(_scaled_distances(student) - target))
