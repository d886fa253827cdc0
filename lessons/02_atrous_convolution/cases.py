"""Lesson 2: its tasks, and the cases that judge them."""

from __future__ import annotations

import numpy as np

from minideeplab.grading import About, Case, Task
from minideeplab.ops import conv

ABOUT = About(
    title="Atrous convolution and field of view",
    minutes=100,
    needs=("01",),
    paper="3.1, equation 1",
)


def signal(seed: int, *shape: int) -> np.ndarray:
    """Random numbers of a shape."""
    return np.random.default_rng(seed).standard_normal(shape)


def count_positions(n: int, k: int, stride: int, padding: int, rate: int) -> int:
    """Try every position."""
    return sum(1 for p in range(0, n + 2 * padding, stride) if p + (k - 1) * rate < n + 2 * padding)


def convolve(x: np.ndarray, w: np.ndarray, rate: int) -> np.ndarray:
    """Convolve in one dimension by the library's two-dimensional definition."""
    x, w = x[None, None, None], w[None, None, None]
    return conv.conv2d(x, w, None, (1, 1), ((0, 0), (0, 0)), (1, rate), 1)[0, 0, 0]


def convolve_backward(
    dy: np.ndarray, x: np.ndarray, w: np.ndarray, rate: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients of `convolve`."""
    dy, x, w = (a[None, None, None] for a in (dy, x, w))
    dx, dw, _ = conv.conv2d_backward(dy, x, w, (1, 1), ((0, 0), (0, 0)), (1, rate), 1)
    return dx[0, 0, 0], dw[0, 0, 0]


def convolve_images(x: np.ndarray, w: np.ndarray, rate: int) -> np.ndarray:
    """Convolve images so that the size stays."""
    top, left = (rate * (k - 1) // 2 for k in w.shape[2:])
    return conv.conv2d(x[None], w, None, (1, 1), ((top, top), (left, left)), (rate, rate), 1)[0]


def look_back(layers: list[tuple[int, int, int]]) -> tuple[int, int]:
    """Walk down from one output and from its neighbour to the pixels that they read."""
    first, last, neighbour = 0, 0, 1
    for kernel, stride, rate in reversed(layers):
        first, last, neighbour = (p * stride for p in (first, last, neighbour))
        last += (kernel - 1) * rate
    return last - first + 1, neighbour


VGG_BLOCKS = [(3, 1, 1), (3, 1, 1), (2, 2, 1)] * 2 + [(3, 1, 1), (3, 1, 1), (3, 1, 1), (2, 2, 1)]

TASKS = (
    Task(
        id="2.1",
        function="output_size",
        points=1,
        reference=count_positions,
        cases=(
            Case("rate 1", (10, 3, 1, 0, 1), shown=True),
            Case("rate 4", (20, 3, 1, 0, 4), shown=True),
            Case("padding", (11, 3, 1, 2, 2)),
            Case("stride 2, one position left over", (12, 3, 2, 0, 2)),
            Case("stride 3, padding and rate", (19, 4, 3, 2, 3)),
            Case("the kernel just fits", (9, 5, 1, 0, 2)),
            Case("the kernel does not fit", (6, 3, 1, 0, 4)),
            Case("one value too few, stride 3", (2, 3, 3, 0, 1)),
            Case("it fits with its padding only", (4, 3, 2, 1, 2)),
        ),
    ),
    Task(
        id="2.2",
        function="atrous_conv1d",
        points=2,
        reference=convolve,
        cases=(
            Case("rate 1", (signal(1, 8), signal(2, 3), 1), shown=True),
            Case("rate 2", (signal(3, 11), signal(4, 3), 2), shown=True),
            Case("four taps, rate 3", (signal(5, 17), signal(6, 4), 3)),
            Case("one tap", (signal(7, 6), signal(8, 1), 5)),
            Case("one output", (signal(9, 9), signal(10, 5), 2)),
        ),
    ),
    Task(
        id="2.3",
        function="atrous_conv2d",
        points=3,
        reference=convolve_images,
        cases=(
            Case(
                "one channel, rate 1", (signal(11, 1, 5, 6), signal(12, 1, 1, 3, 3), 1), shown=True
            ),
            Case("rate 2", (signal(13, 1, 7, 9), signal(14, 1, 1, 3, 3), 2), shown=True),
            Case("channels and filters", (signal(15, 3, 6, 5), signal(16, 2, 3, 3, 3), 1)),
            Case("flat kernel, rate 2", (signal(17, 2, 6, 8), signal(18, 3, 2, 1, 5), 2)),
            Case("larger than the image", (signal(19, 2, 5, 4), signal(20, 2, 2, 3, 3), 3)),
        ),
    ),
    Task(
        id="2.4",
        function="atrous_conv1d_backward",
        points=2,
        reference=convolve_backward,
        returns=("dx", "dw"),
        cases=(
            Case("rate 1", (signal(21, 6), signal(22, 8), signal(23, 3), 1), shown=True),
            Case("rate 2", (signal(24, 7), signal(25, 11), signal(26, 3), 2), shown=True),
            Case("four taps, rate 3", (signal(27, 8), signal(28, 17), signal(29, 4), 3)),
            Case("one tap", (signal(30, 5), signal(31, 5), signal(32, 1), 4)),
            Case("one output", (signal(33, 1), signal(34, 9), signal(35, 5), 2)),
        ),
    ),
    Task(
        id="2.5",
        function="field_of_view",
        points=2,
        reference=look_back,
        returns=("field", "jump"),
        cases=(
            Case("two 3-tap layers", ([(3, 1, 1), (3, 1, 1)],), shown=True),
            Case("stride before a kernel", ([(3, 2, 1), (3, 1, 1)],), shown=True),
            Case("rates 1, 2, 4", ([(3, 1, 1), (3, 1, 2), (3, 1, 4)],)),
            Case("VGG-16 to pool3, then rate 12", ([*VGG_BLOCKS, (3, 1, 12)],)),
            Case("no layer", ([],)),
        ),
    ),
)
