"""A barcode as an SVG picture, with the quiet zones that readers need."""

from __future__ import annotations

from itertools import groupby

from promolens_demo.barcodes import ean13_modules

# GS1 General Specifications, 5.2.3.4: 11 light modules on the left, 7 on the right.
_LEFT_MODULES, _RIGHT_MODULES = 11, 7
_HIGH_MODULES = 60
_GUARD_MODULES = 5
# Positions of the guard bars, which reach further down than the others.
_GUARDS = frozenset((*range(3), *range(45, 50), *range(92, 95)))


def ean13_svg(code: str) -> bytes:
    """Return the symbol of an EAN-13 code (13 digits with the right check digit)."""
    bars = []
    place = 0
    for module, run in groupby(ean13_modules(code)):
        wide = len(list(run))
        if module == "1":
            high = _HIGH_MODULES + (_GUARD_MODULES if place in _GUARDS else 0)
            bars.append(f"M{_LEFT_MODULES + place} 0h{wide}v{high}h-{wide}z")
        place += wide
    wide = _LEFT_MODULES + place + _RIGHT_MODULES
    high = _HIGH_MODULES + _GUARD_MODULES + 6
    left, middle, right = code[0], code[1:7], code[7:]
    y = high - 1
    digits = "".join(
        f'<text x="{x}" y="{y}" textLength="{length}">{text}</text>'
        for x, length, text in ((2, 6, left), (15, 40, middle), (61, 40, right))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}">'
        f'<rect width="{wide}" height="{high}" fill="#fff"/>'
        f'<path d="{"".join(bars)}" shape-rendering="crispEdges"/>'
        f'<g font-family="monospace" font-size="10">{digits}</g></svg>'
    ).encode()
