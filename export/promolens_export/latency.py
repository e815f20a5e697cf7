"""Time several engines fairly on one machine: interleaved, in shuffled order, by the median."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Call = Callable[[], object]


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one call: the median of the rounds' means, and the fastest round."""

    median_ms: float
    best_ms: float
    calls: int


def interleaved(
    engines: Mapping[str, Call], rounds: int = 10, calls: int = 5, seed: int = 0
) -> dict[str, Timing]:
    """Time every engine once a round, in a new random order each round.

    What else the machine does then falls on all alike; timing one engine after the other would
    give the last one a warm or a busy machine.

    Args:
        engines: a function for each name that does one inference.
        rounds: repetitions; the median is taken over them.
        calls: inferences in a row that make one measurement.
    """
    order, shuffler = list(engines), random.Random(seed)  # noqa: S311 - no secret
    spans: dict[str, list[float]] = {name: [] for name in engines}
    for name in order:
        engines[name]()
    for _ in range(rounds):
        shuffler.shuffle(order)
        for name in order:
            engine = engines[name]
            start = time.perf_counter()
            for _ in range(calls):
                engine()
            spans[name].append((time.perf_counter() - start) * 1000 / calls)
    return {
        name: Timing(statistics.median(values), min(values), rounds * calls)
        for name, values in spans.items()
    }


def tflite_engine(model_bytes: bytes, image: NDArray[np.uint8], num_threads: int) -> Call:
    """Return a function that runs a .tflite file with LiteRT on one picture uint8 `[h, w, 3]`."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter: Any = Interpreter(model_content=model_bytes, num_threads=num_threads)
    interpreter.allocate_tensors()
    detail = interpreter.get_input_details()[0]
    interpreter.set_tensor(detail["index"], image[None].astype(detail["dtype"]))
    invoke: Call = interpreter.invoke
    return invoke
