"""Is this gradient right? Analytical against numerical, and where it is wrong, entry by entry.

The output is weighted with a random cotangent: summing it instead (a cotangent of ones) never
notices a softmax or batch-norm gradient of zero, nor height and width swapped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

STEP = float(np.finfo(np.float64).eps) ** (1 / 3)
"""Balances the central difference's truncation, O(h^2), with its rounding, O(eps / h)."""

DIRECTIONS = 4
WORST = 6
SAFETY = 50.0


def gradcheck(
    f: Callable[..., Any],
    inputs: Any,
    backward: Callable[..., Any] | None = None,
    seed: int = 0,
) -> bool:
    """Compare the gradient of ``f`` with central differences in float64.

    Args:
        f: takes Tensors (plain arrays if ``backward`` is given) and returns one of the same kind,
            of any shape; it must be deterministic and smooth around the inputs.
        inputs: an array or Tensor, or a sequence of them. Floating arrays are differentiated,
            Tensors only if they require it; whole numbers (labels) are passed on as they are.
        backward: ``backward(grad_out, *inputs)`` returning one gradient for each input, if
            ``f`` works on plain arrays.
        seed: of the random cotangent and directions.

    Returns:
        True.

    Raises:
        AssertionError: the gradients differ; the message shows the worst entries of each input.
        ValueError: there is nothing to differentiate, or a gradient has the wrong shape.
    """
    rng = np.random.default_rng(seed)
    values, wanted = _prepare(inputs)
    value = _forward(f, values, taped=backward is None)
    cotangent = rng.standard_normal(value.shape)
    gradients = _analytical(f, values, wanted, cotangent, backward)

    def objective(moved: list[Any]) -> float:
        return float(np.sum(cotangent * _forward(f, moved, taped=backward is None)))

    size = float(np.sum(np.abs(cotangent * value)))
    complaints = [
        _explain(objective, values, position, gradients[position], size)
        for position in wanted
        if not _agrees(objective, values, position, gradients[position], size, rng)
    ]
    if complaints:
        raise AssertionError("the analytical gradient is wrong\n" + "\n".join(complaints))
    return True


def _prepare(inputs: Any) -> tuple[list[Any], list[int]]:
    """Return the inputs as arrays, floats widened, and the positions to differentiate."""
    if hasattr(inputs, "shape") or not isinstance(inputs, Sequence):
        inputs = [inputs]
    values = [np.array(getattr(x, "data", x) if hasattr(x, "requires_grad") else x) for x in inputs]
    wanted = [
        i
        for i, (x, value) in enumerate(zip(inputs, values, strict=True))
        if value.dtype.kind == "f" and getattr(x, "requires_grad", True)
    ]
    if not wanted:
        raise ValueError("inputs: no floating-point input to differentiate")
    return [v.astype(np.float64) if v.dtype.kind == "f" else v for v in values], wanted


def _forward(f: Callable[..., Any], values: list[Any], taped: bool) -> np.ndarray:
    if not taped:
        return np.asarray(f(*values), dtype=np.float64)
    from minideeplab.tensor import Tensor, no_grad

    with no_grad():
        return np.asarray(f(*[Tensor(v) if v.dtype.kind == "f" else v for v in values]))


def _analytical(
    f: Callable[..., Any],
    values: list[Any],
    wanted: list[int],
    cotangent: np.ndarray,
    backward: Callable[..., Any] | None,
) -> dict[int, np.ndarray]:
    """Return the gradient that is judged, by position of the input."""
    if backward is None:
        from minideeplab.tensor import Tensor

        tensors = [
            Tensor(v, requires_grad=i in wanted) if v.dtype.kind == "f" else v
            for i, v in enumerate(values)
        ]
        f(*tensors).backward(cotangent)
        given = [getattr(tensor, "grad", None) for tensor in tensors]
    else:
        result = backward(cotangent, *values)
        given = list(result) if isinstance(result, tuple | list) else [result]
    for i in wanted:
        if i >= len(given) or given[i] is None:
            raise ValueError(f"input {i}: no gradient was given")
        if np.shape(given[i]) != values[i].shape:
            raise ValueError(
                f"input {i}: the gradient has shape {np.shape(given[i])}, "
                f"the input {values[i].shape}"
            )
    return {i: np.asarray(given[i], dtype=np.float64) for i in wanted}


