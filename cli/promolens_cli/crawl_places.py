"""What the actions of `promolens crawl` open: the configuration, the catalog, the log."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from promolens_runtime.errors import InputError

if TYPE_CHECKING:
    from promolens_catalog.chains import Chain
    from promolens_catalog.database import Database
    from promolens_catalog.links import Linker
    from promolens_crawler.config import CrawlerConfig

DEFAULT_CONFIG = Path("crawl.toml")
MAX_NAME_CHARACTERS = 80


class _StderrLines(logging.Handler):
    """Writes to whatever stderr is at the moment: a progress bar moves out of the way of a line."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr, flush=True)


def log_to_stderr() -> None:
    """Show the crawler's own lines and everybody's warnings, in UTC."""
    handler = _StderrLines()
    formatter = logging.Formatter("%(asctime)sZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    # On a terminal there are bars and a summary; a log file gets a line for each crawl.
    level = logging.WARNING if sys.stderr.isatty() else logging.INFO
    logging.getLogger("promolens_crawler").setLevel(level)


def person_named(name: str | None) -> str:
    """Return who decides: the name given, else the login name, as one word or quoted.

    Raises:
        InputError: a name that a log line cannot hold.
    """
    if name is None:
        try:
            name = getpass.getuser()
        except (KeyError, OSError):  # an account without a name, as in some containers
            name = f"uid-{os.getuid()}"
    if not 1 <= len(name.strip()) <= MAX_NAME_CHARACTERS or not name.isprintable():
        raise InputError(
            f"Expected a name of 1 to {MAX_NAME_CHARACTERS} printable characters. Received "
            f"{name[:40]!r}. Say who decides with --by NAME."
        )
    return name.strip()


def open_config(args: argparse.Namespace) -> CrawlerConfig:
    """Return the configuration of --config, else of crawl.toml, else the one with all off."""
    from promolens_crawler.config import load_config

    path: Path | None = args.config
    if path is None and DEFAULT_CONFIG.is_file():
        path = DEFAULT_CONFIG
    return load_config(path)


def opened_database(
    args: argparse.Namespace, *, must_exist: bool = False
) -> contextlib.AbstractContextManager[Database]:
    """Give the catalog of --database, as `opened_catalog` does."""
    return opened_catalog(args.database, must_exist=must_exist)


@contextlib.contextmanager
def opened_catalog(address: str, *, must_exist: bool = False) -> Iterator[Database]:
    """Give a catalog and close it.

    Raises:
        InputError: with `must_exist`, where a file is named that is not there.
    """
    from promolens_catalog.database import open_database

    file = address.removeprefix("sqlite:///")
    if must_exist and "://" not in file and not Path(file).exists():
        raise InputError(
            f"Expected a catalog at {file}. Received no file. Crawl first "
            "(promolens crawl run), or name another with --database."
        )
    database = open_database(address)
    try:
        yield database
    finally:
        database.close()


def chain_named(name: str) -> Chain:
    """Return a chain; raises InputError for another name."""
    from promolens_catalog.chains import Chain

    try:
        return Chain(name)
    except ValueError:
        raise InputError(
            f"Expected one of {', '.join(Chain)}. Received {name[:40]!r}. Check the spelling."
        ) from None


def chains_named(names: Sequence[str]) -> list[Chain]:
    """Return chains, each once, in the order given; raises InputError."""
    return list(dict.fromkeys(chain_named(name) for name in names))


def default_linker() -> Linker:
    """Return what finds the items of rows without a barcode."""
    from promolens_catalog.linking import NameLinker

    return NameLinker()
