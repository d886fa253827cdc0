"""NumPy's files and safetensors, and that ``save`` and ``load`` are inverse."""

from __future__ import annotations

import json
import struct
import zipfile

import numpy as np
import pytest

from minideeplab.weights import StateDict, load, save

STATE = {
    "conv.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
    "transposed": np.arange(6.0).reshape(2, 3).T,
    "half": np.float16([1, 2]), "count": np.array(3), "flag": np.array([True, False]),
    "empty": np.zeros((0, 4), np.float32),
}  # fmt: skip


def assert_same(state, expected=STATE):
    assert set(state) == set(expected)
    for name, array in expected.items():
        assert state[name].dtype == array.dtype and state[name].shape == array.shape, name
        np.testing.assert_array_equal(state[name], array)
        assert state[name].flags.writeable


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize("origin", [None, "matconvnet"])
def test_save_and_load(tmp_path, suffix, origin):
    path = tmp_path / f"net{suffix}"
    save(path, StateDict(STATE, origin), {"note": ["a", 1]})
    state = load(path)
    assert_same(state)
    assert state.origin == origin
    assert list(tmp_path.iterdir()) == [path]  # nothing else is left


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_half_and_what_it_cannot_hold(tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    save(path, STATE, half=True)
    state = load(path)
    assert state["conv.weight"].dtype == np.float16 and state["count"].dtype == np.int64
    with pytest.raises(ValueError, match="w: has values up to 1e\\+06, too large"):
        save(path, {"w": np.float32([1e6])}, half=True)
    assert_same(load(path), state)  # the file is the old one


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_numpy_archives(tmp_path, write):
    write(tmp_path / "net.npz", **STATE)
    assert_same(load(tmp_path / "net.npz"))


def test_single_array(tmp_path):
    np.save(tmp_path / "one.npy", STATE["transposed"])
    assert_same(load(tmp_path / "one.npy"), {"array": STATE["transposed"]})


@pytest.mark.parametrize("write", [np.save, np.savez])
def test_pickled_objects_are_refused(tmp_path, write):
    path = tmp_path / ("x.npy" if write is np.save else "x.npz")
    write(path, np.array([{"a": 1}], object))
    with pytest.raises(ValueError, match="pickled Python objects"):
        load(path)


def test_archives_that_unpack_to_too_much(tmp_path):
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, zeros=np.zeros(30 << 20, np.float32))  # 120 MB in 0.1
    with pytest.raises(ValueError, match="its entries claim"):
        load(path)


def npy(shape, descr="<f4", data=bytes(8)):
    header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy((1 << 40,)), "needs 4,398,046,511,104 bytes"),
        (npy((3,)), "needs 12 bytes, the file has 8"),
        (npy((-1,)), "impossible shape"),
        (npy((2,), descr="|O"), "pickled"),
        (b"\x93NUMPY\x01\x00\xff\xff{", "NumPy .npy"),
        (b"\x93NUMPY\x09\x00", "NumPy .npy"),
    ],
)
def test_bad_npy(tmp_path, content, message):
    path = tmp_path / "x.npy"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load(path)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", content)
    with pytest.raises(ValueError):
        load(tmp_path / "x.npz")


def safetensors(header, data=bytes(8), length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"w": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


def test_bfloat16(tmp_path):
    path = tmp_path / "x.safetensors"
    bits = (np.float32([1.5, -2, 3, 0.25]).view(np.uint32) >> 16).astype("<u2").tobytes()
    path.write_bytes(safetensors(entry("BF16", (4,)), bits))
    assert load(path)["w"].tolist() == [1.5, -2, 3, 0.25]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (safetensors(entry(), data=bytes(4)), "truncated"),
        (safetensors(entry(offsets=(0, 1 << 60))), "truncated"),
        (safetensors(entry(shape=(1 << 40,))), "needs"),
        (safetensors(entry(shape=(1,))), "do not fit"),
        (safetensors(entry("F8_E4M3", (8,))), "unsupported"),
        (safetensors({"w": 3}), "damaged"),
        (safetensors(b"{" + b'"a":[' * 50_000), "not JSON"),
        (safetensors({}), "no tensors"),
        (safetensors({f"w{i}": entry()["w"] for i in range(1000)}), "overlaps"),
    ],
)
def test_bad_safetensors(tmp_path, content, message):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load(path)


def test_against_the_safetensors_library(tmp_path):
    from safetensors.numpy import load_file

    save(tmp_path / "x.safetensors", STATE)
    assert_same({name: a.copy() for name, a in load_file(tmp_path / "x.safetensors").items()})
