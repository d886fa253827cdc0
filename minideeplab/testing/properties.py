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

from minideeplab.testing.case import Case
from minideeplab.testing.compare import SAFETY, Mismatch, compare_values, largest
from minideeplab.testing.definitions import operation
from minideeplab.testing.frameworks import Minideeplab
from minideeplab.testing.function_under_test import OUTSIDE, FunctionUnderTest
from minideeplab.testing.library import match_gradients
from minideeplab.testing.operation import Equation, Sides
from minideeplab.testing.operations import NAMES, OPERATIONS
from minideeplab.testing.runner import raised

UNORDERED = {"random", "nan", "quirk", "size"}
"""Tags of rows that are not called again in another order."""


@dataclass(frozen=True)
class Property:
    """An equation with its name; ``needs_gradient`` if it calls the function's backward."""

    name: str
    equation: Equation
    note: str = ""
    needs_gradient: bool = False


def sample(op: str, rng: np.random.Generator, dtype: Any) -> tuple[list[Any], dict[str, Any]]:
    """Return random arrays for one ordinary call of ``op``, and its options."""
    return OPERATIONS[op].call(rng, dtype)


def linear_in_input(f: FunctionUnderTest, rng: np.random.Generator, dtype: Any) -> Sides:
    """f(2 x - 3 z) = 2 f(x) - 3 f(z)."""
    (x, *rest), options = sample(f.op, rng, dtype)
    z = rng.standard_normal(x.shape).astype(dtype)
    whole = f(2 * x - 3 * z, *rest, **options)
    return whole, 2 * f(x, *rest, **options) - 3 * f(z, *rest, **options), 100.0


def adjoint_identity(f: FunctionUnderTest, rng: np.random.Generator, dtype: Any) -> Sides:
    """<dy, f(x)> = <f*(dy), x>: the backward of a linear operation is its transpose."""
    arrays, options = sample(f.op, rng, dtype)
    y, dy, (dx, *_) = f.gradient(*arrays, **options)
    return np.vdot(dy, y), np.vdot(dx, arrays[0]), 100.0 * np.size(y)


def _changed(arrays: list[Any], change: Callable[[np.ndarray], np.ndarray]) -> list[Any]:
    """Return the arrays with those of floats changed."""
    return [a if a is None or a.dtype.kind != "f" else change(a) for a in arrays]


def same_twice(f: FunctionUnderTest, rng: np.random.Generator, dtype: Any) -> Sides:
    """The same call gives the same bits."""
    arrays, options = sample(f.op, rng, dtype)
    first = f(*arrays, **options).copy()
    f(*_changed(arrays, np.negative), **options)
    return f(*arrays, **options), first, 0.0


def result_stays(f: FunctionUnderTest, rng: np.random.Generator, dtype: Any) -> Sides:
    """A later call does not write into an earlier result."""
    arrays, options = sample(f.op, rng, dtype)
    result = f(*arrays, **options)
    before = result.copy()
    f(*_changed(arrays, lambda a: 3 - a), **options)
    return result, before, 0.0


def gradients_twice(f: FunctionUnderTest, rng: np.random.Generator, dtype: Any) -> Sides:
    """A backward begins anew: no sum over calls, no buffer that a later call changes."""
    arrays, options = sample(f.op, rng, dtype)
    first = f.gradient(*arrays, **options)[2]
    before = np.concatenate([np.array(g).ravel() for g in first])
    f.gradient(*_changed(arrays, lambda a: a + 1), **options)
    again = f.gradient(*arrays, **options)[2]
    results = [np.concatenate([np.ravel(g) for g in found]) for found in (first, again)]
    return np.stack(results), np.stack([before, before]), 100.0


def nan_is_seen(f: FunctionUnderTest, rng: np.random.Generator, dtype: Any) -> Sides:
    """NaN in the input comes out wherever a sum has it among its terms; more of it may."""
    arrays, options = sample(f.op, rng, dtype)
    arrays[0].flat[arrays[0].size // 2] = np.nan
    with Minideeplab(backend="numpy").context():
        expected = np.isnan(operation("minideeplab", f.op)(*arrays, **options))
    return np.isnan(f(*arrays, **options))[expected], np.ones(expected.sum()), 0.0


def threads_do_not_matter(f: FunctionUnderTest, rng: np.random.Generator, dtype: Any) -> Sides:
    """One thread and as many as there are give the same."""
    arrays, options = sample(f.op, rng, dtype)
    with one_thread():
        alone = f(*arrays, **options).copy()
    return f(*arrays, **options), alone, 100.0


def concurrent_calls(f: FunctionUnderTest, rng: np.random.Generator, dtype: Any) -> Sides:
    """Calls from several threads at once do not disturb each other."""
    arrays, options = sample(f.op, rng, dtype)
    batches = [_changed(arrays, lambda a, i=i: a + i) for i in range(8)]
    expected = [f(*batch, **options).copy() for batch in batches]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda batch: np.array(f(*batch, **options)), batches))
    return np.stack(results), np.stack(expected), 100.0


