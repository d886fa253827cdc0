"""One submission and a class: what is found, chosen, printed and written."""

from __future__ import annotations

import csv
import json
import os
import shutil

import pytest
from small_lesson import LESSON, answer

from minideeplab import cli
from minideeplab.grading.build import build
from minideeplab.grading.report import plain
from minideeplab.grading.source import split_cells, to_notebook
from minideeplab.grading.submissions import choose, find_submissions


def run(lessons, *arguments):
    return cli.run(["lesson", "--lessons", str(lessons), *map(str, arguments)])


def test_a_student_from_build_to_points(lessons, tmp_path, capsys):
    assert run(lessons, "build", "01", "--out", tmp_path / "mine") == 0
    assert run(lessons, "grade", tmp_path / "mine") == 0
    out = capsys.readouterr().out
    assert out.count("not done") == 3 and "task 1.1: multiply" in out and "0/6" in out
    wrong = answer("1.1", "return x * x")
    (tmp_path / "mine" / "lesson_01.py").write_text(wrong, encoding="utf-8")
    assert run(lessons, "grade", tmp_path / "mine") == 0
    out = capsys.readouterr().out
    assert "1.1   0/1     wrong    Squared, not doubled." in out and "5/6" in out
    score = json.loads((tmp_path / "mine" / "score.json").read_text())
    assert (score["points"], score["out_of"], score["lesson"]) == (5, 6, "01_small")
    assert [task["verdict"] for task in score["tasks"]] == ["wrong", "pass", "pass"]
    results = json.loads((tmp_path / "mine" / "results.json").read_text())
    assert results["score"] == 5 == sum(test["score"] for test in results["tests"])
    assert [test["status"] for test in results["tests"]] == ["failed", "passed", "passed"]


def test_a_class(lessons, tmp_path, capsys):
    for name, text in {"ann": LESSON, "=bob": answer("1.1", "return None")}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "lesson_01.py").write_text(text, encoding="utf-8")
    (tmp_path / "cy" / "deep").mkdir(parents=True)
    (tmp_path / "cy" / "deep" / "lesson_01.ipynb").write_text(
        to_notebook(split_cells(LESSON), "01_small"), encoding="utf-8"
    )
    (tmp_path / "dee").mkdir()
    (tmp_path / "eve").mkdir()
    (tmp_path / "eve" / "lesson_01.ipynb").write_text("{broken")
    assert run(lessons, "grade", tmp_path) == 0
    rows = list(csv.DictReader((tmp_path / "grades" / "grades.csv").open(encoding="utf-8")))
    assert [(r["submission"], r["points"], r["out of"]) for r in rows] == [
        ("'=bob", "5", "6"), ("ann", "6", "6"), ("cy", "6", "6"), ("dee", "0", "6"),
        ("eve", "0", "6"),
    ]  # fmt: skip
    assert rows[3]["remark"] == "no lesson was handed in" and "not a Jupyter" in rows[4]["remark"]
    assert rows[0]["1.1"] == "0" and rows[0]["1.2"] == "2"
    assert json.loads((tmp_path / "grades" / "cy" / "score.json").read_text())["points"] == 6
    out = capsys.readouterr().out
    assert len([line for line in out.splitlines() if line.strip()]) == 5
    assert [g[0].name for g in find_submissions(tmp_path)] == ["=bob", "ann", "cy", "dee", "eve"]


def test_flat_files_are_students(tmp_path):
    for name in ("ann_lesson", "bob"):
        (tmp_path / f"{name}.py").write_text("# lesson: 01_small\n")
    (tmp_path / "bob.ipynb").write_text(to_notebook([], "01_small"))
    groups = find_submissions(tmp_path)
    assert [(g[0].name, g[0].lesson, len(g)) for g in groups] == [
        ("ann_lesson", "01", 1), ("bob", "01", 2),
    ]  # fmt: skip


def test_the_file_that_was_worked_on_counts(lesson, tmp_path):
    build(lesson, "student", tmp_path)
    (group,) = find_submissions(tmp_path)
    assert choose(group).file == "lesson_01.py"
    (tmp_path / "lesson_01.ipynb").write_text(
        to_notebook(split_cells(LESSON), "01_small"), encoding="utf-8"
    )
    (group,) = find_submissions(tmp_path)
    assert choose(group).file == "lesson_01.ipynb"


