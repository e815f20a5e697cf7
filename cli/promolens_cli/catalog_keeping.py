"""Actions of `promolens catalog` that feed it further tables or look after it."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from promolens_cli.crawl_places import opened_catalog, opened_database
from promolens_runtime.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promolens_catalog.copying import Watch
    from promolens_catalog.data_declarations import DataSource
    from promolens_catalog.database import Database

WRONG = 3


def load_source(args: argparse.Namespace) -> int:
    """Load a table."""
    from promolens_catalog.data_declarations import read_declarations
    from promolens_catalog.data_sources import load
    from promolens_catalog.records import read_records

    source = _chosen(read_declarations(args.declaration), args.name)
    file = read_records(args.file)
    with opened_database(args) as database:
        report = load(
            database,
            source,
            file,
            datetime.now(UTC),
            allow_bad=args.allow_bad,
            allow_fewer=args.allow_fewer,
        )
    for problem in report.problems:
        print(f"left out: {problem}", file=sys.stderr)
    if report.ignored_columns:
        print(f"note: no field reads: {', '.join(report.ignored_columns)}", file=sys.stderr)
    print(f"{source.name}: {report.rows} rows (before: {report.before}), joined by {source.key}")
    return 0


def drop_source(args: argparse.Namespace) -> int:
    """Forget a table."""
    from promolens_catalog.data_sources import drop

    with opened_database(args, must_exist=True) as database:
        drop(database, args.name)
    print(f"{args.name}: gone")
    return 0


def sources(args: argparse.Namespace) -> int:
    """Show all tables that a scan is joined to."""
    from promolens_catalog.data_declarations import as_table
    from promolens_catalog.data_sources import sources as all_sources

    now = datetime.now(UTC)
    with opened_database(args, must_exist=True) as database:
        found = all_sources(database)
    if args.json:
        rows = [
            {
                "declaration": as_table(one.source),
                "rows": one.rows,
                "loaded_at": one.loaded_at.isoformat() if one.loaded_at else None,
                "stale": one.stale(now),
            }
            for one in found
        ]
        print(json.dumps(rows, ensure_ascii=False, indent=1))
        return 0
    for one in found:
        age = f"of {one.loaded_at:%Y-%m-%d %H:%M} UTC" if one.loaded_at else "never loaded"
        mark = ", stale" if one.stale(now) else ""
        print(f"{one.source.name}: {one.rows} rows by {one.source.key}, {age}{mark}")
    return 0


def backup(args: argparse.Namespace) -> int:
    """Copy the catalog."""
    from promolens_catalog.maintenance import backup as save

    with opened_database(args, must_exist=True) as database:
        path = save(database, args.out)
    print(f"{path}: {path.stat().st_size} bytes")
    return 0


def copy(args: argparse.Namespace) -> int:
    """Copy the catalog into an empty one, also of the other engine."""
    from promolens_catalog.changes import catalog_versions
    from promolens_catalog.copying import copy_catalog

    with opened_catalog(args.source, must_exist=True) as source, _new_catalog(args.target) as made:
        with _counted() as watch:
            rows = copy_catalog(source, made, watch)
        version, _ = catalog_versions(made)
        places = {"source": source.place, "target": made.place}
    if args.json:
        print(json.dumps({**places, "version": version, "rows": rows}, indent=1))
        return 0
    for name, count in rows.items():
        if count:
            print(f"{name:<18} {count:>9,}")
    print(f"{places['target']}: {sum(rows.values()):,} rows, version {version}")
    return 0


@contextlib.contextmanager
def _new_catalog(address: str) -> Iterator[Database]:
    """Give a catalog to copy into; a file that is made for it goes again if that fails."""
    path = Path(address.removeprefix("sqlite:///"))
    is_new = "://" not in str(path) and not path.exists()
    try:
        with opened_catalog(address) as database:
            yield database
    except BaseException:
        if is_new:
            for leftover in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
                leftover.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _counted() -> Iterator[Watch]:
    """Give what shows how many rows are copied, on a line of stderr if that is a terminal."""
    shown = sys.stderr.isatty()

    def show(table: str, copied: int, rows: int) -> None:
        if shown:
            print(
                f"\r{copied:,} of {rows:,} rows, {table:<18}", end="", file=sys.stderr, flush=True
            )

    try:
        yield show
    finally:
        if shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def renew_id(args: argparse.Namespace) -> int:
    """Make it another catalog for all phones."""
    from promolens_catalog.identity import renew_id as renew

    with opened_database(args, must_exist=True) as database:
        made, place = renew(database), database.place
    if args.json:
        print(json.dumps({"catalog_id": made}))
    else:
        print(f"{place}: catalog {made}; phones begin anew when they ask next")
    return 0


def check(args: argparse.Namespace) -> int:
    """Check the catalog."""
    from promolens_catalog.maintenance import integrity_check

    with opened_database(args, must_exist=True) as database:
        found = integrity_check(database)
    if args.json:
        print(json.dumps({"ok": not found, "findings": found}, ensure_ascii=False, indent=1))
    else:
        for line in found:
            print(f"wrong: {line}")
        print(f"{args.database}: {'good' if not found else 'do not publish into it'}")
    return WRONG if found else 0


def optimize(args: argparse.Namespace) -> int:
    """Give back room, and build the text index anew where it is asked for."""
    from promolens_catalog.maintenance import optimize as tidy
    from promolens_catalog.search import reindex

    with opened_database(args, must_exist=True) as database:
        if args.reindex:
            print(f"{reindex(database)} products in the text index")
        tidy(database)
    print(f"{args.database}: done")
    return 0


def _chosen(declared: Sequence[DataSource], name: str | None) -> DataSource:
    fitting = [source for source in declared if name in (None, source.name)]
    if len(fitting) != 1:
        names = ", ".join(source.name for source in declared)
        raise InputError(
            f"Expected --name as one of the declared {names}. Received {name or 'none'}. Name one."
        )
    return fitting[0]
