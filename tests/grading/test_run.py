"""A student's functions as a backend: theirs where they are right, ours elsewhere."""

from __future__ import annotations

import re

import numpy as np
import pytest

from minideeplab import backends, cli, ops
from minideeplab.grading.answers import Answers
from minideeplab.grading.build import read_solved
from minideeplab.grading.calls import CallFailed, Calls
from minideeplab.grading.catalogue import find_lesson
from minideeplab.grading.process import LONGEST
from minideeplab.grading.run import agreement, run
from minideeplab.grading.serialization import LARGE, decode, encode
from minideeplab.grading.source import split_cells
from minideeplab.grading.student_backend import make_backend
from minideeplab.visualize.plots import street

# Written anew: loops over filters and positions, no einsum.
CONVOLUTION = """# lesson: 01_convolution
import numpy as np

def conv2d(x, w, b, stride, padding):
    n, c, h, v = x.shape
    f, _, kh, kw = w.shape
    big = np.zeros((n, c, h + 2 * padding, v + 2 * padding))
    big[:, :, padding:padding + h, padding:padding + v] = x
    rows, cols = (h + 2 * padding - kh) // stride + 1, (v + 2 * padding - kw) // stride + 1
    y = np.empty((n, f, rows, cols))
    for p in range(rows):
        for q in range(cols):
            piece = big[:, :, p * stride:p * stride + kh, q * stride:q * stride + kw]
            for one in range(f):
                y[:, one, p, q] = (w[one] * piece).sum(axis=(1, 2, 3)) + b[one]
    return y
"""


def start(text, number="01", seconds=20.0):
    """Calls of the functions in a text."""
    return Calls(find_lesson(number), split_cells(text), f"lesson_{number}.py", seconds)


@pytest.fixture
def folder(tmp_path):
    """A function that writes a student's file of a lesson, the solved one by default."""

    def write(number, text=""):
        place = tmp_path / f"mine-{number}"
        place.mkdir()
        lesson = find_lesson(number)
        text = text or f"# lesson: {lesson.name}\n\n{read_solved(lesson)}"
        (place / f"lesson_{number}.py").write_text(text, encoding="utf-8")
        return place

    return write


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "bool"])
def test_large_arrays_survive_serialization(dtype):
    array = np.random.default_rng(1).integers(0, 2, (3, LARGE)).astype(dtype)
    back = decode(encode(array))
    assert back.dtype == array.dtype and np.array_equal(back, array)


@pytest.mark.parametrize("raw", ["AAAA", "not base64", 7])
def test_damaged_bytes_are_refused(raw):
    with pytest.raises((ValueError, TypeError)):
        decode({"array": "float64", "shape": [1], "base64": raw})


def test_calls_share_one_process():
    calls = start("COUNT = [0]\ndef count(x):\n    COUNT[0] += 1\n    return COUNT[0] + x\n")
    try:
        assert [calls("count", 10), calls("count", 10)] == [11, 12]
        assert calls.each("count", [(0,), (1,)]) == [3, 5]
        with pytest.raises(CallFailed, match="ValueError: no"):
            start("def f(x):\n    raise ValueError('no')\n")("f", 1)
        large = np.arange(float(LARGE + 1))
        assert calls("count", large)[-1] == LARGE + 5 and LARGE < LONGEST
    finally:
        calls.close()


@pytest.mark.parametrize(
    ("body", "why"),
    [("while True: pass", "no answer|ended"), ("import os; os._exit(3)", "ended"),
     ("return open('/etc/passwd').read()", "PermissionError"), ("return x[:1]", "expected"),
     ("return 'text'", "expected"), ("return None", "expected"), ("return (x, x)", "expected"),
     ("return (x,)", "expected")],
)  # fmt: skip
def test_what_fails_runs_on_ours(body, why):
    calls = start(f"import numpy as np\ndef conv2d(x, w, b, stride, padding):\n    {body}\n",
                  seconds=1.0)  # fmt: skip
    answers = Answers({"conv2d": calls}, 5.0)
    x, w = np.ones((1, 2, 5, 6), np.float32), np.ones((3, 2, 3, 3), np.float32)
    options = (1, 1), ((1, 1), (1, 1)), (1, 1), 1
    try:
        y = make_backend(answers).conv2d(x, w, None, *options)
    finally:
        calls.close()
    assert np.array_equal(y, ops.conv2d(x, w, None, *options))
    use = answers.usage["convolution"]
    assert (use.theirs, use.ours) == (0, 1) and not answers.has("conv2d")
    assert any(word in use.note for word in why.split("|"))


