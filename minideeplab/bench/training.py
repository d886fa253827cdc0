"""Training as it is done: seconds of a step and of making its batch, and memory, by batch size."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from minideeplab import models
from minideeplab.bench import memory
from minideeplab.bench.report import Results, machine, markdown
from minideeplab.data.specs import open_dataset
from minideeplab.training import Batches, Config
from minideeplab.training.loop import batch_loss
from minideeplab.training.optim import make_optimizer


@dataclass(frozen=True)
class Plan:
    """What to measure: a network on crops of a data set, each batch size in its own process."""

    data: str
    model: str = "small"
    crop: tuple[int, int] = (193, 257)
    batch_sizes: Sequence[int] = (1, 2, 4, 8)
    steps: int = 5


def measure(
    plan: Plan, progress: Callable[[Sequence[int]], Iterable[int]] = lambda sizes: sizes
) -> Results:
    """Return a row for each batch size; "loader" is the time to make a batch over that of a step.

    Batches are made in a thread while the network trains, so a loader below 1 is never waited for.
    """
    rows = []
    for size in progress(plan.batch_sizes):
        job = json.dumps({**asdict(plan), "batch_sizes": [size]})
        command = [sys.executable, "-c", _CHILD, job]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        rows.append(json.loads(done.stdout))
    facts = machine()
    numbers = {"machine": facts, "plan": asdict(plan), "rows": rows}
    title = f"Training {plan.model} on {plan.data}, crops of {plan.crop[0]}x{plan.crop[1]}"
    return Results(numbers, f"{title}, {facts['threads']} threads\n\n{markdown(rows)}\n")


_CHILD = """
import json, sys
from minideeplab.bench.training import Plan, measure_here
job = json.loads(sys.argv[1])
print(json.dumps(measure_here(Plan(**job))))
"""


def measure_here(plan: Plan) -> dict[str, Any]:
    """Train ``plan.steps`` steps in this process; return a row for its only batch size."""
    (size,) = plan.batch_sizes
    dataset = open_dataset(plan.data, "train")
    config = Config.for_model(plan.model, batch_size=size, crop=tuple(plan.crop))
    net = models.build(plan.model, len(dataset.classes)).train()
    batches = Batches(dataset, net.preprocessing, config)
    optimizer = make_optimizer(
        config.optimizer, net.named_parameters(), config.lr, config.weight_decay, config.momentum
    )
    making, training = [], []
    for i in range(plan.steps + 1):  # the first compiles and warms up
        start = time.perf_counter()
        images, labels = batches(i)
        made = time.perf_counter()
        _step(net, optimizer, images, labels, config)
        making.append(made - start)
        training.append(time.perf_counter() - made)
    step, batch = statistics.median(training[1:]), statistics.median(making[1:])
    row = {"batch": size, "step, s": step, "pictures/s": size / step, "making it, s": batch,
           "loader": batch / step}  # fmt: skip
    return row | ({"peak, MB": round(memory.resident(memory.PEAK) / 1e6)} if memory.known() else {})


def _step(net: Any, optimizer: Any, images: np.ndarray, labels: np.ndarray, config: Config) -> None:
    net.zero_grad()
    batch_loss(net, images, labels, None, config).backward()
    optimizer.step()
