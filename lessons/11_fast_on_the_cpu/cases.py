"""Lesson 11: its tasks, and the cases that judge them."""

from __future__ import annotations

import numpy as np

from minideeplab.grading import About, Case, Task
from minideeplab.ops import conv

ABOUT = About(
    title="Fast on the CPU: im2col, Winograd, Numba",
    minutes=130,
    needs=("02",),
    paper="3.1, implementation by im2col; Winograd: arXiv 1509.09308",
    allow=("numba",),
)


def random(seed: int, *shape: int) -> np.ndarray:
    """Random numbers of a shape."""
    return np.random.default_rng(seed).standard_normal(shape)


def columns_one_by_one(x: np.ndarray, kernel: tuple[int, int], rate: int) -> np.ndarray:
    """Cut the window of each position."""
    (_, height, width), (kh, kw) = x.shape, kernel
    high, wide = (kh - 1) * rate + 1, (kw - 1) * rate + 1
    windows = [
        x[:, p : p + high : rate, q : q + wide : rate].ravel()
        for p in range(height - high + 1)
        for q in range(width - wide + 1)
    ]
    return np.stack(windows, axis=1)


def adjoint_by_numbers(
    matrix: np.ndarray, shape: tuple[int, int, int], kernel: tuple[int, int], rate: int
) -> np.ndarray:
    """Ask where each entry came from, and add it there."""
    origin = columns_one_by_one(np.arange(np.prod(shape)).reshape(shape), tuple(kernel), rate)
    return np.bincount(origin.ravel(), matrix.ravel(), int(np.prod(shape))).reshape(shape)


def transform_by_hand(w: np.ndarray) -> np.ndarray:
    """Evaluate the polynomials of the kernels at 0, 1, -1 and infinity."""
    for axis in (2, 3):
        a, b, c = np.moveaxis(w, axis, 0)
        w = np.stack([a, (a + b + c) / 2, (a - b + c) / 2, c], axis=axis)
    return w.transpose(2, 3, 0, 1)


def convolve(x: np.ndarray, w: np.ndarray, rate: int) -> np.ndarray:
    """The library's definition, without margins."""
    return conv.conv2d(x[None], w, None, (1, 1), ((0, 0), (0, 0)), (rate, rate), 1)[0]


def convolve_transformed(x: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Find the filters again, and convolve by the definition."""
    back = np.array([[1.0, 0, 0, 0], [0, 1, -1, 0], [0, 0, 0, 1]])  # of a, (a+b+c)/2, (a-b+c)/2, c
    return convolve(x, np.einsum("ia,abfc,jb->fcij", back, u, back), 1)


def filters(seed: int, *shape: int) -> np.ndarray:
    """Transforms of random filters."""
    return transform_by_hand(random(seed, *shape, 3, 3))


def columns(seed: int, shape: tuple, kernel: tuple, rate: int) -> tuple:
    """Arguments of a col2im."""
    high, wide = (n - (k - 1) * rate for n, k in zip(shape[1:], kernel, strict=True))
    return random(seed, shape[0] * kernel[0] * kernel[1], high * wide), shape, kernel, rate


TASKS = (
    Task(
        id="11.1", function="im2col", points=2, reference=columns_one_by_one,
        cases=(
            Case("one channel", (random(1, 1, 4, 5), (3, 3), 1), shown=True),
            Case("rate 2", (random(2, 1, 6, 7), (3, 3), 2), shown=True),
            Case("two channels", (random(3, 2, 4, 6), (3, 3), 1)),
            Case("a flat kernel, rate 2", (random(4, 3, 5, 8), (2, 3), 2)),
            Case("one tap", (random(5, 3, 4, 2), (1, 1), 3)),
        ),
    ),
    Task(
        id="11.2", function="col2im", points=2, reference=adjoint_by_numbers,
        cases=(
            Case("one channel", columns(11, (1, 4, 5), (3, 3), 1), shown=True),
            Case("rate 2", columns(12, (1, 6, 7), (3, 3), 2), shown=True),
            Case("two channels", columns(13, (2, 4, 6), (3, 3), 1)),
            Case("a flat kernel, rate 2", columns(14, (3, 5, 8), (2, 3), 2)),
            Case("one tap", columns(15, (3, 4, 2), (1, 1), 3)),
        ),
    ),
    Task(
        id="11.3", function="transform_filters", points=1, reference=transform_by_hand,
        cases=(
            Case("one filter", (random(21, 1, 1, 3, 3),), shown=True),
            Case("filters and channels", (random(22, 4, 2, 3, 3),)),
        ),
    ),
    Task(
        id="11.4", function="winograd", points=3, reference=convolve_transformed,
        cases=(
            Case("one tile", (random(31, 1, 4, 4), filters(32, 1, 1)), shown=True),
            Case("tiles", (random(33, 1, 6, 10), filters(34, 1, 1)), shown=True),
            Case("channels and filters", (random(35, 3, 8, 6), filters(36, 2, 3))),
            Case("one tile, many channels", (random(37, 5, 4, 4), filters(38, 3, 5))),
        ),
    ),
    Task(
        id="11.5", function="conv_loops", points=2, reference=convolve,
        cases=(
            Case("one channel", (random(41, 1, 5, 6), random(42, 1, 1, 3, 3), 1), shown=True),
            Case("rate 2", (random(43, 1, 6, 8), random(44, 2, 1, 3, 3), 2), shown=True),
            Case("channels", (random(45, 3, 5, 4), random(46, 2, 3, 3, 3), 1)),
            Case("a flat kernel, rate 2", (random(47, 2, 4, 9), random(48, 3, 2, 1, 4), 2)),
        ),
    ),
)  # fmt: skip
