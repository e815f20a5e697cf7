"""Films for the app's camera, and products outside the catalogue: what the figures rest on."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from promolens_demo.barcodes import is_ean13
from promolens_demo.catalogue import make_catalogue
from promolens_demo.films.shots import (
    HIGH_PX,
    PANORAMA_PX,
    WIDE_PX,
    Timing,
    View,
    homography,
    is_in_square,
    middle_of_product,
)
from promolens_demo.films.writer import (
    CODE_BITS,
    FPS,
    REPEATS,
    cast,
    read_film,
    read_stamp,
    stamp,
    write_film,
)
from promolens_demo.strangers import look_alikes, others
from promolens_runtime.errors import InputError

FOCAL_PX = 700.0


def test_look_alikes_are_of_taught_families_and_taught_nowhere() -> None:
    taught = {product.item_id for product in make_catalogue(24)}
    families = {product.family.slug for product in make_catalogue(24)}
    halves = [look_alikes(half) for half in (0, 1)]
    for half in halves:
        assert {one.product.family.slug for one in half} == families
        assert not {one.product.item_id for one in half} & taught
        assert all(is_ean13(one.product.barcode) for one in half)
        assert all({p.item_id for p in one.beside} <= taught for one in half)
    # 12 + 12 + 10 + 10 + 9 + 11 flavours in two sizes each, less the 24 that are taught.
    names = [one.product.item_id for half in halves for one in half]
    assert len(names) == len(set(names)) == 64 * 2 - 24


def test_other_products_share_nothing_with_the_catalogue_or_each_other() -> None:
    taught = {product.family.slug for product in make_catalogue(24)}
    first, second = ({one.product.family.slug for one in others(half)} for half in (0, 1))
    assert not first & second
    assert not (first | second) & taught


@given(st.integers(0, (1 << CODE_BITS) - 1))
def test_a_frame_tells_its_number_after_jpeg(number: int) -> None:
    frame = np.full((HIGH_PX, WIDE_PX, 3), 90, np.uint8)
    stamp(frame, number)
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "JPEG", quality=60)
    assert read_stamp(np.asarray(Image.open(file))) == number


def test_the_number_stands_outside_the_square_that_the_network_sees() -> None:
    frame = np.zeros((HIGH_PX, WIDE_PX, 3), np.uint8)
    stamp(frame, (1 << CODE_BITS) - 1)
    left = (WIDE_PX - HIGH_PX) // 2
    assert frame[:, :left].any()
    assert not frame[:, left:].any()


def test_a_frame_without_a_number_says_so() -> None:
    assert read_stamp(np.zeros((HIGH_PX, WIDE_PX, 3), np.uint8)) is None


def test_a_still_camera_shows_the_middle_of_what_was_drawn() -> None:
    straight = View(0.0, 0.0, 0.0, 1.0)
    at = homography(straight, FOCAL_PX) @ np.array([WIDE_PX / 2, HIGH_PX / 2, 1.0])
    np.testing.assert_allclose(at[:2] / at[2], [PANORAMA_PX[0] / 2, PANORAMA_PX[1] / 2])


def test_a_turn_moves_the_product_by_its_tangent() -> None:
    """0.3 rad at 700 px: 700 tan 0.3 = 216.5 px to the left of the middle."""
    x, y = middle_of_product(View(0.3, 0.0, 0.0, 1.0), FOCAL_PX)
    assert x == pytest.approx(WIDE_PX / 2 - 216.535, abs=0.01)
    assert y == pytest.approx(HIGH_PX / 2)
    # The square reaches 240 px from the middle: 0.3 rad is inside, 0.34 (247.6 px) is not.
    assert is_in_square(View(0.3, 0.0, 0.0, 1.0), FOCAL_PX)
    assert not is_in_square(View(0.34, 0.0, 0.0, 1.0), FOCAL_PX)


def test_a_film_is_what_its_table_says(tmp_path: Path) -> None:
    timing = Timing(empty_s=0.2, sweep_s=0.2, rest_s=0.2, leave_s=0.2)
    player = look_alikes(0)[0]
    film = write_film(tmp_path / "a.mjpeg", 3001, strangers=(player,), timing=timing, workers=1)
    assert read_film(tmp_path / "a.mjpeg") == film
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a.json", "a.mjpeg"]
    data = (tmp_path / "a.mjpeg").read_bytes()
    starts = data.split(b"\xff\xd8\xff\xe0")[1:]
    assert len(starts) == film.frames * REPEATS == 24
    shown = [np.asarray(Image.open(io.BytesIO(b"\xff\xd8\xff\xe0" + one))) for one in starts]
    assert [read_stamp(frame) for frame in shown[::REPEATS]] == list(range(film.frames))
    (shot,) = film.shots
    assert shot.label is None
    assert shot.item_id == player.product.item_id
    # Not before the sweep begins, and gone before the film ends.
    assert timing.empty_s * FPS <= shot.appears < shot.leaves <= film.frames
    again = write_film(tmp_path / "b.mjpeg", 3001, strangers=(player,), timing=timing, workers=2)
    assert again == film
    assert (tmp_path / "b.mjpeg").read_bytes() == data


def test_the_default_film_has_every_product_once() -> None:
    assert [one.product for one, taught in cast() if taught] == list(make_catalogue(24))


def test_more_frames_than_can_be_counted_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Expected fewer than 16384 frames"):
        write_film(tmp_path / "long.mjpeg", 3001, timing=Timing(rest_s=60.0))
