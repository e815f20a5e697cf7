"""A process that changes and searches an index until it is killed, and says what it has done.

    python vector_writer.py URL FOLDER SEED LOG

Each line of LOG is written after the change that it tells was acknowledged: `put IMAGE SEED` or
`cut IMAGE`; a line `try ...` before it tells what was begun.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import numpy as np

from promolens_catalog.database import connect_database, open_database
from promolens_retrieval.entries import Entry, VectorKey
from promolens_retrieval.faiss_index import FaissConfig, FaissIndex
from promolens_retrieval.index import VectorIndex
from promolens_retrieval.pgvector_index import PgVectorIndex
from promolens_retrieval.spaces import Space

SPACE = Space("kills", "model-a", 16)
IMAGES = 60
A_CHANGE = 5


def vector_of(seed: int) -> np.ndarray:
    """Return the vector that a seed stands for, float32 `[16]`."""
    return np.random.default_rng(seed).standard_normal(16).astype(np.float32)


def opened(url: str, folder: str) -> VectorIndex:
    """Open the index: pgvector where no folder is given."""
    if not folder:
        return PgVectorIndex(connect_database(url), SPACE, ann_threshold=20)
    config = FaissConfig(folder=Path(folder), newer_limit=6, poll_s=0.0)
    return FaissIndex(open_database(url), SPACE, config)


def main() -> None:
    """Change something, say so, search, build now and then; for ever."""
    url, folder, seed, log = sys.argv[1:]
    index, rng = opened(url, folder), random.Random(seed)
    with Path(log).open("ab") as stream:

        def say(line: str) -> None:
            stream.write(f"{line}\n".encode())
            stream.flush()
            os.fsync(stream.fileno())

        say("ready")
        while True:
            images = rng.sample(range(IMAGES), A_CHANGE)
            if rng.random() < 0.7:
                seeds = [rng.randrange(1 << 30) for _ in images]
                lines = [f"put {i} {s}" for i, s in zip(images, seeds, strict=True)]
                say("try " + ";".join(lines))
                entries = [Entry(f"image-{i:03d}", "item", 0, {"seed": (str(s),)})
                           for i, s in zip(images, seeds, strict=True)]  # fmt: skip
                index.upsert(entries, np.stack([vector_of(s) for s in seeds]), model_id="model-a")
            else:
                lines = [f"cut {i}" for i in images]
                say("try " + ";".join(lines))
                index.delete([VectorKey(f"image-{i:03d}") for i in images])
            say("did " + ";".join(lines))
            index.search(vector_of(rng.randrange(1000)), 5)
            if rng.random() < 0.3:
                index.optimize()


if __name__ == "__main__":
    main()
