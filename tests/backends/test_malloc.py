"""Freed memory is reused without page faults."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
import numpy as np
import minideeplab.backends.numba_cpu
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arrays = [np.ones(1 << 18, np.float32) for _ in range(200)]
    del arrays
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the setting")
def test_freed_memory_is_reused():
    result = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, check=True)
    assert int(result.stdout) < 1000  # of 51200 pages
