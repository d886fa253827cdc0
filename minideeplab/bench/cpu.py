"""``minideeplab bench cpu``: the tables of layers and networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from minideeplab.bench import layers, networks
from minideeplab.bench.report import Results, machine, markdown
from minideeplab.bench.timing import product_limit, sgemm_limit
from minideeplab.models import NAMES


@dataclass(frozen=True)
class Plan:
    """What to measure."""

    picture: int
    train_picture: int
    batch: int
    rounds: int
    networks: tuple[str, ...]
    layers: bool

    def __post_init__(self) -> None:
        for name in ("picture", "train_picture"):
            side = getattr(self, name)
            if side < 9 or side % 8 != 1:
                raise ValueError(f"{name}: {side}, expected 8k + 1, such as 321")
        for name in ("batch", "rounds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)}, expected at least 1")
        for network in self.networks:
            if network not in NAMES:
                raise ValueError(f"network: {network!r}, expected one of {', '.join(NAMES)}")


def measure(plan: Plan, progress: Callable[[list], Iterable]) -> Results:
    """Run the plan; ``progress`` wraps the list of measurements to show how far they are."""
    facts = machine() | {"sgemm GFLOP/s": sgemm_limit(), "our product GFLOP/s": product_limit()}
    tables = {"layers": _layers(plan), "networks": _networks(plan)}
    steps = [(table, run) for table, runs in tables.items() for run in runs]
    rows: dict[str, list] = {table: [] for table in tables}
    for table, run in progress(steps):
        rows[table].append(run())
    memory = {name: networks.peak_memory(name, plan.picture) for name in plan.networks}
    numbers = {"machine": facts, **rows, "peak bytes of a forward pass": memory}
    return Results(numbers, _text(facts, rows, memory, plan))


def _layers(plan: Plan) -> list[Callable[[], dict]]:
    if not plan.layers:
        return []
    forward = [
        partial(layers.measure, layer, plan.picture, 1, False, plan.rounds)
        for layer in layers.LARGEFOV
    ]
    return forward + [
        partial(layers.measure, layer, plan.train_picture, plan.batch, True, plan.rounds)
        for layer in layers.LARGEFOV
    ]


def _networks(plan: Plan) -> list[Callable[[], dict]]:
    runs = []
    for name in plan.networks:
        for picture in dict.fromkeys((plan.train_picture, plan.picture)):
            size = (picture, picture)
            runs.append(partial(networks.measure, name, size, 1, False, plan.rounds))
        size = (plan.train_picture, plan.train_picture)
        runs.append(partial(networks.measure, name, size, plan.batch, True, plan.rounds))
    return runs


def _text(facts: dict, rows: dict[str, list], memory: dict, plan: Plan) -> str:
    parts = [", ".join(f"{key} {_short(value)}" for key, value in facts.items())]
    parts += [markdown(table) for table in rows.values() if table]
    parts += [
        f"Peak memory of a process that runs forward passes of {name} at {plan.picture}: "
        f"{peak / 1e6:.0f} MB"
        for name, peak in memory.items()
        if peak is not None
    ]
    return "\n\n".join(parts) + "\n"


def _short(value: Any) -> str:
    return f"{value:.0f}" if isinstance(value, float) else str(value)
