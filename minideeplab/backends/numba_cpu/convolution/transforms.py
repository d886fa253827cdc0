"""Winograd's minimal filtering in one dimension: F(4, 3).

Four outputs of a 3-tap filter are coefficients of a product of two polynomials. Evaluated at six
points, the product costs 6 multiplications instead of 12 (Winograd 1980; Lavin and Gray, arXiv
1509.09308). The points are 0, +-1/sqrt(2), +-sqrt(2) and infinity: rounding errors are amplified
four times less than at the usual 0, +-1, +-2 and infinity, and six times less than in F(6, 3) (see
README.md). In matrices, with d the inputs, w the filter and y the outputs:

    y = A^T [(G w) * (B^T d)]

Each function multiplies vectors of sixteen channels by one of these matrices.
``source`` = (array, rows, first, step, lane): vector k is in ``array[rows[first + k * step]]``
from ``lane`` on; ``rows`` is a table, or a number that is added instead.
``target`` = (array, first, step, lane): result k goes to ``array[first + k * step]``.
"""

from __future__ import annotations

from minideeplab.backends.numba_cpu.runtime.jit import inlined
from minideeplab.backends.numba_cpu.simd import load_indexed, store

M, N = 4, 6  # outputs and points
HALF_ROOT, ROOT = 0.5**0.5, 2**0.5


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
def input_1d(source, target):
    """B^T d: six inputs to six points."""
    a, b, c = _get(source, 0), _get(source, 1), _get(source, 2)
    d, e, f = _get(source, 3), _get(source, 4), _get(source, 5)
    _put(target, 0, a - c * 2.5 + e)
    _put_pair(target, 1, e - c * 2.0, (d - b * 2.0) * HALF_ROOT)
    _put_pair(target, 3, e - c * 0.5, (d - b * 0.5) * ROOT)
    _put(target, 5, b - d * 2.5 + f)


@inlined
def output_1d(source, target):
    """A^T p: products at six points to four outputs."""
    a, b, c = _get(source, 0), _get(source, 1), _get(source, 2)
    d, e, f = _get(source, 3), _get(source, 4), _get(source, 5)
    near_even, near_odd, far_even, far_odd = b + c, b - c, d + e, d - e
    _put(target, 0, a + near_even + far_even)
    _put(target, 1, (near_odd * 0.5 + far_odd) * ROOT)
    _put(target, 2, near_even * 0.5 + far_even * 2.0)
    _put(target, 3, (near_odd * 0.25 + far_odd * 2.0) * ROOT + f)


@inlined
def filter_1d(source, target):
    """G w: three taps to six points."""
    a, b, c = _get(source, 0), _get(source, 1), _get(source, 2)
    _put(target, 0, a)
    _put_pair(target, 1, (a + c * 0.5) * (-2 / 3), b * (-ROOT / 3))
    _put_pair(target, 3, a * (1 / 6) + c * (1 / 3), b * (ROOT / 6))
    _put(target, 5, c)


@inlined
def cotangent_1d(source, target):
    """A dy: the transpose of ``output_1d``, four cotangents to six points."""
    a, b, c, d = _get(source, 0), _get(source, 1), _get(source, 2), _get(source, 3)
    _put(target, 0, a)
    _put_pair(target, 1, a + c * 0.5, (b + d * 0.5) * HALF_ROOT)
    _put_pair(target, 3, a + c * 2.0, (b + d * 2.0) * ROOT)
    _put(target, 5, d)


@inlined
def filter_gradient_1d(source, target):
    """G^T du: the transpose of ``filter_1d``, six points to three taps."""
    a, b, c = _get(source, 0), _get(source, 1), _get(source, 2)
    d, e, f = _get(source, 3), _get(source, 4), _get(source, 5)
    near_even, near_odd, far_even, far_odd = b + c, b - c, d + e, d - e
    _put(target, 0, a - near_even * (2 / 3) + far_even * (1 / 6))
    _put(target, 1, (far_odd * 0.5 - near_odd) * (ROOT / 3))
    _put(target, 2, f + (far_even - near_even) * (1 / 3))
