"""Implicit GEMM: atrous convolution as a matrix product without columns in global memory.

With the taps of a filter as one axis k = (c, i, j), y = w columns: (F, K) times (K, P*Q). The
columns are not stored; each block loads its part of the image directly into shared memory:

                     columns, pixel l = (n, p, q)            a block computes a tile of SIDE x SIDE
                      +------+======+-------+                results, a thread WORK x WORK of them
                    k | step |      |       |
                      +------+======+-------+                for every STEP of k:
        w (F, K)             |      |                          all threads load STEP x SIDE of w
      +-----+------+         |      |                          and of the image,     barrier,
      |     |      |  y      +------+                          every thread accumulates its
    f +=====+======+ . . . . | tile |                          products,             barrier
      |     |      |         +------+

Every value loaded is used SIDE times. Neighbouring threads load neighbouring values: k of a filter,
pixels of the image. Each thread loads for one pixel only, so it computes that position once. Holes
of the atrous filter are not read.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numba
from numba import cuda

from minideeplab.backends.cuda.device import SIMULATED, xp
from minideeplab.backends.cuda.im2col import window_sizes
from minideeplab.backends.cuda.launch import Kernel, kernel
from minideeplab.ops.window import Padding, Pair, output_shape

WORK = 2 if SIMULATED else 8
ACROSS = 2 if SIMULATED else 16
"""Results per thread and threads per block along each side of the tile.

8 x 8 products need 16 reads from shared memory, which balances arithmetic and reads. SIDE must
divide ACROSS^2, so that a thread always loads the same pixel.
"""
SIDE = WORK * ACROSS
STEP = 3 if SIMULATED else 8


@cache
def implicit_gemm(dtype: str) -> Kernel:
    """The kernel for one dtype, because the type of shared memory is fixed at compile time."""
    kind, threads, shifted = getattr(numba, dtype), ACROSS * ACROSS, SIDE + 4

    @kernel("implicit_gemm.cu")
    def implicit_gemm(x, w, bias, y, pixels, filters, per_filter, groups, channels, height, width,
                      kh, kw, rows, cols, sh, sw, dh, dw, top, left):  # fmt: skip
        """y[n, f, p, q] = bias[f] + sum of w[f, c, i, j] x[n, c, p sh + i dh - top, ...]."""
        w_tile = cuda.shared.array((STEP, shifted), kind)  # rows start in different memory banks
        x_tile = cuda.shared.array((STEP, SIDE), kind)
        totals = cuda.local.array((WORK, WORK), kind)
        tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
        thread = ty * ACROSS + tx
        group = cuda.blockIdx.z
        first_pixel, first_filter = cuda.blockIdx.x * SIDE, cuda.blockIdx.y * SIDE
        zero = x.dtype.type(0)
        for a in range(WORK):
            for b in range(WORK):
                totals[a, b] = zero

        column, pixel = thread % SIDE, first_pixel + thread % SIDE
        plane = (pixel // (rows * cols) * groups + group) * channels
        from_h, from_w = pixel // cols % rows * sh - top, pixel % cols * sw - left

        for first in range(0, per_filter, STEP):
            for e in range(thread, STEP * SIDE, threads):
                k, f = first + e % STEP, first_filter + e // STEP
                value = zero
                if k < per_filter and f < filters:
                    value = w[(group * filters + f) * per_filter + k]
                w_tile[e % STEP, e // STEP] = value
            for step in range(thread // SIDE, STEP, threads // SIDE):
                k = first + step
                c, h, v = k // (kh * kw), from_h + k // kw % kh * dh, from_w + k % kw * dw
                value = zero
                if k < per_filter and pixel < pixels and 0 <= h < height and 0 <= v < width:
                    value = x[((plane + c) * height + h) * width + v]
                x_tile[step, column] = value
            cuda.syncthreads()
            for k in range(STEP):
                for a in range(WORK):
                    weight = w_tile[k, a * ACROSS + ty]
                    for b in range(WORK):
                        totals[a, b] += weight * x_tile[k, b * ACROSS + tx]
            cuda.syncthreads()

        for a in range(WORK):
            f = first_filter + a * ACROSS + ty
            for b in range(WORK):
                pixel = first_pixel + b * ACROSS + tx
                if f < filters and pixel < pixels:
                    n, place = pixel // (rows * cols), pixel % (rows * cols)
                    channel = group * filters + f
                    y[(n * filters * groups + channel) * rows * cols + place] = (
                        totals[a, b] + bias[channel]
                    )

    return implicit_gemm


def convolve(
    x: Any, w: Any, b: Any, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> Any:
    """Convolve x (N, C, H, W) with w (F, C/G, kh, kw) and b (F,) or None: y (N, F, P, Q)."""
    filters, channels, kh, kw = w.shape
    out = output_shape(x.shape[2:], (kh, kw), stride, padding, dilation)
    y = xp.empty((len(x), filters, *out), x.dtype)
    bias = xp.zeros(filters, x.dtype) if b is None else b
    pixels, per_group = len(x) * out[0] * out[1], filters // groups
    if y.size:
        blocks = (-(-pixels // SIDE), -(-per_group // SIDE), groups)
        sizes = (pixels, per_group, channels * kh * kw, groups, channels)
        geometry = window_sizes(x.shape[2:], (kh, kw), out, stride, padding, dilation)
        kernel = implicit_gemm(x.dtype.name)
        kernel.launch(blocks, (ACROSS, ACROSS), x, w, bias, y, *sizes, *geometry)
    return y
