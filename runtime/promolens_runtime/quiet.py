"""Keep the banners of C++ libraries off the terminal."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from promolens_runtime.errors import PromolensError


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what C++ code writes to stderr; show it after all if the block fails unexpectedly.

    Errors of ours and Ctrl-C are not unexpected: they end in one line, and the banners stay hidden.
    The whole process' stderr is held back, so keep the block short.
    """
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
