"""The scripts, styles and the typeface that stand-in pages load."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from promolens_demo.fonts import font_path
from promolens_runtime.errors import MissingError

_FOLDER = Path(__file__).parent / "static"
_TYPEFACE = "/css/standin.ttf"
_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript"}


@lru_cache(maxsize=1)
def _files() -> dict[str, Path]:
    """Map the addresses to files: nothing that a visitor writes becomes a path."""
    return {
        f"/{file.suffix[1:]}/{file.name}": file
        for file in _FOLDER.iterdir()
        if file.suffix in _MEDIA_TYPES
    }


@lru_cache(maxsize=32)
def static_file(address: str) -> tuple[bytes, str] | None:
    """Return the bytes and media type at `/css/...` or `/js/...`; `None` where nothing is."""
    if address == _TYPEFACE:
        try:
            return font_path("nanum-gothic").read_bytes(), "font/ttf"
        except MissingError:
            return None
    file = _files().get(address)
    return (file.read_bytes(), _MEDIA_TYPES[file.suffix]) if file else None
