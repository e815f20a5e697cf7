"""Open stand-in shops on this machine: one small site per chain, selling invented products.

They have the structure of the real pages, quirks included, and every way in which a shop can go
wrong can be switched on. They listen on loopback only and run until Ctrl-C. See
docs/demo-shops.md.

examples:
  promolens demo-shops
  promolens demo-shops --config demo.toml
  promolens demo-shops --products 2000 --port 8100
  promolens demo-shops --pictures demo_data --month 2026-12
  promolens demo-shops --mode cu=drop --mode gs25=slow:3,price
  promolens demo-shops --robots real --access-log shops.jsonl
  promolens demo-shops --list-modes
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
    from collections.abc import Mapping, Sequence

    from promolens_catalog.chains import Chain
    from promolens_demo.shops.running import Shops
    from promolens_demo.shops.settings import ShopSettings

_WHOLE = ("chain", "address", "rows", "mode", "end")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `promolens demo-shops`."""
    parser.add_argument("--products", type=int, default=120, help="promotions of each chain (120)")
    parser.add_argument("--seed", type=int, default=2026, help="of who sells what (2026)")
    parser.add_argument("--month", metavar="YYYY-MM", help="month shown (this one, in Korea)")
    parser.add_argument(
        "--pictures", type=Path, metavar="DIR", help="demo data whose pictures are shown"
    )
    parser.add_argument(
        "--mode",
        action="append",
        default=[],
        metavar="CHAIN=MODE",
        help="switch hostile modes on (several: commas, or the option again)",
    )
    parser.add_argument(
        "--robots", default="open", metavar="RULES", help="open (default), or real shops' rules"
    )
    parser.add_argument(
        "--access-log", type=Path, metavar="FILE", help="add every request, as JSON lines"
    )
    parser.add_argument(
        "--port", type=int, default=0, help="port of the first shop, others follow (free ones)"
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="write what `promolens crawl` needs for them"
    )
    parser.add_argument("--list-modes", action="store_true", help="list the modes and stop")
    parser.add_argument("--json", action="store_true", help="print addresses or modes as JSON")


def run(args: argparse.Namespace) -> int:
    """List the modes, or open the shops until Ctrl-C."""
    if args.list_modes:
        return _list_modes(args.json)
    from promolens_demo.shops.running import Shops

    with Shops(_settings(args), first_port=args.port, access_log=args.access_log) as shops:
        if args.config:
            _write_config(args.config, shops)
        _tell(shops, args.json)
        _wait_for_interrupt()
    print("closed", file=sys.stderr)
    return 0


def _write_config(path: Path, shops: Shops) -> None:
    from promolens_crawler.config_text import demo_config_text, write_demo

    write_demo(path, demo_config_text({chain: shops.home(chain) for chain in shops.shops}))
    print(f"crawl them: promolens crawl run --all --config {path}", file=sys.stderr)


def _settings(args: argparse.Namespace) -> ShopSettings:
    from promolens_catalog.calendar import korean_month
    from promolens_demo.shops.loopback import utc_now
    from promolens_demo.shops.settings import ShopSettings

    return ShopSettings(
        month=args.month or korean_month(utc_now()),
        n_rows=args.products,
        seed=args.seed,
        modes=_modes(args.mode),
        robots=args.robots,
        pictures=args.pictures,
    )


def _modes(options: Sequence[str]) -> Mapping[Chain, str]:
    from promolens_catalog.chains import Chain
    from promolens_demo.shops.assortment import SHOPS
    from promolens_runtime.errors import InputError

    modes: dict[Chain, str] = {}
    for option in options:
        name, equals, words = option.partition("=")
        if not equals or name not in SHOPS:
            raise InputError(
                f"Expected --mode CHAIN=MODE with one of {', '.join(SHOPS)}. "
                f"Received {option[:60]!r}. For example: --mode cu=drop"
            )
        chain = Chain(name)
        modes[chain] = f"{modes[chain]},{words}" if chain in modes else words
    return modes


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


def _tell(shops: Shops, as_json: bool) -> None:
    rows = [
        {
            "chain": str(chain),
            "name": shop.name_en,
            "home": shops.home(chain),
            "address": shops.home(chain) + "/",
            "page": shops.start_page(chain),
            "rows": len(shop.rows()),
            "modes": ",".join(shop.modes),
        }
        for chain, shop in shops.shops.items()
    ]
    if as_json:
        print(json.dumps({"month": shops.settings.month, "shops": rows}), flush=True)
        return
    title = f"Stand-in shops, {shops.settings.month}. Ctrl-C closes them."
    _table(title, ("chain", "address", "rows", "modes"), rows)


def _list_modes(as_json: bool) -> int:
    from promolens_demo.shops.modes import MODES, End

    rows = [
        {
            "mode": mode.name if mode.number is None else f"{mode.name}:{mode.number:g}",
            "unit": mode.unit,
            "what happens": mode.summary,
            "end": mode.end.name.lower(),
            "crawl": mode.end.value,
            "reason": mode.reason,
            "not_at": list(mode.not_at),
        }
        for mode in MODES.values()
    ]
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=1))
        return 0
    title = "--mode CHAIN=MODE[:NUMBER][@COUNT], several joined by commas; see docs/demo-shops.md."
    _table(title, ("mode", "what happens", "end", "reason"), rows)
    print("A crawl in such a mode must end like this:")
    for end in End:
        print(f"  {end.name.lower():8} {end.value}")
    return 0


def _table(title: str, columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    """Print a table; plain lines where the package for tables is not installed."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        print(title)
        for row in rows:
            print("  ".join(str(row[column]) for column in columns), flush=True)
        return
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in columns:
        # An address that is broken over two lines cannot be clicked or copied.
        longest = max(len(str(row[column])) for row in rows)
        table.add_column(column, overflow="fold", min_width=longest if column in _WHOLE else None)
    for row in rows:
        table.add_row(*(str(row[column]) for column in columns))
    Console().print(table)
    sys.stdout.flush()
