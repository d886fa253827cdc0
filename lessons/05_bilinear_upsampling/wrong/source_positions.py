"""Wrong answers to task 5.1."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL

CORNERS = ("corners aligned, 3 to 9", "corners, 4 to 7", "corners, 9 to 4")
EDGES = ("edges aligned, 3 to 6", "edges, 4 to 7", "edges, 9 to 4", "edges, a single output")


def positions(size, out, align_corners):
    """Return the right answer."""
    p = np.arange(out)
    if align_corners:
        return p * (size - 1) / max(out - 1, 1)
    return np.clip((p + 0.5) * size / out - 0.5, 0, size - 1)


@wrong(
    "5.1",
    loses=CORNERS,
    hint="With aligned corners the last output must lie on the last input: count gaps, not values.",
)
def divides_by_the_sizes(size, out, align_corners):
    return np.arange(out) * size / out if align_corners else positions(size, out, False)


@wrong(
    "5.1",
    loses=("edges aligned, 3 to 6", "edges, 4 to 7"),
    hint="Positions outside the first and last value must be clipped.",
)
def does_not_clip(size, out, align_corners):
    if align_corners:
        return positions(size, out, True)
    return (np.arange(out) + 0.5) * size / out - 0.5


@wrong(
    "5.1",
    loses=EDGES,
    hint="Without aligned corners a pixel's centre is half a pixel from its edge.",
)
def forgets_the_half(size, out, align_corners):
    return positions(size, out, True) if align_corners else np.arange(out) * size / out


@wrong("5.1", loses=ALL, hint="The two conventions are swapped.")
def swaps_the_conventions(size, out, align_corners):
    return positions(size, out, not align_corners)


@wrong(
    "5.1",
    loses=("corners, a single output",),
    hint="A single output with aligned corners reads position 0; there is no gap to divide by.",
)
def a_single_output_in_the_middle(size, out, align_corners):
    found = positions(size, out, align_corners)
    return np.array([(size - 1) / 2]) if align_corners and out == 1 else found


@wrong(
    "5.1",
    loses=("corners, a single output",),
    hint="With a single output there is no gap between outputs, and dividing by it gives NaN.",
)
def divides_by_zero(size, out, align_corners):
    if align_corners:
        return np.arange(out) * ((size - 1) / np.float64(out - 1))
    return positions(size, out, False)


@wrong(
    "5.1",
    loses=EDGES,
    hint="Half a pixel must be taken off again: position 0 is the centre of the first pixel.",
)
def forgets_to_go_back(size, out, align_corners):
    if align_corners:
        return positions(size, out, True)
    return np.clip((np.arange(out) + 0.5) * size / out, 0, size - 1)


@wrong("5.1", loses=EDGES, hint="The corners are aligned in every case; see align_corners.")
def always_corners(size, out, align_corners):
    return positions(size, out, True)


@wrong(
    "5.1",
    loses=(*CORNERS, "corners, a single output"),
    hint="The edges are aligned in every case; see align_corners.",
)
def always_edges(size, out, align_corners):
    return positions(size, out, False)


@wrong(
    "5.1",
    loses=("corners aligned, 3 to 9", "edges aligned, 3 to 6", "corners, 4 to 7", "edges, 4 to 7",
           "corners, 9 to 4", "edges, 9 to 4"),
    hint="The positions are rounded to whole pixels; they may lie between two.",
)  # fmt: skip
def rounds(size, out, align_corners):
    return np.rint(positions(size, out, align_corners))
