"""Pictures that people send: what is taken, what is kept of it, for how long, and how many."""

from __future__ import annotations

import base64
import io
import json
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from starlette.testclient import TestClient

from catalog_support import NOW
from promolens_runtime.errors import InputError
from promolens_server.config import load_config
from promolens_server.factory import create_app
from promolens_server.feedback.config import FeedbackConfig
from promolens_server.feedback.folder import FeedbackFolder, FolderFullError
from promolens_server.feedback.jpeg import Size, UnfitPictureError, read_size
from promolens_server.models.meta import MetaAnswer
from promolens_server.services import open_services
from server_support import assert_problem, config_for

PHOTOS = "/v1/feedback/photos"
SEOUL_GPS = {1: "N", 2: (37.0, 33.0, 59.0), 3: "E", 4: (126.0, 58.0, 41.0)}


def jpeg(width: int = 64, height: int = 48, **options: Any) -> bytes:
    noise = np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def with_place() -> bytes:
    """Return a JPEG as a phone's camera writes it: with the place in its EXIF."""
    exif = Image.Exif()
    exif[0x8825] = SEOUL_GPS
    return jpeg(exif=exif)


def with_segment(mark: int, body: bytes, data: bytes | None = None) -> bytes:
    data = data or jpeg()
    return data[:2] + bytes((0xFF, mark)) + (len(body) + 2).to_bytes(2, "big") + body + data[2:]


def letter(data: bytes, **changes: Any) -> dict[str, Any]:
    sent = {
        "picture": base64.b64encode(data).decode(),
        "answer": "banana-milk-240ml",
        "bundle": "demo 12",
    }
    return sent | changes


@dataclass
class Phone:
    """A client of a service with feedback on.

    Attributes:
        now: the service's clock, to be moved.
    """

    client: TestClient
    folder: Path
    now: list[datetime] = field(default_factory=lambda: [NOW])

    def send(self, data: bytes, **changes: Any) -> Any:
        return self.client.post(PHOTOS, json=letter(data, **changes))

    def kept(self) -> list[Path]:
        return sorted(path for path in self.folder.iterdir() if path.name != ".lock")


@contextmanager
def phone(url: str, folder: Path, **config: Any) -> Iterator[Phone]:
    now = [NOW]
    feedback = FeedbackConfig(folder=folder, **({"burst": 100} | config))
    services = open_services(config_for(url, feedback=feedback), clock=lambda: now[0])
    with TestClient(create_app(services)) as client:
        yield Phone(client, folder, now)


@pytest.fixture
def held(sqlite_url: str, tmp_path: Path) -> Iterator[Phone]:
    with phone(sqlite_url, tmp_path / "photos") as opened:
        yield opened


def test_it_is_off_until_a_folder_is_named(sqlite_url: str) -> None:
    services = open_services(config_for(sqlite_url), clock=lambda: NOW)
    with TestClient(create_app(services)) as client:
        assert_problem(client.post(PHOTOS, json=letter(jpeg())), 404, "not-found")
        assert client.get("/v1/meta").json()["feedback"] is None


def test_meta_says_what_is_taken(held: Phone) -> None:
    told = held.client.get("/v1/meta").json()
    MetaAnswer.model_validate(told)
    assert told["feedback"] == {"picture_bytes": 500_000, "side_px": 1_024, "keep_days": 90}


def test_a_photo_is_kept_with_what_was_said_and_nothing_of_who_sent_it(held: Phone) -> None:
    picture = jpeg()
    answer = held.send(picture, chosen="banana-milk-500ml", text="바나나우유 큰 것")
    assert answer.status_code == 201
    assert answer.json() == {"keep_days": 90}
    image, record = held.kept()
    assert image.read_bytes() == picture
    assert json.loads(record.read_text()) == {
        "answer": "banana-milk-240ml",
        "bundle": "demo 12",
        "chosen": "banana-milk-500ml",
        "text": "바나나우유 큰 것",
        "width_px": 64,
        "height_px": 48,
        "day": f"{NOW:%Y-%m-%d}",
    }
    assert image.stem == record.stem
    assert len(image.stem) == 32
    for path in (image, record):
        status = path.stat()
        assert stat.S_IMODE(status.st_mode) == 0o600
        assert status.st_mtime % 86_400 == 0, "the day only"
    assert stat.S_IMODE(held.folder.stat().st_mode) == 0o700


def test_not_known_has_no_answer_and_needs_no_correction(held: Phone) -> None:
    assert held.send(jpeg(), answer=None).status_code == 201
    record = json.loads(held.kept()[1].read_text())
    assert (record["answer"], record["chosen"], record["text"]) == (None, None, None)


