"""Whether the app recognises what Python does, and what it costs: in real Chromium.

    .venv/bin/python benchmarks/app_recognition.py android_assets/bundle demo_data/photos
    .venv/bin/python benchmarks/app_recognition.py BUNDLE PHOTOS BUNDLE2 PHOTOS2 --out app.json

Give pairs of a signed bundle and a folder of photos. Of each folder `--count` photos, evenly
spread, go through Python's `Recognizer` and through the app in Chromium, twice: as PNG of the
pixels that Python decoded (the same pixels: tensors must be bit-equal, logits within the
manifest's tolerance, the same top-1 on all), and as the JPEG files themselves (the browser's own
decoder; the same top-1 on at least 99 %). Then frames of several sizes: from the frame in the
worker to the answer, and bare inference, in turns, so that other load falls on both. Sizes are
those of the built app and of the bundle, compressed as they are sent. Needs Node, Chromium and its
driver.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from promolens_runtime.images import load_rgb
from promolens_runtime.preprocess import preprocess
from promolens_runtime.recognizer import Recognizer
from promolens_runtime.signing import verification_key

TESTS = Path(__file__).resolve().parents[1] / "tests"
APP = Path(__file__).resolve().parents[1] / "app"
JPEG_TOP1_BOUND = 0.99
RATIO_BOUND = 1.3
SHELL_BOUND_BYTES = 3_000_000
MODEL_BOUND_BYTES = 3_600_000
FRAMES = ((640, 480), (480, 640), (1280, 720))


@dataclass(frozen=True)
class Agreement:
    """How the app compares with Python on `photos` photos, over one way in.

    Attributes:
        bundle, way: the bundle's id, and `pixels` or `files`.
        photos: how many.
        equal_tensors: on how many the network's input was bit-equal.
        same_top1: on how many the first candidate was the same.
        largest_logit_difference, tolerance: largest absolute one, and the manifest's.
        total_ms: median from the decoded picture's arrival to the answer, decoding included.
    """

    bundle: str
    way: str
    photos: int
    equal_tensors: int
    same_top1: int
    largest_logit_difference: float
    tolerance: float
    total_ms: float


def spread(folder: Path, count: int) -> list[Path]:
    """Return at most `count` of the JPEG files below `folder`, evenly spread over their names."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    places = np.linspace(0, len(files) - 1, min(count, len(files)))
    return [files[round(float(place))] for place in places]


def as_png(rgb: np.ndarray) -> bytes:
    """Return `rgb` as a PNG, fast rather than small."""
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "PNG", compress_level=1)
    return file.getvalue()


def compare(page: Any, recognizer: Recognizer, photos: list[Path], way: str) -> Agreement:
    """Send `photos` through both; `page` has the same bundle open."""
    from app_support import tensor_of

    spec = recognizer.manifest.preprocessing
    equal = same = 0
    largest, times_ms = 0.0, []
    for number, path in enumerate(photos):
        rgb = load_rgb(path)
        data = as_png(rgb) if way == "pixels" else path.read_bytes()
        told = page.ok("recogniseFile", page.put(f"photos/{number}", data), True)
        page.server.files.clear()
        expected = recognizer.predict(rgb if way == "pixels" else path)
        tensor = preprocess(rgb, spec)
        equal += bool(np.array_equal(tensor_of(told, spec.width_px), tensor))
        same += told["top"][0]["index"] == expected.top[0].label.index
        difference = np.abs(np.array(told["logits"]) - expected.logits).max()
        largest = max(largest, float(difference))
        times_ms.append(told["timings"]["totalMs"])
        if number % 50 == 49:
            print(f"{way}: {number + 1} of {len(photos)}", file=sys.stderr)
    manifest = recognizer.manifest
    return Agreement(
        manifest.bundle_id, way, len(photos), equal, same, largest,
        manifest.golden.logits_tolerance, statistics.median(times_ms),
    )  # fmt: skip


def pairs(words: list[str]) -> Iterator[tuple[Path, Path]]:
    """Return bundle and photos, bundle and photos, ..."""
    if len(words) % 2:
        raise SystemExit("error: Expected pairs of a bundle and a folder of photos.")
    for i in range(0, len(words), 2):
        yield Path(words[i]), Path(words[i + 1])


def compressed_sizes(www: Path, bundle: Path) -> dict[str, int]:
    """Return bytes over the network (brotli, quality 11) of what the first scan waits for."""
    needed = {
        "worker": www / "recognise.js.br",
        "runtime glue": www / "litert" / "litert_wasm_internal.js.br",
        "runtime": www / "litert" / "litert_wasm_internal.wasm.br",
    }
    sizes = {name: path.stat().st_size for name, path in needed.items()}
    for name in ("manifest.json", "labels.json", "golden.npz", "model.tflite"):
        sizes[name] = brotli_size(bundle / name)
    return sizes


