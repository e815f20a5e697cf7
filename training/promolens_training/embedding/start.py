"""Where training begins: domain means and a whitening, from training pictures only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from promolens_training.embedding.folds import Split
from promolens_training.embedding.pictures import ProductPictures
from promolens_training.embedding.recipes import EmbeddingRecipe
from promolens_training.embedding.views import PHOTO, PLAIN, ViewCache
from promolens_training.embedding.whitening import Affine, discriminant_whitening, pca_whitening
from promolens_training.files import write_arrays

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Start:
    """The projection, and what a catalogue picture's embedding gets added.

    Attributes:
        projection: from pooled features to embeddings, centred on photos.
        catalogue_offset: float32 `[width]`: moves catalogue pictures' mean onto the photos' mean.
    """

    projection: Affine
    catalogue_offset: Floats


def training_rows(data: ProductPictures, split: Split, views: ViewCache) -> npt.NDArray[np.int64]:
    """Return the cached rows of pictures that the split trains on, ascending."""
    usable = np.zeros(len(data.pictures), bool)
    usable[split.train_photos] = True
    usable[len(data.photos) :] = np.isin(data.catalogue_labels, split.train_classes)
    return np.flatnonzero(usable[views.rows[:, 0]])


def find_start(
    recipe: EmbeddingRecipe, data: ProductPictures, split: Split, views: ViewCache
) -> Start:
    """Find where the recipe begins, on the pooled features of the split's training pictures.

    Means are over target classes alone where auxiliary ones exist: fruit on a pile says little
    about where photos of cartons lie.
    """
    rows = training_rows(data, split, views)
    picture, kind = views.rows[rows, 0], views.rows[rows, 2]
    features = np.asarray(views.maps["pooled"][rows], np.float32)
    labels = data.picture_labels[picture]
    target = data.is_target[labels]
    is_photo = picture < len(data.photos)
    photo_mean = features[target & is_photo & (kind == PLAIN)].mean(axis=0)
    shop_mean = features[target & ~is_photo & (kind == PLAIN)].mean(axis=0)
    if recipe.start == "random":
        return _random_start(recipe, photo_mean, shop_mean)
    fitted = target & is_photo & ((kind == PLAIN) | (kind == PHOTO))
    if recipe.start == "pca":
        affine = pca_whitening(features[fitted], recipe.width, recipe.shrink)
    else:
        affine = discriminant_whitening(
            features[fitted], labels[fitted], recipe.width, recipe.shrink
        )
    centred = Affine(affine.kernel, np.asarray(-photo_mean @ affine.kernel, np.float32))
    return _scaled(centred, (photo_mean - shop_mean) @ affine.kernel, features[fitted])


def kept_start(
    recipe: EmbeddingRecipe,
    data: ProductPictures,
    split: Split,
    views: ViewCache,
    folder: Path | None,
) -> Start:
    """As `find_start`, from `folder` where an earlier recipe of the same start left it."""
    if folder is None or recipe.start == "random":
        return find_start(recipe, data, split, views)
    path = folder / f"{split.name}-{recipe.start}-{recipe.width}-{recipe.shrink}.npz"
    if not path.is_file():
        found = find_start(recipe, data, split, views)
        kernel, bias = found.projection.kernel, found.projection.bias
        offset = found.catalogue_offset
        write_arrays(path, {"kernel": kernel, "bias": bias, "catalogue_offset": offset})
    with np.load(path, allow_pickle=False) as kept:
        return Start(Affine(kept["kernel"], kept["bias"]), kept["catalogue_offset"])


def _scaled(affine: Affine, offset: Floats, features: Floats) -> Start:
    """Scale so that the mean length is 1: learning rates then mean the same for every start."""
    size = float(np.linalg.norm(affine(features), axis=1).mean())
    scaled = Affine(affine.kernel / size, affine.bias / size)
    return Start(scaled, np.asarray(offset / size, np.float32))


def _random_start(recipe: EmbeddingRecipe, photo_mean: Floats, shop_mean: Floats) -> Start:
    rng = np.random.default_rng(recipe.seed)
    kernel = rng.standard_normal((len(photo_mean), recipe.width)) / np.sqrt(len(photo_mean))
    kernel = np.asarray(kernel, np.float32)
    bias = np.asarray(-photo_mean @ kernel, np.float32)
    offset = np.asarray((photo_mean - shop_mean) @ kernel, np.float32)
    return Start(Affine(kernel, bias), offset)
