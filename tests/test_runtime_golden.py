"""Golden vectors: same numbers, same bytes; damaged or oversized files are refused."""

from __future__ import annotations

import io
import json
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promolens_runtime import golden as module
from promolens_runtime.errors import BundleError
from promolens_runtime.golden import (
    Golden,
    golden_json,
    golden_npz,
    read_golden_json,
    read_golden_npz,
)


def vectors(count: int = 2, side: int = 3, seed: int = 0) -> Golden:
    rng = np.random.default_rng(seed)
    return Golden(
        {
            "image": rng.integers(0, 256, (count, side, side, 3), np.uint8),
            "logits": rng.normal(size=(count, 4)).astype(np.float32),
        }
    )


@settings(max_examples=40)
@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 2**32))
def test_round_trips(count: int, side: int, seed: int) -> None:
    golden = vectors(count, side, seed)
    assert read_golden_npz(golden_npz(golden)).equals(golden)
    assert read_golden_json(golden_json(golden)).equals(golden)


def test_same_vectors_same_bytes_in_any_order() -> None:
    golden = vectors()
    other = Golden(dict(sorted(golden.tensors.items(), reverse=True)))
    assert golden_npz(golden) == golden_npz(other)
    assert golden_json(golden) == golden_json(other)


def test_numpy_reads_the_file_itself() -> None:
    with np.load(io.BytesIO(golden_npz(vectors())), allow_pickle=False) as loaded:
        assert np.array_equal(loaded["logits"], vectors().tensors["logits"])


def test_equals_notices_one_bit() -> None:
    golden = vectors()
    logits = golden.tensors["logits"].copy()
    logits.view(np.uint32)[0, 0] ^= 1
    assert not golden.equals(Golden({**golden.tensors, "logits": logits}))


def npz(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array)
    return buffer.getvalue()


GOOD = npy(np.zeros((1, 2), np.uint8))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04 no zip",
        npz({"a.npy": GOOD[:-1]}),
        npz({"a.npy": GOOD + b"x"}),
        npz({"a.npy": npy(np.zeros((1, 2)))}),  # float64
        npz({"a.npy": npy(np.zeros((2, 3), np.uint8, order="F"))}),
        npz({"../a.npy": GOOD}),
        npz({"a.txt": GOOD}),
        npz({f"a{i}.npy": GOOD for i in range(17)}),
        npz({"a.npy": GOOD, "b.npy": npy(np.zeros((2, 2), np.uint8))}),  # counts differ
        npz({}),
        npz({"a.npy": GOOD.replace(b"(1, 2)", b"(1,-2)")}),
        npz({"a.npy": GOOD.replace(b"(1, 2), }", b"(9**9),}")}),
        npz({"a.npy": GOOD.replace(b"(1, 2)", b"(10**9, 2)")}),
    ],
)
def test_damaged_npz_is_refused(data: bytes) -> None:
    with pytest.raises(BundleError, match="Expected golden"):
        read_golden_npz(data)


def test_pickles_are_never_loaded() -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (exec, ("raise SystemExit('ran')",))

    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|O", "fortran_order": False, "shape": (1,)}
    )
    with pytest.raises(BundleError):
        read_golden_npz(npz({"a.npy": header.getvalue() + pickle.dumps([Trap()])}))


def test_a_small_file_that_unpacks_to_much_is_refused() -> None:
    bomb = npz({"a.npy": bytes(module.MAX_TOTAL_BYTES + 70_000)}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 100_000
    with pytest.raises(BundleError, match="too many bytes"):
        read_golden_npz(bomb)


@pytest.mark.parametrize(
    "change",
    [
        {"count": 3},
        {"tensors": {}},
        {"tensors": {"a": {"dtype": "float64", "shape": [1], "base64": ""}}},
        {"tensors": {"a": {"dtype": "uint8", "shape": [1, 2], "base64": "AA=="}}},
        {"tensors": {"a": {"dtype": "uint8", "shape": [1], "base64": "?"}}},
        {"tensors": {"a": {"dtype": "uint8", "shape": "11", "base64": "AA=="}}},
        {"tensors": 5},
    ],
)
def test_damaged_json_is_refused(change: dict[str, object]) -> None:
    value = json.loads(golden_json(vectors())) | change
    with pytest.raises(BundleError):
        read_golden_json(json.dumps(value).encode())


@settings(max_examples=100)
@given(st.binary(max_size=200), st.integers(0, 400))
def test_noise_in_the_npz_gives_vectors_or_our_error(noise: bytes, at: int) -> None:
    data = golden_npz(vectors())
    try:
        read_golden_npz(data[:at] + noise + data[at + len(noise) :])
    except BundleError:
        return
