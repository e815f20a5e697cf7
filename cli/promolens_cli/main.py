"""`promolens`: one program, one subcommand a job; heavy imports happen inside the subcommand."""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

INTERRUPTED = 130


@dataclass(frozen=True)
class Command:
    """One subcommand: its name, the module that runs it and its line in `--help`."""

    name: str
    module: str
    summary: str


COMMANDS = (
    Command("demo-data", "demo_data", "draw the demo catalogue: invented products and phone photos"),
    Command("doctor", "doctor", "examine a folder of photos before training"),
    Command("train", "train", "train a recogniser on a folder of photos"),
    Command("evaluate", "evaluate", "measure a bundle on labelled photos"),
    Command("export", "export", "turn a trained run into a verified, signed bundle"),
    Command("bundle", "bundle", "verify a bundle, or make signing keys"),
    Command("predict", "predict", "name the product in a picture"),
    Command("ablation", "ablation", "compare training recipes by grouped k-fold"),
)

EPILOG = """examples:
  promolens demo-data demo_data --products 24 --photos 30
  promolens doctor photos/
  promolens train photos/ --recipe fast --out runs/mine
  promolens export runs/mine --out android_assets
  promolens predict android_assets/bundle shelf.jpg
"""


def _overview() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="promolens",
        description="From a folder of product photos to a verified int8 recogniser on a phone.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    for command in COMMANDS:
        commands.add_parser(command.name, help=command.summary, add_help=False)
    return parser


def _command_parser(command: Command, module: ModuleType) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"promolens {command.name}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.configure(parser)
    return parser


def _version() -> str:
    from importlib.metadata import version

    return version("promolens")


def _dispatch(argv: Sequence[str]) -> int:
    overview = _overview()
    if not argv:
        overview.print_help()
        return 2
    names = {command.name: command for command in COMMANDS}
    if argv[0] not in names:
        overview.parse_args(argv[:1])
        print(_version())
        return 0
    command = names[argv[0]]
    module = importlib.import_module(f"promolens_cli.commands.{command.module}")
    args = _command_parser(command, module).parse_args(argv[1:])
    status: int = module.run(args)
    return status


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand and return its exit status; errors of ours become one line."""
    # A pipe that closes early (`promolens ... | head`) ends the program quietly.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    from promolens_runtime.errors import PromolensError

    try:
        return _dispatch(sys.argv[1:] if argv is None else argv)
    except PromolensError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("error: interrupted; nothing half-written was kept", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
