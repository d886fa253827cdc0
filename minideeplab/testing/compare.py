"""How far from right: derived tolerances, and the comparison that explains itself.

A sum of K rounded terms is off by about eps * sqrt(K) of the terms' size (Higham, Accuracy and
Stability of Numerical Algorithms, section 2.8: a random walk of roundings). So the tolerance is
``SAFETY * eps * sqrt(K) * scale``: derived from the operation and the data, not tuned to a result.
What is only copied or chosen (maxima, nearest pixels, indices, padding) must be equal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from minideeplab.testing.cases import CRF, Case

SAFETY = 8.0
"""Room for another order of the sum, fused or not, and for an exp that is 2 ulps off."""

_COPIES = {"max_pool2d", "relu", "pad", "unfold"}


def exact(case: Case, what: str) -> bool:
    """Return whether result ``what`` of the row is copied or chosen, so that it must be equal."""
    if what == "indices" or case.op == "relu":
        return True
    if what == "output":
        return case.op in _COPIES or _is_nearest(case)
    return what == "grad_input" and (
        case.op == "fold" or (case.op == "pad" and case.options.get("mode") is None)
    )


def _is_nearest(case: Case) -> bool:
    return case.op == "interpolate" and case.options.get("mode", "nearest") == "nearest"


def _multiplications(case: Case, arguments: Mapping[str, Any], output: np.ndarray) -> float:
    """Return about how many products the operation sums, all results together."""
    x = arguments["input"]
    if case.op in ("conv2d", "linear"):
        return output.size * arguments["weight"].size / max(1, output.shape[_CHANNEL[case.op]])
    if case.op == "conv_transpose2d":
        return x.size * arguments["weight"].size / arguments["weight"].shape[0]
    if case.op in ("max_pool2d", "avg_pool2d", "unfold", "fold"):
        taps = np.prod(np.broadcast_to(case.options["kernel_size"], 2))
        return max(x.size, output.size) * float(taps)
    if case.op == "interpolate":  # the coordinate's rounding grows with the coordinate
        return max(x.size, output.size) * (4.0 + max(x.shape[2:] + output.shape[2:]) ** 2)
    if case.op in ("softmax", "log_softmax"):
        return float(x.size * x.shape[case.options["dim"]])
    if case.op == "cross_entropy":
        return float(x.size * x.shape[min(x.ndim - 1, 1)])
    if case.op in CRF:  # all points with all points; the distances' rounding grows as well
        return float(
            x.size
            * x[0].size
            * (1 + largest(arguments["features"]) ** 2 if case.op == "gaussian_filter" else x.size)
        )
    return float(4 * max(x.size, output.size))


_CHANNEL = {"conv2d": -3, "linear": -1}


def reduction_length(
    case: Case, what: str, arguments: Mapping[str, Any], expected: Mapping[str, Any]
) -> float:
    """Return K, about how many products are summed for one entry of result ``what``."""
    total = _multiplications(case, arguments, expected["output"])
    return max(1.0, total / max(1, np.size(expected[what])))


def scale(
    case: Case, what: str, arguments: Mapping[str, Any], expected: Mapping[str, Any]
) -> float:
    """Return the size of the terms: that of the result, or more where larger terms cancel."""
    size = largest(expected[what])
    cotangent = case.cotangent(np.shape(expected["output"]), np.float64)
    if case.op in _BILINEAR:
        length = reduction_length(case, what, arguments, expected)
        return max(size, math.sqrt(length) * _typical_term(what, arguments, cotangent))
    x, dy = largest(arguments["input"]), largest(cotangent)
    if case.op in ("softmax", "log_softmax", "cross_entropy", "dense_crf"):
        if case.op == "dense_crf":
            if what.startswith("grad"):  # a product of Jacobians, each at a Q that was rounded
                return (1 + case.options.get("iterations", 5)) * max(size, dy)
            return max(size, min(x, 1.0))
        if what.startswith("grad"):  # scores that are off by eps |x| give other probabilities
            return max(size, dy * max(1.0, min(x, _SATURATED)))
        return max(size, min(x, _SATURATED) if case.op == "softmax" else x)
    if case.op == "batch_norm" and not what.startswith("running"):
        gain = largest(_inverse_deviation(case, arguments))
        w = 1.0 if arguments["weight"] is None else largest(arguments["weight"])
        terms = {"output": w * gain * x, "grad_input": dy * w * gain * (1 + gain * x)}
        return max(size, terms.get(what, dy * (1 + gain * x)))
    return max(size, _rms(cotangent if what.startswith("grad") else arguments["input"]))


_SATURATED = 4096.0
"""Scores so far apart give probabilities of zero and one, however they are rounded.

