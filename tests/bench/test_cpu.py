"""The benchmark: honest ratios, both kinds of output, clear refusals."""

import json
import math
import os

import numpy as np
import pytest
from click.testing import CliRunner

from minideeplab import models, no_grad
from minideeplab.bench import core_state
from minideeplab.bench.engines import engines
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
    for row in numbers["networks"]:
        others = [key for key in row if key.endswith(" ms") and key != "ours ms"]
        assert row["ours ms"] > 0 and row["cores"]
        assert ("best engine / ours" in row) == bool(others)
        assert not others or f"{row['best engine']} ms" in others
        assert row.get("difference", 0) < 1e-4
    assert numbers["machine"]["sgemm GFLOP/s"] > 0
    assert numbers["machine"]["our product GFLOP/s"] > 0
    assert "| small | forward | 17x17 |" in (tmp_path / "t.md").read_text()


@pytest.mark.parametrize("name", ["onnxruntime", "OpenVINO"])
def test_engines_compute_our_scores(name):
    pytest.importorskip("onnx")
    pytest.importorskip(name.lower())
    net = models.deeplab_small(3).eval()
    x = np.random.default_rng(0).standard_normal((2, 3, 25, 33), np.float32)
    with no_grad():
        expected = net(x).data
    got = engines(net, x)[name]()
    np.testing.assert_allclose(got, expected, atol=1e-4 * np.abs(expected).max())


def test_core_latency_is_plausible_and_leaves_the_affinity():
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("threads cannot be bound here")
    before = os.sched_getaffinity(0)
    found = core_state.latency()
    assert os.sched_getaffinity(0) == before
    assert found is None or 1 < found < 1e5


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        (31.4, 30, "near (31, 30 ns)"),
        (185, 200, "far (185, 200 ns)"),
        (30, 185, "moved (30, 185 ns)"),
        (100, 100, "between (100, 100 ns)"),
        (None, 30, "unknown"),
    ],
)
def test_state_of_the_cores_in_words(before, after, text):
    assert core_state.describe(before, after) == text


def test_unanswered_words_are_given_up(monkeypatch):
    monkeypatch.setattr(core_state, "_reply", lambda counters: None)
    assert core_state._burst(min(os.sched_getaffinity(0))) == math.inf


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
