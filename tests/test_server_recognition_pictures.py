"""/v1/recognise, /v1/search/image, /v1/compare, /v1/index/status."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from catalog_support import NOW
from promolens_catalog.database import open_database
from promolens_retrieval.cut_points import CutPoint, CutPoints
from promolens_retrieval.entries import Entry
from promolens_retrieval.faiss_index import FaissConfig, FaissIndex
from promolens_retrieval.spaces import Space
from promolens_runtime.bundle import read_bundle
from promolens_runtime.embedder import Embedder
from promolens_runtime.errors import SignatureError
from promolens_runtime.gallery.gallery import read_gallery
from promolens_runtime.gallery.recognizer import GalleryRecognizer
from promolens_runtime.signing import generate_key
from promolens_server.config import RateConfig
from promolens_server.recognition import assets as assets_module
from promolens_server.services import open_services
from recognition_support import CORPUS, Desk, asking, desk, pattern, product, saved
from server_support import assert_problem

__all__ = ["desk"]
PNG = {"content-type": "image/png"}


@pytest.fixture
def client(desk: Desk) -> Iterator[TestClient]:
    with asking(desk) as (opened, _):
        yield opened


def recognise(client: TestClient, data: bytes, **parameters: Any) -> Any:
    answer = client.post("/v1/recognise", params=parameters, content=data, headers=PNG)
    assert answer.status_code == 200, answer.text
    return answer.json()


class TestRecognising:
    def test_the_answer_is_the_phones(self, client: TestClient, desk: Desk) -> None:
        bundle = read_bundle(desk.folder, desk.public_key)
        reference = GalleryRecognizer(bundle, read_gallery(desk.folder / "gallery", bundle))
        for number in range(4):
            data = saved(pattern(number, noise=10))
            expected = reference.predict(data, top=3)
            found = recognise(client, data, top=3)
            assert [one["label"] for one in found["candidates"]] == [
                one.label.label for one in expected.classifier.top
            ]
            assert [one["probability"] for one in found["candidates"]] == pytest.approx(
                [one.probability for one in expected.classifier.top], abs=1e-6
            )
            assert [one["cosine"] for one in found["similar"]] == pytest.approx(
                [hit.cosine for hit in expected.hits], abs=1e-6
            )
            assert found["by"] == expected.fused.by
            named = expected.fused.product
            assert found["product"] == (None if named is None else json_of(found, named.item_id))

    def test_a_product_that_was_never_trained_on_is_named_with_its_address(
        self, client: TestClient
    ) -> None:
        found = recognise(client, saved(pattern(2)))
        assert (found["known"], found["by"]) == (True, "gallery")
        assert found["product"]["name_ko"] == product(2).name_ko
        assert found["product"]["address"] == "/v1/products/by-barcode/8800000000002"
        assert found["model"]["bundle_id"] == "tiny"
        assert found["gallery"] == {"gallery_id": "default", "version": 1}

    def test_a_blank_picture_is_nobodys(self, client: TestClient) -> None:
        found = recognise(client, saved(Image.new("RGB", (100, 100), "white")))
        assert (found["known"], found["by"], found["product"]) == (False, "nobody", None)
        assert found["abstain_reason"] == "too simple to match (nearly one colour)"

    def test_any_kind_of_picture_may_come_as_bytes(self, client: TestClient) -> None:
        for kind in ("JPEG", "PNG", "WEBP", "BMP"):
            headers = {"content-type": "application/octet-stream"}
            data = saved(pattern(1), kind)
            assert client.post("/v1/recognise", content=data, headers=headers).status_code == 200

    def test_answers_are_not_kept_on_the_way(self, client: TestClient) -> None:
        answer = client.post("/v1/recognise", content=saved(pattern(1)), headers=PNG)
        assert answer.headers["cache-control"] == "no-store"

    def test_without_a_gallery_the_classifier_answers_alone(self, desk: Desk) -> None:
        shutil.rmtree(desk.folder / "gallery")
        with asking(desk) as (client, _):
            found = recognise(client, saved(pattern(2)))
            assert (found["gallery"], found["similar"], found["by"]) == (None, [], "nobody")
            assert len(found["candidates"]) == 5


def json_of(found: Any, item_id: str) -> Any:
    """Return a product of an answer without what ranks it."""
    every = [*found["candidates"], *found["similar"]]
    one = next(one for one in every if one["item_id"] == item_id)
    return {name: one[name] for name in one if name not in ("probability", "cosine")}


class TestBadInput:
    @pytest.mark.parametrize(
        ("data", "headers", "status", "code"),
        [
            (b"", PNG, 422, "picture-refused"),
            (b"\0" * 100, PNG, 422, "picture-refused"),
            (saved(pattern(0))[:80], PNG, 422, "picture-refused"),
            (b"x", {}, 415, "unsupported-media-type"),
            (b"x", {"content-type": "text/plain"}, 415, "unsupported-media-type"),
            (b"x", PNG | {"content-encoding": "gzip"}, 415, "unsupported-content-encoding"),
            (b"x" * 50_001, PNG, 413, "body-too-large"),
        ],
    )
    @pytest.mark.parametrize("path", ["/v1/recognise", f"/v1/search/image?corpus={CORPUS}"])
    def test_what_is_no_picture_is_refused(
        self, desk: Desk, path: str, data: bytes, headers: dict[str, str], status: int, code: str
    ) -> None:
        with asking(desk, picture_bytes=50_000) as (client, _):
            assert_problem(client.post(path, content=data, headers=headers), status, code)

    def test_a_body_of_unknown_size_is_bounded_too(self, desk: Desk) -> None:
        def pieces() -> Iterator[bytes]:
            for _ in range(100):
                yield bytes(1_000)

        with asking(desk, picture_bytes=50_000) as (client, _):
            answer = client.post("/v1/recognise", content=pieces(), headers=PNG)
            assert_problem(answer, 413, "body-too-large")

    @pytest.mark.parametrize(
        "query",
        [
            "", "corpus=", "corpus=a/b", "corpus=../x", "corpus=g&k=0", "corpus=g&k=101",
            "corpus=g&min_score=2", "corpus=g&min_score=nan", "corpus=g&chain=mart", "corpus=g&x=1",
        ],
    )  # fmt: skip
    def test_parameters_are_checked(self, client: TestClient, query: str) -> None:
        answer = client.post(f"/v1/search/image?{query}", content=b"x", headers=PNG)
        assert_problem(answer, 422, "invalid")

    def test_an_unknown_corpus_is_not_made(self, client: TestClient) -> None:
        answer = client.post("/v1/search/image?corpus=nope", content=saved(pattern(0)), headers=PNG)
        assert_problem(answer, 404, "unknown-corpus")
        corpora = client.get("/v1/index/status").json()["corpora"]
        assert [one["corpus"] for one in corpora] == [CORPUS]

    def test_a_decoder_that_is_killed_is_replaced(self, desk: Desk) -> None:
        with asking(desk) as (client, services):
            recognise(client, saved(pattern(1)))
            assert services.recognition is not None
            for process_id in services.recognition._pool.process_ids:
                os.kill(process_id, signal.SIGKILL)
                os.waitid(os.P_PID, process_id, os.WEXITED | os.WNOWAIT)
            assert recognise(client, saved(pattern(1)))["known"]


class TestRates:
    def test_pictures_have_a_rate_of_their_own(self, desk: Desk) -> None:
        with asking(desk, rate=RateConfig(per_s=1000, burst=1000), per_s=0.01, burst=2) as (
            client,
            _,
        ):
            data = saved(pattern(0))
            for _ in range(2):
                recognise(client, data)
            refused = client.post("/v1/recognise", content=data, headers=PNG)
            assert_problem(refused, 429, "too-many-pictures")
            assert 90 <= int(refused.headers["retry-after"]) <= 100
            assert refused.headers["ratelimit-policy"] == '"address-pictures";q=2;w=200'
            assert client.get("/v1/meta").status_code == 200

    def test_a_client_has_so_many_at_once_and_all_together_have(self, desk: Desk) -> None:
        with asking(desk, at_once=3, per_client=2) as (client, services):
            assert services.recognition is not None
            admission = services.recognition.admission
            admission._inside["testclient"] = 2
            data = saved(pattern(0))
            answer = client.post("/v1/recognise", content=data, headers=PNG)
            assert_problem(answer, 429, "too-many-at-once")
            admission._inside.clear()
            admission._total = 3
            answer = client.post("/v1/recognise", content=data, headers=PNG)
            assert_problem(answer, 503, "pictures-busy")
            assert answer.headers["retry-after"] == "3"
            admission._total = 0
            recognise(client, data)
            assert (admission._total, dict(admission._inside)) == (0, {})


def search(client: TestClient, data: bytes, **parameters: Any) -> Any:
    answer = client.post(
        "/v1/search/image", params={"corpus": CORPUS} | parameters, content=data, headers=PNG
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def calibrate(desk: Desk, model_id: str, **changes: Any) -> Path:
    """Write cut-points: copy from .999 on, likely from .9, weak from .5."""
    points = CutPoints(
        tuple(
            CutPoint(band, least, share, share, share, 20)  # type: ignore[arg-type]
            for band, least, share in (
                ("copy", 0.999, 1.0),
                ("likely", 0.9, 0.8),
                ("weak", 0.5, 0.4),
            )
        ),
        (-1.0, 0.5, 0.9, 0.999),
        (0.1, 0.4, 0.8, 1.0),
    )
    folder = desk.folder.parent / "calibration"
    folder.mkdir(exist_ok=True)
    value = {
        "format": 1,
        "model_id": model_id,
        "measure": "score",
        "cut_points": points.as_json(),
        "background": None,
    }
    (folder / f"{CORPUS}.json").write_text(json.dumps(value | changes), "utf-8")
    return folder


def model_id_of(desk: Desk) -> str:
    return Embedder(read_bundle(desk.folder, desk.public_key)).model_sha256


class TestSearching:
    def test_the_nearest_come_first_with_their_scores(self, client: TestClient) -> None:
        found = search(client, saved(pattern(3)), k=2)
        assert found["matches"][0]["item_id"] == "fresh-3"
        assert len(found["matches"]) == 2
        assert found["matches"][0]["score"] == pytest.approx(1, abs=1e-3)
        assert found["matches"][0]["score"] >= found["matches"][1]["score"]
        assert (found["calibrated"], found["matches"][0]["band"]) == (False, None)

    def test_files_of_the_index_are_kept_where_a_folder_is_named(
        self, desk: Desk, tmp_path: Path
    ) -> None:
        for _ in range(2):
            with asking(desk, index_folder=tmp_path / "index") as (client, _):
                assert search(client, saved(pattern(3)))["matches"][0]["item_id"] == "fresh-3"
        assert len(list((tmp_path / "index").glob("space-*"))) == 1

    def test_min_score_cuts_off(self, client: TestClient) -> None:
        matches = search(client, saved(pattern(3)), min_score=0.9995)["matches"]
        assert [one["item_id"] for one in matches] == ["fresh-3"]

    def test_a_picture_too_simple_to_match_finds_nothing(self, client: TestClient) -> None:
        found = search(client, saved(Image.new("RGB", (90, 90), "red")))
        assert found["matches"] == []
        assert found["abstain_reason"] == "too simple to match (nearly one colour)"

    def test_a_new_vector_is_found_without_a_restart(self, desk: Desk) -> None:
        with asking(desk) as (client, _):
            assert len(search(client, saved(pattern(9)))["matches"]) == 4
            desk.build_gallery(range(4, 10))
            time.sleep(2 * FaissConfig().poll_s)  # so long another process's change may be unseen
            found = search(client, saved(pattern(9)))["matches"]
            assert found[0]["item_id"] == "fresh-9"

    def test_the_chain_is_an_attribute_of_the_stored_picture(self, desk: Desk) -> None:
        database = open_database(desk.database_url)
        space = Space("shelf", model_id_of(desk), 8)
        index = FaissIndex(database, space)
        vectors = np.eye(8, dtype=np.float32)[:2]
        entries = [Entry("a", "1", 0, {"chain": ("cu",)}), Entry("b", "2", 0, {"chain": ("gs25",)})]
        index.upsert(entries, vectors, model_id=space.model_id)
        index.close()
        database.close()
        with asking(desk) as (client, _):
            for chain, item_id in (("cu", "1"), ("gs25", "2")):
                matches = search(client, saved(pattern(0)), corpus="shelf", chain=chain)["matches"]
                assert [one["item_id"] for one in matches] == [item_id]
            assert search(client, saved(pattern(0)), corpus="shelf", chain="seven")["matches"] == []

    def test_cut_points_name_what_scores_mean(self, desk: Desk) -> None:
        folder = calibrate(desk, model_id_of(desk))
        with asking(desk, calibration=folder) as (client, _):
            found = search(client, saved(pattern(3)), k=4)
            assert found["calibrated"]
            assert found["matches"][0]["band"] == "copy"
            assert found["matches"][0]["estimated_precision"] == 1.0
            for one in found["matches"]:
                score = one["score"]
                expected = (
                    ("copy", 1.0) if score >= 0.999
                    else ("likely", 0.8) if score >= 0.9
                    else ("weak", 0.4) if score >= 0.5
                    else ("none", 0.1)
                )  # fmt: skip
                assert (one["band"], one["estimated_precision"]) == expected

    def test_a_background_is_taken_off(self, desk: Desk) -> None:
        """The query's mean with the two nearest background vectors, by the definition."""
        model_id = model_id_of(desk)
        database = open_database(desk.database_url)
        background = np.random.default_rng(5).normal(size=(6, 8)).astype(np.float32)
        index = FaissIndex(database, Space("background", model_id, 8))
        entries = [Entry(f"b{number}", "x") for number in range(6)]
        index.upsert(entries, background, model_id=model_id)
        index.close()
        database.close()
        where = {"corpus": "background", "first": 1, "last": 2, "weight": 1.0}
        folder = calibrate(desk, model_id, measure="normalised", background=where)
        data = saved(pattern(3))
        vector = Embedder(read_bundle(desk.folder, desk.public_key)).embed(data).astype(np.float64)
        cosines = background @ vector / np.linalg.norm(vector) / np.linalg.norm(background, axis=1)
        mean = float(np.sort(cosines)[-2:].mean())
        with asking(desk, calibration=folder) as (client, _):
            for one in search(client, data, k=4)["matches"]:
                assert one["normalised_score"] == pytest.approx(one["score"] - mean, abs=2e-3)
                assert one["band"] is not None

    def test_cut_points_of_another_model_are_not_used(self, desk: Desk) -> None:
        folder = calibrate(desk, "0" * 64)
        with asking(desk, calibration=folder) as (client, _):
            assert not search(client, saved(pattern(3)))["calibrated"]

    @pytest.mark.parametrize(
        "changes", [{"format": 2}, {"measure": "feeling"}, {"cut_points": {}}, {"background": 7}]
    )
    def test_damaged_cut_points_are_the_services_fault(
        self, desk: Desk, changes: dict[str, Any]
    ) -> None:
        folder = calibrate(desk, model_id_of(desk), **changes)
        with asking(desk, calibration=folder) as (client, _):
            answer = client.post(
                f"/v1/search/image?corpus={CORPUS}", content=saved(pattern(3)), headers=PNG
            )
            assert_problem(answer, 503, "calibration-unusable")

    def test_the_state_of_the_index(self, client: TestClient) -> None:
        before = client.get("/v1/index/status").json()["corpora"]
        assert [(one["corpus"], one["searchable"], one["index"]) for one in before] == [
            (CORPUS, True, None)
        ]
        search(client, saved(pattern(0)))
        (after,) = client.get("/v1/index/status").json()["corpora"]
        state = after["index"]
        assert (state["rows"], state["sequence"], state["kind"]) == (4, 4, "exact int8")
        assert (state["newer_rows"], state["gone_rows"]) == (0, 0)
        assert state["size_bytes"] > 0


