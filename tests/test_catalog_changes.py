"""The change log: a client that pages through it ends with exactly the live rows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from catalog_support import MONTH, NOW, empty_catalog, make_offer, make_offers
from promolens_catalog import changes, publishing, snapshots, staging
from promolens_catalog.chains import Chain
from promolens_catalog.changes import ChangePage, Position, TooOldError
from promolens_catalog.database import Database
from promolens_catalog.maintenance import integrity_check
from promolens_catalog.offers import Offer
from promolens_catalog.schema import item, promotion
from promolens_runtime.errors import InputError

MINUTE = timedelta(minutes=1)
CHAINS = (Chain.CU, Chain.GS25)


class Client:
    """A phone: a copy of the rows, and the place up to which it is right."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Any] = {}
        self.since = Position(0)
        self.restarts = 0

    def page(self, db: Database, limit: int) -> bool:
        """Apply one page; return whether there is more. Too old: begin anew."""
        try:
            page = changes.changes_since(db, self.since, limit)
        except TooOldError:
            self.rows, self.since = {}, Position(0)
            self.restarts += 1
            return True
        assert changes.changes_since(db, str(self.since), limit) == page, "a page repeats"
        self._check(page, limit)
        for change in page.changes:
            if change.op == "upsert":
                assert change.data is not None
                self.rows[change.entity, change.entity_id] = change.data
            else:
                assert change.data is None
                self.rows.pop((change.entity, change.entity_id), None)
        self.since = page.next_since
        return page.more

    def _check(self, page: ChangePage, limit: int) -> None:
        places = [Position(c.version, c.entity, c.entity_id) for c in page.changes]
        assert places == sorted(places)
        assert len(set(places)) == len(places) <= limit
        if not page.more:
            assert page.next_since.entity == ""
        # A second delivery of the same page, after a crash, changes nothing: upserts only replace.
        assert len({(c.entity, c.entity_id) for c in page.changes}) == len(places)


