"""Reports on a class: pass rates, commonest mistakes, written answers; and what builds say."""

from __future__ import annotations

import dataclasses
import shutil

import pytest
from PIL import Image
from small_lesson import LESSON, answer

from minideeplab import cli
from minideeplab.grading.build import MY_ANSWERS, build
from minideeplab.grading.catalogue import load_lesson
from minideeplab.grading.class_report import written_answers
from minideeplab.grading.source import read_notebook, split_cells, to_notebook
from minideeplab.grading.validation import validate

SQUARED = answer("1.1", "return x * x")
CRASHES = [answer("1.1", f"{line}return x.nothing") for line in ("", "y = 1\n")]
ANSWERED = "\n# %% [markdown]\n# ## My answers\n#\n# Because <b>I</b> say | so.\n"


@pytest.fixture(scope="module")
def graded(lessons, tmp_path_factory):
    """A graded class of six."""
    home = tmp_path_factory.mktemp("class")
    texts = [LESSON + ANSWERED, LESSON, SQUARED, SQUARED, *CRASHES]
    for name, text in zip(("ann", "bob", "cem", "dee", "eve", "fay"), texts, strict=True):
        (home / name).mkdir()
        (home / name / "lesson_01.py").write_text(text)
    (home / "gus").mkdir()
    assert cli.run(["lesson", "--lessons", str(lessons), "grade", str(home)]) == 0
    return home / "grades"


def test_pass_rates_and_commonest_mistakes(graded):
    text = (graded / "class.md").read_text()
    assert "| 1.1 | `double` | 29% | 2 | 2 | 2 | 0 | 1 |" in text
    assert "| 1.3 | `split` | 86% | 6 | 0 | 0 | 0 | 1 |" in text
    assert text.count("| 2 | 1.1 |") == 2, "equal errors in other lines are one mistake"
    assert "| 2 | 1.1 | Squared, not doubled. |" in text
    assert "## Not graded: 1" in text and "no lesson was handed in" in text
    assert "ann" not in text.replace("cannot", "")


def test_the_image_of_the_class(graded):
    with Image.open(graded / "class.png") as image:
        assert image.format == "PNG" and image.width > 500


def test_written_answers_are_collected(graded):
    text = (graded / "answers.md").read_text()
    assert "Question: why?" in text and "Because." in text  # of the lesson, for the instructor
    assert "## ann\n\n> Because &lt;b&gt;I&lt;/b&gt; say \\| so." in text
    assert "## bob\n\n> (nothing written)" in text


def test_a_build_has_a_place_for_answers(lesson, tmp_path):
    build(lesson, "student", tmp_path)
    cells = split_cells((tmp_path / "lesson_01.py").read_text(encoding="utf-8"))
    assert cells[-1].text == "\n\n".join(MY_ANSWERS) and written_answers(cells) == ""
    mine = dataclasses.replace(cells[-1], text=cells[-1].text + "\n\nBecause.")
    cells, _ = read_notebook(to_notebook([*cells[:-1], mine], "01_small"))
    assert written_answers(cells) == "Because."


def test_the_handout_says_how_to_install_and_what_is_read(lesson, tmp_path):
    build(lesson, "student", tmp_path)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "pip install . jupyterlab" in text and "constants in CAPITALS are read" in text
    assert "Without the checkout" in text


def test_points_of_headings_are_validated(lessons, tmp_path):
    place = tmp_path / "01_small"
    shutil.copytree(lessons / "01_small", place)
    assert validate(load_lesson(place)) == []
    (place / "lesson.py").write_text(LESSON.replace("Apply (2 points)", "Apply (3 points)"))
    assert validate(load_lesson(place)) == [
        "task 1.2: no heading '### Task 1.2 · ... (2 points)' in lesson.py"
    ]
