"""Linear maps of embeddings found without a gradient, from training pictures only.

Jégou & Chum 2012, "Negative evidences and co-occurences in image retrieval", for PCA whitening;
Mikolajczyk & Matas 2007 and Radenović et al. 2018 (arXiv 1711.02512) for the learned one, which
whitens what varies *within* a product and then keeps the directions in which products differ.
Both are affine, so they are folded into the last layer, and the exported file includes them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from promolens_runtime.errors import InputError

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Affine:
    """x -> x @ kernel + bias: kernel float32 `[d, width]`, bias float32 `[width]`."""

    kernel: Floats
    bias: Floats

    def __call__(self, rows: Floats) -> Floats:
        """Return `[n, width]` for rows `[n, d]`."""
        return np.asarray(rows @ self.kernel + self.bias, np.float32)

    def after(self, first: Affine) -> Affine:
        """Return the one map that does `first` and then this."""
        kernel = first.kernel.astype(np.float64) @ self.kernel
        bias = first.bias.astype(np.float64) @ self.kernel + self.bias
        return Affine(np.asarray(kernel, np.float32), np.asarray(bias, np.float32))


def _check(rows: Floats, width: int, shrink: float) -> None:
    if rows.ndim != 2 or len(rows) < 2 or not np.isfinite(rows).all():
        raise InputError(
            f"Expected at least 2 finite embeddings [n, d]. Received {list(rows.shape)}."
        )
    if not 1 <= width <= rows.shape[1] or shrink < 0:
        raise InputError(
            f"Expected a width of 1 to {rows.shape[1]} and shrink >= 0. Received {width}, {shrink}."
        )


def _affine(mean: Doubles, kernel: Doubles) -> Affine:
    return Affine(np.asarray(kernel, np.float32), np.asarray(-mean @ kernel, np.float32))


def _inverse_root(covariance: Doubles, shrink: float) -> Doubles:
    """Return (C + shrink * mean variance * I)^(-1/2), symmetric."""
    size = len(covariance)
    ridge = shrink * np.trace(covariance) / size + 1e-12
    values, vectors = np.linalg.eigh(covariance + ridge * np.eye(size))
    root: Doubles = (vectors / np.sqrt(values)) @ vectors.T
    return root


def pca_whitening(rows: Floats, width: int, shrink: float = 0.1) -> Affine:
    """Return the map to the `width` strongest principal directions, each scaled to variance 1.

    Args:
        rows: training embeddings float32 `[n, d]`.
        shrink: share of the mean variance that is added to every variance, so that weak directions
            are not blown up; 0 whitens exactly.

    Raises:
        InputError: fewer than 2 rows, not finite, or an impossible width.
    """
    _check(rows, width, shrink)
    double = rows.astype(np.float64)
    mean = double.mean(axis=0)
    covariance = np.cov(double - mean, rowvar=False, bias=True)
    values, vectors = np.linalg.eigh(np.atleast_2d(covariance))
    order = np.argsort(values)[::-1][:width]
    ridge = shrink * values.mean() + 1e-12
    return _affine(mean, vectors[:, order] / np.sqrt(values[order] + ridge))


def discriminant_whitening(
    rows: Floats, labels: npt.NDArray[np.int64], width: int, shrink: float = 1.0
) -> Affine:
    """Return the learned whitening: within-class scatter becomes round, then PCA to `width`.

    Args:
        rows: training embeddings float32 `[n, d]`, each domain centred by the caller if wanted.
        labels: int64 `[n]`; at least one class has two rows.
        shrink: as in `pca_whitening`, of the within-class variance.

    Raises:
        InputError: as `pca_whitening`, or no class has two rows.
    """
    _check(rows, width, shrink)
    double = rows.astype(np.float64)
    mean = double.mean(axis=0)
    found, place = np.unique(labels, return_inverse=True)
    if len(found) == len(labels):
        raise InputError("Expected two pictures of a class at least. Received one a class.")
    centres = np.stack([double[place == number].mean(axis=0) for number in range(len(found))])
    within = double - centres[place]
    root = _inverse_root(within.T @ within / len(within), shrink)
    turned = (double - mean) @ root
    values, vectors = np.linalg.eigh(turned.T @ turned)
    order = np.argsort(values)[::-1][:width]
    return _affine(mean, root @ vectors[:, order])
