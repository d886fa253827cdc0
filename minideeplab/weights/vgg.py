"""Convert a VGG-16 of any framework to Caffe's names, layouts and input.

The frameworks agree on the network and differ in four things:

- **Names.** torchvision numbers modules (``features.0`` ... ``classifier.6``), Keras has
  ``block1_conv1`` ... ``predictions`` (or ``conv2d`` ... ``dense_2``; before 1.0 ``layer_1`` ...),
  Caffe and MatConvNet ``conv1_1`` ... ``fc8``. PyTorch's SSD numbers Caffe's layers: ``0`` ...
  ``33`` (``vgg16_reducedfc.pth``); its fc6 and fc7 are LargeFOV's.
- **The flattening before fc6.** Caffe and PyTorch flatten (512, 7, 7); Keras flattens (7, 7, 512),
  so the columns of its fc1 are reordered.
- **Channel order.** Caffe's networks take BGR, 0..255 minus the mean; Keras' VGG-16 is Caffe's. In
  MatConvNet the same weights take RGB: the first layer's input channels are reversed.
- **Scale.** torchvision's were trained on RGB in 0..1, minus a mean, divided by a standard
  deviation, per channel. As the first layer is linear, this is folded into it: with
  p = x + m the pixel that Caffe's input x stands for, torchvision's input is (p - t) / s, so

      w (x + m - t) / s + b  =  w' x + b'   with   w' = w / s,   b' = b + w (m - t) / s.

  Inside the image the result is the same; at its border both pad with zeros, which stand for
  the colours t and m: they are at most one grey level apart.

Caffe's VGG-16 itself was trained with the mean (103.939, 116.779, 123.68); DeepLab's authors
used it with (104.008, 116.669, 122.675) as it was, and so does this module. Caffe's weights under
torchvision's names (``vgg16_caffe.pth``) are recognised by conv1_1: :func:`first_layer_source`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from minideeplab.models.preprocessing import CAFFE, IMAGENET
from minideeplab.models.vgg import BLOCKS
from minideeplab.weights.state import ORIGINS, StateDict

CONVOLUTIONS = tuple(f"conv{block}_{i}" for block, count, _ in BLOCKS for i in range(1, count + 1))
FC6_INPUT = (512, 7, 7)
AUTHORS_FIRST = (0.4295, 0.5504, 0.4800)  # conv1_1.weight[0, :, 0, 0] of Caffe's VGG-16, BGR
LARGEST_FOR_GREY_VALUES = 0.03  # root mean square of conv1_1; a new layer of torchvision has 0.06
BATCH_NORM_EPS = 1e-5  # PyTorch's default, which torchvision's VGG keeps


def canonical(state: Mapping[str, np.ndarray], source: str | None = None) -> StateDict:
    """Return a VGG-16, or a DeepLab made from one, with Caffe's names, layouts and input.

    Args:
        state: from :func:`~minideeplab.weights.load`, or any dict of arrays with a framework's
            usual names. Batch normalisation (``vgg16_bn``) is folded into the convolutions.
        source: whose input the first layer expects: "caffe", "torchvision", "keras" or
            "matconvnet"; by default ``state.origin``, else recognised by the names and the values.

    Returns:
        float32 ``conv1_1.weight`` ... ``fc8.bias``, as many of them as there are; ``fc8_voc12``
        of the authors' DeepLabs is called ``fc8``.

    Raises:
        ValueError: not a VGG-16; layers that are missing from the trunk or have other shapes,
            each named.
    """
    naming = naming_of(state)
    source = source or getattr(state, "origin", None)
    if source not in (None, *ORIGINS):
        raise ValueError(f"source: {source!r}, expected one of {', '.join(ORIGINS)}")
    layers = {
        "torchvision": _from_torchvision, "keras": _from_keras, "caffe": _from_caffe,
        "ssd": _from_ssd,
    }  # fmt: skip
    found = layers[naming](state)
    check_shapes(found, trunk_shapes())
    source = source or first_layer_source(found["conv1_1.weight"], naming)
    first = found["conv1_1.weight"], found["conv1_1.bias"]
    if source == "matconvnet":
        found["conv1_1.weight"] = first[0][:, ::-1]
    elif source == "torchvision":
        found["conv1_1.weight"], found["conv1_1.bias"] = fold_input(*first)
    arrays = {name: np.asarray(value, np.float32) for name, value in found.items()}
    return StateDict(arrays, origin="caffe")


def vgg16_state(
    state: Mapping[str, np.ndarray], source: str | None = None, num_classes: int = 1000
) -> StateDict:
    """As :func:`canonical`, for ``models.vgg16(num_classes).load_state_dict``: all 32 arrays."""
    found = canonical(state, source)
    expected = trunk_shapes() | {
        "fc6.weight": (4096, 25088), "fc6.bias": (4096,), "fc7.weight": (4096, 4096),
        "fc7.bias": (4096,), "fc8.weight": (num_classes, 4096), "fc8.bias": (num_classes,),
    }  # fmt: skip
    for name in ("fc6.weight", "fc7.weight", "fc8.weight"):
        if name in found:
            found[name] = found[name].reshape(found[name].shape[0], -1)
    check_shapes(found, expected)
    return StateDict({name: found[name] for name in expected}, origin="caffe")


def trunk_shapes() -> dict[str, tuple[int, ...]]:
    """Return name and shape of the trunk's 26 arrays."""
    shapes: dict[str, tuple[int, ...]] = {}
    in_channels = 3
    for block, count, channels in BLOCKS:
        for i in range(1, count + 1):
            shapes[f"conv{block}_{i}.weight"] = (channels, in_channels, 3, 3)
            shapes[f"conv{block}_{i}.bias"] = (channels,)
            in_channels = channels
    return shapes


