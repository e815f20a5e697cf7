"""The embedder's run folder: what training leaves for export and for galleries.

embedder.json  recipe, seconds, fingerprints, figures of the comparison where there are any
embedder.npz   the weights by variable path, the neck folded into the projection
offset.npy     float32 [width]: what a catalogue picture's embedding gets added
photos.csv     the training photos, for calibration
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from promolens_runtime.errors import InputError
from promolens_training.embedding.network import build_embedder, folded_projection, set_projection
from promolens_training.embedding.recipes import EmbeddingRecipe, embedding_recipe_from_json
from promolens_training.embedding.train import Embedder
from promolens_training.files import write_atomically, write_json
from promolens_training.runs import load_weights, save_weights

if TYPE_CHECKING:
    import keras

INFO_FILE, WEIGHTS_FILE, OFFSET_FILE = "embedder.json", "embedder.npz", "offset.npy"


@dataclass(frozen=True)
class EmbedderRun:
    """A finished run folder, read back.

    Attributes:
        recipe: of the shipped network: its neck is folded, so it is "none".
        catalogue_offset: float32 `[width]`.
        info: contents of embedder.json.
    """

    folder: Path
    recipe: EmbeddingRecipe
    catalogue_offset: npt.NDArray[np.float32]
    info: dict[str, Any]


def is_embedder_run(folder: Path) -> bool:
    """Tell whether a folder holds a finished embedder."""
    return (folder / INFO_FILE).is_file()


def without_neck(embedder: Embedder, recipe: EmbeddingRecipe) -> keras.Model:
    """Return the same function as a network whose projection includes the neck."""
    plain = build_embedder(replace(recipe, neck="none"), None)
    trained = {layer.name: layer for layer in embedder.model.layers}
    for layer in plain.layers:
        layer.set_weights(trained[layer.name].get_weights())
    set_projection(plain, folded_projection(embedder.model))
    return plain


def save_embedder(
    folder: Path, recipe: EmbeddingRecipe, embedder: Embedder, info: dict[str, Any]
) -> EmbedderRun:
    """Write the run folder; embedder.json comes last."""
    save_weights(without_neck(embedder, recipe), folder / WEIGHTS_FILE)
    offset = np.asarray(embedder.catalogue_offset, np.float32)
    write_atomically(folder / OFFSET_FILE, lambda file: np.save(file, offset, allow_pickle=False))
    write_json(folder / INFO_FILE, {**info, "recipe": recipe.to_json()})
    return open_embedder(folder)


def open_embedder(folder: Path) -> EmbedderRun:
    """Read a finished run folder.

    Raises:
        InputError: the folder is not one.
    """
    try:
        info = json.loads((folder / INFO_FILE).read_text("utf-8"))
        offset = np.load(folder / OFFSET_FILE, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"Expected a finished embedder in {folder}. Received none ({error}). "
            "Train one: promolens embed train DATA --out RUN."
        ) from error
    recipe = replace(embedding_recipe_from_json(info["recipe"]), neck="none")
    if offset.shape != (recipe.width,) or not np.isfinite(offset).all():
        raise InputError(
            f"Expected {recipe.width} finite numbers in {folder / OFFSET_FILE}. Received "
            f"{list(offset.shape)}. Train again."
        )
    return EmbedderRun(folder, recipe, offset.astype(np.float32), info)


def build_embedder_of(run: EmbedderRun) -> keras.Model:
    """Rebuild the float network with its weights; see `network.build_embedder`."""
    model = build_embedder(run.recipe, None)
    load_weights(model, run.folder / WEIGHTS_FILE)
    return model