class Shop:
    """Publishes one small list after another, at times that rise."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.minutes = 0
        self.last = 0

    def publish(self, chain: Chain, variants: frozenset[tuple[int, int]]) -> None:
        self.minutes += 1
        now = NOW + self.minutes * MINUTE
        crawl_id = staging.start_crawl(self.db, chain, MONTH, "http", now)
        offers = tuple(_variant(chain, key, price) for key, price in sorted(variants))
        page = staging.StagedPage("all", 1, "0" * 64, len(offers), None, True, offers)
        staging.stage_page(self.db, crawl_id, page)
        self._rises(publishing.publish(self.db, crawl_id, now).version)

    def rollback(self, chain: Chain) -> None:
        self.minutes += 1
        try:
            done = publishing.rollback(self.db, chain, NOW + self.minutes * MINUTE)
        except InputError:
            return  # nothing to go back to
        self._rises(done.version)

    def _rises(self, version: int) -> None:
        assert version == self.last + 1
        self.last = version


def _variant(chain: Chain, key: int, price: int) -> Offer:
    """One of six things at one of three prices; every third has no barcode."""
    barcode = None if key % 3 == 0 else make_offer(key).barcode
    return make_offer(key, chain=chain, price_krw=1_000 + price, barcode=barcode)


def live_rows(db: Database) -> dict[tuple[str, str], Any]:
    rows: dict[tuple[str, str], Any] = {}
    with db.read() as connection:
        for row in connection.execute(select(promotion).where(snapshots.live_at())).mappings():
            data = {name: value for name, value in row.items() if name != "last_seen"}
            rows["promotion", str(row["id"])] = data
    return rows


LISTS = st.frozensets(st.tuples(st.integers(0, 5), st.integers(1, 3)), min_size=1, max_size=7)
CHAIN = st.sampled_from(CHAINS)
STEPS = st.one_of(
    st.tuples(st.just("publish"), CHAIN, LISTS),
    st.tuples(st.just("publish"), CHAIN, LISTS),
    st.tuples(st.just("page"), st.integers(1, 6)),
    st.tuples(st.just("page"), st.integers(1, 6)),
    st.tuples(st.just("rollback"), CHAIN),
    st.tuples(st.just("prune"), st.integers(0, 3)),
    st.tuples(st.just("mark"), CHAIN, st.sampled_from(["stale", "gone"])),
)
A, B = frozenset({(0, 1), (1, 1), (2, 1)}), frozenset({(1, 1), (2, 2), (3, 1)})


def _run(db: Database, script: list[tuple[Any, ...]], limit: int) -> Client:
    with db.write() as connection:
        empty_catalog(connection)
    shop, client = Shop(db), Client()
    for step, *arguments in script:
        if step == "publish":
            shop.publish(*arguments)
        elif step == "rollback":
            shop.rollback(*arguments)
        elif step == "page":
            client.page(db, *arguments)
        elif step == "prune":
            changes.prune(db, max(0, shop.last - arguments[0]))
        else:
            publishing.mark_source(db, *arguments, NOW, "seen by a test")
            shop.last = changes.catalog_versions(db)[0]
    for _ in range(1_000):
        if not client.page(db, limit):
            break
    return client


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=st.lists(STEPS, max_size=12), limit=st.integers(1, 9))
@example(
    script=[
        ("publish", Chain.CU, A),
        ("page", 2),
        ("publish", Chain.CU, B),
        ("page", 3),
        ("rollback", Chain.CU),
        ("prune", 0),
        ("page", 1),
    ],
    limit=1,
)
def test_whatever_happens_while_it_pages_a_client_ends_with_the_live_rows(
    database: Database, script: list[tuple[Any, ...]], limit: int
) -> None:
    client = _run(database, script, limit)
    copy = {key: row for key, row in client.rows.items() if key[0] == "promotion"}
    assert copy == live_rows(database)
    sources = {key[1]: row["state"] for key, row in client.rows.items() if key[0] == "source"}
    known = {s.chain: s.state for s in snapshots.sources(database) if s.state != "never"}
    assert sources == known
    with database.read() as connection:
        things = {str(number) for number in connection.execute(select(item.c.id)).scalars()}
    assert {key[1] for key in client.rows if key[0] == "item"} == things
    assert client.since == Position(changes.catalog_versions(database)[0])
    assert integrity_check(database) == []


def _publish(db: Database, numbers: range, minutes: int) -> None:
    shop = Shop(db)
    shop.minutes, shop.last = minutes, changes.catalog_versions(db)[0]
    shop.publish(Chain.CU, frozenset((number, 1) for number in numbers))


def test_a_client_below_the_floor_is_told_so(database: Database) -> None:
    for minutes in range(4):
        _publish(database, range(minutes, minutes + 3), minutes)
    assert changes.prune(database, 3) == 1, "the row that version 2 ended"
    assert changes.catalog_versions(database) == (4, 3)
    for since in (1, 2, "2.promotion.3", "1-2.promotion.3"):
        with pytest.raises(TooOldError) as caught:
            changes.changes_since(database, since)
        assert caught.value.floor == 3
        assert "Begin with an empty copy" in str(caught.value)
    assert changes.changes_since(database, 3).changes
    assert changes.changes_since(database, 0).next_since == Position(4)
    # The floor never sinks.
    assert changes.prune(database, 1) == 0
    assert changes.catalog_versions(database) == (4, 3)
    with pytest.raises(InputError, match="0 to 4, the newest"):
        changes.prune(database, 5)
    assert integrity_check(database) == []


def test_a_client_that_begins_below_the_floor_gets_there(database: Database) -> None:
    """Rows that have lived for long are told under their old versions."""
    for minutes in range(4):
        _publish(database, range(minutes, minutes + 3), minutes)
    changes.prune(database, 4)
    client = Client()
    assert client.page(database, 1)
    assert str(client.since).startswith("1-4.item.")
    while client.page(database, 1):
        pass
    assert client.restarts == 0
    assert {k: v for k, v in client.rows.items() if k[0] == "promotion"} == live_rows(database)


def test_a_client_that_began_before_the_floor_rose_begins_again(database: Database) -> None:
    _publish(database, range(4), 0)
    client = Client()
    client.page(database, 6)
    _publish(database, range(2, 4), 1)
    changes.prune(database, 2)
    assert client.page(database, 6)
    while client.page(database, 6):
        pass
    assert client.restarts == 1
    assert {k: v for k, v in client.rows.items() if k[0] == "promotion"} == live_rows(database)


def test_nothing_published_is_an_empty_page(database: Database) -> None:
    page = changes.changes_since(database, 0)
    assert page == ChangePage((), Position(0), more=False, catalog_id=page.catalog_id)


def test_pages_have_their_limit_and_say_whether_there_is_more(database: Database) -> None:
    _publish(database, range(1, 5), 0)
    # 4 promotions, 4 items (number 3 has one of its own), 1 source: 9 changes.
    whole = changes.changes_since(database, 0, 9)
    assert (len(whole.changes), whole.more, whole.next_since) == (9, False, Position(1))
    first = changes.changes_since(database, 0, 8)
    assert (len(first.changes), first.more) == (8, True)
    last = first.changes[-1]
    assert first.next_since == Position(1, last.entity, last.entity_id)
    rest = changes.changes_since(database, first.next_since, 8)
    assert first.changes + rest.changes == whole.changes
    assert rest.next_since == Position(1)


def test_a_change_carries_what_a_copy_needs(database: Database) -> None:
    _publish(database, range(1, 2), 0)
    by_entity = {c.entity: c for c in changes.changes_since(database, 0).changes}
    row = by_entity["promotion"].data
    assert row is not None
    offer = make_offer(1, price_krw=1_001)
    assert (row["chain"], row["name"], row["price_krw"]) == ("cu", offer.name, 1_001)
    assert (row["kind"], row["barcode"]) == ("2+1", offer.barcode)
    assert (row["valid_from"], row["valid_until"]) == (offer.valid_from, offer.valid_until)
    thing = by_entity["item"].data
    assert thing is not None
    assert row["item_id"] == thing["id"]
    assert thing["keys"] == [{"kind": "barcode", "value": offer.barcode}]
    assert "last_seen" not in row


@pytest.mark.parametrize("limit", [0, -1, 10_001])
def test_page_sizes_out_of_range_are_refused(database: Database, limit: int) -> None:
    with pytest.raises(InputError, match="1 to 10000 changes a page"):
        changes.changes_since(database, 0, limit)


@pytest.mark.parametrize(
    "since",
    [
        "",
        "x",
        "-1",
        "1-",
        "1-x",
        "1-2-3",
        "1.",
        "1.promotion",
        "1.promotion.",
        "1 ",
        "1.PROMOTION.1",
        "9" * 30,
        "1\n2",
    ],
)
def test_places_that_cannot_be_read_are_refused(database: Database, since: str) -> None:
    with pytest.raises(InputError, match="Expected a version such as 12"):
        changes.changes_since(database, since)


def test_a_place_of_another_catalog_is_refused(database: Database) -> None:
    _publish(database, range(3), 0)
    with pytest.raises(InputError, match="at most 1, the newest"):
        changes.changes_since(database, 2)
    with pytest.raises(InputError, match="at most 1, the newest"):
        changes.changes_since(database, "1-2.promotion.1")
    odd = changes.changes_since(database, "1.zebra.'; DROP TABLE change; --\ud800")
    assert odd.changes == ()


@given(
    st.integers(0, 10**15),
    st.sampled_from(["", "promotion", "item"]),
    st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=20),
    st.integers(0, 10**15),
)
def test_places_are_read_as_they_were_written(
    version: int, entity: str, number: str, begun: int
) -> None:
    place = Position(version, entity, number if entity else "", begun)
    assert Position.parse(str(place)) == place


def test_large_publications_page_through_whole(database: Database) -> None:
    from catalog_support import stage_crawl

    offers = make_offers(range(1_200))
    publishing.publish(database, stage_crawl(database, offers, NOW, page_size=400), NOW)
    client = Client()
    pages = 1
    while client.page(database, 500):
        pages += 1
    # 1,200 promotions, 1,200 items and 1 source.
    assert (len(client.rows), pages) == (2_401, 5)
    assert client.restarts == 0
