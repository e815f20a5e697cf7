"""Open the bundle that a subcommand was given."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from promolens_runtime.bundle import Bundle
    from promolens_runtime.embedder import Embedder
    from promolens_runtime.recognizer import Recognizer


def open_bundle(args: argparse.Namespace) -> Bundle:
    """Read `args.bundle`, checked with `args.public_key`, unsigned only with `args.allow_unsigned`.

    Raises:
        BundleError: it does not verify.
    """
    from promolens_runtime.bundle import read_bundle
    from promolens_runtime.signing import verification_key

    key = verification_key(args.public_key)
    return read_bundle(args.bundle, key, allow_unsigned=args.allow_unsigned)


def open_recognizer(args: argparse.Namespace, num_threads: int = 2) -> Recognizer:
    """Open the recogniser of that bundle. Raises BundleError as `open_bundle`."""
    from promolens_runtime.quiet import quiet_stderr
    from promolens_runtime.recognizer import Recognizer

    with quiet_stderr():  # LiteRT says on stderr which delegate it made
        return Recognizer(open_bundle(args), num_threads=num_threads)


def open_embedder(bundle: Bundle) -> Embedder:
    """Open the embedding model of a bundle. Raises BundleError when it has none."""
    from promolens_runtime.embedder import Embedder
    from promolens_runtime.quiet import quiet_stderr

    with quiet_stderr():  # as above
        return Embedder(bundle)
