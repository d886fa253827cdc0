"""Small files that claim much: refused soon, in little memory, with one short line."""

from __future__ import annotations

import io
import json
import pickle
import struct
import time
import tracemalloc
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from caffe_writer import data, layer, network, packed

from minideeplab import models, pretrained
from minideeplab.budget import one_line
from minideeplab.models.files import read_npz, write_npz
from minideeplab.weights import load

DATA = Path(__file__).with_name("data")
MEMORY, SECONDS = 160 << 20, 10


def program(*parts: bytes) -> bytes:
    return b"\x80\x02" + b"".join(parts) + b"."


def numbers(values) -> bytes:
    """A list of numbers, kept in the memo as 0."""
    items = b"".join(b"J" + struct.pack("<i", value) for value in values)
    return b"]q\x00(" + items + b"e"


def torch_file(path: Path, pickled: bytes, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("x/data.pkl", pickled)
        archive.writestr("x/data/0", bytes(64))
    return path


STORAGE = (
    b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x10tQ"
)
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n("


def sizes(path):
    """torch.Size of one long list, ten thousand times."""
    call = b"ctorch\nSize\nh\x00\x85R"
    return torch_file(path, program(numbers(range(50_000)), b"(", call * 10_000, b"t"))


def dictionaries(path):
    """OrderedDict of one list of pairs, ten thousand times."""
    pairs = b"".join(b"(X" + struct.pack("<I", 5) + b"%05dK\x01t" % i for i in range(20_000))
    call = b"ccollections\nOrderedDict\nh\x00\x85R"
    return torch_file(path, program(b"]q\x00(", pairs, b"e(", call * 10_000, b"t"))


def axes(path):
    """A tensor of 50,000 axes, each of 2^31 - 1."""
    shape = b"(" + b"J\xff\xff\xff\x7f" * 50_000 + b"t"
    call = REBUILD + STORAGE + b"K\x00" + shape * 2
    return torch_file(path, program(b"}X\x01\x00\x00\x00w", call, b"\x89NtRs"))


def names(path):
    """Tensors below long names, each many times."""
    tensor = REBUILD + STORAGE + b"K\x00K\x10\x85K\x01\x85\x89NtRq\x01"
    key = b"X" + struct.pack("<I", 400_000) + b"n" * 400_000
    leaves = b"".join(b"X" + struct.pack("<I", 5) + b"%05dh\x01" % i for i in range(20_000))
    return torch_file(path, program(tensor, b"0}", key, b"}(", leaves, b"us"))


def lying_zip(path):
    """A compressed entry of 300 MB whose headers say 1000 bytes."""
    torch_file(path, bytes(300 << 20), zipfile.ZIP_DEFLATED)
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<I", 300 << 20), struct.pack("<I", 1000)))
    return path


def lying_numpy(path):
    """The same in a .npz."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "<f4", "fortran_order": False, "shape": (200,)}
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w.npy", stream.getvalue() + bytes(300 << 20))
    size = len(stream.getvalue()) + (300 << 20)
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<I", size), struct.pack("<I", 2000)))
    return path


def many_entries(path):
    """Compressed arrays, each small enough by itself."""
    np.savez_compressed(path, **{f"w{i}": np.zeros(10 << 20, np.uint8) for i in range(10)})
    return path


def references(path):
    """MATLAB 7.3: 400 references to one compressed array of 10 MB."""
    with h5py.File(path, "w", userblock_size=512) as file:
        array = file.create_dataset("#refs#/a", (10 << 20,), "u1", compression="gzip")
        cell = file.create_dataset("c", (400,), h5py.ref_dtype)
        cell[:] = [array.ref] * 400
        cell.attrs["MATLAB_class"] = np.bytes_(b"cell")
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    return path


def dims(path):
    """Caffe: a blob of fifteen million axes."""
    shape = data(7, data(1, b"\x01" * 15_000_000))
    path.write_bytes(network(layer("c", "Convolution", packed(np.ones(3)) + shape)))
    return path


def header(path):
    """safetensors: a header of nothing but empty lists."""
    text = b'{"w":[' + b"[]," * 5_000_000 + b"[]]}"
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    return path


BOMBS = {
    sizes: "n.pth", dictionaries: "n.pth", axes: "n.pth", names: "n.pth", lying_zip: "n.pth",
    lying_numpy: "n.npz", many_entries: "n.npz", references: "n.mat", dims: "n.caffemodel",
    header: "n.safetensors",
}  # fmt: skip


@pytest.mark.parametrize("make", BOMBS)
def test_bombs_are_refused_soon_in_little_memory(tmp_path, make):
    path = make(tmp_path / BOMBS[make])
    tracemalloc.start()
    start = time.process_time()
    with pytest.raises(ValueError, match="n\\.") as caught:
        load(path)
    seconds, (_, peak) = time.process_time() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MEMORY and seconds < SECONDS, (peak, seconds)
    assert len(str(caught.value)) <= 300 and str(caught.value).isprintable()


def test_our_own_archives_may_not_unpack_to_more_than_the_file(tmp_path):
    path = tmp_path / "weights.npz"
    write_npz(path, {}, {"model": "small"})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("noise", np.random.default_rng(0).bytes(1 << 20))
        for i in range(8):  # each smaller than the file
            archive.writestr(f"w{i}.npy", bytes(1 << 19))
    with pytest.raises(ValueError, match=r"entries claim [\d,]+ bytes, more than the file's"):
        read_npz(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_classes": 30_000_000}, "num_classes: 30000000"),
        ({"num_classes": "6"}, "num_classes: '6'"),
        ({"crf": {"iterations": 10**9}}, "crf: 1000000000 iterations"),
        ({"crf": {"parameters": {"w1": "1"}}}, "crf: parameters"),
        ({"crf": []}, "crf: "),
        ({"views": {"scales": [1.0] * 10_000}}, "expected 1 to 32 scales"),
        ({"views": {"scales": [1e300]}}, "scale 1e[+]300"),
        ({"image_size": [0, 5]}, "image_size"),
        ({"palette": [[1, 2, 999]]}, "palette"),
        ({"classes": ["a"] * 7}, "classes"),
        ({"model": ["small"]}, "model"),
        ({"model": "other"}, "model: 'other'"),
        ({"preprocessing": {"nonsense": 1}}, "nonsense"),
        ({"crf": {"nonsense": 1}}, "crf: unknown setting 'nonsense'"),
        ({"crf": {"parameters": {"w9": 1}}}, "crf: unknown parameter 'w9'"),
    ],
)
def test_a_description_sets_neither_time_nor_memory(tmp_path, changes, message):
    state, meta = read_npz(pretrained.find("shapes"))
    path = tmp_path / "weights.npz"
    write_npz(path, state, meta | changes)
    with pytest.raises(ValueError, match=message) as caught:
        models.from_checkpoint(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 300 + len(str(path))


def test_messages_are_one_short_line():
    assert one_line("a\n b\tc") == "a b c"
    assert one_line("\x1b[31mred\x1b[0m\x07\u202e") == "\\x1b[31mred\\x1b[0m\\x07\\u202e"
    assert len(one_line("x" * 10**7)) == 300 and one_line("é ü 中") == "é ü 中"


def test_names_in_a_file_do_not_reach_the_terminal_raw(tmp_path, capsys):
    from minideeplab import cli

    text = json.dumps(
        {"a\x1b]0;title\x07": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    ).encode()
    path = tmp_path / "n.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(4))
    assert cli.run(["convert", str(path)]) == 0
    assert "\x1b" not in capsys.readouterr().out
    path.write_bytes(pickle.dumps({"\x1b" * 1000: 1}))
    assert cli.run(["convert", str(path)]) == 1
    message = capsys.readouterr().err
    assert "\x1b" not in message and len(message) < 400


def test_names_of_images_do_not_reach_the_terminal_raw(tmp_path, monkeypatch, capsys):
    from minideeplab import cli, io

    monkeypatch.chdir(tmp_path)
    io.write_image("a\n\x1b[31m.png", np.zeros((9, 9, 3), np.uint8))
    Path("b\x1b[31m.png").write_bytes(b"x")
    names = ["a\n\x1b[31m.png", "b\x1b[31m.png"]
    assert cli.run(["segment", *names, "--out", "o", "--weights", "shapes", "--no-crf"]) == 1
    assert "\x1b" not in "".join(capsys.readouterr())


@pytest.mark.parametrize("name", ["allow_pickle", "file", "a.npy", "", "x/y", "é\n"])
def test_every_name_of_a_tensor_survives(tmp_path, name):
    from minideeplab.weights import convert

    source, target = tmp_path / "s.safetensors", tmp_path / "t.npz"
    text = json.dumps({name: {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    source.write_bytes(struct.pack("<Q", len(text)) + text + np.float32([1, 2]).tobytes())
    convert(source, target)
    assert {key: value.tolist() for key, value in load(target).items()} == {name: [1, 2]}


@pytest.mark.parametrize("name", ["__meta__", "a\0b", "n" * 70_000, "\ud800"])
def test_a_name_that_npz_cannot_hold_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"no array in a \.npz file can have this name"):
        write_npz(tmp_path / "t.npz", {name: np.ones(1)}, {})
    assert not list(tmp_path.iterdir())
