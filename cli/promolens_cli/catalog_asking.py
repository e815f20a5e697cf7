"""Actions of `promolens catalog` that ask: search, lookup, list."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from promolens_cli.crawl_places import opened_database
from promolens_runtime.errors import InputError

if TYPE_CHECKING:
    from enum import StrEnum

    from promolens_catalog.chain_status import ChainStatus
    from promolens_catalog.data_sources import Fact
    from promolens_catalog.history import Past
    from promolens_catalog.promotion_list import Promotion
    from promolens_catalog.reading import Answer, TextAnswer

    _Word = TypeVar("_Word", bound=StrEnum)

SAYINGS = {
    "promotions": "offered today",
    "no-promotion": "no promotion this month",
    "unknown-product": "no list ever had this product",
    "source-unavailable": "no promotion known, but not every list is of today",
}


def search(args: argparse.Namespace) -> int:
    """Find products by text."""
    from promolens_catalog.reading import by_text

    with opened_database(args, must_exist=True) as database:
        answer = by_text(
            database, args.text, datetime.now(UTC), limit=args.limit, offered_only=args.offered
        )
    if args.json:
        _print_json(_text_answer_json(answer))
        return 0
    for match in answer.matches:
        one = match.candidate
        print(f"{one.score:.2f}  {one.name}  (item {one.item_id})")
        _print_promotions(match.promotions)
    if not answer.matches:
        print("nothing is like it")
    return 0


def lookup(args: argparse.Namespace) -> int:
    """Say what is known about a barcode."""
    from promolens_catalog import barcodes
    from promolens_catalog.data_sources import PROMOTIONS, facts
    from promolens_catalog.history import history
    from promolens_catalog.items import BARCODE, ItemKey
    from promolens_catalog.reading import by_barcode

    now = datetime.now(UTC)
    with opened_database(args, must_exist=True) as database:
        answer = by_barcode(database, args.barcode, now)
        scanned = ItemKey(BARCODE, barcodes.normalise(args.barcode) or "")
        keys = answer.item.keys if answer.item else (scanned,)
        known = [fact for fact in facts(database, keys, now) if fact.source != PROMOTIONS]
        past = history(database, answer.item.id) if args.history and answer.item else ()
    if args.json:
        _print_json(_answer_json(answer, known, past))
    else:
        _print_answer(answer, known, past)
    return 0


def list_promotions(args: argparse.Namespace) -> int:
    """List promotions."""
    from promolens_catalog.chains import Chain
    from promolens_catalog.kinds import Kind
    from promolens_catalog.promotion_list import Filters, Sort, promotions

    filters = Filters(
        chains=frozenset(_word(Chain, name) for name in args.chain),
        kinds=frozenset(_word(Kind, name) for name in args.kind),
        category=args.category,
        min_price_krw=args.min_price,
        max_price_krw=args.max_price,
    )
    with opened_database(args, must_exist=True) as database:
        page = promotions(
            database,
            filters,
            sort=_word(Sort, args.sort),
            limit=args.limit,
            offset=args.offset,
            version=args.at_version,
        )
    if args.json:
        rows = [_promotion_json(one) for one in page.promotions]
        more = {"version": page.version, "total": page.total, "next_offset": page.next_offset}
        _print_json({**more, "promotions": rows})
        return 0
    _print_promotions(page.promotions, named=True)
    print(f"{len(page.promotions)} of {page.total} at version {page.version}")
    return 0


def _word(words: type[_Word], text: str) -> _Word:
    try:
        return words(text)
    except ValueError:
        raise InputError(
            f"Expected one of {', '.join(words)}. Received {text[:40]!r}. Check the spelling."
        ) from None


def _print_answer(answer: Answer, known: Sequence[Fact], past: Iterable[Past]) -> None:
    if answer.item is not None:
        keys = ", ".join(f"{key.kind} {key.value}" for key in answer.item.keys)
        print(f"{answer.item.name}  (item {answer.item.id}: {keys})")
    _print_promotions(answer.promotions)
    print(SAYINGS[answer.status])
    if answer.expired:
        print("no longer, by a list that is out of date:")
        _print_promotions(answer.expired)
    for chain in answer.chains:
        if chain.state != "never" and not chain.speaks_for_today:
            print(f"note: {_chain_line(chain)}")
    for fact in known:
        for row in fact.rows:
            print(_fact_line(fact, row))
    for one in past:
        offer = one.offer
        mark = "now" if one.live else f"seen until {one.last_seen:%Y-%m-%d}"
        print(
            f"  {'/'.join(one.months)}  {offer.chain:8}{offer.kind:9}{offer.price_krw:>8,}  {mark}"
        )


def _print_promotions(rows: Iterable[Promotion], *, named: bool = False) -> None:
    for row in rows:
        offer, per_100 = row.offer, row.price_per_100
        parts = [
            f"  {offer.chain:8}{offer.kind:9}{offer.price_krw:>8,} won",
            f"{row.deal.unit_price_krw:>8,} each",
            f"{float(per_100):>8,.0f} for 100 {row.size_unit}" if per_100 is not None else "",
            f"until {offer.valid_until}",
            f"with {offer.gift.name}" if offer.gift else "",
            offer.name if named else "",
        ]
        print("  ".join(part for part in parts if part))


def _chain_line(chain: ChainStatus) -> str:
    about = f"{chain.chain} is {chain.state}"
    if chain.since and chain.state != "ok":
        about += f" since {chain.since:%Y-%m-%d} ({chain.reason})"
    return f"{about}; its list is of {chain.month or 'no month'}"


def _fact_line(fact: Fact, row: Mapping[str, Any]) -> str:
    shown = [
        f"{field.title or field.name} {row[field.name]}{' ' + field.unit if field.unit else ''}"
        for field in fact.source.fields
        if field.name in row
    ]
    mark = " (old)" if fact.stale else ""
    named = f" [{fact.source.attribution}]" if fact.source.attribution else ""
    return f"{fact.source.title or fact.source.name}{mark}: {', '.join(shown)}{named}"


def _print_json(value: object) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=1, default=str))


def _text_answer_json(answer: TextAnswer) -> dict[str, Any]:
    return {
        "status": answer.status,
        "version": answer.version,
        "matches": [
            {
                "item_id": match.candidate.item_id,
                "name": match.candidate.name,
                "score": round(match.candidate.score, 4),
                "promotions": [_promotion_json(one) for one in match.promotions],
            }
            for match in answer.matches
        ],
    }


def _answer_json(answer: Answer, known: Sequence[Fact], past: Iterable[Past]) -> dict[str, Any]:
    item = answer.item
    return {
        "status": answer.status,
        "version": answer.version,
        "item": None
        if item is None
        else {
            "id": item.id,
            "name": item.name,
            "maker": item.maker,
            "size_amount": item.size_amount,
            "size_unit": item.size_unit,
            "keys": [{"kind": key.kind, "value": key.value} for key in item.keys],
            "names": [{"chain": one.chain, "name": one.name} for one in item.aliases],
        },
        "promotions": [_promotion_json(one) for one in answer.promotions],
        "expired": [_promotion_json(one) for one in answer.expired],
        "chains": [vars(chain) for chain in answer.chains],
        "facts": [
            {"source": fact.source.name, "stale": fact.stale, "rows": list(fact.rows)}
            for fact in known
        ],
        "history": [
            {
                "chain": one.offer.chain,
                "kind": one.offer.kind,
                "price_krw": one.offer.price_krw,
                "valid_from": one.offer.valid_from,
                "valid_until": one.offer.valid_until,
                "first_seen": one.first_seen,
                "last_seen": one.last_seen,
                "live": one.live,
            }
            for one in past
        ],
    }


def _promotion_json(row: Promotion) -> dict[str, Any]:
    offer, per_100 = row.offer, row.price_per_100
    return {
        "id": row.id,
        "item_id": row.item_id,
        "chain": offer.chain,
        "name": offer.name,
        "kind": offer.kind,
        "price_krw": offer.price_krw,
        "unit_price_krw": row.deal.unit_price_krw,
        "price_per_100_krw": None if per_100 is None else round(float(per_100), 2),
        "size_amount": row.size_amount,
        "size_unit": row.size_unit,
        "regular_price_krw": offer.regular_price_krw,
        "gift": vars(offer.gift) if offer.gift else None,
        "barcode": offer.barcode,
        "image_url": offer.image_url,
        "category": offer.category,
        "valid_from": offer.valid_from,
        "valid_until": offer.valid_until,
        "valid_until_inferred": offer.valid_until_inferred,
        "link_method": row.link_method,
        "link_score": row.link_score,
    }
