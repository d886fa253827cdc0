"""Lesson 12: its tasks, and the cases that judge them."""

from __future__ import annotations

import numpy as np

from minideeplab.grading import About, Case, Task

ABOUT = About(
    title="CUDA kernels without owning a GPU",
    minutes=120,
    needs=("02", "11"),
    paper="GPU backend; CUDA programming guide",
    allow=("numba", "numba.cuda"),
)


def numbers(seed: int, *shape: int) -> np.ndarray:
    """Random numbers of a shape."""
    return np.random.default_rng(seed).standard_normal(shape)


def labels(seed: int, n: int, classes: int) -> np.ndarray:
    """Random labels, some of them 255."""
    drawn = np.random.default_rng(seed).integers(0, classes + 1, n)
    return np.where(drawn == classes, 255, drawn)


def deal_out(n: int, blocks: int, threads: int, b: int, t: int) -> np.ndarray:
    """Deal the elements out one by one, round after round."""
    grid = [(block, thread) for block in range(blocks) for thread in range(threads)]
    turns = [i for i in range(n) if grid and grid[i % len(grid)] == (b, t)]
    return np.array(turns, np.int64)


def convolve(x: np.ndarray, w: np.ndarray, rate: int, threads: int) -> np.ndarray:
    """Write the holes out as zeros."""
    holes = np.zeros((len(w) - 1) * rate + 1)
    holes[:: max(rate, 1)] = w
    return np.correlate(x, holes, "valid")


def count(labels: np.ndarray, classes: int, threads: int) -> np.ndarray:
    """Count class by class."""
    return np.array([np.sum(labels == c) for c in range(classes)], np.int64)


def piecewise(x: np.ndarray, threads: int) -> np.ndarray:
    """Sum slices."""
    return np.array([x[i : i + threads].sum() for i in range(0, len(x), threads)])


TASKS = (
    Task(
        id="12.1",
        function="elements_of",
        points=1,
        reference=deal_out,
        cases=(
            Case("one element each", (12, 3, 4, 1, 2), shown=True),
            Case("several elements each", (29, 2, 4, 1, 3), shown=True),
            Case("the first thread", (17, 3, 2, 0, 0)),
            Case("a thread beyond the end", (13, 4, 4, 3, 2)),
            Case("the last element", (23, 2, 4, 1, 2)),
        ),
    ),
    Task(
        id="12.2",
        function="scale",
        points=2,
        reference=lambda x, factor, threads: factor * x,
        origin="a kernel",
        cases=(
            Case("whole blocks", (numbers(1, 8), 3.0, 4), shown=True),
            Case("threads left over", (numbers(2, 13), -0.5, 4), shown=True),
            Case("one block", (numbers(3, 5), 2.0, 8)),
        ),
    ),
    Task(
        id="12.3",
        function="atrous_conv1d",
        points=2,
        reference=convolve,
        origin="a kernel",
        cases=(
            Case("rate 1", (numbers(4, 10), numbers(5, 3), 1, 4), shown=True),
            Case("rate 3", (numbers(6, 15), numbers(7, 3), 3, 4)),
            Case("four taps, rate 2", (numbers(8, 11), numbers(9, 4), 2, 8)),
            Case("one tap", (numbers(10, 6), numbers(11, 1), 2, 4)),
        ),
    ),
    Task(
        id="12.4",
        function="count_labels",
        points=2,
        reference=count,
        origin="a kernel",
        cases=(
            Case("every pixel has a class", (np.array([0, 2, 1, 2, 2, 0]), 3, 3), shown=True),
            Case("ignored pixels", (labels(12, 14, 4), 4, 4)),
            Case("a class that does not occur", (np.array([0, 0, 3]), 5, 2)),
            Case("labels below zero", (np.array([2, -1, 0, 1, -1, 2, 2]), 3, 4)),
            Case("labels that are no class, nor 255", (np.array([0, 3, 1, 9, 2, 1, 1]), 3, 4)),
        ),
    ),
    Task(
        id="12.5",
        function="block_sums",
        points=3,
        reference=piecewise,
        origin="a kernel",
        cases=(
            Case("one block of 4", (numbers(13, 4), 4), shown=True),
            Case("two blocks of 8", (numbers(14, 16), 8)),
            Case("a last block that is not full", (numbers(15, 11), 4)),
            Case("a block of one thread", (numbers(16, 3), 1)),
        ),
    ),
)
