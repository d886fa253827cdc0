"""No command writes over a file that it reads."""

from __future__ import annotations

import os

import numpy as np
import pytest

from minideeplab import cli, io


@pytest.fixture
def inputs(tmp_path, monkeypatch):
    """An image, labels, probabilities, weights, a function and a data set; the current folder."""
    monkeypatch.chdir(tmp_path)
    image, labels = np.full((24, 32, 3), 90, np.uint8), np.zeros((24, 32), np.uint8)
    labels[:, 16:] = 1
    for folder in ("src", "cc", "data/val", "data/valannot", "data/train", "data/trainannot"):
        os.makedirs(folder)
    for path in ("src/p.png", "p.png", "data/val/curve.png", "data/train/curve.png"):
        io.write_image(path, image)
    for path in ("cc/p-overlay.png", "cc/l.png", "data/trainannot/curve.png"):
        io.write_labels(path, labels)
    io.write_labels("data/valannot/curve.png", labels)
    with open("data/classes.txt", "w") as file:
        file.write("sky\nroad\n")
    np.save("q.npy", np.full((2, 24, 32), 0.5, np.float32))
    np.savez("w.npz", a=np.ones(3))
    os.link("w.npz", "linked.npz")
    os.symlink("p.png", "pointer.png")
    with open("relu.py", "w") as file:
        file.write("def relu(x):\n    return x\n")
    return tmp_path


@pytest.mark.parametrize(
    "line",
    [
        "crf p.png q.npy -o q.png --probabilities",
        "crf src/p.png cc/p-overlay.png -o cc",
        "crf p.png q.npy -o pointer.png",
        "crf p.png q.npy -o out.png --steps p.png",
        "crf p.png q.npy -o out.png --steps out.png",
        "segment p.png cc/l.png --out .",
        "convert w.npz w.npz",
        "convert w.npz linked.npz",
        "check relu relu.py:relu --json relu.py",
        "evaluate --data own:data --weights w.npz --out data/val/../val --split val",
        "train --data own:data --out data/train --iterations 1 --crop 17 17",
        "train --data own:data --init run/weights.npz --out run --iterations 1 --crop 17 17",
        "experiment trimap --data own:trimap --out trimap/val",
    ],
)
def test_inputs_stay_as_they_are(inputs, line, capsys):
    if "run/" in line:
        os.makedirs("run")
        np.savez("run/weights.npz", a=np.ones(3))
    if "evaluate" in line:
        os.rename("data/val/curve.png", "data/val/worst.png")
        os.rename("data/valannot/curve.png", "data/valannot/worst.png")
    if "trimap" in line:
        os.rename("data", "trimap")
        for folder in ("val", "valannot"):
            os.rename(f"trimap/{folder}/curve.png", f"trimap/{folder}/trimap.png")
    before = {path: path.read_bytes() for path in inputs.rglob("*") if path.is_file()}
    assert cli.run(line.split()) == 2
    message = capsys.readouterr().err
    assert "would be overwritten" in message or "would be written twice" in message
    assert {path: path.read_bytes() for path in inputs.rglob("*") if path.is_file()} == before
