"""`promolens`: one program, one subcommand a job; heavy imports happen inside the subcommand."""

from __future__ import annotations

import argparse
import difflib
import errno
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import NoReturn

USAGE = 2
MISSING = 5
INTERRUPTED = 130
PIPE_CLOSED = 128 + signal.SIGPIPE
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Command:
    """One subcommand: its name of one or two words, its module and its line in `--help`."""

    name: str
    module: str
    summary: str


COMMANDS = (
    Command("demo", "demo", "open all of it on this machine, for a phone to try"),
    Command(
        "demo-data", "demo_data", "draw the demo catalogue: invented products and phone photos"
    ),
    Command("demo-shops", "demo_shops", "open stand-in shops on this machine"),
    Command("demo-maps", "demo_maps", "open a stand-in map service on this machine"),
    Command("stores", "stores", "import lists of stores, and find the nearest ones"),
    Command("crawl", "crawl", "crawl the chains' lists, and decide what is published"),
    Command("catalog", "catalog", "ask the catalog, feed it further tables, look after it"),
    Command("match", "match", "measure the name matcher, and decide its doubtful links"),
    Command("serve", "serve", "answer over HTTP: promotions, stores, copies for phones, bundles"),
    Command("keys", "keys", "make, list and revoke API keys of the service"),
    Command("doctor", "doctor", "examine a folder of photos before training"),
    Command("train", "train", "train a recogniser on a folder of photos"),
    Command("evaluate", "evaluate", "measure a bundle on labelled photos"),
    Command(
        "evaluate retrieval", "evaluate_retrieval", "measure how a bundle finds catalogue pictures"
    ),
    Command("export", "export", "turn a trained run into a verified, signed bundle"),
    Command("bench", "bench", "time the network on a phone that is connected by adb"),
    Command("bundle", "bundle", "verify a bundle, offer it to phones, make signing keys"),
    Command("gallery", "gallery", "name products that training never saw, from catalogue pictures"),
    Command("predict", "predict", "name the product in a picture"),
    Command("embed", "embed", "train an embedder, or compare embedding recipes"),
    Command("ablation", "ablation", "compare training recipes by grouped k-fold"),
)

EPILOG = """examples:
  promolens demo
  promolens demo-data demo_data --products 24 --photos 30
  promolens doctor photos/
  promolens train photos/ --recipe fast --out runs/mine
  promolens export runs/mine --out android_assets
  promolens predict android_assets/bundle shelf.jpg
  promolens demo-shops --config demo.toml
  promolens crawl run --all --config demo.toml
  promolens crawl status
  promolens serve
"""


# Which extra brings a package that a subcommand imports.
EXTRAS = {
    "cachetools": "server",
    "httpx": "server",
    "alembic": "catalog",
    "rapidfuzz": "catalog",
    "sqlalchemy": "catalog",
    "sqlite_utils": "catalog",
    "psycopg": "postgres",
    "apscheduler": "crawl",
    "prometheus_client": "crawl",
    "protego": "crawl",
    "requests": "crawl",
    "selectolax": "crawl",
    "selenium": "crawl",
    "tenacity": "crawl",
    "brotli": "server",
    "faiss": "retrieval",
    "fastapi": "server",
    "httptools": "server",
    "pydantic": "server",
    "segno": "demo",
    "starlette": "demo",
    "uvicorn": "demo",
    "cv2": "train",
    "imagehash": "train",
    "jinja2": "train",
    "keras": "train",
    "rich": "train",
    "scipy": "train",
    "sklearn": "train",
    "tensorflow": "train",
    "flatbuffers": "export",
    "litert_quantizer": "export",
    "mediapipe": "tasks",
}


class Parser(argparse.ArgumentParser):
    """An argument parser that keeps the layout of its texts and reports mistakes in one line."""

    def __init__(self, *args: object, **options: object) -> None:
        options.setdefault("formatter_class", _layout)
        super().__init__(*args, **options)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        """End with one line and status 2."""
        self.exit(USAGE, f"error: {message}. See: {self.prog} --help\n")


def _layout(prog: str) -> argparse.HelpFormatter:
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=28)


