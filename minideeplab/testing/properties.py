"""Equations that hold for a right operation, whatever its reference says.

Each property makes its own random arrays, calls the function and returns two arrays that must be
equal up to the rounding of sums of ``terms`` terms, exactly if ``terms`` is zero.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minideeplab.testing.cases import TABLE
from minideeplab.testing.compare import SAFETY, Mismatch, compare_values, largest
from minideeplab.testing.function_under_test import Subject

Sides = tuple[np.ndarray, np.ndarray, float]
Equation = Callable[[Subject, np.random.Generator, Any], Sides]


@dataclass(frozen=True)
class Property:
    """An equation with its name; ``needs_gradient`` if it calls the function's backward."""

    name: str
    equation: Equation
    note: str = ""
    needs_gradient: bool = False


SAMPLES: dict[str, tuple[tuple[tuple[int, ...], ...], dict[str, Any]]] = {
    "conv2d": (((2, 3, 7, 8), (4, 3, 3, 2)), {"stride": (2, 1), "padding": (1, 2)}),
    "conv_transpose2d": (((2, 3, 4, 5), (3, 4, 3, 2)), {"stride": (2, 1), "padding": (1, 0)}),
    "linear": (((5, 6), (4, 6)), {}),
    "avg_pool2d": (((2, 3, 7, 8),), {"kernel_size": 3, "stride": 2, "padding": 1}),
    "adaptive_avg_pool2d": (((2, 3, 7, 8),), {"output_size": (3, 5)}),
    "interpolate": (((2, 3, 4, 5),), {"size": (7, 3), "mode": "bilinear", "align_corners": False}),
    "pad": (((2, 3, 4, 5),), {"pad": (1, 2, 3, 0), "mode": "replicate"}),
    "unfold": (((2, 3, 6, 7),), {"kernel_size": (2, 3), "padding": 1}),
    "fold": (((2, 18, 25),), {"output_size": (6, 7), "kernel_size": (2, 3)}),
    "max_pool2d": (((2, 3, 7, 9),), {"kernel_size": 3, "stride": 2, "padding": 1}),
    "relu": (((2, 3, 4, 5),), {}),
    "dropout": (((2, 3, 4, 5),), {"training": False}),
    "softmax": (((2, 5, 3, 4),), {"dim": 1}),
    "log_softmax": (((2, 5, 3, 4),), {"dim": 1}),
    "batch_norm": (((3, 4, 5, 6), None, None, (4,), (4,)), {"training": True}),
    "cross_entropy": (((2, 5, 3, 4), (2, 3, 4)), {}),
    "gaussian_filter": (((3, 20), (4, 20)), {}),
    "dense_crf": (((3, 4, 6), (4, 6, 3)), {"gaussian_sxy": 1.5}),
}
"""For each operation the shapes of one ordinary call, and its options."""

LINEAR = (
    "conv2d",
    "conv_transpose2d",
    "linear",
    "avg_pool2d",
    "adaptive_avg_pool2d",
    "interpolate",
    "pad",
    "unfold",
    "fold",
    "gaussian_filter",
)
"""Linear in the first argument, so that f(x) is the gradient's adjoint."""


def sample(op: str, rng: np.random.Generator, dtype: Any) -> tuple[list[Any], dict[str, Any]]:
    """Return random arrays for one ordinary call of ``op``, and its options."""
    shapes, options = SAMPLES[op]
    arrays = [
        None if shape is None else rng.standard_normal(shape).astype(dtype) for shape in shapes
    ]
    if op == "cross_entropy":
        arrays[1] = rng.integers(0, shapes[0][1], shapes[1])
    return arrays, options


def normals(rng: np.random.Generator, dtype: Any, *shapes: tuple[int, ...]) -> list[np.ndarray]:
    """Return standard normal arrays of these shapes."""
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def linear_in_input(f: Subject, rng: np.random.Generator, dtype: Any) -> Sides:
    """f(2 x - 3 z) = 2 f(x) - 3 f(z)."""
    (x, *rest), options = sample(f.op, rng, dtype)
    z = rng.standard_normal(x.shape).astype(dtype)
    whole = f(2 * x - 3 * z, *rest, **options)
    return whole, 2 * f(x, *rest, **options) - 3 * f(z, *rest, **options), 100.0


def adjoint_identity(f: Subject, rng: np.random.Generator, dtype: Any) -> Sides:
    """<dy, f(x)> = <f*(dy), x>: the backward of a linear operation is its transpose."""
    arrays, options = sample(f.op, rng, dtype)
    y, dy, (dx, *_) = f.gradient(*arrays, **options)
    return np.vdot(dy, y), np.vdot(dx, arrays[0]), 100.0 * np.size(y)


