"""The small network that every file in ``data`` holds, in our layout.

The numbers are quarters below 64, so that half precision and bfloat16 hold them exactly.
"""

from __future__ import annotations

import numpy as np


def numbers(*shape: int, start: int = 0) -> np.ndarray:
    """Distinct (up to 400 of them) multiples of 0.25 from -50 on."""
    count = np.arange(int(np.prod(shape))) + start
    return (count % 400 / 4 - 50).astype(np.float32).reshape(shape)


NETWORK = {
    "conv1_1.weight": numbers(4, 3, 3, 2),
    "conv1_1.bias": numbers(4, start=72),
    "fc6.weight": numbers(5, 16, start=76),
    "fc6.bias": numbers(5, start=156),
}
