"""What a training step is fed with: cached feature maps, or pixels drawn anew for each step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from promolens_training.embedding.folds import Split
from promolens_training.embedding.look_alikes import LookAlikes
from promolens_training.embedding.pictures import ProductPictures
from promolens_training.embedding.recipes import EmbeddingRecipe
from promolens_training.embedding.sampler import Indexes, balanced_batch, rows_by_class
from promolens_training.embedding.start import training_rows
from promolens_training.embedding.views import (
    CATALOGUE,
    PASTED,
    PHOTO,
    PLAIN,
    ViewCache,
    background_photos,
    draw_view,
)
from promolens_training.pixels import Pixels, load_pixels

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Batch:
    """One step's input.

    Attributes:
        inputs: float32 `[B, ...]`, what the trained part takes.
        labels: int32 `[B]`, places in the split's `train_classes`.
        is_catalogue: bool `[B]`; teacher: float32 `[B, d]`, the frozen network's features.
    """

    inputs: Floats
    labels: npt.NDArray[np.int32]
    is_catalogue: npt.NDArray[np.bool_]
    teacher: Floats


@dataclass(frozen=True)
class Source:
    """Training rows, picked for a step and read: the same rows and step give the same batch."""

    recipe: EmbeddingRecipe
    data: ProductPictures
    split: Split
    views: ViewCache
    pixels: Pixels | None

    def _pools(self) -> list[tuple[dict[int, Indexes], int]]:
        """Return photo, catalogue and pasted rows by class, with the recipe's counts."""
        rows = training_rows(self.data, self.split, self.views)
        picture, kind = self.views.rows[rows, 0], self.views.rows[rows, 2]
        labels = self.data.picture_labels[picture]
        is_photo = picture < len(self.data.photos)
        recipe = self.recipe
        parts = (
            (is_photo & np.isin(kind, (PLAIN, PHOTO)), recipe.photos),
            (~is_photo & np.isin(kind, (PLAIN, CATALOGUE)), recipe.catalogue),
            (kind == PASTED, recipe.pasted),
        )
        pools = []
        for mask, count in parts:
            by_class = {key: rows[mask][at] for key, at in rows_by_class(labels[mask]).items()}
            pools.append((by_class, count))
        return pools

    def picker(self, look_alikes: LookAlikes | None = None) -> Callable[[int], Indexes]:
        """Return the function from a step's number to the rows of its batch."""
        pools = self._pools()

        def pick(step: int) -> Indexes:
            seed = [self.recipe.seed, step]
            classes, count = self.split.train_classes, self.recipe.classes
            return balanced_batch(pools, classes, count, seed, look_alikes)

        return pick

    def catalogue_features(self) -> tuple[Floats, npt.NDArray[np.int32]]:
        """Return the frozen network's features `[n, d]` of the catalogue pictures trained on, as
        they are, with labels as in `Batch`."""
        rows = training_rows(self.data, self.split, self.views)
        picture, kind = self.views.rows[rows, 0], self.views.rows[rows, 2]
        plain = rows[(picture >= len(self.data.photos)) & (kind == PLAIN)]
        return np.asarray(self.views.maps["pooled"][plain], np.float32), self._places(plain)

    def _places(self, rows: Indexes) -> npt.NDArray[np.int32]:
        """Return the labels of cached rows as places in the split's `train_classes`."""
        labels = self.data.picture_labels[self.views.rows[rows, 0]]
        return np.asarray(np.searchsorted(self.split.train_classes, labels), np.int32)

    def read(self, rows: Indexes, step: int) -> Batch:
        """Read, or draw anew, the pictures of a batch."""
        picture, kind = self.views.rows[rows, 0], self.views.rows[rows, 2]
        level = self.recipe.level
        if level == "pixels":
            inputs = self._draw(rows, step)
        else:
            inputs = np.asarray(self.views.maps[level][rows], np.float32)
        is_catalogue = (picture >= len(self.data.photos)) & (kind != PASTED)
        teacher = np.asarray(self.views.maps["pooled"][rows], np.float32)
        return Batch(inputs, self._places(rows), is_catalogue, teacher)

    def _draw(self, rows: Indexes, step: int) -> Floats:
        """Draw a new view of each row's picture and kind; a plain photo row becomes a view too."""
        assert self.pixels is not None
        backgrounds = background_photos(self.data)
        images = []
        for place, row in enumerate(self.views.rows[rows]):
            picture, _, kind = row
            if kind == PLAIN:
                kind = PHOTO if picture < len(self.data.photos) else CATALOGUE
            fresh = np.array([picture, 1 + step * 1024 + place, kind])
            px = self.recipe.image_px
            images.append(draw_view(self.pixels, backgrounds, fresh, px, self.recipe.seed))
        return np.stack(images).astype(np.float32)


def open_source(
    recipe: EmbeddingRecipe, data: ProductPictures, split: Split, views: ViewCache
) -> Source:
    """Make a source; pixels are decoded only where the recipe trains the whole network."""
    pixels = load_pixels(data.pictures, recipe.kept_px) if recipe.level == "pixels" else None
    return Source(recipe, data, split, views, pixels)


def class_means(rows: Floats, labels: Sequence[int] | npt.NDArray[np.int32], count: int) -> Floats:
    """Return the unit mean of the unit rows of each label 0..count - 1, float32 `[count, d]`."""
    from promolens_training.embedding.ranking import unit_rows

    sums = np.zeros((count, rows.shape[1]), np.float32)
    np.add.at(sums, np.asarray(labels), unit_rows(rows))
    return unit_rows(sums)
