"""Wrong convolutions: counting, order, padding, groups, and gradients."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from minideeplab.testing.mutant import CONFUSIONS, Function, on, pair, right, right_backward, zeroed
from minideeplab.testing.operations.products import (
    BIAS_IGNORED,
    DX_ZERO,
    both_sides,
    interleaved,
    with_bias,
    with_channels,
    with_weight,
)

conv2d, conv2d_backward = right("conv2d"), right_backward("conv2d")
kernel, bias, channels = (partial(f, "conv2d") for f in (with_weight, with_bias, with_channels))


def _bordered(change: Any = None, mode: str = "") -> Function:
    """Return conv2d whose padding is done before, with other sides or as ``np.pad`` does it."""

    def forward(x: np.ndarray, w: np.ndarray, b: Any = None, **options: Any) -> np.ndarray:
        sides = both_sides(options.pop("padding", 0), w.shape[2:], options.get("dilation", 1))
        sides = [(0, 0)] * (x.ndim - 2) + ([change(*side) for side in sides] if change else sides)
        return conv2d(
            np.pad(x, sides, mode=mode if mode and x.size else "constant"), w, b, **options
        )

    return forward


def _late_stride(x: np.ndarray, *rest: Any, stride: Any = 1, **options: Any) -> np.ndarray:
    rows, columns = pair(stride)
    return conv2d(x, *rest, **options)[..., rows - 1 :: rows, columns - 1 :: columns]


def _kernel_times_rate(
    *arrays: Any, stride: Any = 1, dilation: Any = 1, **options: Any
) -> np.ndarray:
    """Return the result with k d instead of k + (k-1)(d-1) in the formula for its size."""
    y = conv2d(*arrays, stride=stride, dilation=dilation, **options)
    cut = [-(-(d - 1) // s) for d, s in zip(pair(dilation), pair(stride), strict=True)]
    return y[..., : max(0, y.shape[-2] - cut[0]), : max(0, y.shape[-1] - cut[1])]


def _in_the_loops(option: str, kind: str) -> Function:
    """Return conv2d with an option confused in its loops but not in the size of its output."""
    changed = conv2d.altered(**{option: CONFUSIONS[kind][0](option)})

    def forward(x: np.ndarray, w: np.ndarray, b: Any = None, **options: Any) -> np.ndarray:
        height, width = conv2d(x, w, b, **options).shape[-2:]
        room = 4 * max(height, width) + 99  # enough for the table's largest stride and dilation
        wide = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(0, room)] * 2)
        return changed(wide, w, b, **options)[..., :height, :width]

    return forward


def _by_remainder(x: np.ndarray, w: np.ndarray, b: Any = None, **options: Any) -> np.ndarray:
    """Return conv2d whose filter k reads the channels of group k % groups."""
    order = np.argsort(np.arange(len(w)) % options.get("groups", 1), kind="stable")
    y = conv2d(x, w[order], None if b is None else b[order], **options)
    return np.take(y, np.argsort(order), axis=-3)


FORWARD = {
    "kernel-flipped": (kernel(lambda w: w[..., ::-1, ::-1]),
                       "the kernel is flipped: a convolution in the mathematical sense"),
    "kernel-upside-down": (kernel(lambda w: w[..., ::-1, :]), "the kernel is upside down"),
    "kernel-mirrored": (kernel(lambda w: w[..., ::-1]), "the kernel is mirrored left to right"),
    "kernel-transposed": (kernel(lambda w: w.swapaxes(-1, -2)),
                          "the kernel's height and width are confused"),
    **conv2d.confused(dilation="from-zero ignored swapped of-height"),
    "dilation-plus-one": (
        conv2d.altered(dilation=lambda d: tuple(v + (v > 1) for v in pair(d))),
        "one pixel too many between the taps: d zeros are inserted instead of d - 1"),
    "effective-kernel": (_kernel_times_rate, "the effective kernel is k d, not k + (k-1)(d-1)"),
    **conv2d.confused(stride="swapped ignored of-height", padding="swapped of-height ignored"),
    "stride-late": (_late_stride, "the stride starts at its last instead of its first pixel"),
    "same-is-valid": (conv2d.altered(padding=lambda p: 0 if isinstance(p, str) else p),
                      "padding='same' pads nothing"),
    "padding-replicated": (_bordered(mode="edge"), "the border is repeated, not padded by zeros"),
    "padding-one-sided": (_bordered(lambda start, end: (start + end, 0)),
                          "all of the padding goes to the top and the left"),
    "same-extra-first": (_bordered(lambda start, end: (end, start)),
                         "the odd row of padding='same' goes to the top and the left"),
    "padding-mirrored": (_bordered(mode="reflect"), "the border is mirrored, not padded by zeros"),
    "padding-symmetric": (_bordered(mode="symmetric"),
                          "the border is mirrored with its edge, not padded by zeros"),
    "padding-circular": (_bordered(mode="wrap"), "the border is continued from the other side"),
    "bias-ignored": (bias(lambda b: None), BIAS_IGNORED),
    "bias-twice": (bias(lambda b: 2 * b), "the bias is added twice"),
    "bias-subtracted": (bias(np.negative), "the bias is subtracted"),
    "groups-read-first": (channels(lambda c, groups: np.arange(c) % (c // groups)),
                          "every group reads the first group's channels"),
    "groups-interleaved": (channels(interleaved),
                           "groups are interleaved instead of blocks of channels"),
    "groups-by-remainder": (_by_remainder, "filter k is taken to be of group k % groups"),
    **{f"loop-{option}-{kind}": (
        _in_the_loops(option, kind),
        f"{CONFUSIONS[kind][1].format(option)}, in an output of the right size")
       for option in ("stride", "dilation", "padding")
       for kind in ("of-height", "of-width", "swapped")},
    "mean-not-sum": (kernel(lambda w: w / w[0].size), "the window is averaged instead of summed"),
}  # fmt: skip


def _stride_one(dy: np.ndarray, arrays: Any, options: dict[str, Any]) -> tuple[Any, ...]:
    """Return the gradients if dy is put to the top left of the stride-1 output, not spread."""
    dense = options | {"stride": 1}
    wide = np.zeros_like(conv2d(arrays[0], arrays[1], **dense))
    wide[..., : dy.shape[-2], : dy.shape[-1]] = dy
    return conv2d_backward(wide, *arrays, **dense)


def _not_freed(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> Any:
    """Return dx cut from the wrong place: padding is not removed at the top and left."""
    padding = options.get("padding", 0)
    return given[0] if isinstance(padding, str) else np.roll(given[0], pair(padding), (-2, -1))


def _first_image(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> dict[int, Any]:
    x, *rest = arrays
    return {} if x.ndim < 4 else {1: conv2d_backward(dy[:1], x[:1], *rest, **options)[1]}


def _no_border_in_dw(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> dict[int, Any]:
    """Return dw with the border of x set to zero: windows that touch padding are left out."""
    if not options.get("padding", 0):
        return {}
    x, *rest = arrays
    inner = np.zeros_like(x)
    inner[..., 1:-1, 1:-1] = x[..., 1:-1, 1:-1]
    return {1: conv2d_backward(dy, inner, *rest, **options)[1]}


def _per_pixel(given: Any, dy: np.ndarray, *call: Any) -> dict[int, Any]:
    if dy.ndim < 4 or not len(dy):
        return {}
    return on(2, lambda db: db / max(1, dy[0].size // dy.shape[-3]))(given)


BACKWARD = {
    "dx-unflipped": (
        lambda g, dy, a, o: conv2d_backward(dy, a[0], a[1][..., ::-1, ::-1], *a[2:], **o)[0],
        "dx uses the kernel unflipped"),
    "dx-shifted": (_not_freed, "dx is not freed of the padding: it is shifted by it"),
    "dx-stride-ignored": (lambda g, dy, a, o: _stride_one(dy, a, o)[0],
                          "dx forgets to spread the output's gradient apart by the stride"),
    "dx-zero": DX_ZERO,
    "dx-groups": (
        lambda g, dy, a, o: np.take(g[0], interleaved(a[0].shape[-3], o.get("groups", 1)), -3),
        "dx mixes up the groups' channels"),
    "dw-stride-ignored": (lambda g, dy, a, o: {1: _stride_one(dy, a, o)[1]},
                          "dw forgets to spread the output's gradient apart by the stride"),
    "dw-flipped": (on(1, lambda g: g[..., ::-1, ::-1]), "dw is flipped"),
    "dw-transposed": (on(1, lambda g: g.swapaxes(-1, -2)), "dw has height and width confused"),
    "dw-first-image": (_first_image, "dw sums over the first image only"),
    "dw-border": (_no_border_in_dw, "dw leaves out the windows at the border"),
    "dw-negated": (on(1, np.negative), "dw has the opposite sign"),
    "db-zero": (on(2, zeroed), "db is all zero"),
    "db-per-pixel": (_per_pixel, "db averages over the pixels instead of summing"),
}  # fmt: skip
