"""Bundle delivery over HTTP: what phones and proxies rely on."""

from __future__ import annotations

import base64
import hashlib
import http.client
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from bundle_store_support import WHEN, MakeBundle, Publish, tree
from promolens_catalog.database import open_database
from promolens_runtime.errors import InputError
from promolens_server.bundles import channels
from promolens_server.bundles.ranges import (
    Span,
    UnsatisfiableError,
    accepted_coding,
    holds_tag,
    wanted_span,
)
from promolens_server.bundles.sending import PIECE_BYTES, FileAnswer
from promolens_server.bundles.store import ArtefactStore
from promolens_server.config import BundlesConfig
from promolens_server.factory import create_app
from promolens_server.models.bundles import OfferedBundle
from promolens_server.services import Services, open_services
from server_support import config_for, running


@pytest.fixture
def bundle_services(tmp_path: Path, sqlite_template: Path, store: ArtefactStore) -> Iterator[Any]:
    """Services with `store`; bundles never touch the catalog, so one engine is enough."""
    path = tmp_path / "catalog.db"
    path.write_bytes(sqlite_template.read_bytes())
    open_database(str(path)).close()
    config = config_for(str(path), bundles=BundlesConfig(store.folder.parent))
    opened = open_services(config, clock=lambda: WHEN)
    yield opened
    opened.close()


@pytest.fixture
def phone(bundle_services: Services) -> Iterator[TestClient]:
    """A client that asks for files as they are, unless a test says otherwise."""
    with TestClient(create_app(bundle_services), raise_server_exceptions=False) as opened:
        opened.headers["accept-encoding"] = "identity"
        yield opened


def _split(store: ArtefactStore) -> tuple[str, str]:
    """Return an install id on the early side and one on the late side of a roll-out."""
    state = store.channel("stable")
    ids = [f"phone-{number:04d}" for number in range(1_000)]
    early = next(one for one in ids if state.offered_to(one) == state.candidate)
    late = next(one for one in ids if state.offered_to(one) != state.candidate)
    return early, late


# ---- the whole way of a phone


def test_a_phone_downloads_a_bundle_that_verifies(
    phone: TestClient, publish: Publish, make_bundle: MakeBundle, keys: Any, tmp_path: Path
) -> None:
    from promolens_runtime.verify import verify_bundle

    publish(7)
    offered = phone.get("/v1/bundles/stable").json()
    OfferedBundle.model_validate(offered, strict=True)
    folder = tmp_path / "phone"
    folder.mkdir()
    for file in offered["files"]:
        answer = phone.get(file["url"])
        assert answer.status_code == 200
        assert len(answer.content) == file["size_bytes"]
        assert hashlib.sha256(answer.content).hexdigest() == file["sha256"]
        (folder / file["name"]).write_bytes(answer.content)
    assert tree(folder) == tree(make_bundle(7))
    report = verify_bundle(folder, keys.own.public)
    assert report.findings == ()
    assert offered["version"] == 7
    assert offered["minimum_app_version"] == "0.1.0"
    assert offered["size_bytes"] == sum(len(data) for data in tree(folder).values())


def test_the_answer_is_what_the_document_says(phone: TestClient, publish: Publish) -> None:
    publish(7)
    document = phone.get("/openapi.json").json()
    schema = document["components"]["schemas"]["OfferedBundle"]
    offered = phone.get("/v1/bundles/stable").json()
    assert set(offered) == set(schema["properties"]) == set(schema["required"])
    paths = {path for path in document["paths"] if path.startswith("/v1/bundles")}
    assert paths == {
        "/v1/bundles/{channel}",
        "/v1/bundles/{channel}/manifest.json",
        "/v1/bundles/{channel}/manifest.sig",
        "/v1/bundles/files/{sha256}/{name}",
    }


