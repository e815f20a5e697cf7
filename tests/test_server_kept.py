"""Answers that are kept between publications."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_support import HOUR, MONTH, NOW, make_offer
from promolens_catalog import publishing, staging
from promolens_catalog.calendar import korean_day
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database
from promolens_catalog.items import BARCODE, ItemKey
from promolens_catalog.kinds import Kind
from promolens_catalog.lookup import Lookup
from promolens_catalog.offers import Gift
from promolens_server.caching import json_bytes
from promolens_server.kept import Kept
from promolens_server.rapid import raw_json
from promolens_server.views import known_json

DAY = date(2026, 2, 24)


def test_bodies_of_another_version_or_day_are_forgotten() -> None:
    kept = Kept()
    kept.keep(3, DAY, "a", b"old")
    assert kept.get(3, DAY, "a") == b"old"
    assert kept.get(4, DAY, "a") is None
    assert kept.get(3, DAY + timedelta(days=1), "a") is None
    kept.keep(4, DAY, "b", b"new")
    assert kept.get(3, DAY, "a") is None
    assert kept.get(4, DAY, "a") is None


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 40)), max_size=60))
def test_never_more_bytes_than_allowed_and_the_last_one_stays(puts: list[tuple[str, int]]) -> None:
    kept = Kept(most_bytes=100)
    for key, size in puts:
        kept.keep(1, DAY, key, b"x" * size)
        assert kept.get(1, DAY, key) == b"x" * size
        held = [kept.get(1, DAY, one) for one in "abcdef"]
        assert sum(len(body) for body in held if body is not None) <= 100


def test_what_was_asked_for_last_stays_longest() -> None:
    kept = Kept(most_bytes=3)
    for key in "abc":
        kept.keep(1, DAY, key, b"x")
    assert kept.get(1, DAY, "a") == b"x"
    kept.keep(1, DAY, "d", b"x")
    assert kept.get(1, DAY, "b") is None
    assert kept.get(1, DAY, "a") == b"x"


@pytest.fixture
def offers_of_every_kind(database: Database) -> Database:
    """Two chains, every kind, gifts, ended and coming promotions, rows without a barcode."""
    kinds = list(Kind)
    gift = Gift("컵", 900, None, None)
    for chain in (Chain.CU, Chain.GS25):
        crawl = staging.start_crawl(database, chain, MONTH, "http", NOW)
        offers = tuple(
            make_offer(
                n,
                chain=chain,
                kind=kinds[n % len(kinds)],
                gift=gift if kinds[n % len(kinds)] is Kind.GIFT else None,
                price_krw=1_000 + 100 * (n % 3),
                valid_from=date(2026, 2, 1 + n % 3 * 12),
                valid_until=date(2026, 2, 14 + n % 3 * 7),
            )
            for n in range(24)
        )
        page = staging.StagedPage("all", 1, "0" * 64, 24, 24, True, offers)
        staging.stage_page(database, crawl, page, NOW)
        publishing.publish(database, crawl, NOW)
    return database


def test_bytes_straight_from_the_rows_are_those_of_the_objects(
    offers_of_every_kind: Database,
) -> None:
    lookup = Lookup(offers_of_every_kind)
    codes = [str(make_offer(n).barcode) for n in range(24)] + ["8801234567893"]
    for when in (NOW, NOW + 24 * HOUR, datetime(2026, 3, 2, tzinfo=UTC)):
        day = korean_day(when)
        for code in codes:
            slow = json_bytes(known_json(lookup.by_barcode(code, when), day))
            raw = lookup.raw_by_key(ItemKey(BARCODE, code), when)
            assert json_bytes(raw_json(raw, day)) == slow
    lookup.close()
