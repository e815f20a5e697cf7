"""Examines one picture file: its bytes, its header, its pixels; what training would do with it."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from promolens_runtime.errors import ImageError
from promolens_runtime.exif import orientation
from promolens_runtime.images import DECODING_ERRORS, DEFAULT_LIMITS, load_rgb
from promolens_training.data.findings import Finding, found
from promolens_training.data.fingerprints import Fingerprint, fingerprint

TINY_PX = 64
_FINGERPRINT_PX = 192

_MAGIC: tuple[tuple[bytes, str, type[ImageFile.ImageFile]], ...] = (
    (b"\xff\xd8\xff", "JPEG", JpegImagePlugin.JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", "PNG", PngImagePlugin.PngImageFile),
    (b"RIFF", "WebP", WebPImagePlugin.WebPImageFile),
    (b"BM", "BMP", BmpImagePlugin.BmpImageFile),
    (b"GIF8", "GIF", GifImagePlugin.GifImageFile),
    (b"II*\0", "TIFF", TiffImagePlugin.TiffImageFile),
    (b"MM\0*", "TIFF", TiffImagePlugin.TiffImageFile),
)
_SUFFIXES = {
    "JPEG": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "WebP": (".webp",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
}
_EXIF_IFD, _EXIF_WIDTH, _EXIF_HEIGHT = 0x8769, 0xA002, 0xA003


@dataclass(frozen=True)
class FileFacts:
    """What is known of one file.

    Attributes:
        sha256: of the bytes, hexadecimal; "" where the file cannot be read.
        size_px: width and height as stored, (0, 0) where unknown.
        upright_px: width and height once decoded and turned upright, (0, 0) where that fails.
        findings: of this file alone.
        look: None where the picture cannot be decoded.
    """

    path: Path
    sha256: str
    size_bytes: int
    size_px: tuple[int, int]
    upright_px: tuple[int, int]
    findings: tuple[Finding, ...]
    look: Fingerprint | None


@dataclass(frozen=True)
class _Header:
    format: str
    size_px: tuple[int, int]
    mode: str
    frames: int
    has_alpha: bool
    is_sixteen_bit: bool
    orientation: int
    is_turned_twice: bool


def _is_turned_twice(image: Image.Image, turn: int) -> bool:
    """Say whether a program turned the pixels but left the tag that says to turn them.

    The camera notes its sensor's width and height in EXIF; turned pixels have them swapped.
    """
    if turn < 5:
        return False
    try:
        camera: Any = image.getexif().get_ifd(_EXIF_IFD)
        size = (camera.get(_EXIF_WIDTH), camera.get(_EXIF_HEIGHT))
    except DECODING_ERRORS:
        return False
    return size != image.size and size == image.size[::-1]


def _read_header(data: bytes) -> _Header | None:
    """Read the header without decoding pixels; None where there is none we know."""
    for magic, name, opener in _MAGIC:
        if not data.startswith(magic):
            continue
        try:
            with opener(io.BytesIO(data)) as image:
                exif = image.info.get("exif", b"")
                turn = orientation(exif) if isinstance(exif, bytes) else 1
                return _Header(
                    format=name,
                    size_px=image.size,
                    mode=image.mode,
                    frames=int(getattr(image, "n_frames", 1)),
                    has_alpha=image.has_transparency_data,
                    is_sixteen_bit=image.mode.startswith(("I", "F"))
                    or (name == "PNG" and data[24:25] == b"\x10"),
                    orientation=turn,
                    is_turned_twice=_is_turned_twice(image, turn),
                )
        except DECODING_ERRORS:
            return None
    return None


def _is_cut(data: bytes, name: str) -> bool:
    """Say whether the end that the format promises is missing."""
    if name == "JPEG":
        return b"\xff\xd9" not in data[-64:]
    if name == "PNG":
        return b"IEND" not in data[-64:]
    return name == "WebP" and int.from_bytes(data[4:8], "little") + 8 > len(data)


def _why_refused(data: bytes, header: _Header | None) -> str:
    """Return the code of the finding for a file that reading refuses."""
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"avif"):
        return "format"
    if header is None:
        return "unreadable"
    width, height = header.size_px
    limits = DEFAULT_LIMITS
    is_long = max(width, height) > limits.max_side_px
    tests = (
        ("too-large", is_long or width * height > limits.max_pixels),
        ("animated", header.frames > 1),
        ("format", header.format in ("GIF", "TIFF")),
        ("cmyk", header.mode == "CMYK"),
        ("sixteen-bit", header.is_sixteen_bit),
        ("truncated", _is_cut(data, header.format)),
    )
    return next((code for code, is_so in tests if is_so), "unreadable")


def _remarks(path: Path, header: _Header) -> list[Finding]:
    """Return what is worth saying about a picture that can be read."""
    here = (path,)
    width, height = header.size_px
    remarks = []
    if min(width, height) < TINY_PX:
        remarks.append(found("tiny", f"{width} x {height} px", here))
    if header.has_alpha:
        remarks.append(found("alpha", f"{header.format} with transparency", here))
    if header.is_turned_twice:
        remarks.append(
            found("turned-twice", f"{width} x {height} px, EXIF {header.orientation}", here)
        )
    elif header.orientation != 1:
        remarks.append(found("exif-turned", f"EXIF orientation {header.orientation}", here))
    if path.suffix.lower() not in _SUFFIXES[header.format]:
        remarks.append(found("suffix", f"{header.format} called {path.suffix}", here))
    return remarks


def _refused(path: Path, data: bytes, header: _Header | None, error: ImageError) -> FileFacts:
    size_px = header.size_px if header else (0, 0)
    code = _why_refused(data, header)
    finding = found(code, str(error), (path,))
    digest = hashlib.sha256(data).hexdigest()
    return FileFacts(path, digest, len(data), size_px, (0, 0), (finding,), None)


def examine_file(path: Path) -> FileFacts:
    """Examine one file; nothing about it raises.

    `promolens_runtime.images.load_rgb` decides what is an error, so the doctor and training
    cannot disagree; JPEG files are decoded at a fraction of their size, but to their last byte.
    """
    try:
        size_bytes = path.stat().st_size
        if size_bytes > DEFAULT_LIMITS.max_bytes:
            message = f"{size_bytes:,} bytes (at most {DEFAULT_LIMITS.max_bytes:,})"
            finding = found("too-large", message, (path,))
            return FileFacts(path, "", size_bytes, (0, 0), (0, 0), (finding,), None)
        data = path.read_bytes()
    except OSError as error:
        finding = found("unreadable", error.strerror or type(error).__name__, (path,))
        return FileFacts(path, "", 0, (0, 0), (0, 0), (finding,), None)
    header = _read_header(data)
    try:
        rgb = load_rgb(data, min_short_px=_FINGERPRINT_PX)
    except ImageError as error:
        return _refused(path, data, header, error)
    width, height = header.size_px if header else (rgb.shape[1], rgb.shape[0])
    is_swapped = header is not None and header.orientation >= 5
    return FileFacts(
        path=path,
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        size_px=(width, height),
        upright_px=(height, width) if is_swapped else (width, height),
        findings=tuple(_remarks(path, header)) if header else (),
        look=fingerprint(rgb),
    )
