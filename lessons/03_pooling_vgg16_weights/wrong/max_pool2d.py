"""Wrong answers to task 3.2."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def windows(x, k, stride, padding, fill=-np.inf):
    """Return every window of the padded image (C, P, Q, k k), and the places (P, Q, k k)."""
    channels, height, width = x.shape
    padded = np.pad(x, ((0, 0), (padding,) * 2, (padding,) * 2), constant_values=fill)
    places = np.arange(height * width).reshape(height, width)
    places = np.pad(places, padding, constant_values=-1)
    rows, columns = ((n + 2 * padding - k) // stride + 1 for n in (height, width))
    parts = []
    for p, q in np.ndindex(rows, columns):
        place = slice(p * stride, p * stride + k), slice(q * stride, q * stride + k)
        parts.append((padded[:, *place].reshape(channels, -1), places[place].ravel()))
    values = np.stack([part[0] for part in parts], axis=1)
    numbers = np.stack([part[1] for part in parts])
    return values.reshape(channels, rows, columns, -1), numbers.reshape(rows, columns, -1)


def choose(values, numbers):
    """Return the maxima and their numbers."""
    best = values.argmax(axis=-1)
    numbers = np.broadcast_to(numbers, values.shape)
    return values.max(axis=-1), np.take_along_axis(numbers, best[..., None], -1)[..., 0]


@wrong(
    "3.2",
    loses=("all pixels negative", "pixels far below zero"),
    hint="The padding wins where all pixels are negative; zero is not small enough.",
)
def pads_with_zeros(x, k, stride, padding):
    return choose(*windows(x, k, stride, padding, fill=0.0))


@wrong(
    "3.2",
    loses=("ties",),
    hint="At a tie the last pixel wins; the first in reading order should.",
)
def last_of_a_tie(x, k, stride, padding):
    values, numbers = windows(x, k, stride, padding)
    return choose(values[..., ::-1], numbers[..., ::-1])


@wrong("3.2", loses=ALL, hint="The index counts within the window, not within the image.")
def counts_in_the_window(x, k, stride, padding):
    values, _ = windows(x, k, stride, padding)
    return values.max(axis=-1), values.argmax(axis=-1)


@wrong(
    "3.2",
    loses=("3 × 3, stride 2, padding 1, positive", "all pixels negative", "pixels far below zero"),
    hint="The index counts in the padded image; take the padding off both coordinates.",
)
def counts_in_the_padded_image(x, k, stride, padding):
    y, index = choose(*windows(x, k, stride, padding))
    i, j = np.divmod(index, x.shape[2])
    return y, (i + padding) * (x.shape[2] + 2 * padding) + j + padding


@wrong(
    "3.2",
    loses=ALL,
    hint="Pixel (i, j) is number i W + j: a row has W pixels, not H.",
)
def counts_by_the_height(x, k, stride, padding):
    y, index = choose(*windows(x, k, stride, padding))
    i, j = np.divmod(index, x.shape[2])
    return y, i * x.shape[1] + j


@wrong(
    "3.2",
    loses=("3 × 3, stride 2, padding 1, positive", "all pixels negative", "pixels far below zero",
           "ties", "stride 3, window 2"),
    hint="The window steps by its own size; it should step by the stride.",
)  # fmt: skip
def steps_by_k(x, k, stride, padding):
    return choose(*windows(x, k, k, padding))


@wrong("3.2", loses=ALL, hint="This is the smallest value of each window; keep the largest.")
def takes_the_minimum(x, k, stride, padding):
    values, numbers = windows(x, k, stride, padding, fill=np.inf)
    y, index = choose(-values, numbers)
    return -y, index


@wrong(
    "3.2",
    loses=("a row and a column left over",),
    hint="One more window is taken where pixels are left over; here sizes are rounded down.",
)
def rounds_up(x, k, stride, padding):
    missing = [-(n + 2 * padding - k) % stride for n in x.shape[1:]]
    if stride != k:
        return choose(*windows(x, k, stride, padding))
    wide = np.pad(x, ((0, 0), (0, missing[0]), (0, missing[1])), constant_values=-np.inf)
    y, index = choose(*windows(wide, k, stride, padding))
    i, j = np.divmod(index, wide.shape[2])
    return y, i * x.shape[2] + j


@wrong(
    "3.2",
    loses=("pixels far below zero",),
    hint="The padding is a number that some pixels lie below; only minus infinity never wins.",
)
def pads_with_a_small_number(x, k, stride, padding):
    return choose(*windows(x, k, stride, padding, fill=-1000.0))


@wrong(
    "3.2",
    loses=("all pixels negative", "pixels far below zero"),
    hint="Where the padding wins, the index points outside of the image; zero is not small enough.",
)
def pads_with_zeros_and_counts(x, k, stride, padding):
    y, _ = pads_with_zeros(x, k, stride, padding)
    values, _ = windows(x, k, stride, padding, fill=0.0)
    rows, columns = np.indices([n + 2 * padding for n in x.shape[1:]]) - padding
    places = (rows * x.shape[2] + columns)[None].astype(float)
    return y, choose(values, windows(places, k, stride, 0)[0][0].astype(np.int64))[1]
