"""Tests of operations: the table of cases, gradient checks and comparisons.

Names load on first use, so that pytest, which imports the plugin here at every start, stays quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minideeplab.testing.conformance import check_op
    from minideeplab.testing.gradients import gradcheck
    from minideeplab.testing.report import Report

_ATTRIBUTES = {"Report": "report", "check_op": "conformance", "gradcheck": "gradients"}

__all__ = ["Report", "check_op", "gradcheck"]


def __getattr__(name: str) -> Any:
    if name in _ATTRIBUTES:
        return getattr(importlib.import_module(f"{__name__}.{_ATTRIBUTES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
