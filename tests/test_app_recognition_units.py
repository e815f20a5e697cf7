"""The app's own unit tests and its type check, as `make test` runs them; and its build's errors."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from app_support import APP, needs_node
from conftest import Keys
from promolens_runtime.signing import write_key_file

pytestmark = needs_node


def run(*command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=APP, env=os.environ | environ, capture_output=True, text=True, timeout=300
    )


def test_unit_tests_pass() -> None:
    done = run("node", "test.mjs")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_types_fit() -> None:
    done = run("node", "node_modules/typescript/bin/tsc", "--noEmit")
    assert done.returncode == 0, done.stdout[-4000:]


def build(out: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return run("node", "build.mjs", "--out", str(out), "--no-compression", **environ)


def test_the_development_key_is_pinned_where_none_is_named(tmp_path: Path, keys: Keys) -> None:
    write_key_file(tmp_path / "promolens" / "development.key", keys.own)
    done = build(tmp_path / "www", PROMOLENS_PUBLIC_KEY="", XDG_CONFIG_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "www").rglob("*")}
    assert {"recognise.js", "litert_wasm_internal.wasm", "licences.txt"} <= names


def test_the_same_sources_give_the_same_bytes(tmp_path: Path, keys: Keys) -> None:
    builds = []
    for name in ("one", "two"):
        done = build(tmp_path / name, PROMOLENS_PUBLIC_KEY=keys.own.public)
        assert done.returncode == 0, done.stderr
        builds.append((tmp_path / name / "recognise.js").read_bytes())
    assert builds[0] == builds[1]


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({"PROMOLENS_PUBLIC_KEY": "ed25519:short"}, "error: Expected PROMOLENS_PUBLIC_KEY like"),
        ({"PROMOLENS_PUBLIC_KEY": "", "XDG_CONFIG_HOME": "/nowhere"}, "error: Expected a key"),
    ],
)
def test_a_build_without_a_key_says_what_to_do(
    tmp_path: Path, environ: dict[str, str], line: str
) -> None:
    done = build(tmp_path / "www", **environ)
    assert done.returncode == 2
    assert done.stderr.startswith(line)
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "www").exists()


def test_the_committed_resize_is_what_its_source_assembles_to() -> None:
    script = "import('./build_resize.mjs').then(async (m) => console.log(await m.resizeBytes()))"
    done = run("node", "-e", script)
    assert done.returncode == 0, done.stderr[-2000:]
    committed = (APP / "src" / "recognition" / "resize_bytes.ts").read_text("utf-8")
    assert done.stdout.strip() == committed.strip()


def test_no_registry_is_named_in_the_lock() -> None:
    lock = (APP / "package-lock.json").read_text("utf-8")
    assert '"resolved"' not in lock
    assert '"integrity"' in lock
