"""What `Recognizer.predict` costs over bare inference, in one interleaved run.

    .venv/bin/python benchmarks/predict_overhead.py android_assets/bundle [--rounds 60] [--json OUT]

Two generated JPEG files: a 348 x 348 px one, as in product data sets, and a 4032 x 3024 px one, as
from a phone. Every round measures each variant once in a shuffled order, so that other load on the
machine falls on all alike; the figures are medians, and the ratios are medians of the rounds' own
ratios. Bounds: 348 px at most 1.6 x bare inference, 12 megapixels at most 1.2 x (scaled decode +
inference).
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from promolens_runtime.bundle import Bundle, read_bundle
from promolens_runtime.images import open_rgb
from promolens_runtime.model_file import Network
from promolens_runtime.recognizer import Recognizer
from promolens_runtime.signing import verification_key

SMALL_BOUND = 1.6
PHONE_BOUND = 1.2
THREADS = 2


def picture(width_px: int, height_px: int, seed: int = 0) -> bytes:
    """Return a JPEG of shapes under fine noise, at about the bytes per pixel of real photos."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (width_px, height_px), (150, 140, 130))
    draw = ImageDraw.Draw(image)
    for _ in range(60):
        x, y = int(rng.integers(width_px)), int(rng.integers(height_px))
        dx, dy = (int(side) for side in rng.integers(width_px // 40, width_px // 5, 2))
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        draw.ellipse((x, y, x + dx, y + dy), fill=(colour[0], colour[1], colour[2]))
    pixels = np.asarray(image).astype(np.int16) + rng.integers(-6, 7, (height_px, width_px, 1))
    buffer = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def variants(bundle: Bundle) -> dict[str, Callable[[], object]]:
    """Return what is measured, by name."""
    recognizer = Recognizer(bundle, num_threads=THREADS)
    entry = bundle.manifest.model("classifier")
    network = Network(bundle.files[entry.file], entry, num_threads=THREADS)
    spec = bundle.manifest.preprocessing
    shape = entry.inputs[0].shape
    tensor = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    small, phone = picture(348, 348), picture(4032, 3024)
    print(f"pictures: {len(small)} and {len(phone)} bytes")
    return {
        "inference": lambda: network.run({entry.inputs[0].name: tensor}),
        "predict_348": lambda: recognizer.predict(small),
        "decode_348": lambda: open_rgb(small, min_short_px=spec.min_short_px),
        "predict_12mp": lambda: recognizer.predict(phone),
        "decode_12mp_scaled": lambda: open_rgb(phone, min_short_px=spec.min_short_px),
        "decode_12mp_full": lambda: open_rgb(phone),
    }


def measure(
    work: dict[str, Callable[[], object]], rounds: int, seed: int = 0
) -> dict[str, list[float]]:
    """Return milliseconds by variant, one for each round."""
    order = random.Random(seed)  # noqa: S311
    times_ms: dict[str, list[float]] = {name: [] for name in work}
    for name in work:
        work[name]()
    for _ in range(rounds):
        names = list(work)
        order.shuffle(names)
        for name in names:
            start = time.perf_counter()
            work[name]()
            times_ms[name].append((time.perf_counter() - start) * 1000)
    return times_ms


def ratios(times_ms: dict[str, list[float]]) -> dict[str, float]:
    """Return the two ratios that have a bound, and what a full decode would cost."""
    rounds = range(len(times_ms["inference"]))

    def middle(top: str, *bottom: str) -> float:
        return statistics.median(
            times_ms[top][i] / sum(times_ms[name][i] for name in bottom) for i in rounds
        )

    return {
        "predict_348 / inference": middle("predict_348", "inference"),
        "predict_12mp / (scaled decode + inference)": middle(
            "predict_12mp", "decode_12mp_scaled", "inference"
        ),
        "full decode / scaled decode, 12 MP": middle("decode_12mp_full", "decode_12mp_scaled"),
    }


def main() -> int:
    """Measure, print a Markdown table, and say by the exit status whether the bounds hold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--public-key")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    args = parser.parse_args()
    bundle = read_bundle(args.bundle, verification_key(args.public_key))
    times_ms = measure(variants(bundle), args.rounds)
    found = ratios(times_ms)
    print("| variant | median ms | min ms |\n| --- | --- | --- |")
    for name, values in times_ms.items():
        print(f"| {name} | {statistics.median(values):.2f} | {min(values):.2f} |")
    print("\n| ratio | median of rounds | bound |\n| --- | --- | --- |")
    for (name, value), bound in zip(found.items(), (SMALL_BOUND, PHONE_BOUND, None), strict=True):
        print(f"| {name} | {value:.2f} | {bound or ''} |")
    report = {
        "rounds": args.rounds,
        "threads": THREADS,
        "median_ms": {name: statistics.median(values) for name, values in times_ms.items()},
        "min_ms": {name: min(values) for name, values in times_ms.items()},
        "ratios": found,
        "load_average": os.getloadavg()[0],
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
    }
    print("\n" + json.dumps(report))
    if args.json:
        part = args.json.with_name(args.json.name + ".part")
        part.write_text(json.dumps(report, indent=2) + "\n")
        part.replace(args.json)
    small, phone, _ = found.values()
    return 0 if small <= SMALL_BOUND and phone <= PHONE_BOUND else 1


if __name__ == "__main__":
    raise SystemExit(main())
