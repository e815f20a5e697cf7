"""Read a .tflite file into objects and write it back, with the alignment that the runtime wants."""

from __future__ import annotations

from typing import Any

from promolens_runtime.errors import BundleError

FILE_IDENTIFIER = b"TFL3"
# schema.fbs: `data:[ubyte] (force_align: 16)`. The generated Python writer ignores force_align;
# weights at odd addresses would then be copied or read slowly.
BUFFER_ALIGNMENT_BYTES = 16


def litert_schema() -> Any:
    """Return LiteRT's generated schema module; its type annotations do not match what it takes."""
    from ai_edge_litert import schema_py_generated

    return schema_py_generated


def unpack(model_bytes: bytes) -> Any:
    """Return the file's content as a `ModelT` of LiteRT's schema.

    Raises:
        BundleError: the bytes are not a .tflite file.
    """
    if model_bytes[4:8] != FILE_IDENTIFIER:
        raise BundleError(
            f"Expected a .tflite file. Received {len(model_bytes)} bytes of something else. "
            "Export the model again."
        )
    return litert_schema().ModelT.InitFromPackedBuf(model_bytes, 0)


def _aligned_vector(builder: Any, data: bytes) -> Any:
    builder.StartVector(1, len(data), BUFFER_ALIGNMENT_BYTES)
    builder.head = builder.head - len(data)
    builder.Bytes[builder.head : builder.head + len(data)] = data
    return builder.EndVector()


def _aligned_buffer_class() -> Any:
    schema = litert_schema()

    def pack_buffer(self: Any, builder: Any) -> Any:
        data = None if self.data is None else _aligned_vector(builder, bytes(self.data))
        schema.BufferStart(builder)
        if data is not None:
            schema.BufferAddData(builder, data)
        return schema.BufferEnd(builder)

    return type("AlignedBuffer", (schema.BufferT,), {"Pack": pack_buffer})


def pack(model: Any) -> bytes:
    """Write a `ModelT` as a .tflite file; the same model gives the same bytes."""
    import flatbuffers

    aligned = _aligned_buffer_class()
    buffers = model.buffers
    model.buffers = []
    for buffer in buffers:
        copy = aligned()
        copy.data = buffer.data
        model.buffers.append(copy)
    try:
        size_bytes = sum(0 if b.data is None else len(b.data) for b in buffers)
        builder = flatbuffers.Builder(size_bytes + size_bytes // 8 + 4096)
        builder.Finish(model.Pack(builder), file_identifier=FILE_IDENTIFIER)
        return bytes(builder.Output())
    finally:
        model.buffers = buffers


def text(value: Any) -> str:
    """Return a name of the schema (bytes or None) as text."""
    return value.decode() if isinstance(value, bytes) else str(value or "")


def enum_names(enum: type) -> dict[int, str]:
    """Return value -> name of one of the schema's enumerations."""
    return {value: name for name, value in vars(enum).items() if isinstance(value, int)}


def operator_name(code: Any) -> str:
    """Return the name of an operator code; for a custom one its own name, `custom:NAME`."""
    schema = litert_schema()
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    if number == schema.BuiltinOperator.CUSTOM:
        return f"custom:{text(code.customCode)}"
    return enum_names(schema.BuiltinOperator).get(number, f"operator {number}")
