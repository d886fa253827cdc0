"""Files that are not weights, or no longer: a ValueError that says so, soon, in little memory."""

from __future__ import annotations

import gzip
import io
import pickle
import random
import tarfile
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from minideeplab.weights import load

DATA = Path(__file__).with_name("data")
FILES = sorted(path.name for path in DATA.iterdir())
SUFFIXES = (".pth", ".caffemodel", ".h5", ".keras", ".npz", ".npy", ".mat", ".safetensors")


def tar_bytes():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("pickle"))
    return stream.getvalue()


def zip_bytes():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("readme.txt", "nothing")
    return stream.getvalue()


IMPOSTORS = {
    "empty": (b"", "the file is empty"),
    "html": (b"<!DOCTYPE html>\n<html>404</html>", "an HTML or XML page"),
    "html with a mark": (b"\xef\xbb\xbf\n <html>", "an HTML or XML page"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS pointer"),
    "gzip": (gzip.compress(b"weights"), "compressed with gzip"),
    "json": (b'{"error": "not found"}', "JSON"),
    "png": (b"\x89PNG\r\n\x1a\n", "an image"),
    "tar": (tar_bytes(), "tar archive"),
    "pickle": (pickle.dumps({"w": [1.0]}), "plain Python pickle"),
    "zip": (zip_bytes(), "readme.txt inside, not weights"),
    "cut zip": (zip_bytes()[:-5], "truncated zip"),
}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", IMPOSTORS)
def test_impostors(tmp_path, kind, suffix):
    content, message = IMPOSTORS[kind]
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_random_bytes(tmp_path, suffix):
    path = tmp_path / f"weights{suffix}"
    for seed in range(20):
        path.write_bytes(random.Random(seed).randbytes(3000))
        with pytest.raises(ValueError):
            load(path)


def test_folders_and_missing_files(tmp_path):
    with pytest.raises(ValueError, match="got a folder"):
        load(tmp_path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "absent.pth")


@pytest.mark.parametrize("name", FILES)
def test_truncated_files(tmp_path, name):
    content = (DATA / name).read_bytes()
    path = tmp_path / name
    rng = random.Random(name)
    for size in sorted(rng.sample(range(1, len(content) - 1), 25)):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError):
            load(path)


LARGE = (b"\xff" * 8, b"\xff\xff\xff\x7f" * 2, bytes(8))


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Flip bits, set bytes, or overwrite eight bytes with a large number."""
    wrong = bytearray(content)
    kind = rng.randrange(3)
    if kind == 0:
        for _ in range(rng.choice((1, 2, 8))):
            wrong[rng.randrange(len(wrong))] ^= 1 << rng.randrange(8)
    elif kind == 1:
        wrong[rng.randrange(len(wrong))] = rng.choice((0, 0x7F, 0x80, 0xFF))
    else:
        position = rng.randrange(len(wrong) - 8)
        wrong[position : position + 8] = rng.choice(
            (b"\xff" * 8, b"\xff\xff\xff\x7f" * 2, bytes(8))
        )
    return bytes(wrong)


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_are_read_or_refused(tmp_path, name):
    """A flipped bit in a float cannot be seen; anything else must end in a ValueError."""
    content = (DATA / name).read_bytes()
    path = tmp_path / name
    rng = random.Random(name)
    outcomes = set()
    tracemalloc.start()
    start = time.perf_counter()
    for _ in range(60):
        path.write_bytes(damaged(content, rng))
        try:
            state = load(path)
        except ValueError:
            outcomes.add("refused")
        else:
            outcomes.add("read")
            assert all(isinstance(array, np.ndarray) for array in state.values())
    seconds, (_, peak) = time.perf_counter() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "refused" in outcomes
    assert seconds < 30 and peak < 64 << 20


def torch_archive(tmp_path, **entries):
    """A zip in PyTorch's layout with some entries replaced."""
    path = tmp_path / "net.pth"
    with zipfile.ZipFile(DATA / "zip.pth") as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, entries.get(name.split("/")[-1], old.read(name)))
    return path


def test_a_tensor_that_claims_more_than_its_storage(tmp_path):
    with zipfile.ZipFile(DATA / "zip.pth") as archive:
        program = archive.read("zip/data.pkl")
    assert program.count(b"K\x05K\x10\x86") == 1  # fc6.weight: (5, 16)
    huge = program.replace(b"K\x05K\x10\x86", b"J\xff\xff\xff\x7fK\x10\x86")
    path = torch_archive(tmp_path, **{"data.pkl": huge})
    with pytest.raises(ValueError, match=r"claim .* bytes, implausible"):
        load(path)
    large = program.replace(b"K\x05K\x10\x86", b"K\x06K\x10\x86")
    with pytest.raises(ValueError, match=r"fc6.weight: it needs 96 elements, its storage has 80"):
        load(torch_archive(tmp_path, **{"data.pkl": large}))
    shifted = program.replace(b"K\x00K\x05K\x10\x86", b"K\x01K\x05K\x10\x86")
    with pytest.raises(ValueError, match=r"fc6.weight: it needs 81 elements, its storage has 80"):
        load(torch_archive(tmp_path, **{"data.pkl": shifted}))


def test_compressed_and_lying_archives(tmp_path):
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", bytes(80 << 20))
    with pytest.raises(ValueError, match="more than the file's"):
        load(path)


def test_missing_tensor_data(tmp_path):
    path = tmp_path / "net.pth"
    with zipfile.ZipFile(DATA / "zip.pth") as old, zipfile.ZipFile(path, "w") as new:
        new.writestr("zip/data.pkl", old.read("zip/data.pkl"))
    with pytest.raises(ValueError, match="'zip/data/0' are missing"):
        load(path)
