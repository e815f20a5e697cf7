"""Measure the recogniser's network on a phone, with LiteRT's own benchmark over adb.

`phone` needs adb and a phone with USB debugging switched on. It copies the model and LiteRT's
`benchmark_model` to the phone, runs it with each number of threads, reads the figures and how the
phone is (battery, heat), prints a table, and writes JSON that can be shared: it has no serial
number and no place in it. Everything is removed from the phone afterwards. See docs/phone-bench.md.

examples:
  promolens bench phone
  promolens bench phone android_assets/bundle --threads 1 --threads 4 --out pixel-7.json
  promolens bench phone model.tflite --serial 29091FDH300J9K --runs 100
  promolens bench phone --program ~/Downloads/benchmark_model
  promolens bench phone --litert ~/litert/bin/litert --json
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from promolens_cli.phone_bench.report import Subject

_MAX_THREADS = 32
_MAX_RUNS = 100_000
_MAX_MODEL_BYTES = 500_000_000


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    phone = actions.add_parser(
        "phone",
        help="time the network on a phone",
        description="Time the network on a phone that is connected by adb.",
        epilog="example: promolens bench phone android_assets/bundle --out my-phone.json",
    )
    phone.add_argument(
        "model",
        type=Path,
        nargs="?",
        default=Path("android_assets") / "bundle",
        help="a bundle, or a .tflite file (android_assets/bundle)",
    )
    phone.add_argument("--serial", help="of the phone, where several are connected")
    phone.add_argument(
        "--threads",
        type=_within(1, _MAX_THREADS),
        action="append",
        metavar="N",
        help="repeatable (1, then 4)",
    )
    phone.add_argument(
        "--runs", type=_within(1, _MAX_RUNS), default=50, metavar="N", help="inferences (50)"
    )
    phone.add_argument(
        "--warmup", type=_within(0, _MAX_RUNS), default=5, metavar="N", help="before them (5)"
    )
    phone.add_argument("--adb", metavar="FILE", help="the program adb (that on PATH)")
    phone.add_argument(
        "--program", type=Path, metavar="FILE", help="LiteRT's benchmark_model for Android"
    )
    phone.add_argument(
        "--litert", metavar="FILE", help="litert-cli, which downloads that (litert on PATH)"
    )
    phone.add_argument(
        "--timeout",
        type=_within(1, 86_400),
        default=150,
        metavar="S",
        help="seconds for one measurement (150)",
    )
    phone.add_argument("--out", type=Path, metavar="FILE", help="write the report as JSON")
    phone.add_argument("--json", action="store_true", help="print the report as JSON")
    phone.add_argument("--verbose", action="store_true", help="show what the program prints")


def _within(least: int, most: int) -> Callable[[str], int]:
    def whole(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"expected {least} to {most}, received {text}")
        return value

    return whole


def run(args: argparse.Namespace) -> int:
    """Measure, print and write."""
    from datetime import UTC, datetime
    from importlib.metadata import version

    from promolens_cli.phone_bench import report
    from promolens_cli.phone_bench.adb import Adb
    from promolens_cli.phone_bench.facts import read_phone
    from promolens_cli.phone_bench.measuring import Plan, measure
    from promolens_cli.phone_bench.program import Wanted, environment, find_program

    file, subject = _subject(args.model)
    adb = Adb.find(args.adb).connect(args.serial)
    assert adb.device is not None
    phone = read_phone(adb)
    wanted = Wanted(args.program, args.litert, Path.home())
    program = find_program(wanted, phone.abi, file, adb.device.serial, environment())
    plan = Plan(tuple(args.threads or (1, 4)), args.runs, args.warmup, args.timeout)
    print(f"measuring on {adb.device.name}; leave it alone meanwhile", file=sys.stderr)
    measured = measure(adb, file, program, plan, _show if args.verbose else _keep_quiet)
    made = (version("promolens"), datetime.now(UTC))
    told = json.dumps(
        report.as_json(phone, subject, plan, measured, made), ensure_ascii=False, indent=1
    )
    if args.out is not None:
        args.out.write_text(told + "\n", encoding="utf-8")
    print(told if args.json else "\n".join(report.table(phone, subject, measured)))
    return 0


def _show(text: str) -> None:
    print(text, file=sys.stderr)


def _keep_quiet(text: str) -> None:
    pass


def _subject(path: Path) -> tuple[Path, Subject]:
    """Return the model's file and what is told of it; a bundle is verified first."""
    import hashlib

    from promolens_cli.phone_bench.report import Subject
    from promolens_runtime.errors import InputError

    if path.is_dir():
        return _of_bundle(path)
    if not path.is_file() or path.stat().st_size > _MAX_MODEL_BYTES:
        raise InputError(
            f"Expected a bundle or a .tflite file of at most {_MAX_MODEL_BYTES} bytes. Received "
            f"{path}, which is none. Name one: promolens bench phone android_assets/bundle"
        )
    data = path.read_bytes()
    if data[4:8] != b"TFL3":
        raise InputError(
            f"Expected a .tflite file. Received {path}, which begins otherwise. Name another."
        )
    return path, Subject(None, None, None, hashlib.sha256(data).hexdigest(), len(data))


def _of_bundle(path: Path) -> tuple[Path, Subject]:
    from promolens_cli.phone_bench.report import Subject
    from promolens_runtime.bundle import read_bundle
    from promolens_runtime.signing import verification_key

    bundle = read_bundle(path, verification_key(None))
    manifest = bundle.manifest
    entry = manifest.models[0]
    listed = manifest.files[entry.file]
    subject = Subject(
        manifest.bundle_id,
        manifest.version,
        entry.inputs[0].shape[1],
        listed.sha256,
        listed.size_bytes,
    )
    return bundle.folder / entry.file, subject
