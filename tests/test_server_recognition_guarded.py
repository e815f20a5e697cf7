"""Pictures of strangers: what a confined process makes of them, and that it costs one picture."""

from __future__ import annotations

import io
import os
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from promolens_runtime.errors import ImageError
from promolens_runtime.guarded import frames
from promolens_runtime.guarded.confinement import Confinement
from promolens_runtime.guarded.decoder import (
    DecoderPool,
    DecoderUnavailableError,
    GuardConfig,
    GuardedDecoder,
    PictureRefusedError,
    PictureTooSlowError,
)
from promolens_runtime.images import ImageLimits, open_rgb
from promolens_runtime.preprocess import Preprocessing, preprocess_image

SPEC = Preprocessing.square(32)
LIMITS = ImageLimits(max_bytes=4_000_000, max_pixels=60_000_000)


def noise(width: int = 300, height: int = 200, mode: str = "RGB") -> Image.Image:
    """A picture in large random squares, which no quality gate minds."""
    channels = len(Image.new(mode, (1, 1)).getbands())
    cells = np.random.default_rng(3).integers(0, 256, (8, 8, channels), np.uint8)
    small = Image.fromarray(cells[..., 0] if channels == 1 else cells, mode)
    return small.resize((width, height), Image.Resampling.NEAREST)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of a declared size, with whatever chunks."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = b"".join(chunk(*one) for one in (*chunks, (b"IEND", b"")))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body


def animation() -> bytes:
    others = [Image.new("RGB", (64, 64), (shade, 0, 0)) for shade in (80, 160)]
    return saved(noise(64, 64), "WEBP", save_all=True, append_images=others)


def sixteen_bits() -> bytes:
    return saved(Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64)), "PNG")


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "1 to 4000000 bytes"),
    "too many bytes": (lambda: b"\xff\xd8\xff" + bytes(4_000_000), "1 to 4000000 bytes"),
    "NUL": (lambda: bytes(1000), "starts with 00 00 00 00"),
    "text": (lambda: b"<svg xmlns='x'/>", "starts with 3c 73 76 67"),
    "GIF": (lambda: saved(noise(), "GIF"), "JPEG, PNG, WebP or BMP"),
    "torn JPEG": (lambda: saved(noise(), "JPEG")[:700], "cannot be decoded"),
    "torn PNG": (lambda: saved(noise(), "PNG")[:200], "cannot be decoded"),
    "torn WebP": (lambda: saved(noise(), "WEBP")[:60], "cannot be decoded"),
    "JPEG mark only": (lambda: b"\xff\xd8\xff", "cannot be decoded"),
    "CMYK": (lambda: saved(noise(mode="CMYK"), "JPEG"), "CMYK"),
    "16 bits": (sixteen_bits, "8 bits per channel"),
    "animation": (animation, "an animation"),
    "a header of 900 gigapixels": (lambda: png(30_000, 30_000_000), "pixels"),
    "too long a side": (lambda: png(20_001, 1), "20000 px a side"),
    "a text chunk of 90 MB": (
        lambda: png(8, 8, (b"zTXt", b"a\0\0" + zlib.compress(bytes(90_000_000)))),
        "cannot be decoded",
    ),
    "no pixels": (lambda: png(8, 8), "cannot be decoded"),
}  # fmt: skip


@pytest.fixture(scope="module")
def decoder() -> Iterator[GuardedDecoder]:
    opened = GuardedDecoder(SPEC, GuardConfig(limits=LIMITS, time_s=60))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def slow_picture() -> bytes:
    """20 megapixels of noise, of which every one has to be unpacked: a second's work."""
    pixels = np.random.default_rng(1).integers(0, 8, (4000, 5000, 3), np.uint8)
    return saved(Image.fromarray(pixels), "PNG", compress_level=1)


class TestDecoding:
    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
    @pytest.mark.parametrize("whole", [False, True])
    def test_the_tensor_is_that_of_the_reference_client(
        self, decoder: GuardedDecoder, kind: str, whole: bool
    ) -> None:
        data = saved(noise(640, 400), kind)
        found = decoder.decode(data, whole=whole)
        image = open_rgb(data, min_short_px=None if whole else SPEC.min_short_px)
        assert (found.tensor == preprocess_image(image, SPEC)).all()
        assert (found.problem, found.grey) == (None, None)

    def test_turned_and_transparent_pictures_are_made_upright_and_white(
        self, decoder: GuardedDecoder
    ) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        for data in (
            saved(noise(100, 60), "JPEG", exif=exif.tobytes()),
            saved(noise(mode="RGBA"), "PNG"),
        ):
            expected = preprocess_image(open_rgb(data, min_short_px=SPEC.min_short_px), SPEC)
            assert (decoder.decode(data).tensor == expected).all()

    def test_a_small_grey_picture_comes_where_it_is_asked_for(
        self, decoder: GuardedDecoder
    ) -> None:
        grey = decoder.decode(saved(noise(960, 300), "PNG"), with_grey=True).grey
        assert grey is not None
        assert grey.shape == (150, 480)
        small = decoder.decode(saved(noise(100, 60), "PNG"), with_grey=True).grey
        assert small is not None
        assert (small == np.asarray(noise(100, 60).convert("L"))).all()

    def test_pictures_that_show_too_little_are_told(self, decoder: GuardedDecoder) -> None:
        blank = decoder.decode(saved(Image.new("RGB", (200, 200), "blue"), "PNG"))
        assert blank.problem == "too simple to match (nearly one colour)"
        tiny = decoder.decode(saved(noise(40, 40), "PNG"))
        assert tiny.problem == "too small (40 x 40 px, at least 48 are needed)"


