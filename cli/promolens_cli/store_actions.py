"""Actions of `promolens stores`."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from promolens_cli.crawl_places import chains_named, opened_database

if TYPE_CHECKING:
    from promolens_catalog.store_files import StoreFile
    from promolens_catalog.store_imports import ImportReport

NO_POSTGIS = (
    "note: PostGIS is not switched on in this database; stores are found by the plain index, more "
    "slowly. To switch it on, a superuser runs: CREATE EXTENSION postgis; then import again"
)


def import_files(args: argparse.Namespace) -> int:
    """Bring lists into the catalog."""
    from promolens_catalog.store_files import read_store_file
    from promolens_catalog.store_imports import import_stores

    files = [read_store_file(path, args.format, args.source) for path in args.files]
    with opened_database(args) as database:
        report = import_stores(
            database,
            files,
            datetime.now(UTC),
            allow_fewer=args.allow_fewer,
            attribution=args.attribution,
        )
    if args.json:
        print(json.dumps(_import_json(files, report), ensure_ascii=False, indent=1))
    else:
        _print_import(files, report)
    if report.index == "plain index":
        print(NO_POSTGIS, file=sys.stderr)
    return 0


def nearby(args: argparse.Namespace) -> int:
    """Show the nearest stores of the local table."""
    from promolens_catalog.stores import nearest

    with opened_database(args, must_exist=True) as database:
        found = nearest(
            database,
            args.lat,
            args.lon,
            args.radius_m,
            chains=chains_named(args.chain),
            limit=args.limit,
        )
    if args.json:
        stores = [
            {"distance_m": round(one.distance_m, 1), **asdict(one.store)} for one in found.stores
        ]
        sources = [_source_json(one) for one in found.sources]
        answer = {"stores": stores, "covered": found.covered, "sources": sources}
        print(json.dumps(answer, ensure_ascii=False, indent=1))
        return 0
    for one in found.stores:
        store = one.store
        print(
            f"{one.distance_m:>8.0f} m  {store.chain or '-':8} {store.name}  {store.address or ''}"
        )
    if not found.sources:
        print("no list of stores was imported; promolens stores import FILE brings one")
    elif not found.covered:
        print("no list of stores reaches there")
    elif not found.stores:
        print("no such store within that radius")
    for source in found.sources if found.stores else ():
        print(f"source: {source.attribution or source.name}, {source.imported_at:%Y-%m-%d}")
    return 0


def sources(args: argparse.Namespace) -> int:
    """Show the lists."""
    from promolens_catalog.stores import store_sources, stores_by_chain

    with opened_database(args, must_exist=True) as database:
        found, counts = store_sources(database), stores_by_chain(database)
    chains = {
        source.name: {
            str(chain or "other"): n for (name, chain), n in counts.items() if name == source.name
        }
        for source in found
    }
    if args.json:
        rows = [_source_json(one) | {"chains": chains[one.name]} for one in found]
        print(json.dumps(rows, ensure_ascii=False, indent=1))
        return 0
    for one in found:
        print(
            f"{one.name}: {one.rows} stores ({one.format}), of {one.imported_at:%Y-%m-%d %H:%M} UTC"
        )
        print(f"  {_counts(chains[one.name])}")
    if not found:
        print("none; promolens stores import FILE brings one")
    return 0


def drop(args: argparse.Namespace) -> int:
    """Forget a list."""
    from promolens_catalog.store_imports import drop_source

    with opened_database(args, must_exist=True) as database:
        rows = drop_source(database, args.source)
    print(f"{args.source}: gone, with {rows} stores")
    return 0


def _print_import(files: Sequence[StoreFile], report: ImportReport) -> None:
    for file in files:
        print(
            f"{file.name}: {file.format}, {file.encoding}, {file.rows} rows, "
            f"{len(file.stores)} stores"
        )
        for reason, count in sorted(file.left_out.items()):
            print(f"  left out: {count} rows, {reason}")
        for problem in file.problems:
            print(f"  {problem}", file=sys.stderr)
    for one in report.sources:
        print(
            f"{one.source}: {one.rows} stores: {one.added} new, {one.changed} changed, "
            f"{one.dropped} closed; {one.no_chain} of no known chain"
        )


def _import_json(files: Sequence[StoreFile], report: ImportReport) -> dict[str, Any]:
    return {
        "files": [
            {
                "name": file.name,
                "sha256": file.sha256,
                "format": file.format,
                "encoding": file.encoding,
                "delimiter": file.delimiter,
                "rows": file.rows,
                "stores": len(file.stores),
                "left_out": dict(file.left_out),
                "chains": dict(Counter(str(one.chain or "other") for one in file.stores)),
                "problems": list(file.problems),
            }
            for file in files
        ],
        "sources": [asdict(one) for one in report.sources],
        "index": str(report.index),
    }


def _source_json(one: Any) -> dict[str, Any]:
    return asdict(one) | {"imported_at": one.imported_at.isoformat()}


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