def test_what_is_too_slow_runs_on_ours():
    calls = start(
        "import time\n" + CONVOLUTION.replace("    n, c", "    time.sleep(0.3)\n    n, c")
    )
    answers = Answers({"conv2d": calls}, 2.0)
    x, w = np.ones((1, 8, 40, 40)), np.ones((64, 8, 3, 3))
    try:
        make_backend(answers).conv2d(x, w, None, (1, 1), ((0, 0), (0, 0)), (1, 1), 1)
    finally:
        calls.close()
    use = answers.usage["convolution"]
    assert (use.theirs, use.ours) == (1, 1) and "too slow" in use.note


def test_a_backend_may_be_a_module():
    module = make_backend(Answers({}, 1.0))
    with backends.use_backend(module):
        assert backends.current() is module
        with pytest.raises(ValueError, match="minideeplab_student is a module without a name"):
            backends.current_name()
    del module.relu
    with pytest.raises(ImportError, match=r"lacks names of .*: relu"):
        backends.use_backend(module)


def test_max_pooling_by_the_student():
    text = read_solved(find_lesson("03"))
    calls = start(text, "03")
    x = np.random.default_rng(2).standard_normal((2, 3, 9, 10)).astype(np.float32)
    window = (3, 3), (2, 2), (1, 1), (1, 1), False
    answers = Answers({"max_pool2d": calls}, 20.0)
    try:
        y, indices = make_backend(answers).max_pool2d(x, *window)
    finally:
        calls.close()
    expected = ops.max_pool2d(x, *window)
    assert np.array_equal(y, expected[0]) and np.array_equal(indices, expected[1])
    assert answers.usage["max pooling"].theirs == 2


def test_a_photograph_by_a_convolution_written_anew_and_an_atrous_one_that_is_wrong(folder):
    wrong = "def atrous_conv2d(x, w, rate):\n    return x\n"
    folders = [folder("01", CONVOLUTION), folder("02", "# lesson: 02_atrous_convolution\n" + wrong)]
    found = run(folders, street(), size=65)
    assert [v.verdict for v in found.verdicts if v.task.function == "conv2d"] == ["pass"]
    use = found.usage["convolution"]
    assert use.theirs >= 11 and use.ours == 0 and not use.note
    assert found.usage["atrous convolution"].theirs == 0 < found.usage["atrous convolution"].ours
    assert min(agreement(found)) > 0.999


def test_every_lesson_takes_part_and_changes_nothing(folder, tmp_path, capsys):
    numbers = ("01", "02", "05", "06", "09", "10")
    out = tmp_path / "out"
    assert cli.run(["lesson", "run", *(str(folder(n)) for n in numbers), "--out", str(out),
                    "--size", "41"]) == 0  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    rows = [line for line in lines if line[24:].split()[2:] == ["0", "0.00"]]
    assert len(rows) == 12, "all on the student's code"
    assert sum(line.startswith(("ASPP", "softmax", "mean", "lattice")) for line in rows) == 8
    same = next(line for line in lines if line.startswith("same labels"))
    assert min(float(number) for number in re.findall(r"([\d.]+)%", same)) > 99
    assert {p.name for p in out.iterdir()} == {"comparison.png", "reference.png", "your-code.png"}


def test_a_lesson_without_such_functions_is_refused(folder):
    with pytest.raises(ValueError, match="no function that a network can run on; expected conv2d"):
        run([folder("07")], street(), size=41)


def test_several_students_and_lessons_twice_are_refused(folder, tmp_path):
    first = folder("01", CONVOLUTION)
    with pytest.raises(ValueError, match="lesson 01 was given before"):
        run([first, first], street(), size=41)
    for name in ("ann", "bob"):
        (tmp_path / "class" / name).mkdir(parents=True)
        (tmp_path / "class" / name / "lesson_01.py").write_text(CONVOLUTION)
    with pytest.raises(ValueError, match="several students"):
        run([tmp_path / "class"], street(), size=41)
