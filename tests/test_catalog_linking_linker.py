"""Rows without a barcode, linked as lists are published, and what people say about the rest."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, select

from catalog_support import NOW, ean13, make_offer, stage_crawl
from promolens_catalog import changes, items, publishing
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database
from promolens_catalog.link_review import accept, count_open, open_rows, reject
from promolens_catalog.linking import FORMER_NAME, NameLinker
from promolens_catalog.maintenance import integrity_check
from promolens_catalog.offers import Offer
from promolens_catalog.schema import link_candidate, promotion
from promolens_catalog.search import search
from promolens_catalog.snapshots import live_at
from promolens_cli.main import main
from promolens_runtime.errors import InputError

DAY = timedelta(days=1)
SODA, GRAPE, BISCUIT = ean13("200000000001"), ean13("200000000002"), ean13("200000000003")


def offer(chain: Chain, name: str, price_krw: int, barcode: str | None, **more: Any) -> Offer:
    number = sum(map(ord, name))
    values: dict[str, Any] = {
        "chain": chain,
        "name": name,
        "price_krw": price_krw,
        "barcode": barcode,
        "site_id": None,
        "category": None,
    }
    return make_offer(number, **values | more)


def publish(db: Database, offers: Iterable[Offer], days: int = 0) -> int:
    """Publish the list of the offers' chain and return the version."""
    rows = list(offers)
    crawl_id = stage_crawl(db, rows, NOW + days * DAY, chain=rows[0].chain)
    return publishing.publish(db, crawl_id, NOW + days * DAY, NameLinker()).version


def others(db: Database) -> None:
    """Publish what two other chains sell, with barcodes."""
    publish(
        db,
        [
            offer(Chain.CU, "달빛)보들보들딸기소다P350", 1900, SODA),
            offer(Chain.CU, "달빛)보들보들포도소다P350", 1900, GRAPE),
            offer(Chain.CU, "구름)반짝비스킷90g", 2400, BISCUIT),
        ],
    )
    publish(
        db,
        [
            offer(Chain.GS25, "달빛)보들보들딸기소다350ML", 1900, SODA),
            offer(Chain.GS25, "구름)반짝비스킷90G", 2400, BISCUIT),
        ],
    )


def live_rows(db: Database, chain: Chain = Chain.SEVEN) -> dict[str, Any]:
    """Return the live rows of a chain by name."""
    query = select(promotion).where(promotion.c.chain == str(chain), live_at())
    with db.read() as connection:
        return {row.name: row for row in connection.execute(query)}


def item_of(db: Database, barcode: str) -> int:
    found = items.by_key(db, items.BARCODE, barcode)
    assert found is not None
    return found.id


def queue(db: Database) -> list[Any]:
    with db.read() as connection:
        query = select(link_candidate).order_by(link_candidate.c.id)
        return list(connection.execute(query))


def test_a_row_without_a_barcode_finds_its_item(database: Database) -> None:
    others(database)
    publish(
        database,
        [
            offer(Chain.SEVEN, "달빛)보들보들딸기소다350ml", 1900, None, site_id="1"),
            offer(Chain.SEVEN, "구름)반짝비스킷90g", 2400, None, site_id="2"),
            offer(Chain.SEVEN, "한들)해돋이칫솔", 3000, None, site_id="3"),
        ],
    )
    rows = live_rows(database)
    soda = rows["달빛)보들보들딸기소다350ml"]
    assert soda.item_id == item_of(database, SODA)
    assert soda.link_method.startswith("name-price-size/")
    assert 0.5 < soda.link_score < 1
    assert rows["구름)반짝비스킷90g"].item_id == item_of(database, BISCUIT)
    alone = rows["한들)해돋이칫솔"]
    assert (alone.link_method, alone.link_score) == ("own", None)
    assert integrity_check(database) == []


def test_a_sibling_waits_for_a_person_and_is_never_merged(database: Database) -> None:
    others(database)
    trap = "달빛)보들보들소다350ml"
    publish(database, [offer(Chain.SEVEN, trap, 1900, None, site_id="9")])
    row = live_rows(database)[trap]
    assert row.link_method == "own"
    assert row.item_id not in {item_of(database, code) for code in (SODA, GRAPE, BISCUIT)}
    (waiting,) = open_rows(database)
    assert (waiting.name, waiting.price_krw, waiting.live) == (trap, 1900, True)
    assert {one.item_id for one in waiting.proposals} <= {
        item_of(database, SODA),
        item_of(database, GRAPE),
    }
    assert waiting.proposals[0].method.endswith(" variant")
    assert waiting.proposals[0].prices_krw == (1900,)


