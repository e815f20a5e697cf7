"""Galleries are delivered as bundles are, and only those that phones of the channel can use."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from bundle_files import write_bundle
from bundle_store_support import tree
from gallery_files import gallery_bytes, write_gallery
from promolens_catalog.database import open_database
from promolens_cli.main import main
from promolens_runtime.bundle import read_bundle
from promolens_runtime.gallery.gallery import read_gallery
from promolens_runtime.manifest import Manifest
from promolens_runtime.signing import SigningKey, generate_key
from promolens_server.config import BundlesConfig
from promolens_server.factory import create_app
from promolens_server.models.bundles import OfferedGallery, Releases
from promolens_server.services import open_services
from server_support import config_for

WriteGallery = Callable[..., Path]


@pytest.fixture(autouse=True)
def no_other_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: Any) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("PROMOLENS_PUBLIC_KEY", keys.own.public)
    monkeypatch.setenv("PROMOLENS_BUNDLE_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("LOGNAME", "min")


@pytest.fixture
def gallery_key() -> SigningKey:
    return generate_key()


@pytest.fixture
def bundle(
    tmp_path: Path, tiny_model_bytes: bytes, tiny_manifest_template: Manifest, keys: Any,
    gallery_key: SigningKey,
) -> Path:  # fmt: skip
    manifest = replace(tiny_manifest_template, delegated_keys={"gallery": gallery_key.public})
    return write_bundle(tmp_path / "assets" / "bundle", manifest, tiny_model_bytes, keys.own)


@pytest.fixture
def gallery(tmp_path: Path, bundle: Path, gallery_key: SigningKey) -> WriteGallery:
    """Write a gallery of five products for `bundle`; another seed is another content."""
    manifest = Manifest.from_bytes((bundle / "manifest.json").read_bytes())

    def write(version: int, *, seed: int = 0, key: Any = gallery_key, **changes: Any) -> Path:
        files = gallery_bytes(np.random.default_rng(seed).normal(size=(5, 8)))
        name = f"{version}-{seed}-{len(changes)}"
        return write_gallery(
            tmp_path / "made" / name / "gallery", manifest, files, key, version=version, **changes
        )

    return write


@pytest.fixture
def phone(tmp_path: Path, sqlite_template: Path) -> Iterator[TestClient]:
    path = tmp_path / "catalog.db"
    path.write_bytes(sqlite_template.read_bytes())
    open_database(str(path)).close()
    services = open_services(config_for(str(path), bundles=BundlesConfig(tmp_path / "store")))
    with TestClient(create_app(services), raise_server_exceptions=False) as opened:
        yield opened
    services.close()


def publish(kind: str, path: Path, *more: str) -> int:
    return main([kind, "publish", str(path), *more])


def test_from_the_first_release_to_going_back(
    bundle: Path, gallery: WriteGallery, capsys: Any
) -> None:
    assert publish("bundle", bundle) == 0
    assert publish("gallery", gallery(1).parent) == 0, "the folder that holds gallery/ will do"
    assert capsys.readouterr().out.splitlines()[-1] == "stable: default version 1 to all phones"
    assert publish("gallery", gallery(2, seed=1), "--rollout", "10") == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "stable: default version 2 to 10 % of the phones, version 1 to the others"
    assert main(["gallery", "rollout", "100"]) == 0
    assert main(["gallery", "rollback", "--json"]) == 0
    said = json.loads(capsys.readouterr().out.split("\n", 1)[1])
    assert (said["gallery_id"], said["current"]["version"]) == ("default", 1)
    assert main(["gallery", "releases"]) == 0
    assert "version 2, " in capsys.readouterr().out
    assert main(["bundle", "releases", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["releases"]) == 1, "a store of its own"
    assert main(["gallery", "prune", "--keep", "1"]) == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"key": None}, "manifest.sig"),
        ({"key": generate_key()}, "this key did not sign"),
        ({"model_sha256": "0" * 64}, "Expected a gallery of the model"),
        ({"products": 6}, "vectors of each of 6 products"),
        ({"dimensions": 4, "count": 10}, "vectors of 8 numbers"),
        ({"gallery_id": ""}, "gallery_id to be a short plain name"),
    ],
)
def test_what_a_phone_would_refuse_is_not_published(
    bundle: Path, gallery: WriteGallery, tmp_path: Path, capsys: Any, changes: dict[str, Any],
    said: str,
) -> None:  # fmt: skip
    publish("bundle", bundle)
    publish("gallery", gallery(1))
    before = tree(tmp_path / "store")
    capsys.readouterr()
    assert publish("gallery", gallery(2, seed=1, **changes)) == 3
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) == 1
    assert tree(tmp_path / "store") == before


def test_nan_scales_and_torn_files_are_not_published(
    bundle: Path, gallery: WriteGallery, gallery_key: SigningKey, tmp_path: Path, capsys: Any
) -> None:
    publish("bundle", bundle)
    torn = gallery(1)
    vectors = torn / "vectors.bin"
    whole = vectors.read_bytes()
    vectors.write_bytes(whole[:-1])
    assert publish("gallery", torn) == 3
    assert "bytes" in capsys.readouterr().err
    manifest = Manifest.from_bytes((bundle / "manifest.json").read_bytes())
    scales = np.frombuffer(whole, "<f4", 5, 40).copy()
    scales[3] = np.nan
    files = {
        "vectors.bin": whole[:40] + scales.tobytes() + whole[60:],
        "products.json": (torn / "products.json").read_bytes(),
    }
    wrong = write_gallery(tmp_path / "nan", manifest, files, gallery_key)
    assert publish("gallery", wrong) == 3
    assert "finite scales above 0" in capsys.readouterr().err
    twice = files["products.json"].replace(b'"new-1"', b'"new-0"')
    files = {"vectors.bin": whole, "products.json": twice}
    assert publish("gallery", write_gallery(tmp_path / "twice", manifest, files, gallery_key)) == 3
    assert "every item_id once" in capsys.readouterr().err


def test_a_lower_version_and_another_content_are_refused(
    bundle: Path, gallery: WriteGallery, capsys: Any
) -> None:
    publish("bundle", bundle)
    assert publish("gallery", gallery(5)) == 0
    assert publish("gallery", gallery(4, seed=1)) == 2
    assert "--allow-downgrade" in capsys.readouterr().err
    assert publish("gallery", gallery(5, seed=1)) == 2
    assert "Expected one content for default version 5" in capsys.readouterr().err
    assert publish("gallery", gallery(6, seed=2, gallery_id="other")) == 2
    assert "Expected 'default'" in capsys.readouterr().err


def test_without_a_bundle_on_the_channel_nothing_vouches_for_a_gallery(
    bundle: Path, gallery: WriteGallery, capsys: Any
) -> None:
    assert publish("gallery", gallery(1)) == 2
    assert "Expected a bundle on the channel stable" in capsys.readouterr().err
    publish("bundle", bundle, "--channel", "beta")
    assert publish("gallery", gallery(1)) == 2
    assert publish("gallery", gallery(1), "--channel", "beta") == 0
    assert publish("gallery", bundle, "--channel", "beta") == 3
    assert "Expected the gallery's manifest.json with kind 'gallery'" in capsys.readouterr().err


def test_a_bundle_that_delegates_no_key_has_no_galleries(
    bundle: Path, gallery: WriteGallery, tiny_manifest_template: Manifest, tiny_model_bytes: bytes,
    keys: Any, tmp_path: Path, capsys: Any,
) -> None:  # fmt: skip
    alone = write_bundle(tmp_path / "alone", tiny_manifest_template, tiny_model_bytes, keys.own)
    publish("bundle", alone)
    assert publish("gallery", gallery(1)) == 3
    assert "that delegates a gallery key. Received one without" in capsys.readouterr().err


def test_a_phone_downloads_what_was_published(
    phone: TestClient, bundle: Path, gallery: WriteGallery, keys: Any, tmp_path: Path
) -> None:
    assert phone.get("/v1/galleries/stable").json()["code"] == "no-release"
    publish("bundle", bundle)
    made = gallery(3)
    publish("gallery", made)
    answer = phone.get("/v1/galleries/stable")
    offered = OfferedGallery.model_validate_json(answer.content)
    manifest = Manifest.from_bytes((bundle / "manifest.json").read_bytes())
    assert offered.model_sha256 == manifest.files["model.tflite"].sha256
    assert (offered.gallery_id, offered.version) == ("default", 3)
    copy = tmp_path / "downloaded"
    copy.mkdir()
    for file in offered.files:
        assert file.url.startswith("/v1/galleries/files/")
        got = phone.get(file.url)
        assert "immutable" in got.headers["cache-control"]
        (copy / file.name).write_bytes(got.content)
    assert tree(copy) == tree(made)
    assert read_gallery(copy, read_bundle(bundle, keys.own.public)).manifest.version == 3
    vectors = next(one.url for one in offered.files if one.name == "vectors.bin")
    part = phone.get(vectors, headers={"range": "bytes=4-7", "accept-encoding": "identity"})
    assert (part.status_code, part.content) == (206, (made / "vectors.bin").read_bytes()[4:8])
    assert phone.get(vectors.replace("galleries", "bundles")).status_code == 404
    etag = {"if-none-match": answer.headers["etag"]}
    assert phone.get("/v1/galleries/stable", headers=etag).status_code == 304


def test_sync_and_meta_announce_what_every_phone_is_offered(
    phone: TestClient, bundle: Path, gallery: WriteGallery, tmp_path: Path
) -> None:
    nothing = {"bundle": None, "gallery": None}
    first = phone.get("/v1/sync")
    assert first.json()["releases"] == phone.get("/v1/meta").json()["releases"] == nothing
    publish("bundle", bundle)
    publish("gallery", gallery(2))
    publish("gallery", gallery(3, seed=1), "--rollout", "50")
    page = phone.get("/v1/sync", headers={"if-none-match": first.headers["etag"]})
    assert page.status_code == 200, "the catalog is the same, what is announced is not"
    told = Releases.model_validate(page.json()["releases"])
    assert told.bundle is not None
    assert told.gallery is not None
    assert (told.bundle.version, told.gallery.version) == (1, 2)
    again = phone.get("/v1/sync", headers={"if-none-match": page.headers["etag"]})
    assert again.status_code == 304
    meta = phone.get("/v1/meta").json()
    assert meta["releases"] == page.json()["releases"]
    (tmp_path / "store" / "galleries" / "channels" / "stable.json").write_text("{")
    assert phone.get("/v1/sync").json()["releases"]["gallery"] is None
    assert phone.get("/v1/galleries/stable").status_code == 503