class TestComparing:
    def compare(self, client: TestClient, one: bytes, other: bytes, query: str = "") -> Any:
        files = {"one": ("a.png", one, "image/png"), "other": ("b.png", other, "image/png")}
        return client.post(f"/v1/compare{query}", files=files)

    def test_a_picture_is_like_itself(self, client: TestClient) -> None:
        found = self.compare(client, saved(pattern(1)), saved(pattern(1))).json()
        assert found["cosine"] == 1.0
        assert (found["band"], found["abstain_reason"]) == (None, None)

    def test_a_turned_part_of_a_picture_has_its_corners(self, client: TestClient) -> None:
        cells = np.random.default_rng(4).integers(0, 256, (24, 24, 3), np.uint8)
        photo = Image.fromarray(cells).resize((480, 480), Image.Resampling.NEAREST)
        part = photo.rotate(20).crop((60, 60, 400, 400))
        other = Image.fromarray(np.random.default_rng(8).integers(0, 256, (24, 24, 3), np.uint8))
        other = other.resize((480, 480), Image.Resampling.NEAREST)
        same = self.compare(client, saved(photo), saved(part)).json()["arrangement"]
        assert same["same"]
        assert same["inliers"] >= 15
        assert not self.compare(client, saved(photo), saved(other)).json()["arrangement"]["same"]

    def test_the_band_is_that_of_a_corpus(self, desk: Desk) -> None:
        folder = calibrate(desk, model_id_of(desk))
        with asking(desk, calibration=folder) as (client, _):
            query = f"?corpus={CORPUS}"
            found = self.compare(client, saved(pattern(1)), saved(pattern(1)), query).json()
            assert (found["band"], found["estimated_precision"]) == ("copy", 1.0)
            blank = saved(Image.new("RGB", (60, 60), "red"))
            found = self.compare(client, saved(pattern(1)), blank, query).json()
            assert found["abstain_reason"].startswith("other: too simple to match")
            assert found["band"] is None

    def test_the_field_that_is_no_picture_is_named(self, client: TestClient) -> None:
        members = assert_problem(
            self.compare(client, saved(pattern(1)), b"junk"), 422, "picture-refused"
        )
        assert members["field"] == "other"

    @pytest.mark.parametrize(
        ("content", "kind", "status", "code"),
        [
            (b"x", "image/png", 415, "unsupported-media-type"),
            (b"x", "multipart/form-data", 422, "bad-form"),
            (b"x", "multipart/form-data; boundary=q", 422, "bad-form"),
            (b"--q--\r\n", "multipart/form-data; boundary=q", 422, "bad-form"),
            (
                b'--q\r\nContent-Disposition: form-data; name="one"\r\n\r\nx\r\n--q--\r\n',
                "multipart/form-data; boundary=q",
                422,
                "bad-form",
            ),
        ],
    )
    def test_what_is_no_form_is_refused(
        self, client: TestClient, content: bytes, kind: str, status: int, code: str
    ) -> None:
        answer = client.post("/v1/compare", content=content, headers={"content-type": kind})
        assert_problem(answer, status, code)

    def test_three_pictures_are_refused(self, client: TestClient) -> None:
        files = [(name, ("x.png", b"x", "image/png")) for name in ("one", "other", "third")]
        assert_problem(client.post("/v1/compare", files=files), 422, "bad-form")


