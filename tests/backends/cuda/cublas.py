"""A stand-in for cuBLAS that does what its manual says with the addresses it is given.

Everything is by columns: element (i, j) of a matrix lies at address + (i + j ld) elements.
"""

from __future__ import annotations

import ctypes

import numpy as np

CUBLAS_OP_N, CUBLAS_OP_T = 0, 1
CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_64F, CUBLAS_COMPUTE_32F_FAST_TF32 = 68, 70, 77
CUBLAS_GEMM_DEFAULT = -1
CUDA_R_32F, CUDA_R_64F, CUDA_R_16F = 0, 1, 2
TYPES = {CUDA_R_32F: np.float32, CUDA_R_64F: np.float64, CUDA_R_16F: np.float16}
COMBINATIONS = {  # what may be multiplied into what, and how alpha and beta are read
    (CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F): np.float32,
    (CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F_FAST_TF32): np.float32,
    (CUDA_R_16F, CUDA_R_32F, CUBLAS_COMPUTE_32F): np.float32,
    (CUDA_R_64F, CUDA_R_64F, CUBLAS_COMPUTE_64F): np.float64,
}
CALLS: list[int] = []
"""The kinds of computation asked for."""


def matrix(address: int, kind: int, rows: int, cols: int, ld: int) -> np.ndarray:
    """The matrix at an address; it must not be higher than its columns are apart."""
    assert ld >= max(1, rows), f"leading dimension {ld}, rows {rows}"
    size = np.dtype(TYPES[kind]).itemsize
    memory = (ctypes.c_char * (((cols - 1) * ld + rows) * size)).from_address(address)
    return np.ndarray((rows, cols), TYPES[kind], memory, strides=(size, ld * size))


def gemmStridedBatchedEx(
    handle, op_a, op_b, m, n, k, alpha, a, a_type, lda, a_step, b, b_type, ldb, b_step,
    beta, c, c_type, ldc, c_step, count, compute, algorithm,
):  # fmt: skip
    """C[i] = alpha op(A[i]) op(B[i]) + beta C[i]; C is not read if beta is 0."""
    assert handle == 7 and a_type == b_type and algorithm == CUBLAS_GEMM_DEFAULT
    kind = COMBINATIONS[a_type, c_type, compute]
    alpha, beta = (
        float(np.ctypeslib.as_array((ctypes.c_char * np.dtype(kind).itemsize).from_address(p))
              .view(kind)[0]) for p in (alpha, beta)
    )  # fmt: skip
    CALLS.append(compute)
    sizes = [np.dtype(TYPES[t]).itemsize for t in (a_type, b_type, c_type)]
    for i in range(count):
        left = matrix(a + i * a_step * sizes[0], a_type, *((k, m) if op_a else (m, k)), lda)
        right = matrix(b + i * b_step * sizes[1], b_type, *((n, k) if op_b else (k, n)), ldb)
        out = matrix(c + i * c_step * sizes[2], c_type, m, n, ldc)
        product = (left.T if op_a else left).astype(kind) @ (right.T if op_b else right).astype(
            kind
        )
        out[...] = alpha * product + (beta * out if beta else 0)
