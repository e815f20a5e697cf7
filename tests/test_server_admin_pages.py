"""What the admin pages show and do, on both engines: the same as the command line."""

from __future__ import annotations

import contextlib
import logging
import re
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from admin_support import (
    TOKENS,
    Browser,
    fields_of,
    hold_cu,
    new_browser,
    propose_links,
    publish_cu,
)
from bundle_files import write_bundle
from bundle_store_support import WHEN, Publish
from catalog_support import NOW, make_offer, stage_crawl
from gallery_files import gallery_bytes, write_gallery
from promolens_catalog import link_review, publishing, snapshots
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database, open_database
from promolens_runtime.manifest import Manifest
from promolens_runtime.signing import generate_key
from promolens_server.bundles import channels
from promolens_server.bundles.galleries import publish_gallery
from promolens_server.bundles.publishing import Order, publish_bundle
from promolens_server.bundles.store import BUNDLES, GALLERIES, ArtefactStore
from promolens_server.config import LimitsConfig
from promolens_server.factory import create_app
from promolens_server.services import Services, open_services
from server_support import config_for

HOSTILE = "<script>alert(1)</script>\"'&{{7777*7777}}"


class _Tags(HTMLParser):
    """Collects tags with their attributes, and which form controls have a name for readers."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.labels: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append((tag, values))
        if tag == "label" and values.get("for"):
            self.labels.add(str(values["for"]))


def tags_of(html: str) -> _Tags:
    parser = _Tags()
    parser.feed(html)
    return parser


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The members of the lines that the pages have logged, filled when it is read."""
    caplog.set_level(logging.INFO, "promolens_server.admin")

    class Lines(list[dict[str, Any]]):
        def __iter__(self) -> Iterator[dict[str, Any]]:
            return iter([record.members for record in caplog.records if hasattr(record, "members")])

    return Lines()


# ---- looking


def test_the_overview_says_what_waits(browser: Browser, catalog: Database) -> None:
    publish_cu(catalog)
    hold_cu(catalog)
    propose_links(catalog)
    publishing.mark_source(catalog, Chain.GS25, "gone", NOW, "source-gone")
    html = browser.get("/admin").text
    for text in ("Held snapshots: 1", "Links to review: 2", "Sources in trouble: 1"):
        assert text in html
    assert "the list is no longer where it was" in html
    assert "Catalog version 4" in html
    korean = browser.get("/admin?lang=ko").text
    assert "보류된 목록 1개" in korean
    assert "세븐일레븐" in korean


def test_an_empty_catalog_has_pages_too(browser: Browser) -> None:
    for path in ("", "/snapshots", "/chains/cu", "/review", "/bundles", "/galleries"):
        assert browser.get(f"/admin{path}").status_code == 200
    assert "Nothing waits for you." in browser.get("/admin").text


def test_a_held_snapshot_shows_reasons_and_differences(browser: Browser, catalog: Database) -> None:
    publish_cu(catalog)
    number = hold_cu(catalog)
    html = browser.get(f"/admin/snapshots/{number}").text
    assert "the number of rows is far off" in html
    assert "count: expected 21 to 120 rows, received 21" in html
    # 5..34 are live; held are 5..24, four of them dearer, and a new one.
    for count, word in ((1, "Beginning"), (10, "Ending"), (4, "Changed")):
        assert re.search(rf"<b>{count}</b> {word}", html)
    assert "새 과자" in html
    assert 'href="https://images.example/1.jpg?a=1&amp;b=' in html


def test_a_long_list_is_cut_and_can_be_seen_whole(browser: Browser, catalog: Database) -> None:
    publishing.publish(catalog, stage_crawl(catalog, [make_offer(1)], NOW), NOW)
    rows = [make_offer(number) for number in range(1, 72)]
    number = publishing.hold(catalog, stage_crawl(catalog, rows, NOW), ["count: many"], NOW)
    html = browser.get(f"/admin/snapshots/{number}").text
    assert "50 of 70 are shown." in html
    assert html.count("<tr>") == 51
    whole = browser.get(f"/admin/snapshots/{number}?rows=5000").text
    assert whole.count("<tr>") == 71


@pytest.mark.parametrize(
    "path",
    [
        "/snapshots/999",
        "/snapshots/abc",
        "/snapshots/-1",
        "/snapshots/99999999999999999999",
        "/chains/nowhere",
        "/chains/cu/rollback?to=1",
        "/chains/cu/rollback",
        "/review?chain=%3Cscript%3E",
        "/bundles/nightly",
        "/%3Cscript%3E",
        "/a/b/c",
    ],
)
def test_what_is_not_there_is_a_clear_page(browser: Browser, path: str) -> None:
    answer = browser.get(f"/admin{path}")
    assert answer.status_code == 404
    assert "There is no such page" in answer.text
    assert "<script" not in answer.text


