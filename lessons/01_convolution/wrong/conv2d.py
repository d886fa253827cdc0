"""Wrong answers to task 1.2."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL
from minideeplab.ops import conv


def right(x, w, b, stride, padding):
    """Return the right answer."""
    margins = ((padding, padding), (padding, padding))
    return conv.conv2d(x, w, b, (stride, stride), margins, (1, 1), 1)


@wrong("1.2", loses=ALL, hint="The bias is missing: b[f] is added to every pixel of plane f.")
def forgets_bias(x, w, b, stride, padding):
    return right(x, w, None, stride, padding)


@wrong(
    "1.2",
    loses=(
        "one channel",
        "padding",
        "batch, channels, filters",
        "stride 2",
        "stride 3, pixels left over",
    ),
    hint="The bias is added once for each tap; it belongs to the sum once.",
)
def bias_at_every_tap(x, w, b, stride, padding):
    return right(x, w, b * w.shape[2] * w.shape[3], stride, padding)


@wrong(
    "1.2",
    loses=("stride 2", "stride 3, pixels left over"),
    hint="The stride is not used: it sets how far apart the places are, and how many there are.",
)
def ignores_stride(x, w, b, stride, padding):
    return right(x, w, b, 1, padding)


@wrong(
    "1.2",
    loses=("padding", "stride 3, pixels left over"),
    hint="The padding is not used.",
)
def ignores_padding(x, w, b, stride, padding):
    return right(x, w, b, stride, 0)


@wrong(
    "1.2",
    loses=("batch, channels, filters", "stride 2", "1 × 1 kernel"),
    hint="Only the first channel counts: sum over all channels.",
)
def first_channel_only(x, w, b, stride, padding):
    return right(x[:, :1], w[:, :1], b, stride, padding)


@wrong(
    "1.2",
    loses=(
        "one channel",
        "padding",
        "batch, channels, filters",
        "stride 2",
        "stride 3, pixels left over",
    ),
    hint="The kernel is flipped: equation (2) reads forwards.",
)
def flips(x, w, b, stride, padding):
    return right(x, w[:, :, ::-1, ::-1], b, stride, padding)


@wrong(
    "1.2",
    loses=("stride 2", "stride 3, pixels left over"),
    hint="The taps are a stride apart; it is the places that are. Tap i reads row s p + i.",
)
def stride_between_taps(x, w, b, stride, padding):
    margins = ((padding, padding), (padding, padding))
    return conv.conv2d(x, w, b, (1, 1), margins, (stride, stride), 1)


@wrong(
    "1.2",
    loses=("padding", "stride 3, pixels left over"),
    hint="The border is repeated outwards; the padding is zeros.",
)
def repeats_the_border(x, w, b, stride, padding):
    margins = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    return right(np.pad(x, margins, mode="edge"), w, b, stride, 0)


@wrong(
    "1.2",
    loses=("stride 2", "stride 3, pixels left over"),
    hint="With a stride an index leaves the image. The stride multiplies the place p only, not the "
    "tap i, and the last place still has the whole kernel inside.",
)
def stride_at_the_taps_too(x, w, b, stride, padding):
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    rows, columns = ((n - k) // stride + 1 for n, k in zip(x.shape[2:], w.shape[2:], strict=True))
    y = np.zeros((len(x), len(w), rows, columns)) + b[:, None, None]
    for n, f, p, q in np.ndindex(y.shape):
        for i, j in np.ndindex(w.shape[2:]):
            y[n, f, p, q] += w[f, :, i, j] @ x[n, :, stride * (p + i), stride * (q + j)]
    return y