def _slope(
    objective: Callable[[list[Any]], float],
    values: list[Any],
    position: int,
    direction: np.ndarray,
    size: float,
) -> tuple[float, float]:
    """Return the derivative of ``objective`` along ``direction``, and its uncertainty.

    Two central differences, at h and h/2, give Richardson's extrapolation; their distance
    bounds the truncation, and eps * size / h the rounding.
    """
    step = STEP * max(1.0, float(np.max(np.abs(values[position]), initial=0.0)))

    def central(h: float) -> float:
        ends = [
            values[:position] + [values[position] + sign * h * direction] + values[position + 1 :]
            for sign in (1.0, -1.0)
        ]
        return (objective(ends[0]) - objective(ends[1])) / (2.0 * h)

    wide, narrow = central(step), central(step / 2.0)
    rounding = float(np.finfo(np.float64).eps) * size / step
    return (4.0 * narrow - wide) / 3.0, SAFETY * rounding + abs(narrow - wide)


def _agrees(
    objective: Callable[[list[Any]], float],
    values: list[Any],
    position: int,
    gradient: np.ndarray,
    size: float,
    rng: np.random.Generator,
) -> bool:
    """Return whether the gradient matches along random directions."""
    for _ in range(DIRECTIONS):
        direction = rng.standard_normal(values[position].shape)
        numerical, doubt = _slope(objective, values, position, direction, size)
        if not abs(float(np.sum(gradient * direction)) - numerical) <= doubt:
            return False
    return True


def _explain(
    objective: Callable[[list[Any]], float],
    values: list[Any],
    position: int,
    gradient: np.ndarray,
    size: float,
) -> str:
    """Return the worst entries of one input's gradient as text, and a guess at what happened."""
    numerical = np.empty_like(gradient)
    for index in np.ndindex(gradient.shape):
        direction = np.zeros_like(gradient)
        direction[index] = 1.0
        numerical[index] = _slope(objective, values, position, direction, size)[0]
    error = np.abs(gradient - numerical)
    order = np.argsort(np.where(np.isnan(error), np.inf, error), axis=None)[::-1][:WORST]
    lines = [
        f"input {position} of shape {gradient.shape}{_guess(gradient, numerical)}; worst:",
        f"  {'index':>16}  {'analytical':>14}  {'numerical':>14}",
    ]
    for flat in order:
        index = tuple(int(i) for i in np.unravel_index(flat, gradient.shape))
        lines.append(f"  {index!s:>16}  {gradient[index]:14.7g}  {numerical[index]:14.7g}")
    return "\n".join(lines)


def _guess(gradient: np.ndarray, numerical: np.ndarray) -> str:
    """Return a remark where the wrong gradient has a simple relation to the right one."""
    near = float(np.max(np.abs(numerical), initial=0.0)) * 1e-5
    if not np.any(gradient):
        return " is all zero"
    factor = float(np.sum(gradient * numerical) / max(float(np.sum(numerical**2)), 1e-300))
    if np.allclose(gradient, factor * numerical, rtol=0.0, atol=near * max(1.0, abs(factor))):
        return f" is {factor:.6g} times what it should be"
    for axis in range(gradient.ndim):
        if np.allclose(np.flip(gradient, axis), numerical, rtol=0.0, atol=near):
            return f" runs backwards along axis {axis}"
    square = gradient.ndim >= 2 and gradient.shape[-1] == gradient.shape[-2]
    if square and np.allclose(np.swapaxes(gradient, -1, -2), numerical, rtol=0.0, atol=near):
        return " has its last two axes swapped"
    return ""
