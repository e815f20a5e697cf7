"""Small datasets on disk for tests of loading, splitting and the doctor."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int, side_px: int = 96) -> Image.Image:
    """Return a picture with a large-scale pattern of its own and some grain."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8))
    smooth = np.asarray(coarse.resize((side_px, side_px), Image.Resampling.BICUBIC), np.int16)
    grain = rng.integers(-6, 7, smooth.shape, np.int16)
    return Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8))


def save(path: Path, seed: int, **options: int) -> Path:
    """Save `picture(seed)` in the format of the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed).save(path, None, **options)
    return path


def class_folders(root: Path, *names: str, count: int = 3, first_seed: int = 0) -> Path:
    """Make one folder of `count` different pictures for each name."""
    for number, name in enumerate(names):
        for index in range(count):
            save(root / name / f"{index}.jpg", first_seed + 1000 * number + index)
    return root


def huge_png(path: Path, width: int, height: int) -> Path:
    """Write a PNG of a few hundred bytes whose header claims `width` x `height` pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(bytes(64))), chunk(b"IEND", b"")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path
