"""Arguments and results as JSON: arrays, numbers, strings, None, lists, tuples, dictionaries.

Output of an untrusted process is parsed as data only: no pickles, no code, and an array's shape
must match the number of its values.
"""

from __future__ import annotations

import base64
import json
import math
from dataclasses import asdict
from typing import Any

import numpy as np

from minideeplab.grading.model import Case, Given
from minideeplab.grading.outcome import ERROR, NOT_DONE, VALUE, Outcome

DTYPES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64",
)  # fmt: skip
DEEPEST = 20
LARGE = 10_000
"""Arrays of more numbers are written as bytes in base64; those of lessons are smaller."""


def encode(value: Any, depth: int = 0) -> Any:
    """Return a value as JSON-able data.

    Raises:
        TypeError: the value is, or contains, a type that is not supported.
    """
    if depth > DEEPEST:
        raise TypeError(f"the result is nested more than {DEEPEST} deep")
    if value is None or isinstance(value, (bool, int, float, str)):
        plain = next(t for t in (type(None), bool, int, float, str) if isinstance(value, t))
        return None if value is None else plain(value)
    if isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value)
        if array.dtype.name not in DTYPES:
            raise TypeError(f"the result is an array of {array.dtype}, which no task asks for")
        shape = list(array.shape)
        if array.size > LARGE and array.dtype != bool:
            raw = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
            return {"array": array.dtype.name, "shape": shape, "base64": raw}
        values = array.ravel().tolist()
        return {"array": array.dtype.name, "shape": shape, "values": values}
    if isinstance(value, complex):  # a negative number to a power: a wrong result to explain
        return {"complex": [value.real, value.imag]}
    if isinstance(value, Given):
        return {"given": value.name}
    if isinstance(value, (list, tuple)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [encode(item, depth + 1) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[encode(k, depth + 1), encode(v, depth + 1)] for k, v in value.items()]}
    raise TypeError(f"the result is a {type(value).__name__}, which no task asks for")


def decode(data: Any) -> Any:
    """Return the value that `encode` encoded.

    Raises:
        ValueError: the data are not of `encode`.
    """
    if data is None or isinstance(data, (bool, int, float, str)):
        return data
    if not isinstance(data, dict):
        raise ValueError(f"expected an encoded value, got {type(data).__name__}")
    if "array" in data:
        return _array(data)
    kind, content = next(iter(data.items()), ("", None))
    if kind == "complex" and isinstance(content, list):
        return complex(*map(float, content[:2]))
    if kind == "given" and isinstance(content, str):
        return Given(content)
    if kind in ("list", "tuple") and isinstance(content, list):
        return (tuple if kind == "tuple" else list)(decode(item) for item in content)
    if kind == "dict" and isinstance(content, list):
        return {decode(key): decode(item) for key, item in content}
    raise ValueError(f"expected an encoded value, got {kind!r}")


def _array(data: dict[str, Any]) -> np.ndarray:
    dtype, shape, values = data["array"], data.get("shape"), data.get("values")
    if "base64" in data:
        raw = base64.b64decode(data["base64"], validate=True)  # binascii.Error is a ValueError
        if dtype not in DTYPES or dtype == "bool" or len(raw) % np.dtype(dtype).itemsize:
            raise ValueError("expected an array's dtype, shape and bytes")
        values = np.frombuffer(raw, dtype)
    elif not isinstance(values, list):
        raise ValueError("expected an array's values")
    if dtype not in DTYPES or not isinstance(shape, list):
        raise ValueError("expected an array's dtype and shape")
    if not all(type(n) is int and n >= 0 for n in shape) or math.prod(shape) != len(values):
        raise ValueError(f"{len(values)} values cannot have shape {shape}")
    if not len(values) and max(shape) > LARGE:  # its shape would be a message
        raise ValueError(f"expected an empty array with sizes up to {LARGE}, got shape {shape}")
    return np.array(values, dtype=dtype).reshape(shape)


def encode_case(case: Case) -> dict[str, Any]:
    """Return a case's arguments as JSON-able data; its name is left out."""
    return {"args": encode(case.args), "options": encode(case.options)}


def decode_case(data: dict[str, Any], name: str = "") -> Case:
    """Return the case that `encode_case` encoded."""
    return Case(name, decode(data["args"]), decode(data["options"]))


def encode_outcome(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as JSON-able data; a value that cannot be encoded becomes an error."""
    try:
        return asdict(Outcome(outcome.kind, error=outcome.error, message=outcome.message,
                              line=outcome.line, cell=outcome.cell, origin=outcome.origin)
                      ) | {"value": encode(outcome.value)}  # fmt: skip
    except TypeError as error:
        return asdict(Outcome(ERROR, error="TypeError", message=str(error)))


def decode_outcome(text: str) -> tuple[int, Outcome]:
    """Return the case's index and the outcome in one line of an untrusted process.

    Raises:
        ValueError: the line is not of `encode_outcome`.
    """
    try:
        data = json.loads(text)
        kind, line, cell = data["kind"], data["line"], data.get("cell", 0)
        value = decode(data["value"])
        words = [str(data[key])[:300] for key in ("error", "message")]
        index = data["case"]
        known = kind in (VALUE, ERROR, NOT_DONE)
        known = known and all(type(number) is int for number in (index, line, cell))
    except (KeyError, TypeError, RecursionError, OverflowError) as error:
        raise ValueError(f"not an outcome: {error}") from None
    if not known:
        raise ValueError(f"not an outcome: kind {kind!r}")
    return index, Outcome(kind, value, *words, line, cell, str(data.get("origin", ""))[:100])
