"""The decoding process: `python -m promolens_runtime.guarded.child`, started by `decoder`.

It reads frames from standard input and answers on standard output; see `frames`.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from promolens_runtime.errors import ImageError, PromolensError
from promolens_runtime.guarded import frames
from promolens_runtime.guarded.confinement import Confinement, allow_cpu, confine
from promolens_runtime.images import ImageLimits, open_rgb
from promolens_runtime.preprocess import Preprocessing, preprocess_image
from promolens_runtime.quality import image_problem

_SETTINGS_BYTES = 10_000


def main() -> int:
    """Answer until standard input ends. Return the exit status."""
    source = sys.stdin.buffer
    # What a library prints must not come between the frames.
    target = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    first = frames.read_frame(source, _SETTINGS_BYTES)
    if first is None or first[0] != frames.SETTINGS:
        return 2
    settings: dict[str, Any] = json.loads(first[1])
    confinement = Confinement(**settings["confinement"])
    spec = Preprocessing.from_json(settings["preprocessing"])
    limits = ImageLimits(**settings["limits"])
    confine(confinement)
    _send(target, frames.READY, b"")
    while (asked := frames.read_frame(source, limits.max_bytes + 1)) is not None:
        allow_cpu(confinement.cpu_s)
        kind, payload = _answer(asked[1], spec, limits)
        _send(target, kind, payload)
    return 0


def _answer(asked: bytes, spec: Preprocessing, limits: ImageLimits) -> tuple[bytes, bytes]:
    wishes, data = asked[0], asked[1:]
    min_short_px = None if wishes & frames.WHOLE else spec.min_short_px
    try:
        image = open_rgb(data, min_short_px=min_short_px, limits=limits)
        tensor = preprocess_image(image, spec)
        grey = _small_grey(image) if wishes & frames.WITH_GREY else None
        return frames.ANSWER, frames.answer(tensor, image_problem(image), grey)
    except MemoryError:
        return frames.REFUSAL, _too_much().encode()
    except ImageError as error:
        short = isinstance(error.__cause__, MemoryError)
        return frames.REFUSAL, (_too_much() if short else str(error)).encode("utf-8", "replace")
    except PromolensError as error:
        return frames.REFUSAL, str(error).encode("utf-8", "replace")


def _small_grey(image: Image.Image) -> NDArray[np.uint8]:
    """Return the brightness, uint8 `[h, w]`, with the longer side at `GREY_SIDE_PX` at most."""
    grey = image.convert("L")
    factor = frames.GREY_SIDE_PX / max(grey.size)
    if factor < 1:
        size = max(1, round(grey.width * factor)), max(1, round(grey.height * factor))
        grey = grey.resize(size, Image.Resampling.BOX)
    return np.asarray(grey)


def _too_much() -> str:
    return (
        "Expected a picture that can be decoded in the memory allowed. Received one that needs "
        "more. Scale it down."
    )


def _send(target: BinaryIO, kind: bytes, payload: bytes) -> None:
    target.write(frames.frame(kind, payload))
    target.flush()


if __name__ == "__main__":
    sys.exit(main())
