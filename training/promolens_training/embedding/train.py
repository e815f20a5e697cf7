"""Train one embedder on one split; a stopped training goes on as if it had never stopped."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from promolens_training.embedding.look_alikes import LookAlikes
from promolens_training.embedding.losses.pairs import Memory
from promolens_training.embedding.memory import CrossBatchMemory
from promolens_training.embedding.network import (
    build_embedder,
    set_projection,
    trained_variables,
    upper_part,
)
from promolens_training.embedding.objective import LossInput, make_objective
from promolens_training.embedding.recipes import EmbeddingRecipe
from promolens_training.embedding.sampler import Indexes
from promolens_training.embedding.source import Batch, Source, class_means
from promolens_training.embedding.start import Start, kept_start
from promolens_training.embedding.whitening import Affine
from promolens_training.files import write_arrays
from promolens_training.interrupts import deferred_interrupt
from promolens_training.progress import progress

if TYPE_CHECKING:
    import keras

Floats = npt.NDArray[np.float32]
CHECKPOINT_INTERVAL_S = 60.0
WARMUP_SHARE = 0.1


@dataclass(frozen=True)
class Embedder:
    """A trained network, and what catalogue pictures' embeddings get added."""

    model: keras.Model
    catalogue_offset: Floats


def learning_rate(recipe: EmbeddingRecipe, step: int) -> float:
    """Return the rate of a step: linear warm-up over a tenth, then a cosine to zero."""
    warmup = max(1, round(WARMUP_SHARE * recipe.steps))
    if step < warmup:
        return recipe.peak_learning_rate * (step + 1) / warmup
    share = (step - warmup) / max(1, recipe.steps - warmup)
    return recipe.peak_learning_rate * 0.5 * (1 + math.cos(math.pi * share))


@dataclass
class _Parts:
    """The moving parts: what is trained, by what, and the memories."""

    model: keras.Model
    upper: keras.Model
    network: list[Any]
    offset: Any
    objective: Any
    optimizer: Any
    memory: CrossBatchMemory
    look_alikes: LookAlikes | None

    def trained(self) -> list[Any]:
        """Return the variables that a step changes."""
        return [
            *self.network,
            self.offset,
            *self.objective.weights.trainable_variables,
        ]

    def kept(self) -> list[Any]:
        """Return the variables that a checkpoint holds."""
        inner = [self.offset, *self.objective.weights.variables, *self.optimizer.variables]
        return [*self.model.variables, *inner]


