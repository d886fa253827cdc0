"""Convert an ImageNet VGG-16 to DeepLab's initial weights: fc6 and fc7 decimated, fc8 new.

fc6 and fc7 hold 120 of VGG-16's 138 million parameters. DeepLab keeps a quarter of their filters
and a grid of fc6's taps (arXiv 1606.00915, section 4.1.1; "decimation" in ParseNet, 1506.04579).
The authors drew 1024 of the 4096 filters at random; here every fourth is kept, which is
reproducible. Of fc6's 7x7 taps rows and columns 0, 3 and 6 stay: three steps of VGG's stride 32 are
twelve of DeepLab's stride 8, which is exactly LargeFOV's rate of 12.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from minideeplab.models.deeplab import VARIANTS
from minideeplab.nn import he_normal
from minideeplab.weights.state import StateDict
from minideeplab.weights.vgg import canonical, check_shapes, naming_of, trunk_shapes

FILTER_STEP, TAP_STEP = 4, 3
FC8_STD = 0.01  # the authors' "gaussian" filler


def vgg16_to_deeplab(
    state: Mapping[str, np.ndarray],
    variant: str = "largefov",
    num_classes: int = 21,
    seed: int | np.random.Generator = 0,
    source: str | None = None,
) -> StateDict:
    """Return the initial weights of a DeepLab, made from a VGG-16 of any framework.

    The trunk is copied, with the first layer brought to Caffe's input (BGR, 0..255 minus the mean;
    see :mod:`minideeplab.weights.vgg`). fc6 and fc7 are decimated; ASPP's branch k takes filters
    k-1, k+3, k+7, ..., so that the four branches together hold all 4096. fc8 is new: Gaussian
    of 0.01, bias 0. Where PyTorch's or Keras' names have no fully connected layers ("notop"), fc6
    and fc7 are new as well: He's initialisation, bias 0. A state that is a DeepLab already (such
    as the authors' ``vgg16_20M``) keeps its fc6 and fc7, and its fc8 where that has
    ``num_classes`` classes.

    Args:
        state: from :func:`~minideeplab.weights.load`, or a dict of that form.
        variant: "largefov", "aspp-s" or "aspp-l".
        num_classes: the number of fc8's outputs.
        seed: for fc8's random weights.
        source: overrides whose input the first layer expects, as in
            :func:`~minideeplab.weights.canonical`.

    Returns:
        The state dict of ``models.deeplab(variant, num_classes=num_classes)``, float32; its
        ``fresh`` names the new layers.

    Raises:
        ValueError: an unknown variant; not a VGG-16; layers missing or of other shapes, each
            named with what was found and expected.
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant: {variant!r}, expected one of {', '.join(VARIANTS)}")
    if num_classes < 1:
        raise ValueError(f"num_classes: {num_classes}, expected at least 1")
    found = canonical(state, source)
    rng = np.random.default_rng(seed)
    branches = len(VARIANTS[variant].rates)
    result = {name: found[name].copy() for name in trunk_shapes()}
    headless = naming_of(state) != "caffe" and not any(name.startswith("fc") for name in found)
    for k in range(branches):
        suffix = f"_{k + 1}" if branches > 1 else ""
        result |= _new_head(suffix, rng) if headless else _head(found, suffix, offset=k)
        result |= _scores(found, suffix, num_classes, rng)
    new = ("fc6", "fc7", "fc8") if headless else ("fc8",)
    fresh = [name.removesuffix(".weight") for name in result if name.startswith(new)
             and name.endswith(".weight") and result[name] is not found.get(name)]  # fmt: skip
    return StateDict(result, origin="caffe", fresh=fresh)


def decimate_fc6(weight: np.ndarray, offset: int = 0) -> np.ndarray:
    """(4096, 512 * 7 * 7) or (4096, 512, 7, 7) -> (1024, 512, 3, 3): filters ``offset``::4."""
    taps = weight.reshape(weight.shape[0], -1, 7, 7)
    return np.ascontiguousarray(taps[offset::FILTER_STEP, :, ::TAP_STEP, ::TAP_STEP])


def decimate_fc7(weight: np.ndarray, offset: int = 0) -> np.ndarray:
    """(4096, 4096) -> (1024, 1024, 1, 1): fc7's filters among those that fc6 keeps."""
    square = weight.reshape(weight.shape[:2])
    return np.ascontiguousarray(square[offset::FILTER_STEP, offset::FILTER_STEP, None, None])


def _new_head(suffix: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """fc6 and fc7 of one branch, random."""
    head = {}
    for layer, shape in (("fc6", (1024, 512, 3, 3)), ("fc7", (1024, 1024, 1, 1))):
        head[f"{layer}{suffix}.weight"] = he_normal(shape, rng)
        head[f"{layer}{suffix}.bias"] = np.zeros(shape[0], np.float32)
    return head


def _head(found: StateDict, suffix: str, offset: int) -> dict[str, np.ndarray]:
    """fc6 and fc7 of one branch: as they are in a DeepLab, else decimated."""
    small = {
        "fc6.weight": (1024, 512, 3, 3), "fc6.bias": (1024,),
        "fc7.weight": (1024, 1024, 1, 1), "fc7.bias": (1024,),
    }  # fmt: skip
    for own in (suffix, ""):
        names = {name: name.replace(".", f"{own}.") for name in small}
        if np.shape(found.get(names["fc6.weight"])) == small["fc6.weight"]:
            check_shapes(found, {names[name]: shape for name, shape in small.items()})
            return {name.replace(".", f"{suffix}."): found[names[name]] for name in small}
    _check_fc(found)
    return {
        f"fc6{suffix}.weight": decimate_fc6(found["fc6.weight"], offset),
        f"fc6{suffix}.bias": found["fc6.bias"][offset::FILTER_STEP].copy(),
        f"fc7{suffix}.weight": decimate_fc7(found["fc7.weight"], offset),
        f"fc7{suffix}.bias": found["fc7.bias"][offset::FILTER_STEP].copy(),
    }


def _check_fc(found: StateDict) -> None:
    """fc6 and fc7 of VGG-16, as matrices or, where they were saved so, as convolutions."""
    expected: dict[str, tuple[int, ...]] = {
        "fc6.weight": (4096, 25088), "fc6.bias": (4096,),
        "fc7.weight": (4096, 4096), "fc7.bias": (4096,),
    }  # fmt: skip
    for name, shape in (("fc6.weight", (4096, 512, 7, 7)), ("fc7.weight", (4096, 4096, 1, 1))):
        if np.ndim(found.get(name)) == 4:
            expected[name] = shape
    check_shapes(found, expected)


def _scores(
    found: StateDict, suffix: str, num_classes: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """fc8 of one branch: the state's own where it fits, else new."""
    weight, bias = f"fc8{suffix}.weight", f"fc8{suffix}.bias"
    shape = (num_classes, 1024, 1, 1)
    if np.shape(found.get(weight)) == shape and np.shape(found.get(bias)) == (num_classes,):
        return {weight: found[weight], bias: found[bias]}
    fresh = FC8_STD * rng.standard_normal(shape)
    return {weight: fresh.astype(np.float32), bias: np.zeros(num_classes, np.float32)}
