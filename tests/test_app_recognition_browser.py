"""Real Chromium: the app recognises what Python's Recognizer does, and trusts only what it may."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from selenium import webdriver

from app_support import (
    FileServer,
    Page,
    build_app,
    chromium,
    needs_chromium,
    needs_node,
    rgba_bytes,
    serve,
    tensor_of,
)
from bundle_files import SIDE_PX, tiny_files, tiny_golden, write_bundle
from conftest import Keys
from photo_folders import picture
from promolens_runtime.golden import Golden, golden_npz
from promolens_runtime.images import load_rgb
from promolens_runtime.manifest import Manifest, ModelEntry, UnknownRule
from promolens_runtime.preprocess import preprocess
from promolens_runtime.recognizer import Recognizer

pytestmark = [pytest.mark.slow, needs_chromium, needs_node]

DROP_DATABASE = """
const done = arguments[arguments.length - 1];
const request = indexedDB.deleteDatabase('promolens-bundles');
request.onsuccess = request.onerror = request.onblocked = () => done(null);
"""
# Puts other bytes of the same length into every kept file of one slot.
SPOIL_SLOT = """
const [slot, done] = arguments;
const request = indexedDB.open('promolens-bundles');
request.onsuccess = () => {
  const database = request.result;
  const change = database.transaction(['bundles', 'files'], 'readwrite');
  change.objectStore('bundles').get(slot).onsuccess = (event) => {
    const name = Object.keys(event.target.result.files).find((file) => file.endsWith('.tflite'));
    const key = event.target.result.files[name];
    change.objectStore('files').get(key).onsuccess = (found) => {
      const data = found.target.result.slice();
      data[1000] ^= 1;
      change.objectStore('files').put(data, key);
    };
  };
  change.oncomplete = () => { database.close(); done(null); };
};
"""


@pytest.fixture(scope="module")
def www(tmp_path_factory: pytest.TempPathFactory, keys: Keys) -> Path:
    return build_app(tmp_path_factory.mktemp("app") / "www", keys.own.public)


@pytest.fixture(scope="module")
def driver() -> Iterator[webdriver.Chrome]:
    # A stream of the browser's own test picture stands for the camera.
    with chromium(
        "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"
    ) as browser:
        yield browser


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bundles")


@pytest.fixture(scope="module")
def server(www: Path, bundles: Path) -> Iterator[FileServer]:
    with serve({"www": www, "bundles": bundles}) as served:
        yield served


@pytest.fixture
def page(driver: webdriver.Chrome, server: FileServer) -> Page:
    """The page without any bundle kept."""
    server.files.clear()
    page = Page(driver, server)
    driver.execute_async_script(DROP_DATABASE)
    server.requests.clear()
    return page


Make = Callable[..., str]


@pytest.fixture
def make(
    bundles: Path, tiny_model_bytes: bytes, tiny_manifest_template: Manifest, keys: Keys
) -> Iterator[Make]:
    """Write a signed bundle into a folder that is served; returns its address."""

    def write(
        name: str = "one",
        changes: dict[str, bytes] | None = None,
        signer: Any = keys.own,
        **fields: Any,
    ) -> str:
        manifest = replace(tiny_manifest_template, **fields)
        write_bundle(bundles / name, manifest, tiny_model_bytes, signer, changes)
        return f"../../bundles/{name}/"

    yield write
    for folder in bundles.iterdir():
        shutil.rmtree(folder)


def jpeg(image: Image.Image, turn: int = 1, **options: Any) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = turn
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif, **({"quality": 88} | options))
    return file.getvalue()


def photos() -> dict[str, bytes]:
    """Forty files: sizes, turns, samplings, kinds."""
    files: dict[str, bytes] = {}
    sizes = [(96, 96), (97, 64), (64, 131), (348, 348), (640, 480), (33, 32), (1200, 901)]
    for i in range(28):
        width, height = sizes[i % len(sizes)]
        image = picture(i, max(width, height)).crop((0, 0, width, height))
        options: dict[str, Any] = {"subsampling": i % 3, "progressive": i % 2 == 1}
        files[f"{i}.jpg"] = jpeg(image, 1 + i % 8, **options)
    for i in range(3):
        files[f"grey{i}.jpg"] = jpeg(picture(50 + i).convert("L"))
    for i in range(3):
        for kind in ("png", "webp", "bmp"):
            file = io.BytesIO()
            image = picture(60 + i, 120).crop((0, 0, 120, 70 + i))
            image.save(file, kind.upper(), **({"lossless": True} if kind == "webp" else {}))
            files[f"{i}.{kind}"] = file.getvalue()
    return files


def test_forty_files_give_pythons_answer(page: Page, make: Make, bundles: Path, keys: Keys) -> None:
    page.ok("open", make(unknown=UnknownRule("energy", 0.0, 0.95, None, 9, 0)))
    recognizer = Recognizer.open(bundles / "one", public_key=keys.own.public, num_threads=1)
    spec = recognizer.manifest.preprocessing
    differing = []
    for name, data in photos().items():
        told = page.ok("recogniseFile", page.put(f"photos/{name}", data), True)
        expected = recognizer.predict(data)
        if not np.array_equal(tensor_of(told, SIDE_PX), preprocess(load_rgb(data), spec)):
            differing.append(name)
        tolerance = recognizer.manifest.golden.logits_tolerance
        np.testing.assert_allclose(told["logits"], expected.logits, atol=tolerance, err_msg=name)
        assert told["top"][0]["index"] == expected.top[0].label.index, name
        assert told["known"] == expected.known
        assert told["confidence"] == pytest.approx(expected.top[0].probability, abs=0.02)
    # Lossless kinds must agree exactly; a decoder of JPEG may differ by a grey level.
    assert [name for name in differing if not name.endswith(".jpg")] == []
    assert len(differing) <= 4, differing


def test_the_same_pixels_give_the_same_tensor_and_logits(
    page: Page, make: Make, bundles: Path, keys: Keys
) -> None:
    page.ok("open", make())
    recognizer = Recognizer.open(bundles / "one", public_key=keys.own.public, num_threads=1)
    spec = recognizer.manifest.preprocessing
    for i, (width, height) in enumerate([(640, 480), (333, 501), (32, 32), (31, 17), (2200, 1500)]):
        rgb = np.random.default_rng(i).integers(0, 256, (height, width, 3), np.uint8)
        address = page.put(f"pixels/{i}", rgba_bytes(rgb))
        told = page.ok("recognisePixels", address, width, height, 1)
        np.testing.assert_array_equal(tensor_of(told, SIDE_PX), preprocess(rgb, spec))
        expected = recognizer.predict(rgb)
        np.testing.assert_allclose(told["logits"], expected.logits, atol=1e-5)
        # The same pixels as a camera's frame, odd sizes and odd places of the square included.
        file = io.BytesIO()
        Image.fromarray(rgb).save(file, "PNG")
        told = page.ok(
            "recogniseFrame", page.put(f"pixels/{i}.png", file.getvalue()), width, height
        )
        np.testing.assert_array_equal(tensor_of(told, SIDE_PX), preprocess(rgb, spec))


def test_transparent_pictures_show_white(page: Page, make: Make) -> None:
    page.ok("open", make())
    rgba = np.random.default_rng(5).integers(0, 256, (SIDE_PX, SIDE_PX, 4), np.uint8)
    file = io.BytesIO()
    Image.fromarray(rgba).save(file, "PNG")
    told = page.ok("recogniseFile", page.put("alpha.png", file.getvalue()), True)
    got, expected = tensor_of(told, SIDE_PX).astype(int), load_rgb(file.getvalue()).astype(int)
    # A browser multiplies alpha in before anyone can read, which may cost one level.
    assert np.abs(got - expected).max() <= 1


def test_camera_frames_are_answered(page: Page, make: Make) -> None:
    page.ok("open", make())
    results = page.ok("recogniseCamera")
    assert len(results) == 5
    assert all(len(result["logits"]) == 5 for result in results)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "picture-kind-unknown"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "picture-kind-unknown"),
        (jpeg(picture(1), turn=6)[:-100], "picture-damaged"),
        (jpeg(picture(1).convert("CMYK")), "picture-not-supported"),
    ],
)
def test_what_is_no_picture_is_refused_and_the_next_one_works(
    page: Page, make: Make, data: bytes, code: str
) -> None:
    page.ok("open", make())
    assert page.code("recogniseFile", page.put("bad", data)) == code
    assert page.ok("recogniseFile", page.put("good.jpg", jpeg(picture(2))))["top"]


def test_a_bundle_opens_once_from_the_network_and_then_from_the_device(
    page: Page, make: Make
) -> None:
    first = page.ok("open", make())
    assert (first["origin"], first["warnings"], first["exactPixels"]) == ("network", [], True)
    assert first["golden"]["vectors"] == 3
    assert first["labels"][2]["name_ko"] == "사이다 2호"
    asked = {path for path in page.server.requests if path.startswith("bundles/")}
    # The .json twin of the golden vectors and the model card are not needed on a phone.
    names = ("manifest.json", "manifest.sig", "labels.json", "golden.npz", "model.tflite")
    assert asked == {f"bundles/one/{name}" for name in names}
    page.server.requests.clear()
    again = page.ok("open", "../../bundles/no-longer-there/")
    assert again["origin"] == "active"
    assert [path for path in page.server.requests if path.startswith("bundles/")] == []


def test_nothing_comes_from_elsewhere_and_only_one_runtime_is_loaded(
    page: Page, make: Make
) -> None:
    page.ok("open", make())
    loaded = [path for path in page.server.requests if path.startswith("www/litert/")]
    assert loaded in (
        ["www/litert/litert_wasm_internal.js", "www/litert/litert_wasm_internal.wasm"],
        [
            "www/litert/litert_wasm_compat_internal.js",
            "www/litert/litert_wasm_compat_internal.wasm",
        ],
    )
    entries = page.driver.execute_script(
        "return performance.getEntriesByType('resource').map((entry) => new URL(entry.name).host)"
    )
    assert set(entries) <= {f"127.0.0.1:{page.server.port}"}


def refusals(
    make: Make, keys: Keys, template: Manifest, model: bytes
) -> dict[str, Callable[[], str]]:
    """Bundles that must not be used, by the code that each must give."""
    entry = template.models[0]
    golden = tiny_golden(model)
    shifted = dict(golden.tensors) | {"logits": golden.tensors["logits"] + np.float32(1)}
    rebuilt = tiny_files(model)
    classes = json.loads(rebuilt["labels.json"])
    short = json.dumps({"classes": classes["classes"][:-1]}).encode()
    other_shape = replace(entry.outputs[0], shape=(1, 5, 1))
    return {
        "signature-wrong": lambda: make("other-key", signer=keys.other),
        "signature-missing": lambda: make("unsigned", signer=None),
        "manifest-version-unknown": lambda: make("major", format_version="2.0"),
        "app-too-old": lambda: make("newer", minimum_app_version="99.0.0"),
        "labels-damaged": lambda: make("labels", {"labels.json": short}),
        "golden-damaged": lambda: make("golden", {"golden.npz": rebuilt["golden.npz"][:-5]}),
        "golden-differs": lambda: make("shifted", {"golden.npz": golden_npz(Golden(shifted))}),
        "model-refused": lambda: make("no-model", {"model.tflite": b"TFL3" * 500}),
        "model-differs": lambda: make(
            "shape",
            {"labels.json": b'{"classes":[%s]}' % json.dumps(classes["classes"][0]).encode()},
            models=(replace(entry, outputs=(other_shape, entry.outputs[1])),),
        ),
        "model-role-unknown": lambda: make("role", models=(entry, odd_role(entry))),
    }


def odd_role(entry: ModelEntry) -> ModelEntry:
    """Return an entry with a role from the future, which Python refuses to construct."""
    odd = replace(entry)
    object.__setattr__(odd, "role", "oracle")
    return odd


def test_what_may_not_be_trusted_is_refused_with_its_code(
    page: Page, make: Make, keys: Keys, tiny_manifest_template: Manifest, tiny_model_bytes: bytes
) -> None:
    cases = refusals(make, keys, tiny_manifest_template, tiny_model_bytes)
    for code, write in cases.items():
        assert page.code("open", write()) == code
    # And none of them left anything behind.
    assert page.ok("open", make())["origin"] == "network"


@pytest.mark.parametrize(
    ("name", "spoil", "code"),
    [
        ("model.tflite", lambda data: data[:-1], "file-size-wrong"),
        (
            "model.tflite",
            lambda data: data[:99] + bytes([data[99] ^ 1]) + data[100:],
            "file-hash-wrong",
        ),
        ("model.tflite", lambda data: data + b"x", "download-too-large"),
        ("labels.json", lambda data: data.replace(b"item-0", b"item-9"), "file-hash-wrong"),
        (
            "manifest.json",
            lambda data: data.replace(b'"version":1', b'"version":9'),
            "signature-wrong",
        ),
        ("manifest.sig", lambda data: data[:-1], "signature-wrong"),
        ("golden.npz", lambda data: None, "network-refused"),
        ("manifest.json", lambda data: None, "network-refused"),
    ],
)
def test_spoiled_downloads_are_refused(
    page: Page, make: Make, bundles: Path, name: str, spoil: Callable[[bytes], bytes], code: str
) -> None:
    address = make()
    page.server.files[f"bundles/one/{name}"] = spoil((bundles / "one" / name).read_bytes())
    assert page.code("open", address) == code
    page.server.files.clear()
    assert page.ok("open", address)["origin"] == "network"


def test_a_server_that_is_gone_is_told_apart(page: Page) -> None:
    assert page.code("open", "http://127.0.0.1:9/") == "network-unreachable"


def test_updates_are_taken_and_older_ones_refused(page: Page, make: Make) -> None:
    page.ok("open", make("one"))
    assert page.ok("update", "../../bundles/one/") == {"outcome": "current", "version": 1}
    newer = make("two", version=2, temperature=3.0)
    page.server.requests.clear()
    outcome = page.ok("update", newer)
    assert (outcome["outcome"], outcome["version"], outcome["opened"]["temperature"]) == (
        "installed", 2, 3.0,
    )  # fmt: skip
    # Files that have not changed are not loaded again.
    asked = [path for path in page.server.requests if path.startswith("bundles/")]
    assert asked == ["bundles/two/manifest.json", "bundles/two/manifest.sig"]
    assert page.code("update", "../../bundles/one/") == "bundle-older"
    assert page.code("update", make("same", version=2, temperature=4.0)) == "bundle-older"
    assert page.code("update", make("line", version=3, bundle_id="another")) == (
        "bundle-of-another-line"
    )
    assert page.ok("open", "../../bundles/gone/")["version"] == 2


def test_an_update_that_fails_leaves_everything_as_it_was(
    page: Page, make: Make, keys: Keys, tiny_manifest_template: Manifest, tiny_model_bytes: bytes
) -> None:
    page.ok("open", make())
    address = page.put("photo.jpg", jpeg(picture(9)))
    before = page.ok("recogniseFile", address)["logits"]
    cases = refusals(
        lambda *args, **fields: make(*args, **({"version": 2} | fields)),
        keys, tiny_manifest_template, tiny_model_bytes,
    )  # fmt: skip
    for code, write in cases.items():
        assert page.code("update", write()) == code
        assert page.ok("recogniseFile", address)["logits"] == before
    assert page.ok("open", "../../bundles/gone/")["version"] == 1


def test_a_damaged_copy_gives_way_to_the_one_before_it_and_heals(
    page: Page, make: Make, tiny_model_bytes: bytes
) -> None:
    page.ok("open", make("one"))
    # One byte after the model's end changes its hash and nothing else: two copies are kept.
    newer = make("two", {"model.tflite": tiny_model_bytes + b"\0"}, version=2)
    page.ok("update", newer)
    page.driver.execute_async_script(SPOIL_SLOT, "active")
    opened = page.ok("open", "../../bundles/gone/")
    assert (opened["origin"], opened["version"]) == ("previous", 1)
    assert [warning["code"] for warning in opened["warnings"]] == ["file-hash-wrong"]
    assert page.ok("update", newer)["version"] == 2
    healed = page.ok("open", "../../bundles/gone/")
    assert (healed["origin"], healed["version"], healed["warnings"]) == ("active", 2, [])
    # The good one before it was kept through all this.
    page.driver.execute_async_script(SPOIL_SLOT, "active")
    assert page.ok("open", "../../bundles/gone/")["version"] == 1


def test_with_every_copy_damaged_the_network_helps_but_not_backwards(
    page: Page, make: Make
) -> None:
    older, newer = make("one"), make("two", version=2)
    page.ok("open", newer)
    page.driver.execute_async_script(SPOIL_SLOT, "active")
    assert page.code("open", older) == "bundle-older"
    assert page.ok("open", newer)["origin"] == "network"
    assert page.ok("open", "../../bundles/gone/")["origin"] == "active"


def test_forgetting_lets_another_line_in(page: Page, make: Make) -> None:
    page.ok("open", make("one"))
    other = make("two", bundle_id="another")
    assert page.code("update", other) == "bundle-of-another-line"
    page.ok("forget")
    assert page.ok("open", other)["bundleId"] == "another"


def test_without_storage_it_still_recognises_and_says_so(page: Page, make: Make) -> None:
    """A database of a later version stands for storage that cannot be opened."""
    page.driver.execute_async_script(
        "const done = arguments[0]; const r = indexedDB.open('promolens-bundles', 9);"
        "r.onsuccess = () => { r.result.close(); done(null); };"
    )
    opened = page.ok("open", make())
    assert [warning["code"] for warning in opened["warnings"]] == ["storage-unavailable"]
    assert page.ok("recogniseFile", page.put("photo.jpg", jpeg(picture(3))))["top"]


def test_webgpu_is_left_alone_without_an_adapter(page: Page, make: Make) -> None:
    page.ok("open", make())
    trial = page.ok("tryWebGpu")
    assert (trial["chosen"], trial["code"]) == ("wasm", "accelerator-absent")
    assert [path for path in page.server.requests if "jspi" in path] == []
    assert page.code("open", make(), {"accelerator": "webgpu"}) == "accelerator-absent"


def test_a_worker_that_does_not_load_is_told(page: Page, make: Make) -> None:
    address = make()
    assert page.code("open", address, {"workerUrl": "../gone.js"}) == "engine-unavailable"
    wasm = page.server.url("www/nowhere/")
    assert page.code("open", address, {"wasmUrl": wasm}) == "engine-unavailable"


def test_a_measurement_has_every_figure(page: Page, make: Make) -> None:
    page.ok("open", make())
    address = page.put("photo.png", jpeg(picture(3, 300)))
    measured = page.ok("measure", address, 320, 240, 5)
    assert (measured["width"], measured["height"], measured["runs"]) == (320, 240, 5)
    for name in ("bareInference", "preprocess", "inference", "total"):
        assert 0 <= measured[name]["medianMs"] <= measured[name]["p90Ms"]
    assert measured["ratio"] > 0


def test_the_build_without_relaxed_simd_passes_too(page: Page, make: Make, www: Path) -> None:
    """What an older phone loads: its glue is served under the name that this browser asks for."""
    glue = (www / "litert" / "litert_wasm_compat_internal.js").read_bytes()
    page.server.files["www/litert/litert_wasm_internal.js"] = glue
    opened = page.ok("open", make())
    assert opened["golden"]["vectors"] == 3
    assert "www/litert/litert_wasm_compat_internal.wasm" in page.server.requests
    assert page.ok("recogniseFile", page.put("photo.jpg", jpeg(picture(3))))["top"]


def test_webgpu_in_software_is_tried_proven_and_not_taken(
    www: Path, bundles: Path, make: Make
) -> None:
    """SwiftShader stands for a graphics chip; it is slower than WebAssembly, so it must lose."""
    address = make()
    with (
        serve({"www": www, "bundles": bundles}) as server,
        chromium(
            "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"
        ) as browser,
    ):
        page = Page(browser, server)
        page.ok("open", address)
        trial = page.ok("tryWebGpu")
        assert trial["chosen"] == "wasm"
        assert trial["code"] in (None, "golden-differs"), trial
        if trial["code"] is None:
            assert trial["webgpuMs"] > trial["wasmMs"] / 1.25
        # The trial's runtime is another one, and the first answers as before.
        assert "www/litert/litert_wasm_jspi_internal.wasm" in server.requests
        assert page.ok("recogniseFile", page.put("photo.jpg", jpeg(picture(3))))["top"]
