"""Wrong answers to task 1.3."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL
from minideeplab.ops import conv


def right(dy, x, kernel, stride, padding):
    """Return the right answer."""
    w, margins = np.zeros((dy.shape[1], x.shape[1], *kernel)), ((padding, padding),) * 2
    return conv.conv2d_backward(dy, x, w, (stride, stride), margins, (1, 1), 1)[1:]


@wrong(
    "1.3",
    loses=("batch, channels, filters", "stride 2, pixels left over", "stride 2 and padding 1"),
    hint="The gradients are averaged over the batch; the images' shares add up.",
)
def averages_the_batch(dy, x, kernel, stride, padding):
    dw, db = right(dy, x, kernel, stride, padding)
    return dw / len(x), db / len(x)


@wrong("1.3", loses=ALL, hint="db is averaged over the places; it is the sum of dy over them.")
def averages_db(dy, x, kernel, stride, padding):
    return right(dy, x, kernel, stride, padding)[0], dy.mean(axis=(0, 2, 3))


@wrong(
    "1.3",
    loses=("batch, channels, filters", "stride 2, pixels left over", "stride 2 and padding 1"),
    hint="Only the last image counts: add up over the batch instead of overwriting.",
)
def last_image_only(dy, x, kernel, stride, padding):
    return right(dy[-1:], x[-1:], kernel, stride, padding)


@wrong(
    "1.3",
    loses=("padding", "stride 2 and padding 1"),
    hint="The images are not padded, so the taps read other pixels than in the forward pass.",
)
def forgets_padding(dy, x, kernel, stride, padding):
    missing = ((0, 0), (0, 0), (0, 2 * padding), (0, 2 * padding))
    return right(dy, np.pad(x, missing), kernel, stride, 0)


@wrong(
    "1.3",
    loses=ALL,
    hint="dw runs backwards: tap (i, j) belongs to the pixels from row i, column j onwards.",
)
def flips(dy, x, kernel, stride, padding):
    dw, db = right(dy, x, kernel, stride, padding)
    return dw[:, :, ::-1, ::-1], db


@wrong(
    "1.3",
    loses=("stride 2, pixels left over", "stride 2 and padding 1"),
    hint="The stride is not used: a tap read every s-th pixel.",
)
def ignores_stride(dy, x, kernel, stride, padding):
    piece = x[:, :, : dy.shape[2] + kernel[0] - 1, : dy.shape[3] + kernel[1] - 1]
    return right(dy, piece if stride > 1 else x, kernel, 1, padding)


@wrong(
    "1.3",
    loses=("stride 2 and padding 1",),
    hint="With a stride the padding is forgotten; it is that of the forward pass, as without one.",
)
def no_padding_with_a_stride(dy, x, kernel, stride, padding):
    return right(dy, x, kernel, stride, padding if stride == 1 else 0)
