"""The quick way to look products up says the very same as the plain one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog_support import HOUR, NOW, make_offer, make_offers, stage_crawl
from promolens_catalog import items, publishing, reading
from promolens_catalog.chains import Chain
from promolens_catalog.data_declarations import DataSource, Field, FieldType
from promolens_catalog.data_sources import load
from promolens_catalog.database import Database
from promolens_catalog.items import BARCODE, CLASS, ItemKey
from promolens_catalog.kinds import Kind
from promolens_catalog.lookup import Lookup
from promolens_catalog.promotion_list import Filters
from promolens_catalog.records import Record, RecordFile
from promolens_runtime.errors import InputError


@pytest.fixture
def filled(database: Database) -> Database:
    """Two chains; CU has dropped some rows, GS25 has other names and prices."""
    for numbers, hours in ((range(12), 0), (range(4, 16), 1)):
        now = NOW + hours * HOUR
        publishing.publish(database, stage_crawl(database, make_offers(numbers), now), now)
    theirs = [
        make_offer(
            n, chain=Chain.GS25, name=f"달빛보리과자{n}번", price_krw=700 + n, kind=Kind.GIFT
        )
        for n in range(8)
    ]
    publishing.publish(database, stage_crawl(database, theirs, NOW, chain=Chain.GS25), NOW)
    with database.write() as connection:
        items.add_key(connection, 3, ItemKey(CLASS, "moon-barley"), "import")
    return database


@pytest.fixture
def lookup(filled: Database) -> Iterator[Lookup]:
    opened = Lookup(filled)
    yield opened
    opened.close()


def test_a_product_is_the_same_by_both_ways(filled: Database, lookup: Lookup) -> None:
    later = NOW + timedelta(days=10)
    for number in range(20):
        code = str(make_offer(number).barcode)
        for now in (NOW, later):
            assert lookup.by_barcode(code, now).answer == reading.by_barcode(filled, code, now)
    for item_id in range(25):
        assert lookup.by_item(item_id, NOW).answer == reading.by_item(filled, item_id, NOW)
    for key in (ItemKey(CLASS, "moon-barley"), ItemKey(CLASS, "?"), ItemKey(BARCODE, "\ud800")):
        if key.value.isprintable():
            assert lookup.by_key(key, NOW).answer == reading.by_key(filled, key, NOW)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.sampled_from(["보리", "과자3번", "달빛)보리 1번", "없는것", "3", "ㅂ", '"*" OR NEAR(']),
    chains=st.frozensets(st.sampled_from([Chain.CU, Chain.GS25, Chain.SEVEN])),
    kinds=st.frozensets(st.sampled_from([Kind.GIFT, Kind.ONE_PLUS_ONE])),
    limit=st.integers(1, 60),
    offered_only=st.booleans(),
)
def test_a_text_is_the_same_by_both_ways(
    filled: Database,
    lookup: Lookup,
    text: str,
    chains: frozenset[Chain],
    kinds: frozenset[Kind],
    limit: int,
    offered_only: bool,
) -> None:
    filters = Filters(chains=chains, kinds=kinds)
    quick = lookup.by_text(text, NOW, filters=filters, limit=limit, offered_only=offered_only)
    plain = reading.by_text(
        filled, text, NOW, filters=filters, limit=limit, offered_only=offered_only
    )
    assert quick == plain


def test_a_publication_is_seen_at_once(filled: Database, lookup: Lookup) -> None:
    code = str(make_offer(5).barcode)
    before = lookup.by_barcode(code, NOW)
    now = NOW + 2 * HOUR
    offers = make_offers(range(5, 9), price_krw=4_444)
    publishing.publish(filled, stage_crawl(filled, offers, now), now)
    after = lookup.by_barcode(code, now)
    assert after.answer.version == before.answer.version + 1
    assert 4_444 in {row.offer.price_krw for row in after.answer.promotions}
    publishing.mark_source(filled, Chain.CU, "gone", now, "a test")
    gone = lookup.by_barcode(str(make_offer(0).barcode), now)
    assert [one.state for one in gone.answer.chains if one.chain is Chain.CU] == ["gone"]


def test_facts_come_from_the_same_transaction(filled: Database, lookup: Lookup) -> None:
    fields = (Field("kcal", FieldType.NUMBER, "열량", "kcal"), Field("note", FieldType.TEXT))
    source = DataSource("nutrition", BARCODE, fields, fresh_for_days=30, title="영양 성분")
    known, unknown = str(make_offer(5).barcode), str(make_offer(999).barcode)
    rows = tuple(
        Record(n, {"barcode": code, "kcal": "120.5"}) for n, code in enumerate((known, unknown))
    )
    load(filled, source, RecordFile("n.csv", "0" * 64, "utf-8", ("barcode", "kcal"), rows), NOW)
    (fact,) = lookup.by_barcode(known, NOW).facts
    assert (fact.source.name, dict(fact.rows[0])) == ("nutrition", {"kcal": 120.5})
    assert not fact.stale
    # Of a product that no list has, what is known by its barcode.
    (other,) = lookup.by_barcode(unknown, NOW).facts
    assert other.key.value == unknown
    (old,) = lookup.by_barcode(known, NOW + timedelta(days=31, hours=12)).facts
    assert old.stale


def test_a_database_that_is_gone_is_told(lookup: Lookup, filled: Database) -> None:
    if filled.path is None:
        pytest.skip("a file that can be taken away")
    lookup.by_item(1, NOW)
    lookup.close()
    filled.path.unlink()
    with pytest.raises(InputError):
        lookup.by_item(1, NOW)