def test_names_are_random(held: Phone) -> None:
    for _ in range(3):
        assert held.send(jpeg()).status_code == 201
    assert len({path.stem for path in held.kept()}) == 3


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (with_place(), "EXIF"),
        (with_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>"), "EXIF or XMP"),
        (with_segment(0xED, b"Photoshop 3.0\0" + bytes(20)), "more in it"),
        (with_segment(0xFE, b"taken at home"), "more in it"),
        (with_segment(0xE2, b"MPF\0" + bytes(20)), "more in it"),
        (with_segment(0xE0, b"JFXX\0" + bytes(20)), "more in it"),
        (jpeg() + b"PK\3\4 a film behind it", "behind its end"),
        (jpeg(1_025, 16), "1025 x 16 px"),
        (jpeg()[:-200], "not whole"),
        (jpeg()[:40], "not whole"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "no JPEG"),
        (b"GIF89a", "no JPEG"),
        (with_segment(0xC8, b"x"), "more in it"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_plain_small_jpeg_is_refused(held: Phone, picture: bytes, said: str) -> None:
    assert said in assert_problem(held.send(picture), 422, "photo-unfit")["detail"]
    assert held.kept() == []


def test_exif_between_two_scans_is_found() -> None:
    data = jpeg(progressive=True)
    second = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    hidden = with_segment(0xE1, b"Exif\0\0" + bytes(30), b"\xff\xd8")[2:]
    assert read_size(data) == Size(64, 48)
    with pytest.raises(UnfitPictureError, match="EXIF"):
        read_size(data[:second] + hidden + data[second:])


def test_a_small_file_that_claims_to_be_huge_is_refused_before_decoding(held: Phone) -> None:
    data = bytearray(jpeg())
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    assert "65535 x 65535" in assert_problem(held.send(bytes(data)), 422, "photo-unfit")["detail"]


@pytest.mark.parametrize("kind", ["four colours", "bad table"])
def test_what_has_a_good_header_and_no_picture_is_refused_by_the_decoder(
    held: Phone, kind: str
) -> None:
    if kind == "four colours":
        buffer = io.BytesIO()
        Image.new("CMYK", (64, 48)).save(buffer, "JPEG")
        data = buffer.getvalue()
    else:
        # More codes of one bit than there can be.
        whole = bytearray(jpeg())
        table = whole.index(b"\xff\xc4")
        whole[table + 5 : table + 7] = b"\xff\xff"
        data = bytes(whole)
    assert read_size(data) == Size(64, 48)
    assert "decode" in assert_problem(held.send(data), 422, "photo-unfit")["detail"]
    assert held.kept() == []
    assert held.send(jpeg()).status_code == 201, "the decoder goes on"


@given(st.binary(max_size=300), st.integers(0, 200))
def test_any_bytes_are_a_size_or_a_refusal(noise: bytes, at: int) -> None:
    whole = jpeg(8, 8)
    for data in (noise, b"\xff\xd8" + noise, whole[:at] + noise + whole[at:]):
        try:
            size = read_size(data)
        except UnfitPictureError:
            continue
        assert 1 <= size.width_px <= 65_535
        assert 1 <= size.height_px <= 65_535


def test_every_piece_of_a_jpeg_is_refused() -> None:
    whole = jpeg(8, 8)
    for length in range(len(whole)):
        with pytest.raises(UnfitPictureError):
            read_size(whole[:length])


@pytest.mark.parametrize(
    "changes",
    [
        {"bundle": None},
        {"answer": ""},
        {"answer": 7},
        {"text": "x" * 201},
        {"text": "two\nlines"},
        {"text": "\u202eturned"},
        {"name": "Kim"},
        {"picture": 5},
    ],
    ids=str,
)
def test_fields_that_cannot_be_are_refused(held: Phone, changes: dict[str, Any]) -> None:
    assert_problem(held.send(jpeg(), **changes), 422, "feedback-unsound")
    assert held.kept() == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 5_000])
def test_bodies_that_are_no_object_are_refused(held: Phone, body: bytes) -> None:
    answer = held.client.post(PHOTOS, content=body, headers={"content-type": "application/json"})
    assert_problem(answer, 422, "feedback-unsound")


def test_base64_that_is_none_is_refused(held: Phone) -> None:
    assert_problem(held.send(b"", picture="/9j/!!"), 422, "photo-unfit")


def test_a_form_of_a_strange_page_is_refused(held: Phone) -> None:
    # Such a type needs no leave of this service; application/json of another origin does.
    answer = held.client.post(
        PHOTOS, content=json.dumps(letter(jpeg())), headers={"content-type": "text/plain"}
    )
    assert_problem(answer, 415, "not-json")


