"""Batched matrix products with cuBLAS, their precision for float32, and `linear`.

    out[i] = a[i] b[i]       a (B, M, K), b (B, K, N), out (B, M, N); a or b may be one for all i

cuBLAS is column-major, NumPy row-major: the memory of a (M, K) is that of its transpose (K, M) in
column-major order. So cuBLAS computes  out' = b' a'  and no array is transposed:

    row-major        out (M, N)   =    a (M, K)     b (K, N)
    column-major     out' (N, M)  =    b' (N, K)    a' (K, M)

Tensor cores are much faster than float32 units. They round inputs to 11 significant bits, in "tf32"
with the range of float32, in "float16" with that of float16. Sums are float32 in all precisions.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import numpy as np

from minideeplab.backends.cuda.device import xp

PRECISIONS = ("float32", "tf32", "float16")
VARIABLE = "MINIDEEPLAB_CUDA_PRECISION"
ROUNDING = {"float32": 0.0, "tf32": 2.0**-10, "float16": 2.0**-11}
"""Largest relative rounding error of an input; TF32 may also truncate."""

_precision: ContextVar[str | None] = ContextVar("precision", default=None)


class matmul_precision:
    """Set the precision of float32 products: "float32", "tf32" or "float16".

    In a ``with`` block until its end, as a plain call from then on:

        with matmul_precision("tf32"):
            scores = net(x)

    It holds for convolutions and linear layers, forward and backward, of the current thread.
    float64 is not affected. The environment variable MINIDEEPLAB_CUDA_PRECISION sets the default.

    The error of a sum of K products a b, with u = 2^-10 ("tf32") or 2^-11 ("float16"), is at most

        (2 u + u^2 + K 2^-23) (|a_1 b_1| + ... + |a_K b_K|)

    for float16 inputs between 6.1e-5 and 65504: larger ones overflow, smaller ones lose digits.
    Random errors cancel: with rounding to 11 bits, the largest error of LargeFOV's layers is 2.5e-4
    to 3.6e-4 of the largest result (float32: 1.5e-7 to 4.6e-7); the bound is 3e-3 to 2e-2 ("tf32").
    ``minideeplab bench gpu`` prints both for every layer.

    Raises ValueError for another name.
    """

    def __init__(self, name: str):
        if name not in PRECISIONS:
            expected = ", ".join(map(repr, PRECISIONS))
            raise ValueError(f"matmul_precision: got {name!r}, expected one of {expected}")
        self._name, self._previous = name, _precision.get()
        _precision.set(name)

    def __enter__(self) -> None:
        _precision.set(self._name)

    def __exit__(self, *exception: object) -> None:
        _precision.set(self._previous)


def precision(dtype: Any = np.float32) -> str:
    """The current precision of products of a dtype: "float64" for float64."""
    if dtype != np.float32:
        return np.dtype(dtype).name
    name = _precision.get() or os.environ.get(VARIABLE) or "float32"
    if name not in PRECISIONS:
        expected = ", ".join(map(repr, PRECISIONS))
        raise ValueError(f"environment variable {VARIABLE}: got {name!r}, expected {expected}")
    return name


def multiply(
    a: Any, b: Any, out: Any, *,
    transpose_a: bool = False, transpose_b: bool = False, add: bool = False,
    name: str | None = None,
) -> None:  # fmt: skip
    """Write a b to the contiguous ``out`` (B, M, N), or add it to ``out`` if ``add``.

    a (B or 1, M, K), or (B or 1, K, M) if ``transpose_a``; b (B or 1, K, N), or (B or 1, N, K).
    ``name`` is the precision; if None, that of `matmul_precision`.
    """
    if not out.size:
        return
    if not a.size or not b.size:
        if not add:
            out[...] = 0  # an empty sum
        return
    run: Callable = _in_numpy if xp is np else _by_cublas
    name = name or precision(out.dtype)
    if name == "float16":
        a, b = a.astype(np.float16), b.astype(np.float16)
    run(a, b, out, transpose_a, transpose_b, add, name)


def _by_cublas(
    a: Any, b: Any, out: Any, transpose_a: bool, transpose_b: bool, add: bool, name: str
) -> None:
    """One call of ``cublasGemmStridedBatchedEx`` on CuPy's stream: out' = b' a'."""
    cublas, kinds = xp.cuda.cublas, xp.cuda.runtime
    a, b = xp.ascontiguousarray(a), xp.ascontiguousarray(b)
    count, rows, cols = out.shape
    inner = a.shape[1] if transpose_a else a.shape[2]
    inputs = {"float64": kinds.CUDA_R_64F, "float16": kinds.CUDA_R_16F}.get(name, kinds.CUDA_R_32F)
    output = kinds.CUDA_R_64F if name == "float64" else kinds.CUDA_R_32F
    compute = {"float64": cublas.CUBLAS_COMPUTE_64F, "tf32": cublas.CUBLAS_COMPUTE_32F_FAST_TF32}
    one, beta = np.array(1, out.dtype), np.array(int(add), out.dtype)  # read during the call

    def matrix(array: Any) -> tuple[int, int, int, int]:
        step = array.shape[1] * array.shape[2] if len(array) > 1 else 0  # one matrix for all
        return array.data.ptr, inputs, array.shape[2], step

    operation = {False: cublas.CUBLAS_OP_N, True: cublas.CUBLAS_OP_T}
    cublas.gemmStridedBatchedEx(
        xp.cuda.Device().cublas_handle,
        *(operation[transpose_b], operation[transpose_a]),
        *(cols, rows, inner),
        one.ctypes.data,
        *matrix(b),
        *matrix(a),
        beta.ctypes.data,
        *(out.data.ptr, output, cols, rows * cols),
        count,
        compute.get(name, cublas.CUBLAS_COMPUTE_32F),
        cublas.CUBLAS_GEMM_DEFAULT,
    )


def _in_numpy(
    a: Any, b: Any, out: Any, transpose_a: bool, transpose_b: bool, add: bool, name: str
) -> None:
    """The same with NumPy, rounding the inputs as cuBLAS does."""
    if name == "tf32":
        a, b = map(round_to_tf32, (a, b))
    a, b = a.astype(out.dtype, copy=False), b.astype(out.dtype, copy=False)
    a = a.swapaxes(1, 2) if transpose_a else a
    b = b.swapaxes(1, 2) if transpose_b else b
    out[...] = np.matmul(a, b) + (out if add else 0)


def round_to_tf32(array: np.ndarray) -> np.ndarray:
    """Round float32 to the 11 significant bits of TF32, halves away from zero."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    rounded = ((bits + np.uint32(1 << 12)) & np.uint32(0xFFFFE000)).view(np.float32)
    return np.where(np.isfinite(array), rounded, array)


def linear(x: Any, w: Any, b: Any) -> Any:
    """y = x w^T + b: x (N, I), w (O, I), b (O,) or None -> y (N, O)."""
    y = xp.empty((len(x), len(w)), x.dtype)
    multiply(x[None], w[None], y[None], transpose_b=True)
    if b is not None:
        y += b
    return y


def linear_backward(
    dy: Any, x: Any, w: Any, needs: tuple[bool, bool, bool] = (True, True, True)
) -> tuple[Any, Any, Any]:
    """Gradients (dx, dw, db) of `linear` for dy (N, O); None where not needed."""
    dx = dw = None
    if needs[0]:
        dx = xp.empty(x.shape, dy.dtype)
        multiply(dy[None], w[None], dx[None])
    if needs[1]:
        dw = xp.empty(w.shape, dy.dtype)
        multiply(dy[None], x[None], dw[None], transpose_a=True)
    return dx, dw, dy.sum(axis=0) if needs[2] else None