def brotli_size(path: Path) -> int:
    """Return the size of a file after brotli, which Node brings."""
    import subprocess

    program = (
        "const z=require('zlib'),c=z.constants;const d=require('fs').readFileSync(process.argv[1]);"
        "console.log(z.brotliCompressSync(d,{params:{[c.BROTLI_PARAM_QUALITY]:11,"
        "[c.BROTLI_PARAM_LGWIN]:24,[c.BROTLI_PARAM_SIZE_HINT]:d.length}}).length)"
    )
    done = subprocess.run(
        ["node", "-e", program, str(path)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure everything and return it."""
    sys.path.insert(0, str(TESTS))
    from app_support import Page, chromium, serve

    key = verification_key()
    if key is None:
        raise SystemExit("error: Expected PROMOLENS_PUBLIC_KEY or a development key.")
    agreements: list[Agreement] = []
    speeds: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        www = built_app(Path(folder) / "www", key, compression=not arguments.no_sizes)
        for bundle, photos in pairs(arguments.pairs):
            recognizer = Recognizer.open(bundle, public_key=key, num_threads=1)
            chosen = spread(photos, arguments.count)
            with serve({"www": www, "bundle": bundle}) as server, chromium() as driver:
                page = Page(driver, server)
                page.ok("open", "../../bundle/")
                for way in ("pixels", "files"):
                    agreements.append(compare(page, recognizer, chosen, way))
                address = page.put("frame", chosen[0].read_bytes())
                for width, height in FRAMES:
                    for _ in range(arguments.rounds):
                        measured = page.ok("measure", address, width, height, arguments.runs)
                        speeds.append({"bundle": recognizer.manifest.bundle_id, **measured})
        sizes = {} if arguments.no_sizes else compressed_sizes(www, Path(arguments.pairs[0]))
    return {
        "agreement": [asdict(agreement) for agreement in agreements],
        "frames": speeds,
        "sizes_brotli_bytes": sizes,
        "load_average": os.getloadavg(),
    }


def built_app(out: Path, key: str, *, compression: bool) -> Path:
    """Build the app with the tests' page into `out`."""
    import subprocess

    command = ["node", "build.mjs", "--out", str(out), "--page", "test/page"]
    command += [] if compression else ["--no-compression"]
    environ = os.environ | {"PROMOLENS_PUBLIC_KEY": key}
    subprocess.run(command, cwd=APP, env=environ, check=True, stdout=subprocess.DEVNULL)
    return out


def table(result: dict[str, Any]) -> str:
    """Return the Markdown tables."""
    lines = [
        "| bundle | way in | photos | bit-equal tensors | same top-1 | largest logit difference | "
        "tolerance | median ms |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in result["agreement"]:
        lines.append(
            f"| {row['bundle']} | {row['way']} | {row['photos']} | {row['equal_tensors']} | "
            f"{row['same_top1']} | {row['largest_logit_difference']:.2g} | "
            f"{row['tolerance']:.2g} | {row['total_ms']:.0f} |"
        )
    lines += [
        "",
        "| bundle | frame | runs | inference ms | preprocess ms | frame to result ms | ratio |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in result["frames"]:
        bare, total = row["bareInference"], row["total"]
        lines.append(
            f"| {row['bundle']} | {row['width']} x {row['height']} | {row['runs']} | "
            f"{bare['medianMs']:.1f} | {row['preprocess']['medianMs']:.1f} | "
            f"{total['medianMs']:.1f} | {row['ratio']:.2f} |"
        )
    sizes = result["sizes_brotli_bytes"]
    if sizes:
        model = sizes["model.tflite"]
        lines += ["", "| before the first scan | bytes, brotli |", "| --- | ---: |"]
        lines += [f"| {name} | {size:,} |" for name, size in sizes.items()]
        lines += [f"| all but the model | {sum(sizes.values()) - model:,} |"]
    return "\n".join(lines)


def misses(result: dict[str, Any]) -> list[str]:
    """Return a line for each bound that was missed."""
    found = []
    for row in result["agreement"]:
        name = f"{row['bundle']}, {row['way']}"
        bound = 1.0 if row["way"] == "pixels" else JPEG_TOP1_BOUND
        if row["same_top1"] < bound * row["photos"]:
            found.append(f"{name}: the same top-1 on {row['same_top1']} of {row['photos']}")
        exact = row["way"] == "pixels"
        if exact and row["equal_tensors"] < row["photos"]:
            found.append(f"{name}: {row['photos'] - row['equal_tensors']} tensors differ")
        if exact and not row["largest_logit_difference"] <= row["tolerance"]:
            found.append(f"{name}: logits differ by {row['largest_logit_difference']:g}")
    usual = [row["ratio"] for row in result["frames"] if row["width"] * row["height"] == 640 * 480]
    if usual and statistics.median(usual) > RATIO_BOUND:
        found.append(f"frame to result: {statistics.median(usual):.2f} x bare inference")
    sizes = result["sizes_brotli_bytes"]
    if sizes and sum(sizes.values()) - sizes["model.tflite"] > SHELL_BOUND_BYTES:
        found.append("more than 3.0 MB before the first scan, without the model")
    if sizes and sizes["model.tflite"] > MODEL_BOUND_BYTES:
        found.append("the model is larger than 3.6 MB")
    return found


def main() -> int:
    """Measure, print the tables, and return 1 when a bound was missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pairs", nargs="+", metavar="BUNDLE PHOTOS")
    parser.add_argument("--count", type=int, default=500, help="photos of each folder (500)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each frame size (3)")
    parser.add_argument("--runs", type=int, default=50, help="runs of each measurement (50)")
    parser.add_argument("--no-sizes", action="store_true", help="build without compression")
    parser.add_argument("--out", type=Path, help="write JSON")
    arguments = parser.parse_args()
    result = run(arguments)
    print(table(result))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    found = misses(result)
    for line in found:
        print(f"missed: {line}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
