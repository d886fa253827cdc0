"""Cells, holes and what judging runs of a file."""

from __future__ import annotations

import pytest
from small_lesson import LESSON

from minideeplab.grading.loading import load_definitions
from minideeplab.grading.source import (
    open_holes,
    punch_holes,
    read_notebook,
    solutions,
    split_cells,
    to_notebook,
)


def test_cells_know_their_kind_text_and_line():
    cells = split_cells(LESSON)
    assert [cell.kind for cell in cells] == ["markdown", "code", "code", "code", "code"]
    assert cells[0].text.startswith("# Lesson 1 · Small\nQuestion")
    lines = LESSON.splitlines()
    for cell in cells[1:]:
        assert lines[cell.line - 1] == cell.text.splitlines()[0]


def test_holes_raise_and_answers_go():
    text = punch_holes(LESSON)
    assert text.count("raise NotImplementedError(") == 3
    assert '    raise NotImplementedError("task 1.1: multiply")\n' in text
    assert "FACTOR * np.asarray" not in text and "Because" not in text
    assert "Because" in LESSON
    compile(text, "skeleton", "exec")


def test_long_holes_are_broken():
    text = punch_holes(LESSON.replace(": multiply", ': say "x"' + " and multiply" * 5))
    assert max(map(len, text.splitlines())) <= 100 and open_holes(text) == {"1.1", "1.2", "1.3"}
    compile(text, "skeleton", "exec")


def test_one_hole_filled():
    text = punch_holes(LESSON, keep="1.2")
    assert open_holes(text) == {"1.1", "1.3"}
    assert "np.array([f(value) for value in x])" in text
    assert "# solution" not in text


def test_solutions_by_task():
    assert solutions(LESSON)["1.3"].strip() == "return x[::-1].copy(), len(x)"
    assert list(solutions(LESSON)) == ["1.1", "1.2", "1.3"]


@pytest.mark.parametrize(
    "text",
    ["# solution 1.1: a\nx = 1\n", "# end 1.1\n", "# solution 1.1: a\n# end 1.2\n",
     "# solution 1.1: a\n# solution 1.2: b\n# end 1.2\n"],
)  # fmt: skip
def test_markers_that_do_not_match_are_refused(text):
    with pytest.raises(ValueError, match=r"1\.\d"):
        punch_holes(text)


def test_only_definitions_run():
    text = (
        "import math\nX, Z = 3, 4\ny = 1 / 0\nprint(undefined)\nf = lambda: X\nclass A:\n    pass\n"
    )
    names, complaints = load_definitions(split_cells(text), "a.py")
    assert complaints == [] and names["f"]() == 3 and {"math", "X", "Z", "A"} <= set(names)
    assert "y" not in names


def test_a_broken_cell_costs_only_what_it_defines():
    text = "# %%\ndef f():\n    return (\n# %%\nclass B(1 / 0):\n    pass\n"
    text += "# %%\ndef g():\n    return 2\n"
    names, complaints = load_definitions(split_cells(text), "a.py")
    assert names["g"]() == 2 and "f" not in names
    assert complaints[0].startswith("line 3:") and "ZeroDivisionError" in complaints[1]


def test_a_missing_module_matters_only_where_it_is_used():
    text = "import no_such_module as nsm\ndef f():\n    return 1\ndef g():\n    return nsm.x\n"
    names, complaints = load_definitions(split_cells(text), "a.py")
    assert complaints == [] and names["f"]() == 1
    with pytest.raises(ImportError, match="no_such_module"):
        names["g"]()


def test_notebooks_keep_cells_and_lesson():
    cells, lesson = read_notebook(to_notebook(split_cells(LESSON), "01_small"))
    assert lesson == "01_small"
    assert [(c.kind, c.text) for c in cells] == [(c.kind, c.text) for c in split_cells(LESSON)]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cells": [1]}', '{"cells": [{"source": 1}]}'])
def test_what_is_no_notebook_is_refused(text):
    with pytest.raises(ValueError, match="not a Jupyter notebook"):
        read_notebook(text)


def test_magic_lines_are_skipped():
    names, complaints = load_definitions(split_cells("%matplotlib inline\n!ls\nX = 1\n"), "a")
    assert names["X"] == 1 and complaints == []
