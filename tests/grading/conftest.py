"""The small lesson, on disk and loaded."""

from __future__ import annotations

import pytest
from small_lesson import CASES, LESSON, WRONG

from minideeplab.grading.catalogue import load_lesson


@pytest.fixture(scope="session")
def lessons(tmp_path_factory):
    """A folder of lessons with one lesson in it."""
    folder = tmp_path_factory.mktemp("lessons")
    place = folder / "01_small"
    (place / "wrong").mkdir(parents=True)
    (place / "lesson.py").write_text(LESSON, encoding="utf-8")
    (place / "cases.py").write_text(CASES, encoding="utf-8")
    (place / "given.py").write_text("def half(x):\n    return x / 2\n", encoding="utf-8")
    (place / "wrong" / "all.py").write_text(WRONG, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def lesson(lessons):
    """Load that lesson."""
    return load_lesson(lessons / "01_small")
