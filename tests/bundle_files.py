"""Makes and remakes small bundles for the tests; signs whatever it is given."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from promolens_runtime.golden import Golden, golden_json, golden_npz
from promolens_runtime.labels import Label, labels_json
from promolens_runtime.manifest import (
    CalibrationImage,
    FileEntry,
    Fingerprints,
    GoldenTolerance,
    Licence,
    Manifest,
    Measured,
    Metrics,
    ModelEntry,
    TensorSpec,
    UnknownRule,
)
from promolens_runtime.model_file import Network
from promolens_runtime.preprocess import Preprocessing
from promolens_runtime.signing import SigningKey, sign

SIDE_PX = 32
N_CLASSES = 5
ENTRY = ModelEntry(
    role="classifier",
    file="model.tflite",
    signature="classify",
    inputs=(TensorSpec("image", "uint8", (1, SIDE_PX, SIDE_PX, 3), 1.0, 0),),
    outputs=(
        TensorSpec("logits", "float32", (1, N_CLASSES)),
        TensorSpec("embedding", "float32", (1, 8)),
    ),
    golden_file="golden.npz",
    labels_file="labels.json",
)
FIGURES = Measured(200, 0.9, (0.85, 0.94), 0.97, 0.99, None, 0.02)


def tiny_labels(count: int = N_CLASSES) -> tuple[Label, ...]:
    return tuple(
        Label(
            index=i,
            label=f"drink_{i}",
            item_id=f"item-{i}",
            barcodes=(f"20000000000{i:02d}",),
            name_ko=f"사이다 {i}호",
            name_en=f"Cider no. {i}",
            parent="drinks",
            aliases=(str(i),),
        )
        for i in range(count)
    )


def tiny_golden(model: bytes) -> Golden:
    """Three noise pictures and what the model says of them here."""
    network = Network(model, ENTRY, num_threads=1)
    images = np.random.default_rng(11).integers(0, 256, (3, SIDE_PX, SIDE_PX, 3), np.uint8)
    answers = [network.run({"image": image[None]}) for image in images]
    return Golden(
        {
            "image": images,
            "logits": np.concatenate([answer["logits"] for answer in answers]),
            "embedding": np.concatenate([answer["embedding"] for answer in answers]),
        }
    )


def tiny_files(model: bytes) -> dict[str, bytes]:
    golden = tiny_golden(model)
    return {
        "model.tflite": model,
        "labels.json": labels_json(tiny_labels()),
        "golden.npz": golden_npz(golden),
        "golden.json": golden_json(golden),
        "MODEL_CARD.md": b"# tiny\n",
    }


def entries(files: Mapping[str, bytes]) -> dict[str, FileEntry]:
    return {
        name: FileEntry(hashlib.sha256(data).hexdigest(), len(data)) for name, data in files.items()
    }


def tiny_manifest(model: bytes) -> Manifest:
    return manifest_of(entries(tiny_files(model)))


def manifest_of(files: Mapping[str, FileEntry]) -> Manifest:
    """The tiny model's manifest around any files."""
    return Manifest(
        bundle_id="tiny",
        version=1,
        minimum_app_version="0.1.0",
        files=files,
        models=(ENTRY,),
        preprocessing=Preprocessing.square(SIDE_PX),
        temperature=1.5,
        unknown=UnknownRule("max_logit", -1000.0, 0.95, 0.3, 200, 40),
        golden=GoldenTolerance(0.25, 0.05),
        metrics=Metrics("noise, to test the reader", FIGURES, FIGURES, 0.98, 1, 2),
        fingerprints=Fingerprints("0" * 64, "1" * 64, "2" * 64),
        calibration_images=(CalibrationImage("과자/새우 1.jpg", "3" * 64),),
        recipe={"name": "tiny", "epochs": 0, "rates": [0.1, 1e-05]},
        backbone="two convolutions",
        seed=7,
        tools={"tensorflow": "2.21.0"},
        licence=Licence("none", "MIT"),
        delegated_keys={"gallery": None},
        signing_key=None,
    )


def write_bundle(
    folder: Path,
    manifest: Manifest,
    model: bytes,
    key: SigningKey | None,
    changes: Mapping[str, bytes] | None = None,
) -> Path:
    """Write the five files (with `changes` on top), list them truly, and sign with `key`.

    The manifest itself is not checked: tests sign wrong ones on purpose.
    """
    from promolens_runtime.canonical import canonical_json

    files = tiny_files(model) | dict(changes or {})
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    listed = replace(manifest, files=entries(files), signing_key=key.public if key else None)
    data = canonical_json(listed.to_json())
    (folder / "manifest.json").write_bytes(data)
    if key is not None:
        (folder / "manifest.sig").write_bytes(sign(data, key))
    return folder
