"""``minideeplab bench cpu``: the tables of layers and networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from minideeplab.bench import core_state, layers, networks
from minideeplab.bench.report import (
    Progress,
    Results,
    Step,
    check_plan,
    collect,
    heading,
    machine,
    markdown,
)
from minideeplab.bench.timing import product_limit, sgemm_limit
from minideeplab.models import NAMES


@dataclass(frozen=True)
class Plan:
    """What to measure."""

    image: int
    train_image: int
    batch: int
    rounds: int
    networks: tuple[str, ...]
    layers: bool

    def __post_init__(self) -> None:
        check_plan(self)
        for network in self.networks:
            if network not in NAMES:
                raise ValueError(f"network: {network!r}, expected one of {', '.join(NAMES)}")


def measure(plan: Plan, progress: Progress) -> Results:
    """Run the plan; ``progress`` wraps the list of measurements to show progress."""
    facts = machine() | {"sgemm GFLOP/s": sgemm_limit(), "our product GFLOP/s": product_limit()}
    rows = {"layers": [], "networks": []} | collect(_layers(plan) + _networks(plan), progress)
    memory = {name: networks.peak_memory(name, plan.image) for name in plan.networks}
    parts = [heading(facts), *(markdown(table) for table in rows.values() if table)]
    parts += [
        f"Peak memory of a process that runs forward passes of {name} at {plan.image}: "
        f"{peak / 1e6:.0f} MB"
        for name, peak in memory.items()
        if peak is not None
    ]
    numbers = {"machine": facts, **rows, "peak bytes of a forward pass": memory}
    return Results(numbers, "\n\n".join(parts) + "\n")


def _with_cores(measure: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Return the row of a measurement, with the state of the cores before and after it."""
    before = core_state.latency()
    row = measure(*arguments)
    return row | {"cores": core_state.describe(before, core_state.latency())}


def _layers(plan: Plan) -> list[Step]:
    passes = ((plan.image, 1, False), (plan.train_image, plan.batch, True))
    return [
        ("layers", partial(_with_cores, layers.measure, layer, *sizes, plan.rounds))
        for sizes in (passes if plan.layers else ())
        for layer in layers.LARGEFOV
    ]


def _networks(plan: Plan) -> list[Step]:
    passes = [(side, 1, False) for side in dict.fromkeys((plan.train_image, plan.image))]
    passes.append((plan.train_image, plan.batch, True))
    measure = partial(_with_cores, networks.measure)
    return [
        ("networks", partial(measure, name, (side, side), batch, training, plan.rounds))
        for name in plan.networks
        for side, batch, training in passes
    ]
