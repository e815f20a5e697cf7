"""Two pictures: how alike are they, and is the same thing on them in the same arrangement?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from promolens_retrieval.local_verification import VerificationConfig, verify
from promolens_runtime.errors import MissingError

_VERIFICATION = VerificationConfig()


def cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float | None:
    """Return the cosine of two embeddings, -1..1; None where one has no length."""
    left, right = one.astype(np.float64), other.astype(np.float64)
    lengths = float(np.sqrt(left @ left) * np.sqrt(right @ right))
    if not np.isfinite(lengths) or lengths == 0:
        return None
    return max(-1.0, min(1.0, float(left @ right) / lengths))


def arrangement_json(
    one: NDArray[np.uint8] | None, other: NDArray[np.uint8] | None
) -> dict[str, Any] | None:
    """Return `models.recognition.ArrangementModel` as JSON of two grey pictures, uint8 `[h, w]`.

    None where OpenCV is not installed. Few agreeing corners say nothing, many say "a copy".
    """
    if one is None or other is None:
        return None
    try:
        found = verify(one, other, _VERIFICATION)
    except MissingError:
        return None
    return {
        "inliers": found.inliers,
        "pairs": found.pairs,
        "same": found.inliers >= _VERIFICATION.least_inliers,
    }
