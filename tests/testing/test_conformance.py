"""check_op: right functions pass, wrong ones fail with the reason, and the reports say so."""

import json
import re

import numpy as np
import pytest

from minideeplab.testing import check_op
from minideeplab.testing.mutant import right, right_backward
from minideeplab.testing.operations import NAMES, mutants
from minideeplab.testing.selftest import trials


def relu(x):
    return np.maximum(x, 0)


def relu_backward(dy, x):
    return np.where(x <= 0, 0, dy)


@pytest.mark.parametrize("op", NAMES)
def test_definition_passes(op):
    report = check_op(op, right(op), right_backward(op))
    assert report.passed and not report.failures and report.diagnosis == ""


def test_forward_and_backward_of_a_student():
    report = check_op("relu", relu, backward=relu_backward)
    assert re.match(r"PASS (\d+)/\1  relu", str(report))
    forward = check_op("relu", relu, name="mine.py:relu")
    assert re.match(r"PASS (\d+)/\1 \(forward only\)  relu  mine.py:relu", str(forward))


def test_wrong_backward_raises_with_the_report():
    with pytest.raises(AssertionError, match="the gradient passes at zero") as caught:
        check_op("relu", relu, backward=lambda dy, x: np.where(x < 0, 0, dy))
    assert str(caught.value).startswith("FAIL") and "relu/zeros" in str(caught.value)


def conv2d_flipped(x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
    return right("conv2d")(x, w[..., ::-1, ::-1], b, stride, padding, dilation, groups)


def test_reports():
    report = check_op("conv2d", conv2d_flipped, raises=False)
    assert not report.passed and "flipped" in report.diagnosis
    content = json.loads(report.to_json())
    assert content["verdict"] == "FAIL" and content["rows"][0]["findings"]
    markdown = report.to_markdown()
    assert markdown.startswith("## FAIL") and markdown.count("\n|") == len(report.rows) + 2


def test_channels_last_is_recognised():
    def nhwc(x, **options):
        y = right("avg_pool2d")(np.moveaxis(x, -1, 1), **options)
        return np.moveaxis(y, 1, -1)

    assert "NHWC" in check_op("avg_pool2d", nhwc, raises=False).diagnosis


def test_what_is_not_implemented_is_not_wrong():
    def no_groups(x, w, b=None, stride=1, padding=0, dilation=1):
        if isinstance(padding, str):
            raise NotImplementedError("only numbers")
        return right("conv2d")(x, w, b, stride, padding, dilation)

    report = check_op("conv2d", no_groups)
    assert report.passed and "not implemented" in str(report)
    assert {"only numbers", "has no parameter groups"} <= {row.reason for row in report.skipped}


def test_nothing_done_is_not_passed():
    def later(x):
        raise NotImplementedError("task 1")

    report = check_op("relu", later, raises=False)
    assert report.verdict == "INCOMPLETE" and not report.passed and not report.failures
    assert re.search(r"no verdict: nothing is wrong in 0 of \d+ rows", str(report))


def test_a_diverged_weight_must_show():
    def cleaned(x, w, b=None):
        return right("linear")(x, np.nan_to_num(w), b)

    report = check_op("linear", cleaned, raises=False)
    assert [row.row for row in report.failures] == ["linear/nan-parameters"]


def test_dtypes_and_skipped_rows():
    def only_double(x):
        assert x.dtype == np.float64
        return relu(x)

    assert check_op("relu", only_double, dtypes=(np.float64,)).passed
    assert not check_op("relu", only_double, raises=False).passed
    no_nan = check_op("relu", lambda x: np.where(x > 0, x, x.dtype.type(0)), skip=("nan",))
    assert no_nan.passed


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"op": "conv3d"}, "op"), ({"dtypes": ("int8",)}, "dtypes"), ({"dtypes": ()}, "dtypes"),
     ({"against": ("jax",)}, "against"), ({"arrays": "tensorflow"}, "arrays")],
)  # fmt: skip
def test_bad_arguments(arguments, named):
    with pytest.raises(ValueError, match=named):
        check_op(**{"op": "relu", "fn": relu} | arguments)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("op", ["conv2d", "batch_norm", "max_pool2d", "cross_entropy"])
def test_torch_passes(op):
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # small arrays: a second thread only waits
    try:
        fn = getattr(torch.nn.functional, op)
        assert check_op(op, fn, arrays="torch", against=("reference", "torch")).passed
    finally:
        torch.set_num_threads(threads)


def test_a_sample_of_the_known_mistakes_is_caught_and_recognised():
    judged = list(trials(every=9))
    missed = [t.mutant.name for t in judged if not t.caught]
    assert len(judged) > 30 and not missed
    assert sum(t.recognised for t in judged) >= 0.9 * len(judged)


def test_enough_known_mistakes():
    assert sum(len(mutants(op)) for op in NAMES) > 300
    assert all(any(m.backward for m in mutants(op)) for op in NAMES if op != "dropout")


def test_a_lattice_is_an_approximation():
    from minideeplab.ops.crf.lattice import build_lattice

    def lattice(values, features, normalization="none"):
        if normalization != "after":
            raise NotImplementedError(normalization)
        kernel = build_lattice(np.ascontiguousarray(features))
        total = kernel.filter(np.ones_like(values[:1]))
        return (kernel.filter(np.ascontiguousarray(values)) / total).astype(values.dtype)

    skip = ("quirk", "edge")
    report = check_op("gaussian_filter", lattice, rtol=0.4, raises=False, skip=skip)
    assert not report.failures and report.skipped
    assert check_op("gaussian_filter", lattice, rtol=1e-3, raises=False, skip=skip).failures


def test_gradients_of_another_dtype():
    report = check_op("relu", relu, lambda dy, x: relu_backward(dy, x).astype("f8"), raises=False)
    assert "another dtype" in report.diagnosis


@pytest.mark.parametrize(
    "result",
    [None, "relu", {"y": 1}, (1, 2, 3), 1.0, np.zeros(0), np.float64("nan"), object()],
    ids=lambda value: type(value).__name__,
)
def test_whatever_comes_back_is_a_verdict(result):
    report = check_op("relu", lambda x: result, raises=False)
    assert report.verdict == "FAIL" and len(str(report)) < 5000 and report.to_json()


def test_a_function_that_exits_is_judged():
    report = check_op("relu", lambda x: exit(3), raises=False)
    assert "SystemExit: 3" in report.diagnosis


def linear(x, w, b=None):
    if w.ndim == 1:
        raise NotImplementedError("vector weight")
    return x @ w.T if b is None else x @ w.T + b


def linear_backward(dy, x, w, b=None):
    rows, columns = dy.reshape(-1, dy.shape[-1]), x.reshape(-1, x.shape[-1])
    return dy @ w, rows.T @ columns, rows.sum(axis=0)


@pytest.mark.parametrize(
    "backward",
    [
        linear_backward,
        lambda dy, *arrays: linear_backward(dy, *arrays)[: len(arrays)],
        lambda dy, *arrays: list(linear_backward(dy, *arrays)),
    ],
    ids=["always three", "as many as arguments", "a list"],
)
def test_gradients_of_optional_arguments(backward):
    assert check_op("linear", linear, backward).passed


def test_too_few_gradients():
    report = check_op("linear", linear, lambda *a: linear_backward(*a)[:1], raises=False)
    assert "expected 2, for input, weight" in str(report)
