"""The demo catalogue's exam: how far do methods get that learn nothing about the products?

The test photos are a fair exam for a fine-tuned recogniser only if colours alone fail at it and
fixed ImageNet features do not suffice:

* a nearest neighbour by colour histogram (the better of RGB and HSV) must get at most 50 %;
* a linear probe on frozen EfficientNet-Lite0 features must get between 60 and 85 %.

examples:
  python benchmarks/demo_exam.py demo_data
  python benchmarks/demo_exam.py demo_data --json
"""

from __future__ import annotations

import argparse
import csv
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

HISTOGRAM_AT_MOST = 0.50
PROBE_BETWEEN = (0.60, 0.85)
IMAGE_PX = 224
_BINS = 8
# The photos of 24 products fill whole batches, so the network is traced once.
_BATCH = 24
_CS = (0.001, 0.003, 0.01, 0.03)


@dataclass(frozen=True)
class Examined:
    """Photos of one split: centre squares uint8 `[n, 224, 224, 3]`, labels and visits."""

    images: Array
    labels: Array
    visits: Array


@dataclass(frozen=True)
class Exam:
    """Top-1 on the test photos, as shares."""

    n_train: int
    n_test: int
    histogram_rgb: float
    histogram_hsv: float
    linear_probe: float
    probe_c: float
    family: float  # the probe's share of right families

    def passes(self) -> bool:
        """Say whether both gates hold."""
        low, high = PROBE_BETWEEN
        colours = max(self.histogram_rgb, self.histogram_hsv)
        return colours <= HISTOGRAM_AT_MOST and low <= self.linear_probe <= high


def read_split(root: Path, split: str) -> Examined:
    """Read a split's photos of products upright, cropped to the centre square, at 224 pixels."""
    from PIL import Image, ImageOps

    with (root / "photos.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    rows = [row for row in rows if not row["label"].startswith("~")]  # strangers
    images = np.empty((len(rows), IMAGE_PX, IMAGE_PX, 3), np.uint8)
    for index, row in enumerate(rows):
        with Image.open(root / row["path"]) as picture:
            upright = ImageOps.exif_transpose(picture).convert("RGB")
        square = ImageOps.fit(upright, (IMAGE_PX, IMAGE_PX), Image.Resampling.BILINEAR)
        images[index] = np.asarray(square)
    labels = np.array([row["label"] for row in rows])
    return Examined(images, labels, np.array([row["source_id"] for row in rows]))


def histograms(images: Array, *, hsv: bool) -> Array:
    """Return 8x8x8 colour histograms, float32 `[n, 512]`, each of sum 1."""
    import cv2

    rows = []
    for image in images:
        coded = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL) if hsv else image
        bins = coded.reshape(-1, 3).astype(np.int64) * _BINS // 256
        flat = (bins[:, 0] * _BINS + bins[:, 1]) * _BINS + bins[:, 2]
        rows.append(np.bincount(flat, minlength=_BINS**3) / len(flat))
    return np.array(rows, np.float32)


def histogram_top1(train: Examined, test: Examined, *, hsv: bool) -> float:
    """Name each test photo after the training photo of nearest histogram (L1)."""
    known = histograms(train.images, hsv=hsv)
    nearest = [
        int(np.abs(known - row).sum(axis=1).argmin()) for row in histograms(test.images, hsv=hsv)
    ]
    return float((train.labels[nearest] == test.labels).mean())


def lite0_features(images: Array) -> Array:
    """Return the frozen network's pooled features, float32 `[n, 1280]`."""
    from promolens_training.backbones.table import build_backbone

    network = build_backbone("efficientnet_lite0", IMAGE_PX)
    parts = [
        network.predict_on_batch(images[k : k + _BATCH].astype(np.float32))
        for k in range(0, len(images), _BATCH)
    ]
    return np.concatenate(parts)


def linear_probe(train: Examined, test: Examined) -> tuple[Array, float]:
    """Fit a logistic regression, its C chosen by 3-fold validation grouped by visit on train.

    Returns:
        The test photos' predicted labels, and C.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features = lite0_features(np.concatenate([train.images, test.images]))
    known, asked = np.split(features, [len(train.images)])

    def probe(c: float) -> Any:
        return make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=200, tol=1e-3))

    folds = GroupKFold(3)
    scores = [
        cross_val_score(probe(c), known, train.labels, groups=train.visits, cv=folds).mean()
        for c in _CS
    ]
    best = _CS[int(np.argmax(scores))]
    return probe(best).fit(known, train.labels).predict(asked), best


def _families(root: Path) -> dict[str, str]:
    with (root / "products.csv").open(newline="", encoding="utf-8") as file:
        return {row["label"]: row["parent"] for row in csv.DictReader(file)}


def examine(root: Path) -> Exam:
    """Sit the exam on the demo data in `root`."""
    train, test = read_split(root, "train"), read_split(root, "test")
    named, c = linear_probe(train, test)
    family = _families(root)
    same = [family[a] == family[b] for a, b in zip(named, test.labels, strict=True)]
    return Exam(
        n_train=len(train.labels),
        n_test=len(test.labels),
        histogram_rgb=histogram_top1(train, test, hsv=False),
        histogram_hsv=histogram_top1(train, test, hsv=True),
        linear_probe=float((named == test.labels).mean()),
        probe_c=c,
        family=float(np.mean(same)),
    )


def main() -> int:
    """Print the figures; exit status 1 where a gate fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder that `promolens demo-data` wrote")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    exam = examine(args.data)
    if args.json:
        print(json.dumps(asdict(exam) | {"passes": exam.passes()}))
    else:
        print(f"photos: {exam.n_train} train, {exam.n_test} test")
        print(f"colour histogram, RGB: {exam.histogram_rgb:.1%}; HSV: {exam.histogram_hsv:.1%}")
        print(f"linear probe on Lite0: {exam.linear_probe:.1%} (C = {exam.probe_c})")
        print(f"its right families:    {exam.family:.1%}")
        print("gates: " + ("passed" if exam.passes() else "FAILED"))
    return 0 if exam.passes() else 1


if __name__ == "__main__":
    raise SystemExit(main())
