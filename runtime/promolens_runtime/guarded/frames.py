"""How parent and child talk: frames of one kind, a length and bytes, over two pipes.

    parent -> child   S settings (JSON), once; P picture: one byte of wishes, then the file's bytes
    child -> parent   R ready; A answer: length of JSON, JSON, tensor, grey; E refusal (UTF-8)

The parent believes nothing of what comes back: lengths are bounded before anything is read, and
`decoded` checks shapes and texts. A decoder that was taken over can lie about its picture and no
more.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

SETTINGS, READY, PICTURE, ANSWER, REFUSAL = b"S", b"R", b"P", b"A", b"E"
HEADER = struct.Struct("!cI")
_JSON_BYTES = struct.Struct("!I")
WHOLE, WITH_GREY = 1, 2
"""Wishes: decode every pixel of a JPEG; send a small grey picture too."""
GREY_SIDE_PX = 480
MAX_TEXT_CHARACTERS = 500
MAX_JSON_BYTES = 4_096


@dataclass(frozen=True)
class Decoded:
    """What is left of a picture.

    Attributes:
        tensor: uint8 `[h, w, 3]`, by the bundle's own preprocessing.
        problem: what makes it no good to match (`quality.quality_problem`), or None.
        grey: uint8 `[h, w]`, the whole picture with its longer side at 480 px or less, if asked.
    """

    tensor: NDArray[np.uint8]
    problem: str | None
    grey: NDArray[np.uint8] | None


def frame(kind: bytes, payload: bytes) -> bytes:
    """Return one frame."""
    return HEADER.pack(kind, len(payload)) + payload


def read_frame(source: BinaryIO, max_bytes: int) -> tuple[bytes, bytes] | None:
    """Return kind and payload of the next frame; None at the end. Raises ValueError."""
    head = source.read(HEADER.size)
    if not head:
        return None
    kind, size = HEADER.unpack(head)
    if size > max_bytes:
        raise ValueError(f"a frame of {size} bytes, at most {max_bytes} are taken")
    payload = source.read(size)
    if len(payload) != size:
        return None
    return kind, payload


def answer(tensor: NDArray[np.uint8], problem: str | None, grey: NDArray[np.uint8] | None) -> bytes:
    """Return the payload of an answer."""
    meta: dict[str, Any] = {
        "tensor": list(tensor.shape),
        "problem": problem,
        "grey": None if grey is None else list(grey.shape),
    }
    said = json.dumps(meta).encode()
    pixels = tensor.tobytes() + (b"" if grey is None else grey.tobytes())
    return _JSON_BYTES.pack(len(said)) + said + pixels


def decoded(payload: bytes, side_px: int) -> Decoded:
    """Read the payload of an answer, whose tensor must be `[side_px, side_px, 3]`.

    Raises ValueError where it is anything else.
    """
    if len(payload) < _JSON_BYTES.size:
        raise ValueError("an answer without its head")
    (size,) = _JSON_BYTES.unpack_from(payload)
    if size > MAX_JSON_BYTES:
        raise ValueError("an answer with too long a head")
    start = _JSON_BYTES.size + size
    try:
        meta = json.loads(payload[_JSON_BYTES.size : start])
    except RecursionError as error:
        raise ValueError("an answer with too deep a head") from error
    if not isinstance(meta, dict) or meta.get("tensor") != [side_px, side_px, 3]:
        raise ValueError("an answer with another tensor")
    grey_shape = _grey_shape(meta)
    end = start + side_px * side_px * 3
    if len(payload) != end + grey_shape[0] * grey_shape[1]:
        raise ValueError("an answer of another length")
    tensor = np.frombuffer(payload, np.uint8, end - start, start).reshape(side_px, side_px, 3)
    problem = meta.get("problem")
    return Decoded(
        tensor,
        None if problem is None else plain_text(str(problem)),
        np.frombuffer(payload, np.uint8, -1, end).reshape(grey_shape) if any(grey_shape) else None,
    )


def max_answer_bytes(side_px: int) -> int:
    """Return the most bytes that an answer may have."""
    return _JSON_BYTES.size + MAX_JSON_BYTES + 3 * side_px * side_px + GREY_SIDE_PX**2


def plain_text(text: str) -> str:
    """Return a text of the child as it may be shown: one line, printable, short."""
    return "".join(one if one.isprintable() else "?" for one in text[:MAX_TEXT_CHARACTERS])


def _grey_shape(meta: Mapping[str, Any]) -> tuple[int, int]:
    shape = meta.get("grey")
    if shape is None:
        return 0, 0
    if not (
        isinstance(shape, list)
        and len(shape) == 2
        and all(type(side) is int and 1 <= side <= GREY_SIDE_PX for side in shape)
    ):
        raise ValueError("an answer with another grey picture")
    return shape[0], shape[1]
