"""Builds a real, small int8 model: 32 px in, 5 logits and an 8-number embedding out.

Run as a program (`python tests/tiny_model.py OUT_FOLDER`), because TensorFlow is slow to import and
the tests of the runtime must not have it in their process. It writes `int8.tflite`, as exports make
it, and `float.tflite`, the same network without quantisation.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

N_CLASSES = 5
EMBEDDING = 8
SIDE_PX = 32


def build(side_px: int = SIDE_PX) -> tuple[bytes, bytes]:
    """Return the int8 and the float .tflite; the same on every call."""
    import keras
    import numpy as np
    import tensorflow as tf

    keras.utils.set_random_seed(7)
    noise: Any = keras.initializers.RandomNormal(stddev=2.0)
    image = keras.Input((side_px, side_px, 3), batch_size=1, name="image")
    x = keras.layers.Rescaling(1 / 128, -127 / 128)(image)
    x = keras.layers.Conv2D(8, 3, 2, "same", activation="relu6")(x)
    x = keras.layers.Conv2D(EMBEDDING, 3, 2, "same", activation="relu6")(x)
    embedding = keras.layers.GlobalAveragePooling2D(name="embedding")(x)
    logits = keras.layers.Dense(N_CLASSES, name="logits", kernel_initializer=noise)
    model = keras.Model(image, {"logits": logits(embedding), "embedding": embedding})

    pictures = np.random.default_rng(7).integers(0, 256, (20, side_px, side_px, 3))
    pictures[0], pictures[1] = 0, 255

    def representative() -> Iterator[list[np.ndarray]]:
        for picture in pictures:
            yield [picture[None].astype(np.float32)]

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        archive: Any = keras.export.ExportArchive()
        archive.track(model)
        archive.add_endpoint(
            "classify",
            lambda image: model(image, training=False),
            [tf.TensorSpec((1, side_px, side_px, 3), tf.float32, name="image")],
        )
        archive.write_out(folder, verbose=False)
        plain = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["classify"])
        float_model = bytes(plain.convert())
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["classify"])
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = representative
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
        converter.inference_output_type = tf.float32
        return bytes(converter.convert()), float_model


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    int8_model, float_model = build()
    out = Path(sys.argv[1])
    (out / "int8.tflite").write_bytes(int8_model)
    (out / "float.tflite").write_bytes(float_model)
