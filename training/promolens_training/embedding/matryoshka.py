"""Matryoshka prefixes: the first 64 or 128 numbers of a vector are an embedding themselves.

Kusupati et al. 2022, "Matryoshka Representation Learning" (arXiv 2205.13147).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from promolens_training.embedding.losses.pairs import Tensor


def unit_prefixes(rows: Tensor, widths: Sequence[int]) -> list[Tensor]:
    """Return for each width the first `width` columns of `[B, D]`, rows scaled to length 1."""
    import tensorflow as tf

    return [tf.math.l2_normalize(rows[:, :width], axis=1) for width in widths]


def over_prefixes(loss: Callable[[Tensor], Tensor], rows: Tensor, widths: Sequence[int]) -> Tensor:
    """Return the mean of `loss` over the unit prefixes of `[B, D]` rows."""
    values = [loss(prefix) for prefix in unit_prefixes(rows, widths)]
    return sum(values[1:], values[0]) / len(values)
