"""``minideeplab bench gpu``: is the cuda backend right on this device, and how fast is it?

First every row of the table of cases runs on the device, as Numba kernels and as CUDA C, and is
compared with the float64 definition and, where it is installed, with torch. Then everything is
timed with events, side by side with torch (cuDNN) with TF32 off and on: operations, every kernel by
itself, networks and the dense CRF.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from minideeplab.backends import load, use_backend
from minideeplab.bench.layers import LARGEFOV
from minideeplab.bench.report import Results, markdown
from minideeplab.testing.definitions import operation
from minideeplab.testing.frameworks import Minideeplab, installed
from minideeplab.testing.operations import NETWORK, cases
from minideeplab.testing.runner import DTYPES, check_row, framework_reference


@dataclass(frozen=True)
class Plan:
    """What to do: the operations to check (all if empty), and the sizes to time."""

    ops: tuple[str, ...] = ()
    check_only: bool = False
    picture: int = 513
    train_picture: int = 321
    batches: tuple[int, ...] = (1, 8)
    rounds: int = 20

    def __post_init__(self) -> None:
        for op in self.ops:
            if op not in NETWORK:
                raise ValueError(f"op: {op!r}, expected one of {', '.join(NETWORK)}")
        for name in ("picture", "train_picture"):
            side = getattr(self, name)
            if side < 9 or side % 8 != 1:
                raise ValueError(f"{name}: {side}, expected 8k + 1, such as 321")
        if self.rounds < 1:
            raise ValueError(f"rounds: {self.rounds}, expected at least 1")


def languages() -> tuple[str, ...]:
    """In which languages the kernels can run here: Numba's alone in its simulator."""
    from minideeplab.backends.cuda.device import SIMULATED
    from minideeplab.backends.cuda.launch import LANGUAGES

    return LANGUAGES[:1] if SIMULATED else LANGUAGES


def check(op: str, language: str) -> dict[str, Any]:
    """Run all rows of an operation in both dtypes; a row of the table, its complaints in "wrong".

    Rows whose result in torch follows from its way of computing are left out against torch.
    """
    from minideeplab.backends.cuda.launch import written_in

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
    from minideeplab.backends.cuda.launch import written_in
    from minideeplab.bench.crf import run_ours, scene

    image, unary = scene(12, 16, 3)
    with use_backend("numba"):
        expected = run_ours(image, unary, 67, 3)
    with use_backend("cuda"), written_in(language):
        error = float(np.abs(run_ours(image, unary, 67, 3) - expected).max())
    wrong = [] if error < 1e-4 else [f"dense CRF, {language}: off by {error:.2g} in Q"]
    return {"operation": "dense_crf", "kernels": language, "rows": 1, "wrong": wrong}


def time_work(work: Any, limits: Any, rounds: int) -> dict[str, Any]:
    """A row of the table of operations: milliseconds in each language and of torch, and limits.

    "torch / ours" is torch in the same precision (TF32 for float16) over the better language.
    """
    from minideeplab.backends.cuda import matmul_precision
    from minideeplab.backends.cuda.launch import written_in
    from minideeplab.bench import device

    row = {"operation": work.name, "MB": work.bytes / 1e6, "GFLOP": work.operations / 1e9}
    run, times = work.on_device(), {}
    for language in languages():
        with written_in(language), matmul_precision(work.precision):
            times[language] = device.milliseconds(run, rounds)
            row[f"{language} ms"] = times[language]
    best = min(times.values())
    share = limits.fraction(work.bytes, work.operations, best, work.precision)
    theirs = with_torch(work.on_torch, rounds)
    rival = theirs.get("torch ms" if work.precision == "float32" else "torch TF32 ms")
    row |= {"share of the limit": share, **theirs}
    return row | ({"torch / ours": rival / best} if rival else {})


def with_torch(prepare: Callable[[Any], Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Torch's milliseconds with TF32 off and on, nothing where it is not installed."""
    from minideeplab.bench import device

    torch, row = device.cuda_torch(), {}
    if torch is None:
        return row
    run = prepare(torch)
    for name, allowed in (("torch ms", False), ("torch TF32 ms", True)):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed
        torch.backends.cudnn.benchmark = True
        row[name] = device.torch_milliseconds(run, rounds)
    return row


def measure(plan: Plan, progress: Callable[[list], Iterable] = lambda steps: steps) -> Results:
    """Run the plan. Raises ImportError where no GPU can be used."""
    load("cuda")  # says why it cannot
    from minideeplab.backends.cuda.device import SIMULATED
    from minideeplab.bench import device, gpu_precision

    if SIMULATED and not plan.check_only:
        raise ValueError("the simulator has no speed to measure; add --check-only")
    steps = [
        ("checks", partial(check, op, language))
        for language in languages()
        for op in plan.ops or NETWORK
    ]
    steps += [] if plan.ops else [("checks", partial(check_crf, name)) for name in languages()]
    steps += (
        []
        if plan.ops
        else [("precision", partial(gpu_precision.measure, layer)) for layer in LARGEFOV]
    )
    rows: dict[str, list] = {"checks": []}
    facts = device.description()
    if not plan.check_only:
        found = device.limits()
        facts |= found.facts()
        steps += timings(plan, found)
    for table, run in progress(steps):
        rows.setdefault(table, []).append(run())
    return Results({"device": facts, **rows}, _text(facts, rows))


def timings(plan: Plan, limits: Any) -> list[tuple[str, Callable[[], dict]]]:
    """All measurements of the plan: (table, function that gives its row)."""
    from minideeplab.bench import gpu_kernels, gpu_networks
    from minideeplab.bench.gpu_work import works

    steps: list[tuple[str, Callable[[], dict]]] = [
        ("operations", partial(time_work, work, limits, plan.rounds))
        for work in works(plan.picture, 1)
    ]
    steps += [
        ("kernels", partial(gpu_kernels.measure, one, limits, plan.rounds))
        for one in gpu_kernels.launches(plan.picture).values()
    ]
    for batch in plan.batches:
        forward = partial(gpu_networks.measure, plan.picture, batch, False, plan.rounds)
        steps.append(("networks", forward))
    training = partial(
        gpu_networks.measure, plan.train_picture, plan.batches[-1], True, plan.rounds
    )
    crf = partial(gpu_networks.crf, plan.picture, plan.rounds)
    return [*steps, ("networks", training), ("crf", crf)]


def _text(facts: dict[str, Any], rows: dict[str, list]) -> str:
    """The tables as Markdown, and every complaint in a line of its own."""
    head = ", ".join(
        f"{key} {value:.0f}" if isinstance(value, float) else f"{key} {value}"
        for key, value in facts.items()
    )
    wrong = [line for row in rows["checks"] for line in row["wrong"]]
    counted = [row | {"wrong": len(row["wrong"])} for row in rows["checks"]]
    parts: Sequence[str] = [
        head,
        markdown(counted),
        "\n".join(f"- {line}" for line in wrong) or "Everything agrees.",
        *(f"{name}:\n\n{markdown(table)}" for name, table in rows.items() if name != "checks"),
    ]
    return "\n\n".join(parts) + "\n"
