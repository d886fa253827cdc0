"""The benchmark: honest ratios, both kinds of output, clear refusals."""

import json

import pytest
from click.testing import CliRunner

from minideeplab.bench.layers import Layer
from minideeplab.bench.layers import measure as measure_layer
from minideeplab.bench.report import markdown
from minideeplab.bench.timing import Timing, interleaved
from minideeplab.cli import run
from minideeplab.cli.bench import command


def test_competitors_run_in_turn():
    calls = []
    timings = interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2)
    assert calls == ["a", "b"] * 3
    assert len(timings["a"].seconds) == 2


def test_ratio_is_the_median_over_the_rounds():
    assert Timing((1.0, 2.0, 4.0)).times_faster_than(Timing((3.0, 4.0, 4.0))) == 2.0


def test_a_layer_has_its_numbers():
    row = measure_layer(Layer("tiny", 16, 32, 1, dilation=2), 17, 1, backward=True, rounds=1)
    assert row["what"] == "tiny" and row["ours ms"] > 0 and 0 < row["error"] < 1e-4


def test_markdown_has_every_column():
    table = markdown([{"a": 1, "b": 0.5}, {"a": 2, "c": 1e-6}]).splitlines()
    assert table == ["| a | b | c |", "| --- | --- | --- |", "| 1 | 0.5 |  |", "| 2 |  | 1.0e-06 |"]


def test_command_writes_both_files(tmp_path):
    options = "--no-layers --network small --image 17 --train-image 17 --batch 2 --rounds 1"
    files = ["--json", str(tmp_path / "n.json"), "--markdown", str(tmp_path / "t.md")]
    result = CliRunner().invoke(command, ["cpu", *options.split(), *files])
    assert result.exit_code == 0, result.output
    numbers = json.loads((tmp_path / "n.json").read_text())
    assert [row["pass"] for row in numbers["networks"]] == ["forward", "training step"]
    assert numbers["machine"]["sgemm GFLOP/s"] > 0
    assert numbers["machine"]["our product GFLOP/s"] > 0
    assert "| small | forward | 17x17 |" in (tmp_path / "t.md").read_text()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--image", "500", "image: 500, expected 8k + 1"),
        ("--rounds", "0", "rounds: 0, expected at least 1"),
        ("--network", "unet", "network: 'unet', expected one of small"),
    ],
)
def test_wrong_options_are_named(capsys, option, value, message):
    assert run(["bench", "cpu", option, value]) == 1
    assert message in capsys.readouterr().err
