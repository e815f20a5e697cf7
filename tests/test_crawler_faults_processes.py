"""Real processes: killed at random moments, two at once, interrupted, out of disk."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from promolens_catalog import snapshots, staging
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database, open_database
from promolens_catalog.maintenance import integrity_check
from promolens_crawler.config_text import demo_config_text
from promolens_demo.shops.running import Shops
from shops_support import MONTH, open_shops

ROOT = Path(__file__).resolve().parent.parent
WITHIN_S = 300


@pytest.fixture(scope="module")
def soak() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("soak", ROOT / "benchmarks/soak.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["soak"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["soak"]


@pytest.fixture(scope="module")
def shops() -> Iterator[Shops]:
    with open_shops(100) as opened:
        yield opened


class Shell:
    """A folder with a configuration, in which `promolens crawl` is run as a person would."""

    def __init__(self, folder: Path, shops: Shops, delay_s: float) -> None:
        self.folder, self.shops = folder, shops
        homes = {chain: shops.home(chain) for chain in shops.shops}
        (folder / "demo.toml").write_text(demo_config_text(homes, delay_s))

    def start(self, *words: str, limit_bytes: int | None = None) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "promolens_cli.main", "crawl", "run", *words]
        command += ["--config", "demo.toml", "--database", "promotions.db", "--month", MONTH]
        if limit_bytes is not None:
            blocks = limit_bytes // 1024  # bash counts in KiB
            command = ["bash", "-c", f'ulimit -f {blocks}; exec "$@"', "bash", *command]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def run(self, *words: str, limit_bytes: int | None = None) -> subprocess.CompletedProcess[str]:
        process = self.start(*words, limit_bytes=limit_bytes)
        out, err = process.communicate(timeout=WITHIN_S)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def database(self) -> Database:
        return open_database(str(self.folder / "promotions.db"))

    def wait_for_pages(self, chain: Chain, count: int) -> None:
        """Return when the shop has served so many list pages since the last call of `clear`."""
        deadline = time.monotonic() + WITHIN_S
        while len(self.shops.log.entries(chain, "document", "list")) < count:
            assert time.monotonic() < deadline, "the shop was not asked"
            time.sleep(0.01)


@pytest.fixture
def shell(tmp_path: Path, shops: Shops) -> Iterator[Shell]:
    shops.log.clear()
    yield Shell(tmp_path, shops, 0.02)
    for chain in shops.shops:
        shops.set_modes(chain, "")


def live(db: Database, chain: Chain) -> set[object]:
    published = snapshots.published_snapshot(db, chain)
    return set() if published is None else set(snapshots.offers_of(db, published.id))


def test_five_kills_at_random_moments_lose_and_mix_nothing(
    soak: ModuleType, tmp_path: Path
) -> None:
    """`make soak` makes a hundred."""
    chains = (Chain.CU, Chain.EMART24)
    done = soak.run_soak(soak.Plan(kills=5, seed=5, chains=chains), tmp_path)
    assert done.wrong == [], (tmp_path / "soak.log").read_text()
    assert done.kills >= 5


def test_two_crawls_at_once_of_one_chain_do_not_mix(shell: Shell, shops: Shops) -> None:
    shops.set_modes(Chain.CSPACE, "slow:1")
    first = shell.start("cspace", "--json")
    shell.wait_for_pages(Chain.CSPACE, 2)
    second = shell.run("cspace", "--json")
    assert first.poll() is None
    shops.set_modes(Chain.CSPACE, "")
    out, err = first.communicate(timeout=WITHIN_S)
    assert (first.returncode, second.returncode) == (0, 4), err
    told = json.loads(second.stdout)[0]
    assert (told["outcome"], told["crawl_id"]) == ("busy", None)
    assert "another one that is running" in told["message"]
    assert json.loads(out)[0]["rows"] == 100
    db = shell.database()
    assert live(db, Chain.CSPACE) == set(shops.truth(Chain.CSPACE))
    assert len(staging.crawls(db)) == 1
    db.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_so_and_the_next_one_goes_on(
    shell: Shell, shops: Shops, number: signal.Signals
) -> None:
    shops.set_modes(Chain.CSPACE, "slow:0.5")
    running = shell.start("cspace")
    shell.wait_for_pages(Chain.CSPACE, 4)
    running.send_signal(number)
    shops.set_modes(Chain.CSPACE, "")
    _, err = running.communicate(timeout=WITHIN_S)
    assert running.returncode == 130
    assert "pages read so far are kept, the next run goes on" in err
    assert "Traceback" not in err
    done = shell.run("cspace", "--json")
    told = json.loads(done.stdout)[0]
    assert (done.returncode, told["outcome"]) == (0, "published")
    assert told["pages_kept"] >= 2
    db = shell.database()
    assert live(db, Chain.CSPACE) == set(shops.truth(Chain.CSPACE))
    db.close()


def test_a_full_disk_is_one_clear_line_and_leaves_a_whole_catalog(
    shell: Shell, shops: Shops
) -> None:
    """No file may grow beyond 400 KiB (an empty catalog has 260): the log of changes cannot."""
    full = shell.run("emart24", limit_bytes=400 * 1024)
    assert full.returncode == 1, full.stderr
    assert "Traceback" not in full.stderr
    assert "Expected" in full.stdout + full.stderr
    done = shell.run("emart24")
    assert done.returncode == 0, done.stderr
    db = shell.database()
    assert integrity_check(db) == []
    assert live(db, Chain.EMART24) == set(shops.truth(Chain.EMART24))
    db.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")
def test_an_archive_on_a_full_disk_stops_the_crawl_until_there_is_room(
    shell: Shell, shops: Shops
) -> None:
    archive = shell.folder / "demo-archive"
    archive.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(archive)], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("this machine may not mount")
    try:
        full = shell.run("emart24", "--json")
        told = json.loads(full.stdout)[0]
        assert (full.returncode, told["outcome"], told["reason"]) == (1, "failed", "disk"), told
        subprocess.run(["mount", "-o", "remount,size=16m", str(archive)], check=True)
        done = json.loads(shell.run("emart24", "--json").stdout)[0]
        assert done["outcome"] == "published"
        assert done["crawl_id"] == told["crawl_id"] or done["pages_kept"] >= 1
    finally:
        subprocess.run(["umount", str(archive)], check=True)
    db = shell.database()
    assert live(db, Chain.EMART24) == set(shops.truth(Chain.EMART24))
    db.close()


def test_the_daemon_makes_up_for_missed_crawls_serves_numbers_and_stops(
    shell: Shell, shops: Shops
) -> None:
    from urllib.request import urlopen

    config = shell.folder / "demo.toml"
    keep = {Chain.CU: shops.home(Chain.CU), Chain.EMART24: shops.home(Chain.EMART24)}
    config.write_text(demo_config_text(keep, 0.0) + "\n[metrics]\nport = 0\n")
    shops.set_month(_korean_month())
    command = [sys.executable, "-m", "promolens_cli.main", "crawl", "daemon"]
    command += ["--config", "demo.toml", "--database", "promotions.db"]
    daemon = subprocess.Popen(
        command, cwd=shell.folder, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert daemon.stderr is not None
    try:
        lines: list[str] = []
        while sum("outcome=published" in line for line in lines) < 2:
            lines.append(daemon.stderr.readline())
            assert lines[-1], lines
        port = next(line for line in lines if line.startswith("metrics: ")).rsplit(":", 1)[1]
        with urlopen(f"http://127.0.0.1:{port.strip()}", timeout=30) as answer:
            assert 'promolens_crawl_rows{chain="cu"} 100.0' in answer.read().decode()
        assert any(line.startswith("making up for a missed crawl: cu, emart24") for line in lines)
        assert any(line.startswith("next crawl of emart24: ") for line in lines)
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(WITHIN_S) == 0
    finally:
        if daemon.poll() is None:
            daemon.kill()
        daemon.stderr.close()
        shops.set_month(MONTH)


def _korean_month() -> str:
    from promolens_catalog.calendar import korean_month
    from promolens_crawler.manners import utc_now

    return korean_month(utc_now())
