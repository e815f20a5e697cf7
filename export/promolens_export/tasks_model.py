"""The variant for Google's task libraries: the same weights behind one softmax output.

MediaPipe's ImageClassifier takes a model with a single score output and reads everything else from
the metadata. The shipped file is edited, not converted again: the embedding's dequantisation goes,
and a softmax comes behind the logits. Its beta is 1 / temperature, so the scores are calibrated.
"""

from __future__ import annotations

from typing import Any

from promolens_export.flatbuffer import litert_schema, pack, text, unpack

OUTPUT = "probability"


def _softmax_code(model: Any) -> int:
    schema = litert_schema()
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.SOFTMAX
    code.version = 1
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _softmax(code: int, source: int, target: int, beta: float) -> Any:
    import numpy as np

    schema = litert_schema()
    options = schema.SoftmaxOptionsT()
    options.beta = beta
    operator = schema.OperatorT()
    operator.opcodeIndex = code
    operator.inputs, operator.outputs = np.array([source], np.int32), np.array([target], np.int32)
    operator.builtinOptionsType = schema.BuiltinOptions.SoftmaxOptions
    operator.builtinOptions = options
    return operator


def tasks_model(model_bytes: bytes, temperature: float) -> bytes:
    """Return the classifier with the single output `probability`, float32 `[1, c]`.

    Args:
        model_bytes: the int8 file with outputs `logits` and `embedding`, without metadata.
        temperature: what the logits are divided by before the softmax, > 0.
    """
    import copy

    import numpy as np

    model = unpack(model_bytes)
    graph, signature = model.subgraphs[0], model.signatureDefs[0]
    index = {text(each.name): int(each.tensorIndex) for each in signature.outputs}
    logits, embedding = index["logits"], index["embedding"]
    # The embedding itself stays: the logits are computed from its int8 form.
    graph.operators = [each for each in graph.operators if embedding not in list(each.outputs)]
    scores = copy.copy(graph.tensors[logits])
    scores.name = OUTPUT.encode()
    graph.tensors.append(scores)
    target = len(graph.tensors) - 1
    graph.operators.append(_softmax(_softmax_code(model), logits, target, 1.0 / temperature))
    graph.outputs = np.array([target], np.int32)
    kept = next(each for each in signature.outputs if text(each.name) == "logits")
    kept.name, kept.tensorIndex = OUTPUT.encode(), target
    signature.outputs = [kept]
    return pack(model)
