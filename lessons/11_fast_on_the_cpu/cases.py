"""Lesson 11: its tasks, and the cases that judge them."""

from __future__ import annotations

import numpy as np

from minideeplab.grading import About, Case, Task
from minideeplab.ops import conv, im2col

ABOUT = About(
    title="Fast on the CPU: im2col, Winograd, Numba",
    minutes=150,
    needs=("02",),
    paper="CPU backend; Winograd's form: arXiv 1509.09308",
)


def numbers(seed: int, *shape: int) -> np.ndarray:
    """Random numbers of a shape."""
    return np.random.default_rng(seed).standard_normal(shape)


def slower_of_both(m: int, n: int, k: int, peak: float, bandwidth: float) -> float:
    """Divide the work by the time of whichever of computing and moving takes longer."""
    work = 2.0 * m * n * k
    seconds = max(work / peak, 4.0 * (m * k + k * n + m * n) / bandwidth)
    return float(work / seconds)


def columns_by_library(x: np.ndarray, kernel: tuple[int, int], rate: int) -> np.ndarray:
    """Take the library's definition."""
    return im2col.unfold(x[None], tuple(kernel), (rate, rate), (0, 0), (1, 1))[0]


def back_by_library(
    columns: np.ndarray, shape: tuple[int, int, int], kernel: tuple[int, int], rate: int
) -> np.ndarray:
    """Take the backward pass of the library's definition."""
    return im2col.unfold_backward(
        columns[None], (1, *shape), tuple(kernel), (rate, rate), (0, 0), (1, 1)
    )[0]


def tile_point_by_point(d: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Evaluate polynomials at 0, 1, -1 and infinity; the outputs are a plain convolution."""
    filters = np.array([_at_points(_at_points(f, 1).swapaxes(1, 2), 1).swapaxes(1, 2) for f in w])
    inputs = _differences(_differences(d, 1).swapaxes(1, 2), 1).swapaxes(1, 2)
    y = conv.conv2d(d[None], w, None, (1, 1), ((0, 0), (0, 0)), (1, 1), 1)[0]
    return (filters * inputs).sum(axis=1), y


def _at_points(g: np.ndarray, axis: int) -> np.ndarray:
    """Values of the filter's polynomial, halved at 1 and -1."""
    a, b, c = np.moveaxis(g, axis, 0)
    return np.stack([a, (a + b + c) / 2, (a - b + c) / 2, c], axis)


def _differences(d: np.ndarray, axis: int) -> np.ndarray:
    """The sums and differences of inputs that go with the points."""
    a, b, c, e = np.moveaxis(d, axis, 0)
    return np.stack([a - c, b + c, c - b, e - b], axis)


def convolve(x: np.ndarray, w: np.ndarray, rate: int) -> np.ndarray:
    """Convolve by the library's definition."""
    return conv.conv2d(x[None], w, None, (1, 1), ((0, 0), (0, 0)), (rate, rate), 1)[0]


TASKS = (
    Task(
        id="11.1",
        function="attainable",
        points=1,
        reference=slower_of_both,
        cases=(
            Case("large and square", (512, 512, 512, 80e9, 20e9), shown=True),
            Case("a thin product", (64, 90_000, 27, 80e9, 20e9)),
            Case("a matrix times a vector", (1000, 1, 700, 80e9, 20e9)),
        ),
    ),
    Task(
        id="11.2",
        function="im2col",
        points=2,
        reference=columns_by_library,
        cases=(
            Case("one channel", (numbers(1, 1, 4, 5), (3, 3), 1), shown=True),
            Case("a flat kernel", (numbers(2, 1, 5, 6), (2, 3), 1), shown=True),
            Case("three channels", (numbers(3, 3, 4, 6), (2, 2), 1)),
            Case("rate 2", (numbers(4, 2, 7, 6), (3, 2), 2)),
            Case("one output", (numbers(5, 2, 5, 3), (3, 2), 2)),
        ),
    ),
    Task(
        id="11.3",
        function="col2im",
        points=2,
        reference=back_by_library,
        cases=(
            Case("one channel", (numbers(11, 9, 6), (1, 4, 5), (3, 3), 1), shown=True),
            Case("three channels", (numbers(12, 18, 8), (3, 3, 6), (2, 3), 1)),
            Case("rate 2", (numbers(13, 12, 15), (2, 7, 7), (3, 2), 2)),
        ),
    ),
    Task(
        id="11.4",
        function="winograd_tile",
        points=3,
        reference=tile_point_by_point,
        returns=("m", "y"),
        cases=(
            Case("one channel", (numbers(21, 1, 4, 4), numbers(22, 1, 1, 3, 3)), shown=True),
            Case("two filters", (numbers(23, 1, 4, 4), numbers(24, 2, 1, 3, 3))),
            Case("three channels", (numbers(25, 3, 4, 4), numbers(26, 2, 3, 3, 3))),
        ),
    ),
    Task(
        id="11.5",
        function="convolve_by_loops",
        points=2,
        reference=convolve,
        cases=(
            Case("rate 1", (numbers(31, 1, 4, 5), numbers(32, 1, 1, 3, 3), 1), shown=True),
            Case("channels and filters", (numbers(33, 3, 4, 5), numbers(34, 2, 3, 2, 3), 1)),
            Case("rate 2", (numbers(35, 2, 7, 6), numbers(36, 3, 2, 3, 2), 2)),
        ),
    ),
)
