"""Compiled code on disk: a damaged file is compiled again, and no folder is no failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import minideeplab

KERNEL = """
from minideeplab.backends.numba_cpu.runtime.jit import jit

@jit
def twice(x):
    return 2 * x

print(twice(21), sum(twice.stats.cache_hits.values()))
"""


@pytest.fixture
def kernel(tmp_path):
    path = tmp_path / "kernel.py"
    path.write_text(KERNEL)
    return path


def run(kernel, **environment):
    """Run the kernel in a process; return its result, its cache hits, and what it warned of."""
    known = {"PYTHONPATH": str(Path(minideeplab.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, kernel], env={**os.environ, **known, **environment},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return tuple(map(int, done.stdout.split())), done.stderr


@pytest.mark.parametrize("suffix, left", [("nbi", 0), ("nbi", 30), ("nbc", 0), ("nbc", 99)])
def test_a_file_that_was_cut_off_is_compiled_again(kernel, tmp_path, suffix, left):
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    assert run(kernel, **cache)[0] == (42, 0)
    (file,) = (tmp_path / "cache").rglob(f"*twice*.{suffix}")
    file.write_bytes(file.read_bytes()[:left])
    assert run(kernel, **cache)[0] == (42, 0)
    assert run(kernel, **cache)[0] == (42, 1)  # repaired


@pytest.mark.skipif(os.name == "nt", reason="POSIX has devices below which there are no folders")
def test_without_a_folder_it_goes_on_uncached_and_names_the_variable(kernel):
    result, warned = run(
        kernel, NUMBA_CACHE_LOCATOR_CLASSES="UserProvidedCacheLocator", NUMBA_CACHE_DIR=""
    )
    assert result == (42, 0) and "set NUMBA_CACHE_DIR to a folder" in warned
