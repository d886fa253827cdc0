"""Results of a benchmark: rows collected into tables, Markdown, and facts about the machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from minideeplab.backends.numba_cpu.runtime.parallel import thread_count


@dataclass(frozen=True)
class Results:
    """The numbers, ready for JSON, and the same as Markdown."""

    numbers: dict[str, Any]
    text: str


Progress = Callable[[Sequence], Iterable]
"""Wraps a sequence of steps to show progress, such as tqdm."""

Step = tuple[str, Callable[[], dict[str, Any] | None]]
"""The name of a table and a function that measures one of its rows, None if it has none."""


def collect(steps: Sequence[Step], progress: Progress) -> dict[str, list[dict[str, Any]]]:
    """Run all steps; return the rows of each table."""
    rows: dict[str, list] = {name: [] for name, _ in steps}
    for name, run in progress(steps):
        row = run()
        rows[name] += [row] if row else []
    return rows


def check_plan(plan: Any) -> None:
    """Raise ValueError unless image sides are 8k + 1 and counts positive, where a plan has them."""
    for name in ("image", "train_image"):
        side = getattr(plan, name)
        if side < 9 or side % 8 != 1:
            raise ValueError(f"{name}: {side}, expected 8k + 1, such as 321")
    for name in ("batch", "rounds"):
        if getattr(plan, name, 1) < 1:
            raise ValueError(f"{name}: {getattr(plan, name)}, expected at least 1")


def heading(facts: dict[str, Any]) -> str:
    """One line of facts."""
    return ", ".join(
        f"{key} {value:.0f}" if isinstance(value, float) else f"{key} {value}"
        for key, value in facts.items()
    )


def machine() -> dict[str, Any]:
    """Return the conditions of a measurement: processor, threads, versions and date."""
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
    for engine in ("onnxruntime", "openvino"):
        with suppress(PackageNotFoundError):
            facts[engine] = version(engine)
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
