"""The variants side by side: what each costs in bytes, in accuracy and in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promolens_export.latency import interleaved, tflite_engine
from promolens_training.data.photos import ProductClass
from promolens_training.evaluation.calibration import fit_temperature
from promolens_training.evaluation.evaluate import evaluate
from promolens_training.evaluation.metrics import agreement, ece
from promolens_training.evaluation.predictions import Predictions

FLOAT = "float32"
HEADER = (
    "variant", "MB", "top-1", "95 % interval", "agrees with float", "won/lost",
    "calibration shift", "1 thread ms", "2 threads ms",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One variant.

    Attributes:
        size_bytes: of the file without metadata.
        top1, top1_interval: on the n evaluation photos.
        agreement: share of photos with the same first answer as float32; `won` and `lost` are the
            photos where only this variant, or only float32, is right.
        ece_shift: expected calibration error minus float32's, both with the temperature that fits
            float32: how far quantisation alone moves the confidences.
        latency_1t_ms, latency_2t_ms: medians on this machine with 1 and 2 threads.
    """

    variant: str
    size_bytes: int
    n: int
    top1: float
    top1_interval: tuple[float, float]
    agreement: float
    won: int
    lost: int
    ece_shift: float
    latency_1t_ms: float
    latency_2t_ms: float

    def to_json(self) -> dict[str, Any]:
        """Return the row as plain JSON types."""
        return {**asdict(self), "top1_interval": list(self.top1_interval)}


def compare(
    files: Mapping[str, bytes],
    predictions: Mapping[str, Predictions],
    classes: Sequence[ProductClass],
    picture: NDArray[np.uint8],
    rounds: int = 10,
) -> tuple[Row, ...]:
    """Compare the variants on the same photos; `predictions` and `files` both hold float32.

    `picture` uint8 `[px, px, 3]` is what the latency is measured on.
    """
    engines = {
        f"{name} {threads}": tflite_engine(data, picture, threads)
        for name, data in files.items()
        for threads in (1, 2)
    }
    timings = interleaved(engines, rounds=rounds)
    base = predictions[FLOAT]
    temperature = fit_temperature(base.logits, base.labels)
    base_ece = ece(base.logits, base.labels, temperature)
    rows = []
    for name, data in files.items():
        here = predictions[name]
        figures = evaluate(here, classes)
        same = agreement(base.logits, here.logits, here.labels, here.sources)
        rows.append(
            Row(
                variant=name,
                size_bytes=len(data),
                n=figures.n,
                top1=figures.top1,
                top1_interval=figures.top1_interval,
                agreement=same.rate,
                won=same.won,
                lost=same.lost,
                ece_shift=ece(here.logits, here.labels, temperature) - base_ece,
                latency_1t_ms=timings[f"{name} 1"].median_ms,
                latency_2t_ms=timings[f"{name} 2"].median_ms,
            )
        )
    return tuple(rows)


def cells(row: Row) -> tuple[str, ...]:
    """Return the row as text, in the order of `HEADER`."""
    low, high = row.top1_interval
    return (
        row.variant,
        f"{row.size_bytes / 1e6:.2f}",
        f"{row.top1:.1%}",
        f"{low:.1%} to {high:.1%}",
        f"{row.agreement:.1%}",
        f"{row.won}/{row.lost}",
        f"{row.ece_shift:+.3f}",
        f"{row.latency_1t_ms:.1f}",
        f"{row.latency_2t_ms:.1f}",
    )


def text_table(rows: Sequence[Row]) -> str:
    """Return the table for a terminal, columns aligned."""
    lines = [HEADER, *(cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def markdown_table(rows: Sequence[Row]) -> str:
    """Return the table in Markdown."""
    bars = ["---", *["---:"] * (len(HEADER) - 1)]
    lines = [HEADER, bars, *(cells(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