def test_a_link_is_no_submission(lesson, tmp_path):
    try:
        (tmp_path / "lesson_01.py").symlink_to(lesson.folder / "lesson.py")
    except OSError:
        pytest.skip("no links here")
    ((one,),) = find_submissions(tmp_path)
    assert "a link" in one.problem and one.cells == ()


@pytest.mark.parametrize("text", [b"\xff\xfe\x00", b"x" * 5_000_000])
def test_unreadable_files_are_problems(tmp_path, text):
    (tmp_path / "lesson_01.py").write_bytes(text)
    ((one,),) = find_submissions(tmp_path)
    assert one.problem and one.cells == ()


def test_bad_input_is_one_line_and_status_1(lessons, tmp_path, capsys):
    assert run(lessons, "grade", tmp_path) == 1
    assert "expected lesson_NN.py" in capsys.readouterr().err
    (tmp_path / "ann.py").write_text("x = 1\n")
    assert run(lessons, "grade", tmp_path) == 1
    assert "ann.py does not name its lesson; use --only NN" in capsys.readouterr().out
    assert run(lessons, "build", "99", "--out", tmp_path / "o") == 1
    assert "no lesson '99'" in capsys.readouterr().err
    assert run(lessons, "grade", tmp_path / "nowhere") == 2


def rows_of(folder):
    with (folder / "grades" / "grades.csv").open(encoding="utf-8") as file:
        return {row["submission"]: row for row in csv.DictReader(file)}


