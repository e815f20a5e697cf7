"""Takes off what int8 does to an embedder in the same way on every picture.

Quantised activations of the backbone are not only noisy: their means shift and their slopes shrink
(Nagel et al. 2019, arXiv 1906.04721, correct the shift). The last layer is affine, so the best
affine answer to both is folded into it: the file keeps its size, its operators and its speed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from promolens_training.embedding.network import PROJECTION
from promolens_training.embedding.recipes import EmbeddingRecipe
from promolens_training.embedding.runs import INFO_FILE, OFFSET_FILE, WEIGHTS_FILE, EmbedderRun
from promolens_training.embedding.whitening import Affine
from promolens_training.files import write_arrays, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator

Floats = NDArray[np.float32]
KERNEL, BIAS = f"{PROJECTION}/kernel", f"{PROJECTION}/bias"
# In units of the features' mean variance; the best of 0.3, 1, 3, 10 and 30 in a four-fold
# cross-validation on the pictures that correct.
RIDGE = 3.0


def corrected_projection(
    wanted: Floats, quantised: Floats, projection: Affine, ridge: float = RIDGE
) -> Affine:
    """Return the projection that answers on quantised features what the old one does on float ones.

    Least squares, with a ridge towards the old projection: where few pictures say otherwise, it
    stays.

    Args:
        wanted, quantised: pooled features of the same pictures by the float and by the int8
            network, float32 `[n, d]`.
        projection: of the float network, from `[d]` to `[width]`.
        ridge: strength, in units of the mean variance of a feature.
    """
    kernel = projection.kernel.astype(np.float64)
    mean, target = quantised.mean(axis=0, dtype=np.float64), wanted.mean(axis=0, dtype=np.float64)
    rows = quantised - mean
    missing = (wanted - target - rows) @ kernel
    covariance = rows.T @ rows / len(rows)
    strength = ridge * np.trace(covariance) / len(covariance) + 1e-12
    change = np.linalg.solve(
        covariance + strength * np.eye(len(covariance)), rows.T @ missing / len(rows)
    )
    bias = projection.bias + target @ kernel - mean @ (kernel + change)
    return Affine(np.asarray(kernel + change, np.float32), np.asarray(bias, np.float32))


def projection_of(run: EmbedderRun) -> Affine:
    """Return the run's projection."""
    weights = _weights(run)
    return Affine(weights[KERNEL], weights[BIAS])


@contextmanager
def run_with(run: EmbedderRun, projection: Affine) -> Iterator[Path]:
    """Give a run folder that differs in its projection alone; it is gone afterwards."""
    width = projection.kernel.shape[1]
    recipe: EmbeddingRecipe = replace(run.recipe, width=width, prefixes=(width,))
    weights = {**_weights(run), KERNEL: projection.kernel, BIAS: projection.bias}
    with tempfile.TemporaryDirectory(prefix="promolens-embedder-") as name:
        folder = Path(name)
        write_arrays(folder / WEIGHTS_FILE, weights)
        np.save(folder / OFFSET_FILE, np.zeros(width, np.float32), allow_pickle=False)
        write_json(folder / INFO_FILE, {"recipe": recipe.to_json()})
        yield folder


def see_through(projection: Affine) -> Affine:
    """Return the projection that lets the features through as they are.

    Its weights are 0 and 1, which int8 holds exactly, and its output has the range of its input: so
    the int8 file's answers are the int8 network's features.
    """
    size = len(projection.kernel)
    return Affine(np.eye(size, dtype=np.float32), np.zeros(size, np.float32))


def corrected(run: EmbedderRun, features: Callable[[Path], tuple[Floats, Floats]]) -> Affine:
    """Return the run's projection, corrected for int8.

    Args:
        features: gives float and int8 answers, `[n, d]` each, of a run folder on some pictures.
    """
    projection = projection_of(run)
    with run_with(run, see_through(projection)) as folder:
        wanted, quantised = features(folder)
    return corrected_projection(wanted, quantised, projection)


def _weights(run: EmbedderRun) -> dict[str, Floats]:
    with np.load(run.folder / WEIGHTS_FILE, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
