"""The app's preprocessing gives Python's tensor, byte for byte, on the same pixels."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from app_support import NodeTool, needs_node, rgba_bytes
from photo_folders import picture
from promolens_runtime.exif import TURNS, orientation
from promolens_runtime.images import load_rgb
from promolens_runtime.preprocess import Preprocessing, preprocess

pytestmark = needs_node

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def node() -> Iterator[NodeTool]:
    tool = NodeTool()
    yield tool
    tool.close()


def upright(rgb: Pixels, turn: int) -> Pixels:
    image = Image.fromarray(rgb)
    return np.asarray(image if turn == 1 else image.transpose(TURNS[turn]))


def noise(width: int, height: int, seed: int) -> Pixels:
    """Noise, and for every third seed the extremes only, which round at the edges of 0..255."""
    rng = np.random.default_rng(seed)
    if seed % 3 == 0:
        return rng.choice(np.array([0, 255], np.uint8), (height, width, 3))
    return rng.integers(0, 256, (height, width, 3), np.uint8)


def app_tensor(
    node: NodeTool, rgba: bytes, size: tuple[int, int], turn: int, px: int, passes: str = "wasm"
) -> Pixels:
    facts, data = node.ask(
        "tensor", rgba, width=size[0], height=size[1], orientation=turn, input_px=px, passes=passes
    )
    assert facts is None, facts
    return np.frombuffer(data, np.uint8).reshape(px, px, 3)


@given(
    width=st.integers(1, 300),
    height=st.integers(1, 300),
    turn=st.integers(1, 8),
    input_px=st.integers(1, 64) | st.just(224),
    seed=st.integers(0, 99),
    passes=st.sampled_from(["wasm", "plain"]),
)
@settings(max_examples=200)
def test_any_size_orientation_and_input_is_bit_equal(
    node: NodeTool, width: int, height: int, turn: int, input_px: int, seed: int, passes: str
) -> None:
    """In WebAssembly and, for browsers without SIMD, in plain JavaScript."""
    rgb = noise(width, height, seed)
    got = app_tensor(node, rgba_bytes(rgb), (width, height), turn, input_px, passes)
    expected = preprocess(upright(rgb, turn), Preprocessing(input_px, input_px))
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("passes", ["wasm", "plain"])
@pytest.mark.parametrize(
    ("width", "height", "turn"),
    [
        (640, 480, 1),
        (1280, 720, 6),
        (1080, 1920, 8),
        (4000, 3000, 3),
        (3000, 4001, 5),
        (348, 348, 7),
    ],
)
def test_sizes_of_cameras_and_phones_are_bit_equal(
    node: NodeTool, width: int, height: int, turn: int, passes: str
) -> None:
    # 4000 x 3000 is read in several strips.
    rgb = noise(width, height, seed=width)
    got = app_tensor(node, rgba_bytes(rgb), (width, height), turn, 224, passes)
    np.testing.assert_array_equal(got, preprocess(upright(rgb, turn), Preprocessing.square(224)))


def test_golden_example_of_the_documentation(node: NodeTool) -> None:
    """8 px to 4 px, worked by hand in docs/preprocessing.md: 10, 20, 30 at the edge give 17."""
    rgb = np.zeros((8, 8, 3), np.uint8)
    rgb[:, :3] = np.array([10, 20, 30], np.uint8)[None, :, None]
    assert app_tensor(node, rgba_bytes(rgb), (8, 8), 1, 4)[:, 0].tolist() == [[17, 17, 17]] * 4


@given(data=st.data(), side=st.integers(1, 40))
@settings(max_examples=60)
def test_alpha_is_blended_over_white(node: NodeTool, data: st.DataObject, side: int) -> None:
    seed = data.draw(st.integers(0, 999))
    rgba = np.random.default_rng(seed).integers(0, 256, (side, side, 4), np.uint8)
    if seed % 2:
        rgba[..., 3] = np.random.default_rng(seed).choice([0, 1, 127, 254, 255], (side, side))
    foreground, alpha = rgba[..., :3].astype(np.int64), rgba[..., 3:].astype(np.int64)
    flat = ((2 * (foreground * alpha + 255 * (255 - alpha)) + 255) // 510).astype(np.uint8)
    got = app_tensor(node, rgba.tobytes(), (side, side), 1, side)
    np.testing.assert_array_equal(got, flat)
    png = io.BytesIO()
    Image.fromarray(rgba).save(png, "PNG")
    np.testing.assert_array_equal(got, load_rgb(png.getvalue()))


@given(width=st.integers(1, 20000), height=st.integers(1, 20000), least=st.integers(1, 2000))
@settings(max_examples=150)
def test_scaled_decode_divisor_is_pillows(
    node: NodeTool, width: int, height: int, least: int
) -> None:
    times = min(width, height) // least
    expected = max(divisor for divisor in (1, 2, 4, 8) if divisor == 1 or times >= divisor)
    facts, _ = node.ask("divisor", width=width, height=height, min_short_px=least)
    assert facts == expected


def saved(kind: str, turn: int = 1, mode: str = "RGB", **options: Any) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = turn
    file = io.BytesIO()
    image = picture(3, 96).crop((0, 0, 96, 70)).convert(mode)
    image.save(file, kind, exif=exif, **options)
    return file.getvalue()


def deep_png() -> bytes:
    """A PNG of 16 bits per channel."""
    file = io.BytesIO()
    Image.fromarray(np.arange(400, dtype=np.uint16).reshape(20, 20)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_orientation_is_read_and_taken_out(node: NodeTool, kind: str, turn: int) -> None:
    """What is left for the browser to decode has no EXIF: it cannot be turned twice."""
    data = saved(kind, turn)
    facts, plain = node.ask("picture", data)
    assert (facts["width"], facts["height"], facts["orientation"]) == (96, 70, turn)
    with Image.open(io.BytesIO(plain)) as left:
        assert "exif" not in left.info
    np.testing.assert_array_equal(upright(load_rgb(plain), turn), load_rgb(data))


def test_colour_profiles_are_taken_out(node: NodeTool) -> None:
    for kind in ("JPEG", "PNG", "WEBP"):
        data = saved(kind, icc_profile=b"\0" * 128 + b"not a real profile" * 20)
        _, plain = node.ask("picture", data)
        with Image.open(io.BytesIO(plain)) as left:
            assert "icc_profile" not in left.info
        assert len(plain) < len(data)


@given(exif=st.binary(max_size=80) | st.binary(max_size=80).map(lambda b: b"II*\0\x08\0\0\0" + b))
@settings(max_examples=150)
def test_damaged_exif_counts_as_python_counts_it(node: NodeTool, exif: bytes) -> None:
    jpeg = saved("JPEG")
    start = jpeg.index(b"Exif\0\0")
    length = int.from_bytes(jpeg[start - 2 : start], "big")
    body = b"Exif\0\0" + exif
    data = jpeg[: start - 2] + (len(body) + 2).to_bytes(2, "big") + body
    data += jpeg[start - 2 + length :]
    facts, _ = node.ask("picture", data)
    assert facts["orientation"] == orientation(body)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "picture-kind-unknown"),
        (b"GIF89a", "picture-kind-unknown"),
        (saved("JPEG", mode="CMYK"), "picture-not-supported"),
        (saved("JPEG")[:300], "picture-damaged"),
        (saved("JPEG")[:-2], "picture-damaged"),
        (saved("PNG")[:-12], "picture-damaged"),
        (saved("PNG")[:40], "picture-damaged"),
        (saved("WEBP")[:60], "picture-damaged"),
        (deep_png(), "picture-not-supported"),
        (
            saved("WEBP", save_all=True, append_images=[picture(4, 96).crop((0, 0, 96, 70))]),
            "picture-not-supported",
        ),
        (b"BM" + bytes(60), "picture-damaged"),
    ],
)
def test_what_python_refuses_is_refused_with_a_code(node: NodeTool, data: bytes, code: str) -> None:
    facts, _ = node.ask("picture", data)
    assert facts.get("code") == code, facts


@given(data=st.binary(max_size=400), kind=st.sampled_from(["JPEG", "PNG", "WEBP"]))
@settings(max_examples=150)
def test_hostile_files_end_with_a_code(node: NodeTool, data: bytes, kind: str) -> None:
    start = saved(kind)
    place = len(data) * 7 % len(start)
    facts, _ = node.ask("picture", start[:place] + data + start[place:])
    known = {
        "picture-damaged",
        "picture-too-large",
        "picture-not-supported",
        "picture-kind-unknown",
    }
    assert facts.get("code", "picture-damaged") in known
