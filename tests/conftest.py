"""Fixtures that many tests share: keys, a real small int8 model, and a valid signed bundle."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from bundle_files import tiny_manifest, write_bundle
from promolens_runtime.manifest import Manifest
from promolens_runtime.signing import SigningKey

pytest_plugins = ("catalog_support",)

# One thread each: the machines that run the tests are small and shared.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# A shared machine stalls now and then: slowness is judged by benchmarks, not by single examples.
settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write expected results anew; review the diff"
    )


@dataclass(frozen=True)
class Keys:
    """Two fixed key pairs: the bundle's own, and somebody else's."""

    own: SigningKey
    other: SigningKey


@pytest.fixture(scope="session")
def keys() -> Keys:
    return Keys(SigningKey(bytes(range(32))), SigningKey(bytes(range(1, 33))))


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `int8.tflite` and `float.tflite` of one small network, made once."""
    folder = tmp_path_factory.mktemp("tiny_models")
    program = Path(__file__).with_name("tiny_model.py")
    done = subprocess.run(
        [sys.executable, str(program), str(folder)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.fixture(scope="session")
def tiny_model_bytes(tiny_models: Path) -> bytes:
    """A .tflite as exports make them: 32 px uint8 in, 5 logits and an embedding of 8 out."""
    return (tiny_models / "int8.tflite").read_bytes()


@pytest.fixture(scope="session")
def tiny_float_model_bytes(tiny_models: Path) -> bytes:
    """The same network in float32."""
    return (tiny_models / "float.tflite").read_bytes()


@pytest.fixture(scope="session")
def tiny_manifest_template(tiny_model_bytes: bytes) -> Manifest:
    return tiny_manifest(tiny_model_bytes)


@pytest.fixture
def tiny_bundle(
    tmp_path: Path, tiny_model_bytes: bytes, tiny_manifest_template: Manifest, keys: Keys
) -> Path:
    """A folder with a valid bundle, signed by `keys.own`; the test may spoil it."""
    folder = tmp_path / "bundle"
    write_bundle(folder, replace(tiny_manifest_template), tiny_model_bytes, keys.own)
    return folder


@pytest.fixture
def noise_photo() -> np.ndarray:
    """Deterministic pixels [48, 64, 3] with edges and noise."""
    return np.random.default_rng(3).integers(0, 256, (48, 64, 3), np.uint8)