class TestFolders:
    """What lies in the configured folder changes while the service runs."""

    @pytest.fixture(autouse=True)
    def _look_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(assets_module, "_LOOK_AGAIN_S", 0.0)

    def test_a_new_gallery_names_new_products_without_a_restart(self, desk: Desk) -> None:
        with asking(desk) as (client, _):
            assert recognise(client, saved(pattern(8)))["similar"][0]["item_id"] != "fresh-8"
            desk.build_gallery([0, 1, 8])
            found = recognise(client, saved(pattern(8)))
            assert found["similar"][0]["item_id"] == "fresh-8"
            assert found["gallery"]["version"] == 2

    def test_an_older_gallery_and_a_broken_one_change_nothing(
        self, desk: Desk, tmp_path: Path
    ) -> None:
        gallery = desk.folder / "gallery"
        shutil.copytree(gallery, tmp_path / "first")
        desk.build_gallery([0, 1, 2, 3, 8])
        shutil.copytree(gallery, tmp_path / "second")
        with asking(desk) as (client, _):
            assert recognise(client, saved(pattern(8)))["gallery"]["version"] == 2
            shutil.rmtree(gallery)
            shutil.copytree(tmp_path / "first", gallery)
            assert recognise(client, saved(pattern(8)))["gallery"]["version"] == 2
            (problem,) = client.get("/readyz").json()["recognition"]["problems"]
            assert problem.startswith("Expected a gallery of version 2 or later")
            (gallery / "manifest.json").write_bytes(b"{}")
            assert recognise(client, saved(pattern(8)))["gallery"]["version"] == 2
            assert client.get("/readyz").json()["recognition"]["problems"] != []
            shutil.rmtree(gallery)
            shutil.copytree(tmp_path / "second", gallery)
            assert client.get("/readyz").json()["recognition"]["problems"] == []

    def test_a_broken_bundle_changes_nothing(self, desk: Desk) -> None:
        with asking(desk) as (client, _):
            manifest = desk.folder / "bundle" / "manifest.json"
            manifest.write_bytes(manifest.read_bytes() + b" ")
            assert recognise(client, saved(pattern(1)))["known"]
            (problem,) = client.get("/readyz").json()["recognition"]["problems"]
            assert "this key did not sign" in problem

    def test_another_key_ends_the_start(self, desk: Desk) -> None:
        config = desk.server_config(desk.config(public_key=generate_key().public))
        with pytest.raises(SignatureError):
            open_services(config, lambda: NOW)


def test_without_a_bundle_there_are_no_such_addresses_and_none_of_their_cost(
    sqlite_url: str,
) -> None:
    program = (
        "import sys\n"
        "from promolens_server.config import ServerConfig\n"
        "from promolens_server.factory import create_app\n"
        "from promolens_server.services import open_services\n"
        "app = create_app(open_services(ServerConfig(database_url=sys.argv[1])))\n"
        "print('/v1/recognise' in app.openapi()['paths'],\n"
        "      *{'faiss', 'ai_edge_litert', 'PIL', 'cv2', 'tensorflow'} & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, sqlite_url], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False"]