# ---- names of shops are hostile


def test_nothing_that_a_shop_says_becomes_markup(browser: Browser, catalog: Database) -> None:
    publish_cu(catalog)
    number = hold_cu(catalog, name=HOSTILE)
    propose_links(catalog, name=HOSTILE)
    publishing.mark_source(catalog, Chain.GS25, "gone", NOW, HOSTILE)
    for path in ("", "/snapshots", f"/snapshots/{number}", "/chains/gs25", "/review"):
        html = browser.get(f"/admin{path}").text
        found = tags_of(html)
        assert "script" not in {tag for tag, _ in found.tags}
        assert "60481729" not in html  # 7777 squared: the name went through the template language
        for tag, attributes in found.tags:
            assert not any(name.startswith("on") for name in attributes), (tag, attributes)
            assert "style" not in attributes
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in browser.get("/admin/review").text


def test_addresses_of_pictures_are_web_addresses_or_no_links(
    browser: Browser, catalog: Database
) -> None:
    from sqlalchemy import update

    from promolens_catalog.schema import promotion

    publish_cu(catalog)
    propose_links(catalog)
    with catalog.write() as connection:
        connection.execute(update(promotion).values(image_url="javascript:alert(1)"))
    html = browser.get("/admin/review").text
    assert "javascript:" not in html


def test_every_control_has_a_name(browser: Browser, catalog: Database, publish: Publish) -> None:
    publish_cu(catalog)
    number = hold_cu(catalog)
    propose_links(catalog)
    publish(1)
    publish(2, percent=10)
    for path in ("", f"/snapshots/{number}", "/review", "/bundles", "/chains/cu", "/login"):
        found = tags_of(browser.get(f"/admin{path}").text)
        ids = [values["id"] for _, values in found.tags if values.get("id")]
        assert len(set(ids)) == len(ids)
        for tag, values in found.tags:
            visible = values.get("type") != "hidden" and "hidden" not in values
            if tag in ("input", "select") and visible:
                assert values.get("id") in found.labels, (path, values)
            for reference in ("aria-labelledby", "aria-describedby"):
                for one in (values.get(reference) or "").split():
                    assert one in ids, (path, one)
            if tag == "a":
                assert values.get("href")


# ---- deciding about snapshots


def test_approving_publishes_what_was_held(browser: Browser, catalog: Database, log: Any) -> None:
    publish_cu(catalog)
    number = hold_cu(catalog)
    answer = browser.submit(f"/admin/snapshots/{number}", f"/admin/snapshots/{number}/approve")
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin/snapshots")
    published = snapshots.published_snapshot(catalog, Chain.CU)
    assert published is not None
    assert (published.id, published.version) == (number, 3)
    page = browser.get("/admin/snapshots").text
    # Five begin (four under another price), fourteen end (four of them for that), sixteen stay.
    assert f"Snapshot {number} is published as version 3: 5 rows began, 14 ended, 16 stay." in page
    assert "is published as" not in browser.get("/admin/snapshots").text
    (line,) = [one for one in log if one.get("action") == "approve"]
    assert (line["who"], line["when"]) == ("min", NOW.isoformat())


def test_rejecting_keeps_what_was_published(browser: Browser, catalog: Database, log: Any) -> None:
    publish_cu(catalog)
    number = hold_cu(catalog)
    answer = browser.submit(
        f"/admin/snapshots/{number}",
        f"/admin/snapshots/{number}/reject",
        reason=f"  half a list\r\n{HOSTILE} ",
    )
    assert answer.status_code == 303
    found = next(one for one in snapshots.snapshots(catalog) if one.id == number)
    assert found.state == "rejected"
    assert found.reason.splitlines()[-1] == f"half a list {HOSTILE}"
    assert snapshots.published_snapshot(catalog, Chain.CU).version == 2  # type: ignore[union-attr]
    assert [one["action"] for one in log if "action" in one] == ["reject"]
    assert "<script" not in browser.get(f"/admin/snapshots/{number}").text


