"""Ask the catalog, feed it further tables, and look after it.

`search` takes any text; what it gives are suggestions. `lookup` takes a barcode and says what is
offered today, or that nothing is, or that nobody can say because a source is gone or old.
`load-source` loads a further table, such as nutrition by barcode, that a scan is joined to
(docs/data-sources.md). A chain's own list from a file is `promolens crawl import`.

`check` ends with 3 if something is wrong.

examples:
  promolens catalog search 콜라 --limit 5
  promolens catalog lookup 2700000000076 --history
  promolens catalog list --chain cu --kind 1+1 --sort per-100 --limit 20
  promolens catalog load-source docs/examples/nutrition.toml docs/examples/nutrition.csv
  promolens catalog sources
  promolens catalog backup promotions-backup.db
  promolens catalog copy promotions.db postgresql://promolens@localhost/promotions
  promolens catalog renew-id
  promolens catalog check --json
  promolens catalog optimize
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    Actions: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]

DATABASE_VARIABLE = "PROMOLENS_DATABASE_URL"
DEFAULT_DATABASE = "promotions.db"
COPY_EXAMPLES = """Numbers, versions and change log come along: phones go on from where they were.
It is of one moment: stop the crawls before, and let them write into the new one after. If both go
on, they are no longer one catalog: promolens catalog renew-id --database TARGET.

examples:
  promolens catalog copy promotions.db postgresql://promolens@localhost/promotions
  promolens catalog copy postgresql://promolens@localhost/promotions promotions.db --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _asking(actions)
    _feeding(actions)
    _caring(actions)


def run(args: argparse.Namespace) -> int:
    """Run one action."""
    from promolens_cli import catalog_asking, catalog_keeping

    table = {
        "search": catalog_asking.search,
        "lookup": catalog_asking.lookup,
        "list": catalog_asking.list_promotions,
        "load-source": catalog_keeping.load_source,
        "drop-source": catalog_keeping.drop_source,
        "sources": catalog_keeping.sources,
        "backup": catalog_keeping.backup,
        "copy": catalog_keeping.copy,
        "renew-id": catalog_keeping.renew_id,
        "check": catalog_keeping.check,
        "optimize": catalog_keeping.optimize,
    }
    return table[args.action](args)


def _action(actions: Actions, name: str, summary: str, example: str) -> argparse.ArgumentParser:
    action = _bare_action(actions, name, summary, f"example: promolens catalog {example}")
    action.add_argument(
        "--database",
        metavar="URL",
        default=os.environ.get(DATABASE_VARIABLE) or DEFAULT_DATABASE,
        help=f"path or postgresql://... ({DATABASE_VARIABLE}, else {DEFAULT_DATABASE})",
    )
    return action


def _bare_action(actions: Actions, name: str, summary: str, epilog: str) -> argparse.ArgumentParser:
    return actions.add_parser(
        name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", epilog=epilog
    )


def _asking(actions: Actions) -> None:
    search = _action(actions, "search", "find products by text", "search 콜라 --offered")
    search.add_argument("text", help="a name, a part of one, or a classifier's label")
    search.add_argument("--limit", type=int, default=10, help="products shown (10)")
    search.add_argument(
        "--offered", action="store_true", help="only products with a promotion today"
    )
    _json(search)
    lookup = _action(actions, "lookup", "say what is offered for a barcode", "lookup 2700000000076")
    lookup.add_argument("barcode")
    lookup.add_argument("--history", action="store_true", help="also what was offered before")
    _json(lookup)
    listed = _action(actions, "list", "list promotions", "list --kind 1+1 --sort per-100")
    listed.add_argument("--chain", action="append", default=[], help="only this one; repeatable")
    listed.add_argument("--kind", action="append", default=[], help="1+1, 2+1, gift, ...")
    listed.add_argument("--category", help="the chain's own section")
    listed.add_argument("--min-price", type=int, metavar="WON", help="at the till")
    listed.add_argument("--max-price", type=int, metavar="WON", help="at the till")
    listed.add_argument("--sort", default="unit-price", help="unit-price or per-100")
    listed.add_argument("--limit", type=int, default=50, help="rows, at most 500 (50)")
    listed.add_argument("--offset", type=int, default=0, help="rows passed over (0)")
    listed.add_argument("--at-version", type=int, metavar="V", help="as it was then")
    _json(listed)


def _feeding(actions: Actions) -> None:
    load = _action(
        actions,
        "load-source",
        "load a further table from CSV or JSON",
        "load-source nutrition.toml nutrition.csv",
    )
    load.add_argument("declaration", type=Path, help="TOML with [[data_source]]")
    load.add_argument("file", type=Path, help="the table; its rows replace those of the last load")
    load.add_argument("--name", help="which source of the declaration (the only one)")
    load.add_argument("--allow-bad", type=int, default=0, metavar="N", help="bad rows left out (0)")
    load.add_argument(
        "--allow-fewer", action="store_true", help="even less than half of the rows there were"
    )
    drop = _action(actions, "drop-source", "forget a loaded table", "drop-source nutrition")
    drop.add_argument("name")
    _json(_action(actions, "sources", "show what a scan is joined to", "sources --json"))


def _caring(actions: Actions) -> None:
    backup = _action(
        actions, "backup", "copy the catalog while it is in use", "backup promotions-backup.db"
    )
    backup.add_argument("out", type=Path, help="file to write; must not exist")
    copy = _bare_action(
        actions, "copy", "copy it into an empty one, also of the other engine", COPY_EXAMPLES
    )
    copy.add_argument("source", metavar="SOURCE", help="path or postgresql://...; is left as it is")
    copy.add_argument("target", metavar="TARGET", help="the same; a new file, or an empty database")
    _json(copy)
    renew = _action(actions, "renew-id", "let all phones begin their copies anew", "renew-id")
    renew.description = (
        "Give the catalog a new id: all phones begin their copies anew. For a catalog that was put "
        "back to an earlier state (a file copy, a point in time of PostgreSQL), and for one of two "
        "copies that both go on. Backups of promolens catalog backup get a new id by themselves."
    )
    _json(renew)
    _json(_action(actions, "check", "check that the catalog is whole", "check"))
    optimize = _action(actions, "optimize", "give back room and keep it quick", "optimize")
    optimize.add_argument("--reindex", action="store_true", help="also build the text index anew")


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