class TestHostilePictures:
    @pytest.mark.parametrize("name", HOSTILE)
    def test_each_is_refused_in_one_line_and_the_process_lives_on(
        self, decoder: GuardedDecoder, name: str
    ) -> None:
        make, said = HOSTILE[name]
        decoder.decode(saved(noise(), "PNG"))
        before = decoder.process_id
        with pytest.raises(ImageError, match=said) as caught:
            decoder.decode(make())
        assert str(caught.value).startswith("Expected ")
        assert "\n" not in str(caught.value)
        assert not isinstance(caught.value, PictureTooSlowError | PictureRefusedError)
        assert decoder.process_id == before

    def test_a_picture_that_needs_too_much_memory_is_refused(self) -> None:
        confinement = Confinement(address_space_bytes=256 << 20, niceness=0)
        decoder = GuardedDecoder(SPEC, GuardConfig(LIMITS, confinement, time_s=60))
        try:
            # 49 megapixels of 4 bytes in a file of 0.2 MB.
            bomb = saved(Image.new("RGBA", (7_000, 7_000)), "PNG")
            with pytest.raises(ImageError, match="in the memory allowed"):
                decoder.decode(bomb)
            assert decoder.decode(saved(noise(), "PNG")).problem is None
        finally:
            decoder.close()

    def test_a_slow_picture_is_ended_and_the_next_one_answered(self, slow_picture: bytes) -> None:
        large = ImageLimits(max_bytes=100_000_000)
        decoder = GuardedDecoder(SPEC, GuardConfig(limits=large, time_s=0.3))
        patient = GuardedDecoder(SPEC, GuardConfig(limits=large, time_s=60))
        try:
            patient.decode(slow_picture)
            decoder.start()
            before = decoder.process_id
            assert before is not None
            with pytest.raises(PictureTooSlowError, match=r"within 0\.3 s"):
                decoder.decode(slow_picture)
            assert gone(before)
            assert decoder.process_id != before
            tries(lambda: decoder.decode(saved(noise(), "PNG")), PictureTooSlowError)
        finally:
            decoder.close()
            patient.close()


class TestLossOfTheProcess:
    def test_killed_while_it_works_it_costs_that_picture(self, slow_picture: bytes) -> None:
        decoder = GuardedDecoder(SPEC, GuardConfig(limits=ImageLimits(100_000_000), time_s=60))
        try:
            decoder.decode(saved(noise(), "PNG"))
            process_id = decoder.process_id
            assert process_id is not None
            caught: list[Exception] = []

            def ask() -> None:
                try:
                    decoder.decode(slow_picture)
                except ImageError as error:
                    caught.append(error)

            used = cpu_ticks(process_id)
            thread = threading.Thread(target=ask)
            thread.start()
            wait_until(lambda: cpu_ticks(process_id) > used + 5)
            os.kill(process_id, signal.SIGKILL)
            thread.join(30)
            assert [type(error) for error in caught] == [PictureRefusedError]
            assert decoder.decode(saved(noise(), "PNG")).problem is None
            assert decoder.process_id != process_id
        finally:
            decoder.close()

    def test_killed_while_nobody_asks_it_costs_nothing(self, decoder: GuardedDecoder) -> None:
        decoder.decode(saved(noise(), "PNG"))
        assert decoder.process_id is not None
        os.kill(decoder.process_id, signal.SIGKILL)
        before = decoder.process_id
        wait_until(lambda: gone(before))
        assert decoder.decode(saved(noise(), "PNG")).problem is None

    def test_a_fresh_process_takes_over_after_so_many_pictures(self) -> None:
        decoder = GuardedDecoder(SPEC, GuardConfig(limits=LIMITS, pictures=2, time_s=60))
        try:
            seen = []
            for _ in range(4):
                decoder.decode(saved(noise(), "PNG"))
                seen.append(decoder.process_id)
        finally:
            decoder.close()
        assert seen[0] == seen[1] != seen[2] == seen[3]

    def test_it_ends_with_its_parent(self) -> None:
        program = (
            "import time\n"
            "from promolens_runtime.guarded.decoder import GuardedDecoder\n"
            "from promolens_runtime.preprocess import Preprocessing\n"
            "decoder = GuardedDecoder(Preprocessing.square(32))\n"
            "decoder.start()\n"
            "print(decoder.process_id, flush=True)\n"
            "time.sleep(600)\n"
        )
        parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert not gone(child)
        parent.kill()
        parent.wait()
        wait_until(lambda: gone(child))
        parent.stdout.close()

    def test_a_pool_that_is_busy_says_so(self, slow_picture: bytes) -> None:
        pool = DecoderPool(SPEC, 1, GuardConfig(limits=ImageLimits(100_000_000), time_s=60))
        thread = threading.Thread(target=lambda: pool.decode(slow_picture))
        try:
            thread.start()
            wait_until(lambda: bool(pool.process_ids))
            with pytest.raises(DecoderUnavailableError, match="all of them busy"):
                pool.decode(saved(noise(), "PNG"), wait_s=0.01)
        finally:
            thread.join()
            pool.close()


