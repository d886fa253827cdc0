"""Convolution on the CPU: several algorithms, on pixels (N, H, W, C).

Start with ``problem.py`` (the sizes) and ``cost.py`` (the choice of the algorithm). ``im2col.py``
serves every case. ``direct.py``, ``shifted_gemm.py`` with ``direct_taps.py``, and ``winograd.py``
are faster where they exist, with the matmul of ``microkernel.py``. README.md explains why, with
measurements.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np

from minideeplab.backends.numba_cpu.convolution import (
    direct,
    direct_gradient,
    direct_taps,
    im2col,
    shifted_gemm,
    winograd,
)
from minideeplab.backends.numba_cpu.convolution.cost import (
    ALGORITHMS,
    Choice,
    choose,
    explanation,
)
from minideeplab.backends.numba_cpu.convolution.epilogue import Epilogue
from minideeplab.backends.numba_cpu.convolution.filter_cache import cached
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

    ``algorithm`` is one of ALGORITHMS or "auto"; ``exact`` excludes Winograd's forms, which round
    more, from "auto"; ``explain`` prints the work of each form and the choice.
    """
    problem = Problem.of(x.shape, w.shape, stride, padding, dilation, groups)
    if explain:
        print(explanation(problem, x.dtype, choose(problem, x.dtype, algorithm, exact)))
    return maps(_convolve(pixels(x), w, Epilogue(shift=b), problem, algorithm, exact))


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
    """Return ``conv2d(x, w) * scale + shift``, with ReLU if ``rectify``, in one pass.

    Scale and shift are (K,) or None, which is 1 and 0.
    """
    problem = Problem.of(x.shape, w.shape, stride, padding, dilation, groups)
    return maps(_convolve(pixels(x), w, Epilogue(scale, shift, rectify), problem))


def _convolve(
    x: np.ndarray,
    w: np.ndarray,
    epilogue: Epilogue,
    problem: Problem,
    algorithm: str = "auto",
    exact: bool = False,
    transposed: bool = False,
) -> np.ndarray:
    """Convolve pixels x by the chosen algorithm: (N, P, Q, K).

    If ``transposed``, ``problem`` is the one of an input gradient, and w that of the forward pass.
    """
    choice = choose(problem, x.dtype, algorithm, exact)
    if choice.winograd:
        y = winograd.convolve(x, w, epilogue, problem, transposed)
        if y is not None:
            return y
        choice = choose(problem, x.dtype, exact=True)
    form = _packed_form(choice, problem, x.dtype)
    if form is not None and transposed:
        packed = direct.pack(w.swapaxes(0, 1)[:, :, ::-1, ::-1])
        return form.convolve(x, packed, epilogue, problem)
    if form is not None:
        packed = cached(w, "packed", lambda: direct.pack(w))
        return form.convolve(x, packed, epilogue, problem)
    form = shifted_gemm if choice.algorithm == "taps" else im2col
    order = im2col.transposed if transposed else im2col.by_channel
    return form.convolve(x, order(w, problem.groups), epilogue, problem)


def _packed_form(choice: Choice, problem: Problem, dtype: np.dtype) -> ModuleType | None:
    """Return the form that takes filters of ``direct.pack``, if one is chosen and exists."""
    if choice.algorithm == "direct":
        return direct
    return direct_taps if choice.algorithm == "taps" and direct_taps.suits(problem, dtype) else None


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


def input_gradient(
    dy: np.ndarray, w: np.ndarray, problem: Problem, algorithm: str = "auto", exact: bool = False
) -> np.ndarray:
    """Return dx (N, H, W, C): one convolution at stride 1, several at larger strides."""
    if problem.stride == (1, 1):
        return _convolve(dy, w, Epilogue(), problem.transposed(), algorithm, exact, True)
    dx = direct.input_gradient(dy, w, problem) if algorithm in ("auto", "direct") else None
    return im2col.input_gradient(dy, w, problem) if dx is None else dx


def weight_gradient(
    dy: np.ndarray, x: np.ndarray, problem: Problem, algorithm: str = "auto", exact: bool = False
) -> np.ndarray:
    """Return dw (K, C / groups, kh, kw) by the algorithm that is best for the convolution."""
    choice = choose(problem, x.dtype, algorithm, exact)
    if choice.algorithm == "taps":
        form = _packed_form(choice, problem, x.dtype) or shifted_gemm
        return form.weight_gradient(dy, x, problem)
    if choice.winograd:
        dw = winograd.weight_gradient(dy, x, problem)
        if dw is not None:
            return dw
        choice = choose(problem, x.dtype, exact=True)
    form = direct_gradient if choice.algorithm == "direct" else im2col
    return form.weight_gradient(dy, x, problem)


def bias_gradient(dy: np.ndarray) -> np.ndarray:
    """Return db (K,) for dy (N, P, Q, K)."""
    return row_sums(dy.reshape(-1, dy.shape[3])).astype(dy.dtype)
