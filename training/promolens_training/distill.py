"""What a bigger network says about the very views that the student will see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from promolens_training.feeder import TrainingPixels, make_view
from promolens_training.files import write_atomically
from promolens_training.forward import forward
from promolens_training.progress import progress
from promolens_training.recipes import Recipe
from promolens_training.runs import TrainedRun, build_model

CHUNK = 128


def teacher_logits(
    teacher: TrainedRun, data: TrainingPixels, student: Recipe, cache: Path
) -> npt.NDArray[np.float32]:
    """Compute the teacher's logits on every view that the student's recipe repeats.

    Args:
        teacher: a run trained on the same photos and classes.
        data: the student's cached squares.
        student: decides the views (seed, augmentation, their number).
        cache: `.npy` file that keeps the answer for a resumed run.

    Returns:
        float32 `[views, n, classes]`.
    """
    assert student.distillation is not None
    views, count = student.distillation.views, len(data.labels)
    shape = (views, count, data.class_count)
    if cache.is_file():
        stored: npt.NDArray[np.float32] = np.load(cache, allow_pickle=False)
        if stored.shape == shape:
            return stored
    model, px = build_model(teacher), teacher.recipe.image_px
    logits = np.empty(shape, np.float32)
    with progress("teacher", views * count) as bar:
        for view in range(views):
            for start in range(0, count, CHUNK):
                rows = range(start, min(start + CHUNK, count))
                images = [make_view(data, student, 0, view, row, px) for row in rows]
                logits[view, start : start + len(rows)] = forward(model, np.stack(images), "logits")
                bar.advance(len(rows))
    write_atomically(cache, lambda file: np.save(file, logits))
    return logits