def test_the_channels_own_addresses_give_the_same_bytes(
    phone: TestClient, publish: Publish, make_bundle: MakeBundle
) -> None:
    publish(7)
    offered = phone.get("/v1/bundles/stable").json()
    for name, url in (
        ("manifest.json", offered["manifest_url"]),
        ("manifest.sig", offered["signature_url"]),
    ):
        short = phone.get(f"/v1/bundles/stable/{name}")
        assert short.content == (make_bundle(7) / name).read_bytes() == phone.get(url).content
        assert short.headers["content-location"] == url
        assert "immutable" not in short.headers["cache-control"]
        assert short.headers["vary"] == "Accept-Encoding, Promolens-Install"


# ---- channels


def test_a_rollout_gives_each_phone_one_side(
    phone: TestClient, publish: Publish, store: ArtefactStore
) -> None:
    publish(1)
    publish(2, percent=30)
    early, late = _split(store)
    for _ in range(3):
        first = phone.get("/v1/bundles/stable", headers={"Promolens-Install": early})
        second = phone.get("/v1/bundles/stable", headers={"Promolens-Install": late})
        nobody = phone.get("/v1/bundles/stable")
        assert (first.json()["version"], first.json()["early"]) == (2, True)
        assert (second.json()["version"], second.json()["early"]) == (1, False)
        assert nobody.json() == second.json()
    assert first.headers["cache-control"].startswith("private")
    assert nobody.headers["cache-control"].startswith("public")
    assert "Promolens-Install" in nobody.headers["vary"]
    assert first.headers["etag"] != second.headers["etag"]
    manifest = phone.get("/v1/bundles/stable/manifest.json", headers={"Promolens-Install": early})
    assert manifest.json()["version"] == 2
    assert manifest.headers["cache-control"].startswith("private")


def test_a_rollback_is_seen_at_once_and_files_in_flight_stay(
    phone: TestClient, publish: Publish, store: ArtefactStore
) -> None:
    publish(1)
    publish(2)
    newer = phone.get("/v1/bundles/stable").json()
    store.change_channel("stable", lambda state: channels.rollback(state, WHEN, "min"))
    assert phone.get("/v1/bundles/stable").json()["version"] == 1
    for file in newer["files"]:
        assert phone.get(file["url"]).status_code == 200


def test_what_another_process_pruned_is_unknown_and_cannot_be_offered(
    phone: TestClient, publish: Publish, store: ArtefactStore
) -> None:
    files = [publish(version).release.id for version in (1, 2, 3)]
    store.change_channel("stable", lambda before: channels.rollback(before, WHEN, "min", 1))
    url = f"/v1/bundles/files/{files[1]}/MODEL_CARD.md"
    assert phone.get(url).status_code == 200
    running_download = store.path_of(store.release(files[1]), "MODEL_CARD.md").open("rb")
    other = ArtefactStore(store.folder.parent)
    second = other.release(files[1])
    assert [one.version for one in other.prune(1)] == [2]
    assert (phone.get(url).status_code, phone.get(url).json()["code"]) == (404, "unknown-release")
    with running_download:
        assert running_download.read() == b"# tiny\n"
    for kept in (files[0], files[2]):
        assert phone.get(f"/v1/bundles/files/{kept}/MODEL_CARD.md").status_code == 200
    with pytest.raises(InputError, match="Publish it again"):
        store.change_channel(
            "beta", lambda before: channels.publish(before, second, 100, WHEN, "min")
        )
    assert phone.get("/v1/bundles/beta").status_code == 404


def test_nothing_is_offered_before_the_first_release(
    phone: TestClient, publish: Publish, store: ArtefactStore
) -> None:
    answer = phone.get("/v1/bundles/stable")
    assert (answer.status_code, answer.json()["code"]) == (404, "no-release")
    publish(1, percent=10)
    early, late = _split(store)
    assert phone.get("/v1/bundles/stable", headers={"Promolens-Install": early}).json()["early"]
    outside = phone.get("/v1/bundles/stable", headers={"Promolens-Install": late})
    assert outside.json()["code"] == "no-release"
    assert phone.get("/v1/bundles/beta").json()["code"] == "no-release"


def test_without_a_store_there_are_no_bundles(client: TestClient) -> None:
    for path in ("/v1/bundles/stable", f"/v1/bundles/files/{'0' * 64}/model.tflite"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "no-bundles")


