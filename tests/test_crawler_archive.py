"""The archive: every raw answer, also after a kill, and nothing deleted that is still needed."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promolens_catalog.chains import Chain
from promolens_crawler.archive import INDEX, Archive, ArchiveError
from promolens_crawler.errors import FetchFailedError
from promolens_crawler.pages import Answer
from promolens_crawler.transports.replay import ReplayTransport
from promolens_runtime.errors import InputError
from tiny_shop import ALL, LISTING, SITE, TinyShop, names, open_shop, rows_html, transport_for

NOW = datetime(2026, 11, 21, 6, 45, 12, tzinfo=UTC)


@pytest.fixture
def shop() -> Iterator[TinyShop]:
    with open_shop() as opened:
        yield opened


def answer(number: int = 1, body: bytes = b"<ul></ul>", listing: str = "one") -> Answer:
    return Answer(listing, number, "http://x/list", 200, body, "text/html", NOW, etag='"e"')


def new(archive: Archive, chain: Chain = Chain.CU, now: datetime = NOW) -> str:
    return archive.new_run(chain, "2026-11", now)


def test_what_is_kept_comes_back_byte_for_byte(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    run = archive.open_run(new(archive))
    kept = [answer(0, b""), answer(1, bytes(range(256)) * 9), answer(2, b"x", "two-plus-one")]
    for one in kept:
        run.keep(one)
    again = archive.open_run(archive.runs(Chain.CU)[0])
    assert [again.read(entry) for entry in again.lines()] == kept


@given(body=st.binary(max_size=2000), url=st.text(max_size=50), number=st.integers(0, 99_999))
def test_any_answer_comes_back(
    tmp_path_factory: pytest.TempPathFactory, body: bytes, url: str, number: int
) -> None:
    archive = Archive(tmp_path_factory.mktemp("any"))
    run = archive.open_run(new(archive))
    one = replace(answer(number, body), url=url, rendered=True)
    run.keep(one)
    assert [run.read(entry) for entry in run.lines()] == [one]


def test_names_tell_chain_month_and_beginning(tmp_path: Path) -> None:
    name = new(Archive(tmp_path))
    assert name.startswith("cu/2026-11-20261121T064512Z-")
    korean = NOW.astimezone(tz=None)
    assert new(Archive(tmp_path), now=korean).startswith("cu/2026-11-20261121T064512Z-")


def test_a_later_answer_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    run = archive.open_run(new(archive))
    for body in (b"first", b"second"):
        run.keep(answer(1, body))
    (entry,) = run.entries().values()
    assert run.read(entry).body == b"second"
    assert [run.read(one).body for one in run.lines()] == [b"first", b"second"]


def test_a_line_torn_by_a_kill_costs_that_answer_only(tmp_path: Path) -> None:
    """Cut the index at every byte: what is whole is read, and the next answer is not swallowed."""
    archive = Archive(tmp_path)
    name = new(archive)
    run = archive.open_run(name)
    for number in (1, 2):
        run.keep(answer(number))
    index = tmp_path / name / INDEX
    whole = index.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(first, len(whole) + 1):
        index.write_bytes(whole[:cut])
        survivors = {1, 2} if cut >= len(whole) - 1 else {1}
        assert {number for _, number in run.entries()} == survivors
        run.keep(answer(3))
        assert {number for _, number in run.entries()} == survivors | {3}


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "null",
        '"text"',
        "{}",
        "[" * 100_000,
        json.dumps({"listing": "../../etc", "number": 1}),
    ],
)
def test_a_foreign_line_is_passed_over(tmp_path: Path, line: str) -> None:
    archive = Archive(tmp_path)
    name = new(archive)
    run = archive.open_run(name)
    run.keep(answer())
    with (tmp_path / name / INDEX).open("a") as file:
        file.write(line + "\n")
    assert len(run.entries()) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"listing": "../one"},
        {"listing": "a/b"},
        {"listing": ""},
        {"number": -1},
        {"number": 10**9},
        {"number": True},
        {"sha256": "../../../../etc/passwd"},
        {"sha256": "A" * 64},
        {"status": "200"},
        {"fetched_at": "yesterday"},
        {"fetched_at": "2026-11-21T00:00:00"},
        {"rendered": 1},
        {"more": 1},
    ],
)
def test_an_index_cannot_name_other_files(tmp_path: Path, change: dict[str, object]) -> None:
    archive = Archive(tmp_path)
    name = new(archive)
    run = archive.open_run(name)
    run.keep(answer())
    index = tmp_path / name / INDEX
    index.write_text(json.dumps(json.loads(index.read_text()) | change) + "\n")
    assert run.entries() == {}


@pytest.mark.parametrize(
    "name",
    [
        "",
        "cu",
        "cu/",
        "cu/..",
        "../cu",
        "cu/../../etc",
        "/etc",
        "kiosk/2026-11-20261121T064512Z-1f0c9a",
        "cu/2026-11-20261121T064512Z-1f0c9a/x",
        "cu/2026-11-20261121T064512Z-1f0c9a\n",
        "cu/2026-11-20261121T064512Z-000000",
    ],
)
def test_only_names_of_crawls_are_opened(tmp_path: Path, name: str) -> None:
    new(Archive(tmp_path))
    with pytest.raises(InputError):
        Archive(tmp_path).open_run(name)


def test_links_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    archive = Archive(tmp_path / "archive")
    name = new(archive)
    run = archive.open_run(name)
    run.keep(answer())
    (entry,) = run.entries().values()
    body = tmp_path / "archive" / name / entry.file
    body.rename(secret / "body.gz")
    body.symlink_to(secret / "body.gz")
    with pytest.raises(ArchiveError):
        run.read(entry)
    linked = tmp_path / "archive" / "cu" / "2026-11-20261121T064512Z-abcdef"
    linked.symlink_to(secret)
    with pytest.raises(InputError):
        archive.open_run(f"cu/{linked.name}")
    assert archive.prune(NOW + timedelta(days=1), set()) == [name]
    assert (secret / "body.gz").exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-9],
        lambda data: b"",
        lambda data: b"no gzip at all",
        lambda data: gzip.compress(b"other"),
        lambda data: gzip.compress(b" " * 50_000),
        lambda data: data[:12] + b"\x00\xff" + data[14:],
    ],
)
def test_a_damaged_body_is_never_handed_out(tmp_path: Path, damage: object) -> None:
    archive = Archive(tmp_path, max_body_bytes=20_000)
    name = new(archive)
    run = archive.open_run(name)
    run.keep(answer(1, b"<ul><li>row</li></ul>" * 3))
    (entry,) = run.entries().values()
    path = tmp_path / name / entry.file
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(ArchiveError):
        run.read(entry)


def test_old_crawls_go_and_kept_ones_stay(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    days = [new(archive, Chain.CU, NOW - timedelta(days=age)) for age in (100, 91, 89, 0)]
    other = new(archive, Chain.SEVEN, NOW - timedelta(days=200))
    gone = archive.prune(NOW - timedelta(days=90), keep={days[0]})
    assert sorted(gone) == sorted([days[1], other])
    assert archive.runs(Chain.CU) == [days[3], days[2], days[0]]
    assert archive.runs(Chain.SEVEN) == []


def test_a_prune_that_was_killed_is_finished_by_the_next(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    name = new(archive)
    left = tmp_path / "cu" / ("dropped-" + name.partition("/")[2])
    (tmp_path / name).rename(left)
    (tmp_path / "cu" / "notes of a person").mkdir()
    assert archive.runs(Chain.CU) == []
    assert archive.prune(NOW, set()) == []
    assert not left.exists()
    assert (tmp_path / "cu" / "notes of a person").exists()


def test_an_archive_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"Check \[crawler\] archive"):
        new(Archive(tmp_path / "file"))


# ---- replay and conditional requests


def archived(shop: TinyShop, folder: Path) -> tuple[Archive, str]:
    """Crawl the shop and keep what it answers."""
    archive = Archive(folder / "kept")
    name = new(archive)
    run = archive.open_run(name)
    with transport_for(shop, folder) as transport:
        session = transport.open(SITE, shop.home, LISTING)
        for number in (1, 2, 3):
            run.keep(session.fetch(number))
    return archive, name


def test_replay_gives_the_same_rows_without_the_network(shop: TinyShop, tmp_path: Path) -> None:
    archive, name = archived(shop, tmp_path)
    asked = len(shop.hits)
    transport = ReplayTransport(archive.open_run(name))
    assert names(transport, "http://nowhere.invalid") == ALL
    assert (len(shop.hits), transport.requests) == (asked, 0)


def test_replay_of_a_page_that_was_not_crawled(shop: TinyShop, tmp_path: Path) -> None:
    archive, name = archived(shop, tmp_path)
    transport = ReplayTransport(archive.open_run(name))
    with pytest.raises(FetchFailedError, match="Expected page 4 of one in the archive cu/2026-11"):
        transport.open(SITE, "", LISTING).fetch(4)


def tagged(shop: TinyShop, version: dict[int, str], **headers: str) -> None:
    """Let pages have an ETag, and answer 304 to whoever knows it."""

    def page(number: int) -> None:
        def respond(hit) -> None:
            tag = f'"{version[number]}"'
            if hit.headers.get("If-None-Match") == tag:
                hit.head(304, ETag=tag)
            else:
                hit.send(rows_html(number), ETag=tag)

        shop.on[f"/list?page={number}"] = respond

    for number in version:
        page(number)


def test_a_page_that_did_not_change_is_not_sent_again(shop: TinyShop, tmp_path: Path) -> None:
    tagged(shop, {1: "a", 2: "b", 3: "c"})
    archive, _ = archived(shop, tmp_path)
    shop.hits.clear()
    tagged(shop, {1: "a", 2: "changed", 3: "c"})
    with transport_for(shop, tmp_path, archive=archive) as transport:
        session = transport.open(SITE, shop.home, LISTING)
        fresh = [session.fetch(number) for number in (1, 2, 3)]
    asked = [hit.headers.get("If-None-Match") for hit in shop.hits if "/list" in hit.path]
    assert asked == ['"a"', '"b"', '"c"']
    assert [one.body for one in fresh] == [rows_html(n).encode() for n in (1, 2, 3)]
    assert [one.status for one in fresh] == [200, 200, 200]
    assert [one.etag for one in fresh] == ['"a"', '"changed"', '"c"']


def test_last_modified_serves_where_there_is_no_etag(shop: TinyShop, tmp_path: Path) -> None:
    since = "Sat, 21 Nov 2026 06:45:12 GMT"
    for number in (1, 2, 3):
        shop.on[f"/list?page={number}"] = lambda hit, n=number: hit.send(
            rows_html(n), Last_Modified=since
        )
    archive, _ = archived(shop, tmp_path)
    shop.hits.clear()
    shop.on["/list?page=1"] = lambda hit: hit.head(304)
    with transport_for(shop, tmp_path, archive=archive) as transport:
        assert transport.open(SITE, shop.home, LISTING).fetch(1).body == rows_html(1).encode()
    assert shop.hits[-1].headers["If-Modified-Since"] == since


def test_a_damaged_earlier_answer_is_fetched_anew(shop: TinyShop, tmp_path: Path) -> None:
    tagged(shop, {1: "a", 2: "b", 3: "c"})
    archive, name = archived(shop, tmp_path)
    for body in (tmp_path / "kept" / name).glob("*.gz"):
        body.write_bytes(b"damaged")
    shop.hits.clear()
    with transport_for(shop, tmp_path, archive=archive) as transport:
        assert names(transport, shop.home) == ALL
    assert all("If-None-Match" not in hit.headers for hit in shop.hits)


def test_not_modified_without_having_asked_is_no_page(shop: TinyShop, tmp_path: Path) -> None:
    shop.on["/list?page=1"] = lambda hit: hit.head(304)
    with (
        transport_for(shop, tmp_path) as transport,
        pytest.raises(FetchFailedError, match="Received 304"),
    ):
        names(transport, shop.home)
