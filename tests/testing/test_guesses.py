"""Mistakes told from the results alone: other arguments, changed results, fitted numbers."""

import numpy as np
import pytest

from minideeplab.diagnosis.fitting import nice, solve
from minideeplab.testing import check_op
from minideeplab.testing.mutant import gradients, right

softmax, conv2d, crf = right("softmax"), right("conv2d"), right("dense_crf")


def wider(unary, image, **options):
    names = {"gaussian_sxy": 3.0, "bilateral_sxy": 67.0, "bilateral_srgb": 3.0}
    widths = {name: 1.5 * options.get(name, default) for name, default in names.items()}
    return crf(unary, image, **options | widths)


@pytest.mark.parametrize(
    ("op", "fn", "said"),
    [
        ("max_pool2d", lambda x, **o: right("max_pool2d")(np.abs(x), **o), "the absolute value of"),
        ("softmax", lambda x, dim: (softmax(x, dim) ** 1.01).astype(x.dtype), "the power 1.01"),
        ("softmax", lambda x, dim: softmax(x / 2, dim), "the input divided by 2"),
        ("conv2d", lambda *a, **o: np.tanh(conv2d(*a, **o)), "the hyperbolic tangent"),
        ("conv2d", lambda x, *a, **o: conv2d(x / 255, *a, **o), "the input divided by 255"),
        ("dense_crf", lambda u, image, **o: crf(u, image / 255, **o), "image divided by 255"),
        ("dense_crf", wider, "gaussian_sxy and bilateral_sxy and bilateral_srgb times 1.5"),
        ("batch_norm", lambda *a, **o: right("batch_norm")(*a, **o | {"eps": 0.02}), "eps = 0.02"),
        ("avg_pool2d",
         lambda x, **o: right("avg_pool2d")(x, **o) * np.prod(np.broadcast_to(o["kernel_size"], 2)),
         "the size of the window"),
    ],
)  # fmt: skip
def test_forward(op, fn, said):
    report = check_op(op, fn, raises=False)
    assert report.verdict == "FAIL" and said in report.diagnosis


@pytest.mark.parametrize(
    ("op", "change", "said"),
    [
        (
            "linear",
            lambda g, dy, a, o: {1: g[1] + 5e-4 * a[1]},
            "0.0005 times the weight is added",
        ),
        (
            "conv2d",
            lambda g, dy, a, o: {0: g[0] / 2},
            "grad_input: every result is 0.5 times the",
        ),
        ("conv2d", lambda g, dy, a, o: {0: np.abs(g[0])}, "the absolute value of the right one"),
        ("relu", lambda g, dy, a, o: {0: g[0] * a[0]}, "times the input once more"),
    ],
)
def test_backward(op, change, said):
    report = check_op(op, right(op), gradients(op, change), raises=False)
    assert report.verdict == "FAIL" and said in report.diagnosis


def test_what_is_right_elsewhere_is_not_guessed():
    def wrong_once(x, dim):  # as if of x / 2, but on one row of many
        return softmax(x / 2 if x.shape == (2, 5, 3) else x, dim)

    report = check_op("softmax", wrong_once, raises=False)
    assert [row.row for row in report.failures] == ["softmax/three-axes"]
    assert "divided by 2" not in report.diagnosis


def test_wrong_in_some_rows_only():
    def conv(x, w, *b, dilation=1, **options):
        if np.max(dilation) > 1:  # the last column is not read
            x = np.where(np.arange(x.shape[-1]) < x.shape[-1] - 1, x, 0)
        return conv2d(x, w, *b, dilation=dilation, **options)

    said = check_op("conv2d", conv, raises=False).diagnosis
    assert "rows with dilation other than 1" in said
    assert "there, but not elsewhere, the results are those of the input without" in said


@pytest.mark.parametrize("number", [0.25, 1 / 255, np.sqrt(2), -3.5, np.pi])
def test_numbers_are_found(number):
    x = np.linspace(0, 1, 7)
    assert solve(lambda c: np.exp(c * x), np.exp(number * x)) == pytest.approx(number, rel=1e-12)


def test_no_number_fits():
    x = np.linspace(0, 1, 7)
    assert solve(lambda c: np.exp(c * x), np.full(7, -1.0)) is None
    assert solve(lambda c: None, x) is None


def test_a_jump_is_no_number():
    def steps(c):  # wrong by one on either side of a jump, and NaN-free
        return np.full(3, -1.0 if c < 1.3 else 1.0)

    number = solve(steps, np.zeros(3))
    assert number is None or abs(number - 1.3) < 1e-6


def test_nice_numbers():
    assert nice(0.3333333333333) == 1 / 3 and nice(1.41421356237) == np.sqrt(2)
    assert nice(np.pi) == np.pi and nice(0.0) == 0.0
