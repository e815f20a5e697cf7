"""Set TensorFlow's environment before its first import."""

from __future__ import annotations

import os


def quiet_tensorflow() -> None:
    """Silence the start-up banners; errors still appear."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
