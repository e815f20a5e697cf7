"""Open a stand-in map service on this machine: Kakao Local, Overpass and Naver local search.

It knows one table of invented stores, listens on loopback only, and every way in which such a
service fails can be switched on. It runs until Ctrl-C. See docs/stores.md.

examples:
  promolens demo-maps
  promolens demo-maps --config server-demo.toml
  promolens demo-maps --mode kakao=429 --mode overpass=remark
  promolens demo-maps --csv demo-stores.csv
  promolens demo-maps --list-modes
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from promolens_demo.maps.running import MapService


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `promolens demo-maps`."""
    parser.add_argument("--stores", type=int, default=900, help="invented stores (900)")
    parser.add_argument("--seed", type=int, default=2026, help="of where they are (2026)")
    parser.add_argument("--port", type=int, default=0, help="port (a free one)")
    parser.add_argument(
        "--mode",
        action="append",
        default=[],
        metavar="PROVIDER=MODE",
        help="let kakao, overpass or naver go wrong; repeatable",
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="write what `promolens serve` needs for it"
    )
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", help="write the stores as a list, and stop"
    )
    parser.add_argument("--list-modes", action="store_true", help="list the modes, and stop")
    parser.add_argument("--json", action="store_true", help="print addresses or modes as JSON")


def run(args: argparse.Namespace) -> int:
    """List the modes, write the stores, or open the service until Ctrl-C."""
    if args.list_modes:
        return _list_modes(as_json=args.json)
    from promolens_demo.maps.stores import demo_stores, write_stores

    stores = demo_stores(args.seed, args.stores)
    if args.csv:
        write_stores(args.csv, stores)
        print(f"{args.csv}: {len(stores)} invented stores")
        return 0
    from promolens_demo.maps.running import MapService

    with MapService(stores, port=args.port) as maps:
        for option in args.mode:
            _switch(maps, option)
        if args.config:
            args.config.write_text(_config_text(maps), encoding="utf-8")
        _tell(maps, len(stores), as_json=args.json)
        _wait_for_interrupt()
    print("closed", file=sys.stderr)
    return 0


def _switch(maps: MapService, option: str) -> None:
    from promolens_runtime.errors import InputError

    provider, equals, words = option.partition("=")
    if not equals:
        raise InputError(
            f"Expected --mode PROVIDER=MODE. Received {option[:60]!r}. "
            "For example: --mode kakao=429"
        )
    maps.set_mode(provider, words)


def _config_text(maps: MapService) -> str:
    return (
        "# A stand-in map service in place of the real ones; any KAKAO_REST_API_KEY will do.\n"
        "[stores]\n"
        'providers = ["kakao", "overpass", "local"]\n'
        f'\n[stores.kakao]\nurl = "{maps.kakao_url}"\n'
        f'\n[stores.overpass]\nurl = "{maps.overpass_url}"\n'
    )


def _tell(maps: MapService, count: int, *, as_json: bool) -> None:
    rows = {"kakao": maps.kakao_url, "overpass": maps.overpass_url, "naver": maps.kakao_url}
    modes = maps.modes()
    if as_json:
        services = {name: {"url": url, "mode": modes[name]} for name, url in rows.items()}
        print(json.dumps({"stores": count, "services": services}), flush=True)
        return
    print(f"Stand-in map service, {count} invented stores. Ctrl-C closes it.")
    for name, url in rows.items():
        print(f"  {name:9} {url:44} {modes[name]}".rstrip(), flush=True)


def _list_modes(*, as_json: bool) -> int:
    from promolens_demo.maps.modes import MODES

    if as_json:
        rows = [
            {"mode": one.name, "number": one.number, "what happens": one.summary, "of": one.of}
            for one in MODES.values()
        ]
        print(json.dumps(rows, ensure_ascii=False, indent=1))
        return 0
    for one in MODES.values():
        shown = one.name if one.number is None else f"{one.name}:{one.number:g}"
        only = "" if len(one.of) > 1 else f" ({', '.join(one.of)} only)"
        print(f"  {shown:12} {one.summary}{only}")
    return 0


def _wait_for_interrupt() -> None:
    """Sleep until Ctrl-C, or until somebody ends the program politely (SIGTERM)."""
    ended = threading.Event()
    earlier = signal.signal(signal.SIGTERM, lambda *_: ended.set())
    try:
        ended.wait()
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, earlier)