def order_of_calls(f: FunctionUnderTest, rng: np.random.Generator, dtype: Any) -> Sides:
    """Calls in the reverse order give the same: nothing is left over from another call."""
    rows = [case for case in OPERATIONS[f.op].rows if case in f.scope and not case.tags & UNORDERED]

    def calls(rows: list[Case]) -> dict[str, np.ndarray]:
        found, lacking = {}, NotImplementedError(OUTSIDE)
        for case in rows:
            try:
                y = f(*case.arguments(dtype).values(), **case.options)
                found[case.id] = np.array(y).ravel()
            except NotImplementedError as error:
                lacking = error
            except (Exception, SystemExit):
                found[case.id] = np.zeros(0)  # its row says what it raises
        if not found:
            raise lacking
        return found

    first, again = calls(rows), calls(rows[::-1])
    both = [name for name in first if name in again and len(first[name]) == len(again[name])]
    size = {name: largest(first[name]) or 1.0 for name in both}
    sides = [np.concatenate([[0.0], *(s[n] / size[n] for n in both)]) for s in (again, first)]
    return (*sides, 100.0)


def backward_after_another(f: FunctionUnderTest, rng: np.random.Generator, dtype: Any) -> Sides:
    """A backward looks at its own arguments, not at those of the last forward."""
    arrays, options = sample(f.op, rng, dtype)
    right = np.concatenate([np.ravel(g) for g in f.gradient(*arrays, **options)[2]])
    if f.backward is None:
        return right, right, 0.0
    dy = f.gradient(*arrays, **options)[1]
    f(*_changed(arrays, lambda a: 3 - a), **options)
    given = f.case(arrays, options)
    send = f.library.send
    again = match_gradients(given, f.backward(send(dy), *map(send, arrays), **options))
    found = [np.ravel(f.library.receive(again[f"grad_{n}"])) for n in given.differentiable]
    return np.concatenate(found), right, 100.0


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
    Property("order-of-calls", order_of_calls),
    Property("gradients-twice", gradients_twice, needs_gradient=True),
    Property("backward-after-another", backward_after_another, needs_gradient=True),
]
"""What every operation promises."""

LINEAR = [
    Property("linear", linear_in_input),
    Property("adjoint", adjoint_identity, needs_gradient=True),
]
"""What holds for an operation that is linear in its first argument."""


def properties(op: str) -> list[Property]:
    """Return the properties of ``op``: the contract's, the linear ones, and its own."""
    record = OPERATIONS[op]
    shared = CONTRACT + (LINEAR if record.linear else [])
    if record.linear and not record.approximable:
        shared = [*shared, Property("nan-is-seen", nan_is_seen)]
    return shared + [Property(e.__name__.replace("_", "-"), e, e.__doc__) for e in record.equations]


def check_property(
    prop: Property, f: FunctionUnderTest, dtype: str, rtol: float = 0.0
) -> Mismatch | None:
    """Return how the property is violated, by more than roundings and ``rtol``, or None."""
    rng = np.random.default_rng(NAMES.index(f.op))
    try:
        *sides, terms = prop.equation(f, rng, np.dtype(dtype))
        left, right = (np.asarray(side).astype(np.float64, casting="same_kind") for side in sides)
    except NotImplementedError as error:
        return Mismatch("call", "not implemented", str(error) or "NotImplementedError")
    except (Exception, SystemExit) as error:  # whatever an outside function does is its verdict
        return raised(error)
    if left.shape != right.shape:
        return Mismatch("identity", "shape", f"sides of shapes {left.shape} and {right.shape}")
    size = largest(right)
    tol = (SAFETY * float(np.finfo(dtype).eps) * np.sqrt(terms) + rtol) * max(size, 1.0)
    return compare_values("identity", left, right, tol)
