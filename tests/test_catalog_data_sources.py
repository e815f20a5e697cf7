"""A further table is a few lines of configuration: a scan joins it without any code."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_support import NOW, make_offer, stage_crawl
from promolens_catalog import changes, items
from promolens_catalog.data_declarations import (
    DataSource,
    Field,
    FieldType,
    as_table,
    read_declarations,
    read_row,
    source_of,
)
from promolens_catalog.data_sources import PROMOTIONS, drop, facts, load, sources
from promolens_catalog.database import Database
from promolens_catalog.items import BARCODE, CLASS, ItemKey, Wanted
from promolens_catalog.kinds import Kind
from promolens_catalog.publishing import publish
from promolens_catalog.records import Record, RecordFile, parse_records, read_records
from promolens_demo.catalogue import make_catalogue
from promolens_runtime.errors import InputError

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"
(NUTRITION,) = read_declarations(EXAMPLES / "nutrition.toml")
# The first product of the demo catalogue.
LEMON = ItemKey(BARCODE, make_catalogue(24)[0].barcode)
HEAD = "바코드,열량(kcal)"


def example() -> RecordFile:
    return read_records(EXAMPLES / "nutrition.csv")


def records(text: str) -> RecordFile:
    return parse_records(text.encode(), "facts.csv")


def test_the_example_is_about_every_product_of_the_demo_catalogue(database: Database) -> None:
    report = load(database, NUTRITION, example(), NOW)
    assert (report.rows, report.before, report.problems) == (24, 0, ())
    assert report.ignored_columns == ("상품명",)
    for product in make_catalogue(24):
        (fact,) = facts(database, [ItemKey(BARCODE, product.barcode)], NOW)
        (row,) = fact.rows
        assert row["serving"] == f"{product.size}{product.unit}"
        assert row["energy_kcal"] > 0
        assert row["contains_milk"] is (product.family.kind.slug in ("milk", "biscuit"))


def test_a_scan_joins_promotions_and_a_loaded_source(database: Database) -> None:
    """By any key of the thing: here a recogniser's class leads to the barcode's facts."""
    offer = make_offer(0, barcode=LEMON.value, kind=Kind.TWO_PLUS_ONE, price_krw=2500)
    publish(database, stage_crawl(database, [offer, make_offer(1)]), NOW)
    load(database, NUTRITION, example(), NOW)
    with database.write() as connection:
        item_id = items.find(connection, [LEMON])[LEMON]
        items.add_key(connection, item_id, ItemKey(CLASS, "byeolsolsaem-soda-lemon"), "import")
    item = items.by_key(database, CLASS, "byeolsolsaem-soda-lemon")
    assert item is not None
    promoted, nutrition = facts(database, item.keys, NOW)
    assert (promoted.source, nutrition.source) == (PROMOTIONS, NUTRITION)
    (row,) = promoted.rows
    assert (row["kind"], row["price_krw"], row["unit_price_krw"]) == ("2+1", 2500, 1667)
    assert list(nutrition.rows[0]) == [field.name for field in NUTRITION.fields]
    assert nutrition.key == LEMON
    # What nobody sells can still be known about.
    assert [fact.source for fact in facts(database, [LEMON], NOW)] == [PROMOTIONS, NUTRITION]
    assert [fact.source for fact in facts(database, [LEMON], NOW + timedelta(days=30))] == [
        NUTRITION
    ]
    assert facts(database, [ItemKey(BARCODE, "8801056150013"), ItemKey("x", "y")], NOW) == ()
    names = [(one.source.name, one.rows) for one in sources(database)]
    assert names == [("promotions", 2), ("nutrition", 24)]


def test_a_load_replaces_all_rows_or_none(database: Database) -> None:
    load(database, NUTRITION, records(f"{HEAD}\n96385074,1\n8801056150013,2\n"), NOW)
    load(database, NUTRITION, records(f"{HEAD}\n96385074,3\n42332619,4\n"), NOW)

    def energy(code: str) -> list[float]:
        found = facts(database, [ItemKey(BARCODE, code)], NOW)
        return [row["energy_kcal"] for fact in found for row in fact.rows]

    assert (energy("96385074"), energy("42332619"), energy("8801056150013")) == ([3], [4], [])
    for text in (f"{HEAD}\n96385074,5\n42332619,much\n", f"{HEAD}\n", f"{HEAD}\n,5\n"):
        with pytest.raises(InputError):
            load(database, NUTRITION, records(text), NOW)
    assert (energy("96385074"), energy("42332619")) == ([3], [4])
    report = load(
        database, NUTRITION, records(f"{HEAD}\n96385074,5\n42332619,much\n"), NOW, allow_bad=1
    )
    assert report.problems == ("row 3: expected number as energy_kcal, received 'much'",)
    assert (energy("96385074"), energy("42332619")) == ([5], [])


def test_a_file_with_far_fewer_rows_is_refused_unless_it_is_meant(database: Database) -> None:
    load(database, NUTRITION, example(), NOW)
    few = records(f"{HEAD}\n" + "".join(f"{p.barcode},1\n" for p in make_catalogue(24)[:11]))
    with pytest.raises(InputError, match="at least half of the 24 rows"):
        load(database, NUTRITION, few, NOW)
    assert load(database, NUTRITION, few, NOW, allow_fewer=True).rows == 11


def test_old_facts_are_marked_and_a_load_is_a_change(database: Database) -> None:
    load(database, NUTRITION, example(), NOW)
    for age, stale in ((timedelta(days=365), False), (timedelta(days=365, seconds=1), True)):
        (fact,) = facts(database, [LEMON], NOW + age)
        assert (fact.stale, fact.loaded_at) == (stale, NOW)
    page = changes.changes_since(database, 0, 10)
    assert [(one.entity, one.entity_id, one.version) for one in page.changes] == [
        ("data_source", "nutrition", 1)
    ]
    drop(database, "nutrition")
    assert facts(database, [LEMON], NOW) == ()
    with pytest.raises(InputError, match="Expected the name of a loaded"):
        drop(database, "nutrition")


def test_a_source_may_be_keyed_by_anything(database: Database) -> None:
    drawings = DataSource(
        "drawing", CLASS, (Field("sheet", FieldType.TEXT),), 30, key_column="Part No"
    )
    load(database, drawings, parse_records(b'[{"part no": 17, "sheet": "A3"}]', "d.json"), NOW)
    with database.write() as connection:
        key = ItemKey(CLASS, "17")
        items.find_or_make(connection, [Wanted(key, "valve")], NOW)
    item = items.by_key(database, CLASS, "17")
    assert item is not None
    (fact,) = facts(database, item.keys, NOW)
    assert fact.rows == ({"sheet": "A3"},)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("text", " 물 ", "물"), ("text", "a\0\ud800", "a\ufffd\ufffd"), ("text", "x" * 2001, None),
        ("text", 5, None), ("integer", "1,300", 1300), ("integer", "12.0", 12),
        ("integer", "12.5", None), ("integer", 12.0, 12), ("integer", True, None),
        ("integer", "1" * 17, None), ("integer", 2**53, None), ("number", "-1.5", -1.5),
        ("number", "1e5", None), ("number", float("nan"), None), ("number", 1e300, None),
        ("number", "١", None), ("number", 10**400, None), ("boolean", "예", True),
        ("boolean", "N", False), ("boolean", False, False), ("boolean", "maybe", None),
        ("date", "2026-02-14", "2026-02-14"), ("date", "2026-02-30", None), ("date", [], None),
    ],
)  # fmt: skip
def test_values_are_of_their_type_or_the_row_is_bad(
    kind: str, value: object, expected: object
) -> None:
    source = DataSource("s", "id", (Field("f", FieldType(kind)),), 1)
    record = Record(2, {"id": "k", "f": value})
    if expected is None:
        with pytest.raises(ValueError, match=f"expected {kind} as f, received"):
            read_row(source, record)
    else:
        key, fields = read_row(source, record)
        assert (key, fields) == ("k", {"f": expected})
        assert type(fields["f"]) is type(expected)


@given(st.dictionaries(st.sampled_from(["id", "f", "g"]), st.one_of(
    st.text(max_size=20), st.integers(), st.floats(), st.none(), st.booleans(), st.lists(st.none())
)))  # fmt: skip
def test_no_values_break_a_row(fields: dict[str, Any]) -> None:
    source = DataSource("s", "id", (Field("f", FieldType.NUMBER), Field("g", FieldType.INTEGER)), 1)
    try:
        key, found = read_row(source, Record(2, fields))
    except ValueError:
        return
    assert key
    json.dumps(found, allow_nan=False)


def test_a_declaration_comes_back_from_the_catalog_as_it_was() -> None:
    for source in (NUTRITION, PROMOTIONS):
        assert source_of(json.loads(json.dumps(as_table(source)))) == source


GOOD = """
[[data_source]]
name = "a"
key = "barcode"
fresh_for_days = 3
fields.x.type = "text"
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "a"', 'name = "A"', "small letters, digits and _"),
        ('name = "a"', 'name = "promotions"', "which is built in"),
        ('name = "a"\n', "", "Expected name in a data source"),
        ('name = "a"', "name = 5", "as str. Received int"),
        ("= 3", "= 0", "from 1 to 36500"),
        ("= 3", '= "3"', "as int. Received str"),
        ("= 3", "= 3\nfresh_for_day = 3", "Received fresh_for_day for fresh_for_days"),
        ('"text"', '"texts"', "text, integer, number, boolean, date"),
        ('"text"', '"text"\nfields.x.colunm = "y"', "Received colunm for column"),
        ('"text"', '"text"\nfields.y.type = "text"\nfields.y.column = "X"', "column of its own"),
        ('"text"', '"text"\nfields.y.type = "text"\nfields.y.column = "barcode"', "of its own"),
        ('fields.x.type = "text"', "fields = 1", "fields of a as tables"),
        ('fields.x.type = "text"', "", "Expected fields in a data source"),
        ('fields.x.type = "text"', "fields.x = 1", "Received int"),
        ("[[data_source]]", "[data_source]", "tables [[data_source]]"),
        ("[[data_source]]", "[[data_sources]]", "Received data_sources"),
        ("[[data_source]]", "[[data_source", "Expected TOML"),
        (GOOD, GOOD + GOOD, "names that differ"),
        (GOOD, "", "Received none"),
        (GOOD, "# " + "x" * 300_000, "at most 262144 bytes"),
    ],
)
def test_a_wrong_declaration_is_refused_in_one_line(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "sources.toml"
    path.write_text(GOOD, "utf-8")
    assert [source.name for source in read_declarations(path)] == ["a"]
    assert old in GOOD
    path.write_text(GOOD.replace(old, new), "utf-8")
    with pytest.raises(InputError, match=r"^Expected .*\. Received") as caught:
        read_declarations(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_columns_that_are_missing_are_named(database: Database) -> None:
    with pytest.raises(InputError, match=r"Add 열량\(kcal\), or name them"):
        load(database, NUTRITION, records("바코드,kcal\n96385074,1\n"), NOW)
