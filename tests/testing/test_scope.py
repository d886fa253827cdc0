"""What is judged: a stated scope, random rows, large sizes, orders of calls, recognised arrays."""

import sys
from itertools import pairwise

import numpy as np
import pytest

from minideeplab.cli import run
from minideeplab.testing import check_op
from minideeplab.testing.limits import LIMITS, limit_mutants
from minideeplab.testing.mutant import right, right_backward
from minideeplab.testing.operations import cases
from minideeplab.testing.properties import UNORDERED
from minideeplab.testing.scope import Scope, random_rows


def inference_only(x, mean, var, weight=None, bias=None, training=False, **options):
    if training:
        raise NotImplementedError("training")
    return right("batch_norm")(x, mean, var, weight, bias, **options)


def bilinear_only(x, mode="nearest", **options):
    if mode != "bilinear":
        raise NotImplementedError(mode)
    return right("interpolate")(x, mode=mode, **options)


@pytest.mark.parametrize(
    ("op", "fn", "scope"),
    [
        ("batch_norm", inference_only, {"scope": "inference"}),
        ("interpolate", bilinear_only, {"only": ("bilinear",)}),
    ],
)
def test_a_stated_scope_is_judged_and_said(op, fn, scope):
    report = check_op(op, fn, **scope)
    assert report.passed and not report.skipped and report.scope in report.to_markdown()
    assert str(report).partition("(")[2].startswith(report.scope) and report.scope


def test_no_verdict_says_how_to_state_a_scope():
    report = check_op("batch_norm", inference_only, raises=False)
    assert report.verdict == "INCOMPLETE" and "state the scope" in str(report)


def test_wrong_inside_the_scope_is_wrong():
    def biased(x, *rest, **options):
        return inference_only(x, *rest, **options) + x.dtype.type(0.01)

    assert check_op("batch_norm", biased, scope="inference", raises=False).verdict == "FAIL"


@pytest.mark.parametrize(
    ("scope", "named"),
    [({"skip": ("foo",)}, "skip: got 'foo', expected one of edge"),
     ({"only": ("cubic",)}, "only: got 'cubic'"), ({"scope": "half"}, "scope: got 'half'")],
)  # fmt: skip
def test_an_unknown_word_is_an_error(scope, named, capsys):
    with pytest.raises(ValueError, match=named):
        check_op("interpolate", bilinear_only, **scope)
    if "skip" in scope:
        assert run(["check", "relu", "numpy:abs", "--skip", "foo"]) == 2
        assert named in capsys.readouterr().err


def test_an_option_with_its_value_is_a_word():
    assert [row.name for row in cases("conv2d") if row in Scope(only=("groups=2",))] == [
        "groups", "groups-everything", "same-groups",
    ]  # fmt: skip


@pytest.mark.parametrize("op", ["conv2d", "interpolate", "batch_norm", "cross_entropy", "fold"])
def test_random_rows(op):
    assert check_op(op, right(op), right_backward(op), fuzz=30, seed=5).passed
    again, first = (random_rows(op, 3, 7)[2].arguments("float32") for _ in range(2))
    for name, array in first.items():
        np.testing.assert_array_equal(array, again[name])


def test_random_rows_find_what_the_table_does_not():
    def wrong_once(x, w, *b, **options):  # no row of the table has these sizes
        y = right("conv2d")(x, w, *b, **options)
        return y + 1 if w.shape[2:] == (1, 2) and options.get("dilation") else y

    assert check_op("conv2d", wrong_once, raises=False).passed
    report = check_op("conv2d", wrong_once, fuzz=100, seed=0, raises=False)
    assert {row.row.split("-")[0] for row in report.failures} == {"conv2d/fuzz"}
    assert "conv2d/fuzz-0-" in str(report)


@pytest.mark.parametrize("op", LIMITS)
def test_sizes_and_lengths_that_are_capped(op):
    for mutant in limit_mutants(op):
        report = check_op(op, mutant.forward, raises=False)
        assert report.verdict == "FAIL" and mutant.diagnosis in report.diagnosis, mutant.name


def test_backward_that_uses_the_last_forward():
    saved = {}

    def forward(x, dim):
        saved["x"] = x
        return right("softmax")(x, dim)

    def backward(dy, x, dim):
        return right_backward("softmax")(dy, saved["x"], dim=dim)

    report = check_op("softmax", forward, backward, raises=False)
    assert [row.row for row in report.failures] == ["softmax/property-backward-after-another"]
    assert "looks at its own arguments" in report.diagnosis


def test_results_that_depend_on_the_order_of_calls():
    shapes = [row.arrays["input"].shape for row in cases("relu")]
    again = [r.arrays["input"].shape for r in cases("relu") if not r.tags & UNORDERED][::-1]
    pair = next(p for p in pairwise(again) if 0 not in p[1] and p not in pairwise(shapes))
    earlier = [()]

    def forward(x):
        earlier.append(x.shape)
        return np.maximum(x, 0) + x.dtype.type(tuple(earlier[-2:]) == pair)

    report = check_op("relu", forward, raises=False)
    assert [row.row for row in report.failures] == ["relu/property-order-of-calls"]
    assert "nothing is left over from another call" in report.diagnosis


TORCH = """
import torch
from beside import low

def relu(x):
    return x.clamp(min=low())

def fails(x):
    if x.ndim == 1:
        try:
            {}["axes"]
        except KeyError as error:
            raise ValueError("no vectors") from error
    return torch.relu(x)
"""


@pytest.fixture
def check(tmp_path, monkeypatch, capsys):
    """Run the command in a folder of its own and return what it prints."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def checked(*arguments):
        assert run(["check", *arguments]) in (0, 1)
        return capsys.readouterr().out

    return checked


def test_a_file_of_torch_functions_beside_another(tmp_path, check):
    pytest.importorskip("torch")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "clamped.py").write_text(TORCH)
    (tmp_path / "sub" / "beside.py").write_text("def low():\n    return 0\n")
    said = check("relu", "sub/clamped.py:relu")
    assert "relu/zeros" in said and "forward only" not in said  # clamp's gradient passes at zero
    line = "forward, line 13 of clamped.py: ValueError: no vectors (caused by KeyError: 'axes')"
    assert line in check("relu", "sub/clamped.py:fails")


def test_approximations_on_the_command_line(tmp_path, check):
    (tmp_path / "near.py").write_text(
        "import numpy as np\n\ndef relu(x):\n    return np.maximum(x, 0) * x.dtype.type(1.0001)\n"
    )
    assert check("relu", "near.py:relu").startswith("FAIL")
    assert "relu/plain" not in check("relu", "near.py:relu", "--rtol", "0.001")


def test_the_format_of_results_is_in_the_help(capsys):
    assert run(["check", "export", "--help"]) == 0
    said = capsys.readouterr().out
    assert "conv2d/stride/float64/output.npy" in said and "grad_input.npy" in said
