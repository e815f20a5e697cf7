"""Measures a bundle's embedding as galleries use it: photos against catalogue pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promolens_retrieval.evaluation.retrieval import Pictures, RetrievalFigures, measure
from promolens_runtime.embedder import Embedder
from promolens_runtime.errors import InputError
from promolens_runtime.gallery.vectors import unit
from promolens_training.data.photos import Photo, PhotoSet
from promolens_training.data.reading import PICTURE_SUFFIXES
from promolens_training.evaluation.bundle import choose_split
from promolens_training.evaluation.leaks import LeakAudit, audit, content_of
from promolens_training.evaluation.predictions import Done, photo_pixels

# Given what is done and how many of it, shows the progress.
ShowProgress = Callable[[str, int], AbstractContextManager[Done]]
GALLERY_FLAG = "--gallery"


@dataclass(frozen=True)
class RetrievalEvaluation:
    """A bundle's retrieval figures.

    Attributes:
        bundle_id, bundle_version, model_sha256, dimensions: of what embedded the pictures.
        split: which photos asked.
        n_distractors: gallery pictures without a label.
        figures: what was measured.
        audit: what queries have in common with training.
    """

    bundle_id: str
    bundle_version: int
    model_sha256: str
    dimensions: int
    split: str
    n_distractors: int
    figures: RetrievalFigures
    audit: LeakAudit

    def to_json(self) -> dict[str, Any]:
        """Return every figure ready for JSON."""
        return {
            "bundle_id": self.bundle_id,
            "bundle_version": self.bundle_version,
            "model_sha256": self.model_sha256,
            "dimensions": self.dimensions,
            "split": self.split,
            "n_distractors": self.n_distractors,
            **self.figures.to_json(),
            "leaks": self.audit.to_json(),
        }


def choose_queries(photo_set: PhotoSet, split: str | None) -> tuple[str, tuple[Photo, ...]]:
    """Return a name and the photos that ask: those marked `is_query`, else those of a split.

    Raises:
        InputError: there is none.
    """
    marked = tuple(photo for photo in photo_set.photos if photo.is_query)
    if marked and split is None:
        return "is_query", marked
    name, photos = choose_split(photo_set, split)
    return name, tuple(photo for photo in photos if not photo.is_gallery)


def choose_gallery(photo_set: PhotoSet, folder: Path | None) -> tuple[Photo, ...]:
    """Return the gallery: pictures of `folder`, or the photos marked `is_gallery`.

    A picture of the folder shows the class that its name, without the ending, or its folder says.

    Raises:
        InputError: there is none, or a picture is of no class of the data.
    """
    if folder is None:
        marked = tuple(photo for photo in photo_set.photos if photo.is_gallery)
        if not marked:
            raise InputError(
                f"Expected gallery pictures in {photo_set.root}. Received no photo with is_gallery "
                f"in its list. Mark them, or give a folder with {GALLERY_FLAG}."
            )
        return marked
    names = {one.name for one in photo_set.classes}
    paths = sorted(
        path
        for path in (folder.rglob("*") if folder.is_dir() else ())
        if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file()
    )
    photos = []
    for path in paths:
        label = next((name for name in (path.stem, path.parent.name) if name in names), None)
        if label is None:
            raise InputError(
                f"Expected pictures named after a class, or in a folder of that name, in {folder}. "
                f"Received {path.name!r}. Rename it or take it away."
            )
        photos.append(Photo(path, label, is_gallery=True))
    if not photos:
        raise InputError(
            f"Expected a folder with gallery pictures. Received {folder}, which holds none. "
            "Choose another."
        )
    return tuple(photos)


def embed(
    embedder: Embedder,
    photos: Sequence[Photo],
    done: Done = lambda count: None,
    *,
    catalogue: bool = False,
) -> NDArray[np.float32]:
    """Return the unit embeddings of photos, float32 `[n, d]`; a photo's box is cut out first.

    Args:
        catalogue: whether they are a gallery's pictures, which get the catalogue offset.

    Raises ImageError for a photo that cannot be decoded, InputError for one without an embedding.
    """
    work = embedder.embed_catalogue if catalogue else embedder.embed
    vectors = []
    for photo in photos:
        pixels = photo.path if photo.box is None else photo_pixels(photo)
        vectors.append(unit(work(pixels)))
        done(1)
    return np.stack(vectors)


def evaluate_retrieval(
    embedder: Embedder,
    photo_set: PhotoSet,
    show_progress: ShowProgress,
    *,
    split: str | None = None,
    gallery_folder: Path | None = None,
    distractors: Sequence[Photo] = (),
    leak_flag: str | None = None,
) -> RetrievalEvaluation:
    """Ask a gallery for every query photo, and measure the answers.

    Args:
        split: which photos ask (default: those marked as queries, else the test split).
        gallery_folder: pictures named after their classes; default: those marked in the data.
        distractors: pictures of other things, which only stand in the way.
        leak_flag: the option named in the error about leaking queries; None reports all the same.

    Raises:
        InputError: no query, no gallery, or a picture that cannot be used.
        GateError: training has seen the queries.
    """
    name, queries = choose_queries(photo_set, split)
    gallery = choose_gallery(photo_set, gallery_folder)
    training = photo_set.in_split("train") if name != "train" else ()
    calibration = frozenset(image.sha256 for image in embedder.manifest.calibration_images)
    with show_progress("Looking for leaks", len(queries) + len(training)) as done:
        found = audit(queries, gallery, training, calibration, done)
    if leak_flag is not None:
        found.require_clean(leak_flag)
    with show_progress("Embedding", len(queries) + len(gallery) + len(distractors)) as done:
        asked = _pictures(queries, embed(embedder, queries, done))
        shown = (*gallery, *distractors)
        held = _pictures(shown, embed(embedder, shown, done, catalogue=True))
    return RetrievalEvaluation(
        bundle_id=embedder.manifest.bundle_id,
        bundle_version=embedder.manifest.version,
        model_sha256=embedder.model_sha256,
        dimensions=embedder.dimensions,
        split=name,
        n_distractors=len(distractors),
        figures=measure(asked, held),
        audit=found,
    )


def _pictures(photos: Sequence[Photo], vectors: NDArray[np.float32]) -> Pictures:
    return Pictures(
        vectors,
        tuple(photo.label for photo in photos),
        tuple(photo.source_id for photo in photos),
        tuple(content_of(photo) for photo in photos),
    )
