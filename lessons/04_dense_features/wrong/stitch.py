"""Wrong answers to task 4.1."""

import numpy as np

from minideeplab.grading import wrong

ALL_BUT_STRIDE_1 = (
    "stride 2",
    "stride 3",
    "stride 2, a row and a column left over",
    "stride 4, parts of different sizes",
)


@wrong(
    "4.1",
    loses=ALL_BUT_STRIDE_1,
    hint="The parts are set side by side; neighbours come from different parts, so weave them.",
)
def sets_side_by_side(parts):
    return np.block(parts)


@wrong(
    "4.1",
    loses=ALL_BUT_STRIDE_1,
    hint="Rows and columns of parts are swapped: a says how many rows were cut off.",
)
def swaps_the_shifts(parts):
    stride = len(parts)
    height = sum(len(row[0]) for row in parts)
    width = sum(part.shape[1] for part in parts[0])
    dense = np.zeros((height, width))
    for a, b in np.ndindex(stride, stride):
        place = dense[b::stride, a::stride]
        rows, columns = np.minimum(place.shape, parts[a][b].shape)
        place[:rows, :columns] = parts[a][b][:rows, :columns]
    return dense


@wrong(
    "4.1",
    loses=("stride 2, a row and a column left over", "stride 4, parts of different sizes"),
    hint="All parts are taken to be as large as the last; what the larger ones have more is lost.",
)
def crops_to_the_smallest(parts):
    stride = len(parts)
    height, width = parts[-1][-1].shape
    dense = np.zeros((stride * height, stride * width))
    for a, b in np.ndindex(stride, stride):
        dense[a::stride, b::stride] = parts[a][b][:height, :width]
    return dense


@wrong(
    "4.1",
    loses=("stride 2, a row and a column left over", "stride 4, parts of different sizes"),
    hint="All parts are taken to be as large as the first; some are smaller, so the map is, too.",
)
def pads_to_the_largest(parts):
    stride = len(parts)
    height, width = parts[0][0].shape
    dense = np.zeros((stride * height, stride * width))
    for a, b in np.ndindex(stride, stride):
        rows, columns = parts[a][b].shape
        dense[a::stride, b::stride][:rows, :columns] = parts[a][b]
    return dense


@wrong(
    "4.1",
    loses=("stride 1", *ALL_BUT_STRIDE_1),
    hint="The part without a shift has to fill positions 0, S, 2S, ...; here it comes last.",
)
def shifts_by_one_more(parts):
    stride = len(parts)
    height = sum(len(row[0]) for row in parts)
    width = sum(part.shape[1] for part in parts[0])
    dense = np.zeros((height, width))
    for a, b in np.ndindex(stride, stride):
        place = dense[a + 1 :: stride, b + 1 :: stride]
        rows, columns = np.minimum(place.shape, parts[a][b].shape)
        place[:rows, :columns] = parts[a][b][:rows, :columns]
    return dense
