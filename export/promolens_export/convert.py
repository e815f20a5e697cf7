"""Turn a trained network into .tflite files, in a child process.

TensorFlow's converter leaks tens of megabytes a conversion, prints hundreds of lines and takes its
thread settings once a process; a child keeps all that away from the caller, who need not even
import TensorFlow.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from promolens_export.calibration import DEFAULT_IMAGES, choose_calibration
from promolens_runtime.errors import InputError, MissingError, PromolensError
from promolens_training.pixels import load_pixels
from promolens_training.runs import TrainedRun

VARIANTS = ("float32", "float16", "dynamic_range", "weight_only", "int8")
SHIPPED = "int8"
TIMEOUT_S = 1800.0
POLL_S = 0.1
NEARLY_FULL_BYTES = 1_000_000
# Exit statuses of the child besides 0 and 1 (a traceback in the log).
MISSING_PACKAGE = 5

Done = Callable[[str], None]


def _silent(variant: str) -> None:
    del variant


def with_extremes(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return calibration images that hold a 0 and a 255, so that the input's scale is exactly 1.

    Photos nearly always do; where not, two corner pixels of the first one are set.
    """
    if len(images) and images.min() == 0 and images.max() == 255:
        return images
    images = images.copy()
    images[0, 0, 0], images[0, 0, 1] = 0, 255
    return images


def _check(calibration: NDArray[np.uint8], variants: Sequence[str]) -> None:
    unknown = sorted(set(variants) - set(VARIANTS))
    if unknown or not variants:
        raise InputError(
            f"Expected variants among {', '.join(VARIANTS)}. Received {unknown or 'none'}."
        )
    shape = calibration.shape
    if calibration.dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or not len(calibration):
        raise InputError(
            "Expected calibration images uint8 [n, px, px, 3]. "
            f"Received {calibration.dtype} {list(shape)}."
        )


def _environment(temporary: Path) -> dict[str, str]:
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "PYTHONHASHSEED": "0"}
    # The child finds our packages where the parent found them, installed or not.
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {
        **os.environ,
        **quiet,
        "KERAS_BACKEND": "tensorflow",
        "PYTHONPATH": path,
        # TensorFlow writes the code that it generates there and, killed, never removes it.
        "TMPDIR": str(temporary),
    }


def _watch(
    child: subprocess.Popen[bytes],
    work: Path,
    variants: Sequence[str],
    timeout_s: float,
    done: Done,
) -> int | None:
    """Wait for the child, tell `done` about each file; None when it took too long."""
    waiting = list(variants)
    deadline = time.monotonic() + timeout_s
    while True:
        status = child.poll()
        for variant in [each for each in waiting if (work / f"{each}.tflite").is_file()]:
            waiting.remove(variant)
            done(variant)
        if status is not None:
            return status
        if time.monotonic() > deadline:
            return None
        time.sleep(POLL_S)


def _failure(status: int | None, log: Path, timeout_s: float) -> PromolensError | OSError:
    text = log.read_text("utf-8", "replace")
    # On a full disk not even the log says so.
    if shutil.disk_usage(log.parent).free < NEARLY_FULL_BYTES or "No space left" in text:
        log.unlink()
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(log.parent))
    if status == MISSING_PACKAGE:
        lines = text.strip().splitlines()
        return MissingError(
            f"Expected TensorFlow, Keras and litert-quantizer. Received: {lines[-1][:200]}. "
            'Run: pip install "promolens[train,export]"'
        )
    what = f"no end after {timeout_s:.0f} s" if status is None else f"exit status {status}"
    return PromolensError(
        f"Expected the converter to write its files. Received {what}. What it said is in {log}; "
        "the usual causes are too little memory or a layer without a TFLite operator."
    )


def convert(
    source: Path,
    calibration: NDArray[np.uint8],
    variants: Sequence[str] = VARIANTS,
    *,
    timeout_s: float = TIMEOUT_S,
    done: Done = _silent,
) -> dict[str, bytes]:
    """Convert a network to the named variants, each with fixed batch 1 and signature `classify`.

    Args:
        source: a finished run folder, or a `.keras` file whose outputs are a dict with `logits`
            and `embedding`.
        calibration: representative pictures uint8 `[n, px, px, 3]`; only int8 looks at them.
        variants: names of `VARIANTS`.
        timeout_s: the child is stopped after this time.
        done: called with each variant's name when its file is there.

    Returns:
        The bytes of each file. The same network and pictures give the same bytes.

    Raises:
        InputError: unknown variants or unusable calibration images.
        MissingError: TensorFlow or the quantizer is not installed.
        PromolensError: the converter failed; the text names its log file.
        OSError: the disk of the temporary folder is full.
    """
    _check(calibration, variants)
    with tempfile.TemporaryDirectory(prefix="promolens-convert-") as folder:
        work = Path(folder)
        (work / "tmp").mkdir()
        np.save(work / "calibration.npy", with_extremes(calibration))
        request = {"source": str(source.resolve()), "variants": list(variants)}
        (work / "request.json").write_text(json.dumps(request), "utf-8")
        handle, log_name = tempfile.mkstemp(prefix="promolens-convert-", suffix=".log")
        log = Path(log_name)
        with os.fdopen(handle, "wb") as output:
            child = subprocess.Popen(  # noqa: S603 - our own module, no shell
                [sys.executable, "-m", "promolens_export.convert_child", str(work)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=_environment(work / "tmp"),
            )
            try:
                status = _watch(child, work, variants, timeout_s, done)
            except BaseException:
                log.unlink()  # Ctrl-C is no failure that anyone would look up
                raise
            finally:
                # Also on Ctrl-C: no converter goes on without us.
                child.kill()
                child.wait()
        if status != 0:
            raise _failure(status, log, timeout_s)
        files = {name: (work / f"{name}.tflite").read_bytes() for name in variants}
    log.unlink()
    return files


def convert_run(
    run: TrainedRun, variants: Sequence[str], calibration_images: int = DEFAULT_IMAGES
) -> dict[str, bytes]:
    """Convert a run with calibration pictures chosen from its own training photos, as export does.

    Raises:
        As `convert` and `choose_calibration`.
    """
    chosen = choose_calibration(run.photos, run.data_root, calibration_images)
    return convert(run.folder, load_pixels(chosen, run.recipe.image_px), variants)
