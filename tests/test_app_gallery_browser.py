"""Real Chromium: the worker names products of a gallery as Python does, and trusts no other."""

from __future__ import annotations

import base64
import io
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from selenium import webdriver

from app_support import (
    FileServer,
    Page,
    build_app,
    chromium,
    needs_chromium,
    needs_node,
    serve,
    tensor_of,
)
from bundle_files import ENTRY, tiny_golden, write_bundle
from conftest import Keys
from gallery_files import RULE, gallery_bytes, write_gallery
from photo_folders import picture
from promolens_runtime.bundle import Bundle, read_bundle
from promolens_runtime.errors import BundleError
from promolens_runtime.gallery.gallery import read_gallery
from promolens_runtime.gallery.recognizer import GalleryRecognizer
from promolens_runtime.golden import golden_npz
from promolens_runtime.images import load_rgb
from promolens_runtime.manifest import Manifest
from promolens_runtime.preprocess import preprocess
from promolens_runtime.recognizer import Recognizer
from promolens_runtime.signing import SigningKey, generate_key, verification_key

pytestmark = [pytest.mark.slow, needs_chromium, needs_node]

DATA = os.environ.get("PROMOLENS_DATA")
ASSETS = Path(os.environ.get("PROMOLENS_ASSETS", Path(__file__).parents[1] / "android_assets"))
SHOWN = 4
DROP_DATABASES = """
const done = arguments[arguments.length - 1];
const names = ['promolens-bundles', 'promolens-galleries'];
Promise.all(names.map((name) => new Promise((resolve) => {
  const request = indexedDB.deleteDatabase(name);
  request.onsuccess = request.onerror = request.onblocked = resolve;
}))).then(() => done(null));
"""
# Puts another byte into the vectors of the active gallery.
SPOIL_ACTIVE = """
const done = arguments[arguments.length - 1];
const request = indexedDB.open('promolens-galleries');
request.onsuccess = () => {
  const database = request.result;
  const change = database.transaction(['bundles', 'files'], 'readwrite');
  change.objectStore('bundles').get('active').onsuccess = (event) => {
    const key = event.target.result.files['vectors.bin'];
    change.objectStore('files').get(key).onsuccess = (found) => {
      const data = found.target.result.slice();
      data[0] ^= 1;
      change.objectStore('files').put(data, key);
    };
  };
  change.oncomplete = () => { database.close(); done(null); };
};
"""


@pytest.fixture(scope="module")
def driver() -> Iterator[webdriver.Chrome]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("made")


@pytest.fixture(scope="module")
def server(
    made: Path, tmp_path_factory: pytest.TempPathFactory, keys: Keys
) -> Iterator[FileServer]:
    www = build_app(tmp_path_factory.mktemp("app") / "www", keys.own.public)
    with serve({"www": www, "made": made}) as served:
        yield served


@pytest.fixture
def page(driver: webdriver.Chrome, server: FileServer, made: Path) -> Iterator[Page]:
    """The page with nothing kept."""
    server.files.clear()
    page = Page(driver, server)
    driver.execute_async_script(DROP_DATABASES)
    server.requests.clear()
    yield page
    for folder in made.iterdir():
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def gallery_key() -> SigningKey:
    return generate_key()


