"""From a dataset to a finished run folder: split, probe, fine-tune, and an honest figure."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import resource
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from promolens_runtime.errors import InputError
from promolens_training.data import assign_sources, split_holdout
from promolens_training.data.load import load_photo_set, require_trainable
from promolens_training.data.photos import Photo, PhotoSet, ProductClass
from promolens_training.distill import teacher_logits
from promolens_training.feeder import TrainingPixels
from promolens_training.files import write_arrays, write_atomically, write_json
from promolens_training.finetune import HISTORY_COLUMNS, Evaluate, fine_tune
from promolens_training.forward import forward
from promolens_training.network import build_classifier
from promolens_training.pixels import CACHE_MARGIN, Pixels, load_pixels
from promolens_training.probe import embed, fit_probe
from promolens_training.progress import progress
from promolens_training.recipes import Recipe, recipe_named
from promolens_training.runs import TrainedRun, open_run, save_weights, write_setup

if TYPE_CHECKING:
    import keras

WATCHED = 320


@dataclass(frozen=True)
class TrainOptions:
    """What `promolens train` is asked for.

    Attributes:
        data: a folder or CSV in one of the layouts of docs/data.md.
        out: the run folder.
        only: pattern that selects classes.
        resume: go on with an interrupted run, or keep a finished one, in `out`.
        refit: where the data has no test split, fit once more on everything after the figures
            have been taken from a model that did not see the held-out photos.
        holdout_share: share of the photos held out for that.
        weights: a weights file in place of the published ImageNet weights.
    """

    data: Path
    out: Path
    recipe: Recipe
    only: str | None = None
    resume: bool = False
    refit: bool = True
    holdout_share: float = 0.2
    weights: Path | None = None

    def __post_init__(self) -> None:
        if not 0.05 <= self.holdout_share <= 0.5:
            raise InputError(
                f"Expected a held-out share in 0.05..0.5. Received {self.holdout_share}."
            )


def label_indices(
    photos: Sequence[Photo], classes: Sequence[ProductClass]
) -> npt.NDArray[np.int64]:
    """Return each photo's class as its output index, int64 `[n]`."""
    index = {product.name: i for i, product in enumerate(classes)}
    return np.array([index[photo.label] for photo in photos], np.int64)


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


def _guard_folder(folder: Path, recipe: Recipe, fingerprint: str, resume: bool) -> bool:
    """Return True where `folder` already holds this finished run; refuse to mix two runs."""
    started = folder / "fingerprint.json"
    wanted = {"recipe": recipe.fingerprint(), "dataset": fingerprint}
    inside = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if not inside - {"holdout"}:
        write_json(started, wanted)
        return False
    same = started.is_file() and json.loads(started.read_text("utf-8")) == wanted
    if same and resume:
        return (folder / "run.json").is_file()
    received = "the same run" if same else "another run, recipe or photos, or a foreign folder"
    hint = "add --resume" if same else "choose another --out, or delete it"
    raise InputError(
        f"Expected an empty folder at {folder}. Received {received}. To go on, {hint}."
    )


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
        logits = forward(model, squares, "logits").astype(np.float64)
        log_p = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        loss = -log_p[np.arange(len(labels)), labels].mean()
        return float(loss), float((logits.argmax(1) == labels).mean())

    return watch


@dataclass(frozen=True)
class _Job:
    """One fit: where, how and on what."""

    folder: Path
    recipe: Recipe
    classes: tuple[ProductClass, ...]
    photos: tuple[Photo, ...]
    data_root: Path
    weights: Path | None

    def in_split(self, *splits: str) -> tuple[Photo, ...]:
        return tuple(photo for photo in self.photos if photo.split in splits)


def _cached(photos: Sequence[Photo], px: int, title: str) -> Pixels:
    with progress(title, len(photos)) as bar:
        return load_pixels(photos, px, lambda count: bar.advance(count))


