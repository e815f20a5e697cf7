"""The .pth reader yields tensors or an error; whatever the file says, nothing in it runs."""

from __future__ import annotations

import io
import pickle
import pickletools
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promolens_training.backbones.pth import UnsafeCheckpointError, read_pth
from promolens_training.backbones.weights import lite_weights_file

GOLDEN = Path(__file__).parent / "golden"
BOTH_FORMATS = pytest.mark.parametrize("file", ["plain_tensors.pth", "plain_tensors_legacy.pth"])


class Global:
    """Pickles as a reference to `module.name`, called with `args`."""

    def __init__(self, module: str, name: str, *args: Any) -> None:
        self.module, self.name, self.args = module, name, args


class Storage:
    """Pickles as the persistent id that PyTorch gives a storage."""

    def __init__(self, *pid: Any) -> None:
        self.pid = pid


class Bare:
    """Pickles as a reference to `module.name`, not called."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


def _named(module: str, name: str) -> Any:
    """A stand-in that pickle writes as module.name, without that module's being installed."""
    stand_in = type(name, (), {})
    stand_in.__module__, stand_in.__qualname__ = module, name
    return stand_in


class Writer(pickle._Pickler):  # the Python pickler: its lookups of names can be replaced
    def persistent_id(self, obj: Any) -> Any:
        return obj.pid if isinstance(obj, Storage) else None

    def save_global(self, obj: Any, name: str | None = None) -> None:
        self.write(pickle.GLOBAL + f"{obj.__module__}\n{name or obj.__qualname__}\n".encode())

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, Global):
            return _named(obj.module, obj.name), obj.args
        return NotImplemented

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, Bare):
            return self.save_global(_named(obj.module, obj.name))
        return super().save(obj, save_persistent_id)


def pickled(obj: Any) -> bytes:
    out = io.BytesIO()
    Writer(out, 2).dump(obj)
    return out.getvalue()


def zip_file(folder: Path, tree: Any, storages: dict[str, bytes], order: bytes = b"little") -> Path:
    path = folder / "made.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("made/data.pkl", tree if isinstance(tree, bytes) else pickled(tree))
        archive.writestr("made/byteorder", order)
        for key, raw in storages.items():
            archive.writestr(f"made/data/{key}", raw)
    return path


FLOATS = Bare("torch", "FloatStorage")


def tensor(storage: Any = None, offset: Any = 0, shape: Any = (4,), stride: Any = (1,)) -> Global:
    storage = storage or Storage("storage", FLOATS, "0", "cpu", 4)
    hooks = (False, OrderedDict())
    return Global("torch._utils", "_rebuild_tensor_v2", storage, offset, shape, stride, *hooks)


FOUR = np.arange(4, dtype="<f4").tobytes()


@BOTH_FORMATS
def test_reads_what_torch_wrote(file: str) -> None:
    """Written by PyTorch 2.13 from arange(24).reshape(2, 3, 4) and its views."""
    read = read_pth(GOLDEN / file)
    base = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    np.testing.assert_array_equal(read["straight"], base)
    np.testing.assert_array_equal(read["transposed"], base.transpose(2, 0, 1))
    np.testing.assert_array_equal(read["slice"], base[1, 1:, ::2])
    assert (read["scalar"].shape, read["scalar"].dtype, int(read["scalar"])) == ((), np.int64, 7)
    np.testing.assert_array_equal(read["half"], np.array([0.5, -2.0], np.float16))
    np.testing.assert_array_equal(read["flags"], [True, False, True])
    assert read["empty"].shape == (0, 5)


def test_reads_the_published_weights() -> None:
    tensors = read_pth(lite_weights_file("efficientnet_lite0"))
    assert len(tensors) == 296
    assert tensors["_fc.weight"].shape == (1000, 1280)
    assert all(np.isfinite(array).all() for array in tensors.values())


def test_reads_a_file_made_here(tmp_path: Path) -> None:
    """The control of the tests below: the same file without its fault is fine."""
    read = read_pth(zip_file(tmp_path, {"w": tensor()}, {"0": FOUR}))
    np.testing.assert_array_equal(read["w"], [0, 1, 2, 3])


CALLED: list[str] = []


def _trap() -> types.ModuleType:
    module = types.ModuleType("promolens_trap")
    module.__dict__["spring"] = lambda *args: CALLED.append("sprung")
    return module


@pytest.mark.parametrize(
    ("module", "name", "args"),
    [
        ("promolens_trap", "spring", ()),
        ("os", "system", ("true",)),
        ("posix", "system", ("true",)),
        ("builtins", "eval", ("1",)),
        ("builtins", "exec", ("1",)),
        ("builtins", "getattr", ({}, "pop")),
        ("subprocess", "Popen", (["true"],)),
        ("numpy", "load", ("x.npy",)),
        ("torch", "load", ("x.pth",)),
        ("torch._utils", "_rebuild_qtensor", ()),
        ("torch._utils", "_rebuild_tensor_v2.__globals__", ()),
        ("torch.hub", "load", ("a/b", "c")),
        ("collections", "OrderedDict.fromkeys", ([],)),
        ("torch", "FloatStorage.from_file", ("/etc/passwd",)),
    ],
)
def test_refuses_every_other_name_without_calling_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, name: str, args: tuple[Any, ...]
) -> None:
    monkeypatch.setitem(sys.modules, "promolens_trap", _trap())
    path = zip_file(tmp_path, {"w": Global(module, name, *args)}, {})
    with pytest.raises(UnsafeCheckpointError, match="not executed"):
        read_pth(path)
    assert CALLED == []


