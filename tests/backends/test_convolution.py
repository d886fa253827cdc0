"""Every algorithm of the fast convolution: the table's rows, real layers, and the corners."""

import numpy as np
import pytest

from minideeplab import functional as F
from minideeplab import ops
from minideeplab.backends.numba_cpu import ALGORITHMS, conv2d, conv2d_backward, convolution
from minideeplab.backends.numba_cpu.convolution import (
    cost,
    direct,
    direct_taps,
    im2col,
    winograd,
)
from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.runtime import parallel
from minideeplab.backends.numba_cpu.runtime.parallel import thread_count
from minideeplab.bench import accuracy
from minideeplab.testing.frameworks import Minideeplab
from minideeplab.testing.operations import cases
from minideeplab.testing.runner import check_row


def problem(x, w, padding, dilation):
    sides = ((padding, padding), (padding, padding))
    return Problem.of(x.shape, w.shape, (1, 1), sides, (dilation, dilation), 1)


def layer(channels, filters, size, dilation, seed=0):
    """A 3x3 layer (N, C, H, W), w, b, dy in float32, as (arrays, options of ops.conv2d)."""
    rng = np.random.default_rng(seed)
    x = np.maximum(rng.standard_normal((2, channels, *size), np.float32), 0)
    w = rng.standard_normal((filters, channels, 3, 3), np.float32) / np.sqrt(9 * channels)
    dy = rng.standard_normal((2, filters, *size), np.float32)
    sides = ((dilation, dilation), (dilation, dilation))
    return (x, w.astype(np.float32), dy), ((1, 1), sides, (dilation, dilation), 1)


