"""Operations and their pullbacks, for lesson 13.

A pullback takes dy, the cotangent of an operation's result, and returns one array for each input.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

NEEDS = {
    "add": ((), ()),
    "mul": ((1,), (0,)),
    "matmul": ((1,), (0,)),
    "exp": (("result",),),
    "relu": (("result",),),
    "mean": ((),),
}
"""What a pullback reads for each of its inputs' cotangents: inputs by place, or the result."""


def forward(op: str, inputs: Sequence[np.ndarray]) -> np.ndarray:
    """Return the result of an operation; numbers of one shape, or broadcast against each other."""
    x, y = inputs[0], inputs[-1]
    if op == "add":
        return x + y
    if op == "mul":
        return x * y
    if op == "matmul":
        return x @ y
    if op == "exp":
        return np.exp(x)
    if op == "relu":
        return np.maximum(x, 0)
    if op == "mean":
        return np.mean(x)
    raise ValueError(f"op: got {op!r}, expected one of {', '.join(NEEDS)}")


def pullback(
    op: str, dy: np.ndarray, inputs: Sequence[np.ndarray], result: np.ndarray
) -> list[np.ndarray]:
    """Return the cotangents of an operation's inputs, as large as the result for add and mul.

    Two inputs may get the same array, as those of add do: do not write into it.
    """
    if op == "add":
        share = np.array(dy)
        return [share, share]
    if op == "mul":
        return [dy * inputs[1], dy * inputs[0]]
    if op == "matmul":
        return [dy @ inputs[1].T, inputs[0].T @ dy]
    if op == "exp":
        return [dy * result]
    if op == "relu":
        return [dy * (result > 0)]
    if op == "mean":
        return [np.full(inputs[0].shape, dy / inputs[0].size)]
    raise ValueError(f"op: got {op!r}, expected one of {', '.join(NEEDS)}")