@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="Linux tells limits in /proc")
def test_the_process_has_given_up_what_it_does_not_need(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PROMOLENS_DATABASE_URL", "postgresql://u:secret@db/x")
    decoder = GuardedDecoder(SPEC, GuardConfig(limits=LIMITS, time_s=60))
    try:
        decoder.decode(saved(noise(), "PNG"))
        here = Path(f"/proc/{decoder.process_id}")
        # PR_SET_DUMPABLE gives its files to root.
        if not os.access(here / "environ", os.R_OK):
            pytest.skip("needs to read another process's environment")
        assert b"secret" not in (here / "environ").read_bytes()
        limits = {line[:25].strip(): line[26:46].strip() for line in lines(here / "limits")}
        assert limits["Max address space"] == str(1 << 30)
        assert limits["Max file size"] == limits["Max core file size"] == "0"
        assert limits["Max processes"] == "0"
        assert limits["Max open files"] == "16"
        assert "NoNewPrivs:\t1" in lines(here / "status")
        assert os.getpriority(os.PRIO_PROCESS, decoder.process_id or 0) >= 5
        assert os.getpgid(decoder.process_id or 0) != os.getpgid(0)
    finally:
        decoder.close()


class TestFrames:
    @given(payload=st.binary(max_size=200))
    def test_whatever_a_child_says_is_an_answer_or_refused(self, payload: bytes) -> None:
        with pytest.raises(ValueError):  # noqa: PT011 - any of its kinds
            frames.decoded(payload, 32)

    @given(
        problem=st.none() | st.text(max_size=600),
        sides=st.none() | st.tuples(st.integers(1, 480), st.integers(1, 4)),
        seed=st.integers(0, 99),
    )
    def test_an_answer_comes_back_as_it_was(
        self, problem: str | None, sides: tuple[int, int] | None, seed: int
    ) -> None:
        draw = np.random.default_rng(seed)
        tensor = draw.integers(0, 256, (4, 4, 3), np.uint8)
        grey = None if sides is None else draw.integers(0, 256, sides, np.uint8)
        if problem is not None and len(problem) > 500:
            problem = problem[:400]
        found = frames.decoded(frames.answer(tensor, problem, grey), 4)
        assert (found.tensor == tensor).all()
        assert (found.problem is None) == (problem is None)
        assert "\n" not in (found.problem or "")
        assert (found.grey is None) == (grey is None)
        assert grey is None or (found.grey == grey).all()

    @pytest.mark.parametrize(
        "head",
        [
            b"[" * 4000,
            b'{"tensor":[5,4,3],"problem":null,"grey":null}',
            b'{"tensor":[4,4,3],"problem":null,"grey":[481,1]}',
            b'{"tensor":[4,4,3],"problem":null,"grey":[true,1]}',
            b'{"tensor":[4,4,3],"problem":null,"grey":[2,2]}',
        ],
    )
    def test_a_lying_head_is_refused(self, head: bytes) -> None:
        with pytest.raises(ValueError, match="answer"):
            frames.decoded(struct.pack("!I", len(head)) + head + bytes(48), 4)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def cpu_ticks(process_id: int) -> int:
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def gone(process_id: int) -> bool:
    """Whether a process is no more, or a zombie that nobody has buried yet."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_until(done: Callable[[], bool], within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not done():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def tries(ask: Callable[[], object], passing: type[Exception], times: int = 40) -> None:
    """Ask until it works: on a busy machine even a small picture may take 0.3 s."""
    for last in range(times):
        try:
            ask()
            return
        except passing:
            assert last < times - 1
