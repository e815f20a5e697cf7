"""Import TensorFlow without the banners that its C++ code prints."""

from __future__ import annotations

import os


def quiet_tensorflow() -> None:
    """Import TensorFlow; its banners, which no setting silences, are dropped. Errors still appear.

    Raises:
        ImportError: TensorFlow is not installed.
    """
    from promolens_runtime.quiet import quiet_stderr

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with quiet_stderr():
        import tensorflow as tf

        # The first operation prints too.
        tf.constant(0)
