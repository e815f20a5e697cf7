"""`promolens bundle publish`, `rollout`, `rollback` and `releases` as people call them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bundle_store_support import MakeBundle
from promolens_cli.main import main


@pytest.fixture(autouse=True)
def no_other_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: Any) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("PROMOLENS_PUBLIC_KEY", keys.own.public)
    monkeypatch.setenv("PROMOLENS_BUNDLE_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("LOGNAME", "min")


def test_from_the_first_release_to_going_back(make_bundle: MakeBundle, capsys: Any) -> None:
    assert main(["bundle", "publish", str(make_bundle(1))]) == 0
    out = capsys.readouterr().out
    assert "tiny version 1 kept as" in out
    assert out.splitlines()[-1] == "stable: tiny version 1 to all phones"
    assert main(["bundle", "publish", str(make_bundle(2)), "--rollout", "10"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "stable: tiny version 2 to 10 % of the phones, version 1 to the others"
    assert main(["bundle", "rollout", "100", "--by", "ana"]) == 0
    assert capsys.readouterr().out == "stable: tiny version 2 to all phones\n"
    assert main(["bundle", "releases", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [one["version"] for one in shown["releases"]] == [2, 1]
    stable = shown["channels"]["stable"]
    assert stable["current"]["version"] == 2
    assert stable["percent"] == 100
    assert [one["by"] for one in stable["deeds"]] == ["min", "min", "ana"]
    assert main(["bundle", "rollback", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["current"]["version"] == 1
    assert main(["bundle", "rollback"]) == 2
    assert "Expected an earlier release to go back to" in capsys.readouterr().err
    assert main(["bundle", "releases"]) == 0
    assert "rollback version 1 to 100 % by min" in capsys.readouterr().out


def test_a_bundle_that_does_not_verify_ends_with_3(
    make_bundle: MakeBundle, capsys: Any, tmp_path: Path
) -> None:
    bundle = make_bundle(1)
    (bundle / "labels.json").write_text("[]")
    assert main(["bundle", "publish", str(bundle)]) == 3
    err = capsys.readouterr().err
    assert "wrong: Expected labels.json to be" in err
    assert "is not published; nothing has changed" in err
    assert main(["bundle", "releases"]) == 0
    assert "stable: nothing is offered" in capsys.readouterr().out


def test_the_flag_lets_a_downgrade_through(make_bundle: MakeBundle, capsys: Any) -> None:
    main(["bundle", "publish", str(make_bundle(5))])
    assert main(["bundle", "publish", str(make_bundle(4))]) == 2
    assert "--allow-downgrade" in capsys.readouterr().err
    assert main(["bundle", "publish", str(make_bundle(4)), "--allow-downgrade"]) == 0


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (["publish", "nowhere"], "Expected a bundle folder"),
        (["rollout", "50"], "Expected a bundle store"),
        (["releases", "--store", "nowhere"], "Expected a bundle store at nowhere"),
    ],
)
def test_bad_input_is_one_line(call: list[str], said: str, capsys: Any) -> None:
    assert main(["bundle", *call]) in (2, 3)
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("percent", ["-1", "101", "ten", "1.5"])
def test_percents_are_whole_and_of_a_hundred(percent: str, capsys: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bundle", "rollout", percent])
    assert ended.value.code == 2
    assert "error: argument PERCENT" in capsys.readouterr().err


def test_without_a_store_it_says_which_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.delenv("PROMOLENS_BUNDLE_STORE")
    assert main(["bundle", "releases"]) == 2
    assert "PROMOLENS_BUNDLE_STORE" in capsys.readouterr().err


def test_a_full_disk_is_one_line(
    make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    import resource

    bundle = make_bundle(1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, limits[1]))
    try:
        status = main(["bundle", "publish", str(bundle)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert status == 1
    assert "Expected free disk space" in capsys.readouterr().err


def test_prune_keeps_the_last_ones_and_what_a_channel_needs(
    make_bundle: MakeBundle, capsys: Any, tmp_path: Path
) -> None:
    for version in (1, 2, 3):
        main(["bundle", "publish", str(make_bundle(version))])
    main(["bundle", "rollback", "--to", "1"])
    capsys.readouterr()
    # 3 came last; 1 is offered; nobody can go back to 2.
    assert main(["bundle", "prune", "--keep", "1", "--dry-run"]) == 0
    assert "tiny version 2, " in capsys.readouterr().out
    assert main(["bundle", "prune", "--keep", "1", "--json"]) == 0
    assert [one["version"] for one in json.loads(capsys.readouterr().out)["removed"]] == [2]
    assert main(["bundle", "releases", "--json"]) == 0
    assert [one["version"] for one in json.loads(capsys.readouterr().out)["releases"]] == [3, 1]
    assert list((tmp_path / "store" / "bundles" / "incoming").iterdir()) == []
    assert main(["bundle", "prune", "--keep", "1"]) == 0
    assert capsys.readouterr().out == "0 releases removed, 0 bytes\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--keep", "0"], "Expected to keep at least 1 release"),
        (["--store", "nowhere"], "Expected a bundle store at nowhere"),
    ],
)
def test_prune_refuses(make_bundle: MakeBundle, capsys: Any, words: list[str], said: str) -> None:
    main(["bundle", "publish", str(make_bundle(1))])
    assert main(["bundle", "prune", *words]) == 2
    assert said in capsys.readouterr().err
