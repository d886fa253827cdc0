"""Keys of lattice vertices for hash tables: all coordinates of a vertex in one 64-bit number."""

from __future__ import annotations

import numpy as np

from minideeplab.ops.crf.lattice import elevation_scale

KEY_BITS = 62


def place_values(features: np.ndarray) -> np.ndarray | None:
    """Place values of the D+1 coordinates in a vertex's key, then their sum; None if it won't fit.

    ``features`` (D, N). A digit must hold all that a coordinate may be: the range of the elevated
    features and some steps of the lattice to either side. The last coordinate, minus the sum of
    the others, has none. A step of the vertex along an axis adds a constant to its key.
    """
    d = len(features)
    spread = np.ptp(features, axis=1).astype(np.float64) * elevation_scale(d)
    ranges = [spread[j:].sum() + (j * spread[j - 1] if j else 0) for j in range(d)]
    digits = np.ceil(ranges) + 4 * (d + 1)
    if np.log2(digits).sum() > KEY_BITS:
        return None
    places = np.zeros(d + 2, np.int64)
    places[:d] = np.cumprod(np.append(1, digits[:-1])).astype(np.int64)
    places[-1] = places.sum()
    return places
