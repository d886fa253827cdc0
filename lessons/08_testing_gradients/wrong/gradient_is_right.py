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
    return bool(abs(analytical - numerical) <= 1e-6 * max(1e-4, abs(analytical)))


@wrong(
    "8.4",
    loses=("softmax, zero", "centre, zero", "enlarge, swapped", "enlarge, upside down"),
    hint="The direction is one everywhere: shares that go to the wrong entry go unnoticed.",
)
def direction_of_ones(f, backward, x, seed):
    c = draw(f, x, seed)[0]
    numerical = np.sum(c * (f(x + 1e-5) - f(x - 1e-5))) / 2e-5
    return bool(abs(np.sum(backward(c, x)) - numerical) <= 1e-6 * max(1e-4, abs(numerical)))


@wrong(
    "8.4",
    loses=(
        "cube, off by a thousandth",
        "cube, last entry lost",
        "large numbers, off by 3 in a million",
    ),
    hint="The tolerance is so wide that a gradient off by a thousandth passes.",
)
def too_tolerant(f, backward, x, seed):
    return agree(f, backward, x, *draw(f, x, seed), 0.05)


@wrong(
    "8.4",
    loses=(
        "cube, right",
        "softmax, right",
        "enlarge, right",
        "large numbers, right",
        "small gradients, right",
    ),
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
        "large numbers, off by 3 in a million",
        "small gradients, halved",
        "small gradients, doubled",
    ),
    hint="Everything passes: is the backward pass compared with itself?",
)
def always_true(f, backward, x, seed):
    return True


def decide(f, backward, x, c, v, decision):
    """Decide by another rule: decision(slope by backward, slope by difference)."""
    numerical = np.sum(c * (f(x + 1e-5 * v) - f(x - 1e-5 * v))) / 2e-5
    return bool(decision(np.sum(backward(c, x) * v), numerical))


@wrong(
    "8.4",
    loses=("large numbers, right", "small gradients, halved", "small gradients, doubled"),
    hint="The difference is compared with a fixed number; the tolerance is relative, 1e-6 of the "
    "larger slope's magnitude.",
)
def absolute_tolerance(f, backward, x, seed):
    return decide(f, backward, x, *draw(f, x, seed), lambda a, n: abs(a - n) <= 1e-6)


@wrong(
    "8.4",
    loses=("small gradients, halved", "small gradients, doubled"),
    hint="Small slopes are compared with an absolute tolerance (np.isclose has atol=1e-8, max(1, "
    "...) has 1); it is relative to the slopes, however small they are.",
)
def absolute_for_small_slopes(f, backward, x, seed):
    return decide(
        f, backward, x, *draw(f, x, seed), lambda a, n: abs(a - n) <= 1e-6 * max(1, abs(a), abs(n))
    )


@wrong(
    "8.4",
    loses=(
        "large numbers, off by 3 in a million",
        "small gradients, halved",
        "small gradients, doubled",
    ),
    hint="np.isclose has tolerances of its own, rtol=1e-5 and atol=1e-8; 1e-6 of the larger slope "
    "is asked for.",
)
def isclose(f, backward, x, seed):
    return decide(f, backward, x, *draw(f, x, seed), np.isclose)


@wrong(
    "8.4",
    loses=(
        "cube, off by a thousandth",
        "cube, dy upside down",
        "softmax, zero",
        "enlarge, swapped",
        "small gradients, halved",
        "small gradients, doubled",
    ),
    hint="The difference has a sign, and a negative one is always below the tolerance: its "
    "magnitude counts.",
)
def no_magnitude(f, backward, x, seed):
    return decide(
        f, backward, x, *draw(f, x, seed), lambda a, n: a - n <= 1e-6 * max(abs(a), abs(n))
    )


@wrong(
    "8.4",
    loses=("softmax, right", "enlarge, right", "large numbers, right", "small gradients, right"),
    hint="The tolerance is negative where both slopes are: it is a share of their magnitude.",
)
def tolerance_with_a_sign(f, backward, x, seed):
    return decide(f, backward, x, *draw(f, x, seed), lambda a, n: abs(a - n) <= 1e-6 * max(a, n))


@wrong(
    "8.4",
    loses=("cube, last entry lost",),
    hint="A mistake in one entry goes unnoticed: are cotangent and direction the same numbers, "
    "from the same seed used twice? Draw both from one generator.",
)
def one_generator_each(f, backward, x, seed):
    c, v = (np.random.default_rng(seed).standard_normal(a.shape) for a in (f(x), x))
    return agree(f, backward, x, c, v, 1e-6)


@wrong(
    "8.4",
    loses=("cube, right", "softmax, right", "small gradients, right"),
    hint="Right gradients are refused: is the difference one-sided, or its step another than 1e-5?",
)
def one_sided(f, backward, x, seed):
    c, v = draw(f, x, seed)
    numerical = np.sum(c * (f(x + 1e-5 * v) - f(x))) / 1e-5
    analytical = np.sum(backward(c, x) * v)
    return bool(abs(analytical - numerical) <= 1e-6 * max(abs(analytical), abs(numerical)))
