"""Answer over HTTP: promotions, stores, copies for phones, bundles.

Runs until Ctrl-C or SIGTERM; running requests are answered first. What may be seen is in a TOML
file (--config), addresses of databases and secrets are in the environment. See docs/server.md.

--demo fills an empty catalog first: stand-in shops are opened on this machine and really crawled,
and a list of invented stores is imported.

examples:
  promolens serve --demo
  promolens serve --port 8080 --database promotions.db
  promolens serve --app android_assets
  promolens serve --config server.toml --workers 4
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from promolens_server.config import ServerConfig


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `promolens serve`."""
    parser.add_argument("--host", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, help="0 for any free one (8000)")
    parser.add_argument("--workers", type=int, metavar="N", help="processes (1)")
    parser.add_argument(
        "--database",
        metavar="URL",
        help="path or postgresql://... (PROMOLENS_DATABASE_URL, else promotions.db)",
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="TOML (PROMOLENS_SERVER_CONFIG)"
    )
    parser.add_argument(
        "--app", type=Path, metavar="DIR", help="serve the camera app that `make app` built in DIR"
    )
    parser.add_argument(
        "--demo", action="store_true", help="fill an empty catalog from stand-in shops first"
    )


def run(args: argparse.Namespace) -> int:
    """Fill the catalog where that is asked for, then serve."""
    import os

    from promolens_server.config import APP_VARIABLE, CONFIG_VARIABLE
    from promolens_server.running import check_free, serve

    if args.app is not None:
        os.environ[APP_VARIABLE] = str(args.app.absolute())
    config = _config(args)
    if args.config is not None:
        # Workers read the file again.
        os.environ[CONFIG_VARIABLE] = str(args.config.absolute())
    check_free(config.host, config.port)
    _prepare(config, demo=args.demo)
    return serve(config)


def _config(args: argparse.Namespace) -> ServerConfig:
    from dataclasses import replace

    from promolens_runtime.errors import InputError
    from promolens_server.config import load_config

    names = ("host", "port", "workers")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if args.database is not None:
        given["database_url"] = args.database
    try:
        return replace(load_config(args.config), **given)
    except ValueError as error:
        raise InputError(f"Expected sound options. Received: {error}. Change them.") from error


def _prepare(config: ServerConfig, *, demo: bool) -> None:
    """Open the catalog once before the service does: what is wrong with it is one line here."""
    from promolens_catalog.database import now_version, open_database
    from promolens_cli.demo_filling import fill_in_own_process

    database = open_database(config.database_url)
    try:
        with database.read() as connection:
            version = now_version(connection)
        place = database.place
    finally:
        database.close()
    if version:
        if demo:
            _say(f"note: {place} has rows already; the stand-in shops were not crawled")
    elif demo:
        fill_in_own_process(config.database_url)
    else:
        _say(
            f"note: {place} is empty, so every product is unknown. Fill it: "
            "promolens crawl run, promolens crawl import, or promolens serve --demo"
        )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
