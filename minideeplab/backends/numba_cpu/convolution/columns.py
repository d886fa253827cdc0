"""im2col and its transpose: what each output sees as one row of a matrix, some rows at a time.

Row ``p * Q + q`` holds the pixels under the taps in turn, the channels of a pixel side by side:
``[(i, j), c] = x[p * sh - top + i * dh, q * sw - left + j * dw, c]``, zero outside the picture.
``window`` is ``Problem.window``.
"""

from __future__ import annotations

from minideeplab.backends.numba_cpu.runtime.jit import jit


@jit
def im2col(x, columns, start, width, window):
    """Fill ``columns`` (L, taps * C) with outputs [start, start + L) of the picture x (H, W, C)."""
    kh, kw, sh, sw, top, left, dh, dw = window
    height, length, channels = x.shape
    for line in range(columns.shape[0]):
        p, q = divmod(start + line, width)
        row = columns[line]
        for i in range(kh):
            h = p * sh - top + i * dh
            for j in range(kw):
                w = q * sw - left + j * dw
                target = row[(i * kw + j) * channels : (i * kw + j + 1) * channels]
                if h < 0 or h >= height or w < 0 or w >= length:
                    target[:] = 0
                else:
                    source = x[h, w]
                    for c in range(target.size):
                        target[c] = source[c]


@jit
def im2col_runs(x, columns, start, width, channels, window):
    """Do as ``im2col`` for dilation 1 along rows: the taps of a row are one run of x (H, W * C)."""
    kh, kw, sh, sw, top, left, dh, _ = window
    run = kw * channels
    for line in range(columns.shape[0]):
        p, q = divmod(start + line, width)
        begin = (q * sw - left) * channels
        first = min(run, max(0, -begin))
        last = max(first, min(run, x.shape[1] - begin))
        for i in range(kh):
            h = p * sh - top + i * dh
            target = columns[line, i * run : (i + 1) * run]
            if h < 0 or h >= x.shape[0]:
                target[:] = 0
                continue
            target[:first] = 0
            target[last:] = 0
            inside, source = target[first:last], x[h, begin + first : begin + last]
            for c in range(inside.size):
                inside[c] = source[c]


@jit
def col2im(columns, x, start, width, window):
    """Add every row of ``columns`` (L, taps * C) to the pixels of x (H, W, C) it was read from."""
    kh, kw, sh, sw, top, left, dh, dw = window
    height, length, channels = x.shape
    for line in range(columns.shape[0]):
        p, q = divmod(start + line, width)
        row = columns[line]
        for i in range(kh):
            h = p * sh - top + i * dh
            for j in range(kw):
                w = q * sw - left + j * dw
                if h >= 0 and h < height and w >= 0 and w < length:
                    source = row[(i * kw + j) * channels : (i * kw + j + 1) * channels]
                    target = x[h, w]
                    for c in range(source.size):
                        target[c] += source[c]