Below, exp(x - log(sum(exp(x)))) is a right softmax, too, whose exponent is rounded by eps |x|:
hence |x| as the size of the terms. It is each row's own: scores around 1 allow no more than before.
"""

_BILINEAR = ("conv2d", "conv_transpose2d", "linear")


def _typical_term(what: str, arguments: Mapping[str, Any], cotangent: np.ndarray) -> float:
    """Return the size of one product in the sums of a convolution or its gradients."""
    x, w, dy = _rms(arguments["input"]), _rms(arguments["weight"]), _rms(cotangent)
    return {"output": x * w, "grad_input": dy * w, "grad_weight": dy * x}.get(what, dy)


def _rms(array: Any) -> float:
    """Return the root mean square of the finite entries, 0 if there are none."""
    values = np.asarray(array, dtype=np.float64)
    values = values[np.isfinite(values)]
    return math.sqrt(float(np.mean(values**2))) if values.size else 0.0


def largest(array: Any) -> float:
    """Return the largest finite magnitude, 0 for an empty array."""
    magnitude = np.abs(np.asarray(array, dtype=np.float64))
    return float(np.max(magnitude, where=np.isfinite(magnitude), initial=0.0))


def _inverse_deviation(case: Case, arguments: Mapping[str, Any]) -> np.ndarray:
    x, variance = arguments["input"].astype(np.float64), arguments["running_var"]
    if case.options.get("training"):
        variance = np.var(x, axis=tuple(i for i in range(x.ndim) if i != 1))
    return 1.0 / np.sqrt(variance + case.options.get("eps", 1e-5))


def tolerance(
    case: Case, what: str, arguments: Mapping[str, Any], expected: Mapping[str, Any]
) -> float:
    """Return the largest error that a correct implementation may have, 0 where none."""
    if exact(case, what):
        return 0.0
    eps = float(np.finfo(arguments["input"].dtype).eps)
    length = reduction_length(case, what, arguments, expected)
    return SAFETY * eps * math.sqrt(length) * scale(case, what, arguments, expected)


@dataclass(frozen=True)
class Mismatch:
    """One wrong result: which, in what way, where the worst entry is, and how bad it is."""

    what: str
    kind: str
    message: str
    index: tuple[int, ...] | None = None
    expected: float | None = None
    got: float | None = None
    units: float | None = None

    def __str__(self) -> str:
        return f"{self.what}: {self.message}"


def compare(what: str, got: Any, expected: np.ndarray, tol: float, dtype: Any) -> Mismatch | None:
    """Return how ``got`` differs from ``expected`` by more than ``tol``, or None.

    Shape, dtype and the places of NaN and both infinities must match; finite entries must be
    within ``tol``. A plain Python float stands for a scalar of any dtype.
    """
    if got is None:
        return Mismatch(what, "missing", "nothing was returned")
    if np.shape(got) != np.shape(expected):
        return Mismatch(what, "shape", f"shape {np.shape(got)}, expected {np.shape(expected)}")
    if type(got) is not float and np.asarray(got).dtype != dtype:
        return Mismatch(what, "dtype", f"dtype {np.asarray(got).dtype}, expected {np.dtype(dtype)}")
    return compare_values(what, np.asarray(got, np.float64), np.asarray(expected, dtype), tol)


def compare_values(what: str, got: np.ndarray, expected: np.ndarray, tol: float) -> Mismatch | None:
    """Compare entry by entry; see :func:`compare`."""
    expected = expected.astype(np.float64)
    special = ~np.isfinite(expected) | ~np.isfinite(got)
    same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    wrong = special & ~same
    if wrong.any():
        return _worst(what, "nan", got, expected, wrong, wrong.astype(float), "NaN or infinity")
    error = np.abs(np.where(special, 0.0, got) - np.where(special, 0.0, expected))
    wrong = error > tol
    if not wrong.any():
        return None
    return _worst(what, "value", got, expected, wrong, error, f"tolerance {tol:.2g}", tol)


def _worst(
    what: str,
    kind: str,
    got: np.ndarray,
    expected: np.ndarray,
    wrong: np.ndarray,
    error: np.ndarray,
    reason: str,
    tol: float = 0.0,
) -> Mismatch:
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(error)), error.shape))
    units = float(error[index]) / tol if tol else None
    far = f", error {units:.3g} x the tolerance" if units else ""
    message = (
        f"{int(wrong.sum())} of {wrong.size} entries differ ({reason}); worst at {index}: "
        f"expected {expected[index]:.9g}, got {got[index]:.9g}{far}"
    )
    return Mismatch(what, kind, message, index, float(expected[index]), float(got[index]), units)
