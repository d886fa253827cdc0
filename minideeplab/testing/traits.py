"""What the rows that a function gets wrong have in common and the others have not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from minideeplab.testing.cases import Case

TAGS = {
    "empty": "an empty batch",
    "unbatched": "an input without a batch axis",
    "nan": "NaN or infinity in an argument",
    "tie": "ties",
    "random": "entries dropped at random",
}

NEUTRAL = {"stride": 1, "dilation": 1, "padding": 0, "output_padding": 0, "groups": 1}
"""Values of options that change nothing, whether they are given or not."""

WIDTHS = (4, 8, 16, 32, 64)
"""Tile sizes after which kernels are seen to go wrong."""

MOSTLY = 2 / 3
"""The share of the rows with a trait that must fail for it to be named."""


def traits(case: Case) -> set[str]:
    """Return in words what the row has and others may lack."""
    return {text for part in (_options, _arrays, _shapes) for text in part(case)}


def shared(failing: set[str], table: Sequence[Case]) -> str:
    """Return the trait, or the pair of traits, that tells the failing rows, "" if there is none.

    Every failing row must have it, and most of the rows that have it must fail.
    """
    options = {name for case in table for name in case.options}
    known = {
        case.id: traits(case) | {f"the default {name}" for name in options - set(case.options)}
        for case in table
    }
    wrong = [found for row, found in known.items() if row in failing]
    if not wrong or len(wrong) == len(known):
        return ""
    common = sorted(set.intersection(*wrong) - set.intersection(*known.values()))
    best, share, having = "", MOSTLY, 0
    for size in (1, 2):
        for chosen in combinations(common, size):
            count = sum(set(chosen) <= found for found in known.values())
            if len(wrong) / count > share:
                best, share, having = " and ".join(chosen), len(wrong) / count, count
    if not best:
        return ""
    if share == 1:
        return f"exactly the rows with {best} are wrong"
    return f"only rows with {best} are wrong, {len(wrong)} of {having}"


def _options(case: Case) -> Iterator[str]:
    for name, value in case.options.items():
        if isinstance(value, bool | str):
            yield f"{name}={value!r}"
        elif name not in NEUTRAL:
            yield f"the option {name}"
            if isinstance(value, int | float) and value < 0:
                yield f"a negative {name}"
        else:
            pair = _two(value)
            if np.any(pair != NEUTRAL[name]):
                yield f"{name} other than {NEUTRAL[name]}"
            if pair[0] != pair[1]:
                yield f"different {name} on the two axes"
            yield from (f"{name} above {n}" for n in WIDTHS if pair.max() > n)
    if case.op == "conv2d" and case.options.get("padding") != "same":
        yield "padding given in numbers"
    if min(np.ravel(case.options.get("pad", 0))) < 0:
        yield "a negative pad"


def _two(value: Any) -> np.ndarray:
    return np.broadcast_to(value, 2)


def _arrays(case: Case) -> Iterator[str]:
    yield from (text for tag, text in TAGS.items() if tag in case.tags)
    for name, recipe in case.arrays.items():
        if recipe is not None and name != "input":
            yield f"a {name.replace('_', ' ')}"
        if recipe is not None and recipe.layout != "contiguous":
            yield "an array that is not contiguous"
            yield f"the {name} {recipe.layout.replace('_', ' ')} in memory"
    target = case.arrays.get("target")
    if target is not None:
        classes = target.shape == case.arrays["input"].shape
        yield "class-probability targets" if classes else "class-index targets"


def _shapes(case: Case) -> Iterator[str]:
    shape = case.arrays["input"].shape
    yield f"an input of {len(shape)} axes"
    if len(shape) == 4:
        yield "more than 2 images" if shape[0] > 2 else "2 images at most"
    planes = shape[-2:] if len(shape) > 2 else ()
    yield from (f"more than {n} channels" for n in WIDTHS if len(shape) > 2 and shape[-3] > n)
    yield from (f"planes wider than {n}" for n in WIDTHS if planes and planes[1] > n)
    weight = case.arrays.get("weight")
    if weight is not None and len(weight.shape) == 4:
        yield from (f"more than {n} filters" for n in WIDTHS if weight.shape[0] > n)
        yield from _kernel(weight.shape[2:], case)
    elif weight is not None and len(weight.shape) == 2 and len(set(weight.shape)) == 1:
        yield "a square weight"
    if "kernel_size" in case.options:
        yield from _kernel(tuple(_two(case.options["kernel_size"])), case)
    if "size" in case.options:
        pairs = list(zip(planes, _two(case.options["size"]), strict=True))
        yield from (["an output smaller than the input"] if any(n > m for n, m in pairs) else [])
        yield from (["an output of one pixel on an axis"] if any(m == 1 for _, m in pairs) else [])
    if case.options.get("dim") is not None:
        yield f"dim={case.options['dim']}"


def _kernel(kernel: tuple[int, ...], case: Case) -> Iterator[str]:
    if any(k % 2 == 0 for k in kernel):
        yield "an even kernel"
    if kernel[0] != kernel[1]:
        yield "a kernel that is not square"
    if np.any(_two(case.options.get("stride") or 1) > np.array(kernel)):
        yield "a stride larger than the kernel"
    default = kernel if "kernel_size" in case.options else 1
    if np.any(_two(case.options.get("stride", default)) < np.array(kernel)):
        yield "overlapping windows"
