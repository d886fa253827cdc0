"""The table of cases on the cuda backend, without a GPU: on Numba's simulator, with the race
checker, and as CUDA C run on the CPU.

In all dtypes and with the large rows:

    NUMBA_ENABLE_CUDASIM=1 python tests/backends/cuda/judge.py simulator float32 --all out.json
"""

import pytest
from conftest import RUNS

from minideeplab.backends.cuda import sources
from minideeplab.testing.operations import NETWORK


@pytest.mark.parametrize("what", [*NETWORK, "implicit", "epilogue", "crf"])
@pytest.mark.parametrize("run", RUNS)
def test_agrees_with_the_definition(run, what, judged):
    assert not judged(run)["complaints"][what]


def test_every_kernel_was_run_and_is_in_cuda_c(judged):
    texts = map(sources.text, sources.files())
    in_c = {name for text in texts for name, _ in sources.SIGNATURE.findall(text)}
    assert {name for _, name, _ in judged("checker")["signatures"]} == in_c