@pytest.mark.parametrize("second", ["approve", "reject"])
def test_the_second_of_two_deciders_is_told(
    browser: Browser, other: Browser, catalog: Database, second: str
) -> None:
    publish_cu(catalog)
    number = hold_cu(catalog)
    page = f"/admin/snapshots/{number}"
    seen = fields_of(other.get(page).text, f"{page}/{second}")
    browser.submit(page, f"{page}/approve")
    version = snapshots.published_snapshot(catalog, Chain.CU).version  # type: ignore[union-attr]
    answer = other.post(f"{page}/{second}", seen)
    assert answer.status_code == 409
    assert "Somebody was faster" in answer.text
    assert f'href="{page}"' in answer.text
    assert snapshots.published_snapshot(catalog, Chain.CU).version == version  # type: ignore[union-attr]
    korean = other.client.post(f"{page}/{second}", data=seen, headers={"accept-language": "ko"})
    assert "다른 사람이 먼저 정했습니다" in korean.text


def test_a_refusal_is_a_page(browser: Browser, catalog: Database) -> None:
    """Held, but a newer crawl was published in between by the crawler itself."""
    number = hold_cu(catalog)
    answer = browser.post(
        f"/admin/snapshots/{number + 7}/approve",
        fields_of(
            browser.get(f"/admin/snapshots/{number}").text, f"/admin/snapshots/{number}/approve"
        ),
    )
    assert answer.status_code == 409
    assert "Expected the number of a snapshot" in answer.text


def test_rolling_back_shows_first_what_it_would_do(
    browser: Browser, other: Browser, catalog: Database, log: Any
) -> None:
    first = publish_cu(catalog)
    page = f"/admin/chains/cu/rollback?to={first}"
    assert f'href="{page}"' in browser.get("/admin/chains/cu").text
    html = browser.get(page).text
    # 0..29 against 5..34: five come back, five end.
    assert re.search(r"<b>5</b> Beginning", html)
    assert re.search(r"<b>5</b> Ending", html)
    seen = fields_of(other.get(page).text, "/admin/chains/cu/rollback")
    answer = browser.submit(page, "/admin/chains/cu/rollback")
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin/chains/cu")
    published = snapshots.published_snapshot(catalog, Chain.CU)
    assert published is not None
    assert (published.republishes, published.version) == (first, 3)
    assert [one["who"] for one in log if one.get("action") == "rollback"] == ["min"]
    late = other.post("/admin/chains/cu/rollback", seen)
    assert late.status_code == 409
    assert snapshots.published_snapshot(catalog, Chain.CU) == published


# ---- deciding about links


def test_both_sides_of_a_link_are_shown(browser: Browser, catalog: Database) -> None:
    publish_cu(catalog)
    propose_links(catalog)
    html = browser.get("/admin/review").text
    row = link_review.open_rows(catalog)[0]
    assert row.name in html
    assert row.proposals[0].names[0] in html
    assert f"₩{row.price_krw:,}" in html
    assert f"₩{row.proposals[0].prices_krw[0]:,}" in html
    assert 'href="https://seven.example/0.jpg"' in html
    assert 'href="https://images.example/product/10.jpg"' in html
    assert "<img" not in html
    assert "90 %" in html
    assert browser.get("/admin/review?chain=seven").text.count("<article") == 2
    assert browser.get("/admin/review?chain=cu").text.count("<article") == 0


def test_accepting_moves_the_row(browser: Browser, catalog: Database, log: Any) -> None:
    publish_cu(catalog)
    first, second = propose_links(catalog)
    before = link_review.open_rows(catalog)[0]
    answer = browser.submit(
        "/admin/review?chain=seven", "/admin/review", proposal=str(first), decision="accept"
    )
    assert answer.headers["location"] == "/admin/review?chain=seven"
    from sqlalchemy import select

    from promolens_catalog.schema import link_candidate, promotion

    with catalog.read() as connection:
        decided = connection.execute(
            select(link_candidate).where(link_candidate.c.id == first)
        ).one()
        live = connection.execute(
            select(promotion).where(
                promotion.c.offer_key == before.offer_key, promotion.c.until_version.is_(None)
            )
        ).one()
    assert (decided.state, decided.decided_by) == ("accepted", "admin:min")
    assert live.item_id == before.proposals[0].item_id
    assert "Rows moved: 1" in browser.get("/admin/review").text
    answer = browser.submit(
        "/admin/review", "/admin/review", proposal=str(second), decision="reject"
    )
    assert answer.status_code == 303
    assert link_review.count_open(catalog) == 0
    assert "Nothing is to be reviewed." in browser.get("/admin/review").text
    assert [one["action"] for one in log if "action" in one] == ["link-accepted", "link-rejected"]


