"""Lesson 6: its tasks, and the cases that judge them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from minideeplab.grading import About, Case, Given, Task
from minideeplab.ops import conv

ABOUT = About(
    title="ASPP and multi-scale",
    minutes=100,
    needs=("02", "05"),
    paper="3.2, figures 4 and 7; 4.1.2, table 3",
)


def numbers(seed: int, *shape: int) -> np.ndarray:
    """Random numbers of a shape."""
    return np.random.default_rng(seed).standard_normal(shape)


def branch(seed: int, rate: int, shape: Sequence[int]) -> tuple:
    """Random weights of a branch with (C, hidden channels of fc6 and of fc7, K) channels."""
    c, d, e, k = shape
    return (
        rate,
        *(numbers(seed, d, c, 3, 3), numbers(seed + 1, d)),
        *(numbers(seed + 2, e, d, 1, 1), numbers(seed + 3, e)),
        *(numbers(seed + 4, k, e, 1, 1), numbers(seed + 5, k)),
    )


def convolve(x: np.ndarray, w: np.ndarray, b: np.ndarray | None, rate: int) -> np.ndarray:
    """Convolve (C, H, W) by the library's definition so that the size stays."""
    side = rate * (w.shape[2] - 1) // 2
    return conv.conv2d(x[None], w, b, (1, 1), ((side, side),) * 2, (rate, rate), 1)[0]


def try_all_positions(height: int, width: int, rate: int) -> float:
    """Put the filter everywhere and count."""
    inside = np.zeros((height + 2 * rate, width + 2 * rate))
    inside[rate : rate + height, rate : rate + width] = 1
    total = sum(
        inside[i * rate : i * rate + height, j * rate : j * rate + width].sum()
        for i, j in np.ndindex(3, 3)
    )
    return float(total / (height * width))