def test_an_item_that_stands_in_the_list_with_its_barcode_is_not_given_twice(
    database: Database,
) -> None:
    others(database)
    publish(
        database,
        [
            offer(Chain.SEVEN, "달빛)보들보들딸기소다350ml캔", 1900, SODA),
            offer(Chain.SEVEN, "달빛)보들보들딸기소다350ml", 1900, None, site_id="1"),
        ],
    )
    assert live_rows(database)["달빛)보들보들딸기소다350ml"].link_method == "own"


def test_a_chain_that_loses_the_picture_keeps_the_product(database: Database) -> None:
    name = "한들)나른한오후도시락"
    publish(database, [offer(Chain.SEVEN, name, 4500, SODA)])
    publish(database, [offer(Chain.SEVEN, name, 4500, None, site_id="7")], days=30)
    row = live_rows(database)[name]
    assert (row.item_id, row.link_method) == (item_of(database, SODA), FORMER_NAME)


def test_a_former_name_at_another_price_is_no_proof(database: Database) -> None:
    name = "한들)나른한오후도시락"
    publish(database, [offer(Chain.SEVEN, name, 4500, SODA)])
    publish(database, [offer(Chain.SEVEN, name, 9900, None, site_id="7")], days=30)
    assert live_rows(database)[name].link_method != FORMER_NAME


def test_a_name_that_two_items_share_is_no_proof(database: Database) -> None:
    name = "한들)나른한오후도시락"
    publish(database, [offer(Chain.SEVEN, name, 4500, c) for c in (SODA, GRAPE)])
    publish(database, [offer(Chain.SEVEN, name, 4500, None, site_id="7")], days=30)
    assert live_rows(database)[name].link_method == "own"


def trap_row(database: Database) -> None:
    others(database)
    publish(database, [offer(Chain.SEVEN, "달빛)보들보들소다350ml", 1900, None, site_id="9")])


def test_an_accepted_row_moves_at_once_and_every_copy_learns_it(database: Database) -> None:
    trap_row(database)
    before = live_rows(database)["달빛)보들보들소다350ml"]
    (waiting,) = open_rows(database)
    chosen = waiting.proposals[0]
    done = accept(database, chosen.id, NOW + DAY, "min")
    assert (done.state, done.moved, done.version) == ("accepted", 1, 4)
    row = live_rows(database)["달빛)보들보들소다350ml"]
    assert (row.item_id, row.link_method) == (chosen.item_id, "review")
    assert row.id != before.id
    told = {(c.entity, c.entity_id): c.op for c in changes.changes_since(database, 3).changes}
    assert told["promotion", str(before.id)] == "delete"
    assert told["promotion", str(row.id)] == "upsert"
    assert ("item", str(chosen.item_id)) in told
    assert ("item", str(before.item_id)) in told
    assert count_open(database) == 0
    assert {row.state for row in queue(database)} <= {"accepted", "rejected"}
    assert search(database, "보들보들소다350")[0].item_id == chosen.item_id
    assert integrity_check(database) == []


def test_next_month_an_accepted_row_links_at_once(database: Database) -> None:
    trap_row(database)
    chosen = open_rows(database)[0].proposals[0]
    accept(database, chosen.id, NOW + DAY, "min")
    changed = offer(Chain.SEVEN, "달빛)보들보들소다", 2100, None, site_id="9")
    publish(database, [changed], days=30)
    row = live_rows(database)["달빛)보들보들소다"]
    assert (row.item_id, row.link_method) == (chosen.item_id, "review")
    assert count_open(database) == 0


def test_a_rejected_pair_is_never_proposed_again(database: Database) -> None:
    trap_row(database)
    (waiting,) = open_rows(database)
    for one in waiting.proposals:
        assert reject(database, one.id, NOW + DAY, "min").moved == 0
    again = offer(Chain.SEVEN, "달빛)보들보들소다350ml", 1800, None, site_id="9")
    publish(database, [again], days=30)
    assert open_rows(database) == []
    assert {row.state for row in queue(database)} == {"rejected"}


