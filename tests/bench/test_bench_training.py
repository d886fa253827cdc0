"""The training benchmark, once, as small as it goes."""

from __future__ import annotations

import importlib.util

import pytest

from minideeplab import cli
from minideeplab.bench import memory
from minideeplab.bench.training import Plan, measure_here


def test_a_row_has_times_that_fit_together():
    row = measure_here(Plan("shapes:2", crop=(25, 33), batch_sizes=(2,), steps=1))
    assert row["images/s"] == pytest.approx(2 / row["step, s"])
    assert row["loader"] == pytest.approx(row["making it, s"] / row["step, s"])
    assert ("peak, MB" in row) == memory.known()
    assert ("times faster" in row) == (importlib.util.find_spec("torch") is not None)


def test_the_command_prints_a_row_for_each_batch_size(capsys):
    size = ["--crop", "25", "33", "--batch-sizes", "1,2", "--steps", "1"]
    assert cli.run(["bench", "training", "--data", "shapes:2", *size]) == 0
    out = capsys.readouterr().out
    assert "| 1 |" in out and "| 2 |" in out
    assert cli.run(["bench", "training", "--batch-sizes", "1,x"]) == 2
