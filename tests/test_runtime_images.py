"""Pictures become upright RGB within limits, or one clear line."""

from __future__ import annotations

import io
import random
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from promolens_runtime.errors import ImageError
from promolens_runtime.exif import orientation
from promolens_runtime.images import ImageLimits, load_rgb


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient(width: int = 40, height: int = 30) -> Image.Image:
    y, x = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([x * 6, y * 8, x + y], 2).astype(np.uint8))


def refused(data: bytes | Path, *words: str, **options: Any) -> None:
    with pytest.raises(ImageError) as caught:
        load_rgb(data, **options)
    text = str(caught.value)
    assert "\n" not in text
    assert all(word in text for word in ("Expected", "Received", *words)), text


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP"])
def test_lossless_formats_give_the_same_pixels(kind: str) -> None:
    data = encoded(gradient(), kind, **({"lossless": True} if kind == "WEBP" else {}))
    assert np.array_equal(load_rgb(data), np.asarray(gradient()))


def test_file_and_bytes_give_the_same_pixels(tmp_path: Path) -> None:
    path = tmp_path / "사진 1.jpg"
    path.write_bytes(encoded(gradient(), "JPEG"))
    assert np.array_equal(load_rgb(path), load_rgb(path.read_bytes()))


@pytest.mark.parametrize("mode", ["L", "1", "P"])
def test_grey_and_palette_become_rgb(mode: str) -> None:
    picture = gradient().convert(mode)
    assert np.array_equal(load_rgb(encoded(picture, "PNG")), np.asarray(picture.convert("RGB")))


def test_every_alpha_blends_over_white_with_exact_rounding() -> None:
    foreground, alpha = np.meshgrid(np.arange(256), np.arange(256))
    pixels = np.stack([foreground] * 3 + [alpha], 2).astype(np.uint8)
    over = (2 * (foreground * alpha + 255 * (255 - alpha)) + 255) // 510
    loaded = load_rgb(encoded(Image.fromarray(pixels), "PNG"))
    assert np.array_equal(loaded, np.repeat(over[..., None], 3, 2))


def test_palette_transparency_shows_white() -> None:
    picture = Image.new("P", (4, 4), 0)
    picture.putpalette([10, 20, 30] * 256)
    assert (load_rgb(encoded(picture, "PNG", transparency=0)) == 255).all()


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_exif_orientation_is_applied(turn: int, kind: str) -> None:
    # EXIF 2.3, 4.6.4: where row 0 and column 0 of the stored picture belong.
    stored = np.asarray(gradient())
    back = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: stored.transpose(1, 0, 2)[:, ::-1],
        7: stored.transpose(1, 0, 2)[::-1, ::-1],
        8: stored.transpose(1, 0, 2)[::-1],
    }[turn]
    exif = Image.Exif()
    exif[0x0112] = turn
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    assert np.array_equal(load_rgb(encoded(gradient(), kind, exif=exif, **options)), back)


def test_exif_turns_a_jpeg() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert load_rgb(encoded(gradient(40, 30), "JPEG", exif=exif)).shape == (40, 30, 3)


@given(st.binary(max_size=80) | st.binary(max_size=60).map(lambda b: b"II*\0\x08\0\0\0" + b))
def test_damaged_exif_never_fails(data: bytes) -> None:
    assert orientation(data) in range(1, 9)


def test_first_picture_of_a_phones_multi_picture_jpeg() -> None:
    red, blue = Image.new("RGB", (64, 48), (200, 10, 10)), Image.new("RGB", (64, 48), (10, 10, 200))
    loaded = load_rgb(encoded(red, "MPO", save_all=True, append_images=[blue]))
    assert loaded.shape == (48, 64, 3)
    assert loaded[0, 0, 0] > 150 > loaded[0, 0, 2]


