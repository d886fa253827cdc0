"""The operations themselves, looked up by name in this package and in PyTorch."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

MODULES = {
    "minideeplab": ("minideeplab.functional", "minideeplab.testing.crf_ops"),
    "torch": ("torch.nn.functional", "minideeplab.testing.crf_torch"),
}
"""Where each library's operations are. PyTorch has no CRF: ``crf_torch`` is written with it."""


def operation(library: str, op: str) -> Callable[..., Any]:
    """Return the library's own operation ``op``, called like ``torch.nn.functional``.

    Raises:
        ValueError: the library has no such operation.
    """
    for module in MODULES.get(library, ()):
        found = getattr(importlib.import_module(module), op, None)
        if found:
            return found
    raise ValueError(f"{library} has no operation of its own called {op}")


def parameters(op: str) -> list[inspect.Parameter]:
    """Return the parameters of the definition of ``op``, arrays first."""
    return list(inspect.signature(operation("minideeplab", op)).parameters.values())
