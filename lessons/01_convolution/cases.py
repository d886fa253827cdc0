"""Lesson 1: its tasks, and the cases that judge them."""

from __future__ import annotations

import numpy as np

from minideeplab.grading import About, Case, Task
from minideeplab.ops import conv

ABOUT = About(title="Convolution and its gradient", minutes=120, paper="background of 3.1")


def numbers(seed: int, *shape: int) -> np.ndarray:
    """Random numbers of a shape."""
    return np.random.default_rng(seed).standard_normal(shape)


def around(padding: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the same padding on all sides."""
    return (padding, padding), (padding, padding)


def plane(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Sum up tap by tap."""
    rows, columns = (n - k + 1 for n, k in zip(x.shape, w.shape, strict=True))
    taps = np.ndindex(w.shape)
    return sum(w[i, j] * x[i : i + rows, j : j + columns] for i, j in taps)


def layer(x, w, b, stride, padding):
    """Call the library's definition."""
    return conv.conv2d(x, w, b, (stride, stride), around(padding), (1, 1), 1)


def weight_gradient(dy, x, kernel, stride, padding):
    """Call the library's definition."""
    w = np.zeros((dy.shape[1], x.shape[1], *kernel))
    return conv.conv2d_backward(dy, x, w, (stride, stride), around(padding), (1, 1), 1)[1:]


def input_gradient(dy, w, size, stride, padding):
    """Call the library's definition."""
    x = np.zeros((len(dy), w.shape[1], *size))
    return conv.conv2d_backward(dy, x, w, (stride, stride), around(padding), (1, 1), 1)[0]


def forward(seed, x, w, stride, padding):
    """Arguments of a layer for shapes x and w."""
    return numbers(seed, *x), numbers(seed + 1, *w), numbers(seed + 2, w[0]), stride, padding


TASKS = (
    Task(
        id="1.1",
        function="correlate",
        points=2,
        reference=plane,
        cases=(
            Case("3 × 3 kernel", (numbers(1, 5, 7), numbers(2, 3, 3)), shown=True),
            Case("flat kernel", (numbers(3, 4, 6), numbers(4, 1, 3)), shown=True),
            Case("even kernel", (numbers(5, 6, 4), numbers(6, 4, 2))),
            Case("kernel as large as the image", (numbers(7, 3, 4), numbers(8, 3, 4))),
        ),
    ),
    Task(
        id="1.2",
        function="conv2d",
        points=3,
        reference=layer,
        cases=(
            Case("one channel", forward(10, (1, 1, 5, 6), (1, 1, 3, 3), 1, 0), shown=True),
            Case("padding", forward(20, (1, 1, 4, 5), (1, 1, 3, 3), 1, 1), shown=True),
            Case("batch, channels, filters", forward(30, (2, 3, 5, 4), (4, 3, 2, 3), 1, 0)),
            Case("stride 2", forward(40, (2, 2, 7, 9), (3, 2, 3, 3), 2, 0)),
            Case("stride 3, pixels left over", forward(50, (2, 1, 9, 8), (2, 1, 3, 2), 3, 1)),
            Case("1 × 1 kernel", forward(60, (2, 3, 3, 4), (2, 3, 1, 1), 1, 0)),
        ),
    ),
    Task(
        id="1.3",
        function="conv2d_weight_gradient",
        points=2,
        reference=weight_gradient,
        returns=("dw", "db"),
        cases=(
            Case(
                "one channel",
                (numbers(70, 1, 1, 3, 4), numbers(71, 1, 1, 5, 6), (3, 3), 1, 0),
                shown=True,
            ),
            Case("padding", (numbers(72, 1, 1, 4, 5), numbers(73, 1, 1, 4, 5), (3, 3), 1, 1)),
            Case(
                "batch, channels, filters",
                (numbers(74, 2, 4, 4, 2), numbers(75, 2, 3, 5, 4), (2, 3), 1, 0),
            ),
            Case(
                "stride 2, pixels left over",
                (numbers(76, 2, 3, 3, 4), numbers(77, 2, 2, 8, 10), (3, 3), 2, 0),
            ),
            Case(
                "stride 2 and padding 1",
                (numbers(78, 2, 3, 4, 5), numbers(79, 2, 2, 7, 9), (3, 3), 2, 1),
            ),
        ),
    ),
    Task(
        id="1.4",
        function="conv2d_input_gradient",
        points=3,
        reference=input_gradient,
        cases=(
            Case(
                "one channel",
                (numbers(80, 1, 1, 3, 4), numbers(81, 1, 1, 3, 3), (5, 6), 1, 0),
                shown=True,
            ),
            Case(
                "padding",
                (numbers(82, 1, 1, 4, 5), numbers(83, 1, 1, 3, 3), (4, 5), 1, 1),
                shown=True,
            ),
            Case(
                "batch, channels, filters",
                (numbers(84, 2, 4, 4, 2), numbers(85, 4, 3, 2, 3), (5, 4), 1, 0),
            ),
            Case(
                "stride 2, pixels left over",
                (numbers(86, 2, 3, 3, 4), numbers(87, 3, 2, 3, 3), (8, 10), 2, 0),
            ),
            Case(
                "stride 3 beyond a 2 × 2 kernel",
                (numbers(88, 2, 2, 3, 2), numbers(89, 2, 3, 2, 2), (8, 6), 3, 0),
            ),
            Case(
                "stride 2 and padding 1",
                (numbers(90, 2, 3, 4, 5), numbers(91, 3, 2, 3, 3), (7, 9), 2, 1),
            ),
        ),
    ),
)