def answer_to_one_pixel(kernels: list[np.ndarray], rates: list[int]) -> np.ndarray:
    """Convolve a single 1 with all branches: the result is the filter, flipped."""
    size = max((k.shape[2] - 1) * r for k, r in zip(kernels, rates, strict=True)) + 1
    filters, channels = kernels[0].shape[:2]
    merged = np.zeros((filters, channels, size, size))
    for c in range(channels):
        pixel = np.zeros((channels, size, size))
        pixel[c, size // 2, size // 2] = 1
        results = [convolve(pixel, k, None, r) for k, r in zip(kernels, rates, strict=True)]
        merged[:, c] = sum(results)[:, ::-1, ::-1]
    return merged


def aspp_by_library(x: np.ndarray, branches: list[tuple]) -> np.ndarray:
    """Add the branches up, each by the library's convolution and matrix products."""
    flat = (-1, x.shape[1] * x.shape[2])
    total = []
    for rate, w6, b6, w7, b7, w8, b8 in branches:
        y = convolve(x, w6, b6, rate).clip(min=0).reshape(flat)
        y = (w7[:, :, 0, 0] @ y + b7[:, None]).clip(min=0)
        total.append(w8[:, :, 0, 0] @ y + b8[:, None])
    return np.sum(total, axis=0).reshape(-1, *x.shape[1:])


def route(dy: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Go through all entries one by one."""
    dx = np.zeros(scores.shape)
    for place in np.ndindex(dy.shape):
        column = [scores[(s, *place)] for s in range(len(scores))]
        dx[(column.index(max(column)), *place)] = dy[place]
    return dx


def fuse(image: np.ndarray, scales: list[float], network: Callable, resize: Callable) -> np.ndarray:
    """Score at all scales first, then stack and take the maximum."""
    sizes = [tuple(1 + int(np.floor((n - 1) * s)) for n in image.shape[1:]) for s in scales]
    scores = [network(resize(image, size)) for size in sizes]
    return np.max([resize(score, scores[0].shape[1:]) for score in scores], axis=0)


TOOLS = Given("network"), Given("resize")
TIED = np.random.default_rng(1).integers(0, 2, (3, 2, 3, 4)).astype(float)

TASKS = (
    Task(
        id="6.1",
        function="taps_inside",
        points=1,
        reference=try_all_positions,
        cases=(
            Case("rate 1 on a small map", (4, 5, 1), shown=True),
            Case("a training crop, rate 12", (41, 41, 12), shown=True),
            Case("higher than wide", (30, 20, 6)),
            Case("wider than the rate, but not as high", (10, 40, 18)),
            Case("the rate is larger than the map", (5, 7, 9)),
            Case("the rate is as large as the map", (6, 6, 6)),
        ),
    ),
    Task(
        id="6.2",
        function="merge_branches",
        points=2,
        reference=answer_to_one_pixel,
        cases=(
            Case(
                "rates 1 and 2",
                ([numbers(1, 1, 1, 3, 3), numbers(2, 1, 1, 3, 3)], [1, 2]),
                shown=True,
            ),
            Case("one branch, rate 3", ([numbers(3, 1, 2, 3, 3)], [3]), shown=True),
            Case(
                "the largest rate first", ([numbers(4, 2, 1, 3, 3), numbers(5, 2, 1, 3, 3)], [4, 1])
            ),
            Case("3 × 3 and 5 × 5", ([numbers(6, 2, 3, 3, 3), numbers(7, 2, 3, 5, 5)], [3, 1])),
            Case("with a 1 × 1 branch", ([numbers(8, 1, 2, 1, 1), numbers(9, 1, 2, 3, 3)], [5, 2])),
            Case("equal rates", ([numbers(10, 1, 1, 3, 3), numbers(11, 1, 1, 3, 3)], [2, 2])),
            Case("four branches", ([numbers(s, 1, 1, 3, 3) for s in range(12, 16)], [2, 4, 6, 8])),
        ),
    ),
    Task(
        id="6.3",
        function="aspp",
        points=2,
        reference=aspp_by_library,
        cases=(
            Case("one branch", (numbers(20, 2, 4, 5), [branch(21, 1, (2, 2, 2, 2))]), shown=True),
            Case(
                "two branches",
                (numbers(30, 1, 5, 4), [branch(31, 1, (1, 2, 3, 2)), branch(41, 2, (1, 2, 3, 2))]),
                shown=True,
            ),
            Case(
                "four branches, rates of ASPP-S",
                (
                    numbers(50, 3, 7, 9),
                    [branch(60 + 10 * r, r, (3, 4, 2, 5)) for r in (2, 4, 8, 12)],
                ),
            ),
            Case(
                "features that are all zero",
                (np.zeros((2, 3, 4)), [branch(s, 2, (2, 3, 2, 3)) for s in (210, 220, 230)]),
            ),
            Case(
                "a rate larger than the map",
                (numbers(240, 2, 3, 4), [branch(241, 6, (2, 3, 2, 1))]),
            ),
        ),
    ),
    Task(
        id="6.4",
        function="max_fusion_backward",
        points=2,
        reference=route,
        cases=(
            Case("two scales", (numbers(250, 1, 2, 3), numbers(251, 2, 1, 2, 3)), shown=True),
            Case(
                "three scales, two classes",
                (numbers(252, 2, 2, 3), numbers(253, 3, 2, 2, 3)),
                shown=True,
            ),
            Case("ties", (numbers(254, 2, 3, 4), TIED)),
            Case("five classes", (numbers(255, 5, 3, 2), numbers(256, 3, 5, 3, 2))),
            Case("negative scores", (numbers(257, 2, 4, 3), -5 - abs(numbers(258, 3, 2, 4, 3)))),
            Case("one scale", (numbers(259, 2, 3, 2), numbers(260, 1, 2, 3, 2))),
        ),
    ),
    Task(
        id="6.5",
        function="multi_scale",
        points=3,
        reference=fuse,
        cases=(
            Case("scale 1 alone", (numbers(261, 3, 9, 5), [1.0], *TOOLS), shown=True),
            Case("1 and 0.5", (numbers(262, 3, 9, 17), [1.0, 0.5], *TOOLS), shown=True),
            Case("1, 0.75 and 0.5", (numbers(263, 3, 33, 25), [1.0, 0.75, 0.5], *TOOLS)),
            Case("sizes that are rounded", (numbers(264, 3, 22, 15), [1.0, 0.75], *TOOLS)),
            Case("the small scale first", (numbers(265, 3, 17, 25), [0.5, 1.0], *TOOLS)),
            Case("enlarged", (numbers(266, 3, 9, 13), [1.0, 1.5], *TOOLS)),
        ),
    ),
)
