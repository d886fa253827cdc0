"""Winograd's minimal filtering in one dimension: F(4, 3) and F(6, 3).

m outputs of a 3-tap filter are the coefficients of a product of two polynomials. Evaluated at
n = m + 2 points, the product costs n multiplications instead of 3 m (Winograd 1980; Lavin and Gray,
arXiv 1509.09308). The points are 0, 1, -1, 2, -2 and infinity for m = 4, and 1/2 and -1/2 as well
for m = 6. In matrices, with d the inputs, w the filter and y the outputs:

    y = A^T [(G w) * (B^T d)]

Each function takes n, and multiplies n or fewer vectors by one matrix: it reads them from
``rows[start], rows[start + step], ...`` of ``source`` (``rows`` is a table, or the number of the
row with which a plain sequence begins) and writes n or fewer rows ``first, first + hop, ...`` of
``target``. Both are matrices whose columns are channels, of which sixteen are transformed at a
time: those from ``lane`` of the source, to ``spot`` of the target.
"""

from __future__ import annotations

from minideeplab.backends.numba_cpu.convolution.simd import store, vector
from minideeplab.backends.numba_cpu.runtime.jit import inlined


@inlined
def input_1d(n, source, rows, start, step, lane, target, first, hop, spot):
    """B^T d: n inputs to n points."""
    a = vector(source, rows, start, lane)
    b = vector(source, rows, start + step, lane)
    c = vector(source, rows, start + 2 * step, lane)
    d = vector(source, rows, start + 3 * step, lane)
    e = vector(source, rows, start + 4 * step, lane)
    f = vector(source, rows, start + 5 * step, lane)
    if n == 6:
        store(target, first, spot, a * 4.0 - c * 5.0 + e)
        even, odd = e - c * 4.0, d - b * 4.0
        store(target, first + hop, spot, even + odd)
        store(target, first + 2 * hop, spot, even - odd)
        even, odd = e - c, (d - b) * 2.0
        store(target, first + 3 * hop, spot, even + odd)
        store(target, first + 4 * hop, spot, even - odd)
        store(target, first + 5 * hop, spot, b * 4.0 - d * 5.0 + f)
    else:
        g = vector(source, rows, start + 6 * step, lane)
        h = vector(source, rows, start + 7 * step, lane)
        store(target, first, spot, a - g + (e - c) * 5.25)
        even, odd = c - e * 4.25 + g, b - d * 4.25 + f
        store(target, first + hop, spot, even + odd)
        store(target, first + 2 * hop, spot, even - odd)
        even, odd = c * 0.25 - e * 1.25 + g, b * 0.5 - d * 2.5 + f * 2.0
        store(target, first + 3 * hop, spot, even + odd)
        store(target, first + 4 * hop, spot, even - odd)
        even, odd = c * 4.0 - e * 5.0 + g, b * 2.0 - d * 2.5 + f * 0.5
        store(target, first + 5 * hop, spot, even + odd)
        store(target, first + 6 * hop, spot, even - odd)
        store(target, first + 7 * hop, spot, h - b + (d - f) * 5.25)


@inlined
def output_1d(n, source, rows, start, step, lane, target, first, hop, spot):
    """A^T p: products at n points to n - 2 outputs."""
    a = vector(source, rows, start, lane)
    b = vector(source, rows, start + step, lane)
    c = vector(source, rows, start + 2 * step, lane)
    d = vector(source, rows, start + 3 * step, lane)
    e = vector(source, rows, start + 4 * step, lane)
    f = vector(source, rows, start + 5 * step, lane)
    one, minus_one, two, minus_two = b + c, b - c, d + e, d - e
    if n == 6:
        store(target, first, spot, a + one + two)
        store(target, first + hop, spot, minus_one + minus_two * 2.0)
        store(target, first + 2 * hop, spot, one + two * 4.0)
        store(target, first + 3 * hop, spot, minus_one + minus_two * 8.0 + f)
    else:
        g = vector(source, rows, start + 6 * step, lane)
        h = vector(source, rows, start + 7 * step, lane)
        half, minus_half = f + g, f - g
        store(target, first, spot, a + one + two + half * 32.0)
        store(target, first + hop, spot, minus_one + minus_two * 2.0 + minus_half * 16.0)
        store(target, first + 2 * hop, spot, one + two * 4.0 + half * 8.0)
        store(target, first + 3 * hop, spot, minus_one + minus_two * 8.0 + minus_half * 4.0)
        store(target, first + 4 * hop, spot, one + two * 16.0 + half * 2.0)
        store(target, first + 5 * hop, spot, minus_one + minus_two * 32.0 + minus_half + h)


