"""Reads the training curves."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from promolens_runtime.errors import InputError
from promolens_training.report.content import CurvePoint

FIGURES = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds")


def _figure(row: dict[str, str | None], name: str) -> float | None:
    text = (row.get(name) or "").strip()
    try:
        value = float(text) if text else None
    except ValueError:
        return None
    return value if value is None or math.isfinite(value) else None


def read_history(path: Path) -> tuple[CurvePoint, ...]:
    """Read history.csv (phase, epoch, step and the figures above; any cell may be empty).

    Raises:
        InputError: the file cannot be read as UTF-8 CSV.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"Expected training curves in {path}. Received: {error}. Train again."
        ) from error
    return tuple(
        CurvePoint(row.get("phase") or "", **{name: _figure(row, name) for name in FIGURES})
        for row in rows
    )
