"""Crawl the chains' promotion lists, and decide what is published.

A crawl is published only when it was read whole and looks like a list of that chain; otherwise it
is held for a person or fails, and what was published before stays. Nothing live is crawled until a
configuration switches a source on (docs/crawling-manners.md).

`run` ends with 0 if all chains were published or unchanged, 1 if one failed or its source is gone,
3 if one is held, 4 if another crawl of a chain was running, 130 after Ctrl-C; a later run goes on.

examples:
  promolens crawl init
  promolens crawl run --all --config demo.toml --database promotions.db
  promolens crawl run cu emart24 --transport browser --json
  promolens crawl status
  promolens crawl diff cu
  promolens crawl approve 12
  promolens crawl rollback cu
  promolens crawl import gs25 list.csv --month 2026-11
  promolens crawl replay cu/2026-11-20261121T064512Z-1f0c9a
  promolens crawl report --out crawl-report.html
  promolens crawl daemon --config crawl.toml
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
DEFAULT_CONFIG = "crawl.toml"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _run_options(actions)
    _deciding_options(actions)
    _other_options(actions)


def run(args: argparse.Namespace) -> int:
    """Run one action."""
    from promolens_cli import crawl_deciding, crawl_running

    table = {
        "run": crawl_running.run_crawls,
        "daemon": crawl_running.run_daemon,
        "replay": crawl_running.replay,
        "import": crawl_running.import_list,
        "init": crawl_running.write_config,
        "status": crawl_deciding.status,
        "diff": crawl_deciding.diff,
        "approve": crawl_deciding.approve,
        "reject": crawl_deciding.reject,
        "rollback": crawl_deciding.rollback,
        "report": crawl_deciding.report,
    }
    return table[args.action](args)


def _action(actions: Actions, name: str, summary: str, example: str) -> argparse.ArgumentParser:
    return actions.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=f"example: promolens crawl {example}",
    )


def _run_options(actions: Actions) -> None:
    run_ = _action(actions, "run", "crawl now", "run --all --config demo.toml")
    run_.add_argument("chains", nargs="*", metavar="CHAIN", help="cu, gs25, seven, ...")
    run_.add_argument("--all", action="store_true", help="every source that is switched on")
    _places(run_)
    run_.add_argument("--month", metavar="YYYY-MM", help="of the lists (this one, in Korea)")
    run_.add_argument("--transport", metavar="NAME", help="http or browser (as configured)")
    run_.add_argument("--fresh", action="store_true", help="begin anew, also after a kill")
    _json(run_)
    daemon = _action(actions, "daemon", "crawl on schedule until stopped", "daemon")
    _places(daemon)
    replay = _action(
        actions, "replay", "read an archived crawl again", "replay cu/2026-11-... --publish"
    )
    replay.add_argument("name", metavar="CRAWL", help="its name in the archive")
    _places(replay)
    replay.add_argument("--publish", action="store_true", help="publish or hold what it gives")
    _json(replay)


def _deciding_options(actions: Actions) -> None:
    status = _action(actions, "status", "show how every chain is doing", "status --json")
    status.add_argument("chains", nargs="*", metavar="CHAIN", help="only these")
    _database(status)
    _json(status)
    diff = _action(actions, "diff", "show what differs between two snapshots", "diff cu 11 12")
    diff.add_argument("chain", metavar="CHAIN")
    diff.add_argument(
        "snapshots",
        nargs="*",
        type=int,
        metavar="SNAPSHOT",
        help="two numbers (the published one against the held one, else the one before)",
    )
    diff.add_argument("--rows", type=int, default=20, help="rows shown of each sort (20)")
    _database(diff)
    _json(diff)
    approve = _action(actions, "approve", "publish a held snapshot", "approve 12")
    approve.add_argument("snapshot", type=int)
    _decision(approve)
    reject = _action(actions, "reject", "throw a held snapshot away", "reject 12 --reason old")
    reject.add_argument("snapshot", type=int)
    reject.add_argument("--reason", default="", help="kept with it")
    _decision(reject)
    rollback = _action(
        actions, "rollback", "publish an earlier snapshot's rows again", "rollback cu --to 9"
    )
    rollback.add_argument("chain", metavar="CHAIN")
    rollback.add_argument("--to", type=int, metavar="SNAPSHOT", help="(the one before)")
    _decision(rollback)


def _other_options(actions: Actions) -> None:
    report = _action(
        actions, "report", "write a page about all chains", "report --out crawl-report.html"
    )
    report.add_argument("--out", type=Path, default=Path("crawl-report.html"), metavar="FILE.html")
    _places(report)
    import_ = _action(
        actions,
        "import",
        "take a chain's list from a CSV or JSON file",
        "import gs25 list.csv --month 2026-11",
    )
    import_.add_argument("chain", metavar="CHAIN")
    import_.add_argument("file", type=Path)
    _places(import_)
    import_.add_argument("--month", metavar="YYYY-MM", help="of the list (this one, in Korea)")
    _json(import_)
    init = _action(actions, "init", "write a configuration with everything off", "init crawl.toml")
    init.add_argument("file", type=Path, nargs="?", default=Path(DEFAULT_CONFIG))


def _places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help=f"what is crawled and how ({DEFAULT_CONFIG}, where there is one)",
    )
    _database(parser)


def _database(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--database",
        metavar="URL",
        default=os.environ.get(DATABASE_VARIABLE) or DEFAULT_DATABASE,
        help=f"path or postgresql://... ({DATABASE_VARIABLE}, else {DEFAULT_DATABASE})",
    )


def _decision(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--by", metavar="NAME", help="who decides, for the log (the login name)")
    _database(parser)
    _json(parser)


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
