"""``--weights`` with something else than minideeplab's weights: one line that says what to pass."""

from __future__ import annotations

import shutil

import h5py
import numpy as np
import pytest

from minideeplab import cli, pretrained
from minideeplab.training import checkpoint


@pytest.fixture
def files(tmp_path):
    run, empty = tmp_path / "run", tmp_path / "empty"
    run.mkdir()
    empty.mkdir()
    shutil.copy(pretrained.find("shapes"), run / "weights.npz")
    parts = {part: {"w": np.zeros(3)} for part in ("model", "optimizer", "average")}
    checkpoint.save(run / "checkpoint.npz", parts, {"model": "small", "num_classes": 5})
    np.savez(tmp_path / "x.npz", **{f"layer{i}.weight": np.zeros(3) for i in range(300)})
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["w"] = np.zeros(3)
    shutil.copy(tmp_path / "x.npz", tmp_path / "x.pth")
    return tmp_path


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("x.pth", "minideeplab convert FILE NEW.npz --to largefov"),
        ("x.h5", "minideeplab convert FILE NEW.npz --to largefov"),
        ("x.npz", "minideeplab convert FILE NEW.npz --to largefov"),
        ("run", "a folder; pass "),
        ("empty", "a folder; expected a weight file"),
        ("run/checkpoint.npz", "a checkpoint of training; pass the weights.npz beside it"),
    ],
)
def test_one_line_names_the_way_out(files, capsys, weights, message):
    path = files / weights
    code = cli.run(["evaluate", "--data", "shapes", "--weights", str(path)])
    error = capsys.readouterr().err
    assert code == 1 and message in error and str(path) in error
    assert error.count("\n") == 1 and len(error) < 300 + len(str(path))