def test_the_second_of_two_reviewers_is_told(
    browser: Browser, other: Browser, catalog: Database
) -> None:
    publish_cu(catalog)
    first, _ = propose_links(catalog)
    seen = fields_of(other.get("/admin/review").text, "/admin/review")
    browser.submit("/admin/review", "/admin/review", proposal=str(first), decision="accept")
    answer = other.post("/admin/review", seen | {"decision": "reject"})
    assert answer.status_code == 409
    assert "Somebody was faster" in answer.text
    assert 'href="/admin/review"' in answer.text


@pytest.mark.parametrize(
    "fields",
    [
        {"proposal": "1", "decision": "maybe"},
        {"proposal": "1"},
        {"proposal": "x", "decision": "accept"},
        {"proposal": "999", "decision": "accept"},
        {"proposal": "1 OR 1=1", "decision": "accept"},
        {"decision": "accept"},
    ],
)
def test_forms_with_nonsense_decide_nothing(
    browser: Browser, catalog: Database, fields: dict[str, str]
) -> None:
    publish_cu(catalog)
    propose_links(catalog)
    token = fields_of(browser.get("/admin").text, "/admin/logout")["form"]
    answer = browser.post("/admin/review", {"form": token} | fields)
    assert answer.status_code in (404, 409, 422)
    assert "text/html" in answer.headers["content-type"]
    assert link_review.count_open(catalog) == 2


# ---- bundles


def test_a_rollout_is_steered_and_stopped(
    browser: Browser, other: Browser, store: ArtefactStore, publish: Publish, log: Any
) -> None:
    publish(1)
    publish(2, percent=10)
    seen = fields_of(other.get("/admin/bundles").text, "/admin/bundles/stable/share")
    answer = browser.submit("/admin/bundles", "/admin/bundles/stable/share", percent="40")
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin/bundles")
    state = store.channel("stable")
    assert (state.percent, state.deeds[-1].by) == (40, "admin:min")
    assert "stable: 40 % now." in browser.get("/admin/bundles").text
    late = other.post("/admin/bundles/stable/share", seen | {"percent": "100"})
    assert late.status_code == 409
    assert store.channel("stable").percent == 40
    browser.submit("/admin/bundles", "/admin/bundles/stable/rollback")
    stopped = store.channel("stable")
    assert stopped.candidate is None
    assert stopped.current is not None
    assert stopped.current.version == 1
    actions = [one["action"] for one in log if "action" in one]
    assert actions == ["bundle-rollout", "bundle-rollback"]


@pytest.mark.parametrize("percent", ["101", "-1", "", "ten", "1e1", "９"])
def test_a_share_is_0_to_100(
    browser: Browser, store: ArtefactStore, publish: Publish, percent: str
) -> None:
    publish(1, percent=10)
    answer = browser.submit("/admin/bundles", "/admin/bundles/stable/share", percent=percent)
    assert answer.status_code == 422
    assert "Nothing has changed." in answer.text
    assert store.channel("stable").percent == 10


def test_going_back_to_the_release_before(
    browser: Browser, store: ArtefactStore, publish: Publish
) -> None:
    publish(1)
    publish(2)
    html = browser.get("/admin/bundles").text
    assert "Version 1 is offered again." in html
    browser.submit("/admin/bundles", "/admin/bundles/stable/rollback")
    assert store.channel("stable").current.version == 1  # type: ignore[union-attr]
    html = browser.get("/admin/bundles").text
    assert "There is nothing to go back to." in html
    back = store.change_channel("stable", lambda now: channels.publish(
        now, store.release(store.releases()[0].id), 100, WHEN, "min"))  # fmt: skip
    assert back.current.version == 2  # type: ignore[union-attr]


# ---- galleries


@pytest.fixture
def galleries(
    tmp_path: Path, tiny_model_bytes: bytes, tiny_manifest_template: Manifest, keys: Any
) -> ArtefactStore:
    """A store in which gallery 1 is offered to all phones and gallery 2 to a tenth."""
    key = generate_key()
    manifest = replace(tiny_manifest_template, delegated_keys={"gallery": key.public})
    bundle = write_bundle(tmp_path / "with-key", manifest, tiny_model_bytes, keys.own)
    stores = [ArtefactStore(tmp_path / "store", kind) for kind in (GALLERIES, BUNDLES)]
    publish_bundle(stores[1], bundle, keys.own.public, Order("stable", 100, "min", False), WHEN)
    described = Manifest.from_bytes((bundle / "manifest.json").read_bytes())
    for version, percent in ((1, 100), (2, 10)):
        files = gallery_bytes(np.random.default_rng(version).normal(size=(5, 8)))
        made = write_gallery(tmp_path / f"g{version}", described, files, key, version=version)
        order = Order("stable", percent, "min", False)
        publish_gallery(stores[0], stores[1], made, keys.own.public, order, WHEN)
    return stores[0]