@inlined
def filter_1d(n, source, rows, start, step, lane, target, first, hop, spot):
    """G w: 3 taps to n points."""
    a = vector(source, rows, start, lane)
    b = vector(source, rows, start + step, lane)
    c = vector(source, rows, start + 2 * step, lane)
    store(target, first + (n - 1) * hop, spot, c)
    if n == 6:
        store(target, first, spot, a * 0.25)
        even, odd = (a + c) * (-1 / 6), b * (-1 / 6)
        store(target, first + hop, spot, even + odd)
        store(target, first + 2 * hop, spot, even - odd)
        even, odd = a * (1 / 24) + c * (1 / 6), b * (1 / 12)
        store(target, first + 3 * hop, spot, even + odd)
        store(target, first + 4 * hop, spot, even - odd)
    else:
        store(target, first, spot, a)
        even, odd = (a + c) * (-2 / 9), b * (-2 / 9)
        store(target, first + hop, spot, even + odd)
        store(target, first + 2 * hop, spot, even - odd)
        even, odd = a * (1 / 90) + c * (2 / 45), b * (1 / 45)
        store(target, first + 3 * hop, spot, even + odd)
        store(target, first + 4 * hop, spot, even - odd)
        even, odd = a * (1 / 45) + c * (1 / 180), b * (1 / 90)
        store(target, first + 5 * hop, spot, even + odd)
        store(target, first + 6 * hop, spot, even - odd)


@inlined
def cotangent_1d(n, source, rows, start, step, lane, target, first, hop, spot):
    """A dy: the transpose of ``output_1d``, n - 2 cotangents to n points."""
    a = vector(source, rows, start, lane)
    b = vector(source, rows, start + step, lane)
    c = vector(source, rows, start + 2 * step, lane)
    d = vector(source, rows, start + 3 * step, lane)
    store(target, first, spot, a)
    if n == 6:
        even, odd = a + c, b + d
        store(target, first + hop, spot, even + odd)
        store(target, first + 2 * hop, spot, even - odd)
        even, odd = a + c * 4.0, b * 2.0 + d * 8.0
        store(target, first + 3 * hop, spot, even + odd)
        store(target, first + 4 * hop, spot, even - odd)
        store(target, first + 5 * hop, spot, d)
    else:
        e = vector(source, rows, start + 4 * step, lane)
        f = vector(source, rows, start + 5 * step, lane)
        even, odd = a + c + e, b + d + f
        store(target, first + hop, spot, even + odd)
        store(target, first + 2 * hop, spot, even - odd)
        even, odd = a + c * 4.0 + e * 16.0, b * 2.0 + d * 8.0 + f * 32.0
        store(target, first + 3 * hop, spot, even + odd)
        store(target, first + 4 * hop, spot, even - odd)
        even, odd = a * 32.0 + c * 8.0 + e * 2.0, b * 16.0 + d * 4.0 + f
        store(target, first + 5 * hop, spot, even + odd)
        store(target, first + 6 * hop, spot, even - odd)
        store(target, first + 7 * hop, spot, f)


@inlined
def filter_gradient_1d(n, source, rows, start, step, lane, target, first, hop, spot):
    """G^T du: the transpose of ``filter_1d``, n points to 3 taps."""
    a = vector(source, rows, start, lane)
    b = vector(source, rows, start + step, lane)
    c = vector(source, rows, start + 2 * step, lane)
    d = vector(source, rows, start + 3 * step, lane)
    e = vector(source, rows, start + 4 * step, lane)
    f = vector(source, rows, start + 5 * step, lane)
    one, minus_one, two, minus_two = b + c, b - c, d + e, d - e
    if n == 6:
        store(target, first, spot, a * 0.25 - one * (1 / 6) + two * (1 / 24))
        store(target, first + hop, spot, minus_two * (1 / 12) - minus_one * (1 / 6))
        store(target, first + 2 * hop, spot, f - one * (1 / 6) + two * (1 / 6))
    else:
        g = vector(source, rows, start + 6 * step, lane)
        h = vector(source, rows, start + 7 * step, lane)
        half, minus_half = f + g, f - g
        store(target, first, spot, a - one * (2 / 9) + two * (1 / 90) + half * (1 / 45))
        odd = minus_two * (1 / 45) - minus_one * (2 / 9) + minus_half * (1 / 90)
        store(target, first + hop, spot, odd)
        even = h - one * (2 / 9) + two * (2 / 45) + half * (1 / 180)
        store(target, first + 2 * hop, spot, even)
