"""Optimizers: stochastic gradient descent as in Caffe, and AdamW."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from minideeplab.arrays import like
from minideeplab.backends import current
from minideeplab.tensor import Tensor
from minideeplab.training.config import Config

BLOCK = 1 << 16  # elements that NumPy updates at a time
Multipliers = Callable[[str, Tensor], tuple[float, float]]


def caffe_multipliers(name: str, parameter: Tensor) -> tuple[float, float]:
    """Return the authors' (lr_mult, decay_mult) for a parameter, by its name.

    Biases have twice the rate and no decay; the new classifier, fc8 or ResNet's fc1, ten times
    the rate.
    """
    scale = 10.0 if re.match(r"(fc8(_\d+)?|fc1(_c\d)?)\.", name) else 1.0
    return (2.0 * scale, 0.0) if name.endswith(".bias") else (scale, 1.0)


def plain_multipliers(name: str, parameter: Tensor) -> tuple[float, float]:
    """Return (1, 1), and (1, 0) for vectors: biases and batch norm do not decay."""
    return 1.0, 1.0 if parameter.ndim > 1 else 0.0


class Optimizer:
    """Parameters by name, with their multipliers, and state arrays of the same shapes.

    Subclasses name their state in ``slots`` and change parameters in ``update``. Parameters
    without ``requires_grad`` or without a gradient do not change.
    """

    slots: tuple[str, ...] = ()

    def __init__(
        self,
        named_parameters: Iterable[tuple[str, Tensor]],
        lr: float,
        weight_decay: float,
        multipliers: Multipliers,
    ) -> None:
        if not lr > 0:
            raise ValueError(f"lr: {lr}, expected a positive learning rate")
        if not weight_decay >= 0:
            raise ValueError(f"weight_decay: {weight_decay}, expected zero or more")
        self.lr, self.weight_decay = lr, weight_decay
        self.iteration = 0
        self.parameters = {name: p for name, p in named_parameters if p.requires_grad}
        self.multipliers = {name: multipliers(name, p) for name, p in self.parameters.items()}
        self.state = {
            slot: {name: np.zeros_like(p.data) for name, p in self.parameters.items()}
            for slot in self.slots
        }

    def step(self) -> None:
        """Update every parameter by its gradient."""
        self.iteration += 1
        for name, parameter in self.parameters.items():
            if parameter.grad is not None:
                lr_mult, decay_mult = self.multipliers[name]
                rates = self.lr * lr_mult, self.weight_decay * decay_mult
                state = (self.state[slot][name] for slot in self.slots)
                self.change(parameter.data, parameter.grad, *rates, *state)

    def change(
        self, w: np.ndarray, g: np.ndarray, lr: float, decay: float, *state: np.ndarray
    ) -> None:
        """Call ``update`` on blocks whose temporaries fit a cache."""
        for block in _blocks(w):
            self.update(w[block], g[block], lr, decay, *(array[block] for array in state))

    def update(
        self, w: np.ndarray, g: np.ndarray, lr: float, decay: float, *state: np.ndarray
    ) -> None:
        """Change one parameter ``w`` and its state in place."""
        raise NotImplementedError(f"{type(self).__name__} does not define update")

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the state of the optimizer: iteration and ``slots``."""
        state = {"iteration": np.array(self.iteration)}
        for slot, arrays in self.state.items():
            state |= {f"{slot}/{name}": array for name, array in arrays.items()}
        return state

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Load a ``state_dict``; raises ValueError when names or shapes differ."""
        own = self.state_dict()
        wrong = [
            k for k in own.keys() | state.keys() if np.shape(state.get(k)) != np.shape(own.get(k))
        ]
        wrong = wrong or sorted(own.keys() ^ state.keys())
        if wrong:
            raise ValueError(f"optimizer state does not fit: {', '.join(sorted(wrong)[:5])} ...")
        self.iteration = int(state["iteration"])
        for key, array in own.items():
            if key != "iteration":
                array[...] = like(array, state[key])


def _blocks(array: np.ndarray) -> list[slice]:
    """Return slices of the first axis whose temporaries fit a cache; all of a GPU array."""
    if not isinstance(array, np.ndarray) or array.size <= BLOCK:
        return [slice(None)]
    step = max(1, BLOCK * len(array) // array.size)
    return [slice(first, first + step) for first in range(0, len(array), step)]


class SGD(Optimizer):
    """Caffe's gradient descent with momentum: the learning rate is inside the velocity.

        v <- momentum v + lr (g + decay w);    w <- w - v

    With a constant rate this is torch's rule; when the rate falls, torch's old velocity shrinks
    with it and Caffe's does not (sgd_solver.cpp).
    """

    slots = ("velocity",)

    def __init__(
        self,
        named_parameters: Iterable[tuple[str, Tensor]],
        lr: float = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        multipliers: Multipliers = caffe_multipliers,
    ) -> None:
        super().__init__(named_parameters, lr, weight_decay, multipliers)
        self.momentum = momentum

    def change(
        self, w: np.ndarray, g: np.ndarray, lr: float, decay: float, velocity: np.ndarray
    ) -> None:
        """The step above, by the backend in use."""
        current().sgd_update(w, g, velocity, self.momentum, lr, decay)


class AdamW(Optimizer):
    """Adam with decoupled weight decay (arXiv 1711.05101, algorithm 2).

        m <- b1 m + (1 - b1) g;    s <- b2 s + (1 - b2) g^2
        w <- w - lr decay w - lr m' / (sqrt(s') + eps)

    where m' = m / (1 - b1^t) and s' = s / (1 - b2^t) undo the bias towards zero.
    """

    slots = ("mean", "square")

    def __init__(
        self,
        named_parameters: Iterable[tuple[str, Tensor]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        multipliers: Multipliers = plain_multipliers,
    ) -> None:
        super().__init__(named_parameters, lr, weight_decay, multipliers)
        self.betas, self.eps = betas, eps

    def update(
        self,
        w: np.ndarray,
        g: np.ndarray,
        lr: float,
        decay: float,
        mean: np.ndarray,
        square: np.ndarray,
    ) -> None:
        """One step of algorithm 2, at ``self.iteration`` counted from 1."""
        b1, b2 = self.betas
        mean += (1 - b1) * (g - mean)
        square += (1 - b2) * (g * g - square)
        unbias1, unbias2 = 1 - b1**self.iteration, 1 - b2**self.iteration
        w *= 1 - lr * decay
        w -= (lr / unbias1) * mean / (np.sqrt(square / unbias2) + self.eps)


def make_optimizer(named_parameters: Iterable[tuple[str, Tensor]], config: Config) -> Optimizer:
    """Return the optimizer of a run: "sgd" (as Caffe) or "adamw"."""
    if config.optimizer == "sgd":
        return SGD(named_parameters, config.lr, config.momentum, config.weight_decay)
    return AdamW(named_parameters, config.lr, weight_decay=config.weight_decay)
