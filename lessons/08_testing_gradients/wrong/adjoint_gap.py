"""Wrong answers to task 8.5."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def the_gap(f, transpose, x, dy):
    """Return the right gap."""
    return float(np.sum(dy * f(x)) - np.sum(transpose(dy) * x))


def differences(f, transpose, x, dy):
    """Return the matrix less the claimed one, (M, N)."""
    matrix = np.stack([f(unit) for unit in np.eye(len(x))], axis=1)
    return matrix - np.stack([transpose(unit) for unit in np.eye(len(dy))])


def place(wrong):
    """Return where the largest entry is, None if there is none."""
    if wrong.max() <= 1e-9:
        return None
    return tuple(int(i) for i in np.unravel_index(wrong.argmax(), wrong.shape))


def answer(f, transpose, x, dy, gap=None, change=abs):
    """Return another gap, or the place after another change of the differences."""
    gap = the_gap(f, transpose, x, dy) if gap is None else gap
    return gap, place(change(differences(f, transpose, x, dy)))


@wrong(
    "8.5",
    loses=("flipped sign", "shifted"),
    hint="The magnitude is returned; the gap has a sign.",
)
def magnitude(f, transpose, x, dy):
    return answer(f, transpose, x, dy, abs(the_gap(f, transpose, x, dy)))


@wrong(
    "8.5",
    loses=("flipped sign", "shifted", "one entry, a gap above zero"),
    hint="The gap has the other sign: it is <dy, f(x)> less <transpose(dy), x>.",
)
def other_sign(f, transpose, x, dy):
    return answer(f, transpose, x, dy, -the_gap(f, transpose, x, dy))


@wrong(
    "8.5",
    loses=ALL,
    hint="Sums are compared instead of inner products: dy and x are not used as weights.",
)
def sums(f, transpose, x, dy):
    return answer(f, transpose, x, dy, float(np.sum(f(x)) - np.sum(transpose(dy))))


@wrong(
    "8.5",
    loses=("flipped sign", "shifted", "one entry, a gap above zero"),
    hint="The gap is divided by the size of its terms; only their difference is asked for.",
)
def relative(f, transpose, x, dy):
    one, other = np.sum(dy * f(x)), np.sum(transpose(dy) * x)
    return answer(f, transpose, x, dy, float((one - other) / max(abs(one), abs(other))))


@wrong(
    "8.5",
    loses=("shifted", "one entry, a gap above zero"),
    hint="The place is (n, m): rows of A belong to outputs, columns to inputs.",
)
def place_the_other_way(f, transpose, x, dy):
    gap, found = answer(f, transpose, x, dy)
    return gap, found if found is None else found[::-1]


@wrong(
    "8.5",
    loses=("flipped sign", "one entry, a gap above zero"),
    hint="The entries are compared with their signs; a wrong entry may be too small as well.",
)
def differences_with_sign(f, transpose, x, dy):
    return answer(f, transpose, x, dy, change=lambda wrong: wrong)


@wrong(
    "8.5",
    loses=("right",),
    hint="Where nothing is wrong the place is None; rounding errors do not count.",
)
def always_a_place(f, transpose, x, dy):
    wrong = abs(differences(f, transpose, x, dy))
    found = np.unravel_index(wrong.argmax(), wrong.shape)
    return the_gap(f, transpose, x, dy), tuple(int(i) for i in found)


@wrong(
    "8.5",
    loses=("flipped sign", "shifted", "one entry, a gap above zero"),
    hint="The place is counted in the flat matrix; row and column are asked for.",
)
def flat_place(f, transpose, x, dy):
    wrong = abs(differences(f, transpose, x, dy))
    return the_gap(f, transpose, x, dy), int(wrong.argmax()) if wrong.max() > 1e-9 else None
