"""Golden vectors: a few inputs and the outputs that every runtime must give for them.

golden.npz is for NumPy, golden.json holds the same numbers for everyone else (little-endian bytes
in base64). Both are written without time stamps: the same vectors give the same bytes.
"""

from __future__ import annotations

import base64
import binascii
import io
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promolens_runtime.canonical import canonical_json, parse_json
from promolens_runtime.errors import BundleError

DTYPES = {"uint8": "|u1", "float32": "<f4"}
MAX_TENSORS = 16
MAX_VECTORS = 64
MAX_TOTAL_BYTES = 64 * 1024 * 1024
MAX_HEADER_BYTES = 4096
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
DAMAGE = (
    zipfile.BadZipFile, OSError, ValueError, EOFError, KeyError, TypeError, SyntaxError,
    NotImplementedError, RuntimeError, OverflowError, MemoryError, AttributeError,
)  # fmt: skip


@dataclass(frozen=True)
class Golden:
    """Inputs and expected outputs by tensor name; each array is [count, *shape without batch].

    Inputs are uint8, outputs float32. Raises BundleError in construction for other dtypes and for
    counts that differ or leave 1..MAX_VECTORS.
    """

    tensors: Mapping[str, NDArray[Any]]

    def __post_init__(self) -> None:
        """Check names, dtypes, counts and the total size."""
        counts = {array.shape[0] if array.ndim else 0 for array in self.tensors.values()}
        dtypes = {array.dtype.name for array in self.tensors.values()}
        total = sum(array.nbytes for array in self.tensors.values())
        fits = (
            0 < len(self.tensors) <= MAX_TENSORS
            and len(counts) == 1
            and 0 < min(counts) <= MAX_VECTORS
            and dtypes <= set(DTYPES)
            and total <= MAX_TOTAL_BYTES
        )
        if not fits:
            shapes = {name: (a.dtype.name, list(a.shape)) for name, a in self.tensors.items()}
            raise BundleError(
                f"Expected golden vectors: uint8 or float32, the same count of 1 to {MAX_VECTORS}, "
                f"at most {MAX_TOTAL_BYTES} bytes. Received {shapes}. Export the bundle again."
            )

    @property
    def count(self) -> int:
        """How many vectors there are."""
        return int(next(iter(self.tensors.values())).shape[0])

    def equals(self, other: Golden) -> bool:
        """Tell whether both hold the same names, dtypes, shapes and bytes."""
        return self.tensors.keys() == other.tensors.keys() and all(
            array.dtype == other.tensors[name].dtype
            and array.shape == other.tensors[name].shape
            and array.tobytes() == other.tensors[name].tobytes()
            for name, array in self.tensors.items()
        )


def golden_npz(golden: Golden) -> bytes:
    """Return golden.npz: stored, sorted by name, dated 1980."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(golden.tensors):
            array = golden.tensors[name]
            member = io.BytesIO()
            little_endian = np.ascontiguousarray(array, DTYPES[array.dtype.name])
            np.lib.format.write_array(member, little_endian, version=(1, 0), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", ZIP_EPOCH)
            info.create_system = 3  # not the writer's platform
            info.external_attr = 0o644 << 16
            archive.writestr(info, member.getvalue())
    return buffer.getvalue()


def golden_json(golden: Golden) -> bytes:
    """Return golden.json: dtype, shape and base64 of the little-endian bytes by tensor name."""
    tensors = {
        name: {
            "dtype": array.dtype.name,
            "shape": list(array.shape),
            "base64": base64.b64encode(
                np.ascontiguousarray(array, DTYPES[array.dtype.name]).tobytes()
            ).decode(),
        }
        for name, array in golden.tensors.items()
    }
    return canonical_json({"count": golden.count, "tensors": tensors})


def read_golden_npz(data: bytes) -> Golden:
    """Read golden.npz without pickle and within the size limits. Raises BundleError."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            names = [info.filename for info in members]
            if len(members) > MAX_TENSORS or len(set(names)) != len(names):
                raise ValueError(f"{len(members)} members")
            if sum(info.file_size for info in members) > MAX_TOTAL_BYTES + 65536:
                raise ValueError("it unpacks to too many bytes")
            return Golden({_tensor_name(i.filename): _member(archive, i) for i in members})
    except BundleError:
        raise
    except DAMAGE as error:
        raise _damaged("golden.npz", error) from error


def read_golden_json(data: bytes) -> Golden:
    """Read golden.json within the size limits. Raises BundleError."""
    value = parse_json(data, "golden.json")
    try:
        golden = Golden({name: _from_entry(e) for name, e in value["tensors"].items()})
        if value["count"] != golden.count:
            raise ValueError(f"count {value['count']!r} for {golden.count} vectors")
    except BundleError:
        raise
    except (*DAMAGE, binascii.Error) as error:
        raise _damaged("golden.json", error) from error
    return golden


def _tensor_name(member: str) -> str:
    name = member.removesuffix(".npy")
    if name == member or not name.isidentifier():
        raise ValueError(f"a member called {member!r}")
    return name


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(info) as file:
        data = file.read(MAX_TOTAL_BYTES + 65536)
    header = io.BytesIO(data)
    if np.lib.format.read_magic(header) != (1, 0):
        raise ValueError("another .npy version than 1.0")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(header, MAX_HEADER_BYTES)
    if fortran or dtype.str not in DTYPES.values():
        raise ValueError(f"dtype {dtype.str}, column order {fortran}")
    return _shaped(data[header.tell() :], dtype.str, tuple(shape))


def _from_entry(entry: Mapping[str, Any]) -> NDArray[Any]:
    data = base64.b64decode(entry["base64"], validate=True)
    return _shaped(data, DTYPES[entry["dtype"]], tuple(entry["shape"]))


def _shaped(data: bytes, dtype: str, shape: tuple[Any, ...]) -> NDArray[Any]:
    """Give `data` its shape; the sizes are compared first, so that nothing large is allocated."""
    whole = all(isinstance(side, int) and 0 < side <= MAX_TOTAL_BYTES for side in shape)
    if not whole or math.prod(shape) * np.dtype(dtype).itemsize != len(data):
        raise ValueError(f"{len(data)} bytes for shape {list(shape)}")
    return np.frombuffer(data, dtype).reshape(shape)


def _damaged(name: str, error: BaseException) -> BundleError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return BundleError(
        f"Expected {name} with named uint8 and float32 arrays. Received something else ({reason}). "
        "Export the bundle again."
    )
