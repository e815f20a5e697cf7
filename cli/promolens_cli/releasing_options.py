"""Options of the commands that offer bundles and galleries to phones."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

STORE_VARIABLE = "PROMOLENS_BUNDLE_STORE"


def configure_releasing(actions: Any, noun: str, example: str) -> argparse.ArgumentParser:
    """Add `publish` and what goes with it; returns the parser of `publish`, still without a path.

    Args:
        noun: the command, `bundle` or `gallery`.
        example: a path that is published.
    """
    publish = _publish(actions, noun, example)
    _channels(actions, noun)
    return publish


def _publish(actions: Any, noun: str, example: str) -> argparse.ArgumentParser:
    publish: argparse.ArgumentParser = actions.add_parser(
        "publish",
        help=f"verify a {noun} and offer it to phones",
        description=f"Copy a {noun} into the store, verify the copy, and offer it on a channel.",
        epilog=f"example: promolens {noun} publish {example} --store /srv/bundles",
    )
    publish.add_argument(
        "--rollout",
        type=_percent,
        default=100,
        metavar="PERCENT",
        help="share of the phones that get it at first, 1 to 100 (100)",
    )
    publish.add_argument("--public-key", metavar="K", help="ed25519:<base64>, of the bundle")
    publish.add_argument(
        "--allow-downgrade",
        action="store_true",
        help="offer it though phones may have a higher version, and refuse it",
    )
    _channel_options(publish, noun)
    return publish


def _channels(actions: Any, noun: str) -> None:
    rollout = actions.add_parser(
        "rollout",
        help="offer the release that is being rolled out to more phones, or to fewer",
        description="Change the share of a roll-out: 0 pauses it, 100 ends it.",
        epilog=f"example: promolens {noun} rollout 50 --store /srv/bundles",
    )
    rollout.add_argument("percent", type=_percent, metavar="PERCENT", help="0 to 100")
    _channel_options(rollout, noun)
    rollback = actions.add_parser(
        "rollback",
        help="stop offering the newest release",
        description="Stop a roll-out, or else offer the release before again.",
        epilog=f"example: promolens {noun} rollback --channel beta --store /srv/bundles",
    )
    rollback.add_argument("--to", type=int, metavar="VERSION", help="(the one before)")
    _channel_options(rollback, noun)
    releases = actions.add_parser(
        "releases",
        help="show the channels and all releases of a store",
        description="Show what each channel offers, and all releases that are in the store.",
        epilog=f"example: promolens {noun} releases --store /srv/bundles --json",
    )
    _store_options(releases, noun)
    prune = actions.add_parser(
        "prune",
        help="remove old releases from a store",
        description="Remove releases but for the last ones and for those that a channel offers or "
        "could go back to. Running downloads end well.",
        epilog=f"example: promolens {noun} prune --keep 5 --dry-run --store /srv/bundles",
    )
    prune.add_argument(
        "--keep", type=int, default=5, metavar="N", help="the last ones that stay, at least 1 (5)"
    )
    prune.add_argument("--dry-run", action="store_true", help="only say what would go")
    _store_options(prune, noun)


def _channel_options(parser: argparse.ArgumentParser, noun: str) -> None:
    parser.add_argument("--channel", choices=("stable", "beta"), default="stable", help="(stable)")
    parser.add_argument("--by", metavar="WHO", help="kept with the deed (the login name)")
    _store_options(parser, noun)


def _store_options(parser: argparse.ArgumentParser, noun: str) -> None:
    parser.add_argument(
        "--store",
        type=Path,
        metavar="DIR",
        default=os.environ.get(STORE_VARIABLE) or None,
        help=f"the bundle store ({STORE_VARIABLE})",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(noun=noun)


def _percent(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"expected 0 to 100 percent, received {text}")
    return value
