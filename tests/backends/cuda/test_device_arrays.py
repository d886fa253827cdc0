"""Arrays that stay on the device, on a stand-in for CuPy that lets none slip through."""

import os
import subprocess
import sys
from pathlib import Path

import emulator
import pytest

SCRIPT = Path(__file__).with_name("on_strict_cupy.py")
CHECKS = (
    "arrays_come_back_as_they_went",
    "tensors_move_with_their_gradients",
    "matrices_are_multiplied_by_cublas",
    "a_training_step_stays_on_the_device",
    "an_image_is_segmented",
    "a_network_is_trained_from_the_command_line",
    "the_benchmark_fills_its_tables",
)


@pytest.fixture(scope="module")
def passed(folder):
    """The names of the checks that pass; those behind a failure count as failed, with its text."""
    if not emulator.COMPILER:
        pytest.skip("no g++ on Linux here")
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "0", "MPLBACKEND": "Agg"}
    command = [sys.executable, str(SCRIPT), str(folder), *CHECKS]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)


@pytest.mark.parametrize("check", CHECKS)
def test_on_strict_cupy(check, passed):
    assert check in passed.stdout.split("\n"), passed.stderr[-3000:]
