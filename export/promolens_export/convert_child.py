"""The converter's own process: `python -m promolens_export.convert_child WORK_FOLDER`.

Reads WORK_FOLDER/request.json and calibration.npy, writes WORK_FOLDER/VARIANT.tflite one by one.
Everything that TensorFlow prints goes into the log that the parent opened.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promolens_export.convert import MISSING_PACKAGE
from promolens_runtime.errors import InputError

# A network's outputs -> the signature that answers with them.
SIGNATURES = {("embedding", "logits"): "classify", ("embedding",): "embed"}
SIGNATURE_FILE = "signature.txt"


def load_network(source: Path) -> Any:
    """Return the Keras network of a run folder or a `.keras` file."""
    if source.suffix == ".keras":
        import keras

        return keras.models.load_model(source, compile=False)
    from promolens_training.embedding.runs import (
        build_embedder_of,
        is_embedder_run,
        open_embedder,
    )
    from promolens_training.runs import build_model, open_run

    if is_embedder_run(source):
        return build_embedder_of(open_embedder(source))
    return build_model(open_run(source))


def save_fixed_batch(model: Any, folder: Path) -> None:
    """Write a SavedModel whose one endpoint takes exactly one picture.

    The batch of 1 is part of the traced signature, so every shape in the file is static: browsers
    and accelerators refuse dynamic ones. Keras' own `export(format="litert")` would allow Flex.
    """
    import keras
    import tensorflow as tf

    height_px, width_px = model.input_shape[1:3]
    names = tuple(sorted(model.output)) if isinstance(model.output, dict) else ()
    if names not in SIGNATURES:
        raise InputError(
            f"Expected a network with the outputs of {list(SIGNATURES)}. Received {names}."
        )

    def answer(image: Any) -> dict[str, Any]:
        outputs = model(image, training=False)
        return {name: outputs[name] for name in names}

    archive: Any = keras.export.ExportArchive()
    archive.track(model)
    image = tf.TensorSpec([1, height_px, width_px, 3], tf.float32, name="image")
    archive.add_endpoint(SIGNATURES[names], answer, input_signature=[image])
    archive.write_out(str(folder), verbose=False)
    (folder.parent / SIGNATURE_FILE).write_text(SIGNATURES[names], "utf-8")


def _converter(saved: Path) -> Any:
    import tensorflow as tf

    signature = (saved.parent / SIGNATURE_FILE).read_text("utf-8")
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved), signature_keys=[signature])
    # Built-in operators only: the phone's runtime has no Flex.
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    return converter


def _float32(saved: Path, calibration: NDArray[np.uint8], files: dict[str, bytes]) -> bytes:
    del calibration, files
    return bytes(_converter(saved).convert())


def _float16(saved: Path, calibration: NDArray[np.uint8], files: dict[str, bytes]) -> bytes:
    import tensorflow as tf

    del calibration, files
    converter = _converter(saved)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    return bytes(converter.convert())


def _dynamic_range(saved: Path, calibration: NDArray[np.uint8], files: dict[str, bytes]) -> bytes:
    import tensorflow as tf

    del calibration, files
    converter = _converter(saved)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return bytes(converter.convert())


def _weight_only(saved: Path, calibration: NDArray[np.uint8], files: dict[str, bytes]) -> bytes:
    """Int8 weights, float arithmetic: TensorFlow cannot write it, LiteRT's quantizer can."""
    from litert_quantizer import quantizer, recipe

    float_model = files.get("float32") or _float32(saved, calibration, files)
    worker: Any = quantizer.Quantizer(bytearray(float_model), recipe.weight_only_wi8_afp32())
    return bytes(worker.quantize().quantized_model)


def _int8(saved: Path, calibration: NDArray[np.uint8], files: dict[str, bytes]) -> bytes:
    import tensorflow as tf

    del files

    def representative() -> Iterator[list[NDArray[np.float32]]]:
        for image in calibration:
            yield [image[None].astype(np.float32)]

    converter = _converter(saved)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8
    # Outputs stay float: a reader needs no scale, and thresholds keep their resolution.
    converter.inference_output_type = tf.float32
    return bytes(converter.convert())


CONVERTERS: dict[str, Callable[[Path, NDArray[np.uint8], dict[str, bytes]], bytes]] = {
    "float32": _float32,
    "float16": _float16,
    "dynamic_range": _dynamic_range,
    "weight_only": _weight_only,
    "int8": _int8,
}


def run(work: Path) -> None:
    """Do what WORK_FOLDER/request.json asks for."""
    request = json.loads((work / "request.json").read_text("utf-8"))
    calibration = np.load(work / "calibration.npy", allow_pickle=False)
    model = load_network(Path(request["source"]))
    if tuple(model.input_shape[1:]) != calibration.shape[1:]:
        raise InputError(
            f"Expected calibration images of shape {model.input_shape[1:]}. "
            f"Received {calibration.shape[1:]}."
        )
    save_fixed_batch(model, work / "saved_model")
    files: dict[str, bytes] = {}
    # float32 first: the weight-only file is made from it.
    for name in sorted(request["variants"], key=list(CONVERTERS).index):
        files[name] = CONVERTERS[name](work / "saved_model", calibration, files)
        part = work / f"{name}.part"
        part.write_bytes(files[name])
        part.replace(work / f"{name}.tflite")


def main() -> int:
    """Convert; a missing package has an exit status of its own."""
    try:
        run(Path(sys.argv[1]))
    except ModuleNotFoundError as error:
        print(f"No module named {error.name}", flush=True)
        return MISSING_PACKAGE
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