def test_a_rejected_item_is_not_linked_either(database: Database) -> None:
    others(database)
    sure = offer(Chain.SEVEN, "구름)반짝비스킷90g", 2400, None, site_id="2")

    def write(connection: Connection) -> None:
        row = {
            "chain": "seven",
            "offer_key": sure.key(),
            "name": sure.name,
            "price_krw": sure.price_krw,
            "content_hash": "0" * 64,
            "item_id": item_of(database, BISCUIT),
            "score": 0.8,
            "method": "name-price-size/1",
            "state": "rejected",
            "created_at": NOW,
        }
        connection.execute(link_candidate.insert(), [row])

    with database.write() as connection:
        write(connection)
    publish(database, [sure])
    assert live_rows(database)[sure.name].link_method == "own"


def test_a_decision_is_made_once(database: Database) -> None:
    trap_row(database)
    number = open_rows(database)[0].proposals[0].id
    accept(database, number, NOW, "min")
    with pytest.raises(InputError, match="one that is accepted"):
        reject(database, number, NOW, "min")
    with pytest.raises(InputError, match="none with this number"):
        accept(database, 999, NOW, "min")


@pytest.mark.parametrize("decider", ["", "x" * 101])
def test_who_decides_is_kept_and_has_to_be_said(database: Database, decider: str) -> None:
    trap_row(database)
    number = open_rows(database)[0].proposals[0].id
    with pytest.raises(InputError, match="who decides"):
        accept(database, number, NOW, decider)
    assert count_open(database) == 1
    accept(database, number, NOW, "min")
    assert "min" in {row.decided_by for row in queue(database)}


def test_rows_that_left_the_list_wait_no_longer(database: Database) -> None:
    trap_row(database)
    publish(database, [offer(Chain.SEVEN, "한들)해돋이칫솔", 3000, None, site_id="3")], days=1)
    assert open_rows(database) == []
    (old,) = open_rows(database, live_only=False)
    assert not old.live
    assert open_rows(database, Chain.CU, live_only=False) == []
    with pytest.raises(InputError, match="limit"):
        open_rows(database, limit=0)


def test_the_linker_writes_nothing_and_answers_every_offer(database: Database) -> None:
    others(database)
    asked = [
        offer(Chain.SEVEN, "달빛)보들보들딸기소다350ml", 1900, None, site_id="1"),
        offer(Chain.SEVEN, "구름)반짝비스킷90g", 2400, None, site_id="2"),
        offer(Chain.CSPACE, "구름)반짝비스킷90g", 2400, None, site_id="2"),
        offer(Chain.SEVEN, "달빛)보들보들딸기소다350ml", 1900, None, site_id="1"),
    ]
    with database.read() as connection:
        links = NameLinker()(connection, asked)
        assert NameLinker()(connection, []) == []
    soda, biscuit = item_of(database, SODA), item_of(database, BISCUIT)
    assert [link.item_id for link in links] == [soda, biscuit, biscuit, soda]


def test_names_out_of_nowhere_break_nothing(database: Database) -> None:
    others(database)
    odd = [")", "(", "%", "1", "\ufffd", "ml", "제로" * 60, "' OR 1=1 --", "달빛)"]
    rows = [offer(Chain.SEVEN, name, 1, None, site_id=str(n)) for n, name in enumerate(odd)]
    publish(database, rows)
    assert {row.link_method for row in live_rows(database).values()} == {"own"}


def test_the_queue_from_the_command_line(
    database: Database, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    trap_row(database)
    place = ["--database", database_url]
    assert main(["match", "review", "list", *place]) == 0
    text = capsys.readouterr().out
    assert "달빛)보들보들소다350ml 1900 won" in text
    assert "but: variant differs" in text
    assert "1 of 1 rows that wait" in text
    assert main(["match", "review", "list", "--json", "--chain", "seven", *place]) == 0
    answer = json.loads(capsys.readouterr().out)
    number = answer["rows"][0]["proposals"][0]["id"]
    assert main(["match", "review", "accept", str(number), "--by", "min", *place]) == 0
    assert "accepted; 1 rows moved, version 4" in capsys.readouterr().out
    assert main(["match", "review", "reject", str(number), *place]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["match", "review", "list", "--chain", "nowhere", *place]) == 2
