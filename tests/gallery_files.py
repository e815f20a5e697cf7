"""Writes galleries for the tests, also wrong ones; signs whatever it is given."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promolens_runtime.canonical import canonical_json
from promolens_runtime.gallery.gallery import products_file, vectors_file
from promolens_runtime.gallery.vectors import quantise, unit
from promolens_runtime.labels import Label
from promolens_runtime.manifest import Manifest
from promolens_runtime.signing import SigningKey, sign

RULE: dict[str, Any] = {
    "accept_at_least": 0.9,
    "margin_at_least": 0.0,
    "override_margin": 0.05,
    "true_accept_rate": None,
    "false_accept_rate": None,
    "n_known": 0,
    "n_unknown": 0,
}


def new_products(count: int) -> tuple[Label, ...]:
    """Return products that no tiny bundle knows."""
    return tuple(
        Label(i, f"new_{i}", f"new-{i}", (f"88000000000{i:02d}",), f"새 음료 {i}", f"New {i}")
        for i in range(count)
    )


def gallery_bytes(
    embeddings: NDArray[np.floating],
    owners: Sequence[int] | None = None,
    centre: NDArray[np.float32] | None = None,
) -> dict[str, bytes]:
    """Return vectors.bin, products.json and, with a centre, centre.bin."""
    places = np.arange(len(embeddings)) if owners is None else np.asarray(owners)
    files = {
        "vectors.bin": vectors_file(quantise(unit(embeddings, centre)), places),
        "products.json": products_file(new_products(int(places.max()) + 1)),
    }
    return files if centre is None else files | {"centre.bin": centre.astype("<f4").tobytes()}


def gallery_manifest(
    bundle: Manifest, files: Mapping[str, bytes], key: SigningKey | None, **changes: Any
) -> dict[str, Any]:
    """Return the manifest as JSON, for the classifier of `bundle`; `changes` go on top."""
    model = bundle.model("classifier")
    dimensions = int(model.tensor("embedding").shape[-1])
    count = (len(files["vectors.bin"]) - 8) // dimensions
    while (count * dimensions + 3) // 4 * 4 + 8 * count > len(files["vectors.bin"]):
        count -= 1
    return {
        "kind": "gallery",
        "format_version": "1.0",
        "gallery_id": "default",
        "version": 1,
        "model_sha256": bundle.files[model.file].sha256,
        "role": "classifier",
        "dimensions": dimensions,
        "count": count,
        "products": files["products.json"].count(b'"item_id"'),
        "centred": "centre.bin" in files,
        "answer": dict(RULE),
        "signing_key": key.public if key else None,
        "files": {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
            for name, data in files.items()
        },
    } | changes


def write_gallery(
    folder: Path,
    bundle: Manifest,
    files: Mapping[str, bytes],
    key: SigningKey | None,
    **changes: Any,
) -> Path:
    """Write a gallery for a bundle and sign it; what is written is not checked."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    data = canonical_json(gallery_manifest(bundle, files, key, **changes))
    (folder / "manifest.json").write_bytes(data)
    if key is not None:
        (folder / "manifest.sig").write_bytes(sign(data, key))
    return folder
