"""Wrong answers to task 1.4."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL
from minideeplab.ops import conv


def right(dy, w, size, stride, padding):
    """Return the right answer."""
    x, margins = np.zeros((len(dy), w.shape[1], *size)), ((padding, padding),) * 2
    return conv.conv2d_backward(dy, x, w, (stride, stride), margins, (1, 1), 1)[0]


@wrong(
    "1.4",
    loses=ALL,
    hint="The kernel is flipped: running the forward pass backwards needs no flip.",
)
def flips(dy, w, size, stride, padding):
    return right(dy, w[:, :, ::-1, ::-1], size, stride, padding)


@wrong(
    "1.4",
    loses=(
        "one channel",
        "padding",
        "batch, channels, filters",
        "stride 2, pixels left over",
        "stride 2 and padding 1",
    ),
    hint="A later tap overwrites what an earlier one sent; the shares add up.",
)
def overwrites(dy, w, size, stride, padding):
    dx = np.zeros((len(dy), w.shape[1], *(n + 2 * padding for n in size)))
    for i, j in np.ndindex(w.shape[2:]):
        down = slice(i, i + stride * dy.shape[2], stride)
        across = slice(j, j + stride * dy.shape[3], stride)
        dx[:, :, down, across] = np.einsum("fc,nfpq->ncpq", w[:, :, i, j], dy)
    return dx[:, :, padding : padding + size[0], padding : padding + size[1]]


@wrong(
    "1.4",
    loses=("padding", "stride 2 and padding 1"),
    hint="The padding is cut off at the wrong side: it is before the image as well as behind.",
)
def crops_one_side(dy, w, size, stride, padding):
    return right(dy, w, [n + 2 * padding for n in size], stride, 0)[:, :, : size[0], : size[1]]


@wrong(
    "1.4",
    loses=("padding", "stride 2 and padding 1"),
    hint="The padding's share is still there; the gradient has the size of x.",
)
def keeps_the_padding(dy, w, size, stride, padding):
    return right(dy, w, [n + 2 * padding for n in size], stride, 0)


@wrong(
    "1.4",
    loses=("stride 2, pixels left over", "stride 3 beyond a 2 × 2 kernel"),
    hint="Pixels at the end that no tap read are missing; their gradient is zero.",
)
def forgets_pixels_left_over(dy, w, size, stride, padding):
    pairs = zip(dy.shape[2:], w.shape[2:], strict=True)
    return right(dy, w, [(p - 1) * stride + k - 2 * padding for p, k in pairs], stride, padding)


@wrong(
    "1.4",
    loses=(
        "stride 2, pixels left over",
        "stride 3 beyond a 2 × 2 kernel",
        "stride 2 and padding 1",
    ),
    hint="The stride is not used: the places lie s pixels apart.",
)
def ignores_stride(dy, w, size, stride, padding):
    dx = np.zeros((len(dy), w.shape[1], *(n + 2 * padding for n in size)))
    for i, j in np.ndindex(w.shape[2:]):
        piece = np.einsum("fc,nfpq->ncpq", w[:, :, i, j], dy)
        dx[:, :, i : i + dy.shape[2], j : j + dy.shape[3]] += piece
    return dx[:, :, padding : padding + size[0], padding : padding + size[1]]


@wrong(
    "1.4",
    loses=("stride 2 and padding 1",),
    hint="Too much is cut off: the padding is counted in pixels of x, whatever the stride is.",
)
def cuts_padding_times_stride(dy, w, size, stride, padding):
    high, wide = (n + padding for n in size)
    whole = right(dy, w, (high + padding, wide + padding), stride, 0)
    cut = stride * padding
    return np.pad(whole[:, :, cut:, cut:], ((0, 0), (0, 0), (0, cut), (0, cut)))[
        :, :, : size[0], : size[1]
    ]