@pytest.mark.parametrize("install", ["short", "x" * 129, "id with blanks", "../../../etc", "é" * 9])
def test_an_install_id_has_one_shape(phone: TestClient, publish: Publish, install: str) -> None:
    publish(1)
    answer = phone.get("/v1/bundles/stable", headers={"Promolens-Install": install.encode()})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-install-id")
    assert install not in answer.text


# ---- keeping and asking again


def test_asking_again_costs_no_body(phone: TestClient, publish: Publish) -> None:
    publish(1)
    offered = phone.get("/v1/bundles/stable")
    for url in ("/v1/bundles/stable", *(file["url"] for file in offered.json()["files"])):
        etag = phone.get(url).headers["etag"]
        assert re.fullmatch(r'"[\x21\x23-\x7e]+"', etag)
        again = phone.get(url, headers={"If-None-Match": f'"x", W/{etag}'})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
        assert "cache-control" in again.headers
        assert phone.get(url, headers={"If-None-Match": '"other"'}).status_code == 200


def test_files_may_be_kept_for_ever(phone: TestClient, publish: Publish) -> None:
    publish(1)
    for file in phone.get("/v1/bundles/stable").json()["files"]:
        answer = phone.get(file["url"])
        policy = answer.headers["cache-control"].split(", ")
        assert {"public", "immutable", "max-age=31536000", "no-transform"} == set(policy)
        digest = hashlib.sha256(answer.content).digest()
        assert answer.headers["repr-digest"] == f"sha-256=:{base64.b64encode(digest).decode()}:"
        assert answer.headers["etag"] == f'"{file["sha256"]}"'


def test_head_is_get_without_a_body(phone: TestClient, publish: Publish) -> None:
    publish(1)
    offered = phone.get("/v1/bundles/stable").json()
    for url in ("/v1/bundles/stable", *(file["url"] for file in offered["files"])):
        get, head = phone.get(url), phone.head(url)
        assert (head.status_code, head.content) == (200, b"")
        for name in ("content-length", "etag", "content-type", "cache-control"):
            assert head.headers[name] == get.headers[name]


# ---- codings


@pytest.mark.parametrize("coding", ["br", "gzip"])
def test_compressed_files_are_sent_to_those_who_take_them(
    phone: TestClient, publish: Publish, coding: str
) -> None:
    publish(1)
    offered = phone.get("/v1/bundles/stable").json()
    file = next(one for one in offered["files"] if one["name"] == "golden.json")
    with phone.stream("GET", file["url"], headers={"Accept-Encoding": coding}) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == coding
    assert (
        len(raw) == file["encoded"][coding]["size_bytes"] == int(answer.headers["content-length"])
    )
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["etag"] == f'"{file["sha256"]}-{coding}"'
    sent = base64.b64encode(hashlib.sha256(raw).digest()).decode()
    assert answer.headers["repr-digest"] == f"sha-256=:{sent}:"
    plain = phone.get(file["url"], headers={"Accept-Encoding": coding}).content
    assert hashlib.sha256(plain).hexdigest() == file["sha256"]
    # A download that broke off goes on within the same coding.
    rest = phone.stream(
        "GET",
        file["url"],
        headers={
            "Accept-Encoding": coding,
            "Range": "bytes=10-",
            "If-Range": answer.headers["etag"],
        },
    )
    with rest as part:
        assert part.status_code == 206
        assert b"".join(part.iter_raw()) == raw[10:]


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        (None, None),
        ("", None),
        ("identity", None),
        ("gzip", "gzip"),
        ("br", "br"),
        ("gzip, deflate, br", "br"),
        ("GZIP;q=1.0, BR;q=0.5", "gzip"),
        ("br;q=0, gzip;q=0", None),
        ("*", "br"),
        ("*;q=0.5, br;q=0", "gzip"),
        ("identity;q=1, gzip;q=0.5", None),
        ("gzip;q=banana", None),
        ("x" * 300, None),
        ("zstd", None),
    ],
)
def test_which_coding_is_chosen(header: str | None, chosen: str | None) -> None:
    assert accepted_coding(header, {"br", "gzip"}) == chosen
    assert accepted_coding(header, set()) is None


