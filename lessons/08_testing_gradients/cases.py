"""Lesson 8: its tasks, and the cases that judge them."""

from __future__ import annotations

import numpy as np

from minideeplab.grading import About, Case, Given, Task

ABOUT = About(
    title="Testing gradients: why a cotangent of ones lies",
    minutes=90,
    needs=("01",),
    paper="training by backpropagation, 4.1",
)


def numbers(seed: int, *shape: int) -> np.ndarray:
    """Random numbers of a shape."""
    return np.random.default_rng(seed).standard_normal(shape)


def column_by_column(f, x, step):
    """Take central differences along the rows of a unit matrix."""
    rows = step * np.eye(x.size).reshape(x.size, *x.shape)
    return np.array([f(x + row) - f(x - row) for row in rows]).reshape(x.shape) / (2 * step)


def search_step(size, bound, eps, central):
    """Find the smallest error by bisecting its derivative, in logarithms."""
    low, high = -60.0, 60.0
    for _ in range(200):
        middle = (low + high) / 2
        h = np.exp(middle)
        rising, falling = (h / 3, 1) if central else (0.5, 2)
        low, high = (
            (middle, high) if rising * bound < falling * eps * size / h**2 else (low, middle)
        )
    h = float(np.exp(low))
    truncation = h * h / 6 if central else h / 2
    return h, float(truncation * bound + (1 if central else 2) * eps * size / h)


def slopes(f, backward, x, cotangent, direction, step):
    """Compute both slopes in another order of operations."""
    ends = [np.vdot(cotangent, f(x + s * step * direction)) for s in (1, -1)]
    return np.vdot(direction, backward(cotangent, x)), (ends[0] - ends[1]) / (2 * step)


def whole_jacobian_is_right(f, backward, x, seed):
    """Compare all of the Jacobian, entry by entry."""
    outputs = np.eye(f(x).size).reshape(-1, *f(x).shape)
    given = np.array([backward(one, x).ravel() for one in outputs])
    inputs = 1e-5 * np.eye(x.size).reshape(-1, *x.shape)
    right = np.array([(f(x + h) - f(x - h)).ravel() / 2e-5 for h in inputs]).T
    return bool(np.abs(given - right).max() <= 1e-6 * np.abs(right).max())


def gap(f, transpose, x, dy):
    """Take the two inner products by vdot, and go through all entries one by one."""
    worst, place = 1e-9, None
    for m, n in np.ndindex(len(dy), len(x)):
        row, column = np.zeros(len(dy)), np.zeros(len(x))
        row[m] = column[n] = 1
        difference = abs(f(column)[m] - transpose(row)[n])
        if difference > worst:
            worst, place = difference, (m, n)
    return np.vdot(dy, f(x)) - np.vdot(transpose(dy), x), place


def judged(name, f, backward, shape: tuple[int, ...], seed: int, shown=False, scale=1.0):
    """Build a case of task 8.4."""
    x = scale * numbers(seed + 100, *shape)
    return Case(name, (Given(f), Given(backward), x, seed), shown=shown)


def slope_case(name: str, f: str, backward: str, shape, out, seed: int, shown=False):
    """Build a case of task 8.3."""
    arrays = numbers(seed, *shape), numbers(seed + 1, *out), numbers(seed + 2, *shape)
    return Case(name, (Given(f), Given(backward), *arrays, 1e-4), shown=shown)


TASKS = (
    Task(
        id="8.1",
        function="numerical_gradient",
        points=2,
        reference=column_by_column,
        rtol=1e-7,
        cases=(
            Case("squares, two entries", (Given("quadratic"), numbers(1, 2), 1e-4), shown=True),
            Case("sines", (Given("waves"), numbers(2, 5), 1e-4)),
            Case("a table of numbers", (Given("waves"), numbers(3, 2, 3), 1e-4)),
            Case("a long step", (Given("waves"), numbers(4, 4), 0.5)),
        ),
    ),
    Task(
        id="8.2",
        function="best_step",
        points=1,
        reference=search_step,
        rtol=1e-7,
        returns=("h", "E"),
        cases=(
            Case("all about 1, double precision", (1.0, 1.0, 2.0**-52, True), shown=True),
            Case("one-sided", (1.0, 1.0, 2.0**-52, False), shown=True),
            Case("large numbers", (500.0, 1.0, 2.0**-52, True)),
            Case("a wild function, single precision", (1.0, 1000.0, 2.0**-23, True)),
            Case("one-sided, large numbers, a wild function", (300.0, 40.0, 2.0**-23, False)),
        ),
    ),
    Task(
        id="8.3",
        function="two_slopes",
        points=2,
        reference=slopes,
        rtol=1e-7,
        returns=("analytical", "numerical"),
        cases=(
            slope_case("cube", "cube", "cube_backward", (4,), (4,), 10, shown=True),
            slope_case("softmax", "softmax", "softmax_backward", (2, 3), (2, 3), 20),
            slope_case("enlarge", "enlarge", "enlarge_backward", (2, 3), (4, 6), 30),
            slope_case("a wrong backward pass", "cube", "cube_halved", (2, 3), (2, 3), 40),
        ),
    ),
    Task(
        id="8.4",
        function="gradient_is_right",
        points=3,
        reference=whole_jacobian_is_right,
        cases=(
            judged("cube, right", "cube", "cube_backward", (2, 3), 1, shown=True),
            judged("cube, halved", "cube", "cube_halved", (2, 3), 2, shown=True),
            judged("cube, off by a thousandth", "cube", "cube_off_by_a_thousandth", (2, 3), 3),
            judged("cube, last entry lost", "cube", "cube_last_entry_lost", (2, 3), 4),
            judged("cube, dy upside down", "cube", "cube_of_dy_upside_down", (3, 2), 11),
            judged("softmax, right", "softmax", "softmax_backward", (2, 4), 5),
            judged("softmax, zero", "softmax", "softmax_zero", (2, 4), 6),
            judged("centre, zero", "centre", "centre_zero", (4, 3), 7),
            judged("enlarge, right", "enlarge", "enlarge_backward", (3, 2), 8),
            judged("enlarge, swapped", "enlarge", "enlarge_swapped", (3, 3), 9),
            judged("enlarge, upside down", "enlarge", "enlarge_upside_down", (4, 3), 10),
            judged("large numbers, right", "cube", "cube_backward", (3, 2), 12, scale=300.0),
            judged(
                "large numbers, off by 3 in a million",
                "cube",
                "cube_off_by_3e_6",
                (3, 2),
                13,
                scale=300.0,
            ),
            judged("small gradients, right", "faint", "faint_backward", (2, 3), 14),
            judged("small gradients, halved", "faint", "faint_halved", (2, 3), 15),
            judged("small gradients, doubled", "faint", "faint_doubled", (2, 3), 16),
        ),
    ),
    Task(
        id="8.5",
        function="adjoint_gap",
        points=2,
        reference=gap,
        returns=("gap", "place"),
        cases=(
            Case(
                "flipped sign",
                (Given("slope"), Given("slope_backward_flipped"), numbers(56, 6), numbers(57, 5)),
                shown=True,
            ),
            Case(
                "shifted",
                (Given("slope"), Given("slope_backward_shifted"), numbers(52, 7), numbers(53, 6)),
            ),
            Case(
                "right",
                (Given("blur"), Given("blur_backward"), numbers(54, 8), numbers(55, 6)),
            ),
            Case(
                "one entry, a gap above zero",
                (
                    Given("blur"),
                    Given("blur_backward_one_entry"),
                    abs(numbers(58, 7)),
                    -abs(numbers(59, 5)),
                ),
            ),
        ),
    ),
)
