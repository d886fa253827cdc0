import subprocess
import sys

import numpy as np
import pytest

from minideeplab.bench import memory

pytestmark = pytest.mark.skipif(not memory.known(), reason="needs Linux")


def run(code):
    """What a new process prints: its heap keeps no freed blocks of other tests."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def test_peak_sees_what_is_gone_again():
    code = """
import numpy as np
from minideeplab.bench import memory
memory.reset_peak()
before = memory.resident(memory.NOW)
np.ones(10_000_000).sum()  # 80 MB, freed at once
print(memory.resident(memory.PEAK) - before)
"""
    assert int(run(code).stdout) > 70e6


def test_peak_is_not_inherited_from_the_parent():
    ballast = np.ones(40_000_000)  # 320 MB
    code = "from minideeplab.bench import memory; print(memory.resident(memory.PEAK))"
    assert int(run(code).stdout) < 200e6 < ballast.nbytes
