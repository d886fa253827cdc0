"""``minideeplab bench training``: step time, loader time and memory by batch size, and torch's."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from minideeplab import models
from minideeplab.bench import memory
from minideeplab.bench.networks import torch_networks
from minideeplab.bench.report import Progress, Results, machine, markdown
from minideeplab.bench.timing import interleaved, training_step
from minideeplab.data import open_dataset
from minideeplab.training import Batches, Config
from minideeplab.training.gradients import batch_loss
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


def measure(plan: Plan, progress: Progress = lambda sizes: sizes) -> Results:
    """Return a row for each batch size; "loader" is the time to make a batch over that of a step.

    Batches are made in a thread during training, so a loader below 1 does not slow it down. Where
    torch is installed, its runs of the same network, loss and optimiser are interleaved with ours;
    "times faster" is the median ratio to its better memory format.
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
    optimizer = make_optimizer(net.named_parameters(), config)
    loss = lambda: batch_loss(net, images, labels, None, config)  # noqa: E731
    ours = training_step(net.zero_grad, loss, optimizer.step)
    ours()  # torch must not count towards the peak
    peak = {"peak, MB": round(memory.resident(memory.PEAK) / 1e6)} if memory.known() else {}
    run = {"ours": ours}
    for layout, network in torch_networks(net).items():
        run[f"torch {layout}"] = _torch_step(network, config, images, labels)
    times = interleaved(run, plan.steps)
    step = times.pop("ours")
    row = {"batch": size, "step, s": step.median, "images/s": size / step.median,
           "making it, s": making, "loader": making / step.median}  # fmt: skip
    row |= peak | {f"{name}, s": theirs.median for name, theirs in times.items()}
    if times:
        row["times faster"] = min(step.times_faster_than(theirs) for theirs in times.values())
    return row


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _torch_step(
    network: Any, config: Config, images: np.ndarray, labels: np.ndarray
) -> Callable[[], None]:
    """Return a function that runs torch's step with the loss and optimiser of ``config``."""
    import torch
    import torch.nn.functional as T

    x, target = network.tensor(images), torch.from_numpy(labels)
    if config.loss_at == "stride":
        with torch.no_grad():
            target = torch.from_numpy(subsample(labels, tuple(network(x).shape[2:])))
    decay = {"lr": config.lr, "weight_decay": config.weight_decay}
    if config.optimizer == "adamw":
        optimizer = torch.optim.AdamW(network.weights.values(), **decay)
    else:
        optimizer = torch.optim.SGD(network.weights.values(), momentum=config.momentum, **decay)

    def loss() -> Any:
        scores = network(x)
        if scores.shape[2:] != target.shape[1:]:
            scores = T.interpolate(scores, target.shape[1:], mode="bilinear", align_corners=True)
        return T.cross_entropy(scores, target, ignore_index=IGNORE)

    return training_step(optimizer.zero_grad, loss, optimizer.step)