# ---- ranges


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-0", Span(0, 0)),
        ("bytes=0-99", Span(0, 99)),
        ("bytes=10-19", Span(10, 19)),
        ("bytes=90-", Span(90, 99)),
        ("bytes=-5", Span(95, 99)),
        ("bytes=-500", Span(0, 99)),
        ("bytes=50-5000", Span(50, 99)),
        ("Bytes = 1-2", Span(1, 2)),
        (None, None),
        ("bytes=5-2", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("items=0-1", None),
        ("bytes=0-1,5-6", None),
        ("bytes=" + "0-,1-," * 1000, None),
        ("bytes=0-1" + "0" * 40, None),
    ],
)
def test_one_sound_range_counts(header: str | None, span: Span | None) -> None:
    assert wanted_span(header, 100) == span


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_behind_the_end(header: str) -> None:
    with pytest.raises(UnsatisfiableError):
        wanted_span(header, 100)


@given(st.text(max_size=40), st.integers(0, 50))
def test_no_range_leaves_the_file(header: str, size_bytes: int) -> None:
    for text in (header, f"bytes={header}"):
        try:
            span = wanted_span(text, size_bytes)
        except UnsatisfiableError:
            continue
        assert span is None or 0 <= span.start <= span.end < size_bytes


@given(st.text(max_size=60))
def test_any_accept_encoding_is_read(header: str) -> None:
    assert accepted_coding(header, {"br", "gzip"}) in (None, "br", "gzip")
    assert holds_tag(header, '"x"') in (True, False)


def test_a_broken_download_goes_on(
    phone: TestClient, publish: Publish, make_bundle: MakeBundle
) -> None:
    publish(1)
    url = next(
        one["url"]
        for one in phone.get("/v1/bundles/stable").json()["files"]
        if one["name"] == "model.tflite"
    )
    model = (make_bundle(1) / "model.tflite").read_bytes()
    etag = phone.get(url).headers["etag"]
    part = phone.get(url, headers={"Range": "bytes=100-199"})
    assert part.status_code == 206
    assert part.content == model[100:200]
    assert part.headers["content-range"] == f"bytes 100-199/{len(model)}"
    assert part.headers["content-length"] == "100"
    rest = phone.get(url, headers={"Range": "bytes=1000-", "If-Range": etag})
    assert (rest.status_code, rest.content) == (206, model[1000:])
    # Another file than the one that was begun: all of it, anew.
    for tag in ('"other"', f"W/{etag}", "Tue, 24 Feb 2026 03:00:00 GMT"):
        whole = phone.get(url, headers={"Range": "bytes=1000-", "If-Range": tag})
        assert (whole.status_code, whole.content) == (200, model)
    several = phone.get(url, headers={"Range": "bytes=0-1,4-5"})
    assert (several.status_code, several.content) == (200, model)
    behind = phone.get(url, headers={"Range": f"bytes={len(model)}-"})
    assert (behind.status_code, behind.json()["code"]) == (416, "range-not-satisfiable")
    assert behind.headers["content-range"] == f"bytes */{len(model)}"
    known = phone.get(url, headers={"Range": "bytes=0-1", "If-None-Match": etag})
    assert known.status_code == 304


# ---- tricks

TRICKS = [
    "../release.json",
    "..%2frelease.json",
    "%2e%2e%2frelease.json",
    "..%5crelease.json",
    "....//release.json",
    "%2fetc%2fpasswd",
    "/etc/passwd",
    "model.tflite%00.json",
    "model.tflite/",
    "Model.tflite",
    "model.tflite.br",
    "release.json",
    ".",
    "..",
    "",
    "%",
    "con",
    "model.tflite::$DATA",
    "x" * 5_000,
]


