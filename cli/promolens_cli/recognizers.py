"""Open the bundle that a subcommand was given."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from promolens_runtime.embedder import Embedder
    from promolens_runtime.recognizer import Recognizer


def open_recognizer(args: argparse.Namespace, num_threads: int = 2) -> Recognizer:
    """Open `args.bundle`, checked with `args.public_key`, unsigned only with `args.allow_unsigned`.

    Raises:
        BundleError: it does not verify.
    """
    from promolens_runtime.quiet import quiet_stderr
    from promolens_runtime.recognizer import Recognizer
    from promolens_runtime.signing import verification_key

    with quiet_stderr():  # LiteRT says on stderr which delegate it made
        return Recognizer.open(
            args.bundle,
            public_key=verification_key(args.public_key),
            num_threads=num_threads,
            allow_unsigned=args.allow_unsigned,
        )


def open_embedder(args: argparse.Namespace, num_threads: int = 2) -> Embedder:
    """Open the embedding model of `args.bundle`, checked as `open_recognizer` checks it.

    Raises:
        BundleError: it does not verify.
    """
    from promolens_runtime.embedder import Embedder
    from promolens_runtime.quiet import quiet_stderr
    from promolens_runtime.signing import verification_key

    with quiet_stderr():  # LiteRT says on stderr which delegate it made
        return Embedder.open(
            args.bundle,
            public_key=verification_key(args.public_key),
            num_threads=num_threads,
            allow_unsigned=args.allow_unsigned,
        )
