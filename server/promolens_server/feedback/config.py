"""How pictures that people send are taken; without a folder none are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

MOST_PICTURE_BYTES = 700_000
"""In base64, with its fields, one of this size stays below the usual `limits.body_bytes`."""


@dataclass(frozen=True)
class FeedbackConfig:
    """Pictures from people's phones.

    Attributes:
        folder: where pictures and what was said of them lie, one folder for all workers of a
            machine; without one the service takes none.
        picture_bytes: of one picture, at most 700,000.
        side_px: of its longer side.
        per_hour: pictures of one address or key, over time; besides the rate of all requests.
        burst: pictures of one address or key at once after a pause.
        clients: addresses and keys remembered in one worker, in memory only.
        at_once: pictures that one worker reads and decodes at once; further ones get 503.
        pictures: kept at once, of everybody; beyond it none are taken until some are deleted.
        total_bytes: of everything kept; the same.
        keep_days: after so many days the service deletes a picture and what was said of it.
        decode_s: wall time for decoding one picture, in a process that may do nothing else.
    """

    folder: Path | None = None
    picture_bytes: int = 500_000
    side_px: int = 1_024
    per_hour: float = 20.0
    burst: int = 5
    clients: int = 10_000
    at_once: int = 4
    pictures: int = 5_000
    total_bytes: int = 1_000_000_000
    keep_days: int = 90
    decode_s: float = 5.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, int | float) and not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} is {value}, not a number above 0")
        if self.picture_bytes > MOST_PICTURE_BYTES:
            raise ValueError(f"picture_bytes is {self.picture_bytes}, above {MOST_PICTURE_BYTES}")
