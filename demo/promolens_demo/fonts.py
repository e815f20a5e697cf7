"""Free Korean typefaces (SIL Open Font License), found inside two wheels.

The files are read where they lie: importing `koreanize_matplotlib` would import Matplotlib, so the
module is looked up and never executed.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

from promolens_runtime.errors import MissingError

FACES = {
    "nanum-gothic": ("koreanize_matplotlib", "fonts/NanumGothic.ttf"),
    "nanum-gothic-light": ("koreanize_matplotlib", "fonts/NanumGothicLight.ttf"),
    "nanum-gothic-bold": ("koreanize_matplotlib", "fonts/NanumGothicBold.ttf"),
    "nanum-gothic-extrabold": ("koreanize_matplotlib", "fonts/NanumGothicExtraBold.ttf"),
    "noto-serif": ("pylopdf_fonts_ko", "NotoSerifKR-Regular.otf"),
    "noto-sans": ("pylopdf_fonts_ko", "NotoSansKR-Regular.otf"),
}
# A print run is the typeface that a batch of packages is printed with. Test photos show a run that
# no training photo and no catalogue picture shows, so that reading a font is not recognising.
PRINT_RUNS = {
    "train": (
        "nanum-gothic",
        "nanum-gothic-light",
        "nanum-gothic-bold",
        "nanum-gothic-extrabold",
        "noto-serif",
    ),
    "test": ("noto-sans",),
}
CATALOGUE_RUN = "nanum-gothic-extrabold"


def font_path(face: str) -> Path:
    """Return the file of a face of `FACES`.

    Raises:
        MissingError: the wheel that carries it is not installed.
    """
    module, file = FACES[face]
    spec = importlib.util.find_spec(module)
    places = spec.submodule_search_locations if spec else None
    path = Path(next(iter(places)), file) if places else None
    if path is None or not path.is_file():
        raise MissingError(
            f"Expected the typeface {Path(file).name} in the Python package "
            f"{module.replace('_', '-')}. Received none: it is not installed. "
            'Run: pip install "promolens[demo]".'
        )
    return path


def require_fonts() -> None:
    """Check that every face is here, before hours of drawing rather than in the middle.

    Raises:
        MissingError: a face is missing.
    """
    for face in FACES:
        font_path(face)


@lru_cache(maxsize=256)
def load_font(face: str, size_px: int) -> ImageFont.FreeTypeFont:
    """Open a face at a size; basic layout, so that a missing text shaper changes no pixel."""
    return ImageFont.truetype(str(font_path(face)), size_px, layout_engine=ImageFont.Layout.BASIC)
