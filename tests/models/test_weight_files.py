"""Files that are not weights: one clear message, at once, without filling the memory."""

import io
import json
import zipfile

import numpy as np
import pytest

from minideeplab.models.files import META, read_npz, write_npz


def archive(entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as written:
        for name, content in entries.items():
            written.writestr(name, content)
    return file.getvalue()


def npy(shape: tuple[int, ...]) -> bytes:
    """An array that says it has this shape, and has no elements."""
    file = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue()


GOOD_META = io.BytesIO()
np.save(GOOD_META, np.array(json.dumps({})))

BAD = {
    "empty": b"",
    "web page": b"<!DOCTYPE html><html>404</html>",
    "one array": npy((0,)),
    "bomb": archive({"w.npy": bytes(50_000_000)}, zipfile.ZIP_DEFLATED),
    "huge": archive({f"{META}.npy": GOOD_META.getvalue(), "w.npy": npy((1 << 50,))}),
    "short": archive({f"{META}.npy": GOOD_META.getvalue(), "w.npy": npy((100,))}),
    "no meta": archive({"w.npy": npy((0,))}),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_named(tmp_path, name):
    path = tmp_path / "weights.npz"
    path.write_bytes(BAD[name])
    with pytest.raises(ValueError, match=r"weights\.npz"):
        read_npz(path)


def test_every_truncation_is_noticed(tmp_path):
    path = tmp_path / "weights.npz"
    write_npz(path, {"w": np.arange(100.0)}, {"model": "small"})
    whole = path.read_bytes()
    assert read_npz(path)[1] == {"model": "small"}
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"weights\.npz"):
            read_npz(path)
