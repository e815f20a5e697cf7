"""Actions of `promolens crawl` that read the catalog or decide about a snapshot."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from promolens_cli.crawl_places import (
    chain_named,
    chains_named,
    default_linker,
    log_to_stderr,
    open_config,
    opened_database,
    person_named,
)
from promolens_runtime.errors import InputError

if TYPE_CHECKING:
    from promolens_catalog.chains import Chain
    from promolens_catalog.database import Database
    from promolens_catalog.offers import Offer
    from promolens_catalog.publishing import Publication
    from promolens_catalog.snapshots import Diff
    from promolens_catalog.staging import AnomalyRow

log = logging.getLogger("promolens_crawler.decisions")


def status(args: argparse.Namespace) -> int:
    """Show how the chains are doing."""
    from promolens_catalog.chains import Chain
    from promolens_crawler.manners import utc_now
    from promolens_crawler.status import as_json, as_text, chain_statuses

    now = utc_now()
    with opened_database(args, must_exist=True) as database:
        statuses = chain_statuses(database, now, chains_named(args.chains) or tuple(Chain))
    if args.json:
        print(json.dumps([as_json(one) for one in statuses], ensure_ascii=False, indent=1))
    else:
        print(as_text(statuses, now))
    return 0


def diff(args: argparse.Namespace) -> int:
    """Show what differs between two snapshots of a chain."""
    from promolens_catalog import snapshots

    chain = chain_named(args.chain)
    with opened_database(args, must_exist=True) as database:
        old, new = _two_snapshots(database, chain, args.snapshots)
        found = snapshots.diff(database, chain, old, new)
        odd = _odd_cards(database, new)
    if args.json:
        print(json.dumps(_diff_json(old, new, found, odd), ensure_ascii=False, indent=1))
    else:
        print(f"{chain}: snapshot {old} -> {new}")
        print(_diff_text(found, odd, max(0, args.rows)))
    return 0


def approve(args: argparse.Namespace) -> int:
    """Publish a held snapshot."""
    from promolens_catalog import publishing
    from promolens_crawler.manners import utc_now

    by = person_named(args.by)
    with opened_database(args, must_exist=True) as database:
        done = publishing.approve(database, args.snapshot, utc_now(), default_linker())
    _tell_publication("approve", by, done, as_json=args.json)
    return 0


def reject(args: argparse.Namespace) -> int:
    """Throw a held snapshot away."""
    from promolens_catalog import publishing
    from promolens_crawler.manners import utc_now

    by = person_named(args.by)
    with opened_database(args, must_exist=True) as database:
        publishing.reject(database, args.snapshot, utc_now(), args.reason)
    line = f"snapshot {args.snapshot} is thrown away; what is published stays"
    decided = {"snapshot_id": args.snapshot, "reason": args.reason}
    _tell("reject", by, decided, line, as_json=args.json)
    return 0


def rollback(args: argparse.Namespace) -> int:
    """Publish an earlier snapshot's rows again, under a new version."""
    from promolens_catalog import publishing
    from promolens_crawler.manners import utc_now

    chain, by = chain_named(args.chain), person_named(args.by)
    with opened_database(args, must_exist=True) as database:
        done = publishing.rollback(database, chain, utc_now(), args.to)
    _tell_publication("rollback", by, done, as_json=args.json)
    return 0


def report(args: argparse.Namespace) -> int:
    """Write the page about all chains."""
    from promolens_crawler.manners import utc_now
    from promolens_crawler.report import report_content, write_report
    from promolens_crawler.report.links import page_links

    links = page_links(open_config(args).archive, args.out)
    with opened_database(args, must_exist=True) as database:
        content = report_content(database, utc_now(), links)
    write_report(args.out, content)
    print(f"Report: {args.out}", file=sys.stderr)
    return 0