@pytest.mark.parametrize(
    ("size", "least", "expected"),
    [
        ((4032, 3024), 448, (1008, 756)),  # 1/4 keeps 756; 1/8 would leave 378
        ((3584, 4000), 448, (448, 500)),  # 1/8 keeps exactly 448
        ((3583, 4000), 448, (896, 1000)),  # one pixel less: 1/8 would round up to 448, is not used
        ((895, 900), 448, (895, 900)),
        ((348, 348), 448, (348, 348)),
    ],
)
def test_scaled_decode_keeps_the_short_side(
    size: tuple[int, int], least: int, expected: tuple[int, int]
) -> None:
    data = encoded(Image.new("RGB", size, (90, 120, 30)), "JPEG")
    height, width, _ = load_rgb(data, min_short_px=least).shape
    assert (width, height) == expected


def test_scaled_decode_shows_the_same_picture() -> None:
    data = encoded(gradient(40, 30).resize((1600, 1200)), "JPEG", quality=95)
    full, scaled = load_rgb(data), load_rgb(data, min_short_px=300)
    small = np.asarray(Image.fromarray(full).resize((400, 300), Image.Resampling.BOX))
    assert np.abs(small.astype(int) - scaled).mean() < 1.5


def test_refuses_what_is_not_a_picture(tmp_path: Path) -> None:
    refused(b"", "0 bytes")
    refused(b"hello", "68 65 6c 6c")
    refused(encoded(gradient(), "GIF"), "47 49 46")
    refused(encoded(gradient(), "TIFF"))
    refused(tmp_path / "absent.jpg", "absent.jpg", "No such file")
    refused(tmp_path, "Is a directory")
    refused(b"RIFF....WEBPxxxx")
    refused(b"\x89PNG\r\n\x1a\n")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
def test_refuses_a_truncated_picture(kind: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    data = encoded(noise, kind)
    refused(data[: len(data) // 2], "cannot be decoded")
    refused(data[:20])


def test_refuses_cmyk_sixteen_bits_and_animations() -> None:
    refused(encoded(gradient().convert("CMYK"), "JPEG"), "CMYK")
    deep = Image.fromarray(np.zeros((4, 4), np.uint16))
    refused(encoded(deep, "PNG"), "8 bits", "16")
    moving = [gradient(), gradient().rotate(90)]
    for kind in ("PNG", "WEBP"):
        refused(encoded(moving[0], kind, save_all=True, append_images=moving[1:]), "animation")


def test_refuses_sixteen_bit_colour() -> None:
    # Pillow reads this as 8 bits and writes none: an RGB file of 1 x 1 px with depth 16, by hand.
    import zlib

    def chunk(name: bytes, data: bytes) -> bytes:
        whole = name + data
        return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))

    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    refused(data + chunk(b"IDAT", zlib.compress(bytes(7))) + chunk(b"IEND", b""), "8 bits")


def test_limits_are_checked_on_the_header() -> None:
    header = bytearray(encoded(Image.new("L", (8, 8)), "PNG"))
    header[16:24] = struct.pack(">II", 30_000, 30_000)
    header[29:33] = struct.pack(">I", __import__("zlib").crc32(header[12:29]))
    refused(bytes(header), "30000 x 30000", "50000000 pixels")
    refused(encoded(Image.new("L", (301, 2)), "PNG"), limits=ImageLimits(max_side_px=300))
    refused(encoded(gradient(), "PNG"), "larger", limits=ImageLimits(max_bytes=50))


def test_refuses_a_webp_that_claims_a_huge_canvas() -> None:
    data = bytearray(encoded(Image.new("RGB", (4, 4)), "WEBP", lossless=True))
    at = data.index(b"VP8L") + 9
    (bits,) = struct.unpack_from("<I", data, at)
    struct.pack_into("<I", data, at, (bits & ~0xFFFFFFF) | 16383 | (16383 << 14))
    refused(bytes(data))


@settings(max_examples=150)
@given(st.sampled_from(["JPEG", "PNG", "WEBP", "BMP"]), st.integers(0, 2**32))
def test_damage_gives_pixels_or_our_error(kind: str, seed: int) -> None:
    data = bytearray(encoded(gradient(), kind))
    chance = random.Random(seed)
    for _ in range(4):
        data[chance.randrange(len(data))] = chance.randrange(256)
    try:
        pixels = load_rgb(bytes(data), limits=ImageLimits(max_pixels=1_000_000))
    except ImageError:
        return
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
