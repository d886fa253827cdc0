"""Right and wrong values, and hints: known mistakes first, then general signs."""

from __future__ import annotations

import numpy as np
import pytest

from minideeplab.grading.compare import difference
from minideeplab.grading.judge import CRASH, NOT_DONE_YET, PASS, WRONG, judge, run_trusted
from minideeplab.grading.model import Case, Lesson, Task
from minideeplab.grading.validation import validate


def result(lesson, task, function):
    task = lesson.task(task)
    return judge(lesson, task, run_trusted(lesson, task, function))


X = np.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        (X, X + 1e-10),
        (X, X.copy()),
        (np.array([np.nan, np.inf]), np.array([np.nan, np.inf])),
        (3, np.int32(3)),
        (3, np.array(3)),
        (0.5, np.float32(0.5)),
        ((1, X), [1, X]),
        ({"a": 1}, {"a": 1}),
        (None, None),
        ("same", "same"),
        (np.arange(3), np.arange(3, dtype=np.int32)),
        (np.zeros((0, 2)), np.zeros((0, 2))),
    ],
)
def test_right(expected, got):
    assert difference(expected, got, 1e-9) == ""


@pytest.mark.parametrize(
    ("expected", "got", "text"),
    [
        (X, X + 1e-3, "6 of 6 values wrong"),
        (X, X.T, "shape (3, 2), expected (2, 3)"),
        (X, X.astype(np.float32), "dtype float32"),
        (X, X.astype(int), "dtype int64 (whole number)"),
        (X, X.tolist(), "a list of 2"),
        (X, None, "returned None"),
        (X, np.where(X == 2, np.nan, X), "1 of 6 values wrong, the first at (0, 2): nan"),
        (np.array([np.inf]), np.array([-np.inf]), "1 of 1"),
        (np.array([True]), np.array([1]), "whole number"),
        ((1, 2), (1, 3), "part 1"),
        ((1, 2), 3, "expected a tuple"),
        ((1, 2), (1, 2, 3), "3 parts"),
        ({"a": 1}, {"b": 1}, "keys"),
        (3, 4, "1 of 1 values wrong, the first: 4, expected 3"),
        (3, "3", "str 3"),
        (None, 0, "expected None"),
        (True, 1, "whole number"),
    ],
)
def test_wrong(expected, got, text):
    assert text in difference(expected, got, 1e-9)


def test_a_known_mistake_gets_its_hint(lesson):
    found = result(lesson, "1.1", lambda x: x**2)
    assert (found.verdict, found.hint, found.mistake) == (WRONG, "Squared, not doubled.", "squares")
    assert found.lost == ("three", "two") and found.points == 0


def test_verdicts(lesson):
    def hole(x):
        raise NotImplementedError("task 1.1: multiply")

    assert result(lesson, "1.1", lambda x: 2 * x).verdict == PASS
    assert result(lesson, "1.1", hole).verdict == NOT_DONE_YET
    assert result(lesson, "1.1", lambda x: x / "a").verdict == CRASH
    assert result(lesson, "1.1", lambda x: x if len(x) == 2 else 2 * x).lost == ("two",)


def writes(x):
    x *= 2
    return x


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda x: None, "nothing is returned"),
        (writes, "writes into its argument"),
        (lambda x: -2 * x, "the sign is wrong"),
        (lambda x: x, "returned as it came"),
        (lambda x: 6 * x, "3 times the right one"),
        (lambda x: 2 * x[::-1], "runs backwards"),
        (lambda x: 0 * x, "zero everywhere"),
        (lambda x: 2 * x + 7, "a constant that is added"),
        (lambda x: x / 0, "infinity comes out"),
        (lambda x: np.log(-1 - abs(x)), "NaN comes out"),
        (lambda x: (2 * x)[:-1], "off by one"),
        (lambda x: (2 * x)[None], "number of axes"),
        (lambda x: (2 * x).astype(np.float32), "wrong dtype: float32"),
        (lambda x: list(2 * x), "expected an array"),
        (lambda x: undefined_name, "NameError"),  # noqa: F821
        (lambda: 1, "TypeError"),
        (lambda x: x[5], "IndexError"),
        (lambda x: np.where(x == 0.5, 0, 2 * x), "case 'two': a wrong result"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_general_signs(lesson, function, hint):
    assert hint in result(lesson, "1.1", function).hint


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda x: (len(x), x[::-1]), "another order; return (reversed, length)"),
        (lambda x: (x[::-1], len(x) + 1), "only length is wrong"),
        (lambda x: (-x[::-1], len(x)), "only reversed is wrong: the sign is wrong"),
        (lambda x: x[::-1], "expected a tuple (reversed, length)"),
    ],
)
def test_parts_of_a_tuple(lesson, function, hint):
    assert hint in result(lesson, "1.3", function).hint


def images(reference):
    """A lesson whose task returns images."""
    x = np.random.default_rng(0).standard_normal((2, 5, 7))
    task = Task("1.1", "f", 1, reference, (Case("a", (x,), shown=True), Case("b", (2 * x + 1,))))
    return Lesson(None, None, (task,), (), None)


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda x: (3 * x).swapaxes(1, 2), "the last two axes are swapped"),
        (lambda x: (3 * x)[:, ::-1], "the last but one axis runs backwards"),
        (lambda x: (3 * x)[:, ::-1, ::-1], "is a kernel flipped"),
        (lambda x: np.roll(3 * x, 1, -1), "shifted by one along the last axis"),
        (lambda x: np.roll(3 * x, -1, -2), "shifted by one along the last but one axis"),
        (lambda x: abs(3 * x), "signs are not"),
        (lambda x: (3 * x).astype(np.float32).astype(float), "float32 precision"),
        (lambda x: (3 * x).T, "opposite order"),
        (lambda x: (3 * x) * np.abs(x).max(), "in each case the result is off by a factor"),
    ],
)
def test_signs_of_images(function, hint):
    assert hint in result(images(lambda x: 3 * x), "1.1", function).hint