@pytest.mark.parametrize("name", TRICKS)
def test_names_are_looked_up_and_never_made_into_paths(
    bundle_services: Services, publish: Publish, name: str
) -> None:
    """Sent as they are over a socket: clients tidy addresses up."""
    release_id = publish(1).release.id
    with running(create_app(bundle_services)) as server:
        for path in (
            f"/v1/bundles/files/{release_id}/{name}",
            f"/v1/bundles/files/{name}/model.tflite",
            f"/v1/bundles/{name}/manifest.json",
        ):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
            connection.putrequest("GET", path, skip_host=False)
            connection.endheaders()
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            assert 400 <= answer.status < 500 or answer.status == 307, path
            assert b"added_at" not in body
            assert b"root:" not in body


def test_a_link_in_the_store_is_not_followed(
    phone: TestClient, publish: Publish, store: ArtefactStore, tmp_path: Path
) -> None:
    release = publish(1).release
    path = store.path_of(release, "MODEL_CARD.md")
    secret = tmp_path / "secret"
    secret.write_bytes(b"x" * release.files["MODEL_CARD.md"].size_bytes)
    path.unlink()
    path.symlink_to(secret)
    answer = phone.get(f"/v1/bundles/files/{release.id}/MODEL_CARD.md")
    assert (answer.status_code, answer.json()["code"]) == (503, "bundle-unreadable")
    assert str(tmp_path) not in answer.text


def test_a_damaged_store_is_said_and_nothing_wrong_is_sent(
    phone: TestClient, publish: Publish, store: ArtefactStore
) -> None:
    release = publish(1).release
    with store.path_of(release, "model.tflite").open("ab") as file:
        file.write(b"more")
    answer = phone.get(f"/v1/bundles/files/{release.id}/model.tflite")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    (store.folder / "channels" / "stable.json").write_bytes(b"\0\0\0")
    again = phone.get("/v1/bundles/stable")
    assert (again.status_code, again.json()["code"]) == (503, "bundle-unreadable")
    assert str(store.folder) not in again.text


def test_the_install_id_is_in_no_log(
    bundle_services: Services, publish: Publish, capfd: pytest.CaptureFixture[str]
) -> None:
    publish(1)
    with running(create_app(bundle_services), log_level="debug", access_log=True) as server:
        answer = httpx.get(
            f"{server.url}/v1/bundles/stable", headers={"Promolens-Install": "find-me-0001"}
        )
    assert answer.status_code == 200
    out, err = capfd.readouterr()
    assert "find-me-0001" not in out + err


def test_a_download_in_pieces_is_the_file(phone: TestClient, publish: Publish) -> None:
    release = publish(1).release
    url = f"/v1/bundles/files/{release.id}/golden.json"
    whole = phone.get(url)
    got = b""
    while len(got) < len(whole.content):
        headers = {
            "Range": f"bytes={len(got)}-{len(got) + 4_999}",
            "If-Range": whole.headers["etag"],
        }
        part = phone.get(url, headers=headers)
        assert part.status_code == 206
        got += part.content
    assert got == whole.content


def test_a_worker_does_without_numpy() -> None:
    """Serving files needs none of what checks them; the names are the bundle's all the same."""
    from promolens_runtime import manifest
    from promolens_server.routes import delivery

    assert (delivery.MANIFEST_FILE, delivery.SIGNATURE_FILE) == (
        manifest.MANIFEST_FILE,
        manifest.SIGNATURE_FILE,
    )
    program = (
        "import sys, promolens_server.routes.galleries, promolens_server.admin.routes\n"
        "print(*{'numpy', 'PIL', 'ai_edge_litert', 'jinja2', 'cryptography'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_pieces_are_small(tmp_path: Path) -> None:
    """A file of 16 MiB goes out in pieces: never more than one is in memory."""
    path = tmp_path / "big"
    size_bytes = 16 * 2**20
    with path.open("wb") as file:
        file.truncate(size_bytes)
    sizes: list[int] = []

    async def send(message: Any) -> None:
        sizes.append(len(message.get("body", b"")))

    answer = FileAnswer(path, size_bytes, Span(1, size_bytes - 2), status_code=206, headers={})
    anyio.run(answer, {"type": "http", "method": "GET"}, send, send)
    assert sum(sizes) == size_bytes - 2
    assert max(sizes) == PIECE_BYTES
