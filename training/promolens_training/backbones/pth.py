"""Read the tensors of a PyTorch checkpoint, and nothing else, without PyTorch.

A `.pth` file is a pickle, and a pickle is a program. This reader lets exactly three kinds of names
through (`OrderedDict`, the tensor rebuilder and the storage classes) and refuses every other
global, so that a file from outside can yield arrays or an error, never a call.
"""

from __future__ import annotations

import io
import math
import pickle
import zipfile
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from promolens_runtime.errors import InputError

MAX_FILE_BYTES = 1 << 30
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_DTYPES: dict[str, np.dtype[Any]] = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}
# What NumPy, zipfile and tuple arithmetic raise on sizes and types that cannot be.
_DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


class UnsafeCheckpointError(InputError):
    """The file asks for something other than plain tensors, or is damaged."""


@dataclass(frozen=True)
class _StorageType:
    dtype: np.dtype[Any]


@dataclass
class _Storage:
    key: str
    dtype: np.dtype[Any]
    size: int
    data: np.ndarray[Any, Any] | None = None


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def array(self) -> np.ndarray[Any, Any]:
        data = self.storage.data
        if data is None:
            raise UnsafeCheckpointError(f"Storage {self.storage.key!r} has no data in the file.")
        if math.prod(self.shape) == 0:
            return np.zeros(self.shape, self.storage.dtype)
        if self.offset < 0 or min(self.shape, default=1) < 0 or min(self.stride, default=0) < 0:
            raise UnsafeCheckpointError("A tensor has a negative offset, shape or stride.")
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.stride, strict=True))
        if last >= data.size:
            raise UnsafeCheckpointError(
                f"A tensor of shape {self.shape} reaches element {last} of a storage "
                f"that holds {data.size}."
            )
        # A stride of 0 could make a few stored bytes fill the memory.
        if math.prod(self.shape) > data.size:
            raise UnsafeCheckpointError(
                f"A tensor of shape {self.shape} is larger than its storage of {data.size}."
            )
        strides = tuple(s * data.itemsize for s in self.stride)
        view = np.lib.stride_tricks.as_strided(data[self.offset :], self.shape, strides)
        return np.array(view, order="C")  # ascontiguousarray would make a scalar 1-d


def _rebuild_tensor(
    storage: object, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: object
) -> _Tensor:
    if not isinstance(storage, _Storage):
        raise UnsafeCheckpointError("A tensor does not point to a storage.")
    return _Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, stride)))


