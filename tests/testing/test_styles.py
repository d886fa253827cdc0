"""Right implementations in styles that are not ours: none may be refused."""

import functools

import numpy as np
import pytest
from scipy import special
from scipy.ndimage import map_coordinates

from minideeplab.testing import check_op

each = functools.partial(zip, strict=True)


def pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


def padded(x, kernel, padding, dilation, value=0.0):
    """Return x in its frame, of numbers or as "same" and "valid" ask for."""
    if isinstance(padding, str):
        total = [(k - 1) * d if padding == "same" else 0 for k, d in each(kernel, dilation)]
        sides = [(t // 2, t - t // 2) for t in total]
    else:
        sides = [(p, p) for p in pair(padding)]
    return np.pad(x, [(0, 0)] * (x.ndim - 2) + sides, constant_values=value)


def windows(x, kernel, stride, dilation):
    """Return views (..., H', W', kh, kw) of all windows."""
    spans = tuple((k - 1) * d + 1 for k, d in each(kernel, dilation))
    seen = np.lib.stride_tricks.sliding_window_view(x, spans, (-2, -1))
    return seen[..., :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]


def conv2d_fft(x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
    if not x.size or not all(np.isfinite(a).all() for a in (x, w)):
        raise NotImplementedError("finite pictures only")
    stride, dilation = pair(stride), pair(dilation)
    wide = padded(x, w.shape[2:], padding, dilation)[(None,) * (4 - x.ndim)]
    holes = np.zeros((*w.shape[:2], *[(k - 1) * d + 1 for k, d in each(w.shape[2:], dilation)]))
    holes[..., :: dilation[0], :: dilation[1]] = w
    size = wide.shape[2:]
    pictures = np.fft.rfft2(wide, size).reshape(len(wide), groups, w.shape[1], size[0], -1)
    kernels = np.conj(np.fft.rfft2(holes, size))
    kernels = kernels.reshape(groups, -1, w.shape[1], *kernels.shape[2:])
    y = np.fft.irfft2(np.einsum("ngchw,gfchw->ngfhw", pictures, kernels), size)
    y = y.reshape(len(wide), -1, *size)
    ends = [n - k + 1 for n, k in each(size, holes.shape[2:])]
    y = y[..., : ends[0] : stride[0], : ends[1] : stride[1]].astype(x.dtype)
    y = y if b is None else y + b[:, None, None]
    return y if x.ndim == 4 else y[0]


def conv2d_einsum(x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
    if x.ndim == 3:
        return conv2d_einsum(x[None], w, b, stride, padding, dilation, groups)[0]
    dilation = pair(dilation)
    seen = windows(padded(x, w.shape[2:], padding, dilation), w.shape[2:], pair(stride), dilation)
    seen = seen.reshape(len(x), groups, w.shape[1], *seen.shape[2:])
    kernels = w.reshape(groups, w.shape[0] // groups, *w.shape[1:])
    y = np.einsum("ngchwij,gfcij->ngfhw", seen, kernels, optimize=True)
    y = y.reshape(len(x), len(w), *y.shape[3:])
    return y if b is None else y + b[:, None, None]


def conv2d_backwards_sum(x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
    """Sum in the opposite order, one tap and one channel at a time, in the input's precision."""
    if groups != 1:
        raise NotImplementedError("one group only")
    dilation = pair(dilation)
    seen = windows(padded(x, w.shape[2:], padding, dilation), w.shape[2:], pair(stride), dilation)
    y = np.zeros((*x.shape[:-3], len(w), *seen.shape[-4:-2]), x.dtype)
    for c, i, j in reversed(list(np.ndindex(w.shape[1:]))):
        y += seen[..., c, None, :, :, i, j] * w[:, c, i, j, None, None]
    return y if b is None else y + b[:, None, None]


def max_pool2d_views(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    if ceil_mode:
        raise NotImplementedError("ceil_mode")
    kernel = pair(kernel_size)
    wide = padded(x, kernel, padding, (1, 1), -np.inf)
    return windows(wide, kernel, pair(stride or kernel), pair(dilation)).max((-2, -1))


def avg_pool2d_integral(x, kernel_size, stride=None, padding=0):
    """Take differences of the summed-area table, in float64."""
    if not np.isfinite(x).all():
        raise NotImplementedError("finite pictures only")
    (kh, kw), (sh, sw) = pair(kernel_size), pair(stride or kernel_size)
    wide = padded(x, (kh, kw), padding, (1, 1)).astype(np.float64)
    table = np.pad(wide, [(0, 0)] * (x.ndim - 2) + [(1, 0), (1, 0)]).cumsum(-1).cumsum(-2)
    total = (table[..., kh:, kw:] - table[..., :-kh, kw:]
             - table[..., kh:, :-kw] + table[..., :-kh, :-kw])  # fmt: skip
    return (total[..., ::sh, ::sw] / (kh * kw)).astype(x.dtype)


def interpolate_scipy(x, size=None, scale_factor=None, mode="nearest", align_corners=None):
    if mode != "bilinear" or size is None or not x.size or not np.isfinite(x).all():
        raise NotImplementedError("bilinear, to a size")
    axes = []
    for n, m in each(x.shape[2:], pair(size)):
        centres = np.clip((np.arange(m) + 0.5) * n / m - 0.5, 0, n - 1)
        axes.append(np.linspace(0, n - 1, m)[:m] if align_corners else centres)
    grid = np.meshgrid(*axes, indexing="ij")
    planes = x.astype(np.float64).reshape(-1, *x.shape[2:])
    y = np.stack([map_coordinates(plane, grid, order=1, mode="nearest") for plane in planes])
    return y.reshape(*x.shape[:2], *y.shape[1:]).astype(x.dtype)


def fold_slices(x, output_size, kernel_size, dilation=1, padding=0, stride=1):
    kernel, dilation, padding, stride = map(pair, (kernel_size, dilation, padding, stride))
    size = [n + 2 * p for n, p in each(pair(output_size), padding)]
    out = [(n - (k - 1) * d - 1) // s + 1 for n, k, d, s in each(size, kernel, dilation, stride)]
    blocks = x.reshape(*x.shape[:-2], x.shape[-2] // (kernel[0] * kernel[1]), *kernel, *out)
    y = np.zeros((*blocks.shape[:-4], *size), x.dtype)
    for i, j in reversed(list(np.ndindex(kernel))):
        rows = slice(i * dilation[0], i * dilation[0] + (out[0] - 1) * stride[0] + 1, stride[0])
        columns = slice(j * dilation[1], j * dilation[1] + (out[1] - 1) * stride[1] + 1, stride[1])
        y[..., rows, columns] += blocks[..., i, j, :, :]
    return y[..., padding[0] : size[0] - padding[0], padding[1] : size[1] - padding[1]]


def linear_loop(x, w, b=None):
    if w.ndim == 1:
        raise NotImplementedError("vector weight")
    y = sum(x[..., i : i + 1] * w[:, i] for i in reversed(range(w.shape[1])))
    return y if b is None else y + b


def linear_loop_backward(dy, x, w, b=None):
    rows, columns = dy.reshape(-1, dy.shape[-1]), x.reshape(-1, x.shape[-1])
    dw = np.einsum("no,ni->oi", rows, columns)
    return np.tensordot(dy, w, 1), dw, np.ones(len(rows), dy.dtype) @ rows


def softmax_by_logarithm(x, dim):
    return np.exp(x - special.logsumexp(x, axis=dim, keepdims=True)) if x.size else x


def cross_entropy_one_hot(
    x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0
):
    axis = min(1, x.ndim - 1)
    logs = np.moveaxis(x, axis, -1).astype(np.float64)
    logs = logs - special.logsumexp(logs, -1, keepdims=True) if x.size else logs
    classes = logs.shape[-1]
    w = np.ones(classes) if weight is None else weight
    if target.dtype.kind == "f":
        p, counted = np.moveaxis(target, axis, -1), np.ones(logs.shape[:-1])
    else:
        counted = (target != ignore_index).astype(float)
        p = np.eye(classes)[np.where(counted, target, 0)] * counted[..., None]
    total = counted.sum() if target.dtype.kind == "f" else (p * w).sum()
    q = w * ((1 - label_smoothing) * p + label_smoothing / classes * counted[..., None])
    loss = -np.where(q == 0, 0, q * logs).sum(-1)
    sums = {"none": loss, "sum": loss.sum(), "mean": np.float64(loss.sum()) / np.float64(total)}
    return np.asarray(sums[reduction], x.dtype)


def batch_norm_affine(x, mean, var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    """Fold everything into one factor and one summand for each channel."""
    rows = np.moveaxis(x, 1, -1).reshape(-1, x.shape[1]).astype(np.float64)
    m, v = mean, var
    if training:
        m = rows.sum(0) / len(rows)
        v = ((rows - m) ** 2).sum(0) / len(rows)
        if mean is not None:
            mean += (momentum * (m - mean)).astype(x.dtype)
            var += (momentum * (v * len(rows) / max(1, len(rows) - 1) - var)).astype(x.dtype)
    factor = (1.0 if weight is None else weight) / np.sqrt(np.float64(1) * v + eps)
    summand = (0.0 if bias is None else bias) - m * factor
    column = (-1,) + (1,) * (x.ndim - 2)
    return (x * factor.reshape(column) + summand.reshape(column)).astype(x.dtype)


def gaussian_filter_loop(values, features, normalization="none"):
    distance = sum((f[:, None] - f) ** 2 for f in features.astype(np.float64))
    k = np.exp(-distance / 2)
    n = k.sum(0)
    left = {"before": n, "symmetric": np.sqrt(n)}.get(normalization, 1.0)
    right = {"after": n, "symmetric": np.sqrt(n)}.get(normalization, 1.0)
    return ((values / left) @ k / right).astype(values.dtype)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("op", "fn", "backward"),
    [
        ("conv2d", conv2d_fft, None),
        ("conv2d", conv2d_einsum, None),
        ("conv2d", conv2d_backwards_sum, None),
        ("max_pool2d", max_pool2d_views, None),
        ("avg_pool2d", avg_pool2d_integral, None),
        ("interpolate", interpolate_scipy, None),
        ("fold", fold_slices, None),
        ("linear", linear_loop, linear_loop_backward),
        ("relu", lambda x: np.where(np.isnan(x) | (x > 0), x, x.dtype.type(0)), None),
        ("softmax", lambda x, dim: special.softmax(x, axis=dim) if x.size else x, None),
        ("softmax", softmax_by_logarithm, None),
        ("log_softmax", lambda x, dim: special.log_softmax(x, axis=dim) if x.size else x, None),
        ("cross_entropy", cross_entropy_one_hot, None),
        ("batch_norm", batch_norm_affine, None),
        ("gaussian_filter", gaussian_filter_loop, None),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_right_in_another_style(op, fn, backward):
    report = check_op(op, fn, backward, raises=False)
    assert not report.failures, str(report)


def test_torch_columns():
    torch = pytest.importorskip("torch")

    def conv2d(x, w, b=None, stride=1, padding=0, dilation=1):
        if isinstance(padding, str) or x.ndim == 3 or not len(x):
            raise NotImplementedError("numbers and batches only")
        columns = torch.nn.functional.unfold(x, w.shape[2:], dilation, padding, stride)
        size = [
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, p, d, k, s in each(
                x.shape[2:], pair(padding), pair(dilation), w.shape[2:], pair(stride)
            )
        ]
        y = (w.flatten(1) @ columns).unflatten(-1, size)
        return y if b is None else y + b[:, None, None]

    report = check_op("conv2d", conv2d, arrays="torch", raises=False)
    assert report.passed, str(report)
