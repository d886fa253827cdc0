"""Exponential moving average of a network's weights, which scores better at test time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from minideeplab.arrays import like
from minideeplab.nn import Module


class WeightAverage:
    """a <- d a + (1 - d) w after every step, over parameters and batch norm statistics.

    After t steps, d is at most (1 + t) / (10 + t), so that the random start has little weight.
    With ``decay=0`` the average is the weights themselves.
    """

    def __init__(self, net: Module, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"average: {decay}, expected a decay in [0, 1)")
        self.net, self.decay, self.steps = net, decay, 0
        self.state = {name: array.copy() for name, array in net.state_dict().items()}

    def update(self) -> None:
        """Add the network's current weights to the average."""
        self.steps += 1
        rate = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, array in self.net.state_dict().items():
            average = self.state[name]
            average *= 1 - rate
            average += rate * array  # exactly the weights when rate is 1

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the averages and the number of steps."""
        return {**self.state, "steps": np.array(self.steps)}

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Load a ``state_dict``."""
        self.steps = int(state["steps"])
        for name, average in self.state.items():
            average[...] = like(average, state[name])

    @contextmanager
    def applied(self) -> Iterator[Module]:
        """Context in which the network has the averaged weights and is in ``eval`` mode."""
        own = {name: array.copy() for name, array in self.net.state_dict().items()}
        self.net.load_state_dict(self.state)
        try:
            yield self.net.eval()
        finally:
            self.net.load_state_dict(own)
            self.net.train()
