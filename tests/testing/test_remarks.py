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
