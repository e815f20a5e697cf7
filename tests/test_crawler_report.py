"""The page for people and the numbers for monitors say what the catalog holds."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from crawl_desk import NOW, Bench, make_bench
from promolens_catalog import publishing
from promolens_catalog.chains import Chain
from promolens_catalog.database import open_database
from promolens_catalog.kinds import Kind
from promolens_catalog.snapshots import Snapshot
from promolens_crawler.errors import SourceGoneError
from promolens_crawler.metrics import serve, write_textfile
from promolens_crawler.pipeline import crawl_chain
from promolens_crawler.report import render_report, report_content, write_report
from promolens_crawler.report.charts import counts_chart, kinds_bar, nice_top
from promolens_crawler.results import ChainResult
from promolens_crawler.status import age_text, as_json, as_text, chain_statuses
from promolens_runtime.errors import InputError

EMART24 = Chain.EMART24


@pytest.fixture
def bench(sqlite_template: Path, tmp_path: Path) -> Iterator[Bench]:
    db = open_database(str(tmp_path / "promotions.db"))
    yield make_bench(db, tmp_path)
    db.close()


def crawl(bench: Bench, days: float = 1, **lists: list[int]) -> ChainResult:
    bench.shop.lists.update(lists)
    result = crawl_chain(bench.job(), bench.desk())
    bench.clock.move(days=days)
    return result


def page(bench: Bench) -> str:
    return render_report(report_content(bench.db, bench.clock()))


class Texts(HTMLParser):
    """Collects text, links and loads of a page; complains about tags that do not match."""

    VOID = frozenset({"meta", "br", "link", "img"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "a":
            self.links.append(values.get("href") or "")
        self.loads += [values[name] or "" for name in ("src", "srcset", "data") if name in values]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def test_an_empty_catalog_gives_a_page_with_every_chain(bench: Bench) -> None:
    text = Texts(page(bench)).text
    for name in ("CU", "GS25", "세븐일레븐", "이마트24", "씨스페이스", "미니스톱"):
        assert name in text
    assert "never crawled" in text


def test_the_page_tells_counts_changes_and_kinds(bench: Bench) -> None:
    crawl(bench)
    crawl(bench, one=[*range(2, 35), 60])
    text = Texts(page(bench)).text
    assert "정상 ok" in text
    assert "+1 시작 began · −2 종료 ended · 0 변경 changed" in text
    assert "별빛)물결칩60g" in text
    assert "1+1 34 · 2+1 25" in text


def test_a_changed_price_is_shown_as_one_change(bench: Bench) -> None:
    crawl(bench)
    bench.shop.price_krw = 1100
    crawl(bench)
    text = Texts(page(bench)).text
    assert "+0 시작 began · −0 종료 ended · 60 변경 changed" in text
    assert "1,000원 1+1 → 1,100원 1+1" in text


def test_a_held_snapshot_is_shown_with_reasons_and_commands(bench: Bench) -> None:
    crawl(bench)
    held = crawl(bench, one=list(range(3)))
    text = Texts(page(bench)).text
    assert "보류된 목록" in text
    assert "전체 개수가 크게 달라짐" in text
    assert "expected 42 to 240 rows (last: 60), received 28" in text
    assert f"promolens crawl approve {held.snapshot_id}" in text
    assert f"promolens crawl reject {held.snapshot_id}" in text
    assert "−32 종료 ended" in text  # what approving it would do
    assert "오래됨 stale" in text


def test_a_gone_source_says_since_when_and_that_its_rows_stay(bench: Bench) -> None:
    crawl(bench)

    def gone(_listing: str, _number: int) -> None:
        raise SourceGoneError("Expected the list. Received another site's shell.")

    bench.shop.before = gone
    crawl(bench)
    text = Texts(page(bench)).text
    assert "목록 사라짐 gone" in text
    assert "2026-02-25 12:00 부터 since" in text.replace("12:00부터", "12:00 부터")
    assert "The last good snapshot stays published." in text


def test_rows_of_last_month_are_marked(bench: Bench) -> None:
    crawl(bench, days=10)
    assert "지난 달 expired" in Texts(page(bench)).text


def test_anomalies_lead_to_the_archived_page(bench: Bench) -> None:
    bench.shop.problems["two"] = "badge-unknown"
    crawl(bench)
    content = report_content(
        bench.db,
        bench.clock(),
        lambda crawl, listing, number: f"a/{crawl.id}/{listing}-{number}.gz",
    )
    html = Texts(render_report(content))
    assert "a/1/two-1.gz" in html.links
    assert "1 badge-unknown 모르는 행사 표시" in html.text


def test_the_page_asks_nobody_for_anything(bench: Bench) -> None:
    crawl(bench)
    html = page(bench)
    parsed = Texts(html)
    assert parsed.loads == []
    assert "url(" not in html
    assert "@import" not in html
    assert not [link for link in parsed.links if "://" in link]
    assert "default-src 'none'" in html


def test_hostile_names_stay_text(bench: Bench) -> None:
    crawl(bench)
    content = report_content(bench.db, bench.clock())
    section = next(one for one in content.chains if one.info.chain is EMART24)
    hostile = '<script>alert(1)</script>"><img src=x onerror=alert(1)>\u202e'
    assert section.status.published is not None
    odd = replace(section.status.published, reason=hostile, state="held")
    status = replace(section.status, held=odd)
    html = render_report(replace(content, place=hostile, chains=(replace(section, status=status),)))
    assert "<script>" not in html
    assert "<img" not in html


def test_the_file_is_written_whole_or_not_at_all(bench: Bench, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    content = report_content(bench.db, bench.clock())
    write_report(out, content)
    assert out.read_text("utf-8") == render_report(content)
    assert [path.name for path in tmp_path.glob(".report*")] == []
    with pytest.raises(InputError, match="Expected to write the report to"):
        write_report(tmp_path / "none" / "report.html", content)


def snapshot(rows: int, state: str = "published", **by_kind: int) -> Snapshot:
    kinds = by_kind or {str(Kind.ONE_PLUS_ONE): rows}
    return Snapshot(1, EMART24, "2026-02", 1, state, 1, rows, kinds, {}, "", NOW, NOW, None)


def test_bars_are_as_high_as_their_counts() -> None:
    """The drawing is 170 high: 12 above, 24 below; the axis ends at 100 rows."""
    svg = ET.fromstring(counts_chart([snapshot(100), snapshot(50, "held")], "rows"))
    bars = list(svg.iter("g"))
    heights = [float(group.findall("rect")[0].get("height") or 0) for group in bars]
    assert heights == [pytest.approx(134), pytest.approx(67)]
    assert [group.get("class") for group in bars] == ["bar s-published", "bar s-held"]


def test_kinds_share_the_whole_bar() -> None:
    svg = ET.fromstring(kinds_bar({"1+1": 30, "2+1": 60, "gift": 10}, "kinds"))
    widths = [float(rect.get("width") or 0) for rect in svg.iter("rect")]
    assert widths == [pytest.approx(30), pytest.approx(60), pytest.approx(10)]


@pytest.mark.parametrize(
    ("most", "top"), [(0, 10), (10, 10), (11, 20), (60, 60), (61, 80), (1999, 2000), (5100, 6000)]
)
def test_axes_end_at_round_numbers(most: int, top: int) -> None:
    assert nice_top(most) == top


def test_a_drawing_of_nothing_is_a_drawing() -> None:
    ET.fromstring(counts_chart([], "none"))
    ET.fromstring(kinds_bar({}, "none"))


# ---- status


def test_the_status_table_names_what_waits_for_a_person(bench: Bench) -> None:
    crawl(bench)
    held = crawl(bench, one=list(range(3)))
    statuses = chain_statuses(bench.db, bench.clock(), [EMART24])
    text = as_text(statuses, bench.clock())
    assert re.search(r"emart24 +stale since 2026-02-25 +60 +2026-02 +1 +2 days ago +held", text)
    assert f"publish: promolens crawl approve {held.snapshot_id}" in text
    told = as_json(statuses[0])
    assert told["state"] == "stale"
    assert told["published"]["rows"] == 60
    assert told["held"]["reasons"][0].startswith("count: expected 42 to 240 rows")


@pytest.mark.parametrize(
    ("minutes", "text"),
    [
        (-5, "0 min ago"),
        (59, "59 min ago"),
        (60, "1 h ago"),
        (2879, "47 h ago"),
        (2880, "2 days ago"),
    ],
)
def test_ages_are_rough(minutes: int, text: str) -> None:
    assert age_text(NOW, NOW + timedelta(minutes=minutes)) == text


# ---- metrics


def metrics(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_numbers_of_all_chains_are_written_atomically(bench: Bench, tmp_path: Path) -> None:
    crawl(bench)
    crawl(bench, one=list(range(3)))
    path = tmp_path / "promolens.prom"
    write_textfile(path, chain_statuses(bench.db, bench.clock()))
    found = metrics(path.read_text())
    assert found["promolens_crawl_rows", "emart24"] == 60
    assert found["promolens_crawl_held", "emart24"] == 1
    assert found["promolens_crawl_source_state", "emart24", "stale"] == 1
    assert found["promolens_crawl_source_state", "emart24", "ok"] == 0
    assert found["promolens_crawl_last_crawl_state", "emart24", "held"] == 1
    assert found["promolens_crawl_rows_by_kind", "1+1", "emart24"] == 35
    assert found["promolens_crawl_published_crawl_timestamp_seconds", "emart24"] == NOW.timestamp()
    assert found["promolens_crawl_rows", "cu"] == 0
    assert ("promolens_crawl_version", "cu") not in found
    assert not [one for one in tmp_path.iterdir() if one.name.startswith("promolens.prom.")]
    with pytest.raises(InputError, match="Expected to write metrics to"):
        write_textfile(tmp_path / "none" / "x.prom", [])


def test_the_daemons_port_serves_the_numbers_of_now(bench: Bench) -> None:
    from urllib.request import urlopen

    server, port = serve(lambda: chain_statuses(bench.db, bench.clock()), "127.0.0.1", 0)
    try:
        for rows in (60, 61):
            crawl(bench, one=list(range(rows - 25)))
            with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                found = metrics(answer.read().decode())
            assert found["promolens_crawl_rows", "emart24"] == rows
        with pytest.raises(InputError, match="Expected to listen on"):
            serve(list, "127.0.0.1", port)
    finally:
        server.shutdown()
        server.server_close()


def test_an_approved_snapshot_is_ok_again(bench: Bench) -> None:
    crawl(bench)
    held = crawl(bench, one=list(range(3)))
    publishing.approve(bench.db, held.snapshot_id or 0, bench.clock())
    assert "보류된 목록" not in Texts(page(bench)).text
