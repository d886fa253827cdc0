"""``minideeplab train`` and ``evaluate``, run as a user runs them, on a few tiny scenes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from minideeplab import use_backend
from minideeplab.cli import run
from minideeplab.models.files import read_npz
from minideeplab.training.records import read_log

TINY = ["--data", "shapes:3", "--batch-size", "2", "--crop", "25", "33", "--iterations", "2"]


@pytest.fixture(autouse=True)
def numpy_backend():
    with use_backend("numpy"):
        yield


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    with use_backend("numpy"):
        assert run(["train", *TINY, "--out", str(folder)]) == 0
    return folder


def last_line(capsys):
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_a_run_writes_weights_for_the_scenes(out):
    state, meta = read_npz(out / "weights.npz")
    assert meta["model"] == "small" and meta["training"]["data"] == "shapes:3"
    assert state["score.weight"].shape[0] == meta["num_classes"] == len(meta["classes"])
    assert len(read_log(out / "log.csv")) == 2


def test_evaluate_prints_the_scores(out, capsys):
    arguments = ["evaluate", "--data", "shapes", "--weights", str(out / "weights.npz")]
    assert run([*arguments, "--limit", "1", "--trimap", "2"]) == 0
    text = capsys.readouterr().out
    for line in ("mean IoU", "pixel accuracy", "class accuracy", "trimap of 2 pixels"):
        assert line in text


def test_resume_alone_knows_the_rest_and_has_nothing_left_to_do(out):
    before, _ = read_npz(out / "weights.npz")
    assert run(["train", "--out", str(out), "--resume"]) == 0
    after, _ = read_npz(out / "weights.npz")
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_a_finished_run_is_not_overwritten(out, capsys):
    assert run(["train", *TINY, "--out", str(out)]) == 1
    assert "already holds a run" in last_line(capsys)


def test_resume_with_other_settings_is_refused(out, capsys):
    assert run(["train", "--out", str(out), "--resume", "--lr", "3"]) == 1
    assert "lr: 3.0" in last_line(capsys)


@pytest.mark.parametrize("arguments, word", [
    (["--data", "shapes", "--lr", "0"], "lr"),
    (["--data", "camvid:nowhere"], "nowhere"),
    (["--data", "cityscapes"], "cityscapes"),
    (["--data", "shapes", "--init", "nowhere.pth"], "nowhere.pth"),
])  # fmt: skip
def test_what_cannot_work_is_one_line_and_status_1(tmp_path, capsys, arguments, word):
    assert run(["train", *arguments, "--out", str(tmp_path / "run")]) == 1
    assert word in last_line(capsys)


def test_missing_data_is_wrong_usage(tmp_path):
    assert run(["train", "--out", str(tmp_path)]) == 2


def test_evaluate_refuses_weights_for_other_classes(out, capsys, tmp_path):
    for split in ("train", "val"):
        for folder in (split, f"{split}annot"):
            (tmp_path / folder).mkdir()
            mode = "RGB" if folder == split else "L"
            Image.new(mode, (16, 16)).save(tmp_path / folder / "a.png")
    arguments = ["evaluate", "--data", f"camvid:{tmp_path}"]
    assert run([*arguments, "--weights", str(out / "weights.npz")]) == 1
    assert "classes" in last_line(capsys)
