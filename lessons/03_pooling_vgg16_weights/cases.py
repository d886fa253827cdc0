"""Lesson 3: its tasks, and the cases that judge them."""

from __future__ import annotations

import numpy as np

from minideeplab.grading import About, Case, Task
from minideeplab.ops import pool

ABOUT = About(
    title="Pooling, VGG-16, and converting its weights",
    minutes=110,
    needs=("01",),
    paper="4.1.1; VGG-16: arXiv 1409.1556",
)

TORCHVISION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
DEEPLAB = np.array([104.008, 116.669, 122.675])


def numbers(seed: int, *shape: int) -> np.ndarray:
    """Random numbers of a shape."""
    return np.random.default_rng(seed).standard_normal(shape)


def levels(seed: int, *shape: int) -> np.ndarray:
    """Random small whole numbers, as floats: there are ties."""
    return np.random.default_rng(seed).integers(0, 3, shape).astype(float)


def count_windows(n: int, k: int, stride: int, padding: int, ceil_mode: bool) -> int:
    """Try every window."""
    starts, end = range(-padding, n + padding, stride), n + padding
    if not ceil_mode:
        return sum(start + k <= end for start in starts)
    first = starts[0]
    return sum(start < n and (start == first or start - stride + k < end) for start in starts)


def pool_maxima(x: np.ndarray, k: int, stride: int, padding: int) -> tuple[np.ndarray, np.ndarray]:
    """Pool by the library's definition."""
    y, index = pool.max_pool2d(x[None], (k, k), (stride, stride), (padding, padding), (1, 1), False)
    return y[0], index[0]


