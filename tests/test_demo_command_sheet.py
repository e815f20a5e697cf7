"""The page of products to scan: all links lead somewhere, codes can be read."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from promolens_demo.catalogue import make_catalogue
from promolens_demo.sheet.barcode_svg import ean13_svg
from promolens_demo.sheet.pictures import SheetPictures
from promolens_demo.sheet.qr import qr_svg
from promolens_demo.sheet.running import Sheet
from promolens_demo.sheet.web import Shown, sheet_app

PRODUCTS = make_catalogue(4)
NEWCOMERS = make_catalogue(28)[24:]
APP = "http://localhost:8000/app/"


@pytest.fixture
def pictures(tmp_path: Path) -> SheetPictures:
    for product in (*PRODUCTS[1:], *NEWCOMERS):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{product.item_id}.png")
    return SheetPictures(tmp_path)


@pytest.fixture
def client(pictures: SheetPictures) -> TestClient:
    return TestClient(sheet_app(Shown(PRODUCTS, APP, "a <note>", NEWCOMERS), pictures))


def test_every_link_and_picture_is_there(client: TestClient) -> None:
    seen, todo = set[str](), ["/"]
    while todo:
        address = todo.pop()
        if address in seen or address.startswith("data:"):
            continue
        seen.add(address)
        answer = client.get(address)
        assert answer.status_code == 200, address
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        if answer.headers["content-type"].startswith("text/html"):
            todo += re.findall(r'(?:href|src)="([^"]+)"', answer.text)
    for product in (*PRODUCTS, *NEWCOMERS):
        assert f"/product/{product.item_id}" in seen
        assert f"/barcode/{product.item_id}" in seen


def test_the_first_page_names_the_app_and_what_does_not_fit(client: TestClient) -> None:
    text = client.get("/").text
    assert APP in text
    assert "a &lt;note&gt;" in text


def test_what_only_the_gallery_names_stands_apart(client: TestClient) -> None:
    taught, heading, new = client.get("/").text.partition("never trained")
    assert heading
    assert [f"/product/{one.item_id}" in taught for one in PRODUCTS] == [True] * 4
    assert [f"/product/{one.item_id}" in new for one in NEWCOMERS] == [True] * 4
    assert not any(f"/product/{one.item_id}" in taught for one in NEWCOMERS)


def test_without_a_gallery_nothing_is_said_of_one(pictures: SheetPictures) -> None:
    text = TestClient(sheet_app(Shown(PRODUCTS, APP), pictures)).get("/").text
    assert "never trained" not in text


def test_a_screen_shows_the_front_or_the_barcode_and_never_both(client: TestClient) -> None:
    item = PRODUCTS[0].item_id
    front, barcode = client.get(f"/product/{item}").text, client.get(f"/barcode/{item}").text
    assert ("/picture/" in front, "/bars/" in front) == (True, False)
    assert ("/picture/" in barcode, "/bars/" in barcode) == (False, True)


def test_the_arrows_go_round(client: TestClient) -> None:
    def after(item: str, rel: str) -> str:
        page = client.get(f"/product/{item}").text
        found = re.search(rf'rel="{rel}" href="/product/([^"]+)"', page)
        assert found is not None
        return found[1]

    items = [product.item_id for product in (*PRODUCTS, *NEWCOMERS)]
    assert [after(item, "next") for item in items] == [*items[1:], items[0]]
    assert [after(item, "prev") for item in items] == [items[-1], *items[:-1]]


@pytest.mark.parametrize(
    "address",
    ["/product/none", "/picture/none.png", "/bars/1.svg", "/picture/..%2Fsecret.png", "/sheet.py"],
)
def test_nothing_else_opens(client: TestClient, address: str) -> None:
    assert client.get(address).status_code == 404


def test_a_picture_is_drawn_once(pictures: SheetPictures, tmp_path: Path) -> None:
    product = PRODUCTS[0]
    assert not pictures.has(product)
    data = pictures.png(product)
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.size == (600, 600)
    assert pictures.has(product)
    assert (tmp_path / f"{product.item_id}.png").read_bytes() == data


def test_bars_are_those_of_the_standard() -> None:
    """The path drawn module by module is the sequence that GS1 gives for 4006381333931.

    Left half with the parities of a leading 4 (O E O O E E), right half, guards; written out by
    hand from the table of the General Specifications.
    """
    by_hand = (
        "101" "0001101" "0100111" "0101111" "0111101" "0001001" "0110011"
        "01010" "1000010" "1000010" "1000010" "1110100" "1000010" "1100110" "101"
    )  # fmt: skip
    svg = ean13_svg("4006381333931").decode()
    drawn = ["0"] * 95
    for left, wide in re.findall(r"M(\d+) 0h(\d+)v", svg):
        drawn[int(left) - 11 : int(left) - 11 + int(wide)] = "1" * int(wide)
    assert "".join(drawn) == by_hand


def test_the_code_on_the_page_is_the_address() -> None:
    import cv2

    svg = qr_svg(APP).decode()
    side = int(re.search(r'viewBox="0 0 (\d+) \1"', svg)[1])  # type: ignore[index]
    dark = np.zeros((side, side), np.uint8)
    path = re.findall(r'class="qrline"[^>]*d="([^"]+)"', svg)[0]
    x = y = 0
    for sign, first, second in re.findall(r"([Mmh])(-?[\d.]+)(?: (-?[\d.]+))?", path):
        if sign == "h":
            dark[int(y), int(x) : int(x) + int(first)] = 1
            x += int(first)
        elif sign == "M":
            x, y = int(float(first)), int(float(second))
        else:
            x, y = x + int(float(first)), y + int(float(second))
    picture = np.kron((1 - dark) * np.uint8(255), np.ones((8, 8), np.uint8))
    assert cv2.QRCodeDetector().detectAndDecode(picture)[0] == APP


def test_another_port_where_the_wanted_one_is_taken(pictures: SheetPictures) -> None:
    shown = Shown(PRODUCTS, APP)
    with Sheet(shown, pictures) as first:
        port = int(first.url.rsplit(":", 1)[1].rstrip("/"))
        with Sheet(shown, pictures, port) as second:
            assert second.url != first.url
