"""Gradescope's zip, unpacked and run in Gradescope's layout, and a course's private cases."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from small_lesson import LESSON, answer

from minideeplab import cli
from minideeplab.grading.catalogue import find_folder, lesson_folders, load_lesson
from minideeplab.grading.grade import grade
from minideeplab.grading.private import with_private_cases


@pytest.fixture(scope="module")
def unpacked(lessons, tmp_path_factory):
    """The folder /autograder as Gradescope makes it of the zip."""
    home = tmp_path_factory.mktemp("autograder")
    path = home / "autograder.zip"
    arguments = ["--lessons", str(lessons), "autograder", "1", "--out", str(path)]
    assert cli.run(["lesson", *arguments]) == 0
    (home / "source").mkdir()
    with zipfile.ZipFile(path) as archive:
        archive.extractall(home / "source")
        for name in ("setup.sh", "run_autograder"):
            assert archive.getinfo(name).external_attr >> 16 & 0o111
    os.replace(home / "source" / "run_autograder", home / "run_autograder")
    (home / "run_autograder").chmod(0o755)
    return home


def run(home, files):
    for part in ("submission", "results"):
        shutil.rmtree(home / part, ignore_errors=True)
        (home / part).mkdir()
    for name, text in files.items():
        (home / "submission" / name).parent.mkdir(parents=True, exist_ok=True)
        (home / "submission" / name).write_text(text)
    settings = {"AUTOGRADER": str(home), "AUTOGRADER_PYTHON": sys.executable}
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    subprocess.run([str(home / "run_autograder")], env=environment | settings, check=True, cwd="/")
    return json.loads((home / "results" / "results.json").read_text())


@pytest.mark.skipif(os.name != "posix", reason="Gradescope runs Linux")
@pytest.mark.parametrize(
    ("files", "score", "words"),
    [
        ({"lesson_01.py": answer("1.1", "return x * x")}, 5, "Squared, not doubled."),
        ({"mine/solution.py": LESSON, "mine/utils.py": "x = 1"}, 6, ""),
        ({"lesson_02.py": LESSON}, 0, "is of lesson 02, expected lesson 01"),
        ({"work.zip": ""}, 0, "an archive"),
        ({}, 0, "no lesson was handed in"),
    ],
)
def test_gradescope(unpacked, files, score, words):
    results = run(unpacked, files)
    assert results["score"] == score
    assert words in json.dumps(results)


def test_the_zip_has_one_lesson_and_pins_requirements(unpacked):
    source = unpacked / "source"
    assert os.listdir(source / "lessons") == ["01_small"]
    assert f"numpy=={np.__version__}\n" in (source / "requirements.txt").read_text()
    assert subprocess.run(["bash", "-n", str(source / "setup.sh")]).returncode == 0
    assert not list(source.rglob("__pycache__")) or (source / "minideeplab").is_dir()


def test_a_seed_with_a_quote_is_refused(lessons, tmp_path, capsys):
    out = str(tmp_path / "a.zip")
    arguments = ["--lessons", str(lessons), "autograder", "1", "--out", out, "--seed", "a'b"]
    assert cli.run(["lesson", *arguments]) == 1
    assert "seed: expected letters" in capsys.readouterr().err


def test_private_cases_are_added(lesson, tmp_path):
    folder = tmp_path / "01_small"
    shutil.copytree(lesson.folder, folder)
    (folder / "private.py").write_text(
        "from minideeplab.grading import Case\n"
        "def cases(rng):\n    return {'1.1': [Case('own', (rng.random(7),), shown=True)]}\n"
    )
    own = load_lesson(folder)
    task = with_private_cases(own, "s", "ann").tasks[0]
    assert [case.name for case in task.cases][-1] == "own" and not task.cases[-1].shown
    other = with_private_cases(own, "s", "bob").tasks[0]
    again = with_private_cases(own, "s", "ann").tasks[0]
    assert not np.array_equal(task.cases[-1].args[0], other.cases[-1].args[0])
    np.testing.assert_array_equal(task.cases[-1].args[0], again.cases[-1].args[0])
    table = "return {3: np.array([2.5, -5, 14]), 2: np.array([6.246913578246, 1])}[len(x)]"
    (tmp_path / "lesson_01.py").write_text(answer("1.1", table))
    (found,) = grade(tmp_path / "lesson_01.py", tmp_path, seed="s", each=True)
    assert found.results[0].lost == ("own",)
    assert [result.verdict for result in found.results[1:]] == ["pass", "pass"]


@pytest.mark.parametrize("folder", lesson_folders(find_folder()), ids=lambda path: path.name)
def test_a_seed_draws_cases_in_every_lesson_with_random_arrays(folder):
    lesson = load_lesson(folder)
    drawn = with_private_cases(lesson, "course")
    more = sum(len(task.cases) for task in drawn.tasks) - sum(len(t.cases) for t in lesson.tasks)
    assert more >= 3