class _TensorUnpickler(pickle.Unpickler):
    """An unpickler whose whole vocabulary is tensors in ordered dictionaries."""

    def __init__(self, file: BinaryIO, storages: dict[str, _Storage]) -> None:
        super().__init__(file, encoding="utf-8")
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            # A fresh function each time: a pickle may set attributes on what it is handed.
            return lambda *args: _rebuild_tensor(*args)
        if module == "torch" and name in _DTYPES:
            return _StorageType(_DTYPES[name])
        raise UnsafeCheckpointError(f"It refers to {module}.{name}, which was not executed.")

    def persistent_load(self, pid: Any) -> _Storage:
        # ("storage", type, key, device, element count[, view metadata])
        if not (isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage"):
            raise UnsafeCheckpointError("The file holds a persistent object that is no storage.")
        kind, key, size = pid[1], str(pid[2]), int(pid[4])
        if not isinstance(kind, _StorageType) or not 0 <= size <= MAX_FILE_BYTES:
            raise UnsafeCheckpointError(f"Storage {key!r} has an unknown type or size.")
        if len(pid) > 5 and pid[5] is not None:
            raise UnsafeCheckpointError(f"Storage {key!r} is a view; only plain storages are read.")
        return self._storages.setdefault(key, _Storage(key, kind.dtype, size))


def _load(file: BinaryIO, storages: dict[str, _Storage]) -> Any:
    try:
        return _TensorUnpickler(file, storages).load()
    except UnsafeCheckpointError:
        raise
    except Exception as error:  # any malformed pickle: one kind of error for the caller
        raise UnsafeCheckpointError(f"It is no readable pickle ({error}).") from error


def _read_exactly(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) != count:
        raise UnsafeCheckpointError(f"The file ends early: expected {count} more bytes.")
    return data


def _read_legacy(file: BinaryIO) -> Any:
    storages: dict[str, _Storage] = {}
    if _load(file, storages) != _LEGACY_MAGIC or _load(file, storages) != _LEGACY_PROTOCOL:
        raise UnsafeCheckpointError("Not a PyTorch checkpoint: the magic number differs.")
    system = _load(file, storages)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise UnsafeCheckpointError("Expected little-endian tensors. Received another byte order.")
    tree = _load(file, storages)
    for key in _load(file, storages):
        storage = storages.get(str(key))
        if storage is None:
            raise UnsafeCheckpointError(f"Storage {key!r} is not used by any tensor.")
        count = int.from_bytes(_read_exactly(file, 8), "little")
        if count != storage.size:
            raise UnsafeCheckpointError(
                f"Storage {key!r}: {storage.size} declared, {count} stored."
            )
        raw = _read_exactly(file, count * storage.dtype.itemsize)
        storage.data = np.frombuffer(raw, storage.dtype)
    return tree


def _read_zip(path: Path) -> Any:
    storages: dict[str, _Storage] = {}
    with zipfile.ZipFile(path) as archive:
        infos = {info.filename: info for info in archive.infolist()}
        if sum(info.file_size for info in infos.values()) > MAX_FILE_BYTES:
            raise UnsafeCheckpointError(f"The archive unpacks to over {MAX_FILE_BYTES} bytes.")
        root = next((n.removesuffix("data.pkl") for n in infos if n.endswith("/data.pkl")), None)
        if root is None:
            raise UnsafeCheckpointError("Not a PyTorch checkpoint: the archive has no data.pkl.")
        order = f"{root}byteorder"
        if order in infos and archive.read(order) != b"little":
            raise UnsafeCheckpointError(
                "Expected little-endian tensors. Received another byte order."
            )
        tree = _load(io.BytesIO(archive.read(f"{root}data.pkl")), storages)
        for key, storage in storages.items():
            name = f"{root}data/{key}"
            if name not in infos:
                raise UnsafeCheckpointError(f"Storage {key!r} is missing from the archive.")
            raw = archive.read(name)
            if len(raw) != storage.size * storage.dtype.itemsize:
                raise UnsafeCheckpointError(f"Storage {key!r} has the wrong length.")
            storage.data = np.frombuffer(raw, storage.dtype)
    return tree


def _read_legacy_file(path: Path) -> Any:
    with path.open("rb") as file:
        return _read_legacy(file)


def _arrays(tree: Any) -> dict[str, np.ndarray[Any, Any]]:
    if not isinstance(tree, dict):
        raise UnsafeCheckpointError(f"It holds a {type(tree).__name__}, not a state dict.")
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for name, value in tree.items():
        if not isinstance(value, _Tensor):
            raise UnsafeCheckpointError(f"Entry {name!r} is a {type(value).__name__}, no tensor.")
        arrays[str(name)] = value.array()
    return arrays


def read_pth(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Read a state dict as NumPy arrays.

    Args:
        path: a `.pth` file in PyTorch's legacy or zip format, at most 1 GiB.

    Returns:
        Tensor name to array, in the file's order; each array owns its memory.

    Raises:
        UnsafeCheckpointError: the pickle refers to anything but tensors, or is damaged.
        OSError: the file cannot be opened.
    """
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise UnsafeCheckpointError(f"It is {size} bytes; at most {MAX_FILE_BYTES} are read.")
        return _arrays(_read_zip(path) if zipfile.is_zipfile(path) else _read_legacy_file(path))
    except UnsafeCheckpointError as error:
        raise UnsafeCheckpointError(
            f"Expected a PyTorch checkpoint of plain tensors. Received {path}: {error} "
            "Give the .pth of the published weights."
        ) from error
    except _DAMAGE as error:
        raise UnsafeCheckpointError(
            f"Expected a PyTorch checkpoint of plain tensors. Received {path}, which is damaged "
            f"({type(error).__name__}). Fetch it again."
        ) from error
