"""Barcodes as a second eye: of the camera and of pictures, in a browser that reads none."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from app_shell_support import (
    Phone,
    Shop,
    camera_arguments,
    offers_of,
    phone,
    publish,
    shop,  # noqa: F401
)
from app_support import needs_chromium, needs_node
from barcode_drawing import modules, on_a_pack
from catalog_support import make_offer
from promolens_catalog.calendar import korean_day
from promolens_catalog.chains import Chain
from promolens_catalog.database import open_database

pytestmark = [needs_node, needs_chromium]

# None of these is among the recogniser's labels: only the barcode can find them.
EAN_13 = "8801056150013"
EAN_8 = "96385074"
UPC_A = "0036000291452"
NAMES = {EAN_13: "바코드로 찾은 탄산수", EAN_8: "작은 껌", UPC_A: "바다 건너온 휴지"}


@pytest.fixture(scope="module")
def listed(shop: Shop) -> Shop:  # noqa: F811
    """The shop with a third chain, which sells what only a barcode can find."""
    database = open_database(str(shop.folder / "catalog.db"))
    try:
        today = korean_day(datetime.now(UTC))
        first = offers_of(Chain.CU, today)[0]
        offers = [
            make_offer(
                50 + i,
                chain=Chain.SEVEN,
                name=name,
                barcode=barcode,
                price_krw=1600,
                valid_from=first.valid_from,
                valid_until=first.valid_until,
            )
            for i, (barcode, name) in enumerate(NAMES.items())
        ]
        publish(database, Chain.SEVEN, offers)
    finally:
        database.close()
    return shop


@pytest.fixture(scope="module")
def opened(listed: Shop) -> Iterator[Phone]:
    """A phone without a camera."""
    with phone(listed.phone.url) as made:
        yield made


@pytest.fixture
def held(opened: Phone) -> Phone:
    """That phone with the app just loaded."""
    opened.open("#/scan")
    return opened


def choose(held: Phone, picture: Image.Image, path: Path) -> None:
    """Give the app a picture of the gallery."""
    picture.save(path)
    held.one("input[type=file]").send_keys(str(path))


def test_the_drawing_follows_the_specification() -> None:
    # The example of the GS1 General Specifications' EAN-8 digits, worked out by hand for 96385074:
    # 9 6 3 8 from the left set, 5 0 7 4 from the right one.
    left = "0001011" + "0101111" + "0111101" + "0110111"
    right = "1001110" + "1110010" + "1000100" + "1011100"
    assert modules(EAN_8) == "101" + left + "01010" + right + "101"
    assert len(modules(EAN_13)) == 95


@pytest.mark.parametrize("barcode", NAMES)
def test_a_picture_of_a_barcode_leads_to_its_product(
    held: Phone, tmp_path: Path, barcode: str
) -> None:
    choose(held, on_a_pack(barcode), tmp_path / "still.jpg")
    held.sees(NAMES[barcode], "세븐일레븐")


@pytest.mark.parametrize(
    ("turned_degrees", "blur_px", "px"),
    [(90, 0, 3), (180, 0, 3), (20, 1.0, 4), (-15, 0.8, 3), (0, 1.6, 3)],
)
def test_turned_and_blurred_barcodes_are_read(
    held: Phone, tmp_path: Path, turned_degrees: float, blur_px: float, px: int
) -> None:
    scene = on_a_pack(EAN_13, turned_degrees=turned_degrees, blur_px=blur_px, px=px)
    choose(held, scene, tmp_path / "still.png")
    held.sees(NAMES[EAN_13])


def test_a_wrong_check_digit_is_no_barcode(held: Phone, tmp_path: Path) -> None:
    wrong = EAN_13[:-1] + str((int(EAN_13[-1]) + 1) % 10)
    choose(held, on_a_pack(wrong), tmp_path / "wrong.png")
    # The recogniser is asked instead, and it knows no such product.
    held.sees("사이다")
    assert wrong not in held.text()
    assert NAMES[EAN_13] not in held.text()


def test_a_file_that_is_no_picture_is_refused_in_words(held: Phone, tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    made = io.BytesIO()
    Image.new("RGB", (8, 8)).save(made, "PNG")
    # 60,000 x 60,000 px in its header.
    path.write_bytes(made.getvalue()[:16] + b"\x00\x00\xea\x60" * 2 + made.getvalue()[24:])
    held.one("input[type=file]").send_keys(str(path))
    held.sees("이 사진은 읽을 수 없어요")


def test_the_camera_reads_a_barcode_that_moves(listed: Shop, tmp_path: Path) -> None:
    frames = []
    for step in range(40):
        scene = on_a_pack(EAN_13, turned_degrees=4 + step / 8, blur_px=0.6)
        ImageDraw.Draw(scene).ellipse((10 + step, 400, 60 + step, 450), fill=(220, 170, 140))
        frame = io.BytesIO()
        scene.save(frame, "JPEG", quality=85)
        frames.append(frame.getvalue())
    video = tmp_path / "barcode.mjpeg"
    video.write_bytes(b"".join(frames))
    with phone(listed.phone.url, *camera_arguments(video)) as opened:
        opened.open("#/scan")
        # The recogniser of these tests claims some product of anything; the digits are surer.
        opened.sees(NAMES[EAN_13], "세븐일레븐")
        opened.keep_picture("barcode")
        assert "800원" in opened.text()
        opened.go("#/saved")
        opened.sees(NAMES[EAN_13])


def test_the_library_is_loaded_late_and_from_the_app_only(held: Phone, tmp_path: Path) -> None:
    names = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    assert not [name for name in held.driver.execute_script(names) if "/barcode/" in name]
    choose(held, on_a_pack(EAN_13), tmp_path / "still.png")
    held.sees(NAMES[EAN_13])
    loaded = [name for name in held.driver.execute_script(names) if "/barcode/" in name]
    assert loaded == [f"{held.url}barcode/read.js"]
    blocked = [line["message"] for line in held.driver.get_log("browser")]
    assert not [line for line in blocked if "Content Security" in line]
