"""The report's charts: data in, inline SVG out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from promolens_training.evaluation.metrics import ReliabilityBin
from promolens_training.evaluation.unknown import UnknownResult
from promolens_training.report import svg
from promolens_training.report.content import Confusion, CurvePoint
from promolens_training.report.svg import Plot

WIDTH, HEIGHT = 480.0, 264.0
_MATRIX_PX = 800.0
_HISTOGRAM_BINS = 40


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return round values within low..high, about `count` of them."""
    if not high > low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def _tick_text(value: float, *, percent: bool) -> str:
    if percent:
        return f"{100 * value:.4g} %"
    return f"{value:.0e}" if value and abs(value) < 1e-3 else f"{value:.4g}"


def _grid(plot: Plot, ticks: Sequence[float], *, percent: bool) -> list[Markup]:
    parts = []
    for tick in ticks:
        y = plot.y(tick)
        parts.append(svg.line(plot.left, y, plot.right, y, "grid"))
        parts.append(
            svg.text(_tick_text(tick, percent=percent), plot.left - 8, y + 4, "tick", "end")
        )
    return parts


@dataclass(frozen=True)
class Series:
    """A named line; `values` has None where nothing was measured."""

    name: str
    values: tuple[float | None, ...]
    class_: str


def _points(series: Series) -> list[tuple[float, float]]:
    return [
        (float(index), value)
        for index, value in enumerate(series.values)
        if value is not None and math.isfinite(value)
    ]


def _phase_spans(phases: Sequence[str]) -> list[tuple[int, int, str]]:
    spans: list[tuple[int, int, str]] = []
    for index, phase in enumerate(phases):
        if spans and spans[-1][2] == phase:
            spans[-1] = (spans[-1][0], index, phase)
        else:
            spans.append((index, index, phase))
    return spans


def _phase_marks(plot: Plot, phases: Sequence[str]) -> list[Markup]:
    parts = []
    for number, (first, last, phase) in enumerate(_phase_spans(phases)):
        left = plot.left if first == 0 else plot.x(first - 0.5)
        right = plot.right if last == len(phases) - 1 else plot.x(last + 0.5)
        shade = "phase odd" if number % 2 else "phase"
        parts.append(svg.rect(left, plot.top, right - left, plot.height, shade, phase))
        # Only what fits between the boundaries; the hint has the rest.
        room = int((right - left) / 7)
        if room >= 3:
            shown = phase if len(phase) <= room else phase[: room - 1] + "…"
            parts.append(svg.text(shown, left + 5, plot.top + 14, "phase-name"))
    return parts


def _legend(names: Sequence[tuple[str, str]], x: float, y: float) -> list[Markup]:
    parts = []
    for name, class_ in names:
        parts.append(svg.rect(x, y - 8, 16.0, 4.0, f"swatch {class_}"))
        parts.append(svg.text(name, x + 22, y - 2, "legend"))
        x += 42 + 7.2 * len(name)
    return parts


def line_chart(
    name: str, phases: Sequence[str], series: Sequence[Series], *, percent: bool = False
) -> Markup | None:
    """Draw lines over the rows of the history, phases shaded; None where there is no value."""
    drawn = [(one, _points(one)) for one in series]
    drawn = [(one, points) for one, points in drawn if points]
    if not drawn:
        return None
    values = [value for _, points in drawn for _, value in points]
    low = min(values) if percent and min(values) > 0.5 else min(0.0, min(values))
    highest = 1.0 if percent else max(values)
    # Headroom for the names of the phases.
    top = highest + 0.1 * (highest - low)
    plot = Plot(58, 34, WIDTH - 72, HEIGHT - 66, 0, max(len(phases) - 1, 1), low, top)
    parts = _phase_marks(plot, phases) + _grid(plot, nice_ticks(low, highest), percent=percent)
    for one, points in drawn:
        parts.append(plot.path(points, f"series {one.class_}"))
        x, y = points[-1]
        parts.append(
            svg.element("circle", cx=plot.x(x), cy=plot.y(y), r=3.5, class_=f"dot {one.class_}")
        )
    parts.append(svg.text(f"{len(phases)} logged steps →", plot.right, HEIGHT - 8, "tick", "end"))
    parts += _legend([(one.name, one.class_) for one, _ in drawn], plot.left, 20)
    return svg.drawing(WIDTH, HEIGHT, name, parts)


