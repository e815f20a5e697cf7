"""Forty real photos through the bundle of `make train export`, in Python and in the app."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app_support import Page, build_app, chromium, needs_chromium, needs_node, serve, tensor_of
from promolens_runtime.errors import BundleError
from promolens_runtime.images import load_rgb
from promolens_runtime.preprocess import preprocess
from promolens_runtime.recognizer import Recognizer
from promolens_runtime.signing import verification_key

DATA = os.environ.get("PROMOLENS_DATA")
BUNDLE = Path(__file__).resolve().parents[1] / "android_assets" / "bundle"
N_PHOTOS = 40

pytestmark = [
    pytest.mark.slow,
    needs_chromium,
    needs_node,
    pytest.mark.skipif(DATA is None, reason="PROMOLENS_DATA does not say where real photos are"),
    pytest.mark.skipif(
        not (BUNDLE / "manifest.json").is_file(), reason="no bundle here: make train export"
    ),
]


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    try:
        return Recognizer.open(BUNDLE, public_key=verification_key(), num_threads=1)
    except BundleError as error:
        pytest.skip(f"the bundle here is not signed by this machine's key: {error}")


@pytest.fixture(scope="module")
def page(recognizer: Recognizer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    www = build_app(tmp_path_factory.mktemp("app") / "www", str(verification_key()))
    with serve({"www": www, "bundle": BUNDLE}) as server, chromium() as driver:
        page = Page(driver, server)
        opened = page.ok("open", "../../bundle/")
        assert opened["golden"]["vectors"] >= 1
        yield page


def test_real_photos_are_recognised_as_in_python(page: Page, recognizer: Recognizer) -> None:
    spec, limits = recognizer.manifest.preprocessing, recognizer.manifest.golden
    files = sorted((Path(str(DATA)) / "grocery" / "val").rglob("*.jpg"))
    chosen = files[:: max(1, len(files) // N_PHOTOS)][:N_PHOTOS]
    assert len(chosen) == N_PHOTOS
    same = 0
    for number, path in enumerate(chosen):
        told = page.ok("recogniseFile", page.put(f"{number}.jpg", path.read_bytes()), True)
        tensor = tensor_of(told, spec.width_px)
        expected = recognizer.predict(path)
        same += told["top"][0]["index"] == expected.top[0].label.index
        # Decoders may differ by grey levels; where this one does not, everything must agree.
        if np.array_equal(tensor, preprocess(load_rgb(path), spec)):
            tolerance = limits.logits_tolerance
            np.testing.assert_allclose(told["logits"], expected.logits, atol=tolerance)
            assert told["known"] == expected.known
    assert same >= 0.99 * N_PHOTOS
