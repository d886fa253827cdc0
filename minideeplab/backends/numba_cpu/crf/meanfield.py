"""``mean_field`` of ``ops/crf/meanfield.py``, in one pass over the pixels per iteration.

A sweep computes, for a few pixels at a time, probabilities from messages and splats them:

    slice:  scores = -U - sum_k mu_k Khat_k Q,      Q = softmax(scores),      splat Q,

Q stays in cache; it is written only at the end. A term has two sets of vertices: the source of the
blurred messages, and the target in which the next ones are summed.

Every thread has a range of pixels. A vertex is owned by the range that touches it first. Vertices
are numbered in that order, so a range owns consecutive vertices. What later ranges add to it is
deferred until all ranges are done, and then added in the order of the pixels: all sums are computed
in the same order, and have the same bits, with any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from minideeplab.backends.numba_cpu.crf import sweeps
from minideeplab.backends.numba_cpu.crf.lattice import chained
from minideeplab.backends.numba_cpu.crf.passes import blur, splat_entries
from minideeplab.backends.numba_cpu.runtime.parallel import GRAIN, parallel_for, spans, thread_count
from minideeplab.backends.numba_cpu.simd import padded
from minideeplab.ops.crf import meanfield as definition
from minideeplab.ops.crf.lattice import Lattice
from minideeplab.ops.crf.meanfield import Term


def mean_field(
    unary: np.ndarray, terms: Sequence[Term], iterations: int, q: np.ndarray | None = None
) -> np.ndarray:
    """Run ``iterations`` updates from ``q`` (default softmax(-unary)); return Q (C, N).

    The definition computes terms other than a lattice with its self term.
    """
    plain = all(isinstance(t.kernel, Lattice) and t.diagonal is None for t in terms)
    if iterations == 0 or not terms or not plain:
        return definition.mean_field(unary, terms, iterations, q)
    state = MeanField(unary, terms)
    if len(state.ranges) == 1:
        return state.run_alone(iterations, q)
    state.begin(q)
    for _ in range(iterations - 1):
        state.blur()
        state.sweep()
    state.blur()
    return state.finish()


class Tables(NamedTuple):
    """A term as a sweep needs it: arrays by point, mu, and two sets of vertices."""

    corners: np.ndarray  # (N, D+1)
    weights: np.ndarray  # (N, D+1)
    before: np.ndarray  # (N,)
    after: np.ndarray  # (N,)
    compat: np.ndarray  # (1, lanes), the diagonal of mu, or (C, lanes), its columns
    source: np.ndarray  # (M+1, lanes), the last row zero
    target: np.ndarray  # (M+1, lanes)


class MeanField:
    """The state of a run: ``scores`` (N, lanes) or none, the terms' tables, the threads' pixels."""

    def __init__(self, unary: np.ndarray, terms: Sequence[Term]):
        self.unary = np.ascontiguousarray(unary)
        n = unary.shape[1]
        threads = 1 if n * padded(len(unary)) < GRAIN else thread_count()
        self.ranges = spans(n, -(-n // threads))
        lanes = padded(len(unary))
        stored = n if 2 * len(unary) > lanes else 0  # mostly padding: read from the unary instead
        self.scores = np.empty((stored, lanes), unary.dtype)
        self.tables = tuple(_tables(term, self.unary) for term in terms)
        self.chains = [chained(term.kernel).chains for term in terms]
        self.owned = [
            [table.corners[:start].max(initial=-1) + 1 for table in self.tables]
            for start, _ in self.ranges
        ]
        self.kept = np.empty((n, lanes), unary.dtype)  # pages that are never written take no memory
        if len(self.ranges) > 1:
            self.deferred = [self._deferred_entries(k) for k in range(len(terms))]

    def run_alone(self, iterations: int, q: np.ndarray | None) -> np.ndarray:
        """Return Q (C, N) after at least one iteration, all in one call on this thread."""
        result = np.empty_like(self.unary)
        swapped = tuple(t._replace(source=t.target, target=t.source) for t in self.tables)
        chains = tuple(chains for chains, _ in self.chains)
        bounds = tuple(bounds for _, bounds in self.chains)
        owned, start = np.array(self.owned[0], np.int32), self._start(q)
        sweeps.run_alone(
            self.unary, start, iterations, self.scores, self.tables, swapped, chains, bounds,
            owned, self.kept, result,
        )  # fmt: skip
        return result

    def _start(self, q: np.ndarray | None) -> np.ndarray:
        if q is None:
            return np.empty((0, 0), self.unary.dtype)
        return np.ascontiguousarray(q, self.unary.dtype)

    def begin(self, q: np.ndarray | None) -> None:
        """Fill the scores and splat the first Q."""
        start = self._start(q)
        self._each_range(
            lambda pixels, owned: sweeps.begin_range(
                self.unary, start, *pixels, self.scores, self.tables, owned, self.kept
            )
        )
        self._splat_deferred()

    def blur(self) -> None:
        """Blur the sums of the last sweep, which become the source of the next."""
        swapped = [t._replace(source=t.target, target=t.source) for t in self.tables]
        self.tables = tuple(swapped)
        for table, (chains, bounds) in zip(self.tables, self.chains, strict=True):
            table.target.fill(0)
            for start, stop in pairwise(bounds):
                cuts = _cuts(chains, start, stop, len(self.ranges))
                parallel_for(
                    lambda part, chains=chains, cuts=cuts, source=table.source: blur(
                        chains, cuts[part], cuts[part + 1], source
                    ),
                    len(cuts) - 1,
                )

    def sweep(self) -> None:
        """Take all pixels from the blurred messages to the next sums."""
        self._each_range(
            lambda pixels, owned: sweeps.sweep_range(
                self.unary, self.scores, *pixels, self.tables, owned, self.kept
            )
        )
        self._splat_deferred()

    def finish(self) -> np.ndarray:
        """Return Q (C, N) from the blurred messages."""
        result = np.empty_like(self.unary)
        self._each_range(
            lambda pixels, _: sweeps.finish_range(
                self.unary, self.scores, *pixels, self.tables, result
            )
        )
        return result

    def _each_range(self, work: Callable[[tuple[int, int], np.ndarray], None]) -> None:
        owned = [np.array(row, np.int32) for row in self.owned]
        parallel_for(lambda b: work(self.ranges[b], owned[b]), len(self.ranges))

    def _splat_deferred(self) -> None:
        def run(part: int) -> None:
            for table, entries in zip(self.tables, self.deferred, strict=True):
                splat_entries(
                    entries[part],
                    self.kept,
                    table.corners,
                    table.weights,
                    table.before,
                    table.target,
                )

        parallel_for(run, len(self.ranges))

    def _deferred_entries(self, k: int) -> list[np.ndarray]:
        """Return the corner entries (of N, D+1) that ranges do not own, a share for each thread."""
        corners, parts = self.tables[k].corners, len(self.ranges)
        entries = [
            start * corners.shape[1] + np.flatnonzero(corners[start:stop] < owned[k])
            for (start, stop), owned in zip(self.ranges, self.owned, strict=True)
        ]
        entries = np.concatenate(entries)
        share = corners.ravel()[entries] // 16 % parts  # one thread adds to a vertex
        return [entries[share == part] for part in range(parts)]


def _tables(term: Term, unary: np.ndarray) -> Tables:
    (labels, n), dtype = unary.shape, unary.dtype
    lattice = chained(term.kernel)
    compat = np.zeros((labels if term.compat.ndim == 2 else 1, padded(labels)), dtype)
    compat[:, :labels] = term.compat.T
    ones = np.ones(n, dtype)
    before = ones if term.before is None else term.before
    after = (ones if term.after is None else term.after) * lattice.alpha
    shape = (lattice.n_vertices + 1, compat.shape[1])
    return Tables(
        corners=lattice.corners.T,
        weights=lattice.weights.T.astype(dtype, copy=False),
        before=np.ascontiguousarray(before, dtype),
        after=np.ascontiguousarray(after, dtype),
        compat=compat,
        source=np.zeros(shape, dtype),
        target=np.zeros(shape, dtype),
    )


def _cuts(chains: np.ndarray, start: int, stop: int, parts: int) -> list[int]:
    """Cut chains[start:stop] into ``parts`` of about the same size, between two chains."""
    cuts = [start]
    for part in range(1, parts):
        cut = max(cuts[-1], start + (stop - start) * part // parts)
        while cuts[-1] < cut < stop and chains[cut - 1] >= 0:
            cut += 1
        cuts.append(cut)
    return [*cuts, stop]
