"""Convolution, its transpose and their gradients. Definitions: ``ops/conv.py``.

"im2col": the windows as columns (``columns.py``), then a product of matrices for each image and
group (``product.py``). "implicit": the same product without the columns (``implicit_gemm.py``). A
1x1 filter with stride 1 needs neither: the picture is its columns.

"auto" writes columns, because cuBLAS multiplies faster than a kernel of one page, unless those of
one image take more than COLUMNS_LIMIT bytes; then forward and, for stride 1, the gradient of the
input are "implicit", and that of the weights goes by a few channels at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from minideeplab.backends.cuda import implicit_gemm
from minideeplab.backends.cuda.device import xp
from minideeplab.backends.cuda.im2col import fold_into, unfold_padded
from minideeplab.backends.cuda.matmul import multiply
from minideeplab.backends.cuda.norm import sum_over_pixels
from minideeplab.ops.window import Padding, Pair, output_shape, transposed_size

ALGORITHMS = ("im2col", "implicit")
COLUMNS_LIMIT = 1 << 30
"""Bytes of columns at a time."""

Needs = tuple[bool, bool, bool]


def conv2d(
    x: Any,
    w: Any,
    b: Any,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    *,
    algorithm: str = "auto",
    exact: bool = False,
    explain: bool = False,
) -> Any:
    """Convolve x (N, C, H, W) with w (F, C/G, kh, kw): y (N, F, P, Q).

    ``algorithm`` is one of ALGORITHMS or "auto", see above. Both round as the definition does, so
    ``exact`` changes nothing; ``explain`` prints which one runs and why. Only "im2col" multiplies
    in the precision of `matmul_precision`.
    """
    out = output_shape(x.shape[2:], w.shape[2:], stride, padding, dilation)
    chosen = _chosen(algorithm, x, w, out)
    if explain:
        size, limit = _columns_bytes(x, w, out) / 1e6, COLUMNS_LIMIT / 1e6
        print(f"cuda: {chosen}: an image's columns take {size:.1f} MB, the limit is {limit:.0f} MB")
    if chosen == "implicit":
        return implicit_gemm.convolve(x, w, b, stride, padding, dilation, groups)
    y = xp.empty((len(x), len(w), *out), x.dtype)
    matrices = _matrices(w, groups)
    for images in _chunks(x, w, out):
        columns = _columns(x[images], w, out, stride, padding, dilation, groups)
        shape = (len(columns), groups, len(w) // groups, out[0] * out[1])
        _multiply(matrices, columns, y[images].reshape(shape))
    if b is not None:
        y += b[:, None, None]
    return y


def conv2d_backward(
    dy: Any,
    x: Any,
    w: Any,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    needs: Needs = (True, True, True),
    *,
    algorithm: str = "auto",
    exact: bool = False,
) -> tuple[Any, Any, Any]:
    """Gradients (dx, dw, db) for dy (N, F, P, Q); None where not needed.

    "implicit" is for dx with stride 1; the rest always goes by columns.
    """
    options, dx = (stride, padding, dilation, groups), None
    if needs[0]:
        chosen = _chosen(algorithm, x, w, dy.shape[2:])
        implicit = chosen == "implicit" and tuple(stride) == (1, 1)
        run = _implicit_input_gradient if implicit else _input_gradient
        dx = run(dy, w, x.shape, *options)
    dw = _weight_gradient(dy, x, w, *options) if needs[1] else None
    return dx, dw, sum_over_pixels(dy).astype(dy.dtype) if needs[2] else None


def conv_transpose2d(
    x: Any,
    w: Any,
    b: Any,
    stride: Pair,
    padding: Pair,
    output_padding: Pair,
    groups: int,
    dilation: Pair,
) -> Any:
    """Transposed convolution: x (N, C, H, W), w (C, F/G, kh, kw) -> y (N, F, P, Q)."""
    out = map(transposed_size, x.shape[2:], w.shape[2:], stride, padding, output_padding, dilation)
    y_shape = (len(x), w.shape[1] * groups, *out)
    y = _input_gradient(x, w, y_shape, stride, _both_sides(padding), dilation, groups)
    return y if b is None else y + b[:, None, None]


def conv_transpose2d_backward(
    dy: Any,
    x: Any,
    w: Any,
    stride: Pair,
    padding: Pair,
    output_padding: Pair,
    groups: int,
    dilation: Pair,
    needs: Needs = (True, True, True),
) -> tuple[Any, Any, Any]:
    """Gradients (dx, dw, db): the transpose of a transpose is `conv2d`, with x and dy swapped."""
    sides, dx, dw = _both_sides(padding), None, None
    if needs[0]:
        dx = conv2d(dy, w, None, stride, sides, dilation, groups)
        dx = dx[:, :, : x.shape[2], : x.shape[3]]  # output_padding >= stride: windows too many
    if needs[1]:
        dw = _weight_gradient(x, dy, w, stride, sides, dilation, groups)
    return dx, dw, sum_over_pixels(dy).astype(dy.dtype) if needs[2] else None


def _matrices(w: Any, groups: int) -> Any:
    """(G, F/G, C/G*kh*kw): one matrix for each group."""
    return w.reshape(groups, len(w) // groups, -1)


def _columns(
    x: Any, w: Any, out: Pair, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> Any:
    """(N, G, C/G*kh*kw, P*Q) of x (N, C, H, W), for the (P, Q) = ``out`` windows."""
    if _is_pointwise(x, w, out, stride, padding):
        return x.reshape(len(x), groups, x.shape[1] // groups, out[0] * out[1])
    columns = unfold_padded(x, w.shape[2:], out, dilation, padding, stride)
    return columns.reshape(len(x), groups, columns.shape[1] // groups, columns.shape[2])


def _is_pointwise(x: Any, w: Any, out: Pair, stride: Pair, padding: Padding) -> bool:
    """Whether the picture is its columns: a 1x1 filter that reads every pixel once."""
    plain = w.shape[2:] == (1, 1) == stride and padding == ((0, 0), (0, 0))
    return plain and tuple(out) == x.shape[2:]


def _multiply(matrices: Any, columns: Any, out: Any, transpose_a: bool = False) -> None:
    """out (N, G, ., .) = the group's matrix (G, ., .) times columns (N, G, ., .).

    One call where all images share one matrix or there is one image, else one for each image.
    """
    if len(matrices) == 1:
        multiply(matrices, columns[:, 0], out[:, 0], transpose_a=transpose_a)
        return
    for image_columns, image_out in zip(columns, out, strict=True):
        multiply(matrices, image_columns, image_out, transpose_a=transpose_a)


def _columns_bytes(x: Any, w: Any, out: Pair) -> int:
    """What the columns of one image take."""
    return x.shape[1] * w.shape[2] * w.shape[3] * out[0] * out[1] * x.dtype.itemsize


def _chosen(algorithm: str, x: Any, w: Any, out: Pair) -> str:
    """The algorithm that "auto" stands for."""
    if algorithm != "auto":
        return algorithm
    pointwise = w.shape[2:] == (1, 1)
    return "implicit" if _columns_bytes(x, w, out) > COLUMNS_LIMIT and not pointwise else "im2col"


def _chunks(x: Any, w: Any, out: Pair) -> Iterator[slice]:
    """Slices of the images whose columns fit in COLUMNS_LIMIT together, at least one each."""
    count = max(1, COLUMNS_LIMIT // max(_columns_bytes(x, w, out), 1))
    for start in range(0, len(x), count):
        yield slice(start, start + count)


def _input_gradient(
    dy: Any,
    w: Any,
    x_shape: Sequence[int],
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
) -> Any:
    """dx (N, C, H, W): the cotangent of the columns, w' dy, folded into a picture."""
    out, kernel, matrices = dy.shape[2:], w.shape[2:], _matrices(w, groups)
    dx = xp.empty(tuple(x_shape), dy.dtype)
    pixels, pointwise = out[0] * out[1], _is_pointwise(dx, w, out, stride, padding)
    for images in _chunks(dx, w, out):
        rows = dy[images].reshape(-1, groups, dy.shape[1] // groups, pixels)
        shape = (len(rows), groups, matrices.shape[2], pixels)
        columns = dx[images].reshape(shape) if pointwise else xp.empty(shape, dy.dtype)
        _multiply(matrices, rows, columns, transpose_a=True)
        if not pointwise:
            fold_into(dx[images], columns, kernel, out, dilation, padding, stride)
    return dx


def _implicit_input_gradient(
    dy: Any,
    w: Any,
    x_shape: Sequence[int],
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
) -> Any:
    """dx for stride 1: dy convolved with the filters turned by 180 degrees, from F to C channels.

    A tap that read i d - top pixels ahead is read from as far behind, hence the padding.
    """
    f, c, kh, kw = w.shape
    turned = w.reshape(groups, f // groups, c, kh, kw).swapaxes(1, 2)[..., ::-1, ::-1]
    turned = turned.reshape(groups * c, f // groups, kh, kw)
    sides = []
    for axis, k in enumerate((kh, kw)):
        reach = dilation[axis] * (k - 1)
        before = reach - padding[axis][0]
        sides.append((before, x_shape[2 + axis] - dy.shape[2 + axis] + reach - before))
    return implicit_gemm.convolve(dy, turned, None, stride, tuple(sides), dilation, groups)


def _weight_gradient(
    dy: Any, x: Any, w: Any, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> Any:
    """dw of w's shape: dy times the transposed columns, summed over the images.

    With one group, whose columns can be cut between channels, in parts of COLUMNS_LIMIT bytes.
    """
    out, options = dy.shape[2:], (stride, padding, dilation, groups)
    parts = -(-_columns_bytes(x, w, out) // COLUMNS_LIMIT) if groups == 1 else 1
    step = max(1, w.shape[1] // max(parts, 1))
    if step >= w.shape[1]:
        return _weight_gradient_at_once(dy, x, w, *options)
    dw = xp.empty(w.shape, dy.dtype)
    for start in range(0, w.shape[1], step):
        some = slice(start, start + step)
        dw[:, some] = _weight_gradient_at_once(dy, x[:, some], w[:, some], *options)
    return dw


def _weight_gradient_at_once(
    dy: Any, x: Any, w: Any, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> Any:
    total = xp.zeros(_matrices(w, groups).shape, dy.dtype)
    out = dy.shape[2:]
    for images in _chunks(x, w, out):
        columns = _columns(x[images], w, out, stride, padding, dilation, groups)
        rows = dy[images].reshape(len(columns), groups, dy.shape[1] // groups, out[0] * out[1])
        for image_rows, image_columns in zip(rows, columns, strict=True):
            multiply(image_rows, image_columns, total, transpose_b=True, add=True)
    return total.reshape(w.shape)


def _both_sides(padding: Pair) -> Padding:
    return (padding[0], padding[0]), (padding[1], padding[1])
