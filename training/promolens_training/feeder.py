"""Batches of augmented pictures, made ahead on threads, the same for the same seed and step."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from promolens_training.augment import augment, mix_batch
from promolens_training.recipes import Distillation, Phase, Recipe

Floats = npt.NDArray[np.float32]
AHEAD = 3
# Separates the streams of random numbers; the value itself means nothing.
ORDER, VIEW, MIX = 1, 2, 3


@dataclass(frozen=True)
class Batch:
    """One training step's input: images float32 `[b, px, px, 3]` in 0..255, soft targets `[b, c]`,
    and the teacher's logits `[b, c]` (zeros without one)."""

    images: Floats
    targets: Floats
    teacher: Floats


@dataclass(frozen=True)
class TrainingPixels:
    """What is trained on: uint8 squares `[n, s, s, 3]`, labels int64 `[n]`, and the teacher's
    logits `[views, n, c]` where there is one."""

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    class_count: int
    teacher: Floats | None = None


def view_seed(recipe: Recipe, phase: int, epoch: int, index: int) -> list[int]:
    """Name the random view of photo `index` in an epoch.

    With a teacher, views repeat every `views` epochs, because its logits belong to exact pixels.
    """
    distillation: Distillation | None = recipe.distillation
    if distillation is not None:
        return [recipe.seed, VIEW, epoch % distillation.views, index]
    return [recipe.seed, VIEW, phase, epoch, index]


def make_view(
    data: TrainingPixels, recipe: Recipe, phase: int, epoch: int, index: int, px: int
) -> npt.NDArray[np.uint8]:
    """Draw one augmented view, uint8 `[px, px, 3]`."""
    rng = np.random.default_rng(view_seed(recipe, phase, epoch, index))
    return augment(data.pixels[index], rng, px, recipe.augmentation)


def steps_per_epoch(count: int, batch: int) -> int:
    """Return the full batches in an epoch; a last partial one is left for another shuffle."""
    return max(1, count // batch)


def _make_batch(
    data: TrainingPixels,
    recipe: Recipe,
    phase_index: int,
    epoch: int,
    chosen: npt.NDArray[np.int64],
) -> Batch:
    phase = recipe.phases[phase_index]
    images = np.stack(
        [make_view(data, recipe, phase_index, epoch, int(i), phase.image_px) for i in chosen]
    ).astype(np.float32)
    smoothing = recipe.label_smoothing
    targets = np.full((len(chosen), data.class_count), smoothing / data.class_count, np.float32)
    targets[np.arange(len(chosen)), data.labels[chosen]] += 1 - smoothing
    rng = np.random.default_rng([recipe.seed, MIX, phase_index, epoch, int(chosen[0])])
    images, targets = mix_batch(
        images, targets, rng, mixup_alpha=phase.mixup_alpha, cutmix_alpha=phase.cutmix_alpha
    )
    if data.teacher is None:
        return Batch(images, targets, np.zeros_like(targets))
    view = epoch % data.teacher.shape[0]
    return Batch(images, targets, data.teacher[view, chosen])


def batches(
    data: TrainingPixels, recipe: Recipe, phase_index: int, epoch: int, first_step: int = 0
) -> Iterator[Batch]:
    """Yield the batches of one epoch from step `first_step` on.

    The order and every view depend on (seed, phase, epoch, photo) alone, so that a resumed epoch
    goes on with the very batches that it would have had.
    """
    phase: Phase = recipe.phases[phase_index]
    size = min(recipe.batch, len(data.labels))
    rng = np.random.default_rng([recipe.seed, ORDER, phase_index, epoch])
    order = rng.permutation(len(data.labels))
    steps = range(first_step, steps_per_epoch(len(order), size))
    todo = deque(order[step * size : (step + 1) * size] for step in steps)
    pending: deque[Future[Batch]] = deque()
    with ThreadPoolExecutor(AHEAD, thread_name_prefix=f"feed-{phase.image_px}") as pool:
        while todo or pending:
            while todo and len(pending) < AHEAD:
                chosen = todo.popleft()
                pending.append(pool.submit(_make_batch, data, recipe, phase_index, epoch, chosen))
            yield pending.popleft().result()