def training_charts(points: Sequence[CurvePoint]) -> list[tuple[str, Markup]]:
    """Return the drawings that the history has figures for: loss, accuracy, learning rate."""
    phases = [point.phase for point in points]
    train, held = "one", "two"
    charts = [
        (
            "Loss",
            line_chart(
                "Loss while training",
                phases,
                [
                    Series("training", tuple(point.loss for point in points), train),
                    Series("validation", tuple(point.val_loss for point in points), held),
                ],
            ),
        ),
        (
            "Accuracy",
            line_chart(
                "Accuracy while training",
                phases,
                [
                    Series("training", tuple(point.accuracy for point in points), train),
                    Series("validation", tuple(point.val_accuracy for point in points), held),
                ],
                percent=True,
            ),
        ),
        (
            "Learning rate",
            line_chart(
                "Learning rate",
                phases,
                [Series("learning rate", tuple(p.learning_rate for p in points), "three")],
            ),
        ),
    ]
    return [(name, chart) for name, chart in charts if chart is not None]


def reliability_chart(name: str, bins: Sequence[ReliabilityBin]) -> Markup:
    """Draw accuracy over confidence, with the diagonal that a calibrated model follows.

    Blue and green together are the accuracy, blue and orange the confidence; the coloured gap is
    what ECE adds up, and the strip below shows where the photos are.
    """
    side = 250.0
    plot = Plot(58, 14, side, side, 0, 1, 0, 1)
    parts = _grid(plot, (0, 0.25, 0.5, 0.75, 1), percent=True)
    most = max((each.n for each in bins), default=1) or 1
    strip_top, strip_height = plot.bottom + 8, 34.0
    for each in bins:
        left, width = plot.x(each.low) + 0.75, (each.high - each.low) * side - 1.5
        hint = f"confidence {100 * each.low:.0f}–{100 * each.high:.0f} %: {each.n} photos"
        height = strip_height * each.n / most
        parts.append(
            svg.rect(left, strip_top + strip_height - height, width, height, "count", hint)
        )
        if each.accuracy is None or each.confidence is None:
            continue
        hint += f", {100 * each.accuracy:.1f} % right, {100 * each.confidence:.1f} % sure"
        right, sure = plot.y(each.accuracy), plot.y(each.confidence)
        both = max(right, sure)  # y grows downwards: the lower of the two heights
        parts.append(svg.rect(left, both, width, plot.bottom - both, "bar one", hint))
        gap = "gap over" if each.confidence > each.accuracy else "gap under"
        parts.append(svg.rect(left, min(right, sure), width, abs(right - sure), gap, hint))
    parts.append(svg.line(plot.x(0), plot.y(0), plot.x(1), plot.y(1), "diagonal"))
    base = strip_top + strip_height + 16
    for tick in (0.0, 0.5, 1.0):
        parts.append(svg.text(f"{100 * tick:.0f} %", plot.x(tick), base, "tick", "middle"))
    parts.append(svg.text("confidence", plot.x(0.75), base, "tick", "middle"))
    parts.append(svg.text("photos", plot.left - 8, strip_top + 20, "tick", "end"))
    return svg.drawing(plot.right + 26, base + 10, name, parts)


def score_histogram(result: UnknownResult) -> Markup:
    """Draw the scores of known photos (up) and unknown ones (down), with the threshold."""
    known, other = result.known_scores, result.unknown_scores
    low, high = _histogram_range(known, other, result.accept_at_least)
    edges = np.linspace(low, high, _HISTOGRAM_BINS + 1)
    shares = [_shares(values, edges) for values in (known, other)]
    most = max(float(share.max()) for share in shares) or 1.0
    plot = Plot(18, 44, WIDTH - 36, HEIGHT - 82, low, high, -most, most)
    parts = []
    width = plot.width / _HISTOGRAM_BINS - 1.2
    for share, sign, class_, name in zip(
        shares, (1, -1), ("one", "two"), ("known", "unknown"), strict=True
    ):
        for left, value in zip(edges[:-1], share, strict=True):
            top, bottom = sorted((plot.y(0), plot.y(sign * float(value))))
            hint = f"{name}: {100 * value:.1f} % of the photos around {left:.3g}"
            parts.append(
                svg.rect(plot.x(float(left)), top, width, bottom - top, f"bar {class_}", hint)
            )
    x = plot.x(result.accept_at_least)
    parts.append(svg.line(plot.left, plot.y(0), plot.right, plot.y(0), "axis"))
    parts.append(svg.line(x, plot.top - 8, x, plot.bottom + 2, "threshold"))
    # Near an edge a word gives way rather than leave the drawing.
    if x > 90:
        parts.append(svg.text("rejected ←", x - 6, plot.top - 2, "tick", "end"))
    if x < plot.right - 80:
        parts.append(svg.text("→ accepted", x + 6, plot.top - 2, "tick"))
    for tick in nice_ticks(low, high, 6):
        parts.append(svg.text(f"{tick:.4g}", plot.x(tick), HEIGHT - 22, "tick", "middle"))
    parts.append(svg.text(f"score ({result.score})", plot.right, HEIGHT - 5, "tick", "end"))
    names = [(f"known ({result.n_known})", "one"), (f"unknown ({result.n_unknown})", "two")]
    return svg.drawing(WIDTH, HEIGHT, "Scores of known and unknown photos",
                       parts + _legend(names, plot.left, 18))  # fmt: skip


