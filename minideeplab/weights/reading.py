"""Read a weight file of any format: detect the format by content, then call its reader."""

from __future__ import annotations

import importlib
import os
import zipfile
from pathlib import Path

from minideeplab.budget import one_line
from minideeplab.files import require_file
from minideeplab.weights.pth import LEGACY_MAGIC
from minideeplab.weights.state import StateDict

#: Formats, each with the module and function that read it.
READERS = {
    "PyTorch zip": ("pth", "read_zip"),
    "PyTorch legacy": ("pth", "read_legacy"),
    "Caffe": ("caffemodel", "read"),
    "HDF5": ("hdf5", "read"),
    "Keras": ("hdf5", "read_keras_zip"),
    "NumPy .npz": ("npz", "read"),
    "NumPy .npy": ("npz", "read_npy"),
    "MATLAB": ("mat", "read"),
    "safetensors": ("safetensors", "read"),
}
PATH = 160  # characters of a path in a message
EXPECTED = ".pth/.pt, .caffemodel, .h5/.keras, .npz/.npy, .mat or .safetensors"

MAGIC = {
    b"\x89HDF\r\n\x1a\n": "HDF5", b"\x93NUMPY": "NumPy .npy",
    b"MATLAB 5.0 MAT-file": "MATLAB", b"MATLAB 7.3 MAT-file": "MATLAB",
}  # fmt: skip

#: First bytes of files that are often mistaken for weights, and how to fix it.
IMPOSTORS = (
    (b"<", "an HTML or XML page, not weights (did the download return an error page?)"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself (run git lfs pull)"),
    (b"\x1f\x8b", "compressed with gzip; unpack it first"),
    (b"{", "JSON text, not weights"),
    (b"\x89PNG", "an image, not weights"),
    (b"\xff\xd8\xff", "an image, not weights"),
    (b"Rar!", "a RAR archive; unpack it first"),
    (b"7z\xbc\xaf", "a 7-Zip archive; unpack it first"),
)


def load(path: str | os.PathLike[str]) -> StateDict:
    """Return the arrays of a weight file of any known framework, by name.

    The format is found by content; the name's ending does not matter. Names are those in the
    file, with ".weight", ".bias", ".running_mean", ".running_var" for the parameters of a layer
    where the format has no dotted names of its own; layouts are always (out, in, kH, kW) and
    (out, in). dtypes stay, except that bfloat16 becomes float32. Nothing in a file is ever
    executed. The result records the framework (``.origin``), so that
    :func:`~minideeplab.weights.vgg16_to_deeplab` knows the first layer's channel order.

    Args:
        path: a ``.pth``/``.pt``, ``.caffemodel``, ``.h5``/``.keras``, ``.npz``/``.npy``,
            ``.mat`` or ``.safetensors`` file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not a weight file, or a damaged, truncated or hostile one; the message says
            which, with the path.
    """
    path = require_file(path, "a weight file")
    try:
        kind = detect(path)
    except ValueError as error:
        raise ValueError(_message(path, error)) from None
    module, function = READERS[kind]
    reader = getattr(importlib.import_module(f"minideeplab.weights.{module}"), function)
    try:
        return reader(path)
    except (FileNotFoundError, PermissionError):
        raise
    except ValueError as error:
        raise ValueError(_message(path, f"cannot be read as {kind} weights: {error}")) from error
    except Exception as error:  # damaged files make libraries raise nearly anything
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        text = f"cannot be read as {kind} weights: damaged or truncated ({what})"
        raise ValueError(_message(path, text)) from error


def _message(path: Path, text: object) -> str:
    """Return "PATH: text" in one line; of a long path the end."""
    name = str(path) if len(str(path)) <= PATH else f"...{str(path)[-PATH:]}"
    return one_line(f"{name}: {text}")


def detect(path: Path) -> str:
    """Return the format, a key of ``READERS``, by the first bytes of the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: an unknown format; the message names the file's type where it is recognised.
    """
    with open(path, "rb") as file:
        start = file.read(4096)
    if not start:
        raise ValueError("the file is empty; expected weights")
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _kind_of_zip(path)
    if start[:1] == b"\x80" and LEGACY_MAGIC in start[:32]:
        return "PyTorch legacy"
    for beginning, kind in MAGIC.items():
        if start.startswith(beginning):
            return kind
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= path.stat().st_size:
        return "safetensors"
    _refuse_impostors(start)
    if path.suffix.lower() == ".caffemodel" or _looks_like_caffe(start):
        return "Caffe"
    raise ValueError(f"not a weight file known here ({EXPECTED}); begins with {start[:8]!r}")


def _refuse_impostors(start: bytes) -> None:
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    for beginning, what in IMPOSTORS:
        if text.startswith(beginning):
            raise ValueError(what)
    if start[257:262] == b"ustar":
        raise ValueError(
            "a tar archive; PyTorch before 0.1.10 wrote such files: load it with PyTorch and "
            "torch.save its state dict again, or unpack the archive"
        )
    if start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05":
        raise ValueError("a plain Python pickle, which is refused: it can run code when loaded")


def _kind_of_zip(path: Path) -> str:
    """Return the format of a zip archive, by the names of its entries."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ValueError(f"a damaged or truncated zip archive ({error})") from error
    if any(name.split("/")[-1] == "data.pkl" for name in names):
        return "PyTorch zip"
    if "model.weights.h5" in names:
        return "Keras"
    if any(name.endswith(".npy") for name in names):
        return "NumPy .npz"
    inside = ", ".join(names[:3]) or "nothing"
    raise ValueError(f"a zip archive with {inside} inside, not weights; unpack it first")


def _looks_like_caffe(start: bytes) -> bool:
    """Tell whether a file begins with a net's name (field 1) or a layer (field 2 or 100)."""
    if start[:1] == b"\x0a" and len(start) > 2:
        length = start[1]
        name = start[2 : 2 + length]
        return length < 128 and name.isascii() and start[2 + length : 3 + length] in (
            b"\x12", b"\xa2", b"\x1a", b"\x2a", b"\x42",
        )  # fmt: skip
    return start[:1] == b"\x12" or start[:2] == b"\xa2\x06"
