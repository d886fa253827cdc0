"""Max pooling without stored indices equals the form that stores them."""

import numpy as np
import pytest

from minideeplab.backends.numba_cpu import (
    max_pool2d,
    max_pool2d_backward,
    max_pool2d_without_indices,
    max_pool2d_without_indices_backward,
)

WINDOWS = {  # kernel_size, stride, padding, dilation, ceil_mode
    "vgg": ((3, 3), (2, 2), (1, 1), (1, 1), True),
    "stride 1": ((3, 3), (1, 1), (1, 1), (1, 1), False),
    "oblong": ((2, 3), (3, 1), (1, 0), (2, 1), True),
    "apart": ((2, 2), (3, 4), (0, 0), (1, 1), False),
    "far": ((5, 4), (4, 2), (2, 2), (4, 3), False),
}


@pytest.mark.parametrize("channels", [19, 32])  # partial and whole vectors
@pytest.mark.parametrize("values", ["distinct", "ties", "nan", "inf"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_the_same_maxima_and_gradients(window, dtype, values, channels):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, channels, 41, 37)).astype(dtype)
    if values == "ties":
        x = np.maximum(np.round(x), 0)
    elif values != "distinct":
        x[rng.random(x.shape) < 0.3] = np.nan if values == "nan" else -np.inf
        x[1, 3] = -np.inf
    y, indices = max_pool2d(x, *window)
    dy = rng.standard_normal(y.shape).astype(dtype)
    np.testing.assert_array_equal(max_pool2d_without_indices(x, *window), y)
    dx = max_pool2d_without_indices_backward(dy, x, y, *window)
    expected = max_pool2d_backward(dy, indices, x.shape)
    np.testing.assert_allclose(dx, expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(dx == 0, expected == 0)
