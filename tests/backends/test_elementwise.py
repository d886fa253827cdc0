"""Elementwise addition and the SGD update: the bits of NumPy in any memory order."""

import numpy as np
import pytest

from minideeplab import ops
from minideeplab.backends import numba_cpu, use_backend
from minideeplab.tape import add
from minideeplab.training.optim import SGD


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("orders", ["CC", "LL", "CL", "LC"])
def test_addition_has_the_bits_of_numpy(dtype, orders):
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((3, 40, 30, 35)).astype(dtype) for _ in range(2))
    expected = a + b
    a, b = (
        x if order == "C" else np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        for x, order in zip((a, b), orders, strict=True)
    )
    y = add(a, b)
    np.testing.assert_array_equal(y, expected, strict=True)
    assert y.strides == a.strides


def test_addition_of_unlike_arrays_is_numpys():
    a = np.ones((400, 300), np.float32)
    assert add(a, np.ones(300, np.float32)).shape == (400, 300)
    assert add(a, np.ones((400, 300))).dtype == np.float64


@pytest.mark.parametrize("decay", [0.0, 5e-4])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_compiled_step_of_sgd_has_the_bits_of_its_definition(dtype, decay):
    rng = np.random.default_rng(1)
    first = [rng.standard_normal(100_000).astype(dtype) for _ in range(3)]
    one, other = ([a.copy() for a in first] for _ in range(2))
    numba_cpu.sgd_update(*one, 0.9, 1e-3, decay)
    ops.sgd_update(*other, 0.9, 1e-3, decay)
    assert not np.array_equal(one[0], first[0])
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b, strict=True)


def test_a_step_on_views_or_another_backend_is_the_definitions():
    w, g, velocity = np.ones((3, 40, 40, 5), np.float32).transpose(0, 3, 1, 2), 1.0, 0.0
    arrays = w, np.full_like(w, g), np.full_like(w, velocity)
    for name in ("numba", "numpy"):
        with use_backend(name):
            SGD({}, momentum=0.9).change(*arrays[:2], 0.5, 0.0, arrays[2])
    np.testing.assert_allclose(w, 1 - 0.5 - 0.95)
