"""Import TensorFlow, and open models, without the banners that C++ code prints."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what C++ code writes to stderr; show it after all if the block fails unexpectedly.

    Errors of ours and Ctrl-C are not unexpected: they end in one line, and the banners stay hidden.
    """
    from promolens_runtime.errors import PromolensError

    sys.stderr.flush()
    real = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except PromolensError:
            raise
        except Exception:
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
    with quiet_stderr():
        import tensorflow as tf

        # The first operation prints too.
        tf.constant(0)
