"""What a corpus' scores mean: cut-points and background, in a file a corpus.

    <folder>/<corpus>.json
    {"format": 1, "model_id": "<sha256 of the model>", "measure": "score" | "normalised",
     "cut_points": {...},                                     # promolens_retrieval.cut_points
     "background": {"corpus": "...", "first": 1, "last": 10, "weight": 1.0} | null}

The background is a corpus of the same index that holds no matches: the mean score of the query with
its nearest vectors there is taken off (`promolens_retrieval.normalisation`). Cut-points hold for
the model that they were fitted with and for no other.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from promolens_retrieval.cut_points import Band, CutPoints
from promolens_retrieval.normalisation import NormalisationConfig
from promolens_runtime.errors import InputError

MOST_BYTES = 20_000_000
_FORMAT = 1
_MEASURES = ("score", "normalised")


@dataclass(frozen=True)
class Background:
    """Vectors that match nothing, and how they count."""

    corpus: str
    config: NormalisationConfig


@dataclass(frozen=True)
class Calibration:
    """What was fitted for a corpus and a model.

    Attributes:
        measure: what the cut-points are of.
    """

    model_id: str
    measure: Literal["score", "normalised"]
    cut_points: CutPoints
    background: Background | None

    def judged(self, score: float, normalised: float | None) -> tuple[Band | None, float | None]:
        """Return band and estimated precision (0..1); None where the measure is not there."""
        value = score if self.measure == "score" else normalised
        if value is None:
            return None, None
        return self.cut_points.band(value), self.cut_points.precision(value)


class Calibrations:
    """The files of a folder, read again when they change. Safe to share between threads."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._turn = threading.Lock()
        self._read: dict[str, tuple[tuple[int, int], Calibration]] = {}

    def find(self, corpus: str, model_id: str) -> Calibration | None:
        """Return what was fitted for a corpus and a model, None where nothing was.

        Raises InputError for a file that is damaged.
        """
        if self._folder is None:
            return None
        path = self._folder / f"{corpus}.json"
        try:
            found = path.stat()
        except OSError:
            return None
        stamp = found.st_mtime_ns, found.st_size
        with self._turn:
            known = self._read.get(corpus)
            if known is None or known[0] != stamp:
                known = stamp, read_calibration(path)
                self._read[corpus] = known
        return known[1] if known[1].model_id == model_id else None


def read_calibration(path: Path) -> Calibration:
    """Read a file; raises InputError where it is something else."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        value = json.loads(data) if len(data) <= MOST_BYTES else None
        if not isinstance(value, dict) or value.get("format") != _FORMAT:
            raise ValueError(f"no format {_FORMAT}")
        if value["measure"] not in _MEASURES or not isinstance(value["model_id"], str):
            raise ValueError("an unknown measure, or no model_id")
        return Calibration(
            value["model_id"],
            value["measure"],
            CutPoints.from_json(value["cut_points"]),
            _background(value.get("background")),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"Expected cut-points of a corpus in {path.name}. Received something else: "
            f"{str(error)[:100]}. Fit them again."
        ) from error


def _background(value: Any) -> Background | None:
    if value is None:
        return None
    names = ("first", "last", "weight")
    config = NormalisationConfig(**{name: value[name] for name in names if name in value})
    if not isinstance(value["corpus"], str):
        raise ValueError("a background without the name of its corpus")
    return Background(value["corpus"], config)
