"""Dropout masks drawn on all threads equal the definition's, and so does the generator's state."""

import numpy as np
import pytest

from minideeplab import ops
from minideeplab.backends import numba_cpu

LARGE = (2, 64, 51, 53)


def generator(kind, before):
    rng = np.random.Generator(kind(7))
    rng.random(before, np.float32)
    return rng


@pytest.mark.parametrize("shape", [LARGE, (1, 3, 301, 303), (4, 5)])
@pytest.mark.parametrize("kind", [np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937])
@pytest.mark.parametrize("before", [0, 1, 2])
def test_masks_are_the_definitions(shape, kind, before):
    x = np.ones(shape, np.float32)
    one, other = generator(kind, before), generator(kind, before)
    for p in (0.1, 0.0, 1.0):
        _, keep = numba_cpu.dropout(x, p, one)
        np.testing.assert_array_equal(keep, ops.dropout(x, p, other)[1])
    for dtype in (np.float32, np.float64):
        assert one.random(dtype=dtype) == other.random(dtype=dtype)