def check_shapes(state: Mapping[str, np.ndarray], expected: Mapping[str, tuple[int, ...]]) -> None:
    """Raise ValueError naming every array that is missing or has another shape, one a line."""
    problems = [
        f"{name}: missing, expected {shape}"
        if name not in state
        else f"{name}: shape {np.shape(state[name])}, expected {shape}"
        for name, shape in expected.items()
        if name not in state or np.shape(state[name]) != shape
    ]
    if problems:
        raise ValueError("the weights do not fit VGG-16:\n  " + "\n  ".join(problems))


def fold_input(weight: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Make a first layer for torchvision's input accept Caffe's (formula at the top).

    weight: (F, 3, kH, kW), channels RGB; bias: (F,). The result's channels are BGR.
    """
    weight = weight.astype(np.float64)
    std, mean = np.array(IMAGENET.std), np.array(IMAGENET.mean)  # RGB, on the 0..255 scale
    caffe_mean = np.array(CAFFE.mean[::-1])  # BGR -> RGB
    bias = bias + np.einsum("fchw,c->f", weight, (caffe_mean - mean) / std)
    return (weight / std[None, :, None, None])[:, ::-1], bias


def first_layer_source(weight: np.ndarray, naming: str) -> str:
    """Return whose input conv1_1 (64, 3, 3, 3) expects, where only its names and values are known.

    Under PyTorch's names it may be Caffe's. The authors' VGG-16 is known by its first numbers; any
    other by its size: for inputs of unit variance it is about 0.25, for grey values a 58th of that.
    """
    if naming in ("caffe", "keras"):
        return naming
    first = np.asarray(weight[0, :, 0, 0], np.float64)
    if np.allclose(first, AUTHORS_FIRST, rtol=0, atol=0.02):
        return "caffe"
    if np.allclose(first[::-1], AUTHORS_FIRST, rtol=0, atol=0.02):
        return "matconvnet"
    small = np.sqrt(np.mean(np.square(weight, dtype=np.float64))) < LARGEST_FOR_GREY_VALUES
    return "caffe" if small or naming == "ssd" else "torchvision"


# ---------------------------------------------------------------- names


def naming_of(state: Mapping[str, np.ndarray]) -> str:
    """Return whose names a state has: "torchvision", "keras", "caffe" or "ssd"."""
    if any("features.0.weight" in name for name in state):
        return "torchvision"
    if "block1_conv1.weight" in state or "conv2d.weight" in state or "layer_1.weight" in state:
        return "keras"
    if _ssd_prefix(state) is not None:
        return "ssd"
    if "conv1_1.weight" in state:
        return "caffe"
    names = ", ".join(list(state)[:3]) or "nothing"
    raise ValueError(
        f"not recognised as VGG-16: expected conv1_1.weight (Caffe, MatConvNet), "
        f"features.0.weight (torchvision) or block1_conv1.weight (Keras), found {names} ..."
    )


def _rename(state: Mapping[str, np.ndarray], layers: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Pick weight and bias of the named layers, under their new names."""
    return {
        f"{new}.{what}": np.asarray(state[f"{old}.{what}"])
        for old, new in layers.items()
        for what in ("weight", "bias")
        if f"{old}.{what}" in state
    }


def _from_torchvision(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    first = next(name for name in state if name.endswith("features.0.weight"))
    prefix = first.removesuffix("features.0.weight")
    weights = re.compile(re.escape(prefix) + r"features\.(\d+)\.weight")
    matches = [weights.fullmatch(name) for name in state if np.ndim(state[name]) == 4]
    numbers = sorted(int(match[1]) for match in matches if match)
    layers = {f"{prefix}features.{n}": name for n, name in zip(numbers, CONVOLUTIONS, strict=False)}
    heads = {f"{prefix}classifier.{n}": f"fc{6 + n // 3}" for n in (0, 3, 6)}
    found = _rename(state, layers | heads)
    for number, name in zip(numbers, CONVOLUTIONS, strict=False):
        norm = f"{prefix}features.{number + 1}."
        if norm + "running_mean" in state:
            _fold_batch_norm(found, name, {k: state[norm + k] for k in NORM})
    return found


def _from_ssd(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """PyTorch's SSD: 0, 2, 5 ... 28 are the trunk, 31 is fc6 and 33 fc7."""
    prefix = _ssd_prefix(state)
    weights = re.compile(re.escape(prefix) + r"(\d+)\.weight")
    numbers = sorted(int(match[1]) for name in state if (match := weights.fullmatch(name)))
    names = (*CONVOLUTIONS, "fc6", "fc7", "fc8")
    return _rename(state, {f"{prefix}{n}": name for n, name in zip(numbers, names, strict=False)})


def _ssd_prefix(state: Mapping[str, np.ndarray]) -> str | None:
    """Return what stands before "0.weight", conv1_1's name in PyTorch's SSD; None elsewhere."""
    for name, array in state.items():
        if re.fullmatch(r"(.*\.)?0\.weight", name) and np.shape(array) == (64, 3, 3, 3):
            return name.removesuffix("0.weight")
    return None


NORM = ("weight", "bias", "running_mean", "running_var")


def _fold_batch_norm(
    found: dict[str, np.ndarray], name: str, norm: Mapping[str, np.ndarray]
) -> None:
    """gamma (w x + b - mean) / sqrt(var + eps) + beta is again a convolution."""
    gain, beta, mean, var = (np.asarray(norm[key], np.float64) for key in NORM)
    gain = gain / np.sqrt(var + BATCH_NORM_EPS)
    found[f"{name}.weight"] = found[f"{name}.weight"] * gain[:, None, None, None]
    found[f"{name}.bias"] = (found[f"{name}.bias"] - mean) * gain + beta


def _from_keras(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    if "block1_conv1.weight" in state:
        layers = {name.replace("conv", "block", 1).replace("_", "_conv"): name
                  for name in CONVOLUTIONS}  # fmt: skip
        layers |= {"fc1": "fc6", "fc2": "fc7", "predictions": "fc8"}
    elif "layer_1.weight" in state:  # Keras 0.3, whose fc6 is flattened as Caffe's
        names = [name.removesuffix(".weight") for name in state if name.endswith(".weight")]
        return _rename(state, dict(zip(names, (*CONVOLUTIONS, "fc6", "fc7", "fc8"), strict=False)))
    else:  # without names of their own, Keras numbers layers by kind
        layers = {f"conv2d_{i}" if i else "conv2d": name for i, name in enumerate(CONVOLUTIONS)}
        layers |= {"dense": "fc6", "dense_1": "fc7", "dense_2": "fc8"}
    found = _rename(state, layers)
    weight = found.get("fc6.weight")
    channels, height, width = FC6_INPUT
    if weight is not None and weight.shape[1:] == (height * width * channels,):
        columns = weight.reshape(-1, height, width, channels).transpose(0, 3, 1, 2)
        found["fc6.weight"] = columns.reshape(weight.shape)
    return found


def _from_caffe(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Keep the names; "fc8_voc12" and "fc8_voc12_1" of the released DeepLabs lose the middle."""
    heads = {}
    for name in state:
        match = re.fullmatch(r"(fc[678])(?:_[A-Za-z]\w*?)?(_[1-4])?\.weight", name)
        if match:
            heads[name.removesuffix(".weight")] = match[1] + (match[2] or "")
    return _rename(state, {name: name for name in CONVOLUTIONS} | heads)
