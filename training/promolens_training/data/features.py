"""Frozen EfficientNet-Lite0 features of photos, kept from one examination to the next."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from promolens_runtime.errors import MissingError
from promolens_runtime.images import load_rgb
from promolens_training.files import write_atomically
from promolens_training.progress import progress

Floats = NDArray[np.float32]
_SIDE_PX = 224
_BATCH = 32
_VERSION = 1


def cache_file(root: Path) -> Path:
    """Return where the features of the dataset at `root` are kept, below XDG_CACHE_HOME."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    key = hashlib.sha256(f"{_VERSION}:{root}".encode(errors="surrogateescape")).hexdigest()[:24]
    return Path(base) / "promolens" / "features" / f"{key}.npz"


def read_cache(path: Path) -> dict[str, Floats]:
    """Return features by the sha256 of the picture's file; nothing where the cache is no use."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            keys, rows = stored["sha256"], stored["features"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {}
    if rows.dtype != np.float16 or rows.shape != (len(keys), 1280) or keys.dtype != "<U64":
        return {}
    return dict(zip(keys.tolist(), rows.astype(np.float32), strict=True))


def write_cache(path: Path, features: Mapping[str, Floats]) -> None:
    """Keep features (as float16: 2.5 kB a picture), atomically."""
    buffer = io.BytesIO()
    keys = sorted(features)
    rows = np.stack([features[key] for key in keys]).astype(np.float16)
    np.savez(buffer, sha256=np.array(keys, "<U64"), features=rows)
    write_atomically(path, lambda file: file.write(buffer.getvalue()))


def _pixels(path: Path) -> NDArray[np.uint8]:
    from PIL import Image

    rgb = Image.fromarray(load_rgb(path, min_short_px=2 * _SIDE_PX))
    return np.asarray(rgb.resize((_SIDE_PX, _SIDE_PX), Image.Resampling.BILINEAR))


def _embed(paths: list[Path]) -> Floats:
    try:
        from promolens_training.backbones.table import build_backbone

        model = build_backbone("efficientnet_lite0", _SIDE_PX)
    except ImportError as error:
        raise MissingError(
            f"Expected TensorFlow for comparing photos by features. Received: {error}. "
            "Install promolens[train], or use --fast."
        ) from error
    rows: list[Floats] = []
    with progress("features", len(paths)) as bar:
        for start in range(0, len(paths), _BATCH):
            pixels = np.stack([_pixels(path) for path in paths[start : start + _BATCH]])
            # Equal batches: another shape would trace the network once more.
            padded = np.concatenate([pixels, np.repeat(pixels[-1:], _BATCH - len(pixels), axis=0)])
            output = np.asarray(model.predict_on_batch(padded.astype(np.float32)), np.float32)
            rows.append(output[: len(pixels)])
            bar.advance(len(pixels))
    return np.concatenate(rows)


def unit_features(pictures: Mapping[str, Path], cache: Path | None) -> dict[str, Floats]:
    """Return the features of decodable pictures, rows float32 `[1280]` of length 1.

    Args:
        pictures: sha256 of the file -> its path.
        cache: a file of `cache_file`, or None to keep nothing.

    Raises:
        MissingError: TensorFlow or the ImageNet weights are not installed.
    """
    known = read_cache(cache) if cache else {}
    missing = sorted(key for key in pictures if key not in known)
    if missing:
        rows = _embed([pictures[key] for key in missing])
        rows /= np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9
        # Rounded as in the cache, or the first answer would differ from the later ones.
        rounded = rows.astype(np.float16).astype(np.float32)
        known.update(zip(missing, rounded, strict=True))
        if cache:
            write_cache(cache, known)
    return {key: known[key] for key in pictures}
