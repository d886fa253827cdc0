"""NumPy's functions of Tensors: differentiated, or refused where they would lose a gradient."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from minideeplab.arrays import is_array
from minideeplab.tape import is_recording

#: NumPy's functions that Tensors have themselves.
OWN: dict[np.ufunc, Callable[..., Any]] = {
    np.add: operator.add, np.subtract: operator.sub, np.multiply: operator.mul,
    np.true_divide: operator.truediv, np.matmul: operator.matmul, np.power: operator.pow,
    np.negative: operator.neg, np.absolute: abs, np.positive: lambda x: x * 1,
    np.square: lambda x: x * x, np.sqrt: lambda x: x.sqrt(), np.exp: lambda x: x.exp(),
    np.log: lambda x: x.log(), np.greater: operator.gt, np.greater_equal: operator.ge,
    np.less: operator.lt, np.less_equal: operator.le,
}  # fmt: skip


def call_numpy(
    tensor: type, ufunc: np.ufunc, method: str, inputs: Sequence[Any], options: Mapping[str, Any]
) -> Any:
    """Return ``ufunc`` of ``inputs``, some of them of class ``tensor``.

    The result is a Tensor for functions that Tensors have themselves, else an array. Raises
    TypeError if a gradient would be lost, or for a Tensor as ``out``.
    """
    if method == "__call__" and not options and ufunc in OWN:
        return OWN[ufunc](*(_not_numpys(tensor, value) for value in inputs))
    if any(isinstance(x, tensor) for x in options.get("out", ())):
        raise TypeError(f"np.{ufunc.__name__}: out is a Tensor, expected an array")
    derived = is_recording() and any(isinstance(x, tensor) and x.requires_grad for x in inputs)
    if derived and not ufunc.types[-1].endswith("?"):  # isfinite and the like have no gradient
        raise TypeError(
            f"np.{ufunc.__name__} of a Tensor would lose its gradient; use its operators or "
            "minideeplab.functional, or .detach() for the values alone"
        )
    arrays = [x.data if isinstance(x, tensor) else x for x in inputs]
    return getattr(ufunc, method)(*arrays, **options)


def _not_numpys(tensor: type, value: Any) -> Any:
    """The value without a type of NumPy's, whose operators would call the function again."""
    if isinstance(value, np.generic):
        return value.item()
    return tensor(value) if is_array(value) else value
