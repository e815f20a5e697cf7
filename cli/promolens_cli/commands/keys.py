"""Make, list and revoke the API keys of `promolens serve`.

A key is shown once, when it is made; only its hash is kept, in the file that the service's
configuration names ([keys] file, or PROMOLENS_KEYS_FILE). A running service sees changes within a
second. See docs/server.md.

examples:
  promolens keys add "shop app" --file keys.json
  promolens keys add partner --file keys.json --per-s 5 --burst 20 --days 90
  promolens keys list --file keys.json --json
  promolens keys revoke 1f0c9a2b --file keys.json
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    Actions: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]

_MOST_DAYS = 3_650


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the three actions and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = _action(actions, "add", "make a key and show it once", 'add "shop app"')
    add.add_argument("name", help="whose it is, at most 100 characters")
    add.add_argument("--per-s", type=float, metavar="N", help="requests a second (as configured)")
    add.add_argument("--burst", type=int, metavar="N", help="requests at once (as configured)")
    add.add_argument("--days", type=int, metavar="N", help="until it ends by itself (never)")
    _action(actions, "list", "show all keys, without their secrets", "list --json")
    revoke = _action(actions, "revoke", "make a key count no more", "revoke 1f0c9a2b")
    revoke.add_argument("id", help="as `list` shows it")


def run(args: argparse.Namespace) -> int:
    """Run one action."""
    return {"add": _add, "list": _list, "revoke": _revoke}[args.action](args)


def _action(actions: Actions, name: str, summary: str, example: str) -> argparse.ArgumentParser:
    action = actions.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=f"example: promolens keys {example} --file keys.json",
    )
    action.add_argument(
        "--file", type=Path, metavar="FILE", help="of keys (PROMOLENS_KEYS_FILE, or [keys] file)"
    )
    action.add_argument(
        "--config", type=Path, metavar="FILE", help="of the service (PROMOLENS_SERVER_CONFIG)"
    )
    action.add_argument("--json", action="store_true", help="print the answer as JSON")
    return action


def _file(args: argparse.Namespace) -> Path:
    from promolens_runtime.errors import InputError
    from promolens_server.config import load_config

    found: Path | None = args.file or load_config(args.config).keys.file
    if found is None:
        raise InputError(
            "Expected a file for the keys. Received none. Give --file keys.json, and name the same "
            "file to the service: PROMOLENS_KEYS_FILE=keys.json"
        )
    return found


def _add(args: argparse.Namespace) -> int:
    from datetime import timedelta

    from promolens_runtime.errors import InputError
    from promolens_server.keys import add_key
    from promolens_server.services import utc_now

    if args.days is not None and not 1 <= args.days <= _MOST_DAYS:
        raise InputError(f"Expected --days of 1 to {_MOST_DAYS}. Received {args.days}. Change it.")
    path, now = _file(args), utc_now()
    ends = now + timedelta(days=args.days) if args.days else None
    key, text = add_key(path, args.name, now, expires_at=ends, per_s=args.per_s, burst=args.burst)
    if args.json:
        print(json.dumps({"id": key.id, "name": key.name, "key": text}, ensure_ascii=False))
        return 0
    print(text)
    print(f"key {key.id} in {path}: send it as X-API-Key. It is shown only now.", file=sys.stderr)
    return 0


def _list(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from promolens_server.keys import read_keys
    from promolens_server.services import utc_now

    now, keys = utc_now(), read_keys(_file(args))
    if args.json:
        rows = [{**asdict(key), "good": key.good_at(now)} for key in keys]
        for row in rows:
            del row["sha256"]
        print(json.dumps(rows, ensure_ascii=False, indent=1))
        return 0
    for key in keys:
        state = "good" if key.good_at(now) else "revoked" if key.revoked_at else "ended"
        until = f", until {key.expires_at[:10]}" if key.expires_at else ""
        print(f"{key.id}  {state:<8} made {key.made_at[:10]}{until}  {key.name}")
    if not keys:
        print("no keys yet: promolens keys add NAME", file=sys.stderr)
    return 0


def _revoke(args: argparse.Namespace) -> int:
    from promolens_server.keys import revoke_key
    from promolens_server.services import utc_now

    key = revoke_key(_file(args), args.id, utc_now())
    if args.json:
        print(json.dumps({"id": key.id, "revoked_at": key.revoked_at}))
    else:
        print(f"{key.id} ({key.name}) counts no more")
    return 0
