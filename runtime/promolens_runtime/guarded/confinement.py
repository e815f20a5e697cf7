"""What the decoding process gives up before it sees the first picture (POSIX; setrlimit(2))."""

from __future__ import annotations

import ctypes
import math
import os
from dataclasses import asdict, dataclass
from typing import Any

# prctl(2)
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38


@dataclass(frozen=True)
class Confinement:
    """Limits of the process.

    Attributes:
        address_space_bytes: memory that it may map, its own program included.
        descriptors: files that it may have open, its pipes included.
        cpu_s: processor time for one picture; holds also when the parent is gone.
        niceness: how much the processor's other work goes first, 0..19.
    """

    address_space_bytes: int = 1 << 30
    descriptors: int = 16
    cpu_s: int = 20
    niceness: int = 5

    def __post_init__(self) -> None:
        """Check the numbers. Raises ValueError."""
        if self.address_space_bytes < 256 << 20 or self.descriptors < 8 or self.cpu_s < 1:
            raise ValueError("at least 256 MiB, 8 descriptors and 1 s are needed to decode")
        if not 0 <= self.niceness <= 19:
            raise ValueError(f"niceness is {self.niceness}, not 0 to 19")

    def to_json(self) -> dict[str, Any]:
        """Return the fields."""
        return asdict(self)


def confine(limits: Confinement) -> None:
    """Give up, for good: memory beyond the limit, writing files, dumps, new processes and rights.

    As root the limit on processes does not hold; the others do.
    """
    import resource

    os.nice(limits.niceness)
    for what, most in (
        (resource.RLIMIT_AS, limits.address_space_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, limits.descriptors),
    ):
        hard = resource.getrlimit(what)[1]
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (value, value))
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_SET_DUMPABLE, 0)


def allow_cpu(seconds: int) -> None:
    """Let the process work so long from now on; beyond it the kernel ends it."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    limit = math.ceil(used.ru_utime + used.ru_stime) + seconds
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, hard))


def _prctl(option: int, value: int) -> None:
    # Not every kernel and C library has it; the limits above hold without.
    try:
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
    except (OSError, AttributeError):
        return
