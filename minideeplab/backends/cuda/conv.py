"""Convolution, its transpose and their gradients. Definitions: ``ops/conv.py``.

"im2col": the columns (``im2col.py``), then a matrix product for each image and group
(``matmul.py``). "implicit": the same product without stored columns (``implicit_gemm.py``). A 1x1
filter with stride 1 needs neither: the image equals its columns.

"auto" uses im2col, because cuBLAS is faster than our own GEMM, unless the columns of one image take
more than COLUMNS_LIMIT bytes. Then the forward pass and, for stride 1, the gradient of the input
use "implicit", and the gradient of the weights is computed for a few channels at a time.

``apply_epilogue`` runs after a convolution: scale, shift and ReLU in one pass, one thread per
element of y (N, F, P, Q). Neighbouring elements share a channel, and so scale and shift:

    thread     0   1   2   3 | 4   5   6   7 | 8 ...         P Q = 4 pixels
    channel    0   0   0   0 | 1   1   1   1 | 2 ...         one scale and one shift for each

So y is read and written once, not once each for bias, batch norm and ReLU.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from numba import cuda

from minideeplab.backends.cuda import implicit_gemm
from minideeplab.backends.cuda.device import xp
from minideeplab.backends.cuda.im2col import both_sides, columns_of, fold_windows, window_sizes
from minideeplab.backends.cuda.launch import kernel
from minideeplab.backends.cuda.matmul import multiply
from minideeplab.backends.cuda.norm import sum_over_pixels
from minideeplab.ops.window import Padding, Pair, output_shape, transposed_size

ALGORITHMS = ("im2col", "implicit")
COLUMNS_LIMIT = 1 << 30
"""Bytes of columns at a time."""

Needs = tuple[bool, bool, bool]


class Options(NamedTuple):
    """The options of a convolution, in the order of `conv2d`."""

    stride: Pair
    padding: Padding
    dilation: Pair
    groups: int


@kernel("epilogue.cu")
def apply_epilogue(y, scale, shift, size, channels, pixels, rectify):
    """y = y scale + shift per channel, in place, then ReLU if ``rectify``; NaN stays."""
    zero = y.dtype.type(0)
    for i in range(cuda.grid(1), size, cuda.gridsize(1)):
        c = i // pixels % channels
        value = y[i] * scale[c] + shift[c]
        if rectify and value <= zero:
            value = zero
        y[i] = value


def conv2d(
    x: Any, w: Any, b: Any, stride: Pair, padding: Padding, dilation: Pair, groups: int,
    *, algorithm: str = "auto", exact: bool = False, explain: bool = False,
) -> Any:  # fmt: skip
    """Convolve x (N, C, H, W) with w (F, C/G, kh, kw): y (N, F, P, Q).

    ``algorithm`` is one of ALGORITHMS or "auto", see above. Both round as the definition does, so
    ``exact`` changes nothing; ``explain`` prints which one runs and why. Only "im2col" multiplies
    in the precision of `matmul_precision`.
    """
    options = Options(stride, padding, dilation, groups)
    out = output_shape(x.shape[2:], w.shape[2:], stride, padding, dilation)
    chosen = _chosen(algorithm, x, w, out)
    if explain:
        size, limit = _columns_bytes(x, w, out) / 1e6, COLUMNS_LIMIT / 1e6
        print(f"cuda: {chosen}: an image's columns take {size:.1f} MB, the limit is {limit:.0f} MB")
    if chosen == "implicit":
        return implicit_gemm.convolve(x, w, b, *options)
    y = xp.empty((len(x), len(w), *out), x.dtype)
    for images in _chunks(x, w, out):
        columns = _columns(x[images], w, out, options)
        shape = (len(columns), groups, len(w) // groups, out[0] * out[1])
        _multiply(_matrices(w, groups), columns, y[images].reshape(shape))
    if b is not None:
        y += b[:, None, None]
    return y


def conv2d_epilogue(
    x: Any, w: Any, shift: Any, stride: Pair, padding: Padding, dilation: Pair, groups: int,
    *, scale: Any = None, rectify: bool = False,
) -> Any:  # fmt: skip
    """``conv2d(x, w) * scale + shift``, then ReLU if ``rectify``; scale, shift (F,) or None."""
    y = conv2d(x, w, None, stride, padding, dilation, groups)
    scale = xp.ones(len(w), y.dtype) if scale is None else scale
    shift = xp.zeros(len(w), y.dtype) if shift is None else shift
    sizes = (y.size, len(w), y.shape[2] * y.shape[3], int(rectify))
    apply_epilogue(y.size, y, scale, shift, *sizes)
    return y


def conv2d_backward(
    dy: Any, x: Any, w: Any, stride: Pair, padding: Padding, dilation: Pair, groups: int,
    needs: Needs = (True, True, True), *, algorithm: str = "auto", exact: bool = False,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Gradients (dx, dw, db) for dy (N, F, P, Q); None where not needed.

    "implicit" applies to dx with stride 1; everything else uses im2col.
    """
    options, dx = Options(stride, padding, dilation, groups), None
    if needs[0]:
        chosen = _chosen(algorithm, x, w, dy.shape[2:])
        implicit = chosen == "implicit" and tuple(stride) == (1, 1)
        dx = (_implicit_input_gradient if implicit else _input_gradient)(dy, w, x.shape, options)
    return dx, *_parameter_gradients(dy, dy, x, w, options, needs)