def same_twice(f: Subject, rng: np.random.Generator, dtype: Any) -> Sides:
    """The same call gives the same bits."""
    arrays, options = sample(f.op, rng, dtype)
    first = f(*arrays, **options).copy()
    f(*[a if a is None or a.dtype.kind != "f" else -a for a in arrays], **options)
    return f(*arrays, **options), first, 0.0


def result_stays(f: Subject, rng: np.random.Generator, dtype: Any) -> Sides:
    """A later call does not write into an earlier result."""
    arrays, options = sample(f.op, rng, dtype)
    result = f(*arrays, **options)
    before = result.copy()
    f(*[a if a is None or a.dtype.kind != "f" else 3 - a for a in arrays], **options)
    return result, before, 0.0


def gradients_twice(f: Subject, rng: np.random.Generator, dtype: Any) -> Sides:
    """A backward begins anew: no sum over calls, no buffer that a later call changes."""
    arrays, options = sample(f.op, rng, dtype)
    first = f.gradient(*arrays, **options)[2]
    before = np.concatenate([np.array(g).ravel() for g in first])
    f.gradient(*[a if a is None or a.dtype.kind != "f" else a + 1 for a in arrays], **options)
    again = f.gradient(*arrays, **options)[2]
    results = [np.concatenate([np.ravel(g) for g in found]) for found in (first, again)]
    return np.stack(results), np.stack([before, before]), 100.0


def nan_is_seen(f: Subject, rng: np.random.Generator, dtype: Any) -> Sides:
    """NaN in the input comes out wherever a sum has it among its terms; more of it may."""
    from minideeplab.testing.frameworks import Minideeplab, operation

    arrays, options = sample(f.op, rng, dtype)
    arrays[0].flat[arrays[0].size // 2] = np.nan
    with Minideeplab(backend="numpy").context():
        expected = np.isnan(operation("minideeplab", f.op)(*arrays, **options))
    return np.isnan(f(*arrays, **options))[expected], np.ones(expected.sum()), 0.0


def threads_do_not_matter(f: Subject, rng: np.random.Generator, dtype: Any) -> Sides:
    """One thread and as many as there are give the same."""
    arrays, options = sample(f.op, rng, dtype)
    with one_thread():
        alone = f(*arrays, **options).copy()
    return f(*arrays, **options), alone, 100.0


def concurrent_calls(f: Subject, rng: np.random.Generator, dtype: Any) -> Sides:
    """Calls from several threads at once do not disturb each other."""
    arrays, options = sample(f.op, rng, dtype)
    batches = [[a if a is None or a.dtype.kind != "f" else a + i for a in arrays] for i in range(8)]
    expected = [f(*batch, **options).copy() for batch in batches]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda batch: np.array(f(*batch, **options)), batches))
    return np.stack(results), np.stack(expected), 100.0


@contextlib.contextmanager
def one_thread() -> Any:
    """Run with one BLAS and one Numba thread."""
    import numba
    import threadpoolctl

    count = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        with threadpoolctl.threadpool_limits(1):
            yield
    finally:
        numba.set_num_threads(count)


CONTRACT = [
    Property("same-twice", same_twice),
    Property("result-stays", result_stays, "a buffer reused between calls must not be returned"),
    Property("one-thread", threads_do_not_matter),
    Property("concurrent-calls", concurrent_calls),
    Property("gradients-twice", gradients_twice, needs_gradient=True),
]


def properties(op: str) -> list[Property]:
    """Return the properties of ``op``: the contract's, the linear ones, and its own."""
    from minideeplab.testing.identities import IDENTITIES

    shared = list(CONTRACT)
    if op in LINEAR:
        shared.append(Property("linear", linear_in_input))
        shared.append(Property("adjoint", adjoint_identity, needs_gradient=True))
        if op != "gaussian_filter":  # NaN need not reach what an approximation cuts off
            shared.append(Property("nan-is-seen", nan_is_seen))
    return shared + IDENTITIES.get(op, [])


def check_property(prop: Property, f: Subject, dtype: str, rtol: float = 0.0) -> Mismatch | None:
    """Return how the property is violated, by more than roundings and ``rtol``, or None."""
    rng = np.random.default_rng(list(TABLE).index(f.op))
    try:
        *sides, terms = prop.equation(f, rng, np.dtype(dtype))
        left, right = (np.asarray(side).astype(np.float64, casting="same_kind") for side in sides)
    except NotImplementedError as error:
        return Mismatch("call", "not implemented", str(error) or "NotImplementedError")
    except (Exception, SystemExit) as error:  # whatever an outside function does is its verdict
        return Mismatch("call", "raised", f"{type(error).__name__}: {error}")
    if left.shape != right.shape:
        return Mismatch("identity", "shape", f"sides of shapes {left.shape} and {right.shape}")
    size = largest(right)
    tol = (SAFETY * float(np.finfo(dtype).eps) * np.sqrt(terms) + rtol) * max(size, 1.0)
    return compare_values("identity", left, right, tol)