def test_bytes_are_limited(sqlite_url: str, tmp_path: Path) -> None:
    picture = jpeg(200, 200)
    with phone(sqlite_url, tmp_path / "p", picture_bytes=len(picture)) as held:
        assert held.send(picture).status_code == 201
    with phone(sqlite_url, tmp_path / "p", picture_bytes=len(picture) - 1) as held:
        assert_problem(held.send(picture), 422, "photo-unfit")
        assert_problem(held.send(bytes(1_000_000)), 413, "body-too-large")


def test_each_client_has_its_own_rate(sqlite_url: str, tmp_path: Path) -> None:
    with phone(sqlite_url, tmp_path / "p", burst=2, per_hour=1) as held:
        for _ in range(2):
            assert held.send(jpeg()).status_code == 201
        answer = held.send(jpeg())
        assert_problem(answer, 429, "too-many-photos")
        assert 3_500 < int(answer.headers["retry-after"]) <= 3_600
        assert len(held.kept()) == 4


@pytest.mark.parametrize("quota", ["pictures", "bytes"])
def test_the_quota_holds_until_something_is_deleted(
    sqlite_url: str,
    tmp_path: Path,
    quota: str,
) -> None:
    picture = jpeg()
    room = {"pictures": 2} if quota == "pictures" else {"total_bytes": 3 * len(picture) - 1}
    with phone(sqlite_url, tmp_path / "p", **room) as held:
        for _ in range(2):
            assert held.send(picture).status_code == 201
        assert_problem(held.send(picture), 507, "feedback-full")
        assert len(held.kept()) == 4
        held.now[0] += timedelta(days=90)
        assert held.send(picture).status_code == 201
        assert len(held.kept()) == 2


def test_what_is_old_is_deleted_at_the_start_without_anybody_sending(
    sqlite_url: str,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "p"
    now = [NOW]
    box = folder_of(folder, lambda: now[0])
    old = box.keep(jpeg(), {})
    now[0] += timedelta(days=40)
    young = box.keep(jpeg(), {})
    strange = folder / "notes.txt"
    strange.write_text("of the operator")
    now[0] += timedelta(days=50)
    services = open_services(
        config_for(sqlite_url, feedback=FeedbackConfig(folder)), clock=lambda: now[0]
    )
    try:
        deadline = time.monotonic() + 20
        while (folder / f"{old}.json").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        services.close()
    names = {path.name for path in folder.iterdir()}
    assert names == {f"{young}.jpg", f"{young}.json", "notes.txt", ".lock"}


def folder_of(folder: Path, clock: Callable[[], datetime], pictures: int = 1_000) -> FeedbackFolder:
    return FeedbackFolder(
        folder, most_pictures=pictures, most_bytes=10**9, keep_days=90, clock=clock
    )


def test_many_at_once_never_exceed_the_quota(tmp_path: Path) -> None:
    # Two, as two worker processes have.
    boxes = [folder_of(tmp_path / "p", lambda: NOW, pictures=10) for _ in range(2)]
    refused: list[int] = []

    def send(box: FeedbackFolder) -> None:
        for _ in range(10):
            try:
                box.keep(b"x", {})
            except FolderFullError:
                refused.append(1)

    threads = [threading.Thread(target=send, args=(box,)) for box in boxes]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(refused) == 10
    assert len(list((tmp_path / "p").glob("*.jpg"))) == 10


def test_a_link_in_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    box = folder_of(folder, lambda: NOW)
    aim = tmp_path / "aim"
    aim.write_text("kept")
    link = folder / f"{'0' * 32}.jpg"
    link.symlink_to(aim)
    box.delete_old()
    assert aim.read_text() == "kept"


def test_a_folder_that_cannot_be_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"Expected \[feedback\] folder"):
        folder_of(tmp_path / "file" / "p", lambda: NOW)


def test_the_configuration_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "server.toml"
    file.write_text('[feedback]\nfolder = "photos"\nkeep_days = 30\n')
    assert load_config(file, {}).feedback == FeedbackConfig(Path("photos"), keep_days=30)
    for wrong in ("keep_days = 0", "picture_bytes = 700001", "per_hour = -1", "sides = 3"):
        file.write_text(f"[feedback]\n{wrong}\n")
        with pytest.raises(InputError):
            load_config(file, {})


def test_a_picture_of_another_format_never_reaches_the_decoder(held: Phone) -> None:
    buffer = io.BytesIO()
    info = PngInfo()
    info.add_text("Comment", "at home")
    Image.new("RGB", (8, 8)).save(buffer, "PNG", pnginfo=info)
    assert "no JPEG" in assert_problem(held.send(buffer.getvalue()), 422, "photo-unfit")["detail"]
