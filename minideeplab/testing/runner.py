"""Run rows of the table on backends, frameworks and outside functions, and compare."""

from __future__ import annotations

import contextlib
import functools
import sysconfig
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minideeplab.testing import frameworks
from minideeplab.testing.case import FLOAT32_IN_TORCH, Case
from minideeplab.testing.compare import Mismatch, compare, largest, tolerance
from minideeplab.testing.definitions import operation
from minideeplab.testing.frameworks import Minideeplab
from minideeplab.testing.library import Library, Outcome
from minideeplab.testing.operations import OPERATIONS

DTYPES = ("float64", "float32")

_REFERENCE = Minideeplab(backend="numpy")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Run without warnings: rows with NaN and infinity are intended."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def widened(arguments: dict[str, np.ndarray | None]) -> dict[str, np.ndarray | None]:
    """Return the same values as contiguous float64 arrays (labels stay whole numbers)."""
    return {
        name: array if array is None or array.dtype.kind != "f" else array.astype(np.float64, "C")
        for name, array in arguments.items()
    }


@functools.lru_cache(maxsize=4096)
def reference(case: Case, dtype: str) -> Outcome:
    """Return what the NumPy definition gives, in float64, for the row's arguments in ``dtype``."""
    arguments = widened(case.arguments(dtype))
    return _REFERENCE.run(operation("minideeplab", case.op), case, arguments)


@functools.lru_cache(maxsize=16384)
def usual_tolerance(case: Case, what: str, dtype: str) -> float:
    """Return the tolerance of a result compared with the definition's."""
    return tolerance(case, what, case.arguments(dtype), reference(case, dtype))


@functools.lru_cache(maxsize=4096)
def framework_reference(case: Case, dtype: str, name: str) -> Outcome:
    """Return what another framework gives, in float64, for the row's arguments in ``dtype``."""
    arguments = case.arguments(dtype)
    if FLOAT32_IN_TORCH not in case.tags:
        arguments = widened(arguments)
    elif name == "torch":
        arguments = case.arguments("float32")
    return frameworks.library(name).run(operation(name, case.op), case, arguments)


def attempt(
    fn: Callable[..., Any],
    case: Case,
    dtype: str,
    library: Library,
    backward: Callable[..., Any] | None = None,
) -> Outcome | Mismatch:
    """Run ``fn`` on the row in fresh arrays; what it raises becomes a mismatch."""
    called = []

    def noted(*arrays: Any, **options: Any) -> Any:
        called.append(backward)
        return backward(*arrays, **options)

    try:
        return library.run(fn, case, case.arguments(dtype), noted if backward else None)
    except NotImplementedError as error:
        return Mismatch("call", "not implemented", str(error) or "NotImplementedError")
    except (Exception, SystemExit) as error:  # whatever an outside function does is its verdict
        return raised(error, bool(called))


def raised(error: BaseException, backward: bool = False) -> Mismatch:
    """Return an exception as a mismatch: forward or backward, line, type, message and cause."""
    text, cause = f"{type(error).__name__}: {error}", error.__cause__
    if cause is not None:
        text += f" (caused by {type(cause).__name__}: {cause})"
    return Mismatch(_place(error, backward), "raised", text)


def _place(error: BaseException, backward: bool) -> str:
    """Return where an exception was raised: forward or backward, and the line outside the kit."""
    frames = traceback.extract_tb(error.__traceback__)
    backward = backward or any(frame.name == "gradients" for frame in frames)
    ours = (str(Path(__file__).parents[1]), *map(sysconfig.get_path, ("purelib", "stdlib")))
    theirs = [f for f in frames if not f.filename.startswith(ours) and "<" not in f.filename]
    line = f", line {theirs[-1].lineno} of {Path(theirs[-1].filename).name}" if theirs else ""
    return ("backward" if backward else "forward") + line


def check_row(
    fn: Callable[..., Any],
    case: Case,
    dtype: str = "float64",
    library: Library | None = None,
    backward: Callable[..., Any] | None = None,
    expected: Outcome | None = None,
) -> list[Mismatch]:
    """Return everything that is wrong with ``fn`` on one row: an empty list if nothing is.

    Args:
        fn: called like the operation, with the arrays of ``library``.
        case: the row.
        dtype: "float64" or "float32".
        library: whose arrays ``fn`` takes; NumPy's by default.
        backward: ``backward(grad_out, *args, **options)``, if the library does not differentiate.
        expected: what to compare with; the NumPy definition's results by default.
    """
    outcome = attempt(fn, case, dtype, library or Library(), backward)
    if isinstance(outcome, Mismatch):
        return [outcome]
    return judge(case, case.arguments(dtype), outcome, expected or reference(case, dtype))


def judge(
    case: Case,
    arguments: dict[str, np.ndarray | None],
    outcome: Outcome,
    expected: Outcome,
    rtol: float = 0.0,
) -> list[Mismatch]:
    """Return what differs between ``outcome`` and ``expected``, and inputs that were written to.

    ``rtol`` widens the derived tolerance by this share of the largest entry expected.
    """
    found: list[Mismatch | None] = []
    if "random" in case.tags:
        expected, wrong = OPERATIONS[case.op].given_chance(case, arguments, outcome, expected)
        found.append(Mismatch("output", "share", wrong) if wrong else None)
    dtype = arguments["input"].dtype
    usual = expected is reference(case, dtype.name)
    for what, value in expected.items():
        optional = what.startswith(("grad", "running"))
        if what != "inputs" and (what in outcome or not optional):
            kind = np.dtype(np.int64) if what == "indices" else dtype
            tol = (
                usual_tolerance(case, what, dtype.name)
                if usual
                else tolerance(case, what, arguments, expected)
            )
            tol += rtol * largest(value) if rtol else 0.0
            found.append(compare(what, outcome.get(what), value, tol, kind))
    return [mismatch for mismatch in found if mismatch] + list(_written(case, outcome))


def _written(case: Case, outcome: Outcome) -> Iterable[Mismatch]:
    """Yield the arguments that the function changed and should not have."""
    dtype = outcome["inputs"]["input"].dtype
    original = case.arguments(dtype)
    if "grad_out" in outcome["inputs"]:
        original["grad_out"] = case.cotangent(np.shape(outcome["output"]), dtype)
    for name, before in original.items():
        after = outcome["inputs"][name]
        if before is None or name in case.updated:  # by definition, or not given
            continue
        if not np.array_equal(before, after, equal_nan=before.dtype.kind == "f"):
            yield Mismatch(name, "written", "this input was changed by the call")