def _histogram_range(
    known: NDArray[np.float64], other: NDArray[np.float64], threshold: float
) -> tuple[float, float]:
    values = np.concatenate([known, other, [threshold]])
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _shares(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    counts = np.histogram(values, edges)[0].astype(np.float64)
    return counts / max(len(values), 1)


def _shortened(name: str, length: int = 26) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"


def _matrix_order(confusion: Confusion) -> list[int]:
    parents = confusion.parents or (None,) * len(confusion.names)
    # Siblings side by side: the confusions that matter gather along the diagonal.
    return sorted(range(len(confusion.names)), key=lambda index: (parents[index] or "", index))


def confusion_chart(confusion: Confusion) -> Markup:
    """Draw the confusion matrix with siblings side by side; empty cells stay empty."""
    order = _matrix_order(confusion)
    count = len(order)
    cell = min(26.0, _MATRIX_PX / max(count, 1))
    # Names stay legible down to here; with more classes only the hints on hovering tell.
    named = cell >= 7.5
    font_px = min(11.5, 0.95 * cell)
    margin = 190.0 if named else 30.0
    size = cell * count
    totals = confusion.matrix.sum(axis=1)
    parts = [svg.rect(margin, 24.0, size, size, "matrix")]
    for row, actual in enumerate(order):
        y = 24 + row * cell
        if named:
            name = _shortened(confusion.names[actual])
            parts.append(
                svg.text(name, margin - 6, y + cell / 2 + 0.35 * font_px, "tick", "end", font_px)
            )
        for column, said in enumerate(order):
            n = int(confusion.matrix[actual, said])
            if n:
                parts.append(
                    _matrix_cell(
                        margin + column * cell,
                        y,
                        cell,
                        n / int(totals[actual]),
                        right=actual == said,
                        hint=_cell_hint(confusion, actual, said, n, int(totals[actual])),
                    )
                )
    parts += _family_lines(confusion, order, margin, cell)
    parts.append(svg.text("what the model says →", margin, 16, "tick"))
    parts.append(svg.text("↓ what it is", margin - 6, 16, "tick", "end" if named else "start"))
    # A matrix of few classes must not be blown up to the page's width.
    width = max(margin + size + 4, 900.0)
    return svg.drawing(width, size + 30, "Confusion matrix", parts)


def _family_lines(
    confusion: Confusion, order: Sequence[int], margin: float, cell: float
) -> list[Markup]:
    if not confusion.parents:
        return []
    size = cell * len(order)
    parts = []
    for place in range(1, len(order)):
        if confusion.parents[order[place]] != confusion.parents[order[place - 1]]:
            at = place * cell
            parts.append(svg.line(margin + at, 24.0, margin + at, 24 + size, "family"))
            parts.append(svg.line(margin, 24 + at, margin + size, 24 + at, "family"))
    return parts


def _cell_hint(confusion: Confusion, actual: int, said: int, n: int, total: int) -> str:
    return f"{confusion.names[actual]} → {confusion.names[said]}: {n} of {total}"


def _matrix_cell(
    x: float, y: float, cell: float, share: float, *, right: bool, hint: str
) -> Markup:
    class_ = "cell right" if right else "cell wrong"
    # A single mistake must still be seen.
    opacity = 0.25 + 0.75 * share
    inset = 0.5 if cell > 4 else 0.0
    side = cell - 2 * inset
    return svg.rect(x + inset, y + inset, side, side, class_, hint, fill_opacity=opacity)
