"""Where a result comes from, and numbers that one case alone suggests."""

from __future__ import annotations

import json

from minideeplab.grading.judge import PASS, judge, run_trusted
from minideeplab.grading.model import Case, Lesson, Task


def result(lesson, task, function):
    task = lesson.task(task)
    return judge(lesson, task, run_trusted(lesson, task, function))


def test_a_result_has_to_come_from_where_the_task_says():
    """Right numbers from elsewhere are refused, and a wrong number is explained as always."""
    from types import SimpleNamespace

    written: list[float] = []

    def doubled(x):
        written.append(2 * x)
        return 2 * x

    given = SimpleNamespace(origin=lambda value, args: "a kernel" if value in written else "")
    cases = tuple(Case(f"x={x}", (x,), shown=True) for x in (3.0, 4.0))
    task = Task("1.1", "f", 1, lambda x: 2 * x, cases, origin="a kernel")
    lesson = Lesson(None, None, (task,), (), given)
    assert result(lesson, "1.1", doubled).verdict == PASS
    written.clear()
    refused = result(lesson, "1.1", lambda x: 2 * x)
    assert refused.lost == ("x=3.0", "x=4.0") and "do not come from a kernel" in refused.hint
    assert "the sign is wrong" in result(lesson, "1.1", lambda x: -2 * x).hint


def test_a_factor_of_one_case_is_not_told(lesson):
    """A number that is fitted to one case needs another case, unless it is a count."""
    odd = result(lesson, "1.1", lambda x: 2 * x if len(x) == 3 else 2.1 * x)
    assert "times" not in odd.hint
    even = result(lesson, "1.1", lambda x: 2 * x if len(x) == 3 else 6 * x)
    assert "where it is wrong, every result is 3 times" in even.hint


def test_a_complex_number_is_the_same_here_and_in_a_process():
    from minideeplab.grading.outcome import VALUE, Outcome
    from minideeplab.grading.serialization import decode_outcome, encode_outcome

    line = json.dumps({"case": 0, **encode_outcome(Outcome(VALUE, (-0.5) ** 0.9))})
    assert decode_outcome(line)[1].value == (-0.5) ** 0.9
