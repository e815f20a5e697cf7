"""One fit: a recipe and photos in, a finished run folder out."""

from __future__ import annotations

import csv
import hashlib
import io
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from promolens_runtime.errors import InputError
from promolens_training.data.photos import Photo, PhotoSet, ProductClass
from promolens_training.discriminant import fit_discriminant, head_width
from promolens_training.distill import teacher_logits
from promolens_training.evaluation.metrics import negative_log_likelihood
from promolens_training.evaluation.predictions import class_indices
from promolens_training.feeder import TrainingPixels
from promolens_training.files import write_arrays, write_atomically, write_json
from promolens_training.finetune import HISTORY_COLUMNS, Evaluate, fine_tune
from promolens_training.folders import claim
from promolens_training.forward import forward
from promolens_training.network import SPACE, build_classifier
from promolens_training.pixels import CACHE_MARGIN, Pixels, load_pixels
from promolens_training.probe import embed, fit_probe
from promolens_training.progress import progress
from promolens_training.recipes import Recipe, recipe_named
from promolens_training.runs import TrainedRun, open_run, save_weights, write_setup

if TYPE_CHECKING:
    import keras

WATCHED = 320


def _resized(pixels: Pixels, px: int) -> Pixels:
    import cv2

    if pixels.shape[1] == px:
        return pixels
    resized = [cv2.resize(picture, (px, px), interpolation=cv2.INTER_AREA) for picture in pixels]
    return np.stack(resized).astype(np.uint8)


