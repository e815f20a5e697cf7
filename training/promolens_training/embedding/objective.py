"""The recipe's loss of a batch, and the weights (proxies, centres) that it learns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

from promolens_training.embedding.losses.cascaded import cascaded_contrastive
from promolens_training.embedding.losses.center import center_loss, moved_centers
from promolens_training.embedding.losses.contrastive import contrastive
from promolens_training.embedding.losses.distillation import regression, relational
from promolens_training.embedding.losses.multi_similarity import multi_similarity
from promolens_training.embedding.losses.pairs import Memory, Tensor
from promolens_training.embedding.losses.proxies import proxy_anchor, sub_center_arcface
from promolens_training.embedding.losses.supervised_contrastive import (
    across_domains,
    supervised_contrastive,
)
from promolens_training.embedding.losses.threshold import threshold_consistent_margin
from promolens_training.embedding.losses.triplet import triplet_semi_hard
from promolens_training.embedding.matryoshka import over_prefixes, unit_prefixes
from promolens_training.embedding.recipes import EmbeddingRecipe
from promolens_training.embedding.start import Start

SUB_CENTERS = 3
PROXIES_A_CLASS = {"arcface": SUB_CENTERS, "proxy_anchor": 1, "center": 1}
CENTER_WEIGHT = 0.05


@dataclass(frozen=True)
class LossInput:
    """What a loss may look at.

    Attributes:
        rows: `[B, width]` embeddings of any length; labels: int32 `[B]` in 0..C - 1.
        is_catalogue: bool `[B]`.
        memory: earlier rows at full width, or None; teacher: `[B, T]` frozen features.
    """

    rows: Tensor
    labels: Tensor
    is_catalogue: Tensor
    memory: Memory | None
    teacher: Tensor


def _memory_prefix(memory: Memory | None, width: Any) -> Memory | None:
    import tensorflow as tf

    if memory is None:
        return None
    return Memory(tf.math.l2_normalize(memory.embeddings[:, :width], axis=1), memory.labels)


def _pair_loss(recipe: EmbeddingRecipe, unit: Tensor, given: LossInput) -> Tensor:
    """Return a loss without weights on one unit prefix."""
    labels, memory = given.labels, _memory_prefix(given.memory, unit.shape[1])
    match recipe.loss:
        case "across_domains":
            return across_domains(unit, labels, given.is_catalogue, recipe.temperature)
        case "supervised_contrastive":
            return supervised_contrastive(unit, labels, recipe.temperature, memory)
        case "triplet":
            return triplet_semi_hard(unit, labels, memory=memory)
        case "contrastive":
            return contrastive(unit, labels, memory=memory)
        case "multi_similarity":
            return multi_similarity(unit, labels, memory=memory)
    raise ValueError(f"Expected a loss over pairs. Received {recipe.loss!r}.")


def make_weights(recipe: EmbeddingRecipe, class_count: int) -> keras.layers.Layer:
    """Return a Keras layer that holds the loss's own weights, if it has any.

    Its attributes: `proxies`, trainable `[C, K, width]` in random directions, or None; `centers`
    `[C, width]` from zero, moved by `moved_centers` and not by the optimizer, or None.
    """
    import keras

    class LossWeights(keras.layers.Layer):  # type: ignore[misc,unused-ignore]
        def __init__(self) -> None:
            super().__init__(name="loss_weights")
            self.proxies = self.centers = None
            count, width = PROXIES_A_CLASS.get(recipe.loss, 0), recipe.width
            if count:
                normal = keras.initializers.RandomNormal(stddev=0.05, seed=recipe.seed)
                shape = (class_count, count, width)
                self.proxies = self.add_weight(name="proxies", shape=shape, initializer=normal)
            if recipe.loss == "center":
                self.centers = self.add_weight(
                    name="centers", shape=(class_count, width), initializer="zeros", trainable=False
                )

    return LossWeights()


@dataclass(frozen=True)
class Objective:
    """The recipe's loss of a batch, with the weights that it learns."""

    recipe: EmbeddingRecipe
    weights: Any
    start: Start

    def start_proxies(self, means: Any) -> None:
        """Put unit means `[C, width]` where the proxies and centres begin."""
        if self.weights.proxies is not None:
            self.weights.proxies.assign(means[:, None, :] + 0.1 * self.weights.proxies)
        if self.weights.centers is not None:
            self.weights.centers.assign(means)

    def _on_prefix(self, unit: Tensor, given: LossInput) -> Tensor:
        if self.weights.proxies is None:
            return _pair_loss(self.recipe, unit, given)
        proxies = self.weights.proxies[:, :, : unit.shape[1]]
        match self.recipe.loss:
            case "proxy_anchor":
                return proxy_anchor(unit, given.labels, proxies[:, 0])
            case "arcface":
                return sub_center_arcface(unit, given.labels, proxies)
        # Center loss needs a softmax beside it, or all rows would meet in one point.
        return sub_center_arcface(unit, given.labels, proxies, margin_deg=0.0, scale=16.0)

    def _near_centers(self, given: LossInput) -> Tensor:
        import tensorflow as tf

        unit = tf.math.l2_normalize(given.rows, axis=1)
        centers = self.weights.centers
        loss = center_loss(unit, given.labels, tf.convert_to_tensor(centers))
        centers.assign(moved_centers(tf.stop_gradient(unit), given.labels, centers.value))
        return CENTER_WEIGHT * loss

    def _main(self, given: LossInput) -> Tensor:
        widths = self.recipe.prefixes
        if self.recipe.loss == "cascaded":
            levels = unit_prefixes(given.rows, widths)
            return cascaded_contrastive(levels, given.labels, shares=_shares(len(levels)))
        loss = over_prefixes(lambda unit: self._on_prefix(unit, given), given.rows, widths)
        return loss if self.weights.centers is None else loss + self._near_centers(given)

    def loss(self, given: LossInput) -> Tensor:
        """Return the recipe's loss of one batch: its main loss and what is added to it."""
        import tensorflow as tf

        total = self._main(given)
        unit = tf.math.l2_normalize(given.rows, axis=1)
        if self.recipe.consistency > 0:
            total += self.recipe.consistency * threshold_consistent_margin(unit, given.labels)
        if self.recipe.geometry > 0:
            frozen = tf.math.l2_normalize(given.teacher, axis=1)
            total += self.recipe.geometry * relational(unit, frozen)
        if self.recipe.imitation > 0:
            total += self.recipe.imitation * regression(unit, self._at_start(given))
        return total

    def _at_start(self, given: LossInput) -> Tensor:
        """Return the unit embeddings `[B, width]` that the start gives the same pictures."""
        import tensorflow as tf

        affine = self.start.projection
        rows = given.teacher @ affine.kernel + affine.bias
        rows += tf.cast(given.is_catalogue, rows.dtype)[:, None] * self.start.catalogue_offset[None]
        return tf.math.l2_normalize(rows, axis=1)


def make_objective(recipe: EmbeddingRecipe, class_count: int, start: Start) -> Objective:
    """Return the recipe's objective for so many training classes."""
    return Objective(recipe, make_weights(recipe, class_count), start)


def _shares(levels: int) -> tuple[float, ...]:
    """Halve the share of pairs from level to level: 1, 1/2, 1/4, ..."""
    return tuple(0.5**number for number in range(levels))
