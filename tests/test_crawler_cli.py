"""`promolens crawl` as a person types it, with the stand-in shops: from nothing to a report."""

from __future__ import annotations

import getpass
import gzip
import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from promolens_catalog.chains import Chain
from promolens_cli.crawl_places import person_named
from promolens_cli.main import main
from promolens_crawler.config import config_of, load_config
from promolens_crawler.config_text import (
    demo_config_text,
    empty_config_text,
    write_demo,
)
from promolens_demo.shops.running import Shops
from promolens_runtime.errors import InputError
from shops_support import MONTH, open_shops

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def shops() -> Iterator[Shops]:
    with open_shops(60) as opened:
        yield opened


@pytest.fixture
def run(
    shops: Shops,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Run]:
    """Type a line in a folder that holds `demo.toml` only; gives status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROMOLENS_DATABASE_URL", raising=False)
    homes = {chain: shops.home(chain) for chain in shops.shops}
    Path("demo.toml").write_text(demo_config_text(homes, 0.0))

    def typed(line: str) -> tuple[int, str, str]:
        try:
            status = main(line.split())
        except SystemExit as end:
            status = int(end.code or 0)
        told = capsys.readouterr()
        return status, told.out, told.err

    yield typed
    for chain in shops.shops:
        shops.set_modes(chain, "")


CRAWL = f"--config demo.toml --month {MONTH}"


def test_the_short_way_from_shops_to_report(run: Run, shops: Shops) -> None:
    status, out, _ = run(f"crawl run --all {CRAWL}")
    assert status == 0
    assert [line.split()[:3] for line in out.splitlines()] == [
        [str(chain), "published", "60"] for chain in shops.shops
    ]
    status, out, _ = run("crawl status")
    assert status == 0
    assert re.search(r"(?m)^emart24 +ok +60 +2026-11", out)
    assert run("crawl report --config demo.toml")[0] == 0
    assert "이마트24" in Path("crawl-report.html").read_text("utf-8")


def test_a_held_snapshot_is_looked_at_approved_and_rolled_back(run: Run, shops: Shops) -> None:
    assert run(f"crawl run emart24 {CRAWL}")[0] == 0
    shops.set_modes(Chain.EMART24, "fewer")
    status, out, _ = run(f"crawl run emart24 {CRAWL}")
    assert status == 3
    assert "count: expected 42 to 240 rows (last: 60), received" in out
    number = re.search(r"promolens crawl approve (\d+)", out)
    assert number is not None
    assert f"approve {number[1]}" in run("crawl status")[1]

    status, out, _ = run("crawl diff emart24")
    assert status == 0
    assert re.search(r"0 began, \d+ ended, 0 changed", out)
    found = json.loads(run("crawl diff emart24 --json")[1])
    assert len(found["ended"]) == int(re.search(r"(\d+) ended", out)[1])  # type: ignore[index]

    status, out, _ = run(f"crawl approve {number[1]}")
    assert status == 0
    assert re.search(r"as version \d+: 0 rows began", out)
    assert run(f"crawl approve {number[1]}")[0] == 2  # only once
    status, out, _ = run("crawl rollback emart24")
    assert status == 0
    assert re.search(r"as version \d+: \d+ rows began, 0 ended", out)
    assert re.search(r"(?m)^emart24 +ok +60 ", run("crawl status")[1])


def test_the_report_links_to_the_archived_pages(run: Run, shops: Shops) -> None:
    shops.set_modes(Chain.EMART24, "badge")
    run(f"crawl run emart24 {CRAWL}")
    Path("pages").mkdir()
    assert run("crawl report --config demo.toml --out pages/report.html")[0] == 0
    links = re.findall(r'href="([^"#]+)"', Path("pages/report.html").read_text("utf-8"))
    assert links
    for link in links:
        page = gzip.decompress((Path("pages") / unquote(link)).read_bytes()).decode()
        assert "4+1" in page


def test_a_diff_names_the_cards_that_could_not_be_read(run: Run, shops: Shops) -> None:
    run(f"crawl run emart24 {CRAWL}")
    shops.set_modes(Chain.EMART24, "badge")
    run(f"crawl run emart24 {CRAWL}")
    _, out, _ = run("crawl diff emart24")
    assert re.search(r"(?m)^\? drinks page \d+, card \d+: badge-unknown: .*4\+1", out)
    odd = json.loads(run("crawl diff emart24 --json")[1])["anomalies"]
    assert {one["code"] for one in odd} == {"badge-unknown"}
    assert {one["listing"] for one in odd} == {"meals", "snacks", "drinks"}
    assert "odd" not in run("crawl diff emart24 1 1")[1]


def test_a_rejected_snapshot_is_gone(run: Run, shops: Shops) -> None:
    run(f"crawl run emart24 {CRAWL}")
    shops.set_modes(Chain.EMART24, "badge")
    number = json.loads(run(f"crawl run emart24 {CRAWL} --json")[1])[0]["snapshot_id"]
    status, out, _ = run(f"crawl reject {number} --reason typo")
    assert (status, out) == (0, f"snapshot {number} is thrown away; what is published stays\n")
    status, _, err = run(f"crawl approve {number}")
    assert status == 2
    assert "Expected a held snapshot" in err


def test_what_a_monitor_reads_is_json(run: Run, shops: Shops) -> None:
    shops.set_modes(Chain.CSPACE, "drift")
    status, out, _ = run(f"crawl run cspace emart24 {CRAWL} --json")
    told = {one["chain"]: one for one in json.loads(out)}
    assert status == 1
    assert (told["cspace"]["outcome"], told["cspace"]["reason"]) == ("failed", "page-drift")
    assert told["emart24"]["outcome"] == "published"  # one that fails does not stop the others
    states = {one["chain"]: one for one in json.loads(run("crawl status --json")[1])}
    assert states["emart24"]["state"] == "ok"
    assert states["cspace"]["last_crawl"]["state"] == "failed"
    assert states["cu"]["last_crawl"] is None


def test_an_archived_crawl_is_read_again(run: Run, shops: Shops) -> None:
    shops.set_modes(Chain.EMART24, "badge")
    run(f"crawl run emart24 {CRAWL}")
    states = json.loads(run("crawl status emart24 --json")[1])
    name = states[0]["last_crawl"]["archive"]
    status, out, _ = run(f"crawl replay {name} --config demo.toml")
    assert status == 3  # the badge is still unknown
    assert "hold: badge-unknown" in out
    told = json.loads(run(f"crawl replay {name} --config demo.toml --json")[1])
    assert told["month"] == MONTH
    status, out, _ = run(f"crawl replay {name} --config demo.toml --publish")
    assert status == 3
    shops.set_modes(Chain.EMART24, "")
    assert run(f"crawl run emart24 {CRAWL}")[0] == 0
    status, _, err = run(f"crawl replay {name} --config demo.toml --publish")
    assert status == 2
    assert "Expected a crawl that is newer than the published one" in err


def test_a_replay_publishes_exactly_what_the_crawl_did(run: Run, shops: Shops) -> None:
    run(f"crawl run gs25 {CRAWL} --database first.db")
    name = json.loads(run("crawl status gs25 --json --database first.db")[1])[0]["last_crawl"][
        "archive"
    ]
    line = f"crawl replay {name} --config demo.toml --publish --json --database second.db"
    status, out, _ = run(line)
    told = json.loads(out)[0]
    assert (status, told["outcome"], told["rows"], told["requests"]) == (0, "published", 60, 0)


def test_a_list_from_a_file_goes_the_same_way(run: Run) -> None:
    rows = [f"별빛)물결칩{n}g,{1000 + n},1+1" for n in range(40)]
    Path("list.csv").write_text("\n".join(["name,price_krw,promotion", *rows]), "utf-8")
    status, out, _ = run(f"crawl import gs25 list.csv --month {MONTH}")
    assert (status, "published" in out) == (0, True), out
    # With pictures on some of the rows only: a person decides.
    half = [f"{row},https://images.example/{n}.jpg" for n, row in enumerate(rows) if n % 2]
    rest = [f"{row}," for n, row in enumerate(rows) if not n % 2]
    lines = ["name,price_krw,promotion,image_url", *half, *rest]
    Path("list.csv").write_text("\n".join(lines), "utf-8")
    status, out, _ = run(f"crawl import gs25 list.csv --month {MONTH}")
    assert status == 3, out
    assert "image-coverage" in out


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("crawl run", "Expected chains or --all. Received neither"),
        ("crawl run cu --all", "Expected chains or --all. Received both"),
        ("crawl run mart", "Expected one of cu, gs25"),
        ("crawl run --all", "Expected a source that is switched on"),
        ("crawl run --all --config none.toml", "Expected a configuration at none.toml"),
        (f"crawl run cu {CRAWL} --transport carrier-pigeon", "Expected --transport http or"),
        ("crawl run cu --config demo.toml --month 2026-13", "Expected a month such as 2026-02"),
        (f"crawl run cu {CRAWL} --database none/x.db", "Expected a folder for none/x.db"),
        ("crawl status", "Expected a catalog at promotions.db. Received no file"),
        ("crawl approve 7 --database none.db", "Expected a catalog at none.db"),
        ("crawl approve seven", "invalid int value"),
        ("crawl diff cu 1 --database demo.toml", "Expected "),
        ("crawl replay ../../etc/passwd", "Expected an archived crawl such as"),
        ("crawl", "required"),
        ("crawl crwl", "invalid choice"),
    ],
)
def test_mistakes_are_one_line(run: Run, line: str, words: str) -> None:
    status, out, err = run(line)
    assert (status, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
    assert not Path("none.db").exists()


def test_a_chain_that_is_off_is_not_crawled(run: Run) -> None:
    Path("crawl.toml").write_text("[sources.cu]\nenabled = false\n")
    status, _, err = run("crawl run cu")
    assert status == 6
    assert "Expected a source that is switched on. Received cu, which is off" in err


def test_a_decision_names_who_took_it(
    run: Run, shops: Shops, caplog: pytest.LogCaptureFixture
) -> None:
    def hold() -> int:
        shops.set_modes(Chain.EMART24, "badge")
        return int(json.loads(run(f"crawl run emart24 {CRAWL} --json")[1])[0]["snapshot_id"])

    run(f"crawl run emart24 {CRAWL}")
    number = hold()
    caplog.set_level("INFO", "promolens_crawler")
    status, out, _ = run(f"crawl reject {number} --by min --reason old --json")
    assert (status, json.loads(out)) == (
        0,
        {"action": "reject", "by": "min", "snapshot_id": number, "reason": "old"},
    )
    assert caplog.messages[-1] == f"reject by=min snapshot_id={number} reason=old"
    number = hold()
    status, out, _ = run(f"crawl approve {number} --json")
    told = json.loads(out)
    assert (status, told["action"], told["snapshot_id"]) == (0, "approve", number)
    assert told["by"] == getpass.getuser()
    assert caplog.messages[-1].startswith(
        f"approve by={told['by']} snapshot_id={number} version={told['version']} "
    )
    status, out, _ = run("crawl rollback emart24 --by min")
    assert (status, out.startswith("published snapshot ")) == (0, True)
    assert caplog.messages[-1].startswith("rollback by=min snapshot_id=")


@pytest.mark.parametrize("name", ["", "a\nINFO approve by=somebody", "x" * 81])
def test_a_name_that_a_log_line_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"^Expected a name of 1 to 80 printable"):
        person_named(name)


def test_an_unknown_snapshot_is_named(run: Run) -> None:
    run(f"crawl run cspace {CRAWL}")
    for line in ("crawl approve 99", "crawl reject 99", "crawl diff cspace 98 99"):
        status, _, err = run(line)
        assert status == 2
        assert "Expected the number of a snapshot" in err


def test_the_written_configuration_has_everything_off(run: Run) -> None:
    assert run("crawl init")[0] == 0
    assert load_config(Path("crawl.toml")).enabled() == ()
    status, _, err = run("crawl init")
    assert status == 2
    assert "Received one, which is left as it is" in err


def test_every_line_of_the_written_configuration_is_true() -> None:
    """Uncommented as a whole it loads, and shows the defaults where it says so."""
    text = re.sub(r"(?m)^# (?=[a-z_]+ = |\[)", "", empty_config_text())
    tables = tomllib.loads(text.replace("enabled = false", "enabled = true"))
    config = config_of(tables, Path.cwd())
    assert len(config.enabled()) == 5
    bare: dict[str, Any] = {"crawler": {}}
    defaults = config_of(bare, Path.cwd())
    assert config.sources[Chain.SEVEN].schedule == defaults.sources[Chain.SEVEN].schedule
    assert config.limits == defaults.limits
    assert config.retention_days == defaults.retention_days


def test_a_demo_configuration_replaces_only_its_own_kind(tmp_path: Path) -> None:
    path = tmp_path / "demo.toml"
    for port in (8100, 8200):
        write_demo(path, demo_config_text({Chain.CU: f"http://127.0.0.1:{port}"}))
    assert load_config(path).sources[Chain.CU].home == "http://127.0.0.1:8200"
    path.write_text("[crawler]\n")
    with pytest.raises(InputError, match="left as it is"):
        write_demo(path, demo_config_text({}))
    assert path.read_text() == "[crawler]\n"


def test_secrets_of_a_database_address_are_never_shown(run: Run) -> None:
    line = f"crawl run cu {CRAWL} --database postgresql://me:tell-nobody@127.0.0.1:1/none"
    status, out, err = run(line)
    assert status == 2
    assert "tell-nobody" not in out + err
