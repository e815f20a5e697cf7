"""Where LiteRT's `benchmark_model` for Android comes from.

It is in no package: `litert benchmark --android` of litert-cli downloads it and keeps it in
~/.cache/litert-cli. litert-cli pins another LiteRT than promolens does, so it lives in an
environment of its own and is only called as a program.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from promolens_runtime.errors import InputError, MissingError

NAME = "benchmark_model"
_FETCH_S = 900.0
_ARM64 = "arm64-v8a"


@dataclass(frozen=True)
class Wanted:
    """What the program is looked for with.

    Attributes:
        given: the file that the user named, or `None`.
        litert: the program `litert`, or `None` for the one on PATH.
        home: the user's own folder, in which litert-cli keeps what it downloads.
    """

    given: Path | None
    litert: str | None
    home: Path


def find_program(
    wanted: Wanted, abi: str | None, model: Path, serial: str, environ: Mapping[str, str]
) -> Path:
    """Return the program's file; litert-cli downloads it where it is there and the file is not.

    Args:
        abi: of the phone.
        model: what litert-cli is to run once, since it downloads for a run only.
        serial: the phone's.

    Raises:
        InputError: the file that was named is not there, the phone is no 64-bit ARM, or litert-cli
            could not download it.
        MissingError: there is neither the file nor litert-cli.
    """
    if wanted.given is not None:
        if not wanted.given.is_file():
            raise InputError(
                f"Expected the file {wanted.given}. Received nothing there. Check --program."
            )
        return wanted.given
    if abi != _ARM64:
        raise InputError(
            f"Expected a phone with {_ARM64}. Received {abi or 'one that does not say'}. "
            f"LiteRT offers {NAME} for that alone: build it for this phone and name it: --program"
        )
    kept = wanted.home / ".cache" / "litert-cli" / "binaries" / abi / NAME
    if not kept.is_file():
        _fetch(wanted, model, serial, kept, environ)
    return kept


def _fetch(
    wanted: Wanted, model: Path, serial: str, kept: Path, environ: Mapping[str, str]
) -> None:
    litert = shutil.which(wanted.litert or "litert")
    if litert is None:
        raise MissingError(
            f"Expected LiteRT's {NAME} at {kept}. Received neither it nor the program litert. "
            'In an environment of its own: pip install "litert-cli>=0.2.1,<0.3", then name it: '
            "--litert ENV/bin/litert. Or name a file that you have: --program"
        )
    words = [litert, "benchmark", str(model), "--android", "--num-runs", "1"]
    try:
        done = subprocess.run(  # noqa: S603 - a list of words, no shell on this side
            words,
            env={**environ, "ANDROID_SERIAL": serial},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_FETCH_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InputError(
            f"Expected litert to download {NAME} within {_FETCH_S:g} s. Received no end. "
            "Check the way to the internet, or name a file that you have: --program"
        ) from None
    if not kept.is_file():
        lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
        raise InputError(
            f"Expected litert to download {NAME} to {kept}. Received status {done.returncode}: "
            f"{lines[-1][:200] if lines else 'nothing'}. "
            "Check the way to the internet, or name a file that you have: --program"
        )


def environment() -> Mapping[str, str]:
    """Return this process's environment, for programs that are called."""
    return os.environ
