"""Import public lists of stores into the catalog, and find the nearest ones.

`import` takes the CSV files of the data portals as they come (SEMAS 상가(상권)정보, 경기데이터드림
편의점 현황), or a list of one's own with `name`, `latitude`, `longitude`; delimiter, encoding and
columns are found out. A list is replaced as a whole by its next import, and what it does not have
any more is taken for closed. See docs/stores.md.

examples:
  promolens stores import 소상공인시장진흥공단_상가정보_경기_202609.csv
  promolens stores import suwon.csv yongin.csv --json
  promolens stores nearby --lat 37.2664 --lon 127.0005 --radius-m 800 --chain cu --chain gs25
  promolens stores sources
  promolens stores drop gyeonggi-수원시
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


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _import_options(actions)
    near = _action(
        actions, "nearby", "show the nearest stores", "nearby --lat 37.2664 --lon 127.0005"
    )
    near.add_argument("--lat", type=float, required=True, help="latitude, WGS84")
    near.add_argument("--lon", type=float, required=True, help="longitude, WGS84")
    near.add_argument("--radius-m", type=float, default=1000.0, help="metres, at most 20000 (1000)")
    near.add_argument("--chain", action="append", default=[], help="only this one; repeatable")
    near.add_argument("--limit", type=int, default=15, help="stores shown, at most 100 (15)")
    _json(near)
    _json(_action(actions, "sources", "show the lists that were imported", "sources --json"))
    drop = _action(actions, "drop", "forget a list and its stores", "drop gyeonggi-수원시")
    drop.add_argument("source")


def run(args: argparse.Namespace) -> int:
    """Run one action."""
    from promolens_cli import store_actions

    table = {
        "import": store_actions.import_files,
        "nearby": store_actions.nearby,
        "sources": store_actions.sources,
        "drop": store_actions.drop,
    }
    return table[args.action](args)


def _import_options(actions: Actions) -> None:
    brought = _action(actions, "import", "bring lists into the catalog", "import suwon.csv")
    brought.add_argument("files", type=Path, nargs="+", metavar="FILE")
    brought.add_argument(
        "--format", default="auto", help="auto (by the columns), semas, gyeonggi or plain"
    )
    brought.add_argument(
        "--source", default="", metavar="NAME", help="name of a plain list (that of its file)"
    )
    brought.add_argument(
        "--attribution", default="", metavar="TEXT", help="to be shown with a plain list's stores"
    )
    brought.add_argument(
        "--allow-fewer", action="store_true", help="even less than half of the stores there were"
    )
    _json(brought)


def _action(actions: Actions, name: str, summary: str, example: str) -> argparse.ArgumentParser:
    action = actions.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=f"example: promolens stores {example}",
    )
    action.add_argument(
        "--database",
        metavar="URL",
        default=os.environ.get(DATABASE_VARIABLE) or DEFAULT_DATABASE,
        help=f"path or postgresql://... ({DATABASE_VARIABLE}, else {DEFAULT_DATABASE})",
    )
    return action


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
