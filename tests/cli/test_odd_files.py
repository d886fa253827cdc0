"""Pipes, loops of links and oversized images fail alone, at once, and by name."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from minideeplab import cli, io

ROOT = str(Path(__file__).parents[2])
pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")


def huge_png(path):
    """A PNG whose header says 60,000 x 60,000 pixels."""

    def chunk(kind, content):
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A data set of two pairs, a good image and a pipe; the current folder."""
    monkeypatch.chdir(tmp_path)
    labels = np.zeros((17, 25), np.uint8)
    labels[:, 12:] = 1
    for part in ("train", "trainannot", "val", "valannot"):
        Path(part).mkdir()
        for name in "ab":
            io.write_labels(f"{part}/{name}.png", labels)
    Path("classes.txt").write_text("sky\nroad\n")
    io.write_image("good.png", np.full((17, 25, 3), 90, np.uint8))
    os.mkfifo("pipe.png")
    return tmp_path


def run(line):
    """Run a command in a process that is killed if it hangs."""
    return subprocess.run(
        [sys.executable, "-m", "minideeplab", *line.split()],
        capture_output=True, text=True, timeout=60, env=os.environ | {"PYTHONPATH": ROOT},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "pipe"),
    [
        ("segment pipe.png good.png --out out --weights shapes --no-crf", None),
        ("segment good.png --out out --weights pipe.png", None),
        ("crf pipe.png good.png -o o.png", None),
        ("crf good.png pipe.png -o o.png", None),
        ("crf good.png pipe.npy -o o.png", "pipe.npy"),
        ("convert pipe.png", None),
        ("check-data .", "trainannot/a.png"),
        ("check-data .", "train/a.png"),
        ("train --data own:. --out run --iterations 1 --crop 17 17", "trainannot/a.png"),
        ("evaluate --data own:. --weights shapes", "classes.txt"),
    ],
)
def test_a_pipe_is_refused_at_once(folder, line, pipe):
    if pipe is not None:
        Path(pipe).unlink(missing_ok=True)
        os.mkfifo(pipe)
    done = run(line)
    assert done.returncode == 1
    words = "pipe", "no such file", "cannot be read: a.png"  # the last one of the check of own data
    assert any(text in done.stderr + done.stdout for text in words)
    if line.startswith("segment pipe"):
        assert Path("out/good.png").exists()


def test_one_loop_of_links_or_oversized_image_fails_alone(folder, capsys):
    os.symlink("loop.png", "loop.png")
    huge_png(folder / "huge.png")
    line = "segment loop.png huge.png good.png --out out --weights shapes --no-crf"
    assert cli.run(line.split()) == 1
    assert Path("out/good.png").exists()
    assert "1 of 3 images done; failed: loop.png, huge.png" in capsys.readouterr().err


@pytest.mark.parametrize("part", ["train", "trainannot"])
def test_an_oversized_file_of_a_data_set_is_one_problem(folder, part, capsys):
    huge_png(folder / part / "a.png")
    assert cli.run(["check-data", "."]) == 1
    text = "".join(capsys.readouterr())
    assert "that cannot be read" in text and "a.png" in text
