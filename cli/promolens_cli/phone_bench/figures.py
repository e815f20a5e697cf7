"""What `benchmark_model` prints, read into numbers.

LiteRT's program ends with a block of lines such as `Inference (avg):  8.12 ms (50 runs)`; the one
of TensorFlow Lite before it with `Inference timings in us: Init: 5811, ...`. Both print a line
`count=50 first=... median=... p95=...` in microseconds for the warm-up and one for the runs.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from promolens_runtime.errors import InputError

_FLOAT = r"([0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)"
_BLOCK = {
    "init": re.compile(rf"Model initialization:\s+{_FLOAT} ms"),
    "first": re.compile(rf"Warmup \(first\):\s+{_FLOAT} ms"),
    "average": re.compile(rf"Inference \(avg\):\s+{_FLOAT} ms"),
    "min": re.compile(rf"Inference \(min\):\s+{_FLOAT} ms"),
    "max": re.compile(rf"Inference \(max\):\s+{_FLOAT} ms"),
    "std": re.compile(rf"Inference \(std\):\s+{_FLOAT}"),
    "memory": re.compile(rf"(?:Overall footprint|Peak memory):\s+{_FLOAT} MB"),
}
_RUNS = re.compile(r"Inference \(avg\):\s+\S+ ms \((\d{1,9}) runs\)")
_OLD = re.compile(
    rf"Inference timings in us: Init: {_FLOAT}, First inference: {_FLOAT}, "
    rf"Warmup \(avg\): {_FLOAT}, Inference \(avg\): {_FLOAT}"
)
_OLD_MEMORY = re.compile(rf"Memory footprint delta .*overall={_FLOAT}")
_COUNT = re.compile(r"\bcount=(\d{1,9}) (.*)")
_PAIR = re.compile(rf"(\w+)={_FLOAT}(?=\s|$)")


@dataclass(frozen=True)
class Inference:
    """Durations of the network alone, milliseconds; `None` where the program does not tell.

    Attributes:
        runs: those that were measured, without the warm-up.
        first: of the very first inference.
        init: to load the model and prepare it.
        memory_mb: that the program took in all.
    """

    runs: int
    average: float
    median: float | None = None
    p95: float | None = None
    min: float | None = None
    max: float | None = None
    std: float | None = None
    first: float | None = None
    init: float | None = None
    memory_mb: float | None = None


def parse_figures(text: str) -> Inference:
    """Read the program's output.

    Raises:
        InputError: it has no average of any run.
    """
    counts = _counts(text)
    # The warm-up prints the first of these lines, the runs the last one.
    finest = counts[-1] if counts else {}
    told = _block(text) or _old(text)
    average = finest.get("avg", told.get("average"))
    runs = finest.get("count", told.get("runs"))
    if not told or average is None or not average > 0 or not runs:
        raise InputError(
            "Expected the benchmark to end with its average. Received output without one. "
            "Look at it with --verbose; another version of the program may print it otherwise."
        )
    return Inference(
        runs=int(runs),
        average=average,
        median=finest.get("median"),
        p95=finest.get("p95"),
        min=finest.get("min", told.get("min")),
        max=finest.get("max", told.get("max")),
        std=finest.get("std", told.get("std")),
        first=told.get("first"),
        init=told.get("init"),
        memory_mb=told.get("memory"),
    )


def _counts(text: str) -> list[dict[str, float]]:
    """Return the lines `count=...`: the count as it is, durations in milliseconds."""
    found = []
    for match in _COUNT.finditer(text):
        pairs = {name: float(value) / 1000 for name, value in _PAIR.findall(match[2])}
        if "avg" in pairs and all(map(math.isfinite, pairs.values())):
            found.append({"count": float(match[1]), **pairs})
    return found


def _block(text: str) -> dict[str, float]:
    """Return LiteRT's block, milliseconds and MB; empty where it is not there whole."""
    runs = _RUNS.search(text)
    if runs is None:
        return {}
    matches = {name: pattern.search(text) for name, pattern in _BLOCK.items()}
    values = {name: float(match[1]) for name, match in matches.items() if match is not None}
    return {"runs": float(runs[1]), **values}


def _old(text: str) -> dict[str, float]:
    match = _OLD.search(text)
    if match is None:
        return {}
    init, first, _, average = (float(value) / 1000 for value in match.groups())
    memory = _OLD_MEMORY.search(text)
    told = {"init": init, "first": first, "average": average}
    return told | ({"memory": float(memory[1])} if memory else {})
