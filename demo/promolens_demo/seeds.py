"""Random streams by name: the same photo, whoever draws it and in whatever order."""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return the generator that belongs to `seed` and the path of `names`.

    Two different paths give independent streams; the same path gives the same stream in every
    process (Python's own `hash` would not).
    """
    text = "\x1f".join([str(seed), *map(str, names)])
    digest = hashlib.sha256(text.encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))
