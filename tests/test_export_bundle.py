"""The bundle folder is written whole or not at all, and its version rises only with its content."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bundle_files import tiny_files
from conftest import Keys
from promolens_export import bundle as subject
from promolens_export.bundle import previous_manifest, write_bundle
from promolens_export.model_card import model_card
from promolens_runtime.errors import BundleError
from promolens_runtime.manifest import Manifest, UnknownRule
from promolens_runtime.verify import verify_bundle


@pytest.fixture
def files(tiny_model_bytes: bytes) -> dict[str, bytes]:
    found = tiny_files(tiny_model_bytes)
    del found["MODEL_CARD.md"]
    return found


@pytest.fixture
def draft(tiny_manifest_template: Manifest) -> Manifest:
    return tiny_manifest_template


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_signed_bundle_verifies(
    tmp_path: Path, draft: Manifest, files: dict[str, bytes], keys: Keys
) -> None:
    written = write_bundle(tmp_path, draft, files, keys.own)
    report = verify_bundle(tmp_path, keys.own.public)
    assert report.findings == ()
    assert report.signed_by == keys.own.public
    assert sorted(content(written.folder)) == [
        "MODEL_CARD.md", "golden.json", "golden.npz", "labels.json", "manifest.json",
        "manifest.sig", "model.tflite",
    ]  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_same_content_keeps_version_and_bytes_and_other_content_raises_the_version(
    tmp_path: Path, draft: Manifest, files: dict[str, bytes], keys: Keys
) -> None:
    first = write_bundle(tmp_path, draft, files, keys.own)
    before = content(first.folder)
    second = write_bundle(tmp_path, draft, files, keys.own)
    assert (second.unchanged, content(second.folder)) == (True, before)
    third = write_bundle(tmp_path, replace(draft, temperature=2.0), files, keys.own)
    assert [first.manifest.version, second.manifest.version, third.manifest.version] == [1, 1, 2]
    assert "version 2" in content(third.folder)["MODEL_CARD.md"].decode()
    assert verify_bundle(tmp_path, keys.own.public).ok


def test_unsigned_bundle_has_no_signature_and_no_key(
    tmp_path: Path, draft: Manifest, files: dict[str, bytes], keys: Keys
) -> None:
    write_bundle(tmp_path, draft, files, keys.own)
    written = write_bundle(tmp_path, draft, files, None)
    assert "manifest.sig" not in content(written.folder)
    assert written.manifest.signing_key is None
    assert not verify_bundle(tmp_path, keys.own.public).ok
    assert verify_bundle(tmp_path, None, allow_unsigned=True).ok


def failing_after(calls: int, error: BaseException) -> Iterator[None]:
    for _ in range(calls):
        yield None
    raise error


@pytest.mark.parametrize("calls", range(9))
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_old_bundle_survives_a_full_disk_and_ctrl_c_at_every_step(
    tmp_path: Path, draft: Manifest, files: dict[str, bytes], keys: Keys,
    monkeypatch: pytest.MonkeyPatch, calls: int, error: BaseException,
) -> None:  # fmt: skip
    before = content(write_bundle(tmp_path, draft, files, keys.own).folder)
    # One flush a file and one a folder: each is a moment at which the disk can be full.
    steps = failing_after(calls, error)
    monkeypatch.setattr(subject.os, "fsync", lambda _: next(steps))
    with pytest.raises(type(error)):
        write_bundle(tmp_path, replace(draft, temperature=2.0), files, keys.own)
    # Seven files and their folder are flushed before the swap; the ninth flush comes after it.
    assert (content(tmp_path / "bundle") == before) == (calls < 8)
    assert verify_bundle(tmp_path, keys.own.public).ok
    assert not list(tmp_path.glob(".bundle.new.*"))


def test_old_bundle_survives_a_failing_rename(
    tmp_path: Path, draft: Manifest, files: dict[str, bytes], keys: Keys,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    before = content(write_bundle(tmp_path, draft, files, keys.own).folder)
    rename = Path.rename

    def refuse_new(self: Path, target: Path) -> Path:
        if self.name.startswith(".bundle.new."):
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse_new)
    with pytest.raises(KeyboardInterrupt):
        write_bundle(tmp_path, replace(draft, temperature=2.0), files, keys.own)
    assert content(tmp_path / "bundle") == before


def test_a_swap_that_was_killed_half_way_is_undone(
    tmp_path: Path, draft: Manifest, files: dict[str, bytes], keys: Keys
) -> None:
    write_bundle(tmp_path, draft, files, keys.own)
    (tmp_path / "bundle").rename(tmp_path / ".bundle.previous")
    found = previous_manifest(tmp_path)
    assert found is not None
    assert found.version == 1
    assert (tmp_path / "bundle/manifest.json").is_file()


def test_a_model_that_answers_otherwise_never_replaces_the_bundle(
    tmp_path: Path, draft: Manifest, files: dict[str, bytes], keys: Keys
) -> None:
    before = content(write_bundle(tmp_path, draft, files, keys.own).folder)
    wrong = replace(draft, golden=replace(draft.golden, logits_tolerance=0.0))
    labels = files["labels.json"].replace(b'"index":4', b'"index":3')
    with pytest.raises(BundleError, match="Expected the new bundle to pass"):
        write_bundle(tmp_path, wrong, {**files, "labels.json": labels}, keys.own)
    assert content(tmp_path / "bundle") == before


def test_a_damaged_old_bundle_is_not_overwritten(
    tmp_path: Path, draft: Manifest, files: dict[str, bytes], keys: Keys
) -> None:
    folder = write_bundle(tmp_path, draft, files, keys.own).folder
    (folder / "labels.json").write_bytes(b"{}")
    with pytest.raises(BundleError, match="Expected a whole bundle or nothing"):
        write_bundle(tmp_path, draft, files, keys.own)
    assert (folder / "labels.json").read_bytes() == b"{}"


def test_card_says_the_figures_of_the_manifest(draft: Manifest) -> None:
    card = model_card(draft, 5)
    for words in ("90.0 %", "85.0 % to 94.0 %", "n = 200", "30.0 % of 40 photos", "MIT"):
        assert words in card
    silent = replace(draft, unknown=UnknownRule("max_logit", 1.0, 0.95, None, 200, 0))
    assert "was not measured" in model_card(silent, 5)