def _two_snapshots(database: Database, chain: Chain, given: list[int]) -> tuple[int, int]:
    """Return the snapshots to compare: given ones, or published and held, or the last two."""
    from promolens_catalog import snapshots

    if len(given) == 2:
        return given[0], given[1]
    if given:
        raise InputError(
            f"Expected two snapshots or none. Received {len(given)}. Run: promolens crawl status"
        )
    published = snapshots.published_snapshot(database, chain)
    held = snapshots.held_snapshots(database, chain)
    if published and held:
        return published.id, held[0].id
    shown = [one for one in snapshots.snapshots(database, chain) if one.version is not None]
    if published is None or len(shown) < 2:
        raise InputError(
            f"Expected two snapshots of {chain} to compare. Received {len(shown)}. "
            "Crawl again, or name two."
        )
    return next(one.id for one in shown if one.id != published.id), published.id


def _odd_cards(database: Database, snapshot_id: int) -> list[AnomalyRow]:
    """Return what was odd on the pages that a snapshot was read from; a rollback read none."""
    from promolens_catalog import snapshots, staging

    with database.read() as connection:
        crawl_id = snapshots.snapshot_in(connection, snapshot_id).crawl_id
    if crawl_id is None:
        return []
    return [row for row in staging.anomalies(database, crawl_id) if row.listing is not None]


def _tell_publication(action: str, by: str, done: Publication, *, as_json: bool) -> None:
    line = (
        f"published snapshot {done.snapshot_id} as version {done.version}: {done.added} rows "
        f"began, {done.ended} ended, {done.unchanged} stay"
    )
    _tell(action, by, asdict(done), line, as_json=as_json)


def _tell(action: str, by: str, decided: Mapping[str, Any], line: str, *, as_json: bool) -> None:
    """Say what was decided: a line for the log with the name, and the answer."""
    log_to_stderr()
    # A decision is told on a terminal too, where the crawls' own lines are not.
    log.setLevel(logging.INFO)
    pairs = {"by": json.dumps(by, ensure_ascii=False) if " " in by else by, **decided}
    log.info("%s %s", action, " ".join(f"{k}={v}" for k, v in pairs.items() if v not in ("", None)))
    if as_json:
        answer = {"action": action, "by": by, **decided}
        print(json.dumps(answer, ensure_ascii=False, indent=1))
    else:
        print(line)


def _diff_json(old: int, new: int, found: Diff, odd: Sequence[AnomalyRow]) -> dict[str, Any]:
    return {
        "old": old,
        "new": new,
        "added": [_offer_json(offer) for offer in found.added],
        "ended": [_offer_json(offer) for offer in found.ended],
        "changed": [
            {"old": _offer_json(before), "new": _offer_json(after)}
            for before, after in found.changed
        ],
        "anomalies": [asdict(row) for row in odd],
    }


def _offer_json(offer: Offer) -> dict[str, Any]:
    return {
        "key": offer.key(),
        "name": offer.name,
        "price_krw": offer.price_krw,
        "kind": str(offer.kind),
        "valid_from": str(offer.valid_from),
        "valid_until": str(offer.valid_until),
    }


def _diff_text(found: Diff, odd: Sequence[AnomalyRow], rows: int) -> str:
    from promolens_crawler.plain import plain

    lines = [f"{len(found.added)} began, {len(found.ended)} ended, {len(found.changed)} changed"]
    lines += [f"+ {_offer_line(offer)}" for offer in found.added[:rows]]
    lines += [f"- {_offer_line(offer)}" for offer in found.ended[:rows]]
    lines += [
        f"~ {_offer_line(before)}  ->  {after.price_krw} won {after.kind}"
        for before, after in found.changed[:rows]
    ]
    if odd:
        lines.append(f"{len(odd)} odd on the pages of the new one")
        lines += [f"? {_place(row)}: {row.code}: {row.detail}" for row in odd[:rows]]
    most = max(len(found.added), len(found.ended), len(found.changed), len(odd))
    if most > rows:
        lines.append(f"(--rows {most} shows all)")
    return plain("\n".join(lines), limit=1_000_000)


def _place(row: AnomalyRow) -> str:
    card = "" if row.position is None else f", card {row.position + 1}"
    return f"{row.listing} page {row.number}{card}"


def _offer_line(offer: Offer) -> str:
    return f"{offer.name}  {offer.price_krw} won {offer.kind}  {offer.key()}"
