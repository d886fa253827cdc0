"""Convolution on the CPU, one algorithm a file, all of them on pixels (N, H, W, C).

Read ``problem.py`` (the sizes), ``im2col.py`` (serves every case), ``direct.py`` with ``bands.py``
(strides), ``taps.py`` with ``near_taps.py``, ``winograd.py`` with ``transforms.py``, ``tiles.py``
and ``polyphase.py``, ``panels.py`` with ``registers.py`` (the products); ``cost.py`` decides,
``memory.py`` keeps.
README.md tells why, with measurements.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np

from minideeplab.backends.numba_cpu.convolution import (
    direct,
    direct_gradient,
    filters,
    im2col,
    winograd,
)
from minideeplab.backends.numba_cpu.convolution import direct_taps as near_taps
from minideeplab.backends.numba_cpu.convolution import shifted_gemm as taps
from minideeplab.backends.numba_cpu.convolution.cost import (
    ALGORITHMS,
    Choice,
    choose,
    explanation,
)
from minideeplab.backends.numba_cpu.convolution.epilogue import Finish
from minideeplab.backends.numba_cpu.convolution.filter_cache import remembered
from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.layout import maps, pixels
from minideeplab.backends.numba_cpu.norm import row_sums
from minideeplab.backends.numba_cpu.runtime.malloc import TRAINING, keep_freed_memory
from minideeplab.ops.window import Padding, Pair

__all__ = [
    "ALGORITHMS",
    "bias_gradient",
    "conv2d",
    "conv2d_backward",
    "conv2d_epilogue",
    "input_gradient",
    "weight_gradient",
]


def conv2d(
    x: np.ndarray,
    w: np.ndarray,
    b: np.ndarray | None,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    *,
    algorithm: str = "auto",
    exact: bool = False,
    explain: bool = False,
) -> np.ndarray:
    """Convolve: x (N, C, H, W), w (K, C / groups, kh, kw), b (K,) or None -> (N, K, P, Q).

    ``algorithm`` is one of ALGORITHMS or "auto"; ``exact`` keeps "auto" from Winograd's forms,
    which round more; ``explain`` prints the work of each form and which one was taken.
    """
    finish = Finish(shift=b)
    return _conv2d(x, w, finish, (stride, padding, dilation, groups), algorithm, exact, explain)


def conv2d_epilogue(
    x: np.ndarray,
    w: np.ndarray,
    shift: np.ndarray | None,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    *,
    scale: np.ndarray | None = None,
    rectify: bool = False,
) -> np.ndarray:
    """Return ``conv2d(x, w) * scale + shift``, and its maximum with 0 if ``rectify``, in one pass.

    Both are (K,) or None; then they are 1 and 0.
    """
    finish = Finish(scale, shift, rectify)
    return _conv2d(x, w, finish, (stride, padding, dilation, groups))


def _conv2d(x, w, finish, options, algorithm="auto", exact=False, explain=False) -> np.ndarray:
    problem = Problem.of(x.shape, w.shape, *options)
    choice = choose(problem, x.dtype, algorithm, exact)
    if explain:
        print(explanation(problem, x.dtype, choice))
    if choice.m:
        y = winograd.convolve(pixels(x), w, finish, problem, choice.m)
        if y is not None:
            return maps(y)
        choice = choose(problem, x.dtype, exact=True)
    form = _packed_form(choice, problem, x.dtype)
    if form is not None:
        packed = remembered(w, "packed", lambda: direct.pack(w))
        return maps(form.convolve(pixels(x), packed, finish, problem))
    return maps(_exact(pixels(x), filters.by_channel(w, problem.groups), finish, problem, choice))


def _packed_form(choice: Choice, problem: Problem, dtype: np.dtype) -> ModuleType | None:
    """Return the form that takes filters packed by ``direct.pack``, if one is chosen and exists."""
    if choice.algorithm == "direct":
        return direct
    return near_taps if choice.algorithm == "taps" and near_taps.suits(problem, dtype) else None


def conv2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    w: np.ndarray,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    needs: tuple[bool, bool, bool] = (True, True, True),
    *,
    algorithm: str = "auto",
    exact: bool = False,
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Return (dx, dw, db) of ``conv2d``, None where not needed; shapes as x, w and (K,)."""
    keep_freed_memory(TRAINING)
    problem = Problem.of(x.shape, w.shape, stride, padding, dilation, groups)
    dy, how = pixels(dy), (algorithm, exact)
    dx = maps(input_gradient(dy, w, problem, *how)) if needs[0] else None
    dw = weight_gradient(dy, pixels(x), problem, *how) if needs[1] else None
    db = bias_gradient(dy) if needs[2] else None
    return dx, dw, db


def _exact(x, weights, finish, problem: Problem, choice: Choice) -> np.ndarray:
    """Convolve pixels x with weights (G, C / G, taps, K / G) in one of the exact forms."""
    form = taps if choice.algorithm == "taps" else im2col
    return form.convolve(x, weights, finish, problem)


def input_gradient(
    dy: np.ndarray, w: np.ndarray, problem: Problem, algorithm: str = "auto", exact: bool = False
) -> np.ndarray:
    """Return dx (N, H, W, C): a convolution again at stride 1, some of them otherwise."""
    if problem.stride != (1, 1):
        dx = direct.input_gradient(dy, w, problem) if algorithm in ("auto", "direct") else None
        return im2col.input_gradient(dy, w, problem) if dx is None else dx
    transposed = problem.transposed()
    choice = choose(transposed, dy.dtype, algorithm, exact)
    if choice.m:
        dx = winograd.convolve(dy, w, Finish(), transposed, choice.m, turned=True)
        if dx is not None:
            return dx
        choice = choose(transposed, dy.dtype, exact=True)
    form = _packed_form(choice, transposed, dy.dtype)
    if form is not None:
        packed = direct.pack(w.swapaxes(0, 1)[:, :, ::-1, ::-1])
        return form.convolve(dy, packed, Finish(), transposed)
    return _exact(dy, filters.turned(w, problem.groups), Finish(), transposed, choice)


def weight_gradient(
    dy: np.ndarray, x: np.ndarray, problem: Problem, algorithm: str = "auto", exact: bool = False
) -> np.ndarray:
    """Return dw (K, C / groups, kh, kw) in the form that is best for the convolution."""
    choice = choose(problem, x.dtype, algorithm, exact)
    if choice.algorithm == "taps":
        form = _packed_form(choice, problem, x.dtype) or taps
        return form.weight_gradient(dy, x, problem)
    if choice.m:
        dw = winograd.weight_gradient(dy, x, problem, choice.m)
        if dw is not None:
            return dw
        choice = choose(problem, x.dtype, exact=True)
    if choice.algorithm == "direct":
        return direct_gradient.weight_gradient(dy, x, problem)
    return im2col.weight_gradient(dy, x, problem)


def bias_gradient(dy: np.ndarray) -> np.ndarray:
    """Return db (K,) for dy (N, P, Q, K)."""
    return row_sums(dy.reshape(-1, dy.shape[3])).astype(dy.dtype)
