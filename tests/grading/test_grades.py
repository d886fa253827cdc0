"""One submission and a class: what is found, chosen, printed and written."""

from __future__ import annotations

import csv
import json

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
    assert "which lesson is it of? say --lesson NN" in capsys.readouterr().err
    assert run(lessons, "build", "99", "--out", tmp_path / "o") == 1
    assert "no lesson '99'" in capsys.readouterr().err
    assert run(lessons, "grade", tmp_path / "nowhere") == 2


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
