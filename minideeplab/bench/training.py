"""Training as it is done, by batch size: a step, making its batch, memory, and torch's step."""

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
from minideeplab.bench.networks import twins
from minideeplab.bench.report import Results, machine, markdown
from minideeplab.bench.timing import interleaved
from minideeplab.data import open_dataset
from minideeplab.nn import Module
from minideeplab.training import Batches, Config
from minideeplab.training.loop import batch_loss
from minideeplab.training.loss import IGNORE, subsample
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
    Where torch is installed, the same network with the same loss and optimiser takes turns with
    ours on the same batch; "times faster" is the median of the ratios to its better layout.
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
    making = statistics.median(_seconds(lambda i=i: batches(i)) for i in range(plan.steps))
    images, labels = batches(0)
    ours = _our_step(net, config, images, labels)
    ours()
    peak = round(memory.resident(memory.PEAK) / 1e6) if memory.known() else None  # before torch's
    run = {"ours": ours}
    for layout, twin in twins(net).items():
        run[f"torch {layout}"] = _torch_step(twin, config, images, labels)
    times = interleaved(run, plan.steps)
    step = times.pop("ours")
    row = {"batch": size, "step, s": step.median, "pictures/s": size / step.median,
           "making it, s": making, "loader": making / step.median}  # fmt: skip
    row |= {} if peak is None else {"peak, MB": peak}
    row |= {f"{name}, s": theirs.median for name, theirs in times.items()}
    if times:
        row["times faster"] = min(step.times_faster_than(theirs) for theirs in times.values())
    return row


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _our_step(
    net: Module, config: Config, images: np.ndarray, labels: np.ndarray
) -> Callable[[], None]:
    optimizer = make_optimizer(net.named_parameters(), config)

    def run() -> None:
        net.zero_grad()
        batch_loss(net, images, labels, None, config).backward()
        optimizer.step()

    return run


def _torch_step(
    twin: Any, config: Config, images: np.ndarray, labels: np.ndarray
) -> Callable[[], None]:
    import torch
    import torch.nn.functional as T

    x, target = twin.tensor(images), torch.from_numpy(labels)
    if config.loss_at == "stride":
        with torch.no_grad():
            target = torch.from_numpy(subsample(labels, tuple(twin(x).shape[2:])))
    decay = {"lr": config.lr, "weight_decay": config.weight_decay}
    if config.optimizer == "adamw":
        optimizer = torch.optim.AdamW(twin.weights.values(), **decay)
    else:
        optimizer = torch.optim.SGD(twin.weights.values(), momentum=config.momentum, **decay)

    def run() -> None:
        optimizer.zero_grad()
        scores = twin(x)
        if scores.shape[2:] != target.shape[1:]:
            scores = T.interpolate(scores, target.shape[1:], mode="bilinear", align_corners=True)
        T.cross_entropy(scores, target, ignore_index=IGNORE).backward()
        optimizer.step()

    return run
