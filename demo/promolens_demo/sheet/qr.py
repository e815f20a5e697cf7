"""QR codes (ISO/IEC 18004) of addresses: for a terminal, and for a page."""

from __future__ import annotations

from io import BytesIO

import segno

from promolens_runtime.errors import InputError

# Readers want four light modules around the code.
_QUIET_MODULES = 4
_MAX_CHARACTERS = 300
# Upper and lower half of one character; a set half is light.
_HALVES = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}
_WHITE_ON_BLACK = "\x1b[97;40m"
_PLAIN = "\x1b[0m"


def qr_svg(text: str) -> bytes:
    """Return the code as an SVG picture that scales; `InputError` for over 300 characters."""
    buffer = BytesIO()
    _code(text).save(
        buffer, kind="svg", border=_QUIET_MODULES, light="#ffffff", omitsize=True, xmldecl=False
    )
    return buffer.getvalue()


def qr_lines(text: str, *, colours: bool) -> list[str]:
    """Return the code as lines of half blocks, light modules drawn.

    Args:
        colours: say white on black, so that a light terminal does not turn it inside out.

    Raises:
        InputError: over 300 characters.
    """
    light = [[not module for module in row] for row in _code(text).matrix_iter(1, _QUIET_MODULES)]
    if len(light) % 2:
        light.append([False] * len(light[0]))
    lines = [
        "".join(_HALVES[pair] for pair in zip(upper, lower, strict=True))
        for upper, lower in zip(light[::2], light[1::2], strict=True)
    ]
    return [f"{_WHITE_ON_BLACK}{line}{_PLAIN}" for line in lines] if colours else lines


def _code(text: str) -> segno.QRCode:
    if not 1 <= len(text) <= _MAX_CHARACTERS:
        raise InputError(
            f"Expected 1 to {_MAX_CHARACTERS} characters for a QR code. Received {len(text)}. "
            "Give a shorter address."
        )
    return segno.make_qr(text, error="m")
