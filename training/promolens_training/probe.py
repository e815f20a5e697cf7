"""The linear probe: an L2-regularised softmax on the frozen network's features (the card's recipe).

It costs seconds, because features are computed once. It is the recipe `card`, and a possible start
of fine-tuning (LP-FT, Kumar et al. 2022, arXiv 2202.10054), which the ablation advises against.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import keras

from promolens_training.forward import forward
from promolens_training.progress import progress

Floats = npt.NDArray[np.float32]


def embed(model: keras.Model, pixels: npt.NDArray[np.uint8]) -> Floats:
    """Return the embeddings float32 `[n, d]` of uint8 pictures `[n, px, px, 3]`."""
    with progress("features", len(pixels)) as bar:
        return forward(model, pixels, "embedding", lambda count: bar.advance(count))


def fit_probe(
    features: Floats, labels: npt.NDArray[np.int64], class_count: int, c: float, seed: int
) -> tuple[Floats, Floats]:
    """Fit the softmax head on features.

    Args:
        features: float32 `[n, d]`.
        labels: int64 `[n]` in 0..class_count - 1; every class occurs.
        c: inverse strength of the L2 penalty.

    Returns:
        Kernel float32 `[d, class_count]` and bias float32 `[class_count]`.
    """
    from sklearn.linear_model import LogisticRegression

    mean = features.mean(axis=0)
    scale = features.std() + 1e-6
    fit: Any = LogisticRegression(C=c, max_iter=300, random_state=seed)
    fit.fit((features - mean) / scale, labels)
    kernel, bias = fit.coef_, fit.intercept_
    if class_count == 2:  # scikit-learn keeps one row for two classes
        kernel = np.concatenate([-kernel / 2, kernel / 2])
        bias = np.concatenate([-bias / 2, bias / 2])
    kernel = kernel / scale
    return (
        np.ascontiguousarray(kernel.T, dtype=np.float32),
        np.asarray(bias - kernel @ mean, np.float32),
    )