def dataset_fingerprint(photos: Sequence[Photo], root: Path) -> str:
    """Return the SHA-256 over every photo's path, label, split and content, order-free."""
    lines = []
    for photo in photos:
        content = hashlib.sha256(photo.path.read_bytes()).hexdigest()
        name = photo.path.relative_to(root) if photo.path.is_relative_to(root) else photo.path
        lines.append(f"{name}\t{photo.label}\t{photo.split}\t{content}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _write_history(folder: Path, history: list[dict[str, float]]) -> None:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(HISTORY_COLUMNS)
    table.writerows([[row.get(column, "") for column in HISTORY_COLUMNS] for row in history])
    data = text.getvalue().encode()
    write_atomically(folder / "history.csv", lambda file: file.write(data))


def _probe_weights(model: keras.Model, folder: Path, recipe: Recipe, data: TrainingPixels) -> None:
    """Put the probe's head into `model`, fitting it unless the folder already has it."""
    path = folder / "probe.npz"
    if not path.is_file():
        features = embed(model, _resized(data.pixels, recipe.image_px))
        head = fit_probe(features, data.labels, data.class_count, recipe.probe_c, recipe.seed)
        write_arrays(path, {"kernel": head[0], "bias": head[1]})
    with np.load(path, allow_pickle=False) as arrays:
        model.get_layer("logits").set_weights([arrays["kernel"], arrays["bias"]])


def _watcher(photos: Pixels, labels: npt.NDArray[np.int64]) -> Evaluate:
    """Return a function that measures loss and accuracy on at most `WATCHED` photos."""
    step = max(1, len(labels) // WATCHED)
    photos, labels = photos[::step], labels[::step]

    def watch(model: keras.Model) -> tuple[float, float]:
        squares = _resized(photos, int(model.inputs[0].shape[1]))
        logits = forward(model, squares, "logits")
        right = float((logits.argmax(1) == labels).mean())
        return negative_log_likelihood(logits, labels), right

    return watch


@dataclass(frozen=True)
class Job:
    """One fit: where, how and on what.

    Attributes:
        photos: those of split "test" are watched, never fitted.
        background: photos of things that are taught and never answered; those of split "test" are
            kept for the exam.
    """

    folder: Path
    recipe: Recipe
    classes: tuple[ProductClass, ...]
    photos: tuple[Photo, ...]
    data_root: Path
    weights: Path | None
    background: tuple[Photo, ...] = ()

    def in_split(self, *splits: str) -> tuple[Photo, ...]:
        """Return the photos of the named splits."""
        return tuple(photo for photo in self.photos if photo.split in splits)

    @property
    def taught_background(self) -> tuple[Photo, ...]:
        """The background photos that are trained on."""
        return tuple(photo for photo in self.background if photo.split != "test")

    @property
    def taught(self) -> tuple[ProductClass, ...]:
        """The classes, and behind them those of the background."""
        things = sorted({photo.label for photo in self.taught_background})
        return (*self.classes, *(ProductClass(name, name) for name in things))


def _cached(photos: Sequence[Photo], px: int, title: str) -> Pixels:
    with progress(title, len(photos)) as bar:
        return load_pixels(photos, px, lambda count: bar.advance(count))


def _fit(job: Job, resume: bool) -> dict[str, float]:
    """Train one model into the job's folder; returns seconds by stage."""
    import keras

    recipe, seconds = job.recipe, {}
    start = time.monotonic()
    keras.utils.set_random_seed(recipe.seed)
    largest = max([recipe.image_px, *(phase.image_px for phase in recipe.phases)])
    trained, taught = (*job.in_split("train", "val"), *job.taught_background), job.taught
    labels = class_indices(trained, taught)
    cache_px = round(largest * CACHE_MARGIN)
    data = TrainingPixels(_cached(trained, cache_px, "decode"), labels, len(taught))
    watched = job.in_split("test")
    watch = None
    if watched and recipe.phases:
        watch = _watcher(
            _cached(watched, recipe.image_px, "decode held-out"),
            class_indices(watched, job.classes),
        )
    seconds["decode"] = time.monotonic() - start
    start = time.monotonic()
    model = build_classifier(
        recipe.backbone, recipe.image_px, len(taught), weights=job.weights or "imagenet"
    )
    if recipe.probe_first or not recipe.phases:
        _probe_weights(model, job.folder, recipe, data)
    seconds["probe"] = time.monotonic() - start
    if recipe.distillation is not None:
        start = time.monotonic()
        data = replace(data, teacher=_teach(job, data, resume))
        seconds["teacher"] = time.monotonic() - start
    start = time.monotonic()
    checkpoint = job.folder / "checkpoint.npz"
    if recipe.phases:
        weights, history = fine_tune(recipe, data, model.get_weights(), checkpoint, watch)
        model.set_weights(weights)
        _write_history(job.folder, history)
        # A resumed run counts the epochs before the stop as well.
        before_stop = sum(row["seconds"] for row in history)
        seconds["fine_tune"] = max(before_stop, time.monotonic() - start)
    if job.taught_background:
        start = time.monotonic()
        model = _with_discriminant_head(model, job, data)
        seconds["head"] = time.monotonic() - start
    save_weights(model, job.folder / "model.npz")
    checkpoint.unlink(missing_ok=True)
    return seconds


def _with_discriminant_head(model: keras.Model, job: Job, data: TrainingPixels) -> keras.Model:
    """Return the network with a head that knows the classes, fitted on background as well."""
    recipe = job.recipe
    features = embed(model, _resized(data.pixels, recipe.image_px))
    head = fit_discriminant(features, data.labels, len(job.classes))
    answering = build_classifier(
        recipe.backbone, recipe.image_px, len(job.classes), weights=None, head_width=head.width
    )
    trained = {layer.name: layer for layer in model.layers}
    for layer in answering.layers:
        if layer.name in trained and layer.name != "logits":
            layer.set_weights(trained[layer.name].get_weights())
    answering.get_layer(SPACE).set_weights([head.space.kernel, head.space.bias])
    answering.get_layer("logits").set_weights([head.directions])
    return answering


def _teach(job: Job, data: TrainingPixels, resume: bool) -> npt.NDArray[np.float32]:
    """Train the recipe's teacher on the same photos and ask it about every view."""
    assert job.recipe.distillation is not None
    recipe = replace(recipe_named(job.recipe.distillation.teacher), seed=job.recipe.seed)
    folder = job.folder / "teacher"
    run = train_one(
        replace(job, folder=folder, recipe=recipe, weights=None), resume=resume or folder.exists()
    )
    return teacher_logits(run, data, job.recipe, job.folder / "teacher_logits.npy")


def train_one(job: Job, *, resume: bool) -> TrainedRun:
    """Fit one model on the "train" and "val" photos of the job, into its folder."""
    fingerprint = dataset_fingerprint((*job.photos, *job.background), job.data_root)
    if claim(job.folder, {"recipe": job.recipe.fingerprint(), "dataset": fingerprint}, resume):
        return open_run(job.folder)
    write_setup(job.folder, job.recipe, job.classes, job.photos, job.background)
    before = time.monotonic()
    stages = _fit(job, resume)
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    info = {
        "data_root": str(job.data_root),
        "fingerprints": {"dataset": fingerprint, "recipe": job.recipe.fingerprint()},
        "seconds": {name: round(value, 1) for name, value in stages.items()},
        "seconds_total": round(time.monotonic() - before, 1),
        "peak_memory_bytes": peak_kib * 1024,
        "photos": {split: len(job.in_split(split)) for split in ("train", "val", "test")},
        "background": {
            "photos": len(job.taught_background),
            "classes": len(job.taught) - len(job.classes),
        },
        "head_width": head_width(len(job.taught)) if job.taught_background else 0,
    }
    write_json(job.folder / "run.json", info)
    return open_run(job.folder)


def make_job(folder: Path, recipe: Recipe, photo_set: PhotoSet, weights: Path | None = None) -> Job:
    """Describe one fit of `recipe` on the photos of `photo_set` as they are split.

    Raises:
        InputError: the recipe distils and the set has background: no teacher answers that.
    """
    job = Job(
        folder,
        recipe,
        photo_set.classes,
        photo_set.photos,
        photo_set.root,
        weights,
        photo_set.background,
    )
    if job.taught_background and recipe.distillation is not None:
        raise InputError(
            f"Expected no background classes (~) with the recipe {recipe.name}, which distils. "
            f"Received {len(job.taught_background)} photos. Leave them out, or take another recipe."
        )
    return job
