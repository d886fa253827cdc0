"""The dense CRF of a student's functions: mean field (lesson 9) and the lattice (lesson 10)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from minideeplab import ops
from minideeplab.grading.answers import Answers
from minideeplab.ops.crf import lattice as definition
from minideeplab.ops.crf.lattice import Lattice
from minideeplab.ops.crf.meanfield import Kernel, Term, apply_compat, apply_kernel

BLOCK = 128
"""Pixels of one call of ``mean_field_step``, whose kernel is a matrix of BLOCK x BLOCK."""

EMBEDDING = ("elevate", "find_simplex", "barycentric")


class StudentCRF:
    """`softmax`, `mean_field`, `build_lattice` and `filter_lattice` of the student's functions."""

    def __init__(self, answers: Answers, connect: Callable | None) -> None:
        self.answers, self.connect = answers, connect

    def softmax(self, x: np.ndarray, axis: int) -> np.ndarray:
        """`ops.softmax` by task 9.4: one step without messages from other pixels."""
        flat = np.moveaxis(x, axis, 0).reshape(x.shape[axis], -1)

        def theirs() -> np.ndarray:
            y = self._steps(-flat, np.zeros_like(flat))
            moved = np.moveaxis(x, axis, 0).shape
            return np.moveaxis(y.reshape(moved), 0, axis).astype(x.dtype)

        return self.answers.run(
            "softmax", "mean_field_step", flat.size, theirs, lambda: ops.softmax(x, axis)
        )

    def mean_field(
        self, unary: np.ndarray, terms: Sequence[Term], iterations: int, q: np.ndarray | None = None
    ) -> np.ndarray:
        """`ops.mean_field`: the kernels' messages by `filter_lattice`, then task 9.4's step."""
        q = ops.softmax(-unary, 0) if q is None else q
        for _ in range(iterations):
            q = self._update(unary, self._message(terms, q))
        return q

    def _message(self, terms: Sequence[Term], q: np.ndarray) -> np.ndarray:
        """Return sum_k mu_k Khat_k q (C, N)."""
        message = np.zeros_like(q)
        for term in terms:
            filtered = apply_kernel(term, q, run=self.filter_lattice)
            message = message + apply_compat(term.compat, filtered)
        return message

    def _update(self, unary: np.ndarray, message: np.ndarray) -> np.ndarray:
        return self.answers.run(
            "mean field: update", "mean_field_step", unary.size,
            lambda: self._steps(unary, message).astype(unary.dtype),
            lambda: ops.softmax(-(unary + message), 0),
        )  # fmt: skip

    def _steps(self, unary: np.ndarray, message: np.ndarray) -> np.ndarray:
        """Return softmax(-(unary + message)) (C, N) by ``mean_field_step``, block by block.

        The kernel hands each pixel the column of another one: so what was filtered already comes
        through unchanged, and the kernel's diagonal is zero, as the lesson has it.
        """
        calls = []
        for start in range(0, unary.shape[1], BLOCK):
            here, sent = (a[:, start : start + BLOCK] for a in (unary, message))
            if here.shape[1] == 1:  # a kernel without diagonal needs two pixels
                here, sent = np.repeat(here, 2, axis=1), np.repeat(sent, 2, axis=1)
            kernel = np.roll(np.eye(here.shape[1]), 1, axis=1)  # row i reads pixel i + 1
            calls.append((np.roll(sent, 1, axis=1), here, kernel, np.eye(len(here))))
        shapes = [here.shape for _, here, _, _ in calls]
        parts = self.answers.each("mean_field_step", shapes, unary.size, calls)
        return np.concatenate(parts, axis=1)[:, : unary.shape[1]]

    # ---------------------------------------------------------------- the lattice

    def build_lattice(self, features: np.ndarray, lanes: int = 4) -> Lattice:
        """`ops.build_lattice` by tasks 10.1 (elevate), 10.2 (simplex) and 10.3 (weights)."""
        if self.connect is None or not self.answers.has(*EMBEDDING):
            return ops.build_lattice(features, lanes)
        definition.check_features(features)
        d, n = features.shape
        padded = np.zeros((d, n + -n % lanes))
        padded[:, :n] = features
        size, work = (d + 1, padded.shape[1]), padded.size
        run, call = self.answers.run, self.answers.call
        elevated = run(
            "lattice: elevate", "elevate", work,
            lambda: call("elevate", size, work, padded), lambda: definition.elevate(padded),
        )  # fmt: skip
        vertex, rank = run(
            "lattice: find simplex", "find_simplex", work,
            lambda: call("find_simplex", (2, *size), work, elevated),
            lambda: definition.find_simplex(elevated.astype(np.float32)),
        )  # fmt: skip
        weights = run(
            "lattice: weights", "barycentric", work,
            lambda: call("barycentric", size, work, elevated - vertex),
            lambda: definition.barycentric(elevated, vertex, rank),
        )  # fmt: skip
        corners, neighbours = self.connect(vertex, rank)
        return Lattice(
            corners=np.ascontiguousarray(corners[:, :n], np.int32),
            weights=np.ascontiguousarray(weights[:, :n], features.dtype),
            neighbours=neighbours.astype(np.int32),
            n_vertices=neighbours.shape[2],
            alpha=1 / (1 + 2.0**-d),
        )

    def filter_lattice(
        self, kernel: Kernel, values: np.ndarray, reverse: bool = False
    ) -> np.ndarray:
        """`ops.filter_lattice` by tasks 10.4 (splat) and 10.5 (blur); slicing is ours."""
        if reverse or not isinstance(kernel, Lattice) or not self.answers.has("splat", "blur"):
            return kernel.filter(values, reverse)
        run, call, count = self.answers.run, self.answers.call, kernel.n_vertices
        shape = (len(values), count)
        corners = kernel.corners.astype(np.int64)
        work = values.size * len(corners)
        sums = run(
            "lattice: splat", "splat", work,
            lambda: call("splat", shape, work, values, corners, kernel.weights, count),
            lambda: definition.splat(kernel, values)[:, :-1],
        )  # fmt: skip
        passes = len(kernel.neighbours)
        work = count * len(values) * passes

        def ours() -> np.ndarray:
            return definition.blur(kernel, np.pad(sums, ((0, 0), (0, 1))))[:, :-1]

        def theirs() -> np.ndarray:  # taps 1/4, 1/2, 1/4 where ours are 1/2, 1, 1/2
            neighbours = kernel.neighbours.astype(np.int64)
            return call("blur", shape, work, sums, neighbours) * 2.0**passes

        blurred = np.pad(run("lattice: blur", "blur", work, theirs, ours), ((0, 0), (0, 1)))
        sliced = kernel.alpha * definition.slice_(kernel, blurred)
        return sliced.astype(values.dtype, copy=False)
