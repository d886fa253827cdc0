"""Mistakes that no table of mutants holds: they are seen, and the report says where to look."""

import warnings

import numpy as np
import pytest

from minideeplab.testing import check_op
from minideeplab.testing.mutant import right, right_backward


def few_channels(x, **options):
    y = right("max_pool2d")(x, **options)
    y, *rest = y if isinstance(y, tuple) else (y,)
    y[..., 1:, :, :] = y[..., :1, :, :]
    return (y, *rest) if rest else y


def bias_changed(x, w, b=None):
    y = right("linear")(x, w, b)
    if b is not None:
        b *= 2
    return y


def third_axis(x, dim):
    return right("softmax")(x, dim=2 if dim == -3 else dim)


def flat(x, w, b=None):
    return right("linear")(x.reshape(-1, x.shape[-1]) if x.ndim > 2 else x, w, b)


def swapped(dy, *arrays):
    dx, *others = right_backward("linear")(dy, *arrays)
    return [dx, *others[::-1]]


@pytest.mark.parametrize(
    ("op", "fn", "backward", "said"),
    [
        ("max_pool2d", few_channels, None, "only channels after the first"),
        ("linear", bias_changed, None, "writes to its bias, and"),
        ("linear", flat, None, "another number of axes"),
        ("linear", right("linear"), swapped, "in another order"),
        ("softmax", third_axis, None, "exactly the rows with dim=-3 are wrong"),
        ("relu", right("relu"), lambda dy, x: 0.3 * right_backward("relu")(dy, x)[0],
         "0.3 times the right one"),
    ],
)  # fmt: skip
def test_what_is_said(op, fn, backward, said):
    report = check_op(op, fn, backward, raises=False)
    assert report.verdict == "FAIL" and said in report.diagnosis


def test_lost_nan():
    report = check_op("linear", lambda x, *rest: right("linear")(np.nan_to_num(x), *rest),
                      raises=False)  # fmt: skip
    assert [row.row for row in report.failures] == ["linear/property-nan-is-seen"]
    assert "not the rule nan-is-seen: NaN" in report.diagnosis


def test_a_backward_that_remembers():
    total = {}

    def backward(dy, x):
        total[x.dtype] = total.get(x.dtype, 0.0) + 1e-3
        return right_backward("relu")(dy, x)[0] * x.dtype.type(
            1 + total[x.dtype] * (dy.size == 120)
        )

    report = check_op("relu", right("relu"), backward, raises=False)
    assert "relu/property-gradients-twice" in {row.row for row in report.failures}


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (1, 2, 3), (0, 1)], ids=["seed", "image", "plane"])
def test_masks_that_depend_on_each_other(axes):
    rng = np.random.default_rng(0)

    def dropout(x, p=0.5, training=True):
        if not training or p in (0, 1) or x.ndim != 4:
            return right("dropout")(x, p=p, training=training)
        used = np.random.default_rng(1) if len(axes) == 4 else rng
        kept = used.random([n if i in axes else 1 for i, n in enumerate(x.shape)]) >= p
        return (x * kept / (1 - p)).astype(x.dtype)

    report = check_op("dropout", dropout, raises=False)
    assert "dropout/property-dropout-masks" in {row.row for row in report.failures}


def test_warnings_are_no_verdict():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check_op("softmax", right("softmax")).passed


@pytest.mark.parametrize(("share", "verdict"), [(0.5, "PASS"), (0.45, "INCOMPLETE")])
def test_how_much_must_be_judged(share, verdict):
    from minideeplab.testing.report import Report, RowResult

    rows = [RowResult(f"relu/{i}", "pass" if i < 100 * share else "skip") for i in range(100)]
    assert Report("relu", "f", rows).verdict == verdict


def raising(*arrays, **options):
    raise TypeError("no such thing")


def test_what_raises_is_not_compared_with_numbers():
    def backward(dy, x, target, *rest, **options):
        if target.dtype.kind == "f":
            raise IndexError("labels must be whole numbers")
        return right_backward("cross_entropy")(dy, x, target, *rest, **options)

    said = check_op("cross_entropy", right("cross_entropy"), backward, raises=False).diagnosis
    assert "backward, line" in said and "of test_remarks.py raises IndexError" in said
    assert "exactly the rows with class-probability targets" in said
    assert "the same on" not in said
    assert "every row raises" in check_op("softmax", raising, raises=False).diagnosis


@pytest.mark.parametrize(
    ("op", "fn"),
    [
        ("softmax", lambda x, dim: right("softmax")(x, dim) + x.dtype.type(1e-3)),
        ("batch_norm", lambda *a, **o: right("batch_norm")(*a, **o) + a[0].dtype.type(1e-3)),
        ("conv2d", lambda x, w, *b, **o: right("conv2d")(x, w * w.dtype.type(1 + 1e-6), *b, **o)),
        ("dense_crf", lambda u, i, **o: (0.995 * right("dense_crf")(u, i, **o)).astype(u.dtype)),
    ],
)
def test_a_small_error_is_not_called_a_precision(op, fn):
    said = check_op(op, fn, raises=False).diagnosis
    assert said and "precision" not in said and "float" not in said


def test_a_low_precision_is_recognised():
    def half(x, w, b=None):
        arrays = [None if a is None else a.astype(np.float16) for a in (x, w, b)]
        return right("linear")(*[a if a is None else a.astype("f8") for a in arrays]).astype(
            np.float16).astype(x.dtype)  # fmt: skip

    assert "float16" in check_op("linear", half, raises=False).diagnosis


def test_only_where_dim_is_not_one():
    def halved(x, dim):
        return right("softmax")(x, dim) * x.dtype.type(1 if dim == 1 else 0.5)

    said = check_op("softmax", halved, raises=False).diagnosis
    assert "exactly the rows with dim other than 1 are wrong" in said
    assert "there, but not elsewhere, every result is 0.5 times" in said


def test_a_factor_of_one_row_is_not_a_rule():
    def once(x, dim):
        y = right("softmax")(x, dim)
        return 0.3 * y if x.shape == (2, 5, 3) and x.dtype == np.float64 else y

    said = check_op("softmax", once, raises=False).diagnosis
    assert "the same on" not in said and "where it is wrong, every result is 0.3 times" in said


def test_two_mistakes_that_fit_equally_are_both_named():
    def short(x, w, b=None):
        kept = np.arange(x.shape[-1]) < x.shape[-1] - 1
        return right("linear")(np.where(kept, x, 0).astype(x.dtype), w, b)

    said = check_op("linear", short, raises=False).diagnosis
    assert "the input without the last entry" in said and "or, as well, " in said
    assert "the weight without the last entry" in said


def test_results_that_depend_on_earlier_calls():
    calls = []

    def tired(x, **options):
        calls.append(x)
        return right("avg_pool2d")(x, **options) * x.dtype.type(1 if len(calls) < 20 else 1.1)

    said = check_op("avg_pool2d", tired, raises=False).diagnosis
    assert "is wrong when run again: results depend on earlier calls" in said
