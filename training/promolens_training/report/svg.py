"""The few SVG shapes that the charts are made of; colours are CSS classes, so themes apply."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup, escape


def number(value: float) -> str:
    """Write a coordinate with at most two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def element(tag: str, content: object = "", **attributes: object) -> Markup:
    """Return one element; `_` in attribute names becomes `-`, and all values are escaped."""
    pairs = "".join(
        f' {name.rstrip("_").replace("_", "-")}="'
        f'{escape(number(value) if isinstance(value, float) else value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{tag}{pairs}>{escape(content)}</{tag}>")  # noqa: S704 - all parts escaped


def joined(parts: Iterable[Markup]) -> Markup:
    """Put elements one after the other."""
    return Markup("").join(parts)


def title(text: str) -> Markup:
    """Return the hint that a browser shows on hovering."""
    return element("title", text)


def text(
    content: str,
    x: float,
    y: float,
    class_: str = "",
    anchor: str = "start",
    font_px: float | None = None,
) -> Markup:
    """Return a line of text whose baseline starts (or ends, or is centred) at x, y."""
    style = None if font_px is None else f"font-size:{number(font_px)}px"
    return element(
        "text", content, x=x, y=y, class_=class_ or None, text_anchor=anchor, style=style
    )


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """Return a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def rect(
    x: float, y: float, width: float, height: float, class_: str, hint: str = "", **more: object
) -> Markup:
    """Return a rectangle, with a hint on hovering where one is given."""
    content = title(hint) if hint else ""
    return element(
        "rect", content, x=x, y=y, width=width, height=max(height, 0.0), class_=class_, **more
    )


def drawing(width: float, height: float, label: str, parts: Iterable[Markup]) -> Markup:
    """Return a whole drawing that scales with the page; `label` is for screen readers."""
    return element(
        "svg",
        joined(parts),
        viewBox=f"0 0 {number(width)} {number(height)}",
        role="img",
        aria_label=label,
        class_="chart",
    )


@dataclass(frozen=True)
class Plot:
    """A rectangle of the drawing that shows x in x0..x1 and y in y0..y1."""

    left: float
    top: float
    width: float
    height: float
    x0: float
    x1: float
    y0: float
    y1: float

    def x(self, value: float) -> float:
        """Return the drawing's x of a value."""
        return self.left + (value - self.x0) / ((self.x1 - self.x0) or 1.0) * self.width

    def y(self, value: float) -> float:
        """Return the drawing's y of a value (it grows downwards)."""
        return self.top + (self.y1 - value) / ((self.y1 - self.y0) or 1.0) * self.height

    @property
    def right(self) -> float:
        """The right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.top + self.height

    def path(self, points: Iterable[tuple[float, float]], class_: str) -> Markup:
        """Return a line through points."""
        places = " ".join(f"{number(self.x(x))},{number(self.y(y))}" for x, y in points)
        return element("polyline", points=places, class_=class_)
