"""Fine-tuning with exact resume: a step depends on the seed and its number, never on the past run.

The loop is ours rather than `Model.fit` because three things have to hold at once: a kill at any
moment loses at most `CHECKPOINT_INTERVAL_S` and changes no result, resolution and trainable part
change between phases, and tracing (about six seconds a network on two cores) happens once a phase.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from promolens_training.feeder import Batch, TrainingPixels, batches, steps_per_epoch
from promolens_training.files import write_arrays
from promolens_training.interrupts import deferred_interrupt
from promolens_training.network import build_classifier, freeze
from promolens_training.progress import Progress, progress
from promolens_training.recipes import Phase, Recipe

if TYPE_CHECKING:
    import keras

CHECKPOINT_INTERVAL_S = 60.0
HISTORY_COLUMNS: tuple[str, ...] = (
    "phase",
    "epoch",
    "step",
    "loss",
    "accuracy",
    "val_loss",
    "val_accuracy",
    "learning_rate",
    "seconds",
)
Arrays = dict[str, npt.NDArray[Any]]
Evaluate = Callable[["keras.Model"], tuple[float, float]]


@dataclass
class Position:
    """Where training stands: phase, epoch in it, step in that, and the history so far.

    The sums are this epoch's, so that an interrupted epoch reports what an unbroken one would.
    """

    phase: int = 0
    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    accuracy_sum: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)


def learning_rate(phase: Phase, step: int, per_epoch: int) -> float:
    """Return the rate of a step of the phase: linear warm-up, then a cosine to zero."""
    warmup = max(1, round(phase.warmup_epochs * per_epoch))
    total = phase.epochs * per_epoch
    if step < warmup:
        return phase.peak_learning_rate * (step + 1) / warmup
    share = (step - warmup) / max(1, total - warmup)
    return phase.peak_learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


def _make_step(model: keras.Model, optimizer: Any, recipe: Recipe) -> Callable[..., Any]:
    """Trace one training step: (images, targets, teacher, seed) -> loss and batch accuracy."""
    import keras
    import tensorflow as tf

    backbone = keras.Model(model.input, model.get_layer("embedding").output)
    head = model.get_layer("logits")
    distillation = recipe.distillation

    def loss_of(logits: Any, targets: Any, teacher: Any) -> Any:
        hard = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, logits))
        loss = hard + recipe.head_l2 * tf.reduce_sum(tf.square(head.kernel))
        if distillation is None:
            return loss
        t = distillation.temperature
        soft = tf.nn.softmax_cross_entropy_with_logits(tf.nn.softmax(teacher / t), logits / t)
        share = distillation.weight
        return loss - share * hard + share * t * t * tf.reduce_mean(soft)

    def step(images: Any, targets: Any, teacher: Any, seed: Any) -> Any:
        with tf.GradientTape() as tape:
            features = backbone(images, training=True)
            if recipe.dropout > 0:
                features = tf.nn.experimental.stateless_dropout(features, recipe.dropout, seed)
            logits = head(features)
            loss = loss_of(logits, targets, teacher)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        right = tf.equal(tf.argmax(logits, -1), tf.argmax(targets, -1))
        return loss, tf.reduce_mean(tf.cast(right, tf.float32))

    traced: Callable[..., Any] = tf.function(step, jit_compile=False)
    return traced


def _make_optimizer(model: keras.Model, recipe: Recipe) -> Any:
    import keras

    optimizer = keras.optimizers.AdamW(
        learning_rate=1e-4,
        weight_decay=recipe.weight_decay,
        clipnorm=5.0,
        use_ema=recipe.ema_decay > 0,
        ema_momentum=recipe.ema_decay if recipe.ema_decay > 0 else 0.99,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.build(model.trainable_variables)
    return optimizer


def _arrays(prefix: str, variables: list[Any]) -> Arrays:
    return {f"{prefix}/{i}": np.asarray(variable) for i, variable in enumerate(variables)}


def _assign(prefix: str, variables: list[Any], arrays: Arrays) -> None:
    for i, variable in enumerate(variables):
        variable.assign(arrays[f"{prefix}/{i}"])


def _save_checkpoint(path: Path, model: keras.Model, optimizer: Any, position: Position) -> None:
    arrays = _arrays("model", model.variables) | _arrays("optimizer", optimizer.variables)
    text = np.frombuffer(json.dumps(asdict(position)).encode(), np.uint8)
    write_arrays(path, arrays | {"position": text})


def _load_checkpoint(path: Path) -> tuple[Position, Arrays] | None:
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return Position(**json.loads(arrays.pop("position").tobytes())), arrays


class _Clock:
    """Saves a checkpoint when enough time has passed since the last, or on Ctrl-C."""

    def __init__(self, save: Callable[[], None], interrupted: Callable[[], bool]) -> None:
        self._save, self._interrupted, self._last = save, interrupted, time.monotonic()

    def tick(self) -> None:
        """Take the time between two steps, when weights and position agree."""
        interrupted = self._interrupted()
        if interrupted or time.monotonic() - self._last >= CHECKPOINT_INTERVAL_S:
            self._save()
            self._last = time.monotonic()
        if interrupted:
            raise KeyboardInterrupt


@dataclass
class _PhaseRun:
    """The moving parts of one phase."""

    model: keras.Model
    optimizer: Any
    step: Callable[..., Any]
    recipe: Recipe
    data: TrainingPixels
    position: Position
    clock: _Clock
    bar: Progress

    def train_on(self, batch: Batch, per_epoch: int) -> tuple[float, float]:
        import tensorflow as tf

        at = self.position
        number = at.epoch * per_epoch + at.step
        phase = self.recipe.phases[at.phase]
        self.optimizer.learning_rate.assign(learning_rate(phase, number, per_epoch))
        seed = tf.constant([self.recipe.seed + 1000 * at.phase, number], tf.int32)
        images, targets = tf.constant(batch.images), tf.constant(batch.targets)
        loss, accuracy = self.step(images, targets, tf.constant(batch.teacher), seed)
        return float(loss), float(accuracy)

    def run_epoch(self, evaluate: Evaluate | None) -> None:
        start = time.monotonic()
        at = self.position
        phase = self.recipe.phases[at.phase]
        per_epoch = steps_per_epoch(len(self.data.labels), self.recipe.batch)
        for batch in batches(self.data, self.recipe, at.phase, at.epoch, at.step):
            loss, accuracy = self.train_on(batch, per_epoch)
            at.step += 1
            at.loss_sum, at.accuracy_sum = at.loss_sum + loss, at.accuracy_sum + accuracy
            note = f"phase {at.phase + 1} epoch {at.epoch + 1}/{phase.epochs}"
            self.bar.advance(1, f"{note} loss {loss:.3f}")
            self.clock.tick()
        row: dict[str, float] = {"phase": at.phase + 1, "epoch": at.epoch + 1, "step": at.step}
        row |= {"loss": at.loss_sum / at.step, "accuracy": at.accuracy_sum / at.step}
        if evaluate is not None:
            row["val_loss"], row["val_accuracy"] = evaluate(self.model)
        row["learning_rate"] = float(self.optimizer.learning_rate)
        row["seconds"] = time.monotonic() - start
        at.history.append(row)
        at.epoch, at.step, at.loss_sum, at.accuracy_sum = at.epoch + 1, 0, 0.0, 0.0


def _total_steps(recipe: Recipe, count: int) -> int:
    per_epoch = steps_per_epoch(count, recipe.batch)
    return sum(phase.epochs for phase in recipe.phases) * per_epoch


def _done_steps(recipe: Recipe, position: Position, count: int) -> int:
    per_epoch = steps_per_epoch(count, recipe.batch)
    before = sum(phase.epochs for phase in recipe.phases[: position.phase])
    return (before + position.epoch) * per_epoch + position.step


def _run_phase(
    recipe: Recipe,
    data: TrainingPixels,
    position: Position,
    weights: list[npt.NDArray[Any]],
    checkpoint: Path,
    arrays: Arrays | None,
    bar: Progress,
    evaluate: Evaluate | None,
) -> list[npt.NDArray[Any]]:
    phase = recipe.phases[position.phase]
    model = build_classifier(recipe.backbone, phase.image_px, data.class_count, weights=None)
    model.set_weights(weights)
    freeze(model, phase.first_block)
    optimizer = _make_optimizer(model, recipe)
    if arrays is not None:
        _assign("model", model.variables, arrays)
        _assign("optimizer", optimizer.variables, arrays)

    def save() -> None:
        _save_checkpoint(checkpoint, model, optimizer, position)

    step = _make_step(model, optimizer, recipe)
    with deferred_interrupt() as interrupted:
        clock = _Clock(save, interrupted)
        run = _PhaseRun(model, optimizer, step, recipe, data, position, clock, bar)
        while position.epoch < phase.epochs:
            run.run_epoch(evaluate)
    if recipe.ema_decay > 0:
        optimizer.finalize_variable_values(model.trainable_variables)
    position.phase, position.epoch = position.phase + 1, 0
    averaged: list[npt.NDArray[Any]] = model.get_weights()
    save()
    return averaged


def fine_tune(
    recipe: Recipe,
    data: TrainingPixels,
    weights: list[npt.NDArray[Any]],
    checkpoint: Path,
    evaluate: Evaluate | None = None,
) -> tuple[list[npt.NDArray[Any]], list[dict[str, float]]]:
    """Run the recipe's phases from `weights`, or from the checkpoint where there is one.

    Args:
        data: squares somewhat larger than the phases' resolution.
        weights: starting weights as `Model.get_weights` gives them.
        checkpoint: file to resume from and to save to, at most a minute apart.
        evaluate: called after each epoch, returns (loss, accuracy) on photos not trained on.

    Returns:
        Final weights (averaged where the recipe says so) and the training history.
    """
    loaded = _load_checkpoint(checkpoint)
    position, arrays = loaded if loaded else (Position(), None)
    if arrays is not None and position.epoch == 0 and position.step == 0:
        # Saved between two phases: the arrays are the finished phase's weights.
        weights = [arrays[f"model/{i}"] for i in range(len(weights))]
        arrays = None
    count = len(data.labels)
    done = _done_steps(recipe, position, count)
    with progress(f"fine-tune {recipe.name}", _total_steps(recipe, count), done) as bar:
        while position.phase < len(recipe.phases):
            weights = _run_phase(recipe, data, position, weights, checkpoint, arrays, bar, evaluate)
            arrays = None
    return weights, position.history
