"""/v1/batches: orders of many pictures, through cancellation, crashes and time."""

from __future__ import annotations

import io
import json
import struct
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from catalog_support import NOW
from promolens_runtime.errors import ImageError, InputError
from promolens_server.config import KeysConfig
from promolens_server.keys import add_key
from promolens_server.problems import Problem
from promolens_server.recognition.batches.orders import Ask
from promolens_server.recognition.batches.runner import BatchRunner
from promolens_server.recognition.batches.store import RESULTS, UPLOAD, BatchStore
from promolens_server.recognition.batches.zips import Pictures, picture_names
from promolens_server.recognition.config import BatchConfig
from recognition_support import CORPUS, Desk, asking, desk, pattern, saved
from server_support import assert_problem, serve_process

__all__ = ["desk"]
ZIP = {"content-type": "application/zip"}
RECOGNISE = Ask("recognise", 5)
MEGABYTE = 1_000_000


def packed(files: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", kind) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return target.getvalue()


def pictures(count: int) -> dict[str, bytes]:
    return {f"shelf/{number}.png": saved(pattern(number % 4)) for number in range(count)}


def until(done: Callable[[], Any], within_s: float = 120) -> Any:
    deadline = time.monotonic() + within_s
    while not (found := done()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return found


@pytest.fixture
def client(desk: Desk) -> Iterator[TestClient]:
    with asking(desk) as (opened, _):
        yield opened


def ordered(client: TestClient, data: bytes, **parameters: Any) -> Any:
    answer = client.post("/v1/batches", params=parameters, content=data, headers=ZIP)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/batches/{answer.json()['id']}"
    return answer.json()


def ended(client: TestClient, id_: str) -> Any:
    def look() -> Any:
        found = client.get(f"/v1/batches/{id_}").json()
        return found if found["ended_at"] else None

    return until(look)


class TestOrders:
    def test_every_picture_is_answered_as_if_it_came_alone(
        self, client: TestClient, desk: Desk
    ) -> None:
        made = ordered(client, packed(pictures(3) | {"notes.txt": b"milk, eggs"}))
        assert (made["state"], made["total"], made["results"]) == ("waiting", 4, [])
        found = ended(client, made["id"])
        assert (found["state"], found["answered"], found["refused"]) == ("done", 3, 1)
        assert [one["name"] for one in found["results"]] == [*pictures(3), "notes.txt"]
        alone = client.post(
            "/v1/recognise", content=saved(pattern(1)), headers={"content-type": "image/png"}
        )
        assert found["results"][1]["answer"] == alone.json()
        last = found["results"][3]
        assert (last["status"], last["code"]) == ("refused", "picture-refused")
        assert last["detail"].startswith("Expected a JPEG")

    def test_pictures_are_deleted_at_the_end(self, client: TestClient, desk: Desk) -> None:
        made = ordered(client, packed(pictures(2)))
        ended(client, made["id"])
        left = {path.name for path in (desk.folder.parent / "batches" / made["id"]).iterdir()}
        assert left == {"order.json", "results.jsonl", "end.json"}

    def test_results_come_in_pages(self, client: TestClient) -> None:
        made = ordered(client, packed(pictures(5)))
        ended(client, made["id"])
        seen: list[int] = []
        after: int | None = 0
        while after is not None:
            page = client.get(f"/v1/batches/{made['id']}?after={after}&limit=2").json()
            seen += [one["n"] for one in page["results"]]
            after = page["next_after"]
        assert seen == [0, 1, 2, 3, 4]

    def test_a_corpus_may_be_searched(self, client: TestClient) -> None:
        made = ordered(client, packed(pictures(2)), ask="search", corpus=CORPUS, k=1)
        found = ended(client, made["id"])
        best = [one["answer"]["matches"][0]["item_id"] for one in found["results"]]
        assert best == ["fresh-0", "fresh-1"]

    @pytest.mark.parametrize(
        ("query", "status", "code"),
        [
            ("ask=search", 422, "invalid"),
            (f"ask=recognise&corpus={CORPUS}", 422, "invalid"),
            ("ask=other", 422, "invalid"),
            ("k=21", 422, "invalid"),
            ("ask=search&corpus=nope", 404, "unknown-corpus"),
        ],
    )
    def test_what_cannot_be_asked_is_refused(
        self, client: TestClient, desk: Desk, query: str, status: int, code: str
    ) -> None:
        answer = client.post(f"/v1/batches?{query}", content=packed(pictures(1)), headers=ZIP)
        assert_problem(answer, status, code)
        assert kept(desk) == []

    def test_what_is_no_zip_is_refused_and_nothing_is_kept(
        self, client: TestClient, desk: Desk
    ) -> None:
        for data in (b"", b"PK", saved(pattern(1)), packed({})):
            answer = client.post("/v1/batches", content=data, headers=ZIP)
            assert_problem(answer, 400, "bad-input")
        wrong = client.post("/v1/batches", content=b"x", headers={"content-type": "image/png"})
        assert_problem(wrong, 415, "unsupported-media-type")
        assert kept(desk) == []

    def test_an_upload_over_the_limit_leaves_nothing(self, desk: Desk) -> None:
        config = BatchConfig(folder=desk.folder.parent / "batches", zip_bytes=100_000)

        def pieces() -> Iterator[bytes]:
            for _ in range(50):
                yield bytes(10_000)

        with asking(desk, batches=config) as (client, _):
            answer = client.post("/v1/batches", content=pieces(), headers=ZIP)
            assert_problem(answer, 413, "body-too-large")
        assert kept(desk) == []

    def test_unknown_ids(self, client: TestClient) -> None:
        assert_problem(client.get(f"/v1/batches/{'0' * 32}"), 404, "unknown-batch")
        assert_problem(client.post(f"/v1/batches/{'0' * 32}/cancel"), 404, "unknown-batch")
        assert_problem(client.get("/v1/batches/..%2fx"), 404, "not-found")
        assert_problem(client.get("/v1/batches/nope"), 422, "invalid")

    def test_an_order_of_a_key_is_for_that_key(self, desk: Desk, tmp_path: Path) -> None:
        file = tmp_path / "keys.json"
        _, mine = add_key(file, "mine", NOW)
        _, other = add_key(file, "other", NOW)
        with asking(desk, keys=KeysConfig(file)) as (client, _):
            made = client.post(
                "/v1/batches", content=packed(pictures(1)), headers=ZIP | {"x-api-key": mine}
            ).json()
            path = f"/v1/batches/{made['id']}"
            assert client.get(path, headers={"x-api-key": mine}).status_code == 200
            assert_problem(client.get(path, headers={"x-api-key": other}), 404, "unknown-batch")
            assert_problem(client.get(path), 404, "unknown-batch")


def kept(desk: Desk) -> list[str]:
    folder = desk.folder.parent / "batches"
    return [path.name for path in folder.iterdir() if path.is_dir()]


class Answering:
    """Answers pictures without a model, and counts them."""

    def __init__(self, stop: Callable[[int], object] = lambda count: None) -> None:
        self.count = 0
        self._stop = stop

    def __call__(self, ask: Ask, data: bytes) -> dict[str, Any]:
        self._stop(self.count)
        self.count += 1
        return {"bytes": len(data)}


class TestLifeOfAnOrder:
    @pytest.fixture
    def now(self) -> list[datetime]:
        return [NOW]

    @pytest.fixture
    def store(self, tmp_path: Path, now: list[datetime]) -> BatchStore:
        config = BatchConfig(folder=tmp_path / "batches", per_client=2, unfinished=3, keep_days=7)
        return BatchStore(config, lambda: now[0])

    def add(self, store: BatchStore, count: int = 4, owner: str = "key:a") -> Any:
        with store.upload() as upload:
            upload.write_bytes(packed(pictures(count)))
            return store.add(upload, owner, RECOGNISE, MEGABYTE)

    def test_work_goes_on_behind_the_last_whole_result(self, store: BatchStore) -> None:
        order = self.add(store)

        def crash(count: int) -> None:
            if count == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            BatchRunner(store, Answering(crash), MEGABYTE).work_once()
        with store.path(order, RESULTS).open("ab") as file:
            file.write(b'{"n": 2, "name": "she')
        assert store.progress(order)[0].state == "running"
        second = Answering()
        BatchRunner(store, second, MEGABYTE).work_once()
        progress, results = store.progress(order)
        assert (progress.state, progress.answered, second.count) == ("done", 4, 2)
        assert [line["n"] for line in results.lines] == [0, 1, 2, 3]

    def test_trouble_that_is_not_the_pictures_is_tried_again(self, store: BatchStore) -> None:
        order = self.add(store)

        def away(count: int) -> None:
            raise Problem(503, "decoder-unavailable", "Expected x. Received y.")

        with pytest.raises(Problem):
            BatchRunner(store, Answering(away), MEGABYTE).work_once()
        assert store.progress(order)[0].state == "waiting"
        BatchRunner(store, Answering(), MEGABYTE).work_once()
        assert store.progress(order)[0].state == "done"

    def test_only_one_process_works(self, store: BatchStore) -> None:
        order = self.add(store)
        with store.working() as ours:
            assert ours
            BatchRunner(store, Answering(), MEGABYTE).work_once()
            assert store.progress(order)[0].state == "waiting"
        BatchRunner(store, Answering(), MEGABYTE).work_once()
        assert store.progress(order)[0].state == "done"

    def test_cancelled_work_stops_and_its_pictures_go(self, store: BatchStore) -> None:
        order = self.add(store)
        answering = Answering(lambda count: store.cancel(order) if count == 1 else None)
        BatchRunner(store, answering, MEGABYTE).work_once()
        progress, _ = store.progress(order)
        assert (progress.state, progress.answered) == ("cancelled", 2)
        assert not store.path(order, UPLOAD).exists()
        store.cancel(order)
        assert store.progress(order)[0].state == "cancelled"

    def test_an_order_whose_pictures_are_gone_fails(self, store: BatchStore) -> None:
        order = self.add(store)
        store.path(order, UPLOAD).unlink()
        BatchRunner(store, Answering(), MEGABYTE).work_once()
        progress, _ = store.progress(order)
        assert progress.state == "failed"
        assert progress.reason.startswith("Expected the ZIP of an order")

    def test_results_are_deleted_in_time(self, store: BatchStore, now: list[datetime]) -> None:
        order = self.add(store)
        BatchRunner(store, Answering(), MEGABYTE).work_once()
        now[0] += timedelta(days=7, seconds=-1)
        store.tidy()
        assert store.find(order.id) is not None
        now[0] += timedelta(seconds=1)
        store.tidy()
        assert store.find(order.id) is None

    def test_quotas_count_unfinished_orders_only(self, store: BatchStore) -> None:
        for _ in range(2):
            store.check_quota("key:a")
            self.add(store)
        with pytest.raises(Problem) as caught:
            store.check_quota("key:a")
        assert (caught.value.status, caught.value.code) == (429, "too-many-batches")
        self.add(store, owner="key:b")
        with pytest.raises(Problem) as caught:
            store.check_quota("key:c")
        assert (caught.value.status, caught.value.code) == (503, "batches-full")
        BatchRunner(store, Answering(), MEGABYTE).work_once()
        store.check_quota("key:a")

    def test_addresses_are_kept_as_keyed_hashes(self, store: BatchStore, tmp_path: Path) -> None:
        mine = store.owner_of("192.0.2.7", None)
        assert "192.0.2.7" not in mine
        assert mine == BatchStore(store.config, lambda: NOW).owner_of("192.0.2.7", None)
        other = BatchStore(replace(store.config, folder=tmp_path / "other"), lambda: NOW)
        assert mine != other.owner_of("192.0.2.7", None)
        assert store.owner_of("ignored", "1f0c9a2b") == "key:1f0c9a2b"

    def test_a_damaged_order_is_passed_over(self, store: BatchStore) -> None:
        order = self.add(store)
        store.path(order, "order.json").write_bytes(b"{")
        BatchRunner(store, Answering(), MEGABYTE).work_once()
        assert store.find(order.id) is None


class TestZips:
    CONFIG = BatchConfig(pictures=5, ratio=50)

    def names(self, tmp_path: Path, data: bytes, picture_bytes: int = 100_000) -> tuple[str, ...]:
        path = tmp_path / "upload.zip"
        path.write_bytes(data)
        return picture_names(path, self.CONFIG, picture_bytes)

    def test_folders_and_what_a_mac_adds_are_left_out(self, tmp_path: Path) -> None:
        files = {"a/": b"", "a/사진.png": b"x", "__MACOSX/a/._1.png": b"x", "a/.DS_Store": b"x"}
        assert self.names(tmp_path, packed(files)) == ("a/사진.png",)

    @pytest.mark.parametrize(
        ("data", "said"),
        [
            (b"", "Expected a ZIP"),
            (b"PK\x05\x06" + bytes(18), "1 to 5 files"),
            (packed({"a.png": b"x"})[:-1], "without a comment"),
            (packed({f"{number}": b"x" for number in range(6)}), "1 to 5 files"),
            (packed({f"{number}": b"x" for number in range(40)}), "40 entries"),
            (packed({"x" * 256: b"x"}), "255 printable"),
            (packed({"a\nb": b"x"}), "printable"),
            (packed({"../../etc/passwd": b"x"}), "below the ZIP's own folder"),
            (packed({"/etc/passwd": b"x"}), "below the ZIP's own folder"),
            (packed({"c:x": b"x"}), "below the ZIP's own folder"),
            (packed({"a\\b": b"x"}), "printable"),
            (packed({"a": b"x" * 100_001}), "at most 100000 bytes"),
            (packed({"bomb": bytes(99_000)}, zipfile.ZIP_DEFLATED), "packed at most 50 to 1"),
            (packed({"a": b"x" * 50}, zipfile.ZIP_BZIP2), "stored or deflated"),
        ],
    )  # fmt: skip
    def test_what_is_over_the_limits_is_refused(
        self, tmp_path: Path, data: bytes, said: str
    ) -> None:
        with pytest.raises(InputError, match=said):
            self.names(tmp_path, data)

    def test_a_comment_a_password_and_a_second_entry_of_a_name_are_refused(
        self, tmp_path: Path
    ) -> None:
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr("a", b"x")
            archive.comment = b"hello"
        with pytest.raises(InputError, match="without a comment"):
            self.names(tmp_path, target.getvalue())
        locked = bytearray(packed({"a": b"x"}))
        at = locked.rindex(b"PK\x01\x02")
        locked[at + 8] |= 1
        with pytest.raises(InputError, match="without a password"):
            self.names(tmp_path, bytes(locked))
        twice = bytearray(packed({"a": b"x", "b": b"y"}))
        at = twice.rindex(b"PK\x01\x02")
        twice[at + 46 : at + 47] = b"a"
        with pytest.raises(InputError, match="'a' twice"):
            self.names(tmp_path, bytes(twice))

    @given(
        changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=8),
        cut=st.integers(0, 60),
    )
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    def test_a_damaged_zip_is_refused_or_read_within_the_limits(
        self, tmp_path: Path, changes: list[tuple[int, int]], cut: int
    ) -> None:
        data = bytearray(packed({"a.png": b"x" * 90, "b.png": b"y" * 90}, zipfile.ZIP_DEFLATED))
        for place, value in changes:
            data[place % len(data)] = value
        path = tmp_path / "upload.zip"
        path.write_bytes(data[: len(data) - cut] if cut < 5 else data)
        try:
            names = picture_names(path, self.CONFIG, 1_000)
            archive = Pictures(path, 1_000)
        except InputError:
            return
        assert 1 <= len(names) <= 5
        for name in names:
            with suppress(ImageError):
                assert len(archive.read(name)) <= 1_000
        archive.close()

    def test_a_directory_that_lies_about_its_size_costs_nothing(self, tmp_path: Path) -> None:
        data = bytearray(packed({"a": b"x"}))
        struct.pack_into("<L", data, len(data) - 10, 50_000_000)
        with pytest.raises(InputError, match="1 entries"):
            self.names(tmp_path, bytes(data))

    def test_a_file_that_unpacks_to_more_than_it_says_is_cut(self, tmp_path: Path) -> None:
        data = bytearray(packed({"a": bytes(50_000)}, zipfile.ZIP_DEFLATED))
        at = data.rindex(b"PK\x01\x02")
        struct.pack_into("<L", data, at + 24, 100)
        path = tmp_path / "liar.zip"
        path.write_bytes(data)
        assert picture_names(path, self.CONFIG, 1_000) == ("a",)
        archive = Pictures(path, 1_000)
        with pytest.raises(ImageError, match="cannot be unpacked"):
            archive.read("a")
        archive.close()
        path.write_bytes(packed({"a.png": b"x"})[30:])
        headless = Pictures(path, 1_000)
        with pytest.raises(ImageError, match="cannot be unpacked"):
            headless.read("a.png")
        headless.close()


def test_killed_at_any_moment_it_goes_on_where_it_stopped(desk: Desk, tmp_path: Path) -> None:
    """The program itself, killed twice with SIGKILL while it works on an order."""
    (tmp_path / "server.toml").write_text(
        f'[rate]\nenabled = false\n[recognition]\nassets = "{desk.folder}"\n'
        f'public_key = "{desk.public_key}"\ndecode_s = 60\n'
        f'[recognition.batches]\nfolder = "{tmp_path / "orders"}"\n',
        "utf-8",
    )
    environment = {"PROMOLENS_DATABASE_URL": desk.database_url}
    options = ("--config", str(tmp_path / "server.toml"))
    total = 400
    id_ = ""
    for least in (1, 40):
        with serve_process(tmp_path, *options, environment=environment) as server:
            if not id_:
                answer = httpx.post(
                    f"{server.url}/v1/batches", content=packed(pictures(total)), headers=ZIP
                )
                id_ = answer.json()["id"]
            results = tmp_path / "orders" / id_ / RESULTS
            until(lambda: results.exists() and results.read_bytes().count(b"\n") >= least)  # noqa: B023
            server.process.kill()
            server.process.wait()
        assert results.read_bytes().count(b"\n") < total
    with serve_process(tmp_path, *options, environment=environment) as server:

        def look() -> Any:
            found = httpx.get(f"{server.url}/v1/batches/{id_}?limit=0").json()
            return found if found["ended_at"] else None

        found = until(look)
    assert (found["state"], found["answered"], found["refused"]) == ("done", total, 0)
    lines = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
    assert [line["n"] for line in lines] == list(range(total))
    assert not (tmp_path / "orders" / id_ / UPLOAD).exists()
    assert datetime.fromisoformat(found["ended_at"]).tzinfo == UTC
