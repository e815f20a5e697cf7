"""Pictures from files or bytes to upright 8-bit RGB, within limits checked before decoding."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import BmpImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from promolens_runtime.errors import ImageError
from promolens_runtime.exif import upright

Pixels = NDArray[np.uint8]

DECODING_ERRORS = (
    OSError, SyntaxError, ValueError, EOFError, MemoryError, OverflowError,
    IndexError, TypeError, KeyError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip


@dataclass(frozen=True)
class ImageLimits:
    """What a picture may cost.

    Attributes:
        max_bytes: of the compressed file.
        max_pixels: width x height as the header says, before any decoding.
        max_side_px: of the longer side.
    """

    max_bytes: int = 64 * 1024 * 1024
    max_pixels: int = 50_000_000
    max_side_px: int = 20_000


DEFAULT_LIMITS = ImageLimits()


def load_rgb(
    source: Path | bytes, *, min_short_px: int | None = None, limits: ImageLimits = DEFAULT_LIMITS
) -> Pixels:
    """Decode a JPEG, PNG, WebP or BMP picture to uint8 [h, w, 3], upright sRGB, alpha over white.

    No colour profile is applied. `min_short_px` lets the JPEG decoder work at 1/2, 1/4 or 1/8 of
    the size as long as the short side keeps at least that many pixels.

    Raises ImageError for what is not such a picture: other formats, truncated, CMYK, 16 bits per
    channel, animated, or beyond `limits` (which are checked on the header, before decoding).
    """
    return np.asarray(open_rgb(source, min_short_px=min_short_px, limits=limits))


def open_rgb(
    source: Path | bytes, *, min_short_px: int | None = None, limits: ImageLimits = DEFAULT_LIMITS
) -> Image.Image:
    """As `load_rgb`, but returns Pillow's picture (mode "RGB"), which saves a copy."""
    name = str(source) if isinstance(source, Path) else "the picture"
    data = _read(source, limits) if isinstance(source, Path) else source
    _check_bytes(len(data), name, limits)
    try:
        image = _opener(data, name)(io.BytesIO(data))
        _check_header(image, data, name, limits)
        if min_short_px is not None and isinstance(image, JpegImagePlugin.JpegImageFile):
            image.draft(None, (min_short_px, min_short_px))
        image.load()
        exif = image.info.get("exif", b"")
        return upright(_flat_rgb(image), exif if isinstance(exif, bytes) else b"")
    except DECODING_ERRORS as error:
        raise ImageError(
            f"Expected a whole JPEG, PNG, WebP or BMP picture. Received {name}, which cannot be "
            f"decoded ({_one_line(error)}). Save it again or leave it out."
        ) from error


def _read(path: Path, limits: ImageLimits) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(limits.max_bytes + 1)
    except OSError as error:
        raise ImageError(
            f"Expected a readable picture file. Received {path} ({error.strerror}). "
            "Check the path and its permissions."
        ) from error


def _check_bytes(size_bytes: int, name: str, limits: ImageLimits) -> None:
    if size_bytes == 0:
        raise ImageError(f"Expected a picture. Received {name} of 0 bytes. Leave it out.")
    if size_bytes > limits.max_bytes:
        raise ImageError(
            f"Expected a picture of at most {limits.max_bytes} bytes. Received {name}, which is "
            "larger. Save it smaller."
        )


def _opener(data: bytes, name: str) -> type[ImageFile.ImageFile]:
    # Pillow's classes are called directly: Image.open would try every plugin, warn through global
    # state before our own limits speak, and parse the extra pictures in phones' JPEG files.
    if data[:3] == b"\xff\xd8\xff":
        return JpegImagePlugin.JpegImageFile
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return PngImagePlugin.PngImageFile
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return WebPImagePlugin.WebPImageFile
    if data[:2] == b"BM":
        return BmpImagePlugin.BmpImageFile
    raise ImageError(
        f"Expected a JPEG, PNG, WebP or BMP picture. Received {name}, which starts with "
        f"{data[:4].hex(' ')}. Convert it or leave it out."
    )


def _check_header(image: ImageFile.ImageFile, data: bytes, name: str, limits: ImageLimits) -> None:
    width, height = image.size
    if width * height > limits.max_pixels or max(width, height) > limits.max_side_px:
        raise ImageError(
            f"Expected at most {limits.max_pixels} pixels and {limits.max_side_px} px a side. "
            f"Received {name} of {width} x {height}. Scale it down."
        )
    if getattr(image, "n_frames", 1) > 1:
        raise ImageError(
            f"Expected a still picture. Received {name}, an animation. Save one frame of it."
        )
    if image.mode == "CMYK":
        raise ImageError(
            f"Expected RGB or grey pixels. Received {name} in CMYK (print colours). "
            "Convert it to sRGB."
        )
    sixteen_bit_png = data[:4] == b"\x89PNG" and data[24] == 16
    if sixteen_bit_png or image.mode.startswith(("I", "F")):
        raise ImageError(
            f"Expected 8 bits per channel. Received {name} with 16. Convert it to 8 bits."
        )


def _flat_rgb(image: Image.Image) -> Image.Image:
    """Return mode RGB; transparent pixels show white: (fg * a + 255 * (255 - a)) / 255, rounded."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if not image.has_transparency_data:
        return image.convert("RGB")
    rgba = image.convert("RGBA")
    white = Image.new("RGB", rgba.size, (255, 255, 255))
    white.paste(rgba.convert("RGB"), mask=rgba.getchannel("A"))
    return white


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