class Shelf:
    """Bundles and galleries that are served, and what Python says with them."""

    def __init__(self, made: Path, model: bytes, manifest: Manifest, keys: Keys, key: SigningKey):
        unknown = replace(manifest.unknown, accept_at_least=1e6)
        delegated = {"gallery": key.public}
        self.manifest = replace(manifest, unknown=unknown, delegated_keys=delegated)
        self.made, self.model, self.keys, self.key = made, model, keys, key

    def bundle(self, name: str = "bundle", model: bytes | None = None, **fields: Any) -> str:
        """Write a bundle that knows nothing by itself; returns its address."""
        manifest = replace(self.manifest, **fields)
        write_bundle(self.made / name, manifest, model or self.model, self.keys.own)
        return f"../../made/{name}/"

    def opened(self, name: str = "bundle") -> Bundle:
        return read_bundle(self.made / name, self.keys.own.public)

    def gallery(
        self, version: int, *, of: str = "bundle", key: SigningKey | None = None,
        files: dict[str, bytes] | None = None, first: int = 0, **changes: Any,
    ) -> str:  # fmt: skip
        """Write a gallery with pictures `first`, `first + 1`... in it; returns its address."""
        bundle = self.opened(of)
        embeddings = self.embeddings(first)
        name = f"gallery-{len(list(self.made.iterdir()))}"
        write_gallery(
            self.made / name, bundle.manifest, files or gallery_bytes(embeddings),
            key or self.key, version=version, **changes,
        )  # fmt: skip
        return f"../../made/{name}/"

    def embeddings(self, first: int = 0) -> NDArray[np.float32]:
        recognizer = Recognizer(self.opened(), num_threads=1)
        shown = [recognizer.predict(photo(first + i)) for i in range(SHOWN)]
        return np.stack([one.embedding for one in shown])

    def python(self, address: str) -> GalleryRecognizer:
        bundle = self.opened()
        gallery = read_gallery(self.made / address.split("/")[-2], bundle)
        return GalleryRecognizer(bundle, gallery, num_threads=1)


