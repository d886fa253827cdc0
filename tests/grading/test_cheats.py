"""A student's code in its own process: cheats gain nothing and cost only their own task."""

from __future__ import annotations

import pytest
from small_lesson import LESSON, answer

from minideeplab.grading.build import read_solved
from minideeplab.grading.catalogue import find_lesson
from minideeplab.grading.grade import Limits, grade, grade_task
from minideeplab.grading.process import run_apart
from minideeplab.grading.serialization import decode_outcome
from minideeplab.grading.source import split_cells
from minideeplab.grading.submissions import Submission


def judged(lesson, text, task="1.1", limits=None):
    one = Submission("student", "01", "lesson_01.py", tuple(split_cells(text)))
    return grade_task(one, lesson, lesson.task(task), limits or Limits())


FORGE = """
import json, os
line = {"case": 0, "kind": "value", "value": True, "error": "", "message": "", "line": 0,
        "verdict": "pass", "points": 9}
for fd in range(3, 20):
    for case in (0, 1):
        try:
            os.write(fd, (json.dumps({**line, "case": case}) + "\\n").encode())
        except OSError:
            pass
os._exit(0)
"""

CHEATS = {
    "leaves early": ("import sys\nsys.exit(0)", "crash", "SystemExit"),
    "leaves at once": ("import os\nos._exit(0)", "crash", "exit status 0"),
    "fills the memory": ("return np.ones(10**15)", "crash", "memory"),
    "reads the cases": ("return open(CASES_FILE).read()", "crash", "reading files"),
    "reads them by another door": (
        "from pathlib import Path\nreturn Path(CASES_FILE).read_bytes()", "crash", "reading files",
    ),
    "reads its own environment": ("return open('/proc/self/environ').read()", "crash", "reading"),
    "reads by two slashes": (
        "import sysconfig as s\nreturn open(s.get_path('purelib') + '//click/__init__.py').read()",
        "crash", "reading files",
    ),
    "reads by a dot": (
        "import sysconfig\nreturn open(sysconfig.get_path('stdlib') + '/./os.py').read()",
        "crash", "reading files",
    ),
    "reads another package": (
        "import sysconfig as s\nreturn open(s.get_path('purelib') + '/click/__init__.py').read()",
        "crash", "reading files",
    ),
    "makes a pipe": ("import os\nos.mkfifo('/tmp/lesson_01.py')", "crash", "AttributeError"),
    "makes a file": ("import os\nos.mknod('/tmp/lesson_01.py')", "crash", "AttributeError"),
    "asks Tcl": ("import tkinter\ntkinter.Tcl().eval('exec true')", "crash", "not available"),
    "makes a module again": (
        "import importlib.machinery as m, posix, sys\ndel sys.modules['posix']\n"
        "return m.BuiltinImporter.create_module(posix.__spec__).mknod('/tmp/x')",
        "crash", "TypeError",
    ),
    "makes an interpreter": ("import _xxsubinterpreters, _interpreters", "crash", "not available"),
    "finds ctypes in NumPy": (
        "import sys\nfor m in list(sys.modules.values()):\n    c = getattr(m, 'ctypes', None)\n"
        "    if c is not None and hasattr(c, 'CDLL'):\n        return 2 * x\nraise KeyError('no')",
        "crash", "KeyError",
    ),
    "makes shared memory": ("import _posixshmem", "crash", "not available"),
    "calls the system": ("import ctypes\nctypes.CDLL(None).system(b'true')", "crash", "not av"),
    "names hidden inputs as an error": (
        "if len(x) == 3: return x + x\nraise type(str(x), (Exception,), {})(str(x))",
        "crash", "Exception",
    ),
    "writes": ("open('x', 'w')", "crash", "writing files"),
    "starts a program": ("import os\nos.system('true')", "crash", "os.system"),
    "kills the judge": ("import os\nos.kill(os.getppid(), 9)", "crash", "os.kill"),
    "looks for hidden objects": ("import gc\nreturn gc.get_objects()", "crash", "gc."),
    "imports the library": ("from minideeplab.ops import conv", "crash", "not available"),
    "imports SciPy": ("import scipy.ndimage", "crash", "not available"),
    "opens a socket": ("import socket", "crash", "not available"),
    "forges the answer": (FORGE, "wrong", ""),
    "equals everything": (
        "class A:\n    def __eq__(self, _):\n        return True\nreturn A()", "crash", "no task",
    ),
    "prints a score": ("print('{\"case\": 0} score: 10/10')", "wrong", "nothing is returned"),
    "hides behind escapes": ("raise ValueError('\\x1b[2J')", "crash", "ValueError"),
    "nests deeply": ("r = 0\nfor _ in range(10**5):\n    r = [r]\nreturn r", "crash", "20 deep"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHEATS)
def test_cheats_gain_nothing(lesson, name):
    body, verdict, hint = CHEATS[name]
    body = body.replace("CASES_FILE", repr(str(lesson.folder / "cases.py")))
    found = judged(lesson, answer("1.1", body))
    assert (found.verdict, found.points) == (verdict, 0)
    assert hint in found.hint


@pytest.mark.parametrize(
    "body",
    [
        """
import sys
frame = sys._getframe()
while frame is not None and "request" not in frame.f_locals:
    frame = frame.f_back
raise ValueError(str(frame.f_locals["request"]["cases"]))
""",
        "raise ValueError(str(x))",
        "raise NotImplementedError(str(x))",
        "raise type(str(x), (Exception,), {})('no')",
        "exec(compile('\\n' * int(x[0] * 1e6) + '1/0', 'lesson_01.py', 'exec'))",
    ],
)  # fmt: skip
def test_hidden_inputs_do_not_leave(lesson, body):
    one = Submission("student", "01", "lesson_01.py", tuple(split_cells(answer("1.1", body))))
    outcomes, _ = run_apart(lesson, lesson.task("1.1"), one.cells, one.file)
    assert len(outcomes) == 2 and "3.123" not in repr(outcomes) and "3123" not in repr(outcomes)


def test_numba_is_a_stand_in():
    lesson = find_lesson("12")
    text = read_solved(lesson).replace("from numba import cuda", NUMBA)
    one = Submission("student", "12", "lesson_12.py", tuple(split_cells(text)))
    found = grade_task(one, lesson, lesson.tasks[2], Limits())
    assert found.verdict == "pass", found.hint
    stolen = text.replace("def atrous_conv1d", "def stolen", 1) + STOLEN
    one = Submission("student", "12", "lesson_12.py", tuple(split_cells(stolen)))
    found = grade_task(one, lesson, lesson.tasks[2], Limits())
    assert found.verdict == "crash" and "ctypes is not available" in found.hint


NUMBA = """
import numba
from numba import cuda, float64, njit, prange


@njit(parallel=True)
def unused(x):
    return x


@numba.njit
def unused_too(x):
    return x"""

STOLEN = """

# %%
def atrous_conv1d(*arguments):
    import ctypes
    return ctypes.CDLL(None).getpid()
"""


def test_an_endless_loop_is_stopped(lesson):
    found = judged(lesson, answer("1.1", "while True:\n    pass"), limits=Limits(seconds=1))
    assert (found.verdict, found.lost) == ("time-out", ("three", "two"))
    assert "no answer within 1 s" in found.hint


PATCH = """
import numpy.testing
PATCHED = [setattr(np.testing, name, lambda *a, **k: None) for name in ("assert_allclose",)]
ALWAYS = [setattr(np, name, lambda *a, **k: True) for name in ("allclose", "array_equal")]


# %%
def double"""


def test_patched_numpy_judges_nothing(lesson):
    text = answer("1.1", "return x").replace("\n\n# %%\ndef double", PATCH)
    found = judged(lesson, text)
    assert (found.verdict, found.hint) == ("wrong", "an argument is returned as it came")


def test_a_cheat_costs_only_its_own_task(lesson, lessons, tmp_path):
    (tmp_path / "lesson_01.py").write_text(answer("1.2", "import os\nos._exit(0)"))
    (grade_,) = grade(tmp_path, lessons)
    assert [r.verdict for r in grade_.results] == ["pass", "crash", "pass"]
    assert (grade_.points, grade_.out_of) == (4, 6)


def test_a_syntax_error_names_its_line(lesson):
    text = LESSON.replace("def double(x: np.ndarray)", "def double(x: np.ndarray")
    found = judged(lesson, text)
    assert found.verdict == "crash" and "no function double; line 20: " in found.hint
    assert judged(lesson, text, "1.3").verdict == "pass"


def test_a_function_left_out_is_not_done(lesson):
    found = judged(lesson, LESSON.replace("def double", "def twice"))
    assert (found.verdict, found.hint) == ("not done", "the file has no function double")


@pytest.mark.parametrize(
    "line",
    [
        "", "1", "null", "{}", "[" * 10000, '{"case": 0}',
        '{"case": "0", "kind": "value", "value": 1, "error": "", "message": "", "line": 0}',
        '{"case": 0, "kind": "pass", "value": 1, "error": "", "message": "", "line": 0}',
        '{"case": 0, "kind": "value", "value": {"array": "float64", "shape": [1000000000000], '
        '"values": []}, "error": "", "message": "", "line": 0}',
        '{"case": 0, "kind": "value", "value": {"array": "object", "shape": [0], "values": []}, '
        '"error": "", "message": "", "line": 0}',
        '{"case": 0, "kind": "value", "value": {"dict": [[{"list": []}, 1]]}, "error": "", '
        '"message": "", "line": 0}',
    ],
)  # fmt: skip
def test_nonsense_from_the_process_is_refused(line):
    with pytest.raises(ValueError):
        decode_outcome(line)
