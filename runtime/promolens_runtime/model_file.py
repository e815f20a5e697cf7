"""Opening a .tflite with LiteRT and comparing it with what the manifest says of it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promolens_runtime.errors import BundleError
from promolens_runtime.golden import Golden
from promolens_runtime.manifest import GoldenTolerance, ModelEntry, TensorSpec
from promolens_runtime.preprocess import Preprocessing

Tensors = dict[str, NDArray[Any]]
Run = Callable[[Tensors], Tensors]

FLOATS = ("FLOAT16", "FLOAT32", "FLOAT64", "BFLOAT16", "COMPLEX64", "COMPLEX128")
FLATBUFFER_DAMAGE = (
    struct.error, ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError,
    AssertionError, MemoryError, RecursionError,
)  # fmt: skip


class Network:
    """One signature of a model held in memory, run by tensor names.

    Not safe for two threads at once.
    """

    def __init__(self, content: bytes, entry: ModelEntry, *, num_threads: int = 2) -> None:
        """Open `content` (the bytes that were hashed). Raises BundleError when LiteRT refuses."""
        from ai_edge_litert.interpreter import Interpreter

        try:
            self._interpreter = Interpreter(model_content=content, num_threads=num_threads)
            self._interpreter.allocate_tensors()
            signature = self._interpreter.get_signature_runner(entry.signature)
            self.inputs: dict[str, dict[str, Any]] = signature.get_input_details()
            self.outputs: dict[str, dict[str, Any]] = signature.get_output_details()
            # Running by tensor index below is for the first subgraph only.
            if self._interpreter.num_subgraphs() != 1:
                raise ValueError(f"{self._interpreter.num_subgraphs()} subgraphs instead of one")
        except (ValueError, RuntimeError) as error:
            raise BundleError(
                f"Expected {entry.file} to be a model with the signature '{entry.signature}'. "
                f"Received one that LiteRT refuses ({' '.join(str(error).split())[:200]}). "
                "Export the bundle again."
            ) from error

    def run(self, inputs: Tensors) -> Tensors:
        """Return every output by name for `inputs` by name; both with the batch axis of 1."""
        for name, value in inputs.items():
            self._interpreter.set_tensor(self.inputs[name]["index"], value)
        self._interpreter.invoke()
        return {
            name: self._interpreter.get_tensor(details["index"])
            for name, details in self.outputs.items()
        }


def tensor_problems(network: Network, entry: ModelEntry) -> list[str]:
    """Return a line for each input or output whose name, dtype, shape or quantisation differs."""
    problems: list[str] = []
    for kind, specs, found in (
        ("input", entry.inputs, network.inputs),
        ("output", entry.outputs, network.outputs),
    ):
        names = [spec.name for spec in specs]
        if sorted(names) != sorted(found):
            problems.append(
                f"Expected {entry.file} with {kind}s {sorted(names)}. "
                f"Received {sorted(found)}. Export the bundle again."
            )
        for spec in specs:
            if spec.name in found and (actual := _spec(spec.name, found[spec.name])) != spec:
                problems.append(
                    f"Expected {kind} '{spec.name}' of {entry.file} to be {_words(spec)}. "
                    f"Received {_words(actual)}. Export the bundle again."
                )
    return problems


def input_problems(entry: ModelEntry, rule: Preprocessing) -> list[str]:
    """Return a line for each input that is not the picture which the preprocessing makes."""
    wanted = (1, rule.height_px, rule.width_px, 3)
    return [
        f"Expected input '{spec.name}' of {entry.file} to be uint8 {list(wanted)}, as the "
        f"preprocessing makes it. Received {spec.dtype} {list(spec.shape)}. "
        "Export the bundle again."
        for spec in entry.inputs
        if (spec.dtype, spec.shape) != ("uint8", wanted)
    ]


def operator_problems(content: bytes, entry: ModelEntry) -> list[str]:
    """Return a line for each op that is not a builtin int8 op.

    Custom and Flex ops are refused, and so are float tensors, but for the declared float32 outputs
    when a DEQUANTIZE op makes them. Raises BundleError when `content` is no model.
    """
    try:
        return list(_operator_problems(content, entry))
    except FLATBUFFER_DAMAGE as error:
        raise BundleError(
            f"Expected {entry.file} to be a whole .tflite model. Received damage "
            f"({' '.join(str(error).split())[:200]}). Export the bundle again."
        ) from error


def _operator_problems(content: bytes, entry: ModelEntry) -> Iterator[str]:
    from ai_edge_litert import schema_py_generated as schema

    model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    types, builtins = _names(schema.TensorType), _names(schema.BuiltinOperator)
    for graph in model.subgraphs:
        dequantised: set[int] = set()
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex]
            number = max(code.builtinCode, code.deprecatedBuiltinCode)
            if number == schema.BuiltinOperator.CUSTOM:
                yield _op_line(entry, f"the custom op {_text(code.customCode)}")
            elif number not in builtins:
                yield _op_line(entry, f"op number {number}")
            elif number == schema.BuiltinOperator.DEQUANTIZE:
                dequantised |= {int(index) for index in operator.outputs}
        allowed = dequantised & {int(index) for index in graph.outputs}
        for index, tensor in enumerate(graph.tensors):
            kind = types.get(tensor.type, str(tensor.type))
            if kind in FLOATS and not (kind == "FLOAT32" and index in allowed):
                yield _op_line(entry, f"the {kind} tensor {_text(tensor.name)}")


def golden_problems(
    run: Run, entry: ModelEntry, golden: Golden, tolerance: GoldenTolerance
) -> Iterator[str]:
    """Yield a line for each golden vector that `run` answers differently, or that does not fit."""
    wanted = {spec.name: spec for spec in (*entry.inputs, *entry.outputs)}
    if not _fits(golden, wanted):
        shapes = {name: [a.dtype.name, *a.shape] for name, a in golden.tensors.items()}
        yield (
            f"Expected {entry.golden_file} with tensors {sorted(wanted)} in the model's dtypes and "
            f"shapes. Received {shapes}. Export the bundle again."
        )
        return
    limits = {"embedding": tolerance.embedding_tolerance}
    for number in range(golden.count):
        answer = run({s.name: golden.tensors[s.name][number][None] for s in entry.inputs})
        for spec in entry.outputs:
            limit = limits.get(spec.name, tolerance.logits_tolerance)
            difference = _largest_difference(
                answer[spec.name][0], golden.tensors[spec.name][number]
            )
            if not difference <= limit:
                yield (
                    f"Expected {spec.name} of golden vector {number} within {limit:g}. Received "
                    f"{difference:g} off. This runtime does not compute the model as exported: "
                    "do not use it."
                )


def _largest_difference(got: NDArray[Any], expected: NDArray[Any]) -> float:
    """Return the largest |difference|; NaN anywhere gives NaN, which no limit accepts."""
    return float(np.abs(got.astype(np.float64) - expected).max())


def _fits(golden: Golden, wanted: Mapping[str, TensorSpec]) -> bool:
    return golden.tensors.keys() == wanted.keys() and all(
        array.dtype.name == wanted[name].dtype and array.shape[1:] == wanted[name].shape[1:]
        for name, array in golden.tensors.items()
    )


def _spec(name: str, details: Mapping[str, Any]) -> TensorSpec:
    parameters = details["quantization_parameters"]
    # shape_signature shows -1 where the file leaves a size open; shape would hide it as 1.
    shape = tuple(int(side) for side in details["shape_signature"])
    dtype = np.dtype(details["dtype"]).name
    if len(parameters["scales"]) == 0:
        return TensorSpec(name, dtype, shape)
    return TensorSpec(
        name, dtype, shape, float(parameters["scales"][0]), int(parameters["zero_points"][0])
    )


def _words(spec: TensorSpec) -> str:
    quantised = "" if spec.scale is None else f", scale {spec.scale}, zero point {spec.zero_point}"
    return f"{spec.dtype} {list(spec.shape)}{quantised}"


def _op_line(entry: ModelEntry, received: str) -> str:
    return (
        f"Expected only builtin int8 ops in {entry.file} and float32 only in its outputs. "
        f"Received {received}. Export the bundle again as full int8."
    )


def _text(name: bytes | None) -> str:
    return (name or b"without a name").decode("utf-8", "replace")[:80]


def _names(table: type) -> dict[int, str]:
    return {value: name for name, value in vars(table).items() if isinstance(value, int)}
