"""A backend of a student's functions: the names of `minideeplab.ops`, theirs where they are right.

Lessons ask for less than a network needs: no groups, one image, float64. Each function here turns
an operation's arguments into those of the lesson's function, and the result back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from minideeplab import ops
from minideeplab.grading.answers import Answers
from minideeplab.grading.student_crf import StudentCRF
from minideeplab.ops.resize import linear_source
from minideeplab.ops.window import output_shape

PROBE = 500_000
"""Multiplications of a convolution that may be started without an estimate of its time."""


def make_backend(answers: Answers, connect: Callable | None = None) -> ModuleType:
    """Return a module with every name of `minideeplab.ops`, for `use_backend`.

    Args:
        answers: the student's functions.
        connect: numbers a lattice's vertices, from lesson 10's given.py.
    """
    module = ModuleType("minideeplab_student")
    vars(module).update({name: getattr(ops, name) for name in ops.__all__})
    layers = StudentLayers(answers)
    module.conv2d, module.conv2d_epilogue = layers.conv2d, layers.conv2d_epilogue
    module.max_pool2d = layers.max_pool2d
    module.max_pool2d_without_indices = lambda x, *window: layers.max_pool2d(x, *window)[0]
    module.interpolate = layers.interpolate
    crf = StudentCRF(answers, connect)
    module.softmax, module.mean_field = crf.softmax, crf.mean_field
    module.build_lattice, module.filter_lattice = crf.build_lattice, crf.filter_lattice
    return module


class StudentLayers:
    """The operations of a network, forward: convolution, max pooling, interpolation, ASPP."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers

    def conv2d(
        self, x: np.ndarray, w: np.ndarray, b: np.ndarray | None, stride: Any, padding: Any,
        dilation: Any, groups: int,
    ) -> np.ndarray:  # fmt: skip
        """`ops.conv2d` by tasks 1.2 (no holes) or 2.3 (stride 1, the size stays)."""
        out = output_shape(x.shape[2:], w.shape[2:], stride, padding, dilation)
        shape = (len(x), len(w), *out)
        name, operation = self._convolution(w, stride, padding, dilation, groups, shape, x.shape)
        work = len(x) * w.size * out[0] * out[1]

        def theirs(filters: slice = slice(None)) -> np.ndarray:
            part = w[filters]
            sizes, steps = (len(x), len(part), *out), work * len(part) / len(w)
            bias = np.zeros(len(part)) if b is None else b[filters]
            if name == "conv2d":
                args = x, part, bias, stride[0], padding[0][0]
                return self.answers.call(name, sizes, steps, *args).astype(x.dtype)
            planes = [self.answers.call(name, sizes[1:], steps / len(x), one, part, dilation[0])
                      for one in x]  # fmt: skip
            return (np.stack(planes) + bias[:, None, None]).astype(x.dtype)

        def ours() -> np.ndarray:
            return ops.conv2d(x, w, b, stride, padding, dilation, groups)

        if self.answers.needs_probe(name) and work > PROBE:  # estimate the time from a few filters
            few = slice(0, max(1, len(w) * PROBE // work))
            self._probe(operation, name, lambda: theirs(few))
        return self.answers.run(operation, name, work, theirs, ours)

    def _probe(self, operation: str, name: str, theirs: Callable[[], np.ndarray]) -> None:
        """Run a small part of a convolution, whose time is an estimate for the rest."""
        self.answers.run(operation, name, 0, theirs, None)

    def _convolution(
        self, w: np.ndarray, stride: Any, padding: Any, dilation: Any, groups: int,
        shape: tuple, x_shape: tuple,
    ) -> tuple[str, str]:  # fmt: skip
        """Return the lesson's function for a convolution, "" if there is none, and its row."""
        operation = "convolution" if tuple(dilation) == (1, 1) else "atrous convolution"
        square = len({*stride}) == len({*dilation}) == len({*padding[0], *padding[1]}) == 1
        if groups != 1 or not square:
            return "", operation
        kept = stride[0] == 1 and shape[2:] == x_shape[2:] and w.shape[2] % 2 == w.shape[3] % 2 == 1
        if dilation[0] == 1 and (self.answers.has("conv2d") or not kept):
            return "conv2d", operation
        return "atrous_conv2d" if kept else "", operation

    def conv2d_epilogue(
        self, x: np.ndarray, w: np.ndarray, shift: np.ndarray | None, *options: Any,
        scale: np.ndarray | None = None, rectify: bool = False,
    ) -> np.ndarray:  # fmt: skip
        """`ops.conv2d_epilogue` with the convolution of `conv2d`."""
        y = self.conv2d(x, w, shift if scale is None else None, *options)
        if scale is not None:
            y = y * scale[:, None, None]
            y = y if shift is None else y + shift[:, None, None]
        return ops.relu(y) if rectify else y

    def max_pool2d(
        self, x: np.ndarray, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """`ops.max_pool2d` by task 3.2: square windows without holes."""
        window = kernel, stride, padding, dilation, ceil_mode
        plain = len({*kernel}) == len({*stride}) == len({*padding}) == 1
        sides = tuple((n, n) for n in padding)
        plain = plain and tuple(dilation) == (1, 1) and not ceil_mode
        work = x.size * kernel[0] * kernel[1]
        shape = (2, x.shape[1], *output_shape(x.shape[2:], kernel, stride, sides, dilation))

        def theirs() -> tuple[np.ndarray, np.ndarray]:
            args = kernel[0], stride[0], padding[0]
            pairs = [self.answers.call("max_pool2d", shape, work / len(x), one, *args) for one in x]
            y, indices = (np.stack(part) for part in zip(*pairs, strict=True))
            return y.astype(x.dtype), indices

        name = "max_pool2d" if plain else ""
        return self.answers.run("max pooling", name, work, theirs,
                                lambda: ops.max_pool2d(x, *window))  # fmt: skip

    def interpolate(
        self, x: np.ndarray, size: Any, mode: str, align_corners: bool, scale: Any
    ) -> np.ndarray:
        """`ops.interpolate` by tasks 5.1 (positions) and 5.2 (interpolation between pixels)."""
        if mode != "bilinear" or scale != (None, None):
            return ops.interpolate(x, size, mode, align_corners, scale)
        places = [self._positions(n, m, align_corners)
                  for n, m in zip(x.shape[2:], size, strict=True)]  # fmt: skip
        work = len(x) * x.shape[1] * size[0] * size[1]
        shape = (x.shape[1], *size)

        def theirs() -> np.ndarray:
            planes = [self.answers.call("upsample", shape, work / len(x), one, *places)
                      for one in x]  # fmt: skip
            return np.stack(planes).astype(x.dtype)

        def ours() -> np.ndarray:
            rows, columns = (_tents(n, p) for n, p in zip(x.shape[2:], places, strict=True))
            return (rows @ x.astype(np.float64) @ columns.T).astype(x.dtype)

        return self.answers.run("upsampling", "upsample", work, theirs, ours)

    def _positions(self, size: int, out: int, align_corners: bool) -> np.ndarray:
        def ours() -> np.ndarray:
            low, high, part = linear_source(size, out, align_corners, None, np.dtype(np.float64))
            return low + (high - low) * part

        def theirs() -> np.ndarray:
            return self.answers.call("source_positions", (out,), out, size, out, align_corners)

        return self.answers.run("upsampling: positions", "source_positions", out, theirs, ours)

    def aspp(
        self, x: np.ndarray, branches: Sequence[tuple], ours: Callable[[], np.ndarray]
    ) -> np.ndarray:
        """Scores (N, K, H, W) of x (N, C, H, W) by task 6.3, or by ``ours``."""
        work = len(x) * sum(w.size for b in branches for w in b[1::2]) * x[0, 0].size
        shape = (len(branches[0][5]), *x.shape[2:])

        def theirs() -> np.ndarray:
            scores = [self.answers.call("aspp", shape, work / len(x), one, list(branches))
                      for one in x]  # fmt: skip
            return np.stack(scores).astype(x.dtype)

        return self.answers.run("ASPP", "aspp", work, theirs, ours)


def _tents(size: int, positions: np.ndarray) -> np.ndarray:
    """Weights (out, size) of linear interpolation at positions."""
    return np.maximum(0, 1 - abs(positions[:, None] - np.arange(size)))
