"""The nearest stores: every engine answers as looking at each store would."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from promolens_catalog.chains import Chain
from promolens_catalog.copying import copy_catalog
from promolens_catalog.database import Database, open_database
from promolens_catalog.maintenance import integrity_check
from promolens_catalog.store_distance import boxes_around, distance_m
from promolens_catalog.store_index import place_index
from promolens_catalog.stores import _postgis_query, nearest, store_sources
from promolens_runtime.errors import InputError
from stores_support import brute_force, put, seeded_rows, store_row

TOWN = (37.5, 127.0)


def test_a_degree_of_latitude_is_111_195_metres() -> None:
    # 2 * pi * 6,371,008.8 m / 360
    assert distance_m(37, 127, 38, 127) == pytest.approx(111_195.08, abs=0.01)
    # A degree of longitude at 60 degrees north is half of one at the equator.
    assert distance_m(60, 0, 60, 0.01) == pytest.approx(111_195.08 / 2 * 0.01, rel=1e-6)
    assert distance_m(0, 0, 0, 180) == pytest.approx(math.pi * 6_371_008.8)
    assert distance_m(5, 5, 5, 5) == 0


@given(
    st.floats(-90, 90),
    st.floats(-180, 180),
    st.floats(1, 20_000),
    st.floats(0, 360),
    st.floats(0, 1),
)
def test_boxes_hold_every_point_of_the_circle(
    latitude: float, longitude: float, radius_m: float, bearing: float, part: float
) -> None:
    """A point at a bearing and a distance, by the formula of the great circle."""
    away = radius_m * part / 6_371_008.8
    here, turn = math.radians(latitude), math.radians(bearing)
    sine = math.sin(here) * math.cos(away) + math.cos(here) * math.sin(away) * math.cos(turn)
    there = math.asin(max(-1.0, min(1.0, sine)))
    east = math.atan2(
        math.sin(turn) * math.sin(away) * math.cos(here),
        math.cos(away) - math.sin(here) * math.sin(there),
    )
    point = (math.degrees(there), (longitude + math.degrees(east) + 540) % 360 - 180)
    if distance_m(latitude, longitude, *point) <= radius_m:
        boxes = boxes_around(latitude, longitude, radius_m)
        assert any(box.holds(*point) for box in boxes)


def test_every_engine_answers_as_looking_at_each_store_would(places: Database) -> None:
    rows = seeded_rows(1500)
    put(places, rows)
    asked = [
        (place, radius_m, chains, limit)
        for place in (TOWN, (37.27, 127.02), (37.52, 127.04), (36.4, 128.0), (-90.0, 0.0))
        for radius_m in (1, 137.5, 3_000, 20_000)
        for chains in ((), (Chain.CU,), (Chain.CSPACE,), (Chain.MINISTOP, Chain.EMART24))
        for limit in (3, 100)
    ]
    for place, radius_m, chains, limit in asked:
        found = nearest(places, *place, radius_m, chains=chains, limit=limit)
        stores_of = {Chain.SEVEN if chain is Chain.MINISTOP else chain for chain in chains}
        expected = brute_force(rows, place, radius_m, stores_of, limit)
        assert [one.store.source_id for one in found.stores] == expected
        assert found.covered == bool(brute_force(rows, place, 20_000, (), 1))


@settings(
    max_examples=15,
    # The rows of an example replace those of the one before it.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(
        st.tuples(st.floats(-90, 90), st.floats(-180, 180)) | st.sampled_from([TOWN, (0.0, 180.0)]),
        min_size=1,
        max_size=30,
    ),
    st.tuples(st.floats(-90, 90), st.floats(-180, 180)) | st.sampled_from([TOWN, (0.0, -179.99)]),
    st.floats(0.001, 20_000),
    st.integers(1, 100),
)
def test_places_anywhere_on_the_globe(
    places: Database,
    points: list[tuple[float, float]],
    place: tuple[float, float],
    radius_m: float,
    limit: int,
) -> None:
    points += [place, (min(place[0] + 0.01, 90), place[1])]
    rows = [store_row(n, *point, Chain.CU) for n, point in enumerate(points)]
    put(places, rows, allow_fewer=True)
    found = nearest(places, *place, radius_m, limit=limit)
    assert [one.store.source_id for one in found.stores] == brute_force(
        rows, place, radius_m, (), limit
    )


def test_each_engine_uses_the_index_it_has(
    places: Database, request: pytest.FixtureRequest
) -> None:
    report = put(places, seeded_rows(5))
    expected = request.node.callspec.params["places"]
    assert report.index is expected
    with places.read() as connection:
        assert place_index(connection) is expected


def test_postgis_can_answer_from_its_index_alone(postgis_catalog: str) -> None:
    """The words of the query are those of the index; with other words it would be of no use."""
    database = open_database(postgis_catalog)
    put(database, seeded_rows(1500), allow_fewer=True)
    values = {"latitude": TOWN[0], "longitude": TOWN[1], "radius_m": 20_000, "limit": 5}
    values |= {"slack_m": 1.0, "chain0": "cspace"}
    with database.write() as connection:
        connection.exec_driver_sql("ANALYZE store")
        # Of so few rows the planner would read all.
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        explain = text(f"EXPLAIN {_postgis_query(1).text}")
        plan = "\n".join(row[0] for row in connection.execute(explain, values))
    database.close()
    assert plan.count("ix_store_place") == 2, plan
    assert "Seq Scan" not in plan


def test_a_table_that_does_not_reach_there_says_so(places: Database) -> None:
    put(places, [store_row(1, *TOWN, Chain.CU)])
    near = nearest(places, 37.51, 127.0, 500)  # 1.1 km north of the only store
    assert (near.stores, near.covered) == ((), True)
    assert [source.name for source in near.sources] == ["test"]
    assert nearest(places, 35.0, 129.0, 20_000).covered is False


def test_a_moved_store_is_found_where_it_is_now(places: Database) -> None:
    put(places, [store_row(1, *TOWN, Chain.CU), store_row(2, 35.0, 129.0, Chain.CU)])
    put(places, [store_row(1, 35.0, 129.0, Chain.GS25), store_row(2, 35.0, 129.0, Chain.CU)])
    assert nearest(places, *TOWN, 20_000).stores == ()
    there = nearest(places, 35.0, 129.0, 10, chains=[Chain.GS25]).stores
    assert [(one.store.source_id, one.distance_m) for one in there] == [("000001", 0.0)]


def test_stores_come_along_when_a_catalog_moves(places: Database, tmp_path: object) -> None:
    rows = seeded_rows(300)
    put(places, rows)
    target = open_database(f"{tmp_path}/copy.db")
    copy_catalog(places, target)
    found = nearest(target, *TOWN, 5_000, limit=50)
    assert [one.store.source_id for one in found.stores] == brute_force(rows, TOWN, 5_000, (), 50)
    assert store_sources(target) == store_sources(places)
    assert integrity_check(target) == []
    target.close()


@pytest.mark.parametrize(
    ("place", "radius_m", "limit", "said"),
    [
        ((math.nan, 127.0), 100, 5, "latitude of -90 to 90"),
        ((91.0, 127.0), 100, 5, "latitude of -90 to 90"),
        ((37.5, math.inf), 100, 5, "longitude of -180 to 180"),
        ((37.5, -180.5), 100, 5, "longitude of -180 to 180"),
        (TOWN, 0, 5, "radius above 0"),
        (TOWN, -1, 5, "radius above 0"),
        (TOWN, 1e9, 5, "at most 20000 m"),
        (TOWN, math.nan, 5, "radius above 0"),
        (TOWN, 100, 0, "limit of 1 to 100"),
        (TOWN, 100, 101, "limit of 1 to 100"),
    ],
)
def test_a_question_out_of_range_is_refused(
    sqlite_template: object, place: tuple[float, float], radius_m: float, limit: int, said: str
) -> None:
    database = open_database(str(sqlite_template))
    with pytest.raises(InputError, match=said):
        nearest(database, *place, radius_m, limit=limit)
    database.close()