def worst(result, expected):
    return np.abs(result - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_algorithm_on_the_table(algorithm, dtype):
    judged = Minideeplab(backend="numba")

    def fn(*args, **options):
        return F.conv2d(*args, **options, algorithm=algorithm)

    wrong = [
        f"{case.id}: {mismatch}"
        for case in cases("conv2d")
        for mismatch in check_row(fn, case, dtype, judged)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("size", "dilation"), [((21, 34), 1), ((17, 23), 2), ((13, 9), 5)])
def test_winograd_rounds_little(monkeypatch, size, dilation):
    (x, w, dy), options = layer(48, 80, size, dilation)
    tiles = cost.Choice("winograd", True, 0.0)
    monkeypatch.setattr(convolution, "choose", lambda *_: tiles)
    monkeypatch.setattr(im2col, "convolve", None)  # a fallback is an error
    monkeypatch.setattr(im2col, "weight_gradient", None)
    y = conv2d(x, w, None, *options)
    dx, dw, db = conv2d_backward(dy, x, w, *options)
    exact = [a.astype(np.float64) for a in (x, w, dy)]
    assert worst(y, ops.conv2d(*exact[:2], None, *options)) < 5e-6
    gradients = ops.conv2d_backward(exact[2], *exact[:2], *options)
    for ours, theirs in zip((dx, dw, db), gradients, strict=True):
        assert worst(ours, theirs) < 5e-6


def test_streamed_and_blocked_schedules_agree(monkeypatch):
    (x, w, dy), _ = layer(32, 48, (40, 40), 1)
    results = []
    for limit in (0, 1 << 30):
        monkeypatch.setattr(winograd, "CACHED_BYTES", limit)
        monkeypatch.setattr(winograd, "CHUNK_BYTES", 1 << 20)
        y = F.conv2d(x, w, padding=1, algorithm="winograd")
        results.append(
            (
                y,
                winograd.weight_gradient(
                    *(np.ascontiguousarray(a.transpose(0, 2, 3, 1)) for a in (dy, x)),
                    problem(x, w, 1, 1),
                ),
            )
        )
    assert worst(results[0][0], results[1][0]) < 1e-6
    assert worst(results[0][1], results[1][1]) < 1e-5


def test_the_gradient_of_a_1x1_kernel_of_many_channels():
    rng = np.random.default_rng(0)
    shapes = (2, 592, 9, 7), (2, 528, 9, 7), (592, 528, 1, 1)  # 37 and 33 panels: no full parts
    dy, x, w = (rng.standard_normal(shape, np.float32) for shape in shapes)
    options = ((1, 1), ((0, 0), (0, 0)), (1, 1), 1)
    dw = conv2d_backward(dy, x, w, *options, algorithm="direct")[1]
    exact = ops.conv2d_backward(*(a.astype(np.float64) for a in (dy, x, w)), *options)[1]
    assert worst(dw, exact) < 3e-6


@pytest.mark.parametrize("kind", accuracy.KINDS)
def test_every_output_keeps_the_accuracy_of_its_own_window(kind):
    layer = accuracy.Layer(channels=32, filters=48, side=26)
    found = accuracy.errors(layer, kind, seed=1)
    large = {(n, form): e for n, by in found.items() for form, e in by.items() if not e < 64}
    assert not large


def test_inaccurate_tiles_are_computed_directly(monkeypatch):
    (x, w, _), options = layer(64, 32, (40, 40), 2)
    x[1, 5, 20, 20] = 1e20
    y = conv2d(x, w, None, *options, algorithm="polyphase")
    monkeypatch.setattr(winograd, "direct_tiles", lambda *args: None)
    spread = conv2d(x, w, None, *options, algorithm="polyphase")
    exact = ops.conv2d(x.astype(np.float64), w.astype(np.float64), None, *options)
    near = np.abs(exact) < 1e6
    assert np.abs(y - exact)[near].max() < 1e-3 < np.abs(spread - exact)[near].max()


def test_many_inaccurate_tiles_are_a_direct_convolution():
    (x, w, dy), options = layer(32, 32, (24, 24), 1)
    x = np.exp(3 * x) * np.sign(dy)
    exact = conv2d(x, w, None, *options, exact=True)
    np.testing.assert_array_equal(conv2d(x, w, None, *options, algorithm="winograd"), exact)


def test_a_filter_of_zeros_does_not_make_tiles_coarse(monkeypatch):
    (x, w, _), options = layer(32, 32, (24, 24), 1)
    w[3] = 0
    monkeypatch.setattr(winograd, "direct_tiles", None)
    monkeypatch.setattr(im2col, "convolve", None)
    assert not conv2d(x, w, None, *options, algorithm="winograd")[:, 3].any()


def test_weights_of_zero_give_zero():
    (x, w, dy), options = layer(32, 32, (24, 24), 1)
    assert not conv2d(x, 0 * w, None, *options, algorithm="winograd").any()
    assert not conv2d_backward(dy, x, 0 * w, *options, algorithm="winograd")[0].any()


def test_a_nan_stays_where_the_definition_puts_it():
    (x, w, _), options = layer(32, 32, (48, 48), 1)
    x[0, 3, 20, 20], x[1, 5, 7, 9] = np.nan, np.inf
    y = F.conv2d(x, w, padding=1, algorithm="winograd")
    expected = ops.conv2d(x, w, None, *options)
    np.testing.assert_array_equal(np.isnan(y), np.isnan(expected))
    np.testing.assert_array_equal(np.isinf(y), np.isinf(expected))


@pytest.mark.parametrize("dilation", [1, 2])
def test_results_do_not_depend_on_the_number_of_threads(monkeypatch, dilation):
    (x, w, dy), options = layer(64, 64, (41, 37), dilation)

    def run():
        return conv2d(x, w, None, *options), *conv2d_backward(dy, x, w, *options)

    expected = run()
    monkeypatch.setattr(parallel, "thread_count", lambda: 1)
    for one, several in zip(run(), expected, strict=True):
        np.testing.assert_array_equal(one, several)


def test_exact_and_float64_and_small_problems_avoid_winograd():
    (x, w, _), _ = layer(64, 64, (64, 64), 1)
    large = problem(x, w, 1, 1)
    assert cost.choose(large, np.dtype(np.float32)).winograd
    assert not cost.choose(large, np.dtype(np.float32), exact=True).winograd
    assert not cost.choose(large, np.dtype(np.float64)).winograd
    small = problem(x[:1, :, :8, :8], w, 1, 1)
    assert not cost.choose(small, np.dtype(np.float32)).winograd


def test_far_taps_are_left_out():
    x, w = np.zeros((1, 512, 41, 41), np.float32), np.zeros((1024, 512, 3, 3), np.float32)
    assert cost.choose(problem(x, w, 24, 24), x.dtype).algorithm == "taps"


def test_explain_prints_the_choice(capsys):
    (x, w, _), _ = layer(64, 64, (64, 64), 2)
    F.conv2d(x, w, padding=2, dilation=2, explain=True)
    text = capsys.readouterr().out
    assert "polyphase" in text and "im2col" in text and text.count("<- taken") == 1


def test_unknown_algorithm_is_named():
    (x, w, _), _ = layer(16, 16, (8, 8), 1)
    with pytest.raises(ValueError, match=r"algorithm: .*'fft'.*winograd"):
        F.conv2d(x, w, algorithm="fft")


def test_results_stay_channels_last():
    (x, w, _), _ = layer(16, 32, (9, 8), 1)
    y = F.max_pool2d(F.relu(F.conv2d(x, w)), 2)
    assert y.transpose(0, 2, 3, 1).flags.c_contiguous


DIRECT = {  # channels, filters, size, kernel, stride, padding (top, bottom), (left, right)
    "first-layer": (3, 32, (21, 40), (3, 3), (2, 2), ((1, 1), (1, 1))),
    "strides-differ": (16, 48, (25, 38), (3, 5), (3, 2), ((0, 2), (1, 3))),
    "even-kernel": (32, 16, (18, 33), (2, 4), (2, 2), ((1, 0), (2, 1))),
    "rows-only": (16, 32, (19, 23), (3, 1), (2, 1), ((1, 1), (0, 0))),
    "odd-channels": (7, 16, (14, 29), (3, 3), (1, 1), ((1, 1), (1, 1))),
    "kernel-below-stride": (16, 16, (20, 40), (1, 1), (2, 2), ((0, 0), (0, 0))),
    "one-block": (16, 32, (9, 10), (3, 3), (1, 1), ((0, 0), (0, 0))),
    "odd-filters": (16, 21, (12, 25), (3, 3), (1, 1), ((1, 1), (1, 1))),
    "odd-filters-strided": (16, 21, (12, 25), (3, 3), (2, 2), ((1, 1), (1, 1))),
    "pointwise": (512, 48, (5, 13), (1, 1), (1, 1), ((0, 0), (0, 0))),
    "pointwise-odd": (20, 21, (31, 67), (1, 1), (1, 1), ((0, 0), (0, 0))),
    "pointwise-few-pixels": (16, 32, (2, 2), (1, 1), (1, 1), ((0, 0), (0, 0))),
    "padded-pointwise": (16, 16, (4, 9), (1, 1), (1, 1), ((1, 0), (2, 1))),
    "large-gradient": (192, 176, (6, 9), (3, 3), (1, 1), ((1, 1), (1, 1))),
}


@pytest.mark.parametrize("name", DIRECT)
def test_the_direct_form_is_exact(name):
    channels, filters, size, kernel, stride, padding = DIRECT[name]
    rng = np.random.default_rng(4)
    x = rng.standard_normal((2, channels, *size), np.float32)
    w = rng.standard_normal((filters, channels, *kernel), np.float32)
    options = (stride, padding, (1, 1), 1)
    assert direct.suits(Problem.of(x.shape, w.shape, *options), x.dtype)
    exact = [a.astype(np.float64) for a in (x, w)]
    y, expected = (
        conv2d(x, w, None, *options, algorithm="direct"),
        ops.conv2d(*exact, None, *options),
    )
    assert worst(y, expected) < 2e-6
    dy = rng.standard_normal(y.shape, np.float32)
    gradients = conv2d_backward(dy, x, w, *options, algorithm="direct")
    for one, other in zip(gradients, ops.conv2d_backward(dy, *exact, *options), strict=True):
        assert worst(one, other) < 2e-6


@pytest.mark.parametrize("width", range(1, 24))
def test_gradients_of_strides_stay_inside_their_maps(width, monkeypatch):
    """Each remainder of the columns is computed as a row, which may be shorter than a block."""
    arrays = []

    def guarded(name, shape, dtype):
        arrays.append(np.full((3, thread_count(), *shape), 7, dtype))
        return arrays[-1][1]

    rng = np.random.default_rng(width)
    x = rng.standard_normal((2, 1, 6, width + 1), np.float32)
    w = rng.standard_normal((3, 1, 1, 2), np.float32)
    options = ((1, 2), ((0, 0), (0, 0)), (1, 1), 1)
    dy = np.ones(ops.conv2d(x, w, None, *options).shape, np.float32)
    monkeypatch.setattr(direct, "per_thread_scratch", guarded)
    dx, _, _ = conv2d_backward(dy, x, w, *options, needs=(True, False, False))
    expected, _, _ = ops.conv2d_backward(dy, x, w, *options)
    np.testing.assert_allclose(dx, expected, atol=1e-5)
    assert all((array[[0, 2]] == 7).all() for array in arrays)


TAPS = {  # channels, filters, size, stride, padding, dilation: blocks, overlaps, single outputs
    "far-apart": (24, 64, (23, 41), (1, 1), 18, 18),
    "hardly-reached": (48, 32, (13, 11), (1, 1), 9, 9),
    "whole-rows": (24, 32, (9, 16), (1, 1), 0, 2),
    "strided": (24, 32, (25, 30), (2, 3), 4, 4),
    "few-columns": (48, 32, (20, 5), (1, 1), 2, 2),
    "none-reached": (24, 32, (4, 9), (1, 1), 12, 10),
}


@pytest.mark.parametrize("name", TAPS)
def test_direct_taps_are_exact(name):
    channels, filters, size, stride, padding, dilation = TAPS[name]
    rng = np.random.default_rng(6)
    x = rng.standard_normal((2, channels, *size), np.float32)
    w = rng.standard_normal((filters, channels, 3, 3), np.float32)
    b = rng.standard_normal(filters, np.float32)
    options = (stride, ((padding, padding),) * 2, (dilation, dilation), 1)
    assert direct_taps.suits(Problem.of(x.shape, w.shape, *options), x.dtype)
    exact = [a.astype(np.float64) for a in (x, w)]
    y = conv2d(x, w, b, *options, algorithm="taps")
    assert worst(y, ops.conv2d(*exact, b, *options)) < 2e-6
    dy = rng.standard_normal(y.shape, np.float32)
    gradients = conv2d_backward(dy, x, w, *options, algorithm="taps")
    for one, other in zip(gradients, ops.conv2d_backward(dy, *exact, *options), strict=True):
        assert worst(one, other) < 2e-6


def test_the_direct_form_leaves_a_nan_where_it_is():
    x, w = np.ones((1, 16, 12, 20), np.float32), np.ones((16, 16, 3, 3), np.float32)
    x[0, 2, 5, 9] = np.nan
    options = ((2, 2), ((1, 1), (1, 1)), (1, 1), 1)
    y = convolution.conv2d_epilogue(x, w, None, *options, rectify=True)
    assert direct.suits(Problem.of(x.shape, w.shape, *options), x.dtype)
    np.testing.assert_array_equal(np.isnan(y), np.isnan(ops.conv2d(x, w, None, *options)))


@pytest.mark.parametrize("algorithm", cost.ALGORITHMS)
def test_an_empty_batch_has_gradients_of_zero(algorithm):
    x, w = np.zeros((0, 16, 24, 24), np.float32), np.ones((32, 16, 3, 3), np.float32)
    options = ((1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    y = conv2d(x, w, None, *options, algorithm=algorithm)
    assert y.shape == (0, 32, 24, 24)
    dx, dw, db = conv2d_backward(y, x, w, *options, algorithm=algorithm)
    assert dx.shape == x.shape and not dw.any() and not db.any()
    assert dw.shape == w.shape and db.shape == (32,)
