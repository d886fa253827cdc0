"""Joining tensors: concatenation (skip connections) and the maximum (fusion over scales)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minideeplab.functional.arguments import Array, floats, integer, result, wrong_shape
from minideeplab.tape import sum_to


def cat(tensors: Sequence[Array], dim: int = 0) -> Array:
    """Join arrays of equal shape, but for axis `dim`, along that axis; `torch.cat`.

    As in torch, arrays of shape (0,) are left out.
    Raises ValueError or TypeError for no arrays, wrong shapes, dtypes or axis.
    """
    if not isinstance(tensors, tuple | list) or not tensors:
        raise TypeError(f"tensors: got {tensors!r}, expected a list or tuple of arrays")
    arrays = floats(tensors[0], {f"tensors[{i}]": x for i, x in enumerate(tensors) if i})
    kept = [x for x in arrays if x.shape != (0,)] or arrays
    first = kept[0]
    dim = integer("dim", dim, -first.ndim)
    if dim >= first.ndim:
        raise ValueError(f"dim: got {dim}, expected an axis of shape {first.shape}")
    dim %= first.ndim
    for i, x in enumerate(arrays):
        if x.shape == (0,):
            continue
        same = x.shape[:dim] + x.shape[dim + 1 :] == first.shape[:dim] + first.shape[dim + 1 :]
        if x.ndim != first.ndim or not same:
            raise wrong_shape(f"tensors[{i}]", x, f"{first.shape} but for axis {dim}")
    ends = np.cumsum([0 if x.shape == (0,) else x.shape[dim] for x in arrays])[:-1].tolist()

    def backward(dy, _):
        parts = np.split(dy, ends, dim)
        return [part.reshape(x.shape) for part, x in zip(parts, arrays, strict=True)]

    return result(np.concatenate(kept, dim), tensors, backward)


def maximum(input: Array, other: Array) -> Array:
    """The larger of two values, elementwise with broadcasting, NaN if one is; `torch.maximum`.

    The gradient goes to the larger one, and half to each in a tie.
    """
    a, b = floats(input, {"other": other})

    def backward(dy, needs):
        half = np.where(a == b, dy / 2, dy)
        return (
            sum_to(a.shape, a.dtype, np.where(a < b, 0, half)) if needs[0] else None,
            sum_to(b.shape, b.dtype, np.where(b < a, 0, half)) if needs[1] else None,
        )

    return result(np.maximum(a, b), (input, other), backward)
