"""One measurement on a phone: files over, runs, figures back, files away."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from promolens_cli.phone_bench.adb import Adb, Answer
from promolens_cli.phone_bench.facts import State, read_state
from promolens_cli.phone_bench.figures import Inference, parse_figures
from promolens_runtime.errors import InputError

# The one folder on a phone where a program of another may be put and run.
_PLACE = "/data/local/tmp"
_MARGIN_S = 60.0


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        threads: one measurement for each.
        runs: at least so many inferences in each; the program goes on for at least a second.
        warmup_runs: before them, not measured.
        timeout_s: of one measurement.
    """

    threads: Sequence[int]
    runs: int
    warmup_runs: int
    timeout_s: float


@dataclass(frozen=True)
class Measured:
    """One measurement.

    Attributes:
        before, after: how the phone was.
    """

    threads: int
    inference: Inference
    before: State
    after: State


def measure(
    adb: Adb, model: Path, program: Path, plan: Plan, show: Callable[[str], None]
) -> list[Measured]:
    """Copy model and program to the phone, measure, and remove them there whatever happens.

    Args:
        show: called with the program's output of each measurement.

    Raises:
        InputError: copying or the program fails, or its output cannot be read.
    """
    folder = f"{_PLACE}/promolens-{secrets.token_hex(4)}"
    _done(adb.shell("mkdir", "-p", folder), "make a folder on the phone")
    try:
        adb.push(model, f"{folder}/model.tflite")
        adb.push(program, f"{folder}/benchmark_model")
        _done(adb.shell("chmod", "755", f"{folder}/benchmark_model"), "make the program runnable")
        return [_one(adb, folder, threads, plan, show) for threads in plan.threads]
    finally:
        _clean(adb, folder)


def _one(adb: Adb, folder: str, threads: int, plan: Plan, show: Callable[[str], None]) -> Measured:
    before = read_state(adb)
    answer = adb.shell(
        f"{folder}/benchmark_model",
        f"--graph={folder}/model.tflite",
        f"--num_threads={threads}",
        f"--num_runs={plan.runs}",
        f"--warmup_runs={plan.warmup_runs}",
        f"--max_secs={plan.timeout_s:g}",
        timeout_s=2 * plan.timeout_s + _MARGIN_S,
    )
    show(answer.text)
    if answer.status:
        raise InputError(
            f"Expected the benchmark to end well with {threads} threads. Received status "
            f"{answer.status}: {answer.last_line}. Look at all of it: --verbose"
        )
    return Measured(threads, parse_figures(answer.text), before, read_state(adb))


def _done(answer: Answer, what: str) -> None:
    if answer.status:
        raise InputError(
            f"Expected to {what}. Received: {answer.last_line}. "
            "Check the phone's free space and whether its shell is allowed."
        )


def _clean(adb: Adb, folder: str) -> None:
    try:
        left = adb.shell("rm", "-rf", folder).status != 0
    except InputError:
        left = True
    if left:
        print(f"note: {folder} stays on the phone; it is a few MB", file=sys.stderr)
