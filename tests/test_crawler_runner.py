"""What follows a run: alerts, metrics and old archives, none of which may fail it; its plans."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from crawl_desk import make_bench
from promolens_catalog import publishing, staging
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database, open_database
from promolens_crawler.alert_memory import FILE
from promolens_crawler.archive import Archive
from promolens_crawler.config import CrawlerConfig, config_of
from promolens_crawler.errors import NotAllowedError
from promolens_crawler.manners import Clock
from promolens_crawler.pages import Answer
from promolens_crawler.pipeline import crawl_chain
from promolens_crawler.progress import NoProgress, terminal_progress
from promolens_crawler.results import ChainResult, Outcome
from promolens_crawler.runner import Run, RunOptions, chain_plans, kept_archives, last_start
from promolens_crawler.schedule import visit_window
from promolens_crawler.validation import Finding, Severity
from promolens_runtime.errors import InputError

NOW = datetime(2026, 2, 24, 3, 0, tzinfo=UTC)
HELD = ChainResult(Chain.CU, Outcome.HELD, "2026-02", "count", "count: ...", snapshot_id=12)
LOOPBACK = {"enabled": True, "home": "http://127.0.0.1:9"}


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(str(tmp_path / "promotions.db"))
    yield opened
    opened.close()


def config(folder: Path, **tables: Any) -> CrawlerConfig:
    return config_of({"sources": {"cu": LOOPBACK}, **tables}, folder)


def run_of(db: Database, settings: CrawlerConfig, now: datetime = NOW) -> Run:
    return Run(settings, db, NoProgress(), clock=Clock(now=lambda: now))


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[bytes]]]:
    got: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", got
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_held_crawl_is_told_to_the_webhook_and_a_good_one_is_not(
    db: Database,
    tmp_path: Path,
    webhook: tuple[str, list[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, got = webhook
    monkeypatch.delenv("PROMOLENS_ALERT_URL", raising=False)
    run = run_of(db, config(tmp_path, alerts={"url": url}))
    run.tell([ChainResult(Chain.CU, Outcome.UNCHANGED, "2026-02")])
    assert got == []
    run.tell([HELD])
    assert json.loads(got[0])["crawls"][0]["held_snapshot"] == 12


def failed(reason: str, month: str = "2026-02", chain: Chain = Chain.CU) -> ChainResult:
    return ChainResult(chain, Outcome.FAILED, month, reason, f"{reason}: ...")


def test_a_failure_is_told_once_until_it_changes_is_mended_or_the_month_ends(
    db: Database,
    tmp_path: Path,
    webhook: tuple[str, list[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, got = webhook
    monkeypatch.delenv("PROMOLENS_ALERT_URL", raising=False)
    good = ChainResult(Chain.CU, Outcome.UNCHANGED, "2026-02")
    busy = ChainResult(Chain.CU, Outcome.BUSY, "2026-02", "busy")
    down = failed("fetch-failed")
    other = failed("fetch-failed", chain=Chain.SEVEN)
    for results, told in (
        ([down], ["cu"]),
        ([down], []),  # a retry
        ([busy], []),
        ([down, other], ["seven"]),
        ([failed("page-drift")], ["cu"]),
        ([down], ["cu"]),
        ([good], []),
        ([down], ["cu"]),
        ([failed("fetch-failed", "2026-03")], ["cu"]),
    ):
        got.clear()
        # A process of its own each time.
        run_of(db, config(tmp_path, alerts={"url": url})).tell(results)
        assert [one["chain"] for body in got for one in json.loads(body)["crawls"]] == told


def test_other_numbers_of_the_same_held_list_are_not_told_again_but_other_reasons_are(
    db: Database,
    tmp_path: Path,
    webhook: tuple[str, list[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, got = webhook
    monkeypatch.delenv("PROMOLENS_ALERT_URL", raising=False)
    run = run_of(db, config(tmp_path, alerts={"url": url}))
    count = Finding("count", "84 to 480 rows", "50")
    for findings, times in (
        ((count,), 1),
        ((Finding("count", "84 to 480 rows", "51"),), 1),
        ((count, Finding("kind-mix", "at most 30.0 %", "40.0 %")), 2),
        ((count, Finding("first", "...", "...", Severity.NOTE)), 3),
    ):
        run.tell([replace(HELD, findings=findings)])
        assert len(got) == times


def test_an_alert_that_got_lost_is_sent_again(
    db: Database,
    tmp_path: Path,
    webhook: tuple[str, list[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, got = webhook
    monkeypatch.delenv("PROMOLENS_ALERT_URL", raising=False)
    run_of(db, config(tmp_path, alerts={"url": "http://127.0.0.1:9/"})).tell([HELD])
    run_of(db, config(tmp_path, alerts={"url": url})).tell([HELD])
    assert len(got) == 1


@pytest.mark.parametrize("data", [b"", b"[1]", b"{", b"\xff", b"[" * 50_000, b'{"cu": 7}'])
def test_a_broken_memory_tells_rather_twice_than_never(
    db: Database,
    tmp_path: Path,
    webhook: tuple[str, list[bytes]],
    monkeypatch: pytest.MonkeyPatch,
    data: bytes,
) -> None:
    url, got = webhook
    monkeypatch.delenv("PROMOLENS_ALERT_URL", raising=False)
    run = run_of(db, config(tmp_path, alerts={"url": url}))
    run.config.archive.mkdir()
    (run.config.archive / FILE).write_bytes(data)
    run.tell([HELD])
    run.tell([HELD])
    assert len(got) == 1
    assert run.config.archive.is_dir()
    assert [one.name for one in run.config.archive.iterdir()] == [FILE]


def test_nothing_that_follows_a_run_can_fail_it(
    db: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("PROMOLENS_ALERT_URL", "http://hooks.example.org/tell-nobody")
    metrics = {"textfile": str(tmp_path / "none" / "x.prom")}
    run_of(db, config(tmp_path, metrics=metrics)).tell([HELD])
    assert "an alert address must be https" in caplog.text
    assert "Expected to write metrics to" in caplog.text
    assert "tell-nobody" not in caplog.text


def test_the_metrics_file_has_all_chains_whatever_was_crawled(db: Database, tmp_path: Path) -> None:
    path = tmp_path / "promolens.prom"
    run_of(db, config(tmp_path, metrics={"textfile": str(path)})).tell([])
    for chain in Chain:
        assert f'promolens_crawl_rows{{chain="{chain}"}} 0.0' in path.read_text()


def archived(archive: Archive, chain: Chain, at: datetime) -> str:
    name = archive.new_run(chain, f"{at:%Y-%m}", at)
    answer = Answer("one", 1, "http://shop.example/", 200, b"<li>", "text/html", at)
    archive.open_run(name).keep(answer)
    return name


def test_old_archives_go_but_not_those_somebody_may_still_need(
    db: Database, tmp_path: Path
) -> None:
    archive = Archive(tmp_path / "crawl-archive")
    old = NOW - timedelta(days=91)
    names = {word: archived(archive, Chain.CU, old) for word in ("failed", "held", "running")}
    for word, name in names.items():
        number = staging.start_crawl(db, Chain.CU, "2025-11", "http", old, archive=name)
        if word == "failed":
            staging.finish_crawl(db, number, "failed", "fetch-failed", old)
        if word == "held":
            publishing.hold(db, number, ["count: ..."], old)
    young = archived(archive, Chain.CU, NOW - timedelta(days=89))
    assert kept_archives(db) == {names["held"], names["running"]}
    run_of(db, config(tmp_path)).tell([])
    assert set(archive.runs(Chain.CU)) == {names["held"], names["running"], young}


def test_the_archive_of_what_is_published_stays(db: Database, tmp_path: Path) -> None:
    bench = make_bench(db, tmp_path)
    crawl_chain(bench.job(), bench.desk())
    assert kept_archives(db) == {"emart24-2026-02-0"}


def test_a_chain_that_is_off_stops_a_run_before_it_begins(db: Database, tmp_path: Path) -> None:
    run = run_of(db, config(tmp_path))
    with pytest.raises(NotAllowedError, match="Received gs25, which is off"):
        run.crawl_all([Chain.CU, Chain.GS25], RunOptions())
    with pytest.raises(InputError, match="Expected a source that is switched on"):
        run.crawl_all([], RunOptions())
    assert staging.crawls(db) == []


def test_a_run_that_is_stopped_takes_no_further_chain(db: Database, tmp_path: Path) -> None:
    both = config_of({"sources": {"cu": LOOPBACK, "emart24": LOOPBACK}}, tmp_path)
    run = Run(both, db, NoProgress(), stop=lambda: True)
    results = run.crawl_all([Chain.CU, Chain.EMART24], RunOptions())
    assert [one.outcome for one in results] == ["stopped"]


def test_a_live_shop_with_known_hours_is_planned_within_them(tmp_path: Path) -> None:
    from promolens_crawler.config import ACKNOWLEDGEMENTS

    def window(**source: object) -> object:
        tables = {"crawler": {"contact": "crawler@example.org"}, "sources": {"gs25": source}}
        return chain_plans(config_of(tables, tmp_path))[Chain.GS25].window

    live = {"enabled": True, "acknowledged": ACKNOWLEDGEMENTS[Chain.GS25]}
    assert window(**live) == visit_window("0400-0845")
    assert window(**live, visit_window="0500-0600") == visit_window("0500-0600")
    assert window(**LOOPBACK) is None
    with pytest.raises(InputError, match="Expected a source that is switched on"):
        chain_plans(config_of({}, tmp_path))


def test_an_unfinished_crawl_counts_as_never_begun(db: Database) -> None:
    assert last_start(db, Chain.CU) is None
    number = staging.start_crawl(db, Chain.CU, "2026-02", "http", NOW)
    assert last_start(db, Chain.CU) is None
    staging.finish_crawl(db, number, "failed", "fetch-failed", NOW)
    assert last_start(db, Chain.CU) == NOW


def test_there_are_no_bars_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal_progress() as progress:
        progress.chain(Chain.CU, ["one"]).page("one", 1, 40, None)
    assert capsys.readouterr() == ("", "")
