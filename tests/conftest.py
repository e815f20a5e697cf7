"""Fixtures that many tests share: keys, a real small int8 model, and a valid signed bundle."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from bundle_files import tiny_manifest, write_bundle
from promolens_runtime.manifest import Manifest
from promolens_runtime.signing import SigningKey

pytest_plugins = (
    "catalog_support",
    "server_support",
    "bundle_store_support",
    "stores_support",
    "admin_support",
    "retrieval_support",
)

# One thread each: the machines that run the tests are small and shared.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if "PYTEST_XDIST_WORKER" in os.environ:  # `make test`: several processes test at once
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
# A shell that starts us in the background makes us and the programs that we start ignore Ctrl-C.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# A shared machine stalls now and then: slowness is judged by benchmarks, not by single examples.
settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")


# The files that take longest, from the longest on; `pytest --durations=0` shows it.
LONGEST_FIRST = (
    "app_e2e",
    "training_runs",
    "app_recognition_soak",
    "export_pipeline",
    "demo_catalogue_exam",
    "training_embedding_export",
    "training_embedding_train",
    "app_features_feedback",
    "app_e2e_webview",
    "app_shell_people",
    "server_recognition_batches",
    "crawler_transports",
    "crawler_faults",
    "training_ablation",
    "demo_shops_browser",
    "backbones_table",
    "crawler_browser",
    "crawler_faults_processes",
    "demo_exam",
    "demo_data",
    "catalog_changes",
    "catalog_kills",
    "catalog_publishing",
    "crawler_pipeline",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write expected results anew; review the diff"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where files go to several processes: the longest first, so that all end at one time."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        last = len(LONGEST_FIRST)
        places = {f"test_{name}.py": place for place, name in enumerate(LONGEST_FIRST)}
        items.sort(key=lambda item: places.get(item.path.name, last))


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return the folder that `make` filled, once for all processes of this session."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder = base / name
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            making = base / f"{name}.tmp"
            making.mkdir(exist_ok=True)
            make(making)
            making.rename(folder)
    return folder


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

    def make(folder: Path) -> None:
        program = Path(__file__).with_name("tiny_model.py")
        done = subprocess.run(
            [sys.executable, str(program), str(folder)],
            capture_output=True,
            text=True,
            timeout=1200,
        )
        assert done.returncode == 0, done.stderr[-2000:]

    return made_once(tmp_path_factory, "tiny_models", make)


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
