"""What a converted file is made of: its operators and tensor types, and whether it is all int8."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from promolens_export.flatbuffer import enum_names, litert_schema, operator_name, text, unpack
from promolens_runtime.errors import GateError

ADVICE = (
    "Use a backbone of the EfficientNet-Lite family, whose every layer has an int8 kernel, "
    "or take the layer out of the network."
)


@dataclass(frozen=True)
class Port:
    """One named input or output; `scale` is 0 where it is not quantised."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int


@dataclass(frozen=True)
class OpReport:
    """Operators and tensors of a file.

    Attributes:
        operators: how many of each, by the schema's name; `custom:NAME` for custom and Flex ones.
        dtypes: how many tensors of each type.
        float_work: operators that read or write float tensors, besides the ones that turn an
            output into float.
        signature: its name; `inputs` and `outputs` by name.
    """

    operators: dict[str, int]
    dtypes: dict[str, int]
    float_work: tuple[str, ...]
    signature: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    @property
    def custom(self) -> tuple[str, ...]:
        """Custom and Flex operators: the phone's runtime has none of them."""
        return tuple(name for name in self.operators if name.startswith("custom:"))


def _port(tensor: Any, name: str, types: dict[int, str]) -> Port:
    quantised = tensor.quantization
    has_scale = getattr(quantised, "scale", None) is not None and len(quantised.scale) > 0
    return Port(
        name=name,
        dtype=types[tensor.type].lower(),
        shape=tuple(int(side) for side in tensor.shape),
        scale=float(quantised.scale[0]) if has_scale else 0.0,
        zero_point=int(quantised.zeroPoint[0]) if has_scale else 0,
    )


def _is_output_dequantisation(name: str, operator: Any, outputs: set[int]) -> bool:
    return name == "DEQUANTIZE" and set(operator.outputs) <= outputs


def inspect(model_bytes: bytes) -> OpReport:
    """List what a .tflite file with one signature holds.

    Raises:
        BundleError: not a .tflite file.
    """
    schema = litert_schema()
    model = unpack(model_bytes)
    types = enum_names(schema.TensorType)
    graph, signature = model.subgraphs[0], model.signatureDefs[0]
    names = [operator_name(model.operatorCodes[each.opcodeIndex]) for each in graph.operators]
    outputs = {int(index) for index in graph.outputs}
    float_types = {schema.TensorType.FLOAT32, schema.TensorType.FLOAT16}
    float_work = []
    for name, operator in zip(names, graph.operators, strict=True):
        touched = [int(i) for i in (*operator.inputs, *operator.outputs) if i >= 0]
        is_float = any(graph.tensors[i].type in float_types for i in touched)
        if is_float and not _is_output_dequantisation(name, operator, outputs):
            float_work.append(name)
    ports = {
        side: tuple(
            _port(graph.tensors[each.tensorIndex], text(each.name), types)
            for each in getattr(signature, side)
        )
        for side in ("inputs", "outputs")
    }
    return OpReport(
        operators=dict(sorted(Counter(names).items())),
        dtypes=dict(sorted(Counter(types[t.type].lower() for t in graph.tensors).items())),
        float_work=tuple(float_work),
        signature=text(signature.signatureKey),
        inputs=ports["inputs"],
        outputs=ports["outputs"],
    )


CLASSIFIER_OUTPUTS, EMBEDDER_OUTPUTS = ("embedding", "logits"), ("embedding",)


def check_int8(
    model_bytes: bytes,
    image_px: int,
    signature: str = "classify",
    outputs: tuple[str, ...] = CLASSIFIER_OUTPUTS,
) -> OpReport:
    """Make sure that a file is what a bundle ships, and return what is in it.

    Fully integer but for the declared outputs' dequantisations; no custom or Flex operator; input
    `image` uint8 `[1, px, px, 3]` with scale 1 and zero point 0; the float32 `outputs` and no
    others; the one `signature`.

    Raises:
        GateError: anything else.
    """
    report = inspect(model_bytes)
    if report.custom:
        raise GateError(
            f"Expected built-in operators only. Received {', '.join(report.custom)}. {ADVICE}"
        )
    if report.float_work:
        raise GateError(
            "Expected integer arithmetic up to the outputs' dequantisation. Received float in "
            f"{', '.join(sorted(set(report.float_work)))}. {ADVICE}"
        )
    image = Port("image", "uint8", (1, image_px, image_px, 3), 1.0, 0)
    if report.signature != signature or report.inputs != (image,):
        raise GateError(
            f"Expected a signature `{signature}` with the input {image}. Received "
            f"`{report.signature}` with {report.inputs}. Calibrate with pictures that hold a 0 and "
            "a 255."
        )
    found = {port.name: port.dtype for port in report.outputs}
    if found != dict.fromkeys(outputs, "float32"):
        raise GateError(
            f"Expected float32 outputs {' and '.join(sorted(outputs, reverse=True))}. Received "
            f"{found}. Build the network with promolens_training."
        )
    return report
