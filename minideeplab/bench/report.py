"""Rows as a Markdown table."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from minideeplab.backends.numba_cpu.runtime.parallel import thread_count


@dataclass(frozen=True)
class Results:
    """The numbers, ready for JSON, and the same as Markdown."""

    numbers: dict[str, Any]
    text: str


def machine() -> dict[str, Any]:
    """Return what the numbers depend on: processor, threads, versions and the date."""
    import numba
    import numpy as np

    facts = {
        "date": date.today().isoformat(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": thread_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
    }
    try:
        import torch
    except ImportError:
        return facts
    return facts | {"torch": torch.__version__, "torch threads": torch.get_num_threads()}


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as info:
            names = [
                line.split(":", 1)[1].strip() for line in info if line.startswith("model name")
            ]
        return names[0]
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows as a table with the columns of all of them, numbers to three digits."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [" | ".join(columns), " | ".join("---" for _ in columns)]
    lines += [" | ".join(_text(row.get(column, "")) for column in columns) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def _text(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.1e}" if 0 < abs(value) < 1e-2 else f"{value:.4g}"
