"""Whole networks: a forward pass, a training step and peak memory, ours against other engines."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from minideeplab import functional as F
from minideeplab import models
from minideeplab.bench import memory
from minideeplab.bench.engines import engines
from minideeplab.bench.layers import torch_formats
from minideeplab.bench.timing import interleaved, training_step
from minideeplab.nn import Module
from minideeplab.tensor import Tensor, no_grad
from minideeplab.training.optim import SGD

CLASSES = 21
REST = 0.08  # seconds between two runs: the threads of inference engines spin for longer


def measure(name: str, size: tuple[int, int], batch: int, training: bool, rounds: int) -> dict:
    """Return a row of the table for a network of ``models.NAMES``: forward, or a training step."""
    net, x, labels = network_and_batch(name, size, batch, training)
    run = {"ours": our_run(net, x, labels, training)}
    for layout, network in torch_networks(net).items():
        run[f"torch {layout}"] = network.run_on(x, labels, training)
    run |= {} if training else engines(net, x)
    row = {"what": name, "pass": "training step" if training else "forward",
           "image": "x".join(map(str, size)), "batch": batch}  # fmt: skip
    times = interleaved(run, rounds, REST)
    row |= {f"{engine} ms": timing.median * 1e3 for engine, timing in times.items()}
    ours = times.pop("ours")
    if times:
        ratios = {engine: ours.times_faster_than(theirs) for engine, theirs in times.items()}
        row["best engine"] = min(ratios, key=ratios.get)
        row["best engine / ours"] = ratios[row["best engine"]]
    if times and not training:
        row["difference"] = max(_difference(run["ours"](), run[engine]()) for engine in times)
    return row


def _difference(ours: np.ndarray, theirs: Any) -> float:
    """Return the largest difference of scores, in units of the largest score."""
    theirs = np.asarray(theirs)
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def network_and_batch(
    name: str, size: tuple[int, int], batch: int, training: bool
) -> tuple[Module, np.ndarray, np.ndarray]:
    """Return a new network, random images (N, 3, H, W) and random labels on its output's grid."""
    net = models.build(name, CLASSES).train(training)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, 3, *size), np.float32)
    with no_grad():
        grid = np.asarray(net(x[:1])).shape[2:]
    return net, x, rng.integers(0, CLASSES, (batch, *grid))


def our_run(net: Module, x: Any, labels: Any, training: bool) -> Callable[[], Any]:
    """Return a function that runs a forward pass, or a training step, on arrays of any device."""
    if training:
        optimizer = SGD(net.named_parameters(), lr=1e-4)
        loss = lambda: F.cross_entropy(net(Tensor(x)), labels)  # noqa: E731
        return training_step(net.zero_grad, loss, optimizer.step)

    def forward() -> Any:
        with no_grad():
            return net(x).data

    return forward


def torch_networks(net: Module) -> dict[str, Any]:
    """Return `TorchNetwork` in both memory formats, nothing where torch is not installed."""
    if not torch_formats():
        return {}
    from minideeplab.bench.torch_network import TorchNetwork

    return {name: TorchNetwork(net, layout) for name, layout in torch_formats().items()}


_CHILD = """
import sys
import numpy as np
from minideeplab import models, no_grad
from minideeplab.bench import memory
net = models.build(sys.argv[1], 21).eval()
x = np.zeros((1, 3, int(sys.argv[2]), int(sys.argv[2])), np.float32)
with no_grad():
    for _ in range(4):  # the cache of transformed filters is complete from the third pass on
        net(x)
print(memory.resident(memory.PEAK))
"""


def peak_memory(name: str, side: int) -> int | None:
    """Return the peak bytes of a process that only runs forward passes; None off Linux."""
    if not memory.known():
        return None
    command = [sys.executable, "-c", _CHILD, name, str(side)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