def test_one_bad_submission_stops_and_hides_none(lessons, tmp_path, monkeypatch):
    for name in ("ann", "bob", "cem", "dee", "eve", "fay"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lesson_01.py").write_text(LESSON)
    (tmp_path / "ann" / "utils.py").write_text("x = 1\n")
    (tmp_path / "bob" / "lesson_01.py").write_text("# lesson: 77_unknown\n" + LESSON)
    (tmp_path / "cem" / "lesson_01.py").rename(tmp_path / "cem" / "work.zip")
    (tmp_path / "dee" / "lesson_01.py").rename(tmp_path / "dee" / "work.pdf")
    (tmp_path / "eve" / "lesson_01.py").unlink()
    (tmp_path / "lesson_01.py").write_text(LESSON)  # a file beside the folders
    (tmp_path / "all.zip").write_text("")
    (tmp_path / "utils.py").write_text("")
    (tmp_path / "ann_12_given.py").write_text("")
    assert run(lessons, "grade", tmp_path) == 0
    rows = rows_of(tmp_path)
    points = {name: row["points"] for name, row in rows.items()}
    assert points == {
        "ann": "6", "bob": "0", "cem": "0", "dee": "0", "eve": "0", "fay": "6",
        "lesson_01": "6", "all": "0", "utils": "0", "ann_12_given": "0",
    }  # fmt: skip
    for name, words in {
        "bob": "no lesson '77'", "cem": "an archive", "dee": "there is work.pdf, expected .py",
        "eve": "no lesson was handed in", "all": "an archive", "utils": "does not name its lesson",
        "ann_12_given": "a copy of given.py",
    }.items():  # fmt: skip
        assert words in rows[name]["remark"]
        assert words in (tmp_path / "grades" / name / "results.json").read_text()


@pytest.mark.skipif(os.name != "posix", reason="names and links of POSIX")
def test_names_and_links_do_no_harm(lessons, tmp_path):
    home = tmp_path / "class"
    for name in ("\u200b..", "ann", "ann\u200b"):
        (home / name).mkdir(parents=True)
        (home / name / "lesson_01.py").write_text(LESSON)
    (home / "bob").symlink_to(home / "ann")
    (home / "cem").mkdir()
    (home / "cem" / "work").symlink_to(home / "ann")
    assert run(lessons, "grade", home, "--out", tmp_path / "a" / "b") == 0
    assert os.listdir(tmp_path / "a") == ["b"]
    points = {
        folder.name: json.loads((folder / "results.json").read_text())["score"]
        for folder in (tmp_path / "a" / "b").iterdir() if folder.is_dir()
    }  # fmt: skip
    assert points == {"nameless": 6, "ann": 6, "ann+": 6, "bob": 0, "cem": 0}


def test_a_fault_of_the_grader_costs_one_task(lessons, tmp_path, monkeypatch):
    def fails(*arguments):
        raise RuntimeError("broken")

    monkeypatch.setattr("minideeplab.grading.grade.judge", fails)
    (tmp_path / "lesson_01.py").write_text(LESSON)
    assert run(lessons, "grade", tmp_path) == 0
    assert "the grader failed, judge by hand" in (tmp_path / "results.json").read_text()


@pytest.fixture
def two_lessons(lessons, tmp_path):
    """The small lesson twice, also as lesson 02."""
    place = tmp_path / "two"
    shutil.copytree(lessons / "01_small", place / "01_small")
    shutil.copytree(lessons / "01_small", place / "02_small")
    cases = place / "02_small" / "cases.py"
    cases.write_text(cases.read_text().replace('"1.', '"2.'))
    wrong = place / "02_small" / "wrong" / "all.py"
    wrong.write_text(wrong.read_text().replace('"1.', '"2.'))
    return place


def test_another_lesson_gets_no_points(two_lessons, tmp_path):
    home = tmp_path / "class"
    for name, numbers in {"ann": ("01",), "bob": ("02",), "cem": ("01", "02"), "dee": ()}.items():
        (home / name).mkdir(parents=True)
        for number in numbers:
            text = f"# lesson: {number}_small\n" + LESSON
            (home / name / f"lesson_{number}.py").write_text(text)
    (home / "eve").mkdir()
    (home / "eve" / "mine.py").write_text(LESSON)
    assert run(two_lessons, "grade", home, "--only", "2") == 0
    rows = rows_of(home)
    points = {name: (row["lesson"], row["points"]) for name, row in rows.items()}
    assert points == {
        "ann": ("02", "0"), "bob": ("02", "6"), "cem": ("02", "6"), "dee": ("02", "0"),
        "eve": ("02", "6"),
    }  # fmt: skip
    assert rows["ann"]["remark"] == "lesson_01.py is of lesson 01, expected lesson 02"
    assert rows["cem"]["remark"] == "also there: lesson_01.py"


@pytest.mark.parametrize("place", ["lesson_02.py", "deep/down/lesson_02.py", "work.zip", None])
def test_one_upload_always_has_results(two_lessons, tmp_path, place):
    home = tmp_path / "submission"
    home.mkdir()
    if place:
        (home / place).parent.mkdir(parents=True, exist_ok=True)
        (home / place).write_text(LESSON)
    run(two_lessons, "grade", home, "--only", "02", "--single", "--out", tmp_path / "results")
    results = json.loads((tmp_path / "results" / "results.json").read_text())
    assert results["score"] == (6 if place and place.endswith(".py") else 0)
    assert results["score"] or results["output"]


def test_list_and_validate(lessons, capsys):
    assert run(lessons, "list") == 0
    assert "01  Small" in capsys.readouterr().out
    assert run(lessons, "prove") == 0
    assert ": valid, 3 tasks, 6 points, 3 wrong answers" in capsys.readouterr().out


def test_an_edited_file_is_said_to_be_kept(lessons, tmp_path, capsys):
    run(lessons, "build", "01", "--out", tmp_path)
    (tmp_path / "lesson_01.py").write_text("mine")
    assert run(lessons, "build", "01", "--out", tmp_path) == 0
    assert "lesson_01.py: edited since, left as it is" in capsys.readouterr().err


def test_check_prints_how_the_visible_cases_come_out(lesson, tmp_path, monkeypatch, capsys):
    from minideeplab.grading import checker

    build(lesson, "student", tmp_path)
    monkeypatch.chdir(tmp_path)
    check = checker("01")
    check("1.1", lambda x: 2 * x)
    check("1.1", lambda x: x)
    check("1.2", lambda f, x: f(x))

    def hole(x):
        raise NotImplementedError("task 1.3: a slice")

    check("1.3", hole)
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "task 1.1: all 1 visible cases are right"
    assert "3 of 3 values wrong" in out[1] and "called with array([ 1.25" in out[2]
    assert out[3] == "  hint: an argument is returned as it came"
    assert out[4:] == ["task 1.2: all 1 visible cases are right", "task 1.3: not done yet"]


def test_students_text_is_harmless():
    assert plain("a\x1b[2J\n b\u202e\u200bc") == "a [2J b c"
