"""Golden vectors of the shipped file: inputs, expected outputs, and how far a runtime may stray."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promolens_export.flatbuffer import text, unpack
from promolens_runtime.golden import Golden
from promolens_runtime.manifest import GoldenTolerance
from promolens_training.data.photos import Photo

COUNT = 6
OUTPUTS = ("logits", "embedding")
# Two runtimes may round every layer differently; where the kernels at hand happen to agree, this
# many steps of the output's scale are still allowed.
LEAST_STEPS = 4
SAFETY = 2.0


@dataclass(frozen=True)
class GoldenVectors:
    """The vectors, and the largest difference that a correct runtime may show."""

    golden: Golden
    tolerance: GoldenTolerance


def choose_golden(photos: Sequence[Photo], count: int = COUNT) -> list[int]:
    """Return the indices of `count` photos of as many classes as possible, in order."""
    by_class: dict[str, list[int]] = {}
    for index, photo in enumerate(photos):
        by_class.setdefault(photo.label, []).append(index)
    labels = sorted(by_class)
    # Spread over the alphabet: neighbours in it are often look-alikes of one family.
    step = max(1, len(labels) / count)
    first = [by_class[labels[int(turn * step)]][0] for turn in range(min(count, len(labels)))]
    rest = [index for index in range(len(photos)) if index not in first]
    return sorted([*first, *rest[: count - len(first)]])


def _run(
    model_bytes: bytes, pictures: NDArray[np.uint8], resolver: Any, outputs: Sequence[str]
) -> dict[str, NDArray[np.float32]]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=model_bytes, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    (signature,) = interpreter.get_signature_list()
    run = interpreter.get_signature_runner(signature)
    answers = [run(image=picture[None]) for picture in pictures]
    return {
        name: np.concatenate([answer[name] for answer in answers]).astype(np.float32)
        for name in outputs
    }


def output_steps(model_bytes: bytes) -> dict[str, float]:
    """Return one int8 step of each named output, in the output's own unit."""
    model = unpack(model_bytes)
    graph = model.subgraphs[0]
    source = {int(each.outputs[0]): int(each.inputs[0]) for each in graph.operators}
    steps = {}
    for output in model.signatureDefs[0].outputs:
        quantised = graph.tensors[source[int(output.tensorIndex)]].quantization
        steps[text(output.name)] = float(quantised.scale[0])
    return steps


def make_golden(
    model_bytes: bytes, pictures: NDArray[np.uint8], outputs: Sequence[str] = OUTPUTS
) -> GoldenVectors:
    """Run the int8 file with one signature on `pictures` uint8 `[n, px, px, 3]`.

    The tolerance is twice the largest difference between LiteRT's fast kernels and its reference
    kernels on these pictures, and at least four int8 steps of the output: what another correct
    runtime may show. A wrong preprocessing or another model is far outside.
    """
    from ai_edge_litert.interpreter import OpResolverType

    expected = _run(model_bytes, pictures, OpResolverType.AUTO, outputs)
    reference = _run(model_bytes, pictures, OpResolverType.BUILTIN_REF, outputs)
    steps = output_steps(model_bytes)
    limits = {
        name: max(
            SAFETY * float(np.abs(expected[name] - reference[name]).max()),
            LEAST_STEPS * steps[name],
        )
        for name in outputs
    }
    golden = Golden({"image": np.ascontiguousarray(pictures), **expected})
    # Six digits: a tolerance needs no more, and a person can read it.
    tolerance = GoldenTolerance(*(float(f"{limits.get(name, 0.0):.6g}") for name in OUTPUTS))
    return GoldenVectors(golden, tolerance)
