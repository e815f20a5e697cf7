"""The array types of this package, and the two functions that turn logits into probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]


def log_softmax(logits: Floats, temperature: float = 1.0) -> NDArray[np.float64]:
    """Return the log probabilities float64 `[n, c]` of logits `[n, c]` divided by `temperature`."""
    scaled = np.asarray(logits, np.float64) / temperature
    shifted = scaled - scaled.max(axis=1, keepdims=True)
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def softmax(logits: Floats, temperature: float = 1.0) -> NDArray[np.float64]:
    """Return the probabilities float64 `[n, c]` of logits `[n, c]` divided by `temperature`."""
    result: NDArray[np.float64] = np.exp(log_softmax(logits, temperature))
    return result
