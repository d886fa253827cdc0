"""The base class of layers and networks.

A module's parameters, buffers and children are its attributes, in the order in which they were
set: a ``Tensor`` is a parameter, a plain array a buffer (state that is not trained), a ``Module`` a
child.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from minideeplab.arrays import is_array, like
from minideeplab.backends import to
from minideeplab.tensor import Tensor


def _dtype(value: Any) -> np.dtype:
    return value.dtype if is_array(value) else np.asarray(value).dtype


_evaluating: ContextVar[bool] = ContextVar("evaluating", default=False)


@contextmanager
def evaluating() -> Iterator[None]:
    """Run every module as after ``eval()`` inside the block, in this thread alone.

    The modules are not changed, so that other threads may train them or use them at the same time.
    """
    token = _evaluating.set(True)
    try:
        yield
    finally:
        _evaluating.reset(token)


class Module:
    """Base of every layer and network; ``module(x)`` runs ``forward``."""

    def __init__(self) -> None:
        self.training = True

    @property
    def training(self) -> bool:
        """Whether to use batch statistics and dropout: never inside ``evaluating()``."""
        return self._training and not _evaluating.get()

    @training.setter
    def training(self, mode: bool) -> None:
        self._training = mode

    def forward(self, x: Tensor | np.ndarray) -> Tensor | np.ndarray:
        """Compute the module's output; every subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def __call__(self, x: Tensor | np.ndarray) -> Tensor | np.ndarray:
        """Run ``forward``."""
        return self.forward(x)

    def __repr__(self) -> str:
        """The layers, one a line, with the shapes of their arrays and their settings."""
        children = list(self.named_children())
        if not children:
            return f"{type(self).__name__}({', '.join(self._settings())})"
        lines = [f"({name}): {child!r}".replace("\n", "\n  ") for name, child in children]
        count = sum(parameter.size for parameter in self.parameters())
        body = "\n  ".join(lines)
        return f"{type(self).__name__}(  # {count:,} parameters\n  {body}\n)"

    def _settings(self) -> Iterator[str]:
        for name, value in vars(self).items():
            if isinstance(value, Tensor) or is_array(value):
                yield f"{name} {'x'.join(map(str, value.shape))}"
            elif isinstance(value, (int, float, tuple)) and not name.startswith("_"):
                yield f"{name}={value}"

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield (attribute name, module) for each module held directly by this one."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value

    def modules(self) -> Iterator[Module]:
        """Yield this module and every module below it."""
        yield self
        for _, child in self.named_children():
            yield from child.modules()

    def _named(self, kind: Callable[[Any], bool], prefix: str = "") -> Iterator[tuple[str, Any]]:
        for name, value in vars(self).items():
            if kind(value):
                yield prefix + name, value
            elif isinstance(value, Module):
                yield from value._named(kind, f"{prefix}{name}.")

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Yield (dotted name, tensor) for every trained tensor."""
        return self._named(lambda value: isinstance(value, Tensor))

    def parameters(self) -> Iterator[Tensor]:
        """Yield every trained tensor."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield (dotted name, array) for the state that is kept but not trained."""
        return self._named(is_array)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return parameters and buffers by name: the arrays themselves, not copies."""
        state = {name: parameter.data for name, parameter in self.named_parameters()}
        return state | dict(self.named_buffers())

    def load_state_dict(self, state: Mapping[str, np.ndarray], strict: bool = True) -> None:
        """Copy arrays of the same names and shapes into this module, in place.

        Values are cast to this module's dtype. ``num_batches_tracked``, which torch's batch norms
        have, is ignored. With ``strict=False`` missing and unexpected names are ignored, and a
        last layer of another shape, as for other classes, keeps its values with a UserWarning;
        any other shape that differs is an error. Nothing is copied unless everything fits. Raises
        ValueError listing every mismatch, one layer a line.
        """
        own = self.state_dict()
        state = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
        shapes = {
            name: f"{name}: shape {np.shape(state[name])} in the weights, {array.shape} in the "
            "network"
            for name, array in own.items()
            if name in state and np.shape(state[name]) != array.shape
        }
        last = () if strict else self.last_layers()
        kept = {name for name in shapes if name.rpartition(".")[0] in last}
        problems = [text for name, text in shapes.items() if name not in kept]
        problems += [
            f"{name}: {kind} in the weights, expected real numbers"
            for name in own
            if name in state and (kind := _dtype(state[name])).kind not in "fiub"
        ]
        if strict:
            problems += [f"{name}: missing from the weights" for name in own if name not in state]
            problems += [f"{name}: not in the network" for name in state if name not in own]
        if problems:
            lines = "\n  ".join(problems)
            raise ValueError(f"weights do not fit {type(self).__name__}:\n  {lines}")
        if kept:
            lines = "; ".join(shapes[name] for name in shapes if name in kept)
            warnings.warn(f"not loaded, the network's values are kept: {lines}", stacklevel=2)
        for name, array in own.items():
            if name in state and name not in kept:
                array[...] = like(array, state[name])

    def last_layers(self) -> tuple[str, ...]:
        """Return the dotted names of the layers that compute the result: the last one in order."""
        names = [name for name, _ in self.named_parameters()]
        return (names[-1].rpartition(".")[0],) if names else ()

    def zero_grad(self) -> None:
        """Set the gradients of all parameters to None."""
        for parameter in self.parameters():
            parameter.grad = None

    def train(self, mode: bool = True) -> Module:
        """Use batch statistics and dropout (``mode=True``) or not; returns the module."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        """Use running statistics and no dropout; returns the module."""
        return self.train(False)

    def astype(self, dtype: np.typing.DTypeLike) -> Module:
        """Convert all parameters and buffers to float32 or float64; returns the module."""
        return self._replace(lambda array: array.astype(dtype))

    def to(self, device: str) -> Module:
        """Move all parameters and buffers to "cpu" or "cuda"; returns the module.

        They are new tensors: move a network before an optimiser is made for it.
        """
        return self._replace(lambda array: to(array, device))

    def _replace(self, change: Callable[[np.ndarray], np.ndarray]) -> Module:
        """Put ``change(array)`` in the place of every parameter and buffer."""
        for module in self.modules():
            for name, value in list(vars(module).items()):
                if isinstance(value, Tensor):
                    setattr(module, name, Tensor(change(value.data), value.requires_grad))
                elif is_array(value):
                    setattr(module, name, change(value))
        return self
