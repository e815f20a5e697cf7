"""The embedder: a backbone, a pooling, a projection; and its upper part, which is trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import keras

from promolens_runtime.errors import InputError
from promolens_training.embedding.pooling import make_gem
from promolens_training.embedding.recipes import LEVELS, EmbeddingRecipe
from promolens_training.embedding.whitening import Affine

PROJECTION, NECK = "projection", "neck"
POOLED = LEVELS["pooled"]


def build_embedder(
    recipe: EmbeddingRecipe, weights: Literal["imagenet"] | Path | None = "imagenet"
) -> keras.Model:
    """Build the network.

    Returns:
        A model from float32 `[n, px, px, 3]` in 0..255 RGB to `{"embedding": [n, width]}`, of any
        length: readers scale it, or a prefix of it, to length 1.
    """
    import keras
    from keras import layers

    from promolens_training.backbones.table import build_backbone

    base = build_backbone(recipe.backbone, recipe.image_px, weights)
    pooled: Any = base.output
    if recipe.pooling == "gem":
        # With power 1 it is the mean: training begins where the frozen network is.
        pooled = make_gem(power=1.0)(base.get_layer(POOLED).input)
    x: Any = layers.Dense(recipe.width, name=PROJECTION)(pooled)
    if recipe.neck == "batch_norm":
        x = layers.BatchNormalization(name=NECK, momentum=0.9, epsilon=1e-3)(x)
    return keras.Model(base.input, {"embedding": x}, name="embedder")


def upper_part(model: keras.Model, level: str) -> keras.Model:
    """Return the part of the network after a level, sharing its weights.

    Batch normalisation of the backbone keeps ImageNet's statistics (see `network.freeze`).
    """
    import keras
    from keras import layers

    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization) and layer.name != NECK:
            layer.trainable = False
    if not LEVELS[level]:
        return model
    return keras.Model(model.get_layer(LEVELS[level]).output, model.output)


def trained_variables(upper: keras.Model, frozen_to: str) -> list[Any]:
    """Return the variables that training changes: those of layers after `frozen_to`.

    Raises:
        InputError: the network has no layer of that name.
    """
    if not frozen_to:
        return list(upper.trainable_variables)
    names = [layer.name for layer in upper.layers]
    if frozen_to not in names:
        raise InputError(f"Expected a layer of the network. Received frozen_to {frozen_to!r}.")
    later = upper.layers[names.index(frozen_to) + 1 :]
    return [variable for layer in later for variable in layer.trainable_variables]


def set_projection(model: keras.Model, affine: Affine) -> None:
    """Put an affine map into the projection."""
    model.get_layer(PROJECTION).set_weights([affine.kernel, affine.bias])


def folded_projection(model: keras.Model) -> Affine:
    """Return projection and neck as one affine map."""
    import numpy as np

    kernel, bias = (np.asarray(w) for w in model.get_layer(PROJECTION).get_weights())
    names = [layer.name for layer in model.layers]
    if NECK not in names:
        return Affine(kernel, bias)
    neck: Any = model.get_layer(NECK)
    gamma, beta, mean, variance = (np.asarray(w, np.float64) for w in neck.get_weights())
    scale = gamma / np.sqrt(variance + neck.epsilon)
    return Affine(
        np.asarray(kernel * scale, np.float32),
        np.asarray((bias - mean) * scale + beta, np.float32),
    )
