"""Lesson 7: its tasks, and the cases that judge them."""

from __future__ import annotations

import numpy as np

from minideeplab.grading import About, Case, Task
from minideeplab.ops import loss
from minideeplab.training.schedule import poly

ABOUT = About(
    title="Loss with ignored labels, SGD, training a small DeepLab",
    minutes=120,
    needs=("02",),
    paper="4.1, table 2",
)


def random(seed: int, *shape: int) -> np.ndarray:
    """Random numbers of a shape."""
    return np.random.default_rng(seed).standard_normal(shape)


def marked(seed: int, classes: int, shape: tuple[int, ...], unknown: float) -> np.ndarray:
    """Random labels, a share of them 255."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, shape)
    return np.where(rng.random(shape) < unknown, 255, labels)


def flat(scores: np.ndarray, labels: np.ndarray) -> tuple:
    """Arguments of the library's loss: the sum over counted pixels."""
    n, c = scores.shape[:2]
    return scores.reshape(n, c, -1), labels.reshape(n, -1), None, 255, "sum", 0.0


def loss_by_library(scores: np.ndarray, labels: np.ndarray) -> float:
    """The library's sum, over the count."""
    return float(loss.cross_entropy(*flat(scores, labels)) / max(1, (labels != 255).sum()))


def gradient_by_library(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The library's gradient, over the count."""
    share = np.array(1 / max(1, (labels != 255).sum()))
    return loss.cross_entropy_backward(share, *flat(scores, labels)).reshape(scores.shape)


def step_by_numbers(
    w: np.ndarray, v: np.ndarray, g: np.ndarray, rate: float, momentum: float, decay: float,
    multipliers: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Go through all numbers one by one."""
    new_w, new_v = np.empty(w.shape), np.empty(w.shape)
    for i in np.ndindex(*w.shape):
        pull = float(g[i]) + multipliers[1] * decay * float(w[i])
        new_v[i] = momentum * float(v[i]) + multipliers[0] * rate * pull
        new_w[i] = w[i] - new_v[i]
    return new_w, new_v


def rate_by_library(base: float, iteration: int, iterations: int, power: float) -> float:
    """The library's schedule."""
    return base * poly(iterations, power)(iteration)


def iou_by_sets(predicted: np.ndarray, truth: np.ndarray, classes: int) -> float:
    """Intersect and unite sets of pixels."""
    counted = [i for i in np.ndindex(*truth.shape) if truth[i] != 255]
    ratios = []
    for c in range(classes):
        first = {i for i in counted if predicted[i] == c}
        second = {i for i in counted if truth[i] == c}
        if first | second:
            ratios.append(len(first & second) / len(first | second))
    return sum(ratios) / len(ratios)


def parameters(seed: int, *shape: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, velocities, gradients."""
    return random(seed, *shape), random(seed + 1, *shape), random(seed + 2, *shape)


NONE = np.full((2, 2, 3), 255)
UNEVEN = np.stack([marked(9, 3, (3, 4), 0.8), marked(10, 3, (3, 4), 0.0)])
SCORED = (
    Case("every pixel has a label",
         (random(1, 2, 3, 3, 4), marked(2, 3, (2, 3, 4), 0.0)), shown=True),
    Case("some are ignored", (random(3, 2, 4, 4, 3), marked(4, 4, (2, 4, 3), 0.4)), shown=True),
    Case("unevenly ignored", (random(5, 2, 3, 3, 4), UNEVEN)),
    Case("large scores", (800 * random(6, 2, 3, 2, 4), marked(7, 3, (2, 2, 4), 0.2))),
    Case("no label at all", (random(8, 2, 4, 2, 3), NONE)),
)  # fmt: skip

TASKS = (
    Task(id="7.1", function="cross_entropy", points=2, reference=loss_by_library, cases=SCORED),
    Task(
        id="7.2",
        function="cross_entropy_backward",
        points=3,
        reference=gradient_by_library,
        cases=SCORED,
    ),
    Task(
        id="7.3",
        function="sgd_step",
        points=2,
        reference=step_by_numbers,
        returns=("w", "v"),
        cases=(
            Case("no decay", (*parameters(21, 2, 3), 0.1, 0.9, 0.0, (1.0, 1.0)), shown=True),
            Case("decay", (*parameters(24, 4), 0.2, 0.9, 0.05, (1.0, 1.0)), shown=True),
            Case("a bias", (*parameters(27, 5), 0.1, 0.8, 0.3, (2.0, 0.0))),
            Case("the classifier", (*parameters(30, 2, 3, 1, 2), 0.01, 0.9, 0.1, (10.0, 1.0))),
            Case("no momentum", (*parameters(33, 3, 2), 0.5, 0.0, 0.2, (1.0, 2.0))),
        ),
    ),
    Task(
        id="7.4",
        function="poly_rate",
        points=1,
        reference=rate_by_library,
        cases=(
            Case("the first", (1e-3, 0, 20000, 0.9), shown=True),
            Case("halfway", (1e-3, 10000, 20000, 0.9), shown=True),
            Case("another power", (0.05, 30, 120, 2.0)),
            Case("past the end", (0.01, 130, 120, 0.9)),
        ),
    ),
    Task(
        id="7.5",
        function="mean_iou",
        points=2,
        reference=iou_by_sets,
        cases=(
            Case("all counted",
                 (marked(41, 3, (2, 4, 5), 0.0), marked(42, 3, (2, 4, 5), 0.0), 3), shown=True),
            Case("some are ignored",
                 (marked(43, 3, (3, 7), 0.0), marked(44, 3, (3, 7), 0.3), 3), shown=True),
            Case("a class that does not occur",
                 (marked(45, 3, (4, 6), 0.0), marked(46, 3, (4, 6), 0.2), 5)),
            Case("a class that is only predicted",
                 (marked(47, 4, (5, 6), 0.0), marked(48, 2, (5, 6), 0.1), 4)),
            Case("a class that is only true",
                 (np.zeros((3, 5), np.int64), marked(50, 2, (3, 5), 0.2), 2)),
        ),
    ),
)  # fmt: skip
