"""Compare a result with the expected one; return in one line how it differs."""

from __future__ import annotations

from typing import Any

import numpy as np

_KINDS = {"b": "bool", "i": "whole number", "u": "whole number", "f": "float", "c": "complex"}


def difference(expected: Any, got: Any, rtol: float, returns: tuple[str, ...] = ()) -> str:
    """Compare a result with the right one.

    Numbers and 0-d arrays are alike, and so are lists and tuples. Arrays must have the right shape
    and dtype (whole numbers: of any width), and floats the right value within ``rtol`` times the
    largest expected magnitude.

    Args:
        expected: the right result: array, number, string, None, or a tuple, list or dict of them.
        got: the result to judge.
        rtol: see above.
        returns: names of a tuple's parts.

    Returns:
        "" if it is right, otherwise what is wrong, in words.
    """
    if isinstance(expected, (list, tuple)):
        return _sequence(expected, got, rtol, returns)
    if isinstance(expected, dict):
        return _mapping(expected, got, rtol)
    if expected is None or isinstance(expected, str):
        same = type(got) is type(expected) and got == expected
        return "" if same else f"returned {_short(got)}, expected {expected!r}"
    if isinstance(expected, np.ndarray) and expected.ndim and not isinstance(got, np.ndarray):
        return f"returned {_short(got)}, expected an array of shape {expected.shape}"
    if not isinstance(got, (np.ndarray, np.generic, bool, int, float, complex)):
        return f"returned {_short(got)}, expected {_short(expected)}"
    return _arrays(expected, got, rtol)


def _sequence(expected: Any, got: Any, rtol: float, returns: tuple[str, ...]) -> str:
    names = (
        returns if len(returns) == len(expected) else [f"part {i}" for i in range(len(expected))]
    )
    if not isinstance(got, (list, tuple)):
        return f"returned {_short(got)}, expected a tuple ({', '.join(names)})"
    if len(got) != len(expected):
        return f"returned {len(got)} parts, expected {len(expected)}: {', '.join(names)}"
    pairs = zip(names, expected, got, strict=True)
    found = [(name, difference(right, part, rtol)) for name, right, part in pairs]
    return "; ".join(f"{name}: {text}" for name, text in found if text)


def _mapping(expected: dict[Any, Any], got: Any, rtol: float) -> str:
    if not isinstance(got, dict):
        return f"returned {_short(got)}, expected a dictionary with {sorted(expected)}"
    if set(got) != set(expected):
        return f"returned keys {sorted(map(str, got))}, expected {sorted(map(str, expected))}"
    found = [(key, difference(expected[key], got[key], rtol)) for key in expected]
    return "; ".join(f"{key}: {text}" for key, text in found if text)


def _arrays(expected: Any, got: Any, rtol: float) -> str:
    typed = isinstance(expected, np.ndarray) and isinstance(got, np.ndarray)
    right, value = np.asarray(expected), np.asarray(got)
    if value.shape != right.shape:
        return f"shape {value.shape}, expected {right.shape}"
    kinds = [_KINDS.get(array.dtype.kind, str(array.dtype)) for array in (value, right)]
    number_for_float = not typed and kinds == ["whole number", "float"]
    if kinds[0] != kinds[1] and not typed and not number_for_float:
        return f"returned {_short(got)} (a {kinds[0]}), expected a {kinds[1]}"
    if kinds[0] != kinds[1] and not number_for_float:
        return f"dtype {value.dtype} ({kinds[0]}), expected {right.dtype} ({kinds[1]})"
    if typed and kinds[0] == "float" and value.dtype != right.dtype:
        return f"dtype {value.dtype}, expected {right.dtype}"
    return _values(right, value, rtol)


def _values(right: np.ndarray, value: np.ndarray, rtol: float) -> str:
    """Compare arrays of one shape."""
    if right.dtype.kind != "f":
        wrong = np.asarray(value != right)
    else:
        size = np.max(np.abs(right), where=np.isfinite(right), initial=0.0)
        with np.errstate(invalid="ignore"):
            near = np.abs(value.astype(np.float64) - right) <= rtol * (size or 1.0)
        same = (value == right) | (np.isnan(value) & np.isnan(right))
        wrong = ~np.asarray(near | same)
    if not wrong.any():
        return ""
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    place = f" at {index}" if index else ""
    return (
        f"{int(wrong.sum())} of {wrong.size} values wrong, the first{place}: "
        f"{_number(value[index])}, expected {_number(right[index])}"
    )


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, np.floating) else str(value)


def _short(value: Any) -> str:
    """Describe a value in a few words."""
    if value is None:
        return "None"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of {len(value)}"
    return f"{type(value).__name__} {str(value)[:40]}"
