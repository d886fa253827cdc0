"""``check`` in a notebook or file: the grader's hints, and what the grader does not read."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from minideeplab.grading.check import report, visible_text
from minideeplab.grading.loading import load_definitions
from minideeplab.grading.source import read_notebook, split_cells, to_notebook
from minideeplab.grading.unread import unread


@pytest.fixture
def rows(lesson):
    """Return the small lesson's visible cases, as its handout has them."""
    return json.loads(visible_text(lesson))


@pytest.mark.parametrize(
    ("task", "function", "hint"),
    [
        ("1.1", lambda x: x**2, "Squared, not doubled."),
        ("1.1", lambda x: -2 * x, "the sign is wrong"),
        ("1.3", lambda x: (x, len(x)), "Not reversed."),
        ("1.3", lambda x: (len(x), x[::-1]), "another order; return (reversed, length)"),
    ],
)
def test_check_gives_the_graders_hints(lesson, rows, task, function, hint):
    text = report(task, function, rows[task], lesson.given)
    assert text.startswith(f"task {task}, case 'three'")
    assert hint in text.partition("hint: ")[2]


def test_mistakes_that_only_hidden_cases_tell_apart_are_not_handed_out(lesson, rows):
    import dataclasses

    assert list(rows["1.1"][0]["mistakes"]) == ["squares"]
    twin = dataclasses.replace(lesson.wrong[0], name="other", hint="Another.")
    both = dataclasses.replace(lesson, wrong=(*lesson.wrong, twin))
    assert json.loads(visible_text(both))["1.1"][0]["mistakes"] == {}


SCRIPT = """\
import numpy as np
one = 1
pair = two, three = 2, -3
taps = np.array([1.0, 2.0]) / 4
seen = len([1, 2])
half = seen / 2
for size in (1, 2):
    last = size
def helper():
    return last
def f(x):
    return x + one + two + three + taps.size + helper() + half
"""


def test_literals_are_read_and_the_rest_is_said_with_its_line(tmp_path):
    path = tmp_path / "lesson_01.py"
    path.write_text(SCRIPT)
    names: dict = {}
    exec(compile(SCRIPT, str(path), "exec"), names)
    assert unread(names["f"]) == {"last": "line 7", "half": "line 6"}
    loaded, complaints = load_definitions(split_cells(SCRIPT), "lesson_01.py")
    assert complaints == [] and {"one", "two", "three", "taps"} <= set(loaded)
    assert "last" not in loaded and "half" not in loaded


def test_check_says_what_is_not_read_with_its_cell(lesson, rows, monkeypatch):
    cells = [
        "",
        "import numpy as np",
        "n = len('ab')",
        "k = 2\ndef double(x):\n    return n * x * k / 2",
    ]
    names: dict = {}
    for cell in cells:
        exec(cell, names)
    shell = SimpleNamespace(user_ns={"In": cells})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    text = report("1.1", names["double"], rows["1.1"], lesson.given).splitlines()
    assert text[0] == "task 1.1: all 1 visible cases are right"
    assert text[1].startswith("task 1.1: n (cell 2, line 1) is not read when you are graded")
    assert len(text) == 2


def test_errors_and_complaints_of_a_notebook_name_cell_and_line():
    from minideeplab.grading.model import Case
    from minideeplab.grading.outcome import run_case

    text = "# %% [markdown]\n# Text\n# %%\nA = 1\n# %%\ndef f(x):\n\n    return x[9]\n# %%\n1 +"
    cells, _ = read_notebook(to_notebook(split_cells(text), "01"))
    names, complaints = load_definitions(cells, "a.ipynb")
    assert complaints[0].startswith("cell 3, line 1:")
    outcome = run_case(names["f"], Case("a", (np.ones(2),)), None, "a.ipynb")
    assert outcome.place == "cell 2, line 3"
