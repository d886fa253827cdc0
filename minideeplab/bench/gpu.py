"""``minideeplab bench gpu``: check the cuda backend on this device, then time it.

First every row of the table of cases runs on the device, as Numba CUDA kernels and as CUDA C, and
is compared with the float64 definition and, where it is installed, with torch. Then operations,
single kernels, networks and the dense CRF are timed with events, against torch (cuDNN) with TF32
off and on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from minideeplab.backends import load, use_backend
from minideeplab.backends.cuda.launch import written_in
from minideeplab.bench.crf import run_ours, scene
from minideeplab.bench.layers import LARGEFOV
from minideeplab.bench.report import (
    Progress,
    Results,
    Step,
    check_plan,
    collect,
    heading,
    markdown,
)
from minideeplab.testing.definitions import operation
from minideeplab.testing.frameworks import Minideeplab, installed
from minideeplab.testing.operations import NETWORK, cases
from minideeplab.testing.runner import DTYPES, check_row, framework_reference


@dataclass(frozen=True)
class Plan:
    """The operations to check (all if empty), and the sizes to time."""

    ops: tuple[str, ...] = ()
    check_only: bool = False
    image: int = 513
    train_image: int = 321
    batches: tuple[int, ...] = (1, 8)
    rounds: int = 20

    def __post_init__(self) -> None:
        for op in self.ops:
            if op not in NETWORK:
                raise ValueError(f"op: {op!r}, expected one of {', '.join(NETWORK)}")
        check_plan(self)


def check(op: str, language: str) -> dict[str, Any]:
    """A row of the table for an operation in both dtypes; "wrong" lists the mismatches.

    Rows tagged "quirk", where torch differs by implementation, are not compared with torch.
    """
    library, fn, wrong, count = Minideeplab(backend="cuda"), operation("minideeplab", op), [], 0
    against_torch = installed("torch")
    with written_in(language):
        for case in cases(op):
            for dtype in DTYPES:
                count += 1
                found = check_row(fn, case, dtype, library)
                wrong += [f"{case.id}, {dtype}, {language}: {mismatch}" for mismatch in found]
            if against_torch and "quirk" not in case.tags:
                expected = framework_reference(case, "float64", "torch")
                found = check_row(fn, case, "float64", library, expected=expected)
                wrong += [f"{case.id}, {language}, against torch: {m}" for m in found]
    row = {"operation": op, "kernels": language, "rows": count}
    return row | {"against torch": "yes" if against_torch else "no", "wrong": wrong}


def check_crf(language: str) -> dict[str, Any]:
    """Compare the lattice CRF with the numba backend's on a photograph: the largest difference."""
    image, unary = scene(12, 16, 3)
    with use_backend("numba"):
        expected = run_ours(image, unary, 67, 3)
    with use_backend("cuda"), written_in(language):
        error = float(np.abs(run_ours(image, unary, 67, 3) - expected).max())
    wrong = [] if error < 1e-4 else [f"dense CRF, {language}: off by {error:.2g} in Q"]
    return {"operation": "dense_crf", "kernels": language, "rows": 1, "wrong": wrong}


def measure(plan: Plan, progress: Progress = lambda steps: steps) -> Results:
    """Run the plan. Raises ImportError where no GPU can be used."""
    load("cuda")  # raises the reason
    from minideeplab.bench import gpu_operations, gpu_timing

    if gpu_timing.SIMULATED and not plan.check_only:
        raise ValueError("the simulator has no speed to measure; add --check-only")
    languages = gpu_timing.RUNNABLE
    steps: list[Step] = [
        ("checks", partial(check, op, name)) for name in languages for op in plan.ops or NETWORK
    ]
    if not plan.ops:
        steps += [("checks", partial(check_crf, name)) for name in languages]
        errors = gpu_operations.precision_errors
        steps += [("precision", partial(errors, layer)) for layer in LARGEFOV]
    facts = gpu_timing.description()
    if not plan.check_only:
        limits = gpu_timing.limits()
        facts |= limits.facts()
        steps += _timings(plan, limits)
    rows = collect(steps, progress)
    return Results({"device": facts, **rows}, _text(facts, rows))


def _timings(plan: Plan, limits: Any) -> list[Step]:
    """All timings of the plan."""
    from minideeplab.bench import gpu_kernels, gpu_networks, gpu_operations

    rounds = plan.rounds
    passes = [(plan.image, batch, False) for batch in plan.batches]
    passes.append((plan.train_image, plan.batches[-1], True))
    steps: list[Step] = [
        ("operations", partial(gpu_operations.measure, one, limits, rounds))
        for one in gpu_operations.all_operations(plan.image, 1)
    ]
    steps += [
        ("kernels", partial(gpu_kernels.measure, one, limits, rounds))
        for one in gpu_kernels.launches(plan.image).values()
    ]
    steps += [("networks", partial(gpu_networks.measure, *sizes, rounds)) for sizes in passes]
    return [*steps, ("crf", partial(gpu_networks.crf, plan.image, rounds))]


def _text(facts: dict[str, Any], rows: dict[str, list]) -> str:
    """The tables as Markdown, and one line for each mismatch."""
    wrong = [line for row in rows["checks"] for line in row["wrong"]]
    counted = [row | {"wrong": len(row["wrong"])} for row in rows["checks"]]
    parts = [
        heading(facts),
        markdown(counted),
        "\n".join(f"- {line}" for line in wrong) or "Everything agrees.",
        *(f"{name}:\n\n{markdown(table)}" for name, table in rows.items() if name != "checks"),
    ]
    return "\n\n".join(parts) + "\n"
