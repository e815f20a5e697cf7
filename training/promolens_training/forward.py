"""Run a float network over many pictures in equal batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import keras

BATCH = 32


def forward(
    model: keras.Model,
    pixels: npt.NDArray[np.uint8],
    output: str,
    done: Callable[[int], object] = lambda _: None,
) -> npt.NDArray[np.float32]:
    """Return one named output for uint8 pictures `[n, px, px, 3]`, float32 `[n, d]`.

    `done(k)` is called after each batch of k pictures.
    """
    network: Any = model
    answers = []
    for start in range(0, len(pixels), BATCH):
        batch = pixels[start : start + BATCH]
        # Batches of one size: another would trace the network once more.
        padded = np.concatenate([batch, np.repeat(batch[-1:], BATCH - len(batch), axis=0)])
        answer = network.predict_on_batch(padded.astype(np.float32))[output]
        answers.append(np.asarray(answer, np.float32)[: len(batch)])
        done(len(batch))
    return np.concatenate(answers)
