"""The properties of single operations; see `properties` for what an equation returns."""

from __future__ import annotations

from typing import Any

import numpy as np

from minideeplab.testing.function_under_test import Subject
from minideeplab.testing.identities_crf import (
    crf_energy_offset,
    crf_labels,
    crf_mirror,
    crf_sums_to_one,
    filter_constant,
    filter_permutation,
    filter_symmetric,
)
from minideeplab.testing.properties import Property, Sides, normals, sample

Rng = np.random.Generator


def spread_apart(array: np.ndarray, steps: tuple[int, int]) -> np.ndarray:
    """Return ``array`` with zeros inserted between its last two axes' entries."""
    h, w = array.shape[-2:]
    shape = array.shape[:-2] + ((h - 1) * steps[0] + 1, (w - 1) * steps[1] + 1)
    wide = np.zeros(shape, array.dtype)
    wide[..., :: steps[0], :: steps[1]] = array
    return wide


def conv_rate_is_zero_insertion(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """Atrous convolution is convolution with holes in the kernel (DeepLab, section 3.1)."""
    x, w = normals(rng, dtype, (2, 3, 11, 12), (4, 3, 3, 2))
    return f(x, w, dilation=(2, 3)), f(x, spread_apart(w, (2, 3))), 18.0


def conv_rate_is_polyphase(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """Rate 2 is ordinary convolution on each of the 2 x 2 subsampled pictures."""
    x, w = normals(rng, dtype, (2, 3, 10, 12), (4, 3, 3, 3))
    whole = f(x, w, dilation=2)
    parts = np.empty_like(whole)
    for i in range(2):
        for j in range(2):
            parts[..., i::2, j::2] = f(x[..., i::2, j::2], w)
    return whole, parts, 27.0


def conv_shift(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """A shifted input gives a shifted output."""
    x, w = normals(rng, dtype, (2, 3, 9, 10), (4, 3, 3, 2))
    return f(x[..., 1:, 2:], w), f(x, w)[..., 1:, 2:], 18.0


def conv_padding_is_zeros(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """Padding is convolution of the picture in a frame of zeros."""
    x, w = normals(rng, dtype, (2, 3, 5, 6), (4, 3, 3, 2))
    framed = np.pad(x, ((0, 0), (0, 0), (1, 1), (2, 2)))
    return f(x, w, padding=(1, 2)), f(framed, w), 18.0


def conv_stride_is_subsampling(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """Stride s keeps every s-th output."""
    x, w = normals(rng, dtype, (2, 3, 9, 11), (4, 3, 3, 2))
    return f(x, w, stride=(2, 3)), f(x, w)[..., ::2, ::3], 18.0


def conv_groups_are_blocks(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """Groups are separate convolutions of blocks of channels."""
    x, w = normals(rng, dtype, (2, 4, 6, 7), (6, 2, 3, 2))
    blocks = [f(x[:, :2], w[:3]), f(x[:, 2:], w[3:])]
    return f(x, w, groups=2), np.concatenate(blocks, axis=1), 12.0


def conv_linear_in_weight(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """Convolution is linear in the kernel."""
    x, w, v = normals(rng, dtype, (2, 3, 6, 7), (4, 3, 3, 2), (4, 3, 3, 2))
    return f(x, 2 * w - 3 * v), 2 * f(x, w) - 3 * f(x, v), 72.0


def transpose_stride_is_zero_insertion(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """A stride of the transpose spreads its input apart."""
    x, w = normals(rng, dtype, (2, 3, 4, 5), (3, 4, 3, 2))
    return f(x, w, stride=(2, 3)), f(spread_apart(x, (2, 3)), w), 18.0


def transpose_padding_crops(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """Padding of the transpose cuts a frame off its output."""
    x, w = normals(rng, dtype, (2, 3, 4, 5), (3, 4, 3, 4))
    return f(x, w, padding=(1, 2)), f(x, w)[..., 1:-1, 2:-2], 36.0


def transpose_of_one_pixel(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """A single pixel prints the kernel, unflipped."""
    (w,) = normals(rng, dtype, (1, 4, 3, 2))
    return f(np.ones((1, 1, 1, 1), dtype), w), w, 1.0


def pool_constant(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """The average of a constant is the constant, if the padding does not count."""
    x = np.full((2, 3, 7, 8), 3.5, dtype)
    y = f(x, kernel_size=3, stride=2, padding=1, ceil_mode=True, count_include_pad=False)
    return y, np.full_like(y, 3.5), 9.0


def adaptive_constant(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """Bins of any size preserve a constant."""
    y = f(np.full((2, 3, 7, 8), 3.5, dtype), output_size=(3, 5))
    return y, np.full((2, 3, 3, 5), 3.5), 9.0


def max_of_maximum(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """The maximum goes through: f(max(x, z)) = max(f(x), f(z))."""
    x, z = normals(rng, dtype, (2, 3, 7, 9), (2, 3, 7, 9))
    options = {"kernel_size": (3, 2), "stride": (2, 1), "padding": 1}
    return f(np.maximum(x, z), **options), np.maximum(f(x, **options), f(z, **options)), 0.0


def resize_constant(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """The weights of every output pixel sum to one: bilinear partition of unity."""
    x = np.full((2, 3, 5, 7), 3.5, dtype)
    sizes = {"size": (13, 4), "mode": "bilinear"}
    y = np.concatenate([f(x, align_corners=corners, **sizes) for corners in (True, False)])
    return y, np.full_like(y, 3.5), 4.0


def resize_ramp(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """With aligned corners a plane stays a plane."""
    rows, columns = np.mgrid[0:5, 0:7].astype(dtype)
    x = (2 * rows - columns)[None, None]
    wide = f(x, size=(17, 25), mode="bilinear", align_corners=True)
    plane = 2 * np.linspace(0, 4, 17)[:, None] - np.linspace(0, 6, 25)
    return wide, plane[None, None], 7.0**2


def resize_keeps_samples(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """(8k+1, 8l+1) pixels with aligned corners: every eighth is an input pixel."""
    (x,) = normals(rng, dtype, (2, 3, 3, 4))
    wide = f(x, size=(17, 25), mode="bilinear", align_corners=True)
    return wide[..., ::8, ::8], x, 4.0**2


def pad_crop(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """What is inside the frame is the picture."""
    (x,) = normals(rng, dtype, (2, 3, 4, 5))
    return f(x, pad=(1, 2, 3, 0))[..., 3:, 1:-2], x, 0.0


def relu_splits(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """relu(x) - relu(-x) = x."""
    (x,) = normals(rng, dtype, (2, 3, 4, 5))
    return f(x) - f(-x), x, 0.0


def relu_twice(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """relu(relu(x)) = relu(x)."""
    (x,) = normals(rng, dtype, (2, 3, 4, 5))
    return f(f(x)), f(x), 0.0


def dropout_masks(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """Every call draws a new mask, each entry by itself, whatever its neighbours are.

    Neighbours along an axis, and two calls, keep the same entry in half of the cases.
    """
    if not f.library.writes:
        raise NotImplementedError("without a state, one key gives one mask")
    x = np.ones((16, 8, 12, 12), dtype)
    first, again = (f(x, p=0.5, training=True) != 0 for _ in range(2))
    same = [first == again]
    same += [first.take(range(1, n), i) == first.take(range(n - 1), i)
             for i, n in enumerate(x.shape)]  # fmt: skip
    off = [abs(float(np.mean(s)) - 0.5) * 2 * np.sqrt(s.size) for s in same]
    return np.array(off) > 6.0, np.zeros(len(off)), 0.0


def softmax_shift(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """A constant added to all classes changes nothing (whole numbers: the sum is exact)."""
    x = rng.integers(-9, 10, (2, 5, 3, 4)).astype(dtype)
    return f(x + 64, dim=1), f(x, dim=1), 64.0


def softmax_sums_to_one(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """Probabilities sum to one."""
    (x,) = normals(rng, dtype, (2, 5, 3, 4))
    total = f(x, dim=1).sum(axis=1)
    return total, np.ones_like(total), 5.0


def log_softmax_sums_to_one(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """So do the exponentials of their logarithms."""
    (x,) = normals(rng, dtype, (2, 5, 3, 4))
    total = np.exp(f(x, dim=1)).sum(axis=1)
    return total, np.ones_like(total), 25.0


def entropy_of_equal_scores(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """Equal scores for C classes cost log C, whatever the labels."""
    labels = rng.integers(0, 5, (2, 3, 4))
    return f(np.full((2, 5, 3, 4), 2.0, dtype), labels), np.log(5.0), 25.0


def entropy_of_one_hot(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """Labels are probabilities of one."""
    (scores, labels), _ = sample("cross_entropy", rng, dtype)
    one_hot = np.moveaxis(np.eye(5, dtype=dtype)[labels], -1, 1)
    return f(scores, labels), f(scores, one_hot), 120.0


def entropy_ignores(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """Ignored pixels might as well not be there."""
    (scores,) = normals(rng, dtype, (6, 5))
    labels = np.array([0, 255, 3, 4, 255, 1])
    seen = labels != 255
    return f(scores, labels, ignore_index=255), f(scores[seen], labels[seen]), 30.0


def norm_standardises(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """In training every channel has mean 0 and variance 1 - eps / (variance + eps)."""
    (x,) = normals(rng, dtype, (3, 4, 5, 6))
    y = f(x, None, None, training=True).astype(np.float64)
    moments = np.stack([y.mean((0, 2, 3)), y.var((0, 2, 3))])
    variance = x.astype(np.float64).var((0, 2, 3))
    return moments, np.stack([np.zeros(4), variance / (variance + 1e-5)]), 100.0


def norm_forgets_offset(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """In training a constant added to a channel changes nothing."""
    x = rng.integers(-9, 10, (3, 4, 5, 6)).astype(dtype)
    return f(x + 64, None, None, training=True), f(x, None, None, training=True), 64.0**2


def _own(*equations: Any) -> list[Property]:
    return [Property(e.__name__.replace("_", "-"), e, e.__doc__) for e in equations]


IDENTITIES: dict[str, list[Property]] = {
    "conv2d": _own(
        conv_rate_is_zero_insertion,
        conv_rate_is_polyphase,
        conv_shift,
        conv_padding_is_zeros,
        conv_stride_is_subsampling,
        conv_groups_are_blocks,
        conv_linear_in_weight,
    ),
    "conv_transpose2d": _own(
        transpose_stride_is_zero_insertion, transpose_padding_crops, transpose_of_one_pixel
    ),
    "avg_pool2d": _own(pool_constant),
    "adaptive_avg_pool2d": _own(adaptive_constant),
    "max_pool2d": _own(max_of_maximum),
    "interpolate": _own(resize_constant, resize_ramp, resize_keeps_samples),
    "pad": _own(pad_crop),
    "relu": _own(relu_splits, relu_twice),
    "dropout": _own(dropout_masks),
    "softmax": _own(softmax_shift, softmax_sums_to_one),
    "log_softmax": _own(softmax_shift, log_softmax_sums_to_one),
    "cross_entropy": _own(entropy_of_equal_scores, entropy_of_one_hot, entropy_ignores),
    "batch_norm": _own(norm_standardises, norm_forgets_offset),
    "gaussian_filter": _own(filter_permutation, filter_constant, filter_symmetric),
    "dense_crf": _own(crf_mirror, crf_labels, crf_sums_to_one, crf_energy_offset),
}
