"""Fully connected conditional random fields: exact, on the permutohedral lattice, and learned.

The definitions are in `minideeplab.ops.crf`: ``exact.py``, then ``lattice.py`` (the same sum in
linear time), and ``meanfield.py`` (inference with either). This package checks arguments, keeps the
model, and calls the backend in use. To step through inference with a debugger, select the
definitions with ``use_backend("numpy")``: `DenseCRF.inference` then calls ``mean_field`` in
``ops/crf/meanfield.py`` and ``filter_lattice`` in ``ops/crf/lattice.py``.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "CRFasRNN": "layer",
    "DenseCRF": "dense",
    "DenseCRFBatch": "batch",
    "refine": "refinement",
    "CRFParameters": "refinement",
    "PARAMETERS": "refinement",
    "unary_from_labels": "potentials",
    "unary_from_probabilities": "potentials",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'minideeplab.crf' has no attribute {name!r}")
    return getattr(importlib.import_module(f"minideeplab.crf.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
