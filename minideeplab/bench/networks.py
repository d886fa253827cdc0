"""Whole networks: a forward pass, a training step and the peak of memory, ours against torch."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from minideeplab import functional as F
from minideeplab import models
from minideeplab.bench import memory
from minideeplab.bench.layers import compared
from minideeplab.bench.timing import interleaved
from minideeplab.nn import Module
from minideeplab.tensor import no_grad
from minideeplab.training.optim import SGD

CLASSES = 21


def measure(name: str, size: tuple[int, int], batch: int, training: bool, rounds: int) -> dict:
    """Return a row of the table for a network of ``models.NAMES``: forward, or a training step."""
    net = models.build(name, CLASSES)
    net.train(training)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, 3, *size), np.float32)
    with no_grad():
        grid = net(x).shape[2:]
    labels = rng.integers(0, CLASSES, (batch, *grid))
    run = {"ours": _step(net, x, labels) if training else _forward(net, x)}
    for layout, twin in twins(net).items():
        step = _torch_step if training else _torch_forward
        run[f"torch {layout}"] = step(twin, twin.tensor(x), labels)
    row = {"what": name, "pass": "training step" if training else "forward",
           "picture": "x".join(map(str, size)), "batch": batch}  # fmt: skip
    row |= compared(interleaved(run, rounds))
    if not training and "torch NCHW" in run:
        ours, theirs = run["ours"](), run["torch NCHW"]()
        row["difference"] = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
    return row


def _forward(net: Module, x: np.ndarray) -> Callable[[], np.ndarray]:
    def run() -> np.ndarray:
        with no_grad():
            return net(x).data

    return run


def _step(net: Module, x: np.ndarray, labels: np.ndarray) -> Callable[[], None]:
    optimizer = SGD(net.named_parameters(), lr=1e-4)

    def run() -> None:
        net.zero_grad()
        F.cross_entropy(net(x), labels).backward()
        optimizer.step()

    return run


def twins(net: Module) -> dict[str, Any]:
    """Return torch's versions of the network, none where torch is not installed."""
    try:
        import torch
    except ImportError:
        return {}
    from minideeplab.bench.twin import Twin

    formats = {"NCHW": torch.contiguous_format, "NHWC": torch.channels_last}
    return {name: Twin(net, layout) for name, layout in formats.items()}


def _torch_forward(twin: Any, x: Any, labels: np.ndarray) -> Callable[[], np.ndarray]:
    import torch

    def run() -> np.ndarray:
        with torch.no_grad():
            return twin(x).numpy()

    return run


def _torch_step(twin: Any, x: Any, labels: np.ndarray) -> Callable[[], None]:
    import torch

    target = torch.from_numpy(labels)
    optimizer = torch.optim.SGD(twin.weights.values(), 1e-4, momentum=0.9, weight_decay=5e-4)

    def run() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(twin(x), target).backward()
        optimizer.step()

    return run


_CHILD = """
import sys
import numpy as np
from minideeplab import models, no_grad
from minideeplab.bench import memory
net = models.build(sys.argv[1], 21).eval()
x = np.zeros((1, 3, int(sys.argv[2]), int(sys.argv[2])), np.float32)
with no_grad():
    for _ in range(4):  # from the third pass on, kept filters are there from the start
        net(x)
print(memory.resident(memory.PEAK))
"""


def peak_memory(name: str, side: int) -> int | None:
    """Return the bytes that a process which only runs forward passes needs; None off Linux."""
    if not memory.known():
        return None
    command = [sys.executable, "-c", _CHILD, name, str(side)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
