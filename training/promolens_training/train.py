"""From a dataset to a finished run: check, split, fit, and an honest figure."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from promolens_runtime.errors import ImageError, InputError
from promolens_training.data import assign_sources, split_holdout
from promolens_training.data.load import load_photo_set, require_trainable
from promolens_training.data.photos import Photo, PhotoSet
from promolens_training.evaluation.predictions import photo_pixels
from promolens_training.fit import dataset_fingerprint, make_job, train_one
from promolens_training.folders import no_litter, set_aside_other_run
from promolens_training.pixels import WORKERS
from promolens_training.progress import progress
from promolens_training.recipes import Recipe
from promolens_training.runs import TrainedRun

NEEDED_BYTES = 300_000_000
# A scaled decode reads the whole file, at an eighth of the work.
CHECK_PX = 64


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


def without_held_places(photo_set: PhotoSet) -> PhotoSet:
    """Return the set without the background photos that share a source with its "test" photos."""
    places = {photo.source_id for photo in photo_set.in_split("test")} - {""}
    kept = tuple(photo for photo in photo_set.background if photo.source_id not in places)
    return replace(photo_set, background=kept)


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


def check_pictures(photos: Sequence[Photo]) -> None:
    """Open every picture before anything is trained: the last one may be the broken one.

    Raises:
        InputError: some cannot be decoded; the text counts them and shows the first.
    """

    def fault(photo: Photo) -> ImageError | None:
        try:
            photo_pixels(photo, CHECK_PX)
        except ImageError as error:
            return error
        return None

    faults = []
    with progress("check pictures", len(photos)) as bar, ThreadPoolExecutor(WORKERS) as pool:
        for found in pool.map(fault, photos):
            faults += [found] if found else []
            bar.advance()
    if faults:
        raise InputError(
            f"{faults[0]} ({len(faults)} of {len(photos)} pictures cannot be used; "
            "promolens doctor lists them.)"
        )


def _check_place(options: TrainOptions) -> None:
    data, out = options.data.resolve(), options.out.resolve()
    folder = data if data.is_dir() else data.parent
    if out == folder or out in folder.parents:
        raise InputError(
            f"Expected a run folder apart from the photos. Received --out {options.out}, which "
            f"holds {options.data}. Choose another --out."
        )


def train(options: TrainOptions) -> TrainedRun:
    """Run `promolens train`: load, check, split, fit, and where needed fit again on everything.

    Returns:
        The finished run; its figures come from `run.holdout` where that exists.

    Raises:
        InputError: the data cannot be trained on, or `out` holds something else.
        MissingError: ImageNet weights or an extra are not installed.
    """
    photo_set = load_photo_set(options.data, options.only)
    require_trainable(photo_set)
    _check_place(options)
    check_disk(options.out.parent, NEEDED_BYTES)
    asked = {
        "recipe": options.recipe.fingerprint(),
        "dataset": dataset_fingerprint(photo_set.all_photos, photo_set.root),
        "refit": str(options.refit),
        "weights": str(options.weights or "imagenet"),
    }
    set_aside_other_run(options.out, asked, options.resume)
    with no_litter(options.out):
        return _train_in(options, photo_set)


def _train_in(options: TrainOptions, photo_set: PhotoSet) -> TrainedRun:
    """Fit once where the data has an exam of its own, twice where one must be cut out of it."""
    if not (options.out / "run.json").is_file():
        check_pictures(photo_set.all_photos)
    if photo_set.in_split("test"):
        job = make_job(options.out, options.recipe, photo_set, options.weights)
        return train_one(job, resume=options.resume)
    photos, held = hold_out(photo_set.photos, options.holdout_share, options.recipe.seed)
    holdout_set = without_held_places(replace(photo_set, photos=with_test_split(photos, held)))
    folder = options.out / "holdout" if options.refit else options.out
    run = train_one(
        make_job(folder, options.recipe, holdout_set, options.weights), resume=options.resume
    )
    if not options.refit:
        return run
    nothing = np.array([], np.intp)
    everything = replace(photo_set, photos=with_test_split(photos, nothing))
    final = make_job(options.out, options.recipe, everything, options.weights)
    return train_one(final, resume=options.resume)