def _overview() -> argparse.ArgumentParser:
    parser = Parser(
        prog="promolens",
        description=(
            "From product photos to a recogniser on a phone, and from the shops' own pages to a\n"
            "catalog of their promotions that is right every day and answers over HTTP."
        ),
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"promolens {_version()}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    for command in COMMANDS:
        commands.add_parser(command.name, help=command.summary, add_help=False)
    return parser


def command_parser(command: Command) -> tuple[argparse.ArgumentParser, ModuleType]:
    """Import the module of one subcommand; return its parser and the module."""
    module = importlib.import_module(f"promolens_cli.commands.{command.module}")
    parser = Parser(prog=f"promolens {command.name}", description=module.__doc__)
    module.configure(parser)
    return parser, module


def find_command(argv: Sequence[str]) -> tuple[Command | None, Sequence[str]]:
    """Return the subcommand that the first words name, two words before one, and what follows."""
    commands = {command.name: command for command in COMMANDS}
    for length in (2, 1):
        command = commands.get(" ".join(argv[:length]))
        if command is not None:
            return command, argv[length:]
    return None, argv


def _version() -> str:
    from importlib.metadata import version

    return version("promolens")


def _unknown_command(parser: argparse.ArgumentParser, name: str) -> NoReturn:
    names = [command.name for command in COMMANDS]
    near = difflib.get_close_matches(name, names, n=2, cutoff=0.5)
    advice = f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(names)}."
    parser.exit(USAGE, f"error: Expected a command. Received {name!r}. {advice}\n")


def _dispatch(argv: Sequence[str]) -> int:
    command, rest = find_command(argv)
    if command is not None:
        parser, module = command_parser(command)
        status: int = module.run(parser.parse_args(rest))
        return status
    overview = _overview()
    if argv and not argv[0].startswith("-"):
        _unknown_command(overview, argv[0])
    overview.parse_args(argv[:1])
    overview.print_help(sys.stderr)
    return USAGE


def _os_error_line(error: OSError) -> str:
    place = f" at {error.filename}" if error.filename is not None else ""
    # NumPy reports a write that came out short without an errno.
    short_write = error.errno is None and str(error).endswith(" written")
    if error.errno in FULL or short_write:
        return (
            f"Expected free disk space{place}. Received a full disk, quota or file size limit. "
            "Free some (the temporary folder counts too: TMPDIR) and run again; "
            "what was there before is unchanged."
        )
    return (
        f"Expected files that can be read and written. Received {error.strerror or error}{place}. "
        "Check the path and its permissions."
    )


def _interrupted_line(argv: Sequence[str]) -> str:
    if argv[:1] == ["train"] or argv[:2] == ["embed", "train"]:
        return "interrupted; finished steps are kept: the same command with --resume goes on"
    if argv[:2] == ["embed", "compare"]:
        return "interrupted; finished steps are kept: the same command goes on"
    return "interrupted; nothing half-written was kept"


def _missing_package_line(error: ModuleNotFoundError) -> str | None:
    package = (error.name or "").partition(".")[0]
    extra = EXTRAS.get(package)
    if extra is None:
        return None
    return (
        f"Expected the Python package {package}. Received none. "
        f'Run: pip install "promolens[{extra}]"'
    )


def _reader_gone() -> int:
    """End quietly when the pipe closed early (`promolens ... | head`).

    SIGPIPE stays ignored, as Python has it: its default would also end a crawl whose shop hangs up.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())  # or the interpreter's last flush would complain
    return PIPE_CLOSED


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand and return its exit status; errors of ours become one line."""
    from promolens_runtime.errors import PromolensError

    try:
        status = _dispatch(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        return _reader_gone()
    except PromolensError as error:
        line, status = str(error), error.exit_status
    except KeyboardInterrupt:
        line, status = _interrupted_line(sys.argv[1:] if argv is None else argv), INTERRUPTED
    except OSError as error:
        line, status = _os_error_line(error), 1
    except ModuleNotFoundError as error:
        missing = _missing_package_line(error)
        if missing is None:
            raise
        line, status = missing, MISSING
    print(f"error: {line}", file=sys.stderr)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
