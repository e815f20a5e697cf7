"""`promolens bundle` and `promolens predict` as people call them."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from promolens_cli.main import main


@pytest.fixture(autouse=True)
def no_other_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("PROMOLENS_PUBLIC_KEY", raising=False)
    monkeypatch.delenv("PROMOLENS_SIGNING_KEY", raising=False)


@pytest.fixture
def photo(tmp_path: Path, noise_photo: np.ndarray) -> Path:
    path = tmp_path / "photo.jpg"
    Image.fromarray(noise_photo).save(path)
    return path


def test_verify_says_good(tiny_bundle: Path, keys, capsys) -> None:
    assert main(["bundle", "verify", str(tiny_bundle), "--public-key", keys.own.public]) == 0
    assert "good" in capsys.readouterr().out


def test_verify_as_json_lists_findings(tiny_bundle: Path, keys, capsys) -> None:
    (tiny_bundle / "x.txt").write_text("")
    call = ["bundle", "verify", str(tiny_bundle), "--json", "--public-key", keys.own.public]
    assert main(call) == 3
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is False
    assert report["bundle_id"] == "tiny"
    assert len(report["findings"]) == 1


def test_keys_come_from_the_environment_or_the_development_key(
    tiny_bundle: Path, keys, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    from promolens_runtime.signing import development_key_path, write_key_file

    assert main(["bundle", "verify", str(tiny_bundle)]) == 3
    assert "Expected a public key" in capsys.readouterr().out
    write_key_file(development_key_path(), keys.own)
    assert main(["bundle", "verify", str(tiny_bundle)]) == 0
    monkeypatch.setenv("PROMOLENS_PUBLIC_KEY", keys.other.public)
    assert main(["bundle", "verify", str(tiny_bundle)]) == 3


def test_unsigned_needs_the_flag(tiny_bundle: Path, capsys) -> None:
    (tiny_bundle / "manifest.sig").unlink()
    assert main(["bundle", "verify", str(tiny_bundle)]) == 3
    assert main(["bundle", "verify", str(tiny_bundle), "--allow-unsigned"]) == 0
    assert "not signed" in capsys.readouterr().out


def test_keygen_writes_a_private_file_once(tmp_path: Path, capsys) -> None:
    from promolens_runtime.signing import read_key_file

    out = tmp_path / "new" / "a.key"
    assert main(["bundle", "keygen", str(out)]) == 0
    printed = capsys.readouterr().out.strip()
    assert read_key_file(out).public == printed
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    before = out.read_bytes()
    assert main(["bundle", "keygen", str(out)]) == 2
    assert "never overwritten" in capsys.readouterr().err
    assert out.read_bytes() == before


def test_predict_prints_a_table(tiny_bundle: Path, keys, photo: Path, capsys) -> None:
    call = ["predict", str(tiny_bundle), str(photo), "--top", "2"]
    assert main([*call, "--public-key", keys.own.public]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert "사이다" in lines[1]
    assert "Cider" in lines[1]
    assert "%" in lines[1]


def test_predict_as_json_goes_on_after_a_bad_picture(
    tiny_bundle: Path, keys, photo: Path, tmp_path: Path, capsys
) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(photo.read_bytes()[:300])
    call = ["predict", str(tiny_bundle), str(bad), str(photo), "--json"]
    assert main([*call, "--public-key", keys.own.public]) == 2
    out, err = capsys.readouterr()
    (answer,) = json.loads(out)
    assert answer["image"] == str(photo)
    assert answer["known"] is True
    assert len(answer["top"]) == 5
    assert sum(entry["probability"] for entry in answer["top"]) == pytest.approx(1)
    assert err.count("error: ") == 1


def test_predict_says_not_known(
    tmp_path: Path, tiny_manifest_template, tiny_model_bytes: bytes, keys, photo: Path, capsys
) -> None:
    from dataclasses import replace

    from bundle_files import write_bundle

    rule = replace(tiny_manifest_template.unknown, accept_at_least=1e6)
    manifest = replace(tiny_manifest_template, unknown=rule)
    write_bundle(tmp_path / "b", manifest, tiny_model_bytes, keys.own)
    call = ["predict", str(tmp_path / "b"), str(photo), "--public-key", keys.own.public]
    assert main(call) == 0
    out = capsys.readouterr().out
    assert "not known" in out
    assert "모르는 상품" in out


def test_predict_refuses_a_foreign_bundle(tiny_bundle: Path, keys, photo: Path, capsys) -> None:
    call = ["predict", str(tiny_bundle), str(photo), "--public-key", keys.other.public]
    assert main(call) == 3
    assert capsys.readouterr().err.startswith("error: Expected manifest.json signed by")