def test_the_trap_would_spring_in_an_ordinary_unpickler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "promolens_trap", _trap())
    pickle.loads(pickled(Global("promolens_trap", "spring")))
    assert CALLED.pop() == "sprung"


FAULTS: dict[str, Callable[[Path], Path]] = {
    "view storage": lambda folder: zip_file(
        folder,
        {"w": tensor(Storage("storage", FLOATS, "0", "cpu", 4, ("1", 0, 4)))},
        {"0": FOUR},
    ),
    "unknown persistent object": lambda folder: zip_file(
        folder, {"w": tensor(Storage("module", FLOATS, "0", "cpu", 4))}, {"0": FOUR}
    ),
    "storage shorter than declared": lambda folder: zip_file(
        folder, {"w": tensor()}, {"0": FOUR[:-4]}
    ),
    "storage missing": lambda folder: zip_file(folder, {"w": tensor()}, {}),
    "huge storage": lambda folder: zip_file(
        folder, {"w": tensor(Storage("storage", FLOATS, "0", "cpu", 1 << 60))}, {"0": FOUR}
    ),
    "reads past the end": lambda folder: zip_file(folder, {"w": tensor(shape=(5,))}, {"0": FOUR}),
    "offset past the end": lambda folder: zip_file(folder, {"w": tensor(offset=1)}, {"0": FOUR}),
    "negative offset": lambda folder: zip_file(folder, {"w": tensor(offset=-1)}, {"0": FOUR}),
    "negative stride": lambda folder: zip_file(
        folder, {"w": tensor(offset=3, stride=(-1,))}, {"0": FOUR}
    ),
    "negative shape": lambda folder: zip_file(folder, {"w": tensor(shape=(-4,))}, {"0": FOUR}),
    "shape and stride differ": lambda folder: zip_file(
        folder, {"w": tensor(shape=(2, 2))}, {"0": FOUR}
    ),
    "zero stride fills the memory": lambda folder: zip_file(
        folder, {"w": tensor(shape=(1 << 45,), stride=(0,))}, {"0": FOUR}
    ),
    "stride beyond 64 bits": lambda folder: zip_file(
        folder, {"w": tensor(shape=(1,), stride=(1 << 80,))}, {"0": FOUR}
    ),
    "tensor without a storage": lambda folder: zip_file(
        folder, {"w": tensor(Global("collections", "OrderedDict"))}, {}
    ),
    "shape of words": lambda folder: zip_file(folder, {"w": tensor(shape="ab")}, {"0": FOUR}),
    "other byte order": lambda folder: zip_file(folder, {"w": tensor()}, {"0": FOUR}, order=b"big"),
    "a list at the root": lambda folder: zip_file(folder, [tensor()], {"0": FOUR}),
    "a number among tensors": lambda folder: zip_file(
        folder, {"w": tensor(), "epoch": 3}, {"0": FOUR}
    ),
    "no pickle inside": lambda folder: zip_file(folder, b"not a pickle", {}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_file_is_one_clear_error(tmp_path: Path, fault: str) -> None:
    path = FAULTS[fault](tmp_path)
    with pytest.raises(UnsafeCheckpointError, match=r"^Expected .* Received .*made\.pth") as error:
        read_pth(path)
    assert "\n" not in str(error.value)


@BOTH_FORMATS
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, file: str) -> None:
    whole = (GOLDEN / file).read_bytes()
    path = tmp_path / "cut.pth"
    for length in range(0, len(whole) - 1, 37):
        path.write_bytes(whole[:length])
        with pytest.raises(UnsafeCheckpointError):
            read_pth(path)


@BOTH_FORMATS
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_damaged_file_yields_arrays_or_our_error(
    tmp_path: Path, file: str, data: st.DataObject
) -> None:
    content = bytearray((GOLDEN / file).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.pth"
    path.write_bytes(content)
    try:
        tensors = read_pth(path)
    except UnsafeCheckpointError:
        return
    assert all(isinstance(array, np.ndarray) for array in tensors.values())


@settings(max_examples=80, deadline=None)
@given(
    shape=st.lists(st.integers(1, 4), min_size=0, max_size=4),
    order=st.randoms(use_true_random=False),
    offset=st.integers(0, 3),
)
def test_any_view_equals_numpys(
    tmp_path_factory: pytest.TempPathFactory, shape: list[int], order: Any, offset: int
) -> None:
    """Round trip: a transposed array, stored flat with strides in elements, comes back."""
    n = int(np.prod(shape))
    flat = np.arange(offset + n, dtype="<f4")
    array = flat[offset:].reshape(shape)
    axes = list(range(len(shape)))
    order.shuffle(axes)
    view = array.transpose(axes)
    stride = tuple(step // 4 for step in view.strides)
    storage = Storage("storage", FLOATS, "0", "cpu", flat.size)
    tree = {"w": tensor(storage, offset, view.shape, stride)}
    path = zip_file(tmp_path_factory.mktemp("view"), tree, {"0": flat.tobytes()})
    np.testing.assert_array_equal(read_pth(path)["w"], view)


def test_the_test_files_are_pickles_of_plain_names() -> None:
    """What the committed file refers to, so that nobody has to load it to know."""
    with zipfile.ZipFile(GOLDEN / "plain_tensors.pth") as archive:
        program = archive.read("plain_tensors/data.pkl")
    names = {arg for code, arg, _ in pickletools.genops(program) if code.name == "GLOBAL"}
    kinds = ("Float", "Long", "Half", "Bool")
    assert names == {
        "collections OrderedDict",
        "torch._utils _rebuild_tensor_v2",
        *(f"torch {kind}Storage" for kind in kinds),
    }
