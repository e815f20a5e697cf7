"""The head of a recogniser that was taught background: cosines in a space made for telling apart.

A softmax's largest logit says which class is likelier than the others, not how alike a picture is
to it. Distances between embeddings say that better (Lee et al. 2018, arXiv 1807.03888). Here they
are part of the network: the embedding is mapped to the directions in which classes differ, what
varies within a class made round (linear discriminant analysis, Fisher 1936), and a logit is the
cosine to the class's mean there. Fitted in seconds after training, without a gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from promolens_training.embedding.whitening import Affine, discriminant_whitening

Floats = npt.NDArray[np.float32]
MAX_WIDTH = 128
SHRINK = 0.1
# A cosine of 1 as a logit: softmax needs logits some units apart. The temperature is fitted later.
SCALE = 16.0


@dataclass(frozen=True)
class DiscriminantHead:
    """Attributes:
    space: from embeddings to the space of cosines.
    directions: float32 `[width, answers]`, each class's mean there, of length `SCALE`.
    """

    space: Affine
    directions: Floats

    @property
    def width(self) -> int:
        """Dimensions of the space."""
        return int(self.directions.shape[0])


def head_width(taught: int) -> int:
    """Return the dimensions for so many classes: k classes differ in k - 1 directions."""
    return min(MAX_WIDTH, taught - 1)


def fit_discriminant(
    features: Floats, labels: npt.NDArray[np.int64], answers: int
) -> DiscriminantHead:
    """Fit the head.

    Args:
        features: embeddings of the training pictures float32 `[n, d]`.
        labels: int64 `[n]`; classes from `answers` on are background.
        answers: how many classes are answered.
    """
    width = head_width(int(labels.max()) + 1)
    space = discriminant_whitening(features, labels, width, SHRINK)
    rows = space(features)
    # The mean lengths are about 1: quantised arithmetic likes that.
    size = float(np.linalg.norm(rows, axis=1).mean())
    space, rows = Affine(space.kernel / size, space.bias / size), rows / size
    means = np.stack([rows[labels == label].mean(axis=0) for label in range(answers)], axis=1)
    directions = SCALE * means / np.maximum(np.linalg.norm(means, axis=0), 1e-12)
    return DiscriminantHead(space, np.asarray(directions, np.float32))