def _traced(parts: _Parts) -> Callable[..., Any]:
    import tensorflow as tf

    variables = parts.trained()

    def step(inputs: Any, labels: Any, is_catalogue: Any, teacher: Any, rows: Any, ids: Any) -> Any:
        with tf.GradientTape() as tape:
            found = parts.upper(inputs, training=True)["embedding"]
            found += tf.cast(is_catalogue, tf.float32)[:, None] * parts.offset[None]
            memory = Memory(rows, ids) if parts.memory.size else None
            loss = parts.objective.loss(LossInput(found, labels, is_catalogue, memory, teacher))
        gradients = tape.gradient(
            loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        parts.optimizer.apply(gradients, variables)
        return loss, tf.math.l2_normalize(found, axis=1)

    # The memory grows and so does a batch where a class lacks a kind: shapes are left open.
    signature = [
        tf.TensorSpec([None, *parts.upper.inputs[0].shape[1:]], tf.float32),
        tf.TensorSpec([None], tf.int32),
        tf.TensorSpec([None], tf.bool),
        tf.TensorSpec([None, None], tf.float32),
        tf.TensorSpec([None, None], tf.float32),
        tf.TensorSpec([None], tf.int32),
    ]
    traced: Callable[..., Any] = tf.function(step, input_signature=signature, autograph=False)
    return traced


def _make_parts(source: Source, weights: Path | None, starts: Path | None) -> _Parts:
    import keras

    recipe = source.recipe
    keras.utils.set_random_seed(recipe.seed)
    model = build_embedder(recipe, weights or "imagenet")
    start = kept_start(recipe, source.data, source.split, source.views, starts)
    set_projection(model, start.projection)
    upper = upper_part(model, recipe.level)
    network = trained_variables(upper, recipe.frozen_to)
    offset = keras.Variable(start.catalogue_offset, name="catalogue_offset")
    objective = make_objective(recipe, len(source.split.train_classes), start)
    _start_proxies(objective, source, start.projection)
    optimizer = keras.optimizers.AdamW(
        learning_rate=1e-4, weight_decay=recipe.weight_decay, clipnorm=1.0
    )
    memory = CrossBatchMemory(recipe.memory, recipe.width)
    look_alikes = _start_look_alikes(source, start) if recipe.neighbours > 1 else None
    parts = _Parts(model, upper, network, offset, objective, optimizer, memory, look_alikes)
    optimizer.build(parts.trained())
    return parts


def _start_look_alikes(source: Source, start: Start) -> LookAlikes:
    """Begin with how alike the frozen network finds the classes' catalogue pictures."""
    features, labels = source.catalogue_features()
    rows = start.projection(features) + start.catalogue_offset
    count = len(source.split.train_classes)
    return LookAlikes(class_means(rows, labels, count), source.recipe.neighbours)


def _start_proxies(objective: Any, source: Source, projection: Affine) -> None:
    """Put proxies and centres where the frozen network sees the classes of a few batches."""
    proxies = objective.weights.proxies
    if proxies is None:
        return
    pick = source.picker()
    batches = [source.read(pick(step), step) for step in range(4)]
    features = np.concatenate([batch.teacher for batch in batches])
    labels = np.concatenate([batch.labels for batch in batches])
    objective.start_proxies(class_means(projection(features), labels, proxies.shape[0]))


def _save(path: Path, parts: _Parts, step: int, rows: Indexes) -> None:
    arrays = {f"kept/{i}": np.asarray(each) for i, each in enumerate(parts.kept())}
    arrays |= {f"memory/{name}": value for name, value in parts.memory.state().items()}
    if parts.look_alikes:
        arrays["look_alikes"] = parts.look_alikes.rows
    write_arrays(path, arrays | {"step": np.array([step]), "rows": rows})


def _restore(path: Path, parts: _Parts, pick: Callable[[int], Indexes]) -> tuple[int, Indexes]:
    """Take over a checkpoint, if there is one; return the next step's number and rows."""
    if not path.is_file():
        return 0, pick(0)
    with np.load(path, allow_pickle=False) as arrays:
        for i, variable in enumerate(parts.kept()):
            variable.assign(arrays[f"kept/{i}"])
        names = ("rows", "labels", "next")
        parts.memory.restore({name: arrays[f"memory/{name}"] for name in names})
        if parts.look_alikes:
            parts.look_alikes.restore(arrays["look_alikes"])
        return int(arrays["step"][0]), arrays["rows"]


def _run_step(step: Callable[..., Any], parts: _Parts, batch: Batch, rate: float) -> float:
    import tensorflow as tf

    parts.optimizer.learning_rate.assign(rate)
    rows, ids = parts.memory.arrays()
    given = (batch.inputs, batch.labels, batch.is_catalogue, batch.teacher, rows, ids)
    loss, found = step(*(tf.constant(each) for each in given))
    unit = np.asarray(found)
    parts.memory.push(unit, batch.labels)
    if parts.look_alikes:
        parts.look_alikes.push(unit[batch.is_catalogue], batch.labels[batch.is_catalogue])
    return float(loss)


def train_embedder(
    source: Source, checkpoint: Path, weights: Path | None = None, starts: Path | None = None
) -> Embedder:
    """Run the recipe's steps, from the checkpoint where there is one.

    Args:
        checkpoint: file to resume from and to save to, at most a minute apart and on Ctrl-C.
        weights: ImageNet weights file; the packaged ones when None.
        starts: folder that keeps starts from one recipe to the next; None keeps nothing.
    """
    recipe = source.recipe
    parts = _make_parts(source, weights, starts)
    if recipe.loss != "none":
        shipped = [*parts.network, parts.offset]
        begun = [np.asarray(variable) for variable in shipped]
        _train(source, parts, checkpoint)
        for variable, before in zip(shipped, begun, strict=True):
            variable.assign(recipe.blend * np.asarray(variable) + (1 - recipe.blend) * before)
    return Embedder(parts.model, np.asarray(parts.offset, np.float32))


def _train(source: Source, parts: _Parts, checkpoint: Path) -> None:
    recipe = source.recipe
    pick = source.picker(parts.look_alikes)
    step, (done, rows) = _traced(parts), _restore(checkpoint, parts, pick)
    title = f"{recipe.name} {source.split.name}"
    with (
        deferred_interrupt() as interrupted,
        ThreadPoolExecutor(1) as pool,
        progress(title, recipe.steps, done) as bar,
    ):
        saved = time.monotonic()
        ahead = pool.submit(source.read, rows, done)
        for number in range(done, recipe.steps):
            batch, rows = ahead.result(), pick(number + 1)
            ahead = pool.submit(source.read, rows, number + 1)
            loss = _run_step(step, parts, batch, learning_rate(recipe, number))
            bar.advance(1, f"loss {loss:.3f}")
            if not math.isfinite(loss):
                raise FloatingPointError(f"The loss of {title} is {loss} in step {number}.")
            if interrupted() or time.monotonic() - saved >= CHECKPOINT_INTERVAL_S:
                _save(checkpoint, parts, number + 1, rows)
                saved = time.monotonic()
            if interrupted():
                raise KeyboardInterrupt
