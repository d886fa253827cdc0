"""Mean field with all terms in one kernel. Definition: ``ops/crf/meanfield.py``.

The lattices of all terms are joined: their vertices are concatenated in one array, and each point
has R corners, those of its first term, then of its second. Each corner r has the weight for reading
(``receive``, slice and normalisation), the weight for adding (``send``) and the compatibility mu of
its term. One pass over the pixels is then a whole update,

    sweep, one thread per pixel:
        score_c = -U_c - sum_r mu_rc receive_r vertex[corner_r, c]        slice
        Q = softmax(score)                                                normalise
        vertex'[corner_r, c] += send_r Q_c        (atomic)                splat

and the blurs of all lattices are one pass for each axis. Nothing is copied to the host in between.

A matrix mu mixes labels at the vertices, of which there are fewer than pixels: one matrix product
for each term. Without self terms, the message of a pixel to itself is subtracted from its unary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import cuda

from minideeplab.arrays import on_device as is_on_device
from minideeplab.arrays import to_host
from minideeplab.backends.cuda.crf.filtering import blur_axes, tables_of
from minideeplab.backends.cuda.device import to_device, xp
from minideeplab.backends.cuda.launch import device_function, kernel
from minideeplab.backends.cuda.matmul import multiply
from minideeplab.ops.crf import meanfield as definition
from minideeplab.ops.crf.lattice import Lattice
from minideeplab.ops.crf.meanfield import Term


@device_function
def add_to_corners(q, corners, send, target, points, labels, writes, p):
    """Add Q of pixel p to its corners, weighted by ``send``."""
    for r in range(writes):
        row, weight = corners[r * points + p] * labels, send[r * points + p]
        for c in range(labels):
            cuda.atomic.add(target, row + c, weight * q[c * points + p])


@kernel("meanfield.cu")
def sweep(unary, corners, receive, compat, source, q, send, target,
          points, labels, reads, writes):  # fmt: skip
    """Update Q (C, N) from ``reads`` corners of ``source``; add it to ``writes`` of ``target``."""
    for p in range(cuda.grid(1), points, cuda.gridsize(1)):
        best = unary.dtype.type(-np.inf)
        for c in range(labels):
            score = -unary[c * points + p]
            for r in range(reads):
                row = corners[r * points + p] * labels
                score -= compat[r * labels + c] * receive[r * points + p] * source[row + c]
            q[c * points + p] = score
            best = max(best, score)
        total = unary.dtype.type(0)
        for c in range(labels):
            e = math.exp(q[c * points + p] - best)
            q[c * points + p] = e
            total += e
        for c in range(labels):
            q[c * points + p] /= total
        add_to_corners(q, corners, send, target, points, labels, writes, p)


@kernel("meanfield.cu")
def send_points(q, corners, send, target, points, labels, writes):
    """Add Q (C, N) to the vertices, as `sweep` does at its end: one thread per pixel."""
    for p in range(cuda.grid(1), points, cuda.gridsize(1)):
        add_to_corners(q, corners, send, target, points, labels, writes, p)


@dataclass(frozen=True)
class Joined:
    """All terms in one lattice of M vertices, on the device.

    corners, receive, send (R, N); compat (R, C), ones for a term whose mu is a matrix; neighbours
    (A, 2, M), A the largest number of axes; spans: the slice of each term's vertices.
    """

    corners: Any
    receive: Any
    send: Any
    compat: Any
    neighbours: Any
    spans: list[slice]


def join(terms: Sequence[Term], labels: int, dtype: np.dtype) -> Joined:
    """The concatenated lattices of the terms."""
    tables = [tables_of(term.kernel) for term in terms]
    total = sum(term.kernel.n_vertices for term in terms)
    axes = max(len(table.neighbours) for table in tables)
    neighbours = xp.full((axes, 2, total), total, np.int32)  # missing on unused axes
    corners, receive, send, compat, spans, start = [], [], [], [], [], 0
    for term, table in zip(terms, tables, strict=True):
        count, sides = term.kernel.n_vertices, len(table.corners)
        part = table.neighbours
        moved = xp.where(part == count, total, part + start)
        neighbours[: len(part), :, start : start + count] = moved
        weights = table.weights.astype(dtype, copy=False)
        corners.append(table.corners + np.int32(start))
        receive.append(_times(weights, term.after) * dtype.type(term.kernel.alpha))
        send.append(_times(weights, term.before))
        mu = xp.ones((), dtype) if term.compat.ndim == 2 else _on_device(term.compat, dtype)
        compat.append(xp.ascontiguousarray(xp.broadcast_to(mu, (sides, labels))))
        spans.append(slice(start, start + count))
        start += count
    joined = (xp.concatenate(parts) for parts in (corners, receive, send, compat))
    return Joined(*joined, neighbours, spans)


def _times(weights: Any, factor: Any) -> Any:
    """weights (D+1, N) times a factor (N,), or None, on the host or the device."""
    return weights if factor is None else weights * to_device(factor).astype(weights.dtype)


def mean_field(
    unary: np.ndarray, terms: Sequence[Term], iterations: int, q: np.ndarray | None = None
) -> np.ndarray:
    """Run ``iterations`` updates from ``q`` (default softmax(-unary)); return Q (C, N).

    Does not synchronise with the device. If the kernel of any term is exact, the definition runs
    all of them.
    """
    plain = all(isinstance(term.kernel, Lattice) for term in terms)
    if iterations == 0 or not terms or not plain:
        given = None if q is None else to_host(q)
        result = definition.mean_field(to_host(unary), terms, iterations, given)
        return to_device(result) if is_on_device(unary) else result
    result = _iterate(to_device(unary), terms, iterations, None if q is None else to_device(q))
    return result if is_on_device(unary) else to_host(result)


def _iterate(unary: Any, terms: Sequence[Term], iterations: int, q: Any) -> Any:
    """`mean_field` of lattices, on device arrays."""
    (labels, n), dtype = unary.shape, unary.dtype
    joined = join(terms, labels, dtype)
    rows = joined.neighbours.shape[2] + 1
    source, target = xp.zeros((rows, labels), dtype), xp.zeros((rows, labels), dtype)
    result = xp.empty((labels, n), dtype)
    corners, send, sides = joined.corners, joined.send, len(joined.corners)
    matrices = [_on_device(term.compat, dtype) for term in terms]
    own = [None if term.diagonal is None else _on_device(term.diagonal, dtype) for term in terms]

    def update(energies: Any, reads: int, writes: int) -> None:
        inputs = (energies, corners, joined.receive, joined.compat, source)
        sweep(n, *inputs, result, send, target, n, labels, reads, writes)

    if q is None:
        update(unary, 0, sides)
    else:
        result[...] = q.astype(dtype, copy=False)
        send_points(n, result, corners, send, target, n, labels, sides)
    for k in range(iterations):
        source, target = blur_axes(target, source, joined.neighbours, reverse=False)
        for mu, span in zip(matrices, joined.spans, strict=True):
            if mu.ndim == 2 and source[span].size:
                multiply(source[None, span], mu[None], target[None, span], transpose_b=True,
                         name=dtype.name)  # fmt: skip
                source[span] = target[span]
        target.fill(0)
        energies = unary
        for mu, diagonal in zip(matrices, own, strict=True):
            if diagonal is not None:
                energies = energies - definition.apply_compat(mu, diagonal * result)
        update(energies, sides, sides if k < iterations - 1 else 0)
    return result


def _on_device(array: Any, dtype: np.dtype) -> Any:
    """The array on the device, in the dtype."""
    return to_device(array).astype(dtype, copy=False)
