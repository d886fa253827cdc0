"""One run of ``judge.py`` for each way of running kernels, shared by the tests of this folder.

All start in parallel when the first is needed.
"""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import emulator
import pytest

RUNS = {"simulator": "float64", "checker": "float32", "cuda-c": "float32"}
JUDGE = Path(__file__).with_name("judge.py")


def simulated(*command, **variables):
    """Start Python with Numba's simulator chosen."""
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1", **variables}
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """The folder of results and compiled CUDA C."""
    return tmp_path_factory.mktemp("cuda")


@pytest.fixture(scope="session")
def judged(folder):
    """A function from the name of a run to the output of ``judge.py``."""
    started = {
        name: simulated(JUDGE, name, dtype, folder / f"{name}.json")
        for name, dtype in RUNS.items()
        if name != "cuda-c" or emulator.COMPILER
    }

    @functools.cache
    def result(name):
        if name not in started:
            pytest.skip("no g++ on Linux here")
        output, _ = started[name].communicate(timeout=1200)
        path = folder / f"{name}.json"
        assert path.exists(), output
        return json.loads(path.read_text())

    yield result
    for process in started.values():
        process.kill()