def test_a_gallerys_rollout_is_steered_stopped_and_taken_back(
    browser: Browser, other: Browser, galleries: ArtefactStore, log: Any
) -> None:
    assert "Galleries being rolled out: 1" in browser.get("/admin").text
    page = "/admin/galleries"
    seen = fields_of(other.get(page).text, f"{page}/stable/share")
    answer = browser.submit(page, f"{page}/stable/share", percent="40")
    assert (answer.status_code, answer.headers["location"]) == (303, page)
    state = galleries.channel("stable")
    assert (state.percent, state.deeds[-1].by) == (40, "admin:min")
    assert "stable: 40 % now." in browser.get(page).text
    assert other.post(f"{page}/stable/share", seen | {"percent": "100"}).status_code == 409
    assert browser.submit(page, f"{page}/stable/share", percent="101").status_code == 422
    assert browser.submit(page, f"{page}/stable/rollback").status_code == 303
    stopped = galleries.channel("stable")
    assert (stopped.candidate, stopped.current.version) == (None, 1)  # type: ignore[union-attr]
    assert [one["action"] for one in log if "action" in one] == [
        "gallery-rollout", "gallery-rollback",
    ]  # fmt: skip


def test_the_page_of_galleries_names_the_model_that_each_needs(
    browser: Browser, galleries: ArtefactStore
) -> None:
    newest = galleries.releases()[0]
    assert newest.model_sha256 is not None
    html = browser.get("/admin/galleries?lang=en").text
    assert f"<code>{newest.model_sha256[:12]}</code>" in html
    assert f"/v1/galleries/files/{newest.id}/manifest.json" in html
    assert "Model needed" in html
    assert "/v1/bundles/files" not in html, "bundles have a page of their own"
    assert 'aria-current="page">갤러리' in browser.get("/admin/galleries?lang=ko").text
    assert newest.id[:12] not in browser.get("/admin/bundles").text


# ---- trouble


@contextlib.contextmanager
def _locked_by_another(path: Path, seconds: float | None = None) -> Iterator[None]:
    """Hold the write lock of a catalog: as long as the block, or for some seconds from now on."""
    writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    writer.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(seconds or 3600, lambda: writer.execute("ROLLBACK"))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        writer.close()


def _held_in(path: Path, template: Path, wait_s: float) -> tuple[Database, int]:
    path.write_bytes(template.read_bytes())
    db = open_database(str(path), wait_s=wait_s)
    return db, hold_cu(db)


def _services_on(db: Database, **changes: Any) -> Services:
    """Services on an opened catalog, for its own waiting time."""
    config = config_for(str(db.path), admin_token=TOKENS, **changes)
    opened = open_services(config, clock=lambda: NOW)
    return replace(opened, catalog=db, primary=db)


def test_a_locked_catalog_is_a_clear_page(tmp_path: Path, sqlite_template: Path) -> None:
    path = tmp_path / "locked.db"
    db, number = _held_in(path, sqlite_template, wait_s=0.2)
    browser = new_browser(create_app(_services_on(db)))
    browser.log_in()
    page = f"/admin/snapshots/{number}"
    fields = fields_of(browser.get(page).text, f"{page}/approve")
    with _locked_by_another(path):
        answer = browser.post(f"{page}/approve", fields)
    assert answer.status_code == 503
    assert "does not answer" in answer.text
    assert snapshots.snapshots(db)[0].state == "held"
    assert browser.post(f"{page}/approve", fields).status_code == 303


def test_a_decision_may_take_longer_than_a_request_of_a_phone(
    tmp_path: Path, sqlite_template: Path
) -> None:
    path = tmp_path / "slow.db"
    db, number = _held_in(path, sqlite_template, wait_s=60)
    app = create_app(_services_on(db, limits=LimitsConfig(request_s=1.5)))
    with TestClient(app, raise_server_exceptions=False) as client:
        browser = Browser(client)
        browser.log_in()
        page = f"/admin/snapshots/{number}"
        fields = fields_of(browser.get(page).text, f"{page}/approve")
        with _locked_by_another(path, seconds=5):
            answer = browser.post(f"{page}/approve", fields)
    assert answer.status_code == 303
