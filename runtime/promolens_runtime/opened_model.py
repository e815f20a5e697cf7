"""One model of a verified bundle, opened, checked on its golden vectors and ready to run."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from promolens_runtime.bundle import Bundle
from promolens_runtime.errors import BundleError
from promolens_runtime.golden import read_golden_npz
from promolens_runtime.images import open_rgb
from promolens_runtime.manifest import ModelEntry
from promolens_runtime.model_file import (
    Network,
    Tensors,
    golden_problems,
    input_problems,
    tensor_problems,
)
from promolens_runtime.preprocess import Preprocessing, preprocess, preprocess_image

Image = Path | bytes | NDArray[np.uint8]


class OpenedModel:
    """A model that takes one picture. Threads may share it; they take turns."""

    def __init__(self, bundle: Bundle, entry: ModelEntry, *, num_threads: int = 2) -> None:
        """Open the model of `entry` and check it on its golden vectors.

        Raises BundleError when the model is not what the manifest says or computes otherwise here.
        """
        manifest = bundle.manifest
        self._input = entry.inputs[0].name
        self._network = Network(bundle.files[entry.file], entry, num_threads=num_threads)
        self._turn = threading.Lock()
        problems = input_problems(entry, manifest.preprocessing)
        problems += tensor_problems(self._network, entry)
        if not problems:
            golden = read_golden_npz(bundle.files[entry.golden_file])
            problems += golden_problems(self._network.run, entry, golden, manifest.golden)
        if problems:
            raise BundleError(problems[0])

    def run(self, tensor: NDArray[np.uint8]) -> Tensors:
        """Return every output by name, without the batch axis, for uint8 `[h, w, 3]`."""
        with self._turn:
            answer = self._network.run({self._input: tensor[None]})
        return {name: value[0] for name, value in answer.items()}


def picture_tensor(image: Image, spec: Preprocessing) -> NDArray[np.uint8]:
    """Return the input that the manifest's preprocessing makes of a picture, uint8 `[h, w, 3]`.

    `image` is a file, the bytes of one, or upright uint8 RGB pixels [h, w, 3].
    Raises ImageError when it is no picture within the limits.
    """
    if isinstance(image, np.ndarray):
        return preprocess(image, spec)
    return preprocess_image(open_rgb(image, min_short_px=spec.min_short_px), spec)