def photo(number: int, noise: int = 0) -> bytes:
    """A lossless picture; with noise another photo of the same."""
    rgb = np.asarray(picture(number, 120), np.int16)
    grain = np.random.default_rng(number).integers(-noise, noise + 1, rgb.shape)
    file = io.BytesIO()
    Image.fromarray((rgb + grain).clip(0, 255).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def shelf(
    page: Page, made: Path, tiny_model_bytes: bytes, tiny_manifest_template: Manifest, keys: Keys,
    gallery_key: SigningKey,
) -> Shelf:  # fmt: skip
    return Shelf(made, tiny_model_bytes, tiny_manifest_template, keys, gallery_key)


def compare(page: Page, python: GalleryRecognizer, data: bytes, name: str) -> float | None:
    """Ask both about a picture; returns the largest difference of cosines, None where the
    browser's decoder gave other pixels."""
    told = page.ok("recogniseFile", page.put(name, data), True)
    spec = python._recognizer.manifest.preprocessing
    tensor = preprocess(load_rgb(data), spec)
    if not np.array_equal(tensor_of(told, spec.width_px), tensor):
        return None
    said = python.predict(data)
    found = np.frombuffer(base64.b64decode(told["cosines"]), "<f8")
    expected = python.gallery.product_cosines(said.classifier.embedding)
    labels = page.ok("facts")["labels"]
    assert told["by"] == said.fused.by
    if said.fused.by == "gallery":
        assert said.fused.product is not None
        assert told["top"][0]["index"] == len(labels) + said.fused.product.index
        order = [one["index"] - len(labels) for one in told["top"]]
        assert order == [hit.product.index for hit in said.hits]
    return float(np.abs(found - expected).max())


def test_new_products_are_named_as_in_python(page: Page, shelf: Shelf) -> None:
    opened = page.ok("open", shelf.bundle())
    assert (opened["gallery"], opened["galleryProblem"]) == (None, None)
    assert page.ok("recogniseFile", page.put("x.png", photo(1)))["by"] == "nobody"
    # The tiny network finds all pictures alike, so the rule asks for nearly the same one.
    ask = shelf.python(shelf.gallery(1))
    own = [ask.predict(photo(number)).hits[0].cosine for number in range(SHOWN)]
    address = shelf.gallery(2, answer=RULE | {"accept_at_least": min(own) - 1e-9})
    assert page.ok("updateGallery", address) == "installed"
    python = shelf.python(address)
    by = []
    for number in range(2 * SHOWN):
        assert compare(page, python, photo(number), f"{number}.png") == pytest.approx(0, abs=1e-12)
        by.append(page.ok("recogniseFile", page.put("again.png", photo(number)))["by"])
    assert by[:SHOWN] == ["gallery"] * SHOWN
    assert "nobody" in by[SHOWN:], "what is in neither stays unknown"


def test_a_known_product_is_the_classifiers(page: Page, shelf: Shelf) -> None:
    always = replace(shelf.manifest.unknown, accept_at_least=-1e6)
    page.ok("open", shelf.bundle(unknown=always))
    page.ok("updateGallery", shelf.gallery(1))
    told = page.ok("recogniseFile", page.put("0.png", photo(0)))
    assert (told["by"], told["top"][0]["index"] < 5) == ("classifier", True)


def test_it_is_kept_and_opened_without_a_network(page: Page, shelf: Shelf) -> None:
    page.ok("open", shelf.bundle())
    address = shelf.gallery(1)
    page.ok("updateGallery", address)
    assert page.ok("updateGallery", address) == "current"
    page.server.requests.clear()
    again = page.ok("open", "../../made/not-there/")
    assert (again["gallery"]["version"], len(again["gallery"]["products"])) == (1, SHOWN)
    assert again["gallery"]["products"][2]["name_ko"] == "새 음료 2"
    assert [path for path in page.server.requests if path.startswith("made/")] == []


def refusals(shelf: Shelf) -> dict[str, tuple[str, Callable[[], str]]]:
    """Return galleries that must not be used: what they are, with code and address."""
    sound = gallery_bytes(shelf.embeddings(9))
    scales = np.frombuffer(sound["vectors.bin"], "<f4", SHOWN, 8 * SHOWN).copy()
    scales[1] = np.nan
    at = 8 * SHOWN
    nan = sound["vectors.bin"][:at] + scales.tobytes() + sound["vectors.bin"][at + 4 * SHOWN :]
    twice = sound["products.json"].replace(b'"new-1"', b'"new-0"')

    def spoilt(name: str, data: bytes | None) -> str:
        address = shelf.gallery(9, files=sound)
        path = shelf.made / address.split("/")[-2] / name
        path.unlink() if data is None else path.write_bytes(data)
        return address

    return {
        "ids twice": (
            "labels-damaged",
            lambda: shelf.gallery(9, files=sound | {"products.json": twice}),
        ),
        "another model": (
            "gallery-of-another-model",
            lambda: shelf.gallery(9, files=sound, model_sha256="0" * 64),
        ),
        "torn": ("file-size-wrong", lambda: spoilt("vectors.bin", sound["vectors.bin"][:-1])),
        "changed": ("file-hash-wrong", lambda: spoilt("vectors.bin", nan)),
        "unsigned": ("signature-missing", lambda: spoilt("manifest.sig", None)),
        "another key": ("signature-wrong", lambda: shelf.gallery(9, key=generate_key())),
        "the bundle's key": ("signature-wrong", lambda: shelf.gallery(9, key=shelf.keys.own)),
        "older": ("gallery-older", lambda: shelf.gallery(1, first=9)),
        "other content": ("gallery-older", lambda: shelf.gallery(2, first=9)),
        "another line": ("gallery-of-another-line", lambda: shelf.gallery(9, gallery_id="b")),
        "NaN scales": (
            "gallery-damaged",
            lambda: shelf.gallery(9, files=sound | {"vectors.bin": nan}),
        ),
        "another width": ("gallery-damaged", lambda: shelf.gallery(9, dimensions=4, count=8)),
        "no gallery": ("manifest-invalid", lambda: shelf.gallery(9, kind="bundle")),
        "from the future": (
            "manifest-version-unknown",
            lambda: shelf.gallery(9, format_version="2.0"),
        ),
        "not there": ("network-refused", lambda: "../../made/nothing/"),
    }


def test_what_may_not_be_trusted_is_refused_and_the_rest_goes_on(page: Page, shelf: Shelf) -> None:
    page.ok("open", shelf.bundle())
    page.ok("updateGallery", shelf.gallery(2))
    for what, (code, address) in refusals(shelf).items():
        assert page.code("updateGallery", address()) == code, what
        assert page.ok("facts")["gallery"]["version"] == 2, what
    assert page.ok("recogniseFile", page.put("0.png", photo(0)))["by"] == "gallery"
    # A refused one left nothing behind, and a sound newer one is still taken.
    assert page.ok("open", "../../made/not-there/")["gallery"]["version"] == 2
    assert page.ok("updateGallery", shelf.gallery(3)) == "installed"


def test_a_bundle_that_delegates_no_key_has_no_gallery(page: Page, shelf: Shelf) -> None:
    page.ok("open", shelf.bundle(delegated_keys={"gallery": None}))
    assert page.code("updateGallery", shelf.gallery(1)) == "signature-wrong"


def test_a_damaged_one_gives_way_to_the_one_before(page: Page, shelf: Shelf) -> None:
    page.ok("open", shelf.bundle())
    page.ok("updateGallery", shelf.gallery(1))
    newer = shelf.gallery(2, first=9)
    page.ok("updateGallery", newer)
    page.driver.execute_async_script(SPOIL_ACTIVE)
    opened = page.ok("open", "../../made/not-there/")
    assert opened["gallery"]["version"] == 1
    assert opened["galleryProblem"]["code"] == "file-hash-wrong"
    assert page.ok("updateGallery", newer) == "installed", "the same version heals it"
    assert page.ok("open", "../../made/not-there/")["gallery"]["version"] == 2


def test_a_bundle_with_another_model_drops_the_gallery(page: Page, shelf: Shelf) -> None:
    page.ok("open", shelf.bundle())
    page.ok("updateGallery", shelf.gallery(5))
    same_model = page.ok("update", shelf.bundle("same", version=2))
    assert same_model["opened"]["gallery"]["version"] == 5, "the same model keeps it"
    other = page.ok("update", shelf.bundle("other", shelf.model + bytes(16), version=3))
    assert (other["outcome"], other["opened"]["gallery"]) == ("installed", None)
    assert other["opened"]["galleryProblem"] is None
    # Its own galleries may count from 1 again.
    assert page.ok("updateGallery", shelf.gallery(1, of="other")) == "installed"
    assert page.ok("open", "../../made/not-there/")["gallery"]["version"] == 1


def test_an_embedder_of_its_own_is_used(page: Page, shelf: Shelf, keys: Keys) -> None:
    """A bundle with an embedder beside the classifier; its gallery is of the embedder."""
    model = shelf.model + bytes(32)
    golden = golden_npz(tiny_golden(model))
    embedder = replace(
        ENTRY, role="embedder", file="embedder.tflite", golden_file="eg.npz", labels_file=None
    )
    manifest = replace(shelf.manifest, models=(ENTRY, embedder))
    files = {"embedder.tflite": model, "eg.npz": golden}
    write_bundle(shelf.made / "bundle", manifest, shelf.model, keys.own, files)
    page.ok("open", "../../made/bundle/")
    sha256 = shelf.opened().manifest.files["embedder.tflite"].sha256
    address = shelf.gallery(1, role="embedder", model_sha256=sha256)
    assert page.ok("updateGallery", address) == "installed"
    python = shelf.python(address)
    assert python._embedder is not None
    assert compare(page, python, photo(1), "1.png") == pytest.approx(0, abs=1e-12)
    assert (
        page.code("updateGallery", shelf.gallery(2, role="embedder")) == "gallery-of-another-model"
    )


@pytest.mark.skipif(DATA is None, reason="PROMOLENS_DATA does not say where real photos are")
@pytest.mark.skipif(
    not (ASSETS / "gallery" / "manifest.json").is_file(),
    reason="no bundle with a gallery here: make train export, promolens gallery build",
)
def test_real_photos_with_a_real_gallery(tmp_path: Path, driver: webdriver.Chrome) -> None:
    key = verification_key()
    try:
        bundle = read_bundle(ASSETS, key)
        python = GalleryRecognizer(bundle, read_gallery(ASSETS / "gallery", bundle), num_threads=1)
    except BundleError as error:
        pytest.skip(f"the bundle here is not signed by this machine's key: {error}")
    files = sorted((Path(str(DATA)) / "grocery" / "val").rglob("*.jpg"))
    www = build_app(tmp_path / "www", str(key))
    with serve({"www": www, "assets": ASSETS}) as server:
        page = Page(driver, server)
        page.ok("open", "../../assets/bundle/")
        page.ok("updateGallery", "../../assets/gallery/")
        chosen = files[:: len(files) // 20][:20]
        found = [compare(page, python, path.read_bytes(), "photo.jpg") for path in chosen]
    same = [one for one in found if one is not None]
    assert len(same) >= 18, "a decoder of JPEG may differ by a grey level"
    assert max(same) <= 1e-12
