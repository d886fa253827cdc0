"""The pytest plugin, run in a pytest of its own."""

import subprocess
import sys

STUDENT = """
import numpy as np

def relu(x):
    return np.maximum(x, 0)

def backward(dy, x):
    return np.where(x < 0, 0, dy)
"""


def run_pytest(tmp_path, *arguments):
    (tmp_path / "student.py").write_text(STUDENT)
    command = [sys.executable, "-m", "pytest", "-p", "minideeplab.testing.plugin"]
    command += ["-p", "no:cacheprovider", "-q", "--rootdir", str(tmp_path), *arguments]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)


def test_right_and_wrong(tmp_path):
    right = run_pytest(tmp_path, "--minideeplab-op", "relu=student.py:relu")
    assert right.returncode == 0 and "16 passed" in right.stdout, right.stdout + right.stderr
    wrong = run_pytest(tmp_path, "--minideeplab-op", "relu=student:relu,student:backward")
    assert wrong.returncode == 1 and "the gradient passes at zero" in wrong.stdout
    assert "relu/zeros" in wrong.stdout
    apart = run_pytest(
        tmp_path, "--minideeplab-op", "relu=student:relu",
        "--minideeplab-backward", "relu=student:backward",
    )  # fmt: skip
    assert apart.returncode == 1 and "the gradient passes at zero" in apart.stdout


def test_wrong_usage(tmp_path):
    for request in ("relu", "relu=", "conv9=student:relu", "relu=nowhere:relu"):
        result = run_pytest(tmp_path, "--minideeplab-op", request)
        assert result.returncode == 4 and request in result.stderr, result.stderr
    result = run_pytest(tmp_path, "--minideeplab-backward", "relu=student:backward")
    assert result.returncode == 4 and "no --minideeplab-op relu=" in result.stderr