def _fit(job: _Job, resume: bool) -> dict[str, float]:
    """Train one model into the job's folder; returns seconds by stage."""
    import keras

    recipe, seconds = job.recipe, {}
    start = time.monotonic()
    keras.utils.set_random_seed(recipe.seed)
    largest = max([recipe.image_px, *(phase.image_px for phase in recipe.phases)])
    trained = job.in_split("train", "val")
    labels = label_indices(trained, job.classes)
    cache_px = round(largest * CACHE_MARGIN)
    data = TrainingPixels(_cached(trained, cache_px, "decode"), labels, len(job.classes))
    watched = job.in_split("test")
    watch = None
    if watched and recipe.phases:
        watch = _watcher(
            _cached(watched, recipe.image_px, "decode held-out"),
            label_indices(watched, job.classes),
        )
    seconds["decode"] = time.monotonic() - start
    start = time.monotonic()
    model = build_classifier(
        recipe.backbone, recipe.image_px, len(job.classes), weights=job.weights or "imagenet"
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
    save_weights(model, job.folder / "model.npz")
    checkpoint.unlink(missing_ok=True)
    return seconds


def _teach(job: _Job, data: TrainingPixels, resume: bool) -> npt.NDArray[np.float32]:
    """Train the recipe's teacher on the same photos and ask it about every view."""
    assert job.recipe.distillation is not None
    recipe = replace(recipe_named(job.recipe.distillation.teacher), seed=job.recipe.seed)
    folder = job.folder / "teacher"
    run = train_one(replace_job(job, folder, recipe), resume=resume or folder.exists())
    return teacher_logits(run, data, job.recipe, job.folder / "teacher_logits.npy")


def replace_job(job: _Job, folder: Path, recipe: Recipe) -> _Job:
    """Return the same photos to be fitted with another recipe in another folder."""
    return replace(job, folder=folder, recipe=recipe, weights=None)


def train_one(job: _Job, *, resume: bool) -> TrainedRun:
    """Fit one model on the "train" and "val" photos of the job, into its folder."""
    fingerprint = dataset_fingerprint(job.photos, job.data_root)
    if _guard_folder(job.folder, job.recipe, fingerprint, resume):
        return open_run(job.folder)
    write_setup(job.folder, job.recipe, job.classes, job.photos)
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
    }
    write_json(job.folder / "run.json", info)
    return open_run(job.folder)


def make_job(
    folder: Path, recipe: Recipe, photo_set: PhotoSet, weights: Path | None = None
) -> _Job:
    """Describe one fit of `recipe` on the photos of `photo_set` as they are split."""
    return _Job(folder, recipe, photo_set.classes, photo_set.photos, photo_set.root, weights)


def hold_out(
    photos: Sequence[Photo], share: float, seed: int
) -> tuple[tuple[Photo, ...], npt.NDArray[np.intp]]:
    """Name the photos' sources and choose whole ones of them for the exam.

    Where every class is one tight burst there is nothing to hold out whole; then single photos are
    held out, every photo its own source, and a line says that the figures will flatter.

    Returns:
        The photos with their sources, and the indexes of the held-out ones.
    """
    sourced = assign_sources(photos)
    try:
        return sourced, split_holdout(sourced, share, seed)[1]
    except InputError as error:
        print(
            f"note: {error} Holding out single photos instead: figures will be too good.",
            file=sys.stderr,
        )
    alone = tuple(replace(photo, source_id="") for photo in photos)
    return alone, split_holdout(alone, share, seed)[1]


def with_test_split(photos: Sequence[Photo], held: npt.NDArray[np.intp]) -> tuple[Photo, ...]:
    """Return the photos with split "test" at the indexes `held` and "train" elsewhere."""
    chosen = {int(index) for index in held}
    return tuple(
        replace(photo, split="test" if index in chosen else "train")
        for index, photo in enumerate(photos)
    )


def check_disk(folder: Path, needed_bytes: int) -> None:
    """Refuse to start where the run would not fit on the disk.

    Raises:
        InputError: fewer than `needed_bytes` are free.
    """
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise InputError(
            f"Expected {needed_bytes / 1e6:.0f} MB free at {folder}. Received {free / 1e6:.0f} MB. "
            "Free some space, or choose another --out."
        )


def train(options: TrainOptions) -> TrainedRun:
    """Run `promolens train`: load, split, fit, and where needed fit again on everything.

    Returns:
        The finished run; its figures come from `run.holdout` where that exists.

    Raises:
        InputError: the data cannot be trained on, or `out` holds something else.
        MissingError: ImageNet weights or an extra are not installed.
    """
    photo_set = load_photo_set(options.data, options.only)
    require_trainable(photo_set)
    check_disk(options.out, 300_000_000)
    if photo_set.in_split("test"):
        job = make_job(options.out, options.recipe, photo_set, options.weights)
        return train_one(job, resume=options.resume)
    photos, held = hold_out(photo_set.photos, options.holdout_share, options.recipe.seed)
    holdout_set = replace(photo_set, photos=with_test_split(photos, held))
    folder = options.out / "holdout" if options.refit else options.out
    job = make_job(folder, options.recipe, holdout_set, options.weights)
    run = train_one(job, resume=options.resume or folder.exists())
    if not options.refit:
        return run
    nothing = np.array([], np.intp)
    everything = replace(photo_set, photos=with_test_split(photos, nothing))
    final = make_job(options.out, options.recipe, everything, options.weights)
    return train_one(final, resume=True)
