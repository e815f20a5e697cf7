"""The way of a gallery: published, announced by sync, on the phone, and on the answer sheet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from app_shell_support import (
    Phone,
    build_shell,
    camera_arguments,
    fill_catalog,
    phone,
    shop_bundle,
    still_video,
)
from app_support import needs_chromium, needs_node
from catalog_support import make_offer
from conftest import Keys
from gallery_files import gallery_bytes, new_products, write_gallery
from promolens_cli.main import main
from promolens_runtime.labels import labels_json
from promolens_runtime.manifest import Manifest
from promolens_runtime.recognizer import Recognizer
from promolens_runtime.signing import SigningKey, generate_key
from server_support import serve_process

pytestmark = [pytest.mark.slow, needs_node, needs_chromium]


@dataclass(frozen=True)
class Town:
    """A phone whose recogniser knows nothing, and a way to give it galleries.

    Attributes:
        embedding: what the recogniser makes of the picture that the camera sees, `[1, width]`.
    """

    phone: Phone
    folder: Path
    manifest: Manifest
    embedding: Any
    key: SigningKey
    public_key: str

    def publish(self, version: int, key: SigningKey | None = None, **changes: Any) -> Path:
        """Write a gallery of the one new product, in the store's own files where it is sound."""
        product = replace(
            new_products(1)[0], name_ko="새 보리음료", barcodes=(str(make_offer(1).barcode),)
        )
        files = gallery_bytes(self.embedding) | {"products.json": labels_json([product])}
        made = write_gallery(
            self.folder / f"gallery-{version}", self.manifest, files, key or self.key,
            version=version, **changes,
        )  # fmt: skip
        words = ["gallery", "publish", str(made), "--store", str(self.folder / "store")]
        assert main([*words, "--public-key", self.public_key, "--json"]) == 0
        return made


@pytest.fixture(scope="module")
def town(
    tmp_path_factory: pytest.TempPathFactory, tiny_model_bytes: bytes,
    tiny_manifest_template: Manifest, keys: Keys,
) -> Iterator[Town]:  # fmt: skip
    folder = tmp_path_factory.mktemp("town")
    key = generate_key()
    unknown = replace(tiny_manifest_template.unknown, accept_at_least=1e6)
    manifest = replace(
        tiny_manifest_template, unknown=unknown, delegated_keys={"gallery": key.public}
    )
    bundle = shop_bundle(folder / "assets" / "bundle", tiny_model_bytes, manifest, keys.own)
    build_shell(folder / "assets" / "www", keys.own.public)
    fill_catalog(folder / "catalog.db")
    film = still_video(folder / "camera.mjpeg")
    frame = film.read_bytes().split(b"\xff\xd9")[0] + b"\xff\xd9"
    seen = Recognizer.open(bundle, public_key=keys.own.public, num_threads=1).predict(frame)
    words = ["bundle", "publish", str(bundle), "--store", str(folder / "store")]
    assert main([*words, "--public-key", keys.own.public]) == 0
    environment = {
        "PROMOLENS_DATABASE_URL": f"sqlite:///{folder / 'catalog.db'}",
        "PROMOLENS_BUNDLE_STORE": str(folder / "store"),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    with (
        serve_process(folder, "--app", str(folder / "assets"), environment=environment) as server,
        phone(f"http://localhost:{server.port}/app/", *camera_arguments(film)) as held,
    ):
        written = Manifest.from_bytes((bundle / "manifest.json").read_bytes())
        yield Town(held, folder, written, seen.embedding[None], key, keys.own.public)


def test_a_new_product_is_on_the_answer_sheet_without_a_new_app_or_recogniser(town: Town) -> None:
    held = town.phone
    held.open()
    held.sees("등록된 상품이 아닌 것 같아요")
    town.publish(1)
    held.go("#/settings")
    held.click("지금 확인")  # the lists of promotions: their sync announces the gallery
    held.sees("새 상품 1가지 · 버전 1")
    held.keep_picture("gallery-settings")
    held.go("#/scan")
    # Its barcode leads to the same card as any other product's.
    text = held.sees("최저가", "900원")
    assert "일치" not in text, "a cosine is no probability"
    held.keep_picture("gallery-answer")


def test_a_gallery_that_is_not_to_be_trusted_is_named_and_the_rest_goes_on(town: Town) -> None:
    held = town.phone
    town.publish(2)
    releases = town.folder / "store" / "galleries" / "releases"
    newest = json.loads((town.folder / "store/galleries/channels/stable.json").read_text("utf-8"))
    vectors = releases / newest["current"]["id"] / "files" / "vectors.bin"
    for coded in (releases / newest["current"]["id"]).glob("encoded/vectors.bin*"):
        coded.unlink()
    sound = vectors.read_bytes()
    vectors.write_bytes(bytes([sound[0] ^ 1]) + sound[1:])
    held.go("#/settings")
    held.click("새 인식기 확인")
    held.sees("새 상품 1가지 · 버전 1. 새 상품 목록이 온전하지 않아 쓰지 않았어요")
    held.keep_picture("gallery-refused")
    held.driver.execute_script("localStorage.setItem('promolens.language', 'en')")
    held.open("#/settings")
    held.click("Look for a newer one")
    held.sees("1 new products · version 1. The list of new products is damaged and is not used")
    held.open()
    held.sees("Best price")
    town.publish(3)
    held.go("#/settings")
    held.click("Look for a newer one")
    held.sees("1 new products · version 3")
