"""The report's drawings as inline SVG; colours are CSS classes, so light and dark apply."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

from promolens_catalog.calendar import korean_day
from promolens_catalog.kinds import KINDS, Kind
from promolens_catalog.snapshots import Snapshot

WIDTH, HEIGHT = 640.0, 170.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 8.0, 12.0, 24.0
_MAX_BAR = 26.0


def counts_chart(history: Sequence[Snapshot], label: str) -> Markup:
    """Draw rows of each snapshot over time, oldest left, one bar each, parted by kind."""
    top = nice_top(max((one.row_count for one in history), default=0))
    base = HEIGHT - _BOTTOM
    step = (WIDTH - _LEFT - _RIGHT) / max(1, len(history))
    parts = [_grid(value, base, top) for value in (0, top // 2, top)]
    for place, one in enumerate(history):
        x = _LEFT + (place + 0.5) * step
        parts.append(_bar(one, x, min(_MAX_BAR, 0.72 * step), base, top))
        if place % max(1, math.ceil(len(history) / 9)) == 0:
            day = f"{korean_day(one.crawled_at):%m-%d}"
            parts.append(_element("text", day, x=x, y=HEIGHT - 8, class_="mid"))
    drawing = Markup("").join(parts)
    return _element(
        "svg",
        drawing,
        viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}",
        role="img",
        aria_label=label,
        class_="chart",
    )


def kinds_bar(by_kind: Mapping[str, int], label: str) -> Markup:
    """Draw the share of each kind as one bar."""
    total = sum(by_kind.values())
    x, parts = 0.0, []
    for kind, count in _ordered(by_kind):
        width = 100.0 * count / max(1, total)
        hint = _element("title", f"{KINDS[kind].name_ko}: {count}")
        parts.append(_element("rect", hint, x=x, y=0.0, width=width, height=8.0, class_=css(kind)))
        x += width
    return _element(
        "svg",
        Markup("").join(parts),
        viewBox="0 0 100 8",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
        class_="kinds",
    )


def css(kind: Kind) -> str:
    """Return the CSS class of a kind: `k-1p1`, `k-gift`."""
    return "k-" + kind.replace("+", "p")


def nice_top(most: int) -> int:
    """Return an even round number that is at least `most`: where the axis ends."""
    if most <= 10:
        return 10
    power = 10 ** int(math.log10(most))
    return next(int(f * power) for f in (1, 2, 4, 6, 8, 10) if f * power >= most)


def _ordered(by_kind: Mapping[str, int]) -> list[tuple[Kind, int]]:
    return [(kind, by_kind[kind]) for kind in Kind if by_kind.get(kind)]


def _bar(one: Snapshot, x: float, width: float, base: float, top: int) -> Markup:
    scale = (base - _TOP) / top
    y, parts = base, []
    for kind, count in _ordered(one.by_kind):
        height = count * scale
        y -= height
        parts.append(
            _element("rect", x=x - width / 2, y=y, width=width, height=height, class_=css(kind))
        )
    when = f"{one.crawled_at:%Y-%m-%d %H:%M} UTC"
    hint = f"{when}: {one.row_count} ({one.state}, {one.id})"
    frame = _element(
        "rect",
        x=x - width / 2 - 1,
        y=y - 1,
        width=width + 2,
        height=base - y + 1,
        class_="frame",
    )
    inside = [_element("title", hint), *parts, frame]
    return _element("g", Markup("").join(inside), class_=f"bar s-{one.state}")


def _grid(value: int, base: float, top: int) -> Markup:
    y = base - (base - _TOP) * value / top
    line = _element("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=y, y2=y, class_="grid")
    return line + _element("text", f"{value:,}", x=_LEFT - 6, y=y + 4, class_="end")


def _element(tag: str, content: object = "", **attributes: object) -> Markup:
    """Return one element; `_` in attribute names becomes `-`, all values are escaped."""
    pairs = "".join(
        f' {name.rstrip("_").replace("_", "-")}="'
        f'{escape(f"{value:.2f}" if isinstance(value, float) else value)}"'
        for name, value in attributes.items()
    )
    return Markup(f"<{tag}{pairs}>{escape(content)}</{tag}>")  # noqa: S704 - all parts escaped
