"""The simulator gives the threads of a block one shared array, however they take turns."""

import os
import subprocess
import sys

SCRIPT = """
import sys, time
import numpy as np
from numba import cuda, float64
from numba.cuda.simulator import kernelapi

if sys.argv[1:] != ["numba"]:  # without the repair it prints False
    from minideeplab.backends.cuda import device, simulator as kernelapi

class Slow:
    def __getattr__(self, name):
        return getattr(np, name)

    def empty(self, *args):
        time.sleep(0.01)  # let the other threads ask, too
        return np.empty(*args)

kernelapi.np = Slow()

@cuda.jit
def add(values, sums):
    shared = cuda.shared.array(4, float64)
    shared[cuda.threadIdx.x] = values[cuda.blockIdx.x]
    cuda.syncthreads()
    if cuda.threadIdx.x == 0:
        sums[cuda.blockIdx.x] = shared[0] + shared[1] + shared[2] + shared[3]

values, sums = np.arange(1.0, 4.0), np.zeros(3)
add[3, 4](values, sums)
print(np.array_equal(sums, 4 * values))
"""


def test_threads_of_a_block_share():
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    command = [sys.executable, "-c", SCRIPT]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert run.stdout.strip() == "True", run.stderr
