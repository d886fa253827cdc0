"""Wrong answers to task 8.4."""

import numpy as np

from minideeplab.grading import wrong


def agree(f, backward, x, c, v, rtol):
    """Compare the two slopes."""
    numerical = np.sum(c * (f(x + 1e-5 * v) - f(x - 1e-5 * v))) / 2e-5
    analytical = np.sum(backward(c, x) * v)
    return bool(abs(analytical - numerical) <= rtol * max(abs(analytical), abs(numerical)))


def draw(f, x, seed):
    """Draw a cotangent and a direction."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal(f(x).shape), rng.standard_normal(x.shape)


@wrong(
    "8.4",
    loses=(
        "cube, dy upside down",
        "softmax, zero",
        "centre, zero",
        "enlarge, swapped",
        "enlarge, upside down",
    ),
    hint="The cotangent is one everywhere: gradients of zero and swapped axes go unnoticed.",
)
def cotangent_of_ones(f, backward, x, seed):
    v, outputs = draw(f, x, seed)[1], f(x)
    numerical = np.sum(f(x + 1e-5 * v) - f(x - 1e-5 * v)) / 2e-5
    analytical = np.sum(backward(np.ones_like(outputs), x) * v)
    return bool(abs(analytical - numerical) <= 1e-6 * max(1.0, abs(analytical)))


@wrong(
    "8.4",
    loses=("softmax, zero", "centre, zero", "enlarge, swapped", "enlarge, upside down"),
    hint="The direction is one everywhere: shares that go to the wrong entry go unnoticed.",
)
def direction_of_ones(f, backward, x, seed):
    c = draw(f, x, seed)[0]
    numerical = np.sum(c * (f(x + 1e-5) - f(x - 1e-5))) / 2e-5
    return bool(abs(np.sum(backward(c, x)) - numerical) <= 1e-6 * max(1.0, abs(numerical)))


@wrong(
    "8.4",
    loses=("cube, off by a thousandth", "cube, last entry lost"),
    hint="The tolerance is so wide that a gradient off by a thousandth passes.",
)
def too_tolerant(f, backward, x, seed):
    return agree(f, backward, x, *draw(f, x, seed), 0.05)


@wrong(
    "8.4",
    loses=("cube, right", "softmax, right", "enlarge, right"),
    hint="Right gradients are refused: differences are right to about ten digits, never exactly.",
)
def exact(f, backward, x, seed):
    return agree(f, backward, x, *draw(f, x, seed), 0.0)


@wrong(
    "8.4",
    loses=("cube, last entry lost", "enlarge, swapped"),
    hint="Only the first entry is moved; a direction moves all of them.",
)
def first_entry_only(f, backward, x, seed):
    c, v = draw(f, x, seed)[0], np.zeros(x.shape)
    v.flat[0] = 1.0
    return agree(f, backward, x, c, v, 1e-6)


@wrong(
    "8.4",
    loses=(
        "cube, halved",
        "cube, off by a thousandth",
        "cube, last entry lost",
        "cube, dy upside down",
        "softmax, zero",
        "centre, zero",
        "enlarge, swapped",
        "enlarge, upside down",
    ),
    hint="Everything passes: is the backward pass compared with itself?",
)
def always_true(f, backward, x, seed):
    return True
