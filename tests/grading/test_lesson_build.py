"""Builds: what each reader gets, that edits survive, and that nothing leaks."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pytest
from small_lesson import LESSON

from minideeplab.grading.build import build, contents
from minideeplab.grading.catalogue import find_folder, find_lesson, load_lesson
from minideeplab.grading.leaks import find_leaks

SOLUTION = "return FACTOR * np.asarray(x)"
HIDDEN = "3.123456789123"


def everything(folder):
    return "\n".join(p.read_text(encoding="utf-8") for p in folder.rglob("*") if p.is_file())


def test_students_get_holes_and_visible_cases(lesson, tmp_path):
    built = build(lesson, "student", tmp_path / "a")
    assert set(built.written) == {
        "lesson_01.py", "lesson_01.ipynb", "visible_01.json", "README.md", "given.py",
    }  # fmt: skip
    text = everything(tmp_path / "a")
    assert SOLUTION not in text and HIDDEN not in text and "Because." not in text
    rows = json.loads((tmp_path / "a" / "visible_01.json").read_text())
    assert {task: [row["name"] for row in found] for task, found in rows.items()} == {
        "1.1": ["three"], "1.2": ["half"], "1.3": ["three"],
    }  # fmt: skip


def test_self_study_has_the_solution_apart(lesson, tmp_path):
    build(lesson, "self-study", tmp_path)
    assert SOLUTION not in (tmp_path / "lesson_01.py").read_text(encoding="utf-8")
    assert SOLUTION in (tmp_path / "solution_01.py").read_text(encoding="utf-8")
    assert HIDDEN in (tmp_path / "visible_01.json").read_text()


def test_instructors_get_everything(lesson, tmp_path):
    build(lesson, "instructor", tmp_path)
    text = everything(tmp_path)
    assert SOLUTION in text and HIDDEN in text and "Because." in text and "squares" in text


def test_edited_files_stay(lesson, tmp_path):
    build(lesson, "student", tmp_path)
    mine = tmp_path / "lesson_01.py"
    mine.write_text("my work")
    built = build(lesson, "student", tmp_path)
    assert built.kept == ("lesson_01.py",) and mine.read_text() == "my work"
    assert "lesson_01.ipynb" in built.written


def test_foreign_files_stay(lesson, tmp_path):
    (tmp_path / "README.md").write_text("mine")
    assert build(lesson, "student", tmp_path).kept == ("README.md",)
    assert (tmp_path / "README.md").read_text() == "mine"


def test_a_folder_of_another_lesson_is_refused(lesson, tmp_path):
    (tmp_path / ".minideeplab-lesson.json").write_text('{"lesson": "02_other", "files": {}}')
    with pytest.raises(ValueError, match="02_other"):
        build(lesson, "student", tmp_path)
    assert not (tmp_path / "lesson_01.py").exists()


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("Question: why?", f"Try `{SOLUTION}`", "line of solution 1.1"),
        ("double(np.ones(3))", "print(  FACTOR*np.asarray(x) )", None),  # not the whole line
        ("double(np.ones(3))", f"def g(x):\n    {SOLUTION}", "line of solution 1.1"),
        ("Question: why?", f"The sum of {HIDDEN} and ...", "hidden case 'two'"),
    ],
)
def test_leaks_are_refused(lessons, tmp_path, old, new, what):
    shutil.copytree(lessons, tmp_path / "lessons")
    place = tmp_path / "lessons" / "01_small"
    (place / "lesson.py").write_text(LESSON.replace(old, new), encoding="utf-8")
    lesson = load_lesson(place)
    if what is None:
        build(lesson, "student", tmp_path / "out")
        return
    with pytest.raises(ValueError, match=what):
        build(lesson, "student", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_given_code_leaks_nothing_either(lessons, tmp_path):
    shutil.copytree(lessons, tmp_path / "lessons")
    place = tmp_path / "lessons" / "01_small"
    with (place / "given.py").open("a", encoding="utf-8") as file:
        file.write(f"\n\ndef double(x):\n    {SOLUTION}\n")
    with pytest.raises(ValueError, match=r"given\.py has a line of solution 1\.1"):
        build(load_lesson(place), "student", tmp_path / "out")


def test_outputs_and_hidden_rows_are_leaks(lesson):
    files = contents(lesson, "student")
    assert find_leaks(lesson, LESSON, files) == []
    notebook = json.loads(files["lesson_01.ipynb"])
    notebook["cells"][1]["outputs"] = [{"output_type": "stream", "text": "hello"}]
    found = find_leaks(lesson, LESSON, files | {"lesson_01.ipynb": json.dumps(notebook)})
    assert found == ["lesson_01.ipynb has outputs"]
    opened = dataclasses.replace(lesson)
    rows = contents(opened, "self-study")["visible_01.json"]
    found = find_leaks(lesson, LESSON, files | {"visible_01.json": rows})
    assert any("hidden case 'two'" in leak for leak in found)


def test_unknown_reader(lesson, tmp_path):
    with pytest.raises(ValueError, match="reader: expected one of student"):
        build(lesson, "parents", tmp_path)


def test_finding_lessons(lessons, tmp_path):
    assert find_lesson("1", lessons).name == find_lesson("01_small", lessons).name == "01_small"
    with pytest.raises(ValueError, match="no lesson '7'; there are 01_small"):
        find_lesson("7", lessons)
    with pytest.raises(ValueError, match="--lessons DIR"):
        find_folder(tmp_path)
