"""Comparison: what counts as equal, and what is said otherwise."""

import numpy as np
import pytest

from minideeplab.testing.compare import compare, exact, tolerance
from minideeplab.testing.operations import cases
from minideeplab.testing.runner import reference

NAN, INF = float("nan"), float("inf")


def kind(got, expected, tol=1e-6, dtype="float64"):
    mismatch = compare("output", np.asarray(got), np.asarray(expected, "f8"), tol, np.dtype(dtype))
    return mismatch and mismatch.kind


@pytest.mark.parametrize(
    ("got", "expected", "verdict"),
    [
        ([1.0, 2.0], [1.0, 2.0 + 1e-7], None),
        ([1.0, 2.0], [1.0, 2.1], "value"),
        ([1.0, NAN], [1.0, NAN], None),
        ([1.0, NAN], [NAN, 1.0], "nan"),
        ([INF, 1.0], [INF, 1.0], None),
        ([INF, 1.0], [-INF, 1.0], "nan"),
        ([INF, 1.0], [1e300, 1.0], "nan"),
        ([[1.0, 2.0]], [1.0, 2.0], "shape"),
        (np.float32([1.0, 2.0]), [1.0, 2.0], "dtype"),
    ],
)
def test_verdicts(got, expected, verdict):
    assert kind(got, expected) == verdict


def test_message_names_the_worst_entry():
    expected = np.zeros((2, 3))
    got = expected.copy()
    got[1, 2], got[0, 1] = 3.0, 1.0
    mismatch = compare("output", got, expected, 0.5, np.dtype("f8"))
    assert mismatch.index == (1, 2) and mismatch.units == 6.0
    assert "2 of 6 entries" in str(mismatch) and "(1, 2)" in str(mismatch)


def row(op, name):
    return next(case for case in cases(op) if case.name == name)


def test_tolerance_grows_with_the_reduction_and_the_precision():
    short, long = row("conv2d", "1x1"), row("conv2d", "many-channels")
    relative = []
    for case in (short, long):
        expected = reference(case, "float64")
        bound = tolerance(case, "output", case.arguments("float64"), expected)
        assert 0 < bound < 1e-11
        relative.append(bound / np.abs(expected["output"]).max())
    assert relative[1] > 5 * relative[0]
    single = tolerance(long, "output", long.arguments("float32"), reference(long, "float32"))
    assert 1e-6 < single < 1e-3


@pytest.mark.parametrize("op", ["max_pool2d", "relu", "pad", "unfold"])
def test_copies_must_be_equal(op):
    assert all(exact(case, "output") for case in cases(op))
