"""API keys: shown once, kept as hashes, revoked within a second; a broken file breaks nothing."""

from __future__ import annotations

import json
import os
import re
import stat
import threading
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from catalog_support import HOUR, NOW
from promolens_cli.main import main
from promolens_runtime.errors import InputError
from promolens_server import keys as keys_module
from promolens_server.keys import KeyRing, add_key, read_keys, revoke_key


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_a_key_is_found_by_its_text_and_nothing_else(path: Path) -> None:
    key, text = add_key(path, "가게 앱", NOW)
    ring = KeyRing(path)
    assert ring.find(text.encode(), NOW) == key
    other = text[:-1] + ("a" if text[-1] != "a" else "b")
    for wrong in (other, text + "x", text.upper(), "", f"plk_{key.id}_", "plk_", "\0", "가" * 50):
        assert ring.find(wrong.encode(), NOW) is None


def test_only_the_hash_is_kept_and_only_the_owner_reads_it(path: Path) -> None:
    key, text = add_key(path, "app", NOW)
    kept = path.read_text("utf-8")
    assert text not in kept
    assert text.rpartition("_")[2] not in kept
    assert key.sha256 == sha256(text.encode()).hexdigest()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert re.fullmatch(r"plk_[0-9a-f]{8}_[A-Za-z0-9_-]{43}", text)


def test_rights_that_were_given_stay(path: Path) -> None:
    add_key(path, "app", NOW)
    path.chmod(0o640)
    add_key(path, "other", NOW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_revoked_and_ended_keys_count_no_more(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_module, "_LOOK_AGAIN_S", 0.0)
    key, text = add_key(path, "app", NOW, expires_at=NOW + HOUR)
    ring = KeyRing(path)
    assert ring.find(text.encode(), NOW + HOUR - timedelta(seconds=1)) == key
    assert ring.find(text.encode(), NOW + HOUR) is None
    revoke_key(path, key.id, NOW)
    assert ring.find(text.encode(), NOW) is None
    # The first date stays.
    assert revoke_key(path, key.id, NOW + HOUR).revoked_at == "2026-02-24T03:00:00+00:00"


def test_a_running_service_sees_a_new_key(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_module, "_LOOK_AGAIN_S", 0.0)
    ring = KeyRing(path)  # no file yet
    key, text = add_key(path, "app", NOW)
    assert ring.find(text.encode(), NOW) == key


def test_a_file_that_breaks_under_a_running_service_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keys_module, "_LOOK_AGAIN_S", 0.0)
    key, text = add_key(path, "app", NOW)
    ring = KeyRing(path)
    path.write_text('{"format": 1, "keys": [{"id": "')
    assert ring.find(text.encode(), NOW) == key
    assert "keys not read again" in caplog.text
    assert len(caplog.records) == 1
    ring.find(text.encode(), NOW)
    assert len(caplog.records) == 1  # told once


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"format": 2, "keys": []}',
        '{"format": 1, "keys": [{"id": "x"}]}',
        '{"format": 1, "keys": [{"id": "0123abcd", "name": "a", "sha256": "b", "made_at": "c"}]}',
        '{"format": 1}',
        "[" * 10_000,
        "\ud800".encode("utf-8", "surrogatepass"),
    ],
)
def test_a_file_of_something_else_is_refused(path: Path, content: str | bytes) -> None:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match="Expected a file of keys"):
        KeyRing(path)
    with pytest.raises(InputError, match="Expected a file of keys"):
        add_key(path, "app", NOW)


@pytest.mark.parametrize(
    "options", [{"per_s": 0.0}, {"per_s": -1.0}, {"per_s": float("nan")}, {"burst": 0}]
)
def test_rates_that_cannot_be(path: Path, options: dict[str, float]) -> None:
    with pytest.raises(InputError, match="Expected a sound key"):
        add_key(path, "app", NOW, **options)  # type: ignore[arg-type]
    assert not path.exists()


@pytest.mark.parametrize("name", ["", "a" * 101, "a\nb", "\0"])
def test_names_that_cannot_be(path: Path, name: str) -> None:
    with pytest.raises(InputError, match="Expected a sound key"):
        add_key(path, name, NOW)


def test_two_programs_at_once_lose_no_key(path: Path) -> None:
    threads = [
        threading.Thread(target=add_key, args=(path, f"app {number}", NOW)) for number in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {key.name for key in read_keys(path)} == {f"app {number}" for number in range(12)}


def test_the_command(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "add", "shop app", "--file", str(path), "--per-s", "5"]) == 0
    text = capsys.readouterr().out.strip()
    key = KeyRing(path).find(text.encode(), NOW + HOUR * 24 * 3650)
    assert key is not None
    assert (key.name, key.per_s) == ("shop app", 5.0)
    assert main(["keys", "list", "--file", str(path)]) == 0
    listed = capsys.readouterr().out
    assert key.id in listed
    assert text not in listed
    assert main(["keys", "revoke", key.id, "--file", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == key.id
    assert main(["keys", "list", "--file", str(path), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["good"], "sha256" in row) for row in rows] == [(False, False)]


def test_the_command_says_what_is_missing(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROMOLENS_KEYS_FILE", raising=False)
    monkeypatch.delenv("PROMOLENS_SERVER_CONFIG", raising=False)
    assert main(["keys", "list"]) == 2
    assert "Expected a file for the keys" in capsys.readouterr().err
    assert main(["keys", "revoke", "nope", "--file", str(path)]) == 2
    assert "Expected the id of a key" in capsys.readouterr().err
    assert main(["keys", "add", "a", "--file", str(path), "--days", "0"]) == 2
    assert "Expected --days" in capsys.readouterr().err


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="Expected to write keys"):
        add_key(tmp_path / "keys.json", "app", NOW)