def scaled(x, w, shift):
    return w[..., None] * x + shift * np.arange(4)


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda x, w, s: scaled(x, w, 2 * s), "right for argument 3 doubled"),
        (lambda x, w, s: scaled(x, w, s - 1), "right for argument 3 smaller by one"),
        (lambda x, w, s: scaled(x, w, 0), "right for 0 as argument 3"),
        (lambda x, w, s: scaled(x, w[::-1], s), "right for argument 2 read backwards along"),
        (lambda x, w, s: scaled(x, 0 * w + 1, s), "right for ones as argument 2"),
        (lambda x, w, s: scaled(-x, w, s), "right for argument 1 with the opposite sign"),
        (lambda x, w, s: scaled(x, w, 3 * s), "case 'a'"),
    ],
)
def test_the_right_answer_to_other_arguments(function, hint):
    rng = np.random.default_rng(1)
    cases = tuple(
        Case(name, (rng.standard_normal((n, 4)), rng.standard_normal(n), float(n)), shown=True)
        for name, n in (("a", 2), ("b", 3))
    )
    lesson = Lesson(None, None, (Task("1.1", "f", 1, scaled, cases),), (), None)
    assert hint in result(lesson, "1.1", function).hint


def tattles(x):
    if len(x) == 2:
        raise ValueError(f"secret {x}")
    return 2 * x


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.where(x == 0.5, 0.123, 2 * x),
        lambda x: 2 * x if len(x) == 3 else f"secret {x}",
        lambda x: 2 * x if len(x) == 3 else float(x[0]),
        tattles,
    ],
)
def test_hints_do_not_show_hidden_values(lesson, function):
    found = result(lesson, "1.1", function)
    assert found.lost == ("two",)
    for secret in ("0.123", "3.1", "6.24", "secret"):
        assert secret not in found.hint


def test_a_hint_is_not_refuted_by_a_case(lesson):
    """A known wrong answer that loses more, or a factor of one case, is not named as a rule."""
    one = result(lesson, "1.1", lambda x: x**2 if len(x) == 2 else 2 * x)
    assert one.lost == ("two",) and one.mistake == ""
    half = result(lesson, "1.1", lambda x: x if len(x) == 2 else 2 * x)
    assert half.hint.startswith("an argument") or "where it is wrong" in half.hint


def test_parts_of_the_right_answer_to_other_arguments():
    """A tuple as if an argument were another; one of another length is no crash."""
    cases = tuple(Case(f"n={n}", (np.arange(float(n)) ** 2, n), shown=True) for n in (5, 6, 7))
    task = Task("1.1", "f", 1, lambda x, n: (x[:n] - n, x.sum() + n * n), cases, ("a", "b"))
    lesson = Lesson(None, None, (task,), (), None)
    said = result(lesson, "1.1", lambda x, n: (x[:n] - 2 * n, x.sum() + 4 * n * n)).hint
    assert said == "the result would be right for argument 2 doubled"
    mixed = result(lesson, "1.1", lambda x, n: (x, n, n) if n == 5 else (x - n, 0.5))
    assert mixed.lost == ("n=5", "n=6", "n=7") and mixed.hint


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda x: (x[::-1], float(len(x))), "length: returned float 3.0 (a float), expected"),
        (lambda x: (x[::-1] + 0j, len(x)), "wrong dtype: complex128"),
    ],
)
def test_wrong_types_are_said(lesson, function, hint):
    assert hint in result(lesson, "1.3", function).hint


def test_the_small_lesson_is_valid(lesson):
    assert validate(lesson) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda t: t.replace("FACTOR * np.asarray(x)", "np.asarray(x)"), "is judged wrong"),
        (lambda t: t.replace("# solution 1.2: call f", "#"), "1.2"),
        (lambda t: t.replace("x[::-1].copy(), len(x)", "double(x), len(x)"), "uses double"),
        (lambda t: t.replace('    """x (N,) reversed, and N."""\n', ""), "with a docstring"),
    ],
)
def test_validation_finds_faults(lesson, monkeypatch, change, fault):
    from minideeplab.grading import validation

    text = change(validation.read_solved(lesson))
    monkeypatch.setattr(validation, "read_solved", lambda _: text)
    try:
        faults = validate(lesson)
    except ValueError as error:
        faults = [str(error)]
    assert any(fault in found for found in faults)


def test_a_case_that_nobody_loses_is_a_fault(lesson):
    import dataclasses

    silent = dataclasses.replace(lesson, wrong=lesson.wrong[:2])
    assert "task 1.3: no wrong answer loses the case 'three'" in validate(silent)
    hint = dataclasses.replace(lesson.wrong[0], loses=("two",))
    faults = validate(dataclasses.replace(lesson, wrong=(hint, *lesson.wrong[1:])))
    assert any("squares loses" in fault for fault in faults)