def conv_transpose2d(
    x: Any, w: Any, b: Any, stride: Pair, padding: Pair, output_padding: Pair, groups: int,
    dilation: Pair,
) -> Any:  # fmt: skip
    """Transposed convolution: x (N, C, H, W), w (C, F/G, kh, kw) -> y (N, F, P, Q)."""
    out = map(transposed_size, x.shape[2:], w.shape[2:], stride, padding, output_padding, dilation)
    options = Options(stride, both_sides(padding), dilation, groups)
    y = _input_gradient(x, w, (len(x), w.shape[1] * groups, *out), options)
    return y if b is None else y + b[:, None, None]


def conv_transpose2d_backward(
    dy: Any, x: Any, w: Any, stride: Pair, padding: Pair, output_padding: Pair, groups: int,
    dilation: Pair, needs: Needs = (True, True, True),
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Gradients (dx, dw, db): the transpose of a transpose is `conv2d`, with x and dy swapped."""
    options, dx = Options(stride, both_sides(padding), dilation, groups), None
    if needs[0]:
        dx = conv2d(dy, w, None, *options)
        dx = dx[:, :, : x.shape[2], : x.shape[3]]  # output_padding >= stride adds windows
    return dx, *_parameter_gradients(dy, x, dy, w, options, needs)


def _parameter_gradients(
    dy: Any, outputs: Any, inputs: Any, w: Any, options: Options, needs: Needs
) -> tuple[Any, Any]:
    """(dw, db) of a convolution of ``inputs`` whose results have the gradient ``outputs``."""
    dw = _weight_gradient(outputs, inputs, w, options) if needs[1] else None
    return dw, sum_over_pixels(dy).astype(dy.dtype) if needs[2] else None


def _matrices(w: Any, groups: int) -> Any:
    """(G, F/G, C/G*kh*kw): one matrix for each group."""
    return w.reshape(groups, len(w) // groups, -1)


def _columns(x: Any, w: Any, out: Pair, options: Options) -> Any:
    """(N, G, C/G*kh*kw, P*Q) of x (N, C, H, W), for the (P, Q) = ``out`` windows."""
    if _is_pointwise(x, w, out, options):
        return x.reshape(len(x), options.groups, x.shape[1] // options.groups, out[0] * out[1])
    columns = columns_of(x, window_sizes(x.shape[2:], w.shape[2:], out, *options[:3]))
    return columns.reshape(len(x), options.groups, -1, out[0] * out[1])


def _is_pointwise(x: Any, w: Any, out: Pair, options: Options) -> bool:
    """Whether the image equals its columns: a 1x1 filter that reads every pixel once."""
    plain = w.shape[2:] == (1, 1) == options.stride and options.padding == ((0, 0), (0, 0))
    return plain and tuple(out) == x.shape[2:]


def _multiply(matrices: Any, columns: Any, out: Any, transpose_a: bool = False) -> None:
    """out (N, G, ., .) = the group's matrix (G, ., .) times columns (N, G, ., .).

    One batched product if there is one group, else one for each image.
    """
    if len(matrices) == 1:
        multiply(matrices, columns[:, 0], out[:, 0], transpose_a=transpose_a)
        return
    for image_columns, image_out in zip(columns, out, strict=True):
        multiply(matrices, image_columns, image_out, transpose_a=transpose_a)


def _columns_bytes(x: Any, w: Any, out: Pair) -> int:
    """Bytes of the columns of one image."""
    return x.shape[1] * w.shape[2] * w.shape[3] * out[0] * out[1] * x.dtype.itemsize


def _chosen(algorithm: str, x: Any, w: Any, out: Pair) -> str:
    """The algorithm, with "auto" resolved."""
    if algorithm != "auto":
        return algorithm
    pointwise = w.shape[2:] == (1, 1)
    return "implicit" if _columns_bytes(x, w, out) > COLUMNS_LIMIT and not pointwise else "im2col"


def _chunks(x: Any, w: Any, out: Pair) -> Iterator[slice]:
    """Slices of images whose columns together fit in COLUMNS_LIMIT, at least one image each."""
    count = max(1, COLUMNS_LIMIT // max(_columns_bytes(x, w, out), 1))
    for start in range(0, len(x), count):
        yield slice(start, start + count)


def _input_gradient(dy: Any, w: Any, x_shape: Sequence[int], options: Options) -> Any:
    """dx (N, C, H, W): the gradient of the columns, w' dy, folded into an image."""
    out, groups, matrices = dy.shape[2:], options.groups, _matrices(w, options.groups)
    dx = xp.empty(tuple(x_shape), dy.dtype)
    sizes = window_sizes(x_shape[2:], w.shape[2:], out, *options[:3])
    pointwise = _is_pointwise(dx, w, out, options)
    for images in _chunks(dx, w, out):
        rows = dy[images].reshape(-1, groups, dy.shape[1] // groups, out[0] * out[1])
        shape = (len(rows), groups, matrices.shape[2], out[0] * out[1])
        columns = dx[images].reshape(shape) if pointwise else xp.empty(shape, dy.dtype)
        _multiply(matrices, rows, columns, transpose_a=True)
        if not pointwise:
            fold_windows(dx[images].size, columns, dx[images], dx[images].size, *sizes)
    return dx


def _implicit_input_gradient(dy: Any, w: Any, x_shape: Sequence[int], options: Options) -> Any:
    """dx for stride 1: dy convolved with the filters rotated by 180 degrees, from F to C channels.

    A tap that read i d - top pixels ahead is read from as far behind, hence the padding.
    """
    (f, c, kh, kw), groups = w.shape, options.groups
    rotated = w.reshape(groups, f // groups, c, kh, kw).swapaxes(1, 2)[..., ::-1, ::-1]
    rotated = rotated.reshape(groups * c, f // groups, kh, kw)
    sides = []
    for axis, k in enumerate((kh, kw)):
        reach = options.dilation[axis] * (k - 1)
        before = reach - options.padding[axis][0]
        sides.append((before, x_shape[2 + axis] - dy.shape[2 + axis] + reach - before))
    return implicit_gemm.convolve(dy, rotated, None, *options._replace(padding=tuple(sides)))


def _weight_gradient(dy: Any, x: Any, w: Any, options: Options) -> Any:
    """dw of w's shape: dy times the transposed columns, summed over the images.

    With one group, in slices of channels whose columns take COLUMNS_LIMIT bytes.
    """
    parts = -(-_columns_bytes(x, w, dy.shape[2:]) // COLUMNS_LIMIT) if options.groups == 1 else 1
    step = max(1, w.shape[1] // max(parts, 1))
    if step >= w.shape[1]:
        return _weight_gradient_at_once(dy, x, w, options)
    dw = xp.empty(w.shape, dy.dtype)
    for start in range(0, w.shape[1], step):
        some = slice(start, start + step)
        dw[:, some] = _weight_gradient_at_once(dy, x[:, some], w[:, some], options)
    return dw


def _weight_gradient_at_once(dy: Any, x: Any, w: Any, options: Options) -> Any:
    """`_weight_gradient` with the columns of all channels at once."""
    out, groups = dy.shape[2:], options.groups
    total = xp.zeros(_matrices(w, groups).shape, dy.dtype)
    for images in _chunks(x, w, out):
        columns = _columns(x[images], w, out, options)
        rows = dy[images].reshape(len(columns), groups, dy.shape[1] // groups, out[0] * out[1])
        for image_rows, image_columns in zip(rows, columns, strict=True):
            multiply(image_rows, image_columns, total, transpose_b=True, add=True)
    return total.reshape(w.shape)
