"""How fast is the int8 file next to the same network in other engines and number formats?

One process, all engines interleaved in shuffled order, medians; prints a Markdown table. Like with
like (same runtime, same threads) the gain of int8 is arithmetic; the large factors against Keras
are its overhead for a single picture, and the table says which is which.

examples:
  python benchmarks/latency.py runs/mine
  python benchmarks/latency.py runs/mine --rounds 40 --json figures.json

ONNX Runtime's rows need: pip install "promolens[bench]"
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promolens_export.calibration import choose_calibration
from promolens_export.convert import convert
from promolens_export.latency import Timing, interleaved, tflite_engine
from promolens_training.pixels import load_pixels
from promolens_training.runs import TrainedRun, build_model, open_run

BASE = "LiteRT int8, 2 threads"
THREADS = (1, 2)
ONNX_PACKAGES = ("onnxruntime", "onnx", "tf2onnx")
KINDS = {
    "Keras predict_on_batch": "framework overhead and float arithmetic",
    "Keras predict": "framework overhead (a data pipeline a call)",
}

Pixels = NDArray[np.uint8]
Call = Callable[[], object]


def kind(name: str) -> str:
    """Say where an engine's distance from the int8 file comes from."""
    if name in KINDS:
        return KINDS[name]
    arithmetic = "int8 arithmetic" if "int8" in name else "float arithmetic"
    return f"{arithmetic}, no framework"


def write_onnx(model: Any, image_px: int, path: Path) -> None:
    """Write the float network as ONNX with a fixed batch of 1."""
    import tensorflow as tf

    tf2onnx: Any = import_module("tf2onnx")

    def classify(image: Any) -> Any:
        return model(image, training=False)

    signature = [tf.TensorSpec((1, image_px, image_px, 3), tf.float32, name="image")]
    tf2onnx.convert.from_function(
        tf.function(classify, input_signature=signature),
        input_signature=signature,
        opset=17,
        output_path=str(path),
    )


def quantize_onnx(source: Path, target: Path, pictures: Pixels) -> None:
    """Write the int8 QDQ form that ONNX Runtime recommends for CPUs, calibrated on `pictures`."""
    quantization: Any = import_module("onnxruntime.quantization")

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.pictures: Iterator[Pixels] = iter(pictures)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            picture = next(self.pictures, None)
            return None if picture is None else {"image": picture[None].astype(np.float32)}

    prepared = target.with_name("prepared.onnx")
    # Every shape is fixed, so the symbolic inference (and its package sympy) is not needed.
    quantization.shape_inference.quant_pre_process(
        str(source), str(prepared), skip_symbolic_shape=True
    )
    quantization.quantize_static(
        str(prepared),
        str(target),
        Reader(),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        # Signed activations, its default, miss the fast kernels of x86: 2.4 times slower here.
        activation_type=quantization.QuantType.QUInt8,
    )


def onnx_engine(path: Path, picture: Pixels, threads: int) -> Call:
    """Return a function that runs an ONNX file on one picture."""
    onnxruntime: Any = import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    feed = {"image": picture[None].astype(np.float32)}
    return lambda: session.run(None, feed)


def onnx_engines(run: TrainedRun, model: Any, pictures: Pixels, folder: Path) -> dict[str, Call]:
    """Return ONNX Runtime's engines; none, with a line on stderr, where it is not installed."""
    missing = [name for name in ONNX_PACKAGES if find_spec(name) is None]
    if missing:
        print(
            f"No ONNX Runtime rows: {', '.join(missing)} not installed. "
            'Run: pip install "promolens[bench]"',
            file=sys.stderr,
        )
        return {}
    files = {"float32": folder / "float32.onnx", "int8 QDQ": folder / "int8.onnx"}
    with contextlib.redirect_stdout(io.StringIO()):
        write_onnx(model, run.recipe.image_px, files["float32"])
        quantize_onnx(files["float32"], files["int8 QDQ"], pictures)
    return {
        f"ONNX Runtime {name}, {count_of(threads)}": onnx_engine(path, pictures[0], threads)
        for name, path in files.items()
        for threads in THREADS
    }


def count_of(threads: int) -> str:
    """Write a number of threads."""
    return f"{threads} thread{'s' if threads > 1 else ''}"


def engines(run: TrainedRun, pictures: Pixels, folder: Path) -> dict[str, Call]:
    """Return every engine that this machine has, on the first picture."""
    files = convert(run.folder, pictures, ("float32", "int8"))
    found: dict[str, Call] = {
        f"LiteRT {name}, {count_of(threads)}": tflite_engine(data, pictures[0], threads)
        for name, data in files.items()
        for threads in THREADS
    }
    model: Any = build_model(run)
    found |= onnx_engines(run, model, pictures, folder)
    batch = pictures[:1].astype(np.float32)
    found["Keras predict_on_batch"] = lambda: model.predict_on_batch(batch)
    found["Keras predict"] = lambda: model.predict(batch, verbose=0)
    return found


def markdown(timings: dict[str, Timing], load: tuple[float, float]) -> str:
    """Return the table, fastest first; ratios are to `BASE`."""
    base = timings[BASE]
    lines = [
        "| engine | median ms | best ms | x int8 2t (median) | x (best) | what the distance is |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for name, timing in sorted(timings.items(), key=lambda item: item[1].median_ms):
        lines.append(
            f"| {name} | {timing.median_ms:.2f} | {timing.best_ms:.2f} | "
            f"{timing.median_ms / base.median_ms:.2f} | {timing.best_ms / base.best_ms:.2f} | "
            f"{kind(name)} |"
        )
    cores = os.cpu_count()
    return "\n".join(
        [
            *lines,
            "",
            f"One picture a call, {base.calls} calls each; {cores} cores, load average "
            f"{load[0]:.1f} before and {load[1]:.1f} after.",
        ]
    )


def main() -> None:
    """Measure and print."""
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="run folder that `promolens train` made")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--calls", type=int, default=5, help="calls in a row that make a sample")
    parser.add_argument("--calibration-images", type=int, default=50)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    args = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    run = open_run(args.run)
    chosen = choose_calibration(run.photos, run.data_root, args.calibration_images)
    pictures = load_pixels(chosen, run.recipe.image_px)
    with tempfile.TemporaryDirectory() as folder:
        before = os.getloadavg()[0]
        timings = interleaved(engines(run, pictures, Path(folder)), args.rounds, args.calls)
    print(markdown(timings, (before, os.getloadavg()[0])))
    if args.json:
        figures = {name: asdict(timing) for name, timing in timings.items()}
        args.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
