"""TFLite Metadata: description, input normalisation and label files inside the model file.

The format is Google's (metadata_schema.fbs, file identifier M001): a flatbuffer of its own in the
model's metadata buffer `TFLITE_METADATA`, and the label files as a zip behind the model. Its only
living Python writer is part of MediaPipe, which brings its own OpenCV; the few tables needed here
are written by hand, slot numbers in the order of the schema.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from promolens_export.flatbuffer import litert_schema, pack, text, unpack

IDENTIFIER = b"M001"
BUFFER_NAME = b"TFLITE_METADATA"
# Enumeration values of the schema.
IMAGE_PROPERTIES, RGB, NORMALIZATION, AXIS_LABELS = 2, 1, 1, 2
MIN_PARSER_VERSION = "1.0.0"
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)

Fields = dict[int, Any]


@dataclass(frozen=True)
class LabelFile:
    """One label a line in output order; `locale` is "" for the labels, "ko" or "en" for names."""

    name: str
    locale: str
    lines: tuple[str, ...]

    def __post_init__(self) -> None:
        """One label must stay one line."""
        lines = tuple(" ".join(line.split()) for line in self.lines)
        object.__setattr__(self, "lines", lines)

    def data(self) -> bytes:
        """Return the file's bytes: UTF-8, one line a label."""
        return "".join(f"{line}\n" for line in self.lines).encode()


@dataclass(frozen=True)
class Description:
    """The texts of the metadata; `labelled_output` is the output that the label files belong to."""

    name: str
    description: str
    version: str
    licence: str
    labels: tuple[LabelFile, ...]
    labelled_output: str


class _Writer:
    """A flatbuffer builder that knows tables, strings and vectors, children first."""

    def __init__(self) -> None:
        import flatbuffers

        self.builder = flatbuffers.Builder(4096)

    def string(self, value: str) -> Any:
        return self.builder.CreateString(value)

    def floats(self, values: Sequence[float]) -> Any:
        self.builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            self.builder.PrependFloat32(value)
        return self.builder.EndVector()

    def vector(self, offsets: Sequence[Any]) -> Any:
        self.builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.builder.PrependUOffsetTRelative(offset)
        return self.builder.EndVector()

    def table(self, slots: int, offsets: Fields, small: Fields | None = None) -> Any:
        """Write a table: `offsets` by slot, and `small` one-byte numbers by slot."""
        self.builder.StartObject(slots)
        for slot, offset in offsets.items():
            self.builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
        for slot, value in (small or {}).items():
            self.builder.PrependUint8Slot(slot, value, 0)
        return self.builder.EndObject()

    def image_size(self, width_px: int, height_px: int) -> Any:
        self.builder.StartObject(2)
        self.builder.PrependUint32Slot(0, width_px, 0)
        self.builder.PrependUint32Slot(1, height_px, 0)
        return self.builder.EndObject()

    def finish(self, root: Any) -> bytes:
        self.builder.Finish(root, file_identifier=IDENTIFIER)
        return bytes(self.builder.Output())


def _image_tensor(writer: _Writer, width_px: int, height_px: int) -> Any:
    size = writer.image_size(width_px, height_px)
    properties = writer.table(2, {1: size}, {0: RGB})
    content = writer.table(3, {1: properties}, {0: IMAGE_PROPERTIES})
    # The network takes 0..255 as it is: (x - 0) / 1.
    normalisation = writer.table(2, {0: writer.floats([0.0]), 1: writer.floats([1.0])})
    unit = writer.table(2, {1: normalisation}, {0: NORMALIZATION})
    stats = writer.table(2, {0: writer.floats([255.0]), 1: writer.floats([0.0])})
    name, text_ = writer.string("image"), writer.string("RGB picture, 0..255, square, upright")
    units = writer.vector([unit])
    return writer.table(7, {0: name, 1: text_, 3: content, 4: units, 5: stats})


OUTPUT_TEXTS = {
    "logits": "score of each label before softmax",
    "embedding": "features of the picture for nearest-neighbour search",
    "probability": "probability of each label",
}


def _output_tensor(writer: _Writer, name: str, labels: Sequence[LabelFile]) -> Any:
    files = []
    for label_file in labels:
        fields = {0: writer.string(label_file.name)}
        if label_file.locale:
            fields[3] = writer.string(label_file.locale)
        files.append(writer.table(5, fields, {2: AXIS_LABELS}))
    fields = {0: writer.string(name), 1: writer.string(OUTPUT_TEXTS[name])}
    if files:
        fields[6] = writer.vector(files)
    return writer.table(7, fields)


def encode(
    description: Description, outputs: Sequence[str], width_px: int, height_px: int
) -> bytes:
    """Return the metadata flatbuffer for one image input and the `outputs`, in the file's order."""
    writer = _Writer()
    image = writer.vector([_image_tensor(writer, width_px, height_px)])
    tensors = [
        _output_tensor(
            writer, name, description.labels if name == description.labelled_output else ()
        )
        for name in outputs
    ]
    graph = writer.table(9, {2: image, 3: writer.vector(tensors)})
    texts = {
        0: description.name,
        1: description.description,
        2: description.version,
        5: description.licence,
        7: MIN_PARSER_VERSION,
    }
    fields = {slot: writer.string(value) for slot, value in texts.items()}
    return writer.finish(writer.table(8, {**fields, 3: writer.vector([graph])}))


def output_names(model: Any) -> tuple[str, ...]:
    """Return the signature's output names in the order of the graph's outputs."""
    by_tensor = {each.tensorIndex: text(each.name) for each in model.signatureDefs[0].outputs}
    return tuple(by_tensor[int(index)] for index in model.subgraphs[0].outputs)


def _append_files(model_bytes: bytes, files: Sequence[LabelFile]) -> bytes:
    target = io.BytesIO(model_bytes)
    with zipfile.ZipFile(target, "a", zipfile.ZIP_STORED) as archive:
        for file in files:
            entry = zipfile.ZipInfo(file.name, ZIP_EPOCH)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, file.data())
    return target.getvalue()


def with_metadata(model_bytes: bytes, description: Description) -> bytes:
    """Return the model with its metadata and label files; weights and graph are untouched.

    The same model and texts give the same bytes.

    Raises:
        BundleError: the bytes are not a .tflite file.
    """
    schema = litert_schema()
    model = unpack(model_bytes)
    _, height_px, width_px, _ = model.subgraphs[0].tensors[int(model.subgraphs[0].inputs[0])].shape
    buffer = schema.BufferT()
    buffer.data = encode(description, output_names(model), int(width_px), int(height_px))
    entry = schema.MetadataT()
    entry.name, entry.buffer = BUFFER_NAME, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or ()), entry]
    return _append_files(pack(model), description.labels)
