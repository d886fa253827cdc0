"""Convert a weight file: read, make a DeepLab if asked to, write .npz or .safetensors."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minideeplab import models, pretrained
from minideeplab.io import atomic_write
from minideeplab.models.deeplab import VARIANTS
from minideeplab.models.files import read_weights, write_npz
from minideeplab.models.preprocessing import CAFFE
from minideeplab.nn import Module
from minideeplab.weights.download import KNOWN, fetch
from minideeplab.weights.reading import load
from minideeplab.weights.state import StateDict
from minideeplab.weights.surgery import vgg16_to_deeplab
from minideeplab.weights.vgg import vgg16_state

SUFFIXES = (".npz", ".safetensors")
TARGETS = ("vgg16", *VARIANTS)


def convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    to: str | None = None,
    num_classes: int = 21,
    half: bool = False,
    progress: bool = True,
    framework: str | None = None,
) -> StateDict:
    """Write ``source``, a file or a download, to ``target``, converted to the network ``to``.

    Args:
        source: a weight file, or a name in ``download.KNOWN``.
        target: a ``.npz`` or ``.safetensors`` file; written completely or not at all.
        to: None keeps names and arrays as :func:`load` gives them, and our own description;
            "vgg16" gives Caffe's names and input; "largefov", "aspp-s" and "aspp-l" a DeepLab's
            initial weights, in a file that ``models.from_checkpoint`` and ``train --init`` take.
        num_classes: of the DeepLab.
        half: store float16, half the size.
        progress: show a bar while downloading.
        framework: whose input the first layer expects, where names and values do not tell; see
            ``source`` of :func:`~minideeplab.weights.canonical`.

    Returns:
        The state that was written, before halving; ``fresh`` names its new layers.

    Raises:
        FileNotFoundError: ``source`` is neither a file nor a known name.
        ValueError: not a weight file, layers that do not fit, or a target of another format.
    """
    _check_target(target)
    if to is not None and to not in TARGETS:
        raise ValueError(f"to: {to!r}, expected one of {', '.join(TARGETS)}")
    path = locate(source, progress)
    state, meta = load(path), _description(path)
    if to == "vgg16":
        state = vgg16_state(state, framework)
        meta = {"model": "vgg16", "preprocessing": dataclasses.asdict(CAFFE)}
    elif to is not None:
        state = vgg16_to_deeplab(state, to, num_classes, source=framework)
        meta = {
            "model": to, "num_classes": num_classes,
            "preprocessing": dataclasses.asdict(CAFFE),
            "training": f"none yet: initial weights made of {path.name}",
        }  # fmt: skip
    save(target, state, meta, half)
    return state


def network(
    source: str | os.PathLike[str],
    to: str | None = None,
    num_classes: int = 21,
    progress: bool = True,
) -> Module:
    """Return the network of a weight file of ours, or the DeepLab that ``to`` makes of a VGG-16.

    Raises:
        FileNotFoundError: ``source`` is neither a file nor a known name.
        ValueError: not weights of a network of ours, or layers that do not fit ``to``.
    """
    path = locate(source, progress)
    if to is None:
        return models.from_checkpoint(path)
    net = models.deeplab(to, num_classes=num_classes)
    net.load_state_dict(vgg16_to_deeplab(load(path), to, num_classes))
    return net.eval()


def _description(path: Path) -> dict[str, Any]:
    """Return the description in a weight file of ours, {} for any other file."""
    if path.suffix.lower() not in SUFFIXES:
        return {}
    try:
        return read_weights(path)[1]
    except ValueError:
        return {}


def locate(source: str | os.PathLike[str], progress: bool = True) -> Path:
    """Return the path of a file, of bundled weights, or of an official file, which is downloaded.

    Raises FileNotFoundError if ``source`` is neither a file nor one of the names.
    """
    if Path(source).exists():
        return Path(source)
    if str(source) in pretrained.NAMES:
        return pretrained.find(source)
    if str(source) in KNOWN:
        return fetch(str(source), progress=progress)
    names = (*pretrained.NAMES, *KNOWN)
    raise FileNotFoundError(
        f"{source}: no such file, and not one of the known names {', '.join(names)}"
    )


def save(
    path: str | os.PathLike[str],
    state: Mapping[str, np.ndarray],
    meta: Mapping[str, Any] | None = None,
    half: bool = False,
) -> None:
    """Write arrays by name to ``.npz`` or ``.safetensors``, so that :func:`load` gives them back.

    ``meta`` (JSON-able) goes beside them, with the state's origin. ``half`` stores floats as
    float16.

    Raises:
        ValueError: another ending, or values that float16 cannot hold.
    """
    _check_target(path)
    if "__metadata__" in state and Path(path).suffix.lower() == ".safetensors":
        raise ValueError("'__metadata__': no array in a .safetensors file can have this name")
    meta = {"origin": getattr(state, "origin", None), **(meta or {})}
    if half:
        state = {name: _halved(name, array) for name, array in state.items()}
    if Path(path).suffix.lower() == ".npz":
        write_npz(path, state, meta)
        return
    from safetensors.numpy import save as to_bytes

    text = {key: value if isinstance(value, str) else json.dumps(value)
            for key, value in meta.items() if value is not None}  # fmt: skip
    arrays = {name: np.asarray(array, order="C") for name, array in state.items()}
    with atomic_write(path) as temporary:
        temporary.write_bytes(to_bytes(arrays, metadata=text))


def _halved(name: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind != "f":
        return array
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    if not np.array_equal(np.isfinite(half), np.isfinite(array)):
        raise ValueError(f"{name}: has values up to {np.abs(array).max():.3g}, too large for half")
    return half


def _check_target(path: str | os.PathLike[str]) -> None:
    if Path(path).suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: weights are written to {' or '.join(SUFFIXES)} files")
