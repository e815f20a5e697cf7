"""How the process takes memory, so that a worker stays small."""

from __future__ import annotations

import ctypes
import sys

# From glibc's malloc.h.
_M_ARENA_MAX = -8
_M_MMAP_THRESHOLD = -3
_HEAPS = 2
_LARGE_BYTES = 256 * 1024


def stay_small() -> None:
    """Let threads share two heaps, and give large answers back; without glibc nothing happens.

    By itself glibc gives each thread a heap of its own, up to eight for each processor, and what
    one thread has freed is not given to another; and after the first large answer it keeps the
    memory of all large ones. A worker has the more the longer it runs. To be called before there
    are threads.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _HEAPS)
        # What is larger goes back to the system when it is freed.
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