def hand_back(dy: np.ndarray, index: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Return the gradient by the library's definition."""
    return pool.max_pool2d_backward(dy[None], index[None], (1, *shape))[0]


def look_up(weight: np.ndarray, size: tuple[int, int, int], framework: str) -> np.ndarray:
    """Compute each weight's place in the matrix."""
    channels, height, width = size
    caffe = framework == "caffe"
    filters = np.zeros((weight.shape[0 if caffe else 1], *size))
    for f, c, i, j in np.ndindex(filters.shape):
        place = (f, (c * height + i) * width + j) if caffe else ((i * width + j) * channels + c, f)
        filters[f, c, i, j] = weight[place]
    return filters


def probe(
    weight: np.ndarray,
    bias: np.ndarray,
    mean_from: np.ndarray,
    std: np.ndarray,
    mean_to: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the folded layer from the old one's outputs for zero and for each unit input."""

    def output(v: np.ndarray) -> np.ndarray:
        rgb = (v + mean_to[:, None, None])[::-1]
        u = (rgb / 255 - mean_from[:, None, None]) / std[:, None, None]
        return (weight * u).sum(axis=(1, 2, 3)) + bias

    zero = np.zeros(weight.shape[1:])
    folded = np.zeros(weight.shape)
    for place in np.ndindex(zero.shape):
        unit = zero.copy()
        unit[place] = 1000.0
        folded[(slice(None), *place)] = (output(unit) - output(zero)) / 1000
    return folded, output(zero)


def pooled(x: np.ndarray, k: int, stride: int, padding: int) -> tuple:
    """Arguments of task 3.3: random gradients, and who won where."""
    y, index = pool_maxima(x, k, stride, padding)
    return numbers(y.size, *y.shape), index, x.shape


LONELY = np.zeros((1, 5, 6))
LONELY[0, 2, 2] = 1.0

TASKS = (
    Task(
        id="3.1",
        function="pooled_size",
        points=1,
        reference=count_windows,
        cases=(
            Case("VGG-16 halves 224", (224, 2, 2, 0, False), shown=True),
            Case("DeepLab's first pool on 321", (321, 3, 2, 1, True), shown=True),
            Case("a pixel is left over", (8, 3, 2, 0, False)),
            Case("rounding up takes it in", (8, 3, 2, 0, True)),
            Case("a window would begin behind the image", (3, 2, 2, 1, True)),
            Case("stride 3, padding 2, rounding up", (14, 5, 3, 2, True)),
            Case("exactly one window", (5, 5, 2, 0, False)),
            Case("rounding up, nothing is left over", (7, 3, 2, 0, True)),
            Case("two pixels are left over", (10, 2, 3, 0, False)),
            Case("two pixels are left over, rounding up", (10, 2, 3, 0, True)),
            Case("the last window begins on the last pixel", (6, 2, 3, 1, True)),
            Case("a window would begin behind an image without padding", (6, 2, 3, 0, True)),
            Case("a window would begin far behind the image", (5, 2, 4, 1, True)),
        ),
    ),
    Task(
        id="3.2",
        function="max_pool2d",
        points=2,
        reference=pool_maxima,
        returns=("y", "index"),
        cases=(
            Case("2 × 2, stride 2", (numbers(1, 2, 6, 8), 2, 2, 0), shown=True),
            Case(
                "3 × 3, stride 2, padding 1, positive",
                (abs(numbers(2, 2, 7, 9)), 3, 2, 1),
                shown=True,
            ),
            Case("all pixels negative", (-1 - abs(numbers(3, 2, 5, 7)), 3, 2, 1)),
            Case("pixels far below zero", (-1e5 - abs(numbers(33, 2, 6, 5)), 3, 2, 1)),
            Case("ties", (levels(4, 3, 6, 5), 3, 1, 0)),
            Case("a row and a column left over", (numbers(5, 1, 7, 9), 2, 2, 0)),
            Case("stride 3, window 2", (numbers(6, 2, 8, 11), 2, 3, 0)),
        ),
    ),
    Task(
        id="3.3",
        function="max_pool2d_backward",
        points=2,
        reference=hand_back,
        cases=(
            Case("windows do not overlap", pooled(numbers(7, 2, 4, 6), 2, 2, 0), shown=True),
            Case("windows overlap", pooled(numbers(8, 1, 7, 9), 3, 2, 1), shown=True),
            Case("one pixel wins nine windows", pooled(LONELY, 3, 1, 0)),
            Case("three channels", pooled(numbers(9, 3, 6, 5), 3, 1, 1)),
            Case("a single row", pooled(numbers(10, 2, 1, 8), 1, 2, 0)),
        ),
    ),
    Task(
        id="3.4",
        function="dense_to_conv",
        points=2,
        reference=look_up,
        cases=(
            Case("Caffe", (numbers(11, 3, 12), (2, 2, 3), "caffe"), shown=True),
            Case("Keras", (numbers(12, 12, 3), (2, 2, 3), "keras"), shown=True),
            Case("Caffe, a flat window", (numbers(13, 2, 15), (3, 1, 5), "caffe")),
            Case("Keras, a high window", (numbers(14, 24, 2), (2, 4, 3), "keras")),
            Case("Keras, one channel", (numbers(15, 6, 4), (1, 2, 3), "keras")),
            Case("Keras, as many outputs as inputs", (numbers(16, 8, 8), (2, 2, 2), "keras")),
        ),
    ),
    Task(
        id="3.5",
        function="fold_input",
        points=3,
        reference=probe,
        returns=("weight", "bias"),
        cases=(
            Case(
                "torchvision to DeepLab",
                (numbers(17, 2, 3, 3, 3), numbers(18, 2), *TORCHVISION, DEEPLAB),
                shown=True,
            ),
            Case(
                "only the colours' order differs",
                (
                    numbers(19, 2, 3, 1, 2),
                    numbers(20, 2),
                    np.array([0.2, 0.4, 0.6]),
                    np.full(3, 1 / 255),
                    np.array([153.0, 102.0, 51.0]),
                ),
                shown=True,
            ),
            Case(
                "the scale differs, means are 0",
                (
                    numbers(21, 3, 3, 2, 3),
                    numbers(22, 3),
                    np.zeros(3),
                    np.array([0.5, 0.25, 0.125]),
                    np.zeros(3),
                ),
            ),
            Case(
                "1 × 1 filters",
                (
                    numbers(23, 4, 3, 1, 1),
                    numbers(24, 4),
                    *TORCHVISION,
                    np.array([9.0, 80.0, 99.0]),
                ),
            ),
            Case(
                "wide filters",
                (
                    numbers(25, 2, 3, 3, 5),
                    numbers(26, 2),
                    *TORCHVISION,
                    np.array([60.0, 70.0, 8.0]),
                ),
            ),
        ),
    ),
)
