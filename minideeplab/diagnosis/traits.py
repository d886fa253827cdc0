"""Traits that only the failing cases have: options, shapes, layouts, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from minideeplab.diagnosis.changes import NEUTRAL
from minideeplab.diagnosis.evidence import Evidence

WIDTHS = (4, 8, 16, 32, 64)
"""Tile sizes after which kernels are seen to go wrong."""

MOSTLY = 0.8
"""The share of the rows with a trait that must fail for it to be named."""


def shared(
    failing: Sequence[Evidence], passed: Sequence[Evidence], defaults: Mapping[str, Any]
) -> str:
    """Return the trait, or the pair of traits, that tells the failing rows, "" if there is none.

    Every failing row must have it, and most of the rows that have it must fail.
    """
    if not failing or not passed:
        return ""
    seen = _seen([*failing, *passed], defaults)
    wrong = [list(_traits(row, defaults, seen)) for row in failing]
    right = [set(_traits(row, defaults, seen)) for row in passed]
    common = [text for text in dict.fromkeys(wrong[0]) if all(text in found for found in wrong)]
    common = [text for text in common if not all(text in found for found in right)]
    best, share = "", MOSTLY
    for size in (1, 2):
        for chosen in combinations(common, size):
            count = len(wrong) + sum(set(chosen) <= found for found in right)
            if len(wrong) / count > (share if size == 1 else max(share, 0.999)):
                best, share = " and ".join(chosen), len(wrong) / count
    if not best:
        return ""
    if share == 1:
        return f"exactly the rows with {best} are wrong"
    return f"only rows with {best} are wrong, {len(wrong)} of {round(len(wrong) / share)}"


def _seen(rows: Sequence[Evidence], defaults: Mapping[str, Any]) -> dict[str, set[float]]:
    """Return the values of each option that is a number, but for the largest."""
    values: dict[str, set[float]] = {}
    for row in rows:
        for name, value in {**defaults, **row.options}.items():
            if type(value) in (int, float):
                values.setdefault(name, set()).add(value)
    return values


def _traits(
    row: Evidence, defaults: Mapping[str, Any], seen: Mapping[str, set[float]]
) -> Iterator[str]:
    yield from row.tags
    for name, value in row.options.items():
        yield from _option(name, value)
    yield from (f"the default {name}" for name in defaults if name not in row.options)
    yield from _arrays(row)
    yield from _shapes(row, {**defaults, **row.options})
    for name, value in {**defaults, **row.options}.items():
        if type(value) in (int, float) and name not in NEUTRAL:
            yield from (f"{name} other than {v:g}" for v in sorted(seen[name]) if value != v)
            yield f"{name}={value:g}"
            yield from (f"{name} above {v:g}" for v in sorted(seen[name]) if value > v)
            yield from (f"{name} below {v:g}" for v in sorted(seen[name]) if value < v)


def _option(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, bool | str):
        yield f"{name}={value!r}"
    elif name not in NEUTRAL:
        yield f"the option {name}"
        numbers = np.ravel(value)
        if numbers.dtype.kind in "if" and numbers.size and min(numbers) < 0:
            yield f"a negative {name}"
    else:
        pair = np.broadcast_to(value, 2)
        if np.any(pair != NEUTRAL[name]):
            yield f"{name} other than {NEUTRAL[name]}"
        if pair[0] != pair[1]:
            yield f"different {name} on the two axes"
        yield from (f"{name} above {n}" for n in WIDTHS if pair.max() > n)


def _arrays(row: Evidence) -> Iterator[str]:
    arrays = {name: a for name, a in row.arrays.items() if isinstance(a, np.ndarray)}
    yield from (f"no {name.replace('_', ' ')}" for name, a in row.arrays.items() if a is None)
    for number, (name, array) in enumerate(arrays.items()):
        if name == "grad_out":
            continue
        if number:
            yield f"a {name.replace('_', ' ')}"
        if array.size and not array.flags.c_contiguous:
            yield "an array that is not contiguous"
            yield f"the {name} not contiguous in memory"
        if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
            yield "NaN or infinity in an argument"
        if not array.size:
            yield f"an empty {name.replace('_', ' ')}"
    target = arrays.get("target")
    if target is not None:
        classes = target.dtype.kind == "f"
        yield "class-probability targets" if classes else "class-index targets"


def _shapes(row: Evidence, options: Mapping[str, Any]) -> Iterator[str]:
    shape = np.shape(next(iter(row.arrays.values()), ()))
    yield f"an input of {len(shape)} axes"
    yield from (f"an input of other than {n} axes" for n in (2, 4) if len(shape) != n)
    if len(shape) == 4:
        yield "more than 2 images" if shape[0] > 2 else "2 images at most"
    planes = shape[-2:] if len(shape) > 2 else ()
    yield from (f"more than {n} channels" for n in WIDTHS if len(shape) > 2 and shape[-3] > n)
    yield from (f"planes wider than {n}" for n in WIDTHS if planes and planes[1] > n)
    weight = np.shape(row.arrays.get("weight"))
    if len(weight) == 4:
        yield from (f"more than {n} filters" for n in WIDTHS if weight[0] > n)
        yield from _kernel(weight[2:], options)
    elif len(weight) == 2 and weight[0] == weight[1]:
        yield "a square weight"
    if "kernel_size" in options:
        yield from _kernel(tuple(np.broadcast_to(options["kernel_size"], 2)), options)
    out = np.shape(row.right.get("output"))[-2:]
    if planes and len(out) == 2:
        yield from (["an output smaller than the input"] if np.any(np.less(out, planes)) else [])
        yield from (["an output larger than the input"] if np.any(np.less(planes, out)) else [])
        yield from (["an output of one pixel on an axis"] if min(out) == 1 else [])


def _kernel(kernel: tuple[int, ...], options: Mapping[str, Any]) -> Iterator[str]:
    stride = options.get("stride")
    stride = np.broadcast_to(kernel if stride is None else stride, 2)
    if any(k % 2 == 0 for k in kernel):
        yield "an even kernel"
    if kernel[0] != kernel[1]:
        yield "a kernel that is not square"
    if np.any(stride > np.array(kernel)):
        yield "a stride larger than the kernel"
    if np.any(stride < np.array(kernel)):
        yield "overlapping windows"
