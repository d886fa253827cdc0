"""Winograd's minimal filtering in one dimension: F(4, 3) and F(6, 3).

m outputs of a 3-tap filter are the coefficients of a product of two polynomials. Evaluated at
n = m + 2 points, the product costs n multiplications instead of 3 m (Winograd 1980; Lavin and Gray,
arXiv 1509.09308). The points are 0, 1, -1, 2, -2 and infinity for m = 4, and 1/2 and -1/2 as well
for m = 6. In matrices, with d the inputs, w the filter and y the outputs:

    y = A^T [(G w) * (B^T d)]

Each function multiplies up to n vectors of sixteen channels by one of these matrices.
``source`` = (array, rows, first, step, lane): vector k is in ``array[rows[first + k * step]]``
from ``lane`` on; ``rows`` is a table, or a number that is added instead.
``target`` = (array, first, step, lane): result k goes to ``array[first + k * step]``.
"""

from __future__ import annotations

from minideeplab.backends.numba_cpu.runtime.jit import inlined
from minideeplab.backends.numba_cpu.simd import load_indexed, store


@inlined
def _get(source, k):
    return load_indexed(source[0], source[1], source[2] + k * source[3], source[4])


@inlined
def _put(target, k, vector):
    store(target[0], target[1] + k * target[2], target[3], vector)


@inlined
def _put_pair(target, k, even, odd):
    """Write the results at a point and at its negative, from the even and the odd powers."""
    _put(target, k, even + odd)
    _put(target, k + 1, even - odd)


@inlined
def input_1d(n, source, target):
    """B^T d: n inputs to n points."""
    a, b, c = _get(source, 0), _get(source, 1), _get(source, 2)
    d, e, f = _get(source, 3), _get(source, 4), _get(source, 5)
    if n == 6:
        _put(target, 0, a * 4.0 - c * 5.0 + e)
        _put_pair(target, 1, e - c * 4.0, d - b * 4.0)
        _put_pair(target, 3, e - c, (d - b) * 2.0)
        _put(target, 5, b * 4.0 - d * 5.0 + f)
    else:
        g, h = _get(source, 6), _get(source, 7)
        _put(target, 0, a - g + (e - c) * 5.25)
        _put_pair(target, 1, c - e * 4.25 + g, b - d * 4.25 + f)
        _put_pair(target, 3, c * 0.25 - e * 1.25 + g, b * 0.5 - d * 2.5 + f * 2.0)
        _put_pair(target, 5, c * 4.0 - e * 5.0 + g, b * 2.0 - d * 2.5 + f * 0.5)
        _put(target, 7, h - b + (d - f) * 5.25)


@inlined
def output_1d(n, source, target):
    """A^T p: products at n points to n - 2 outputs."""
    a, b, c = _get(source, 0), _get(source, 1), _get(source, 2)
    d, e, f = _get(source, 3), _get(source, 4), _get(source, 5)
    one, minus_one, two, minus_two = b + c, b - c, d + e, d - e
    if n == 6:
        _put(target, 0, a + one + two)
        _put(target, 1, minus_one + minus_two * 2.0)
        _put(target, 2, one + two * 4.0)
        _put(target, 3, minus_one + minus_two * 8.0 + f)
    else:
        g, h = _get(source, 6), _get(source, 7)
        half, minus_half = f + g, f - g
        _put(target, 0, a + one + two + half * 32.0)
        _put(target, 1, minus_one + minus_two * 2.0 + minus_half * 16.0)
        _put(target, 2, one + two * 4.0 + half * 8.0)
        _put(target, 3, minus_one + minus_two * 8.0 + minus_half * 4.0)
        _put(target, 4, one + two * 16.0 + half * 2.0)
        _put(target, 5, minus_one + minus_two * 32.0 + minus_half + h)


@inlined
def filter_1d(n, source, target):
    """G w: 3 taps to n points."""
    a, b, c = _get(source, 0), _get(source, 1), _get(source, 2)
    _put(target, n - 1, c)
    if n == 6:
        _put(target, 0, a * 0.25)
        _put_pair(target, 1, (a + c) * (-1 / 6), b * (-1 / 6))
        _put_pair(target, 3, a * (1 / 24) + c * (1 / 6), b * (1 / 12))
    else:
        _put(target, 0, a)
        _put_pair(target, 1, (a + c) * (-2 / 9), b * (-2 / 9))
        _put_pair(target, 3, a * (1 / 90) + c * (2 / 45), b * (1 / 45))
        _put_pair(target, 5, a * (1 / 45) + c * (1 / 180), b * (1 / 90))


@inlined
def cotangent_1d(n, source, target):
    """A dy: the transpose of ``output_1d``, n - 2 cotangents to n points."""
    a, b, c, d = _get(source, 0), _get(source, 1), _get(source, 2), _get(source, 3)
    _put(target, 0, a)
    if n == 6:
        _put_pair(target, 1, a + c, b + d)
        _put_pair(target, 3, a + c * 4.0, b * 2.0 + d * 8.0)
        _put(target, 5, d)
    else:
        e, f = _get(source, 4), _get(source, 5)
        _put_pair(target, 1, a + c + e, b + d + f)
        _put_pair(target, 3, a + c * 4.0 + e * 16.0, b * 2.0 + d * 8.0 + f * 32.0)
        _put_pair(target, 5, a * 32.0 + c * 8.0 + e * 2.0, b * 16.0 + d * 4.0 + f)
        _put(target, 7, f)


@inlined
def filter_gradient_1d(n, source, target):
    """G^T du: the transpose of ``filter_1d``, n points to 3 taps."""
    a, b, c = _get(source, 0), _get(source, 1), _get(source, 2)
    d, e, f = _get(source, 3), _get(source, 4), _get(source, 5)
    one, minus_one, two, minus_two = b + c, b - c, d + e, d - e
    if n == 6:
        _put(target, 0, a * 0.25 - one * (1 / 6) + two * (1 / 24))
        _put(target, 1, minus_two * (1 / 12) - minus_one * (1 / 6))
        _put(target, 2, f - one * (1 / 6) + two * (1 / 6))
    else:
        g, h = _get(source, 6), _get(source, 7)
        half, minus_half = f + g, f - g
        _put(target, 0, a - one * (2 / 9) + two * (1 / 90) + half * (1 / 45))
        _put(target, 1, minus_two * (1 / 45) - minus_one * (2 / 9) + minus_half * (1 / 90))
        _put(target, 2, h - one * (2 / 9) + two * (2 / 45) + half * (1 / 180))
