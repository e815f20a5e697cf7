"""Publishing: whole lists, in one step, under versions that only rise."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from catalog_support import HOUR, NOW, make_offer, make_offers, stage_crawl
from promolens_catalog import changes, items, publishing, snapshots, staging
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database, now_version, open_database
from promolens_catalog.kinds import Kind
from promolens_catalog.links import Link, LinkCandidate
from promolens_catalog.maintenance import integrity_check
from promolens_catalog.offers import Offer
from promolens_catalog.publishing import Publication
from promolens_catalog.rows import offer_of
from promolens_catalog.schema import alias, item, item_key, link_candidate, promotion
from promolens_catalog.search import search
from promolens_catalog.staging import AnomalyRow, StagedPage
from promolens_runtime.errors import InputError

FORK = multiprocessing.get_context("fork")
DAY = timedelta(days=1)


def publish(db: Database, offers: Iterable[Offer], now: datetime, **options: Any) -> Publication:
    crawl_id = stage_crawl(db, offers, now, chain=options.pop("chain", Chain.CU))
    return publishing.publish(db, crawl_id, now, **options)


def live(db: Database, chain: Chain = Chain.CU) -> list[Offer]:
    query = select(promotion).where(promotion.c.chain == str(chain), snapshots.live_at())
    with db.read() as connection:
        return [offer_of(chain, row) for row in connection.execute(query).mappings()]


def rows(db: Database) -> list[dict[str, Any]]:
    with db.read() as connection:
        query = select(promotion).order_by(promotion.c.id)
        return [dict(row) for row in connection.execute(query).mappings()]


def table(db: Database, wanted: Any) -> list[dict[str, Any]]:
    with db.read() as connection:
        return [dict(row) for row in connection.execute(select(wanted)).mappings()]


def test_all_rows_of_a_crawl_are_live_exactly_once(database: Database) -> None:
    offers = make_offers(range(203))
    done = publish(database, offers, NOW)
    assert done == Publication(snapshot_id=1, version=1, added=203, ended=0, unchanged=0)
    assert sorted(map(repr, live(database))) == sorted(map(repr, offers))
    assert integrity_check(database) == []


def test_equal_rows_of_several_pages_are_one_promotion(database: Database) -> None:
    offers = make_offers(range(30))
    done = publish(database, [*offers, *offers[10:20], offers[0]], NOW)
    assert done.added == 30
    assert sorted(map(repr, live(database))) == sorted(map(repr, offers))
    (snapshot,) = snapshots.snapshots(database)
    assert snapshot.row_count == 30
    assert snapshot.by_kind == {"1+1": 15, "2+1": 15}
    assert snapshot.by_category == {"": 10, "과자": 10, "음료": 10}


def test_the_same_list_again_changes_only_when_rows_were_seen(database: Database) -> None:
    offers = make_offers(range(20))
    publish(database, offers, NOW)
    before = rows(database)
    done = publish(database, reversed(offers), NOW + DAY)
    assert done == Publication(snapshot_id=2, version=2, added=0, ended=0, unchanged=20)
    assert rows(database) == [row | {"last_seen": NOW + DAY} for row in before]
    assert changes.changes_since(database, 1).changes == ()
    assert {row["last_seen"] for row in table(database, alias)} == {NOW + DAY}
    assert {row["first_seen"] for row in table(database, alias)} == {NOW}


def test_a_new_list_ends_begins_and_keeps(database: Database) -> None:
    publish(database, make_offers(range(10)), NOW)
    dearer = make_offer(5, price_krw=9_900)
    offers = [*make_offers(range(3, 5)), dearer, *make_offers(range(6, 12))]
    done = publish(database, offers, NOW + DAY)
    assert (done.added, done.ended, done.unchanged) == (3, 4, 6)
    assert sorted(map(repr, live(database))) == sorted(map(repr, offers))

    ended = [row for row in rows(database) if row["until_version"] is not None]
    assert [row["site_id"] for row in ended] == ["17000", "17001", "17002", "17005"]
    assert {(row["from_version"], row["until_version"]) for row in ended} == {(1, 2)}
    assert {row["last_seen"] for row in ended} == {NOW}
    page = changes.changes_since(database, 1)
    deleted = {c.entity_id for c in page.changes if c.op == "delete"}
    assert deleted == {str(row["id"]) for row in ended}
    begun = {c.entity_id for c in page.changes if c.entity == "promotion" and c.op == "upsert"}
    assert begun == {str(row["id"]) for row in rows(database) if row["from_version"] == 2}


def test_publishing_cleans_staging_and_keeps_anomalies(database: Database) -> None:
    crawl_id = stage_crawl(database, make_offers(range(3)))
    staging.add_anomalies(database, crawl_id, [AnomalyRow("row-repeated", "twice")])
    staging.finish_crawl(database, crawl_id, "staged", "", NOW + HOUR, requests=1)
    publishing.publish(database, crawl_id, NOW + 2 * HOUR)
    assert staging.staged_pages(database, crawl_id) == []
    assert [row.code for row in staging.anomalies(database, crawl_id)] == ["row-repeated"]
    record = staging.crawl_record(database, crawl_id)
    assert (record.state, record.finished_at) == ("published", NOW + HOUR)
    (snapshot,) = snapshots.snapshots(database)
    assert (snapshot.crawled_at, snapshot.decided_at) == (NOW + HOUR, NOW + 2 * HOUR)


def test_chains_share_versions_and_nothing_else(database: Database) -> None:
    ours = make_offers(range(5))
    theirs = make_offers(range(3, 8), chain=Chain.GS25)
    assert publish(database, ours, NOW).version == 1
    assert publish(database, theirs, NOW, chain=Chain.GS25).version == 2
    assert publish(database, ours[:2], NOW + DAY).version == 3
    assert sorted(map(repr, live(database, Chain.GS25))) == sorted(map(repr, theirs))
    assert len(live(database)) == 2


def test_rows_of_one_barcode_are_one_item_with_all_its_names(database: Database) -> None:
    publish(database, [make_offer(1, name="달빛)보리과")], NOW)
    publish(
        database, [make_offer(1, name="달빛)보리과자101g", chain=Chain.GS25)], NOW, chain=Chain.GS25
    )
    (thing,) = table(database, item)
    assert thing["canonical_name"] == "달빛)보리과자101g"
    assert (thing["size_amount"], thing["size_unit"], thing["maker"]) == (101.0, "g", "달빛")
    assert {(row["chain"], row["name"]) for row in table(database, alias)} == {
        ("cu", "달빛)보리과"),
        ("gs25", "달빛)보리과자101g"),
    }
    assert {row["item_id"] for row in rows(database)} == {thing["id"]}
    assert {row["link_method"] for row in rows(database)} == {"barcode"}
    assert [found.item_id for found in search(database, "보리과자")] == [thing["id"]]
    # Its new name is a change that copies must hear of.
    named = [c for c in changes.changes_since(database, 1).changes if c.entity == "item"]
    assert [c.data["canonical_name"] for c in named if c.data] == ["달빛)보리과자101g"]


def test_rows_without_barcode_are_items_of_their_own(database: Database) -> None:
    by_site = make_offer(1, barcode=None)
    by_name = make_offer(2, barcode=None, site_id=None)
    twin = replace(by_site, chain=Chain.GS25)
    publish(database, [by_site, by_name, make_offer(3)], NOW)
    publish(database, [twin], NOW, chain=Chain.GS25)
    assert {(row["kind"], row["value"], row["method"]) for row in table(database, item_key)} == {
        ("offer", "cu:site:17001", "own"),
        ("offer", f"cu:name:{by_name.name}", "own"),
        ("offer", "gs25:site:17001", "own"),
        ("barcode", make_offer(3).barcode, "exact"),
    }
    # The next month's row of the same number is the same item.
    publish(database, [replace(by_site, price_krw=5_000)], NOW + DAY)
    assert len(table(database, item)) == 4


def test_a_linker_ties_rows_without_barcode_or_leaves_them_to_a_person(database: Database) -> None:
    publish(database, make_offers(range(3), chain=Chain.GS25), NOW, chain=Chain.GS25)
    known = {row["value"]: row["item_id"] for row in table(database, item_key)}
    sure, doubtful = known[make_offer(0).barcode or ""], known[make_offer(1).barcode or ""]
    asked: list[list[str]] = []

    def linker(connection: Connection, offers: Sequence[Offer]) -> list[Link]:
        asked.append([offer.site_id or "" for offer in offers])
        # Items with barcodes of the same publication are there already.
        assert connection.execute(select(func.count()).select_from(item)).scalar() == 4
        answers = {
            "17010": Link(sure, "name-price", 0.93),
            "17011": Link(None, "name-price", 0.7, (LinkCandidate(doubtful, 0.7),)),
            "17012": Link(None, "name-price"),
        }
        return [answers[offer.site_id or ""] for offer in offers]

    ours = [make_offer(number, barcode=None) for number in (10, 11, 12)]
    publish(database, [*ours, make_offer(13)], NOW, linker=linker)
    assert asked == [["17010", "17011", "17012"]]
    linked = {row["site_id"]: row for row in rows(database) if row["chain"] == "cu"}
    assert (linked["17010"]["item_id"], linked["17010"]["link_method"]) == (sure, "name-price")
    assert linked["17010"]["link_score"] == 0.93
    for number in ("17011", "17012"):
        assert linked[number]["item_id"] not in known.values()
        assert linked[number]["link_method"] == "own"
    (waiting,) = table(database, link_candidate)
    assert (waiting["offer_key"], waiting["item_id"]) == ("site:17011", doubtful)
    assert (waiting["state"], waiting["score"], waiting["chain"]) == ("open", 0.7, "cu")
    # The name that the linked row has is one of the item's from now on.
    assert ("cu", ours[0].name) in {
        (row["chain"], row["name"]) for row in table(database, alias) if row["item_id"] == sure
    }


def test_what_a_person_decided_is_not_asked_again(database: Database) -> None:
    publish(database, make_offers(range(2), chain=Chain.GS25), NOW, chain=Chain.GS25)
    chosen = table(database, item)[1]["id"]
    with database.write() as connection:
        items.add_key(connection, chosen, items.ItemKey("offer", "cu:site:17010"), "review")

    def linker(_connection: Connection, offers: Sequence[Offer]) -> list[Link]:
        assert [offer.site_id for offer in offers] == ["17011"]
        return [Link(None, "name-price", 0.7, (LinkCandidate(chosen, 0.7),))]

    for month, price in ((NOW, 1_000), (NOW + DAY, 2_000)):
        ours = [make_offer(n, barcode=None, price_krw=price) for n in (10, 11)]
        publish(database, ours, month, linker=linker)
        newest = {row["site_id"]: row for row in rows(database) if row["price_krw"] == price}
        assert newest["17010"]["item_id"] == chosen
        assert newest["17010"]["link_method"] == "review"
    (waiting,) = table(database, link_candidate)
    assert waiting["price_krw"] == 2_000, "an open question shows the newest price"


def test_an_empty_crawl_never_ends_what_is_live(database: Database) -> None:
    publish(database, make_offers(range(5)), NOW)
    crawl_id = stage_crawl(database, [], NOW + DAY)
    with pytest.raises(InputError, match="Expected rows to publish"):
        publishing.publish(database, crawl_id, NOW + DAY)
    assert len(live(database)) == 5
    held = publishing.hold(database, crawl_id, ["count-drop: 5 to 0"], NOW + DAY)
    with pytest.raises(InputError, match="Expected rows to publish"):
        publishing.approve(database, held, NOW + DAY)


def test_a_crawl_is_published_once(database: Database) -> None:
    crawl_id = stage_crawl(database, make_offers(range(5)))
    publishing.publish(database, crawl_id, NOW)
    with pytest.raises(InputError, match="which is published"):
        publishing.publish(database, crawl_id, NOW)
    with pytest.raises(InputError, match="which is published"):
        publishing.hold(database, crawl_id, ["late doubt"], NOW)
    with pytest.raises(InputError, match="which is none"):
        publishing.publish(database, 4711, NOW)
    with database.read() as connection:
        assert now_version(connection) == 1


def test_an_older_crawl_cannot_replace_a_newer_one(database: Database) -> None:
    slow = stage_crawl(database, make_offers(range(9)), NOW)
    quick = stage_crawl(database, make_offers(range(5)), NOW + HOUR)
    publishing.publish(database, quick, NOW + 2 * HOUR)
    with pytest.raises(InputError, match="began after the published one"):
        publishing.publish(database, slow, NOW + 3 * HOUR)
    last_month = stage_crawl(database, make_offers(range(9)), NOW + DAY, month="2026-01")
    with pytest.raises(InputError, match="of 2026-01"):
        publishing.publish(database, last_month, NOW + DAY)
    assert len(live(database)) == 5


def test_what_was_held_keeps_the_last_good_list_live(database: Database) -> None:
    publish(database, make_offers(range(10)), NOW)
    crawl_id = stage_crawl(database, make_offers(range(4)), NOW + DAY)
    held = publishing.hold(database, crawl_id, ["count-drop: 10 to 4", "ask a person"], NOW + DAY)
    assert len(live(database)) == 10
    with database.read() as connection:
        assert now_version(connection) == 1
    (waiting,) = snapshots.held_snapshots(database)
    assert (waiting.id, waiting.state, waiting.version) == (held, "held", None)
    assert waiting.reason == "count-drop: 10 to 4\nask a person"
    assert (waiting.row_count, waiting.by_kind) == (4, {"1+1": 2, "2+1": 2})
    assert set(snapshots.offers_of(database, held)) == set(make_offers(range(4)))
    assert staging.crawl_record(database, crawl_id).state == "held"
    assert integrity_check(database) == []

    done = publishing.approve(database, held, NOW + 2 * DAY)
    assert done == Publication(held, version=2, added=0, ended=6, unchanged=4)
    assert sorted(map(repr, live(database))) == sorted(map(repr, make_offers(range(4))))
    newest, oldest = snapshots.snapshots(database)
    assert (newest.id, newest.state, newest.version) == (held, "published", 2)
    assert (newest.crawled_at, newest.decided_at) == (NOW + DAY, NOW + 2 * DAY)
    assert oldest.state == "superseded"
    assert staging.staged_pages(database, crawl_id) == []
    with pytest.raises(InputError, match="which is published"):
        publishing.approve(database, held, NOW)
    assert integrity_check(database) == []


def test_a_rejected_list_is_thrown_away_with_its_reasons_kept(database: Database) -> None:
    publish(database, make_offers(range(10)), NOW)
    crawl_id = stage_crawl(database, make_offers(range(4)), NOW + DAY)
    held = publishing.hold(database, crawl_id, ["count-drop: 10 to 4"], NOW + DAY)
    publishing.reject(database, held, NOW + DAY, "the site was down")
    assert snapshots.held_snapshots(database) == []
    rejected = snapshots.snapshots(database)[0]
    assert (rejected.state, rejected.reason) == (
        "rejected",
        "count-drop: 10 to 4\nthe site was down",
    )
    assert staging.staged_pages(database, crawl_id) == []
    assert staging.crawl_record(database, crawl_id).state == "failed"
    assert len(live(database)) == 10
    with pytest.raises(InputError, match="which is rejected"):
        publishing.approve(database, held, NOW)
    with pytest.raises(InputError, match="whose rows are gone"):
        snapshots.offers_of(database, held)
    assert integrity_check(database) == []


def test_a_good_crawl_settles_what_was_held_before_it(database: Database) -> None:
    publish(database, make_offers(range(10)), NOW)
    crawl_id = stage_crawl(database, make_offers(range(4)), NOW + DAY)
    held = publishing.hold(database, crawl_id, ["count-drop"], NOW + DAY)
    forgotten = stage_crawl(database, make_offers(range(2)), NOW + DAY)
    staging.finish_crawl(database, forgotten, "staged", "", NOW + DAY)
    publish(database, make_offers(range(11)), NOW + 2 * DAY)
    assert snapshots.held_snapshots(database) == []
    with pytest.raises(InputError, match="which is superseded"):
        publishing.approve(database, held, NOW)
    assert staging.staged_pages(database, crawl_id) == []
    record = staging.crawl_record(database, forgotten)
    assert (record.state, record.reason) == ("failed", "superseded by crawl 4")
    assert integrity_check(database) == []


def test_rolling_back_brings_old_rows_under_a_new_version(database: Database) -> None:
    first, second, third = range(10), range(5, 15), range(10, 20)
    for day, numbers in enumerate((first, second, third)):
        publish(database, make_offers(numbers), NOW + day * DAY)
    before = {row["id"]: row for row in rows(database)}

    back = publishing.rollback(database, Chain.CU, NOW + 3 * DAY)
    assert back == Publication(snapshot_id=4, version=4, added=5, ended=5, unchanged=5)
    assert set(live(database)) == set(make_offers(second))
    assert integrity_check(database) == []
    # Rows that had ended stay ended: what lives again is new, with the item and times it had.
    again = [row for row in rows(database) if row["id"] not in before]
    assert {row["from_version"] for row in again} == {4}
    assert {row["from_snapshot_id"] for row in again} == {4}
    for row in again:
        old = next(o for o in before.values() if o["content_hash"] == row["content_hash"])
        for column in ("item_id", "link_method", "first_seen", "last_seen", "barcode", "name"):
            assert row[column] == old[column]
    states = [(s.id, s.state, s.republishes) for s in snapshots.snapshots(database)]
    assert states == [
        (4, "published", 2),
        (3, "rejected", None),
        (2, "superseded", None),
        (1, "superseded", None),
    ]
    assert snapshots.snapshots(database)[1].reason == "rolled back to snapshot 2"
    newest = snapshots.snapshots(database)[0]
    assert (newest.row_count, newest.crawled_at, newest.crawl_id) == (10, NOW + DAY, None)

    # Once more: one further back, and no further.
    assert publishing.rollback(database, Chain.CU, NOW + 3 * DAY).version == 5
    assert set(live(database)) == set(make_offers(first))
    with pytest.raises(InputError, match="earlier published snapshot of cu"):
        publishing.rollback(database, Chain.CU, NOW + 3 * DAY)
    # And forward again, by name.
    publishing.rollback(database, Chain.CU, NOW + 3 * DAY, to_snapshot_id=3)
    assert set(live(database)) == set(make_offers(third))
    assert integrity_check(database) == []
    # A crawl after all that is published as ever.
    assert publish(database, make_offers(range(7)), NOW + 4 * DAY).version == 7
    assert publishing.rollback(database, Chain.CU, NOW + 4 * DAY).version == 8
    assert set(live(database)) == set(make_offers(third))


def test_only_a_chains_own_published_snapshots_can_be_rolled_back_to(database: Database) -> None:
    with pytest.raises(InputError, match="Received none"):
        publishing.rollback(database, Chain.CU, NOW)
    publish(database, make_offers(range(3)), NOW)
    with pytest.raises(InputError, match="earlier published snapshot"):
        publishing.rollback(database, Chain.CU, NOW)
    theirs = publish(database, make_offers(range(3), chain=Chain.GS25), NOW, chain=Chain.GS25)
    held = publishing.hold(database, stage_crawl(database, make_offers(range(2)), NOW), [], NOW)
    for number, said in ((theirs.snapshot_id, "of gs25"), (held, "held"), (99, "which is none")):
        with pytest.raises(InputError, match=said):
            publishing.rollback(database, Chain.CU, NOW, number)
    assert set(live(database)) == set(make_offers(range(3)))


def test_snapshots_are_compared_by_key(database: Database) -> None:
    old = make_offers(range(6))
    dearer, turned = make_offer(2, price_krw=9_900), make_offer(3, kind=Kind.THREE_PLUS_ONE)
    new = [*old[:2], dearer, turned, make_offer(7), make_offer(8, barcode=None)]
    first = publish(database, old, NOW).snapshot_id
    second = publish(database, new, NOW + DAY).snapshot_id
    found = snapshots.diff(database, Chain.CU, first, second)
    assert set(found.added) == {make_offer(7), make_offer(8, barcode=None)}
    assert set(found.ended) == {make_offer(4), make_offer(5)}
    assert set(found.changed) == {(make_offer(2), dearer), (make_offer(3), turned)}
    assert snapshots.diff(database, Chain.CU, first, first) == snapshots.Diff((), (), ())
    backwards = snapshots.diff(database, Chain.CU, second, first)
    assert (set(backwards.added), set(backwards.ended)) == (set(found.ended), set(found.added))
    held = publishing.hold(
        database, stage_crawl(database, make_offers(range(1, 6)), NOW + DAY), [], NOW + DAY
    )
    assert len(snapshots.diff(database, Chain.CU, first, held).ended) == 1
    with pytest.raises(InputError, match="Expected snapshots of gs25"):
        snapshots.diff(database, Chain.GS25, first, second)


def test_several_rows_of_one_key_are_paired_by_kind_first() -> None:
    single, double = make_offer(1, kind=Kind.ONE_PLUS_ONE), make_offer(1, kind=Kind.TWO_PLUS_ONE)
    dearer = replace(double, price_krw=9_000)
    found = snapshots.diff_offers([single, double], [dearer])
    assert found == snapshots.Diff((), (single,), ((double, dearer),))


def test_sources_remember_since_when_they_are_as_they_are(database: Database) -> None:
    def state() -> snapshots.SourceState:
        return next(s for s in snapshots.sources(database) if s.chain is Chain.GS25)

    assert state() == snapshots.SourceState(Chain.GS25, "never", None, "", None)
    assert [s.chain for s in snapshots.sources(database)] == list(Chain)
    ours = make_offers(range(3), chain=Chain.GS25)
    publish(database, ours, NOW, chain=Chain.GS25)
    assert state() == snapshots.SourceState(Chain.GS25, "ok", NOW, "", 1)
    publish(database, ours, NOW + DAY, chain=Chain.GS25)
    assert state() == snapshots.SourceState(Chain.GS25, "ok", NOW, "", 2)

    publishing.mark_source(database, Chain.GS25, "stale", NOW + 2 * DAY, "no crawl for 2 days")
    publishing.mark_source(database, Chain.GS25, "stale", NOW + 3 * DAY, "no crawl for 3 days")
    stale = snapshots.SourceState(Chain.GS25, "stale", NOW + 2 * DAY, "no crawl for 3 days", 2)
    assert state() == stale
    publishing.mark_source(database, Chain.GS25, "gone", NOW + 4 * DAY, "redirect to a shell")
    gone = snapshots.SourceState(Chain.GS25, "gone", NOW + 4 * DAY, "redirect to a shell", 2)
    assert state() == gone
    assert set(live(database, Chain.GS25)) == set(ours), "the last good rows stay"

    last = changes.changes_since(database, 2)
    assert [(c.entity, c.entity_id, c.version, c.op) for c in last.changes] == [
        ("source", "gs25", 5, "upsert")
    ]
    assert last.changes[0].data == {
        "chain": "gs25",
        "state": "gone",
        "since": NOW + 4 * DAY,
        "reason": "redirect to a shell",
    }
    publishing.mark_source(database, Chain.GS25, "gone", NOW + 5 * DAY, "redirect to a shell")
    assert changes.catalog_versions(database) == (5, 0), "nothing new, nothing told"
    publish(database, ours[:2], NOW + 6 * DAY, chain=Chain.GS25)
    assert state() == snapshots.SourceState(Chain.GS25, "ok", NOW + 6 * DAY, "", 3)
    with pytest.raises(InputError, match="ok, stale or gone"):
        publishing.mark_source(database, Chain.CU, "never", NOW, "")


def test_a_source_that_never_published_can_be_gone(database: Database) -> None:
    publishing.mark_source(database, Chain.MINISTOP, "gone", NOW, "closed in 2024")
    state = next(s for s in snapshots.sources(database) if s.chain is Chain.MINISTOP)
    assert (state.state, state.since, state.last_snapshot_id) == ("gone", NOW, None)


def test_a_reader_sees_one_version_while_another_process_publishes(
    database: Database, database_url: str
) -> None:
    publish(database, make_offers(range(5)), NOW)
    next_crawl = stage_crawl(database, make_offers(range(3, 9)), NOW + DAY)
    count = select(func.count()).select_from(promotion).where(snapshots.live_at())
    with database.read() as connection:
        assert now_version(connection) == 1
        child = FORK.Process(target=_publish_in_child, args=(database_url, next_crawl, None, None))
        child.start()
        child.join(60)
        assert child.exitcode == 0
        assert now_version(connection) == 1
        assert connection.execute(count).scalar() == 5
    with database.read() as connection:
        assert now_version(connection) == 2
        assert connection.execute(count).scalar() == 6


def _publish_in_child(url: str, crawl_id: int, gate: Any, results: Any) -> None:
    db = open_database(url)
    if gate is not None:
        gate.wait()
    try:
        said = str(publishing.publish(db, crawl_id, NOW + DAY).version)
    except InputError as error:
        said = str(error)
    if results is not None:
        results.put(said)
    db.close()


def test_processes_that_publish_at_once_take_turns(database: Database, database_url: str) -> None:
    chains = [Chain.CU, Chain.GS25, Chain.SEVEN, Chain.CU]
    crawls = [
        stage_crawl(database, make_offers(range(n, n + 50), chain=chain), NOW, chain=chain)
        for n, chain in enumerate(chains)
    ]
    crawls.append(crawls[0])
    gate, results = FORK.Barrier(len(crawls)), FORK.Queue()
    children = [
        FORK.Process(target=_publish_in_child, args=(database_url, crawl_id, gate, results))
        for crawl_id in crawls
    ]
    for child in children:
        child.start()
    said = sorted(results.get(timeout=120) for _ in children)
    for child in children:
        child.join(30)
    assert said[:4] == ["1", "2", "3", "4"]
    # Whichever of the two came second.
    assert "which is published" in said[4]
    assert integrity_check(database) == []
    assert len(live(database, Chain.GS25)) == 50


def test_threads_share_a_database(database: Database) -> None:
    errors: list[BaseException] = []

    def work(chain: Chain) -> None:
        try:
            for day in range(3):
                offers = make_offers(range(day, day + 20), chain=chain)
                publish(database, offers, NOW + day * DAY, chain=chain)
                assert set(live(database, chain)) == set(offers)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(chain,)) for chain in list(Chain)[:3]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert changes.catalog_versions(database) == (9, 0)
    assert integrity_check(database) == []


def test_hostile_names_are_only_names(database: Database) -> None:
    names = [
        "'; DROP TABLE item; --",
        '" OR 1=1',
        "%s %(x)s {x} ?1 :x",
        "달\0빛\ud800",
        "\\",
        "🥤" * 50,
    ]
    offers = [make_offer(n, name=name, barcode=None, site_id=None) for n, name in enumerate(names)]
    crawl_id = staging.start_crawl(database, Chain.CU, "2026-02", "http", NOW)
    page = StagedPage("'--", 1, "0" * 64, len(offers), None, True, tuple(offers))
    staging.stage_page(database, crawl_id, page)
    publishing.publish(database, crawl_id, NOW)
    found = {offer.name for offer in live(database)}
    assert found == {name.replace("\0", "\ufffd").replace("\ud800", "\ufffd") for name in names}
    assert integrity_check(database) == []
