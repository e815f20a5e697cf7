"""Import TensorFlow without its start-up banners."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _stderr_kept_aside() -> Iterator[None]:
    """Hold back what C++ code writes to stderr; show it after all if the block fails."""
    sys.stderr.flush()
    real = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(real, 2)
            aside.seek(0)
            sys.stderr.write(aside.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(real, 2)
            os.close(real)


def quiet_tensorflow() -> None:
    """Import TensorFlow; its banners, which no setting silences, are dropped. Errors still appear.

    Raises:
        ImportError: TensorFlow is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with _stderr_kept_aside():
        import tensorflow as tf

        # The first operation prints too.
        tf.constant(0)
