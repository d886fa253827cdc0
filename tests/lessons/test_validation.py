"""Every lesson judges as it says, and runs from its first cell to its last."""

from __future__ import annotations

import re

import matplotlib
import pytest

import minideeplab as mdl
from minideeplab.grading.build import READERS, build, course_table
from minideeplab.grading.catalogue import find_folder, lesson_folders, load_lesson
from minideeplab.grading.grade import grade
from minideeplab.grading.loading import importable
from minideeplab.grading.validation import read_solved, validate

FOLDERS = lesson_folders(find_folder())


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name, scope="module")
def lesson(request):
    """Load each lesson in turn."""
    return load_lesson(request.param)


def test_lesson_is_valid(lesson):
    assert validate(lesson) == []


def test_runs_from_top_to_bottom(lesson, monkeypatch, capsys):
    matplotlib.use("Agg")
    from matplotlib import pyplot

    monkeypatch.chdir(lesson.folder)
    with importable(lesson.given), pyplot.rc_context(), mdl.use_backend("numpy"):
        exec(compile(read_solved(lesson), "lesson.py", "exec"), {"__name__": "lesson"})
    assert pyplot.get_fignums(), "a lesson has figures"
    pyplot.close("all")
    printed = capsys.readouterr().out
    for task in lesson.tasks:
        assert f"task {task.id}: all" in printed, "every task is checked"


def test_the_last_section_leads_to_files_that_exist(lesson):
    *_, last = read_solved(lesson).split("\n# ## ")
    assert last.startswith("Now read the package")
    paths = re.findall(r"`((?:minideeplab|notebooks)/[\w./]+)`", last)
    assert any(path.startswith("notebooks/") for path in paths)
    assert all((find_folder().parent / path).exists() for path in paths)


def test_the_table_has_this_lesson(lesson):
    row = course_table([lesson]).splitlines()[-1]
    text = (find_folder() / "README.md").read_text(encoding="utf-8")
    assert row in text, "minideeplab lesson list --markdown prints the table for lessons/README.md"


def test_the_solutions_get_all_points_in_processes_of_their_own(lesson, tmp_path):
    path = tmp_path / f"lesson_{lesson.number}.py"
    path.write_text(read_solved(lesson), encoding="utf-8")
    (found,) = grade(path, jobs=2, only=lesson.number, seed="private cases, too")
    assert found.points == found.out_of == lesson.points, found.results
    assert sum(len(r.task.cases) for r in found.results) > sum(len(t.cases) for t in lesson.tasks)


def test_builds_for_every_reader(lesson, tmp_path):
    for reader in READERS:
        assert not build(lesson, reader, tmp_path / reader).kept


def test_timetables_respect_what_lessons_need():
    text = (find_folder() / "README.md").read_text(encoding="utf-8")
    needs = {folder.name[:2]: load_lesson(folder).about.needs for folder in FOLDERS}
    for title in ("Semester", "Short course"):
        rows = text.split(f"| {title} |\n|---|---|\n")[1].split("\n\n")[0]
        order = re.findall(r"\| (\d\d) \|$", rows, re.MULTILINE)
        assert len(order) == (len(needs) if title == "Semester" else 5)
        for index, number in enumerate(order):
            assert set(needs[number]) <= set(order[:index]), f"{title}: {number}"
