"""The array libraries: this package, PyTorch, JAX and CuPy as a `Library`."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from minideeplab.backends import use_backend
from minideeplab.tensor import Tensor
from minideeplab.testing.case import Case
from minideeplab.testing.definitions import operation
from minideeplab.testing.library import Library, Outcome, collect, cotangent_of

__all__ = ["LIBRARIES", "Minideeplab", "Torch", "installed", "library", "operation"]


def _taped_gradients(case: Case, sent: dict[str, Any], result: Any, cotangent: Any) -> dict:
    output = result[0] if isinstance(result, tuple | list) else result
    output.backward(cotangent)
    return {f"grad_{name}": sent[name].grad for name in case.differentiable}


@dataclass(frozen=True)
class Minideeplab(Library):
    """This package on one of its backends."""

    name: str = "minideeplab"
    differentiates: bool = True
    backend: str | None = None

    def context(self) -> contextlib.AbstractContextManager[Any]:
        """Return the backend's context; without a name, the backend in use stays."""
        return use_backend(self.backend) if self.backend else contextlib.nullcontext()

    def send(self, array: np.ndarray | None, differentiable: bool = False) -> Any:
        """Return a Tensor where a gradient is wanted, else the array."""
        return Tensor(array, requires_grad=True) if differentiable else array

    def receive(self, value: Any) -> Any:
        """Return the data of a Tensor."""
        return super().receive(value.data if isinstance(value, Tensor) else value)

    def gradients(
        self, case: Case, sent: dict[str, Any], result: Any, cotangent: Any
    ) -> dict[str, Any]:
        """Differentiate by the package's tape."""
        return _taped_gradients(case, sent, result, cotangent)


@dataclass(frozen=True)
class Torch(Library):
    """PyTorch on the CPU."""

    name: str = "torch"
    differentiates: bool = True

    def send(self, array: np.ndarray | None, differentiable: bool = False) -> Any:
        """Return a torch tensor with the order of the axes in memory kept."""
        import torch

        if array is None:
            return None
        tensor = torch.from_numpy(np.array(array, order="K", copy=True))
        return tensor.requires_grad_() if differentiable else tensor

    def receive(self, value: Any) -> Any:
        """Return a tensor's values."""
        return super().receive(value.detach().numpy() if hasattr(value, "detach") else value)

    def gradients(
        self, case: Case, sent: dict[str, Any], result: Any, cotangent: Any
    ) -> dict[str, Any]:
        """Differentiate by torch.autograd."""
        return _taped_gradients(case, sent, result, cotangent)


@dataclass(frozen=True)
class Jax(Library):
    """JAX, whose arrays cannot be written to."""

    name: str = "jax"
    differentiates: bool = True
    writes: bool = False
    workers: int = 2

    @contextlib.contextmanager
    def judging(self) -> Iterator[None]:
        """Compile without most optimisations, as every row is another shape and runs once.

        Compiling is nearly all of the time that a check takes; it also runs in threads.
        """
        config = importlib.import_module("jax").config
        before = config.read("jax_disable_most_optimizations")
        config.update("jax_disable_most_optimizations", True)
        try:
            yield
        finally:
            config.update("jax_disable_most_optimizations", before)

    def context(self) -> contextlib.AbstractContextManager[Any]:
        """Return a context with float64 switched on."""
        jax = importlib.import_module("jax")
        if hasattr(jax, "enable_x64"):
            return jax.enable_x64(True)
        return importlib.import_module("jax.experimental").enable_x64()  # before JAX 0.8

    def send(self, array: np.ndarray | None, differentiable: bool = False) -> Any:
        """Return a JAX array; ``jnp.asarray`` would compile a copy for every shape."""
        return None if array is None else importlib.import_module("jax").device_put(array)

    def run(
        self,
        fn: Callable[..., Any],
        case: Case,
        arguments: dict[str, np.ndarray | None],
        backward: Callable[..., Any] | None = None,
    ) -> Outcome:
        """Return the outcome, differentiated by ``jax.vjp``."""
        if backward is not None or not (self.differentiates and case.differentiable):
            return super().run(fn, case, arguments, backward)
        jax = importlib.import_module("jax")
        with self.context():
            sent = {name: self.send(array) for name, array in arguments.items()}

            def of_differentiable(*values: Any) -> Any:
                replaced = sent | dict(zip(case.differentiable, values, strict=True))
                result = fn(*replaced.values(), **case.options)
                return tuple(result) if isinstance(result, tuple | list) else (result, None)

            values = [sent[name] for name in case.differentiable]
            output, pull, rest = jax.vjp(lambda *v: of_differentiable(*v), *values, has_aux=True)
            result = output if rest is None else (output, rest)
            outcome = collect(case, result, self.receive)
            gradients = pull(self.send(cotangent_of(case, outcome, arguments)))
            outcome |= {
                f"grad_{name}": self.receive(gradient)
                for name, gradient in zip(case.differentiable, gradients, strict=True)
            }
            return outcome | {"inputs": {name: self.receive(a) for name, a in sent.items()}}


def compile_quickly() -> None:
    """Switch off XLA's fusion emitters, if it has the flag: convolutions compile 4 times faster.

    The flag must be set before JAX starts. An unknown flag ends the process, so a child process
    tries it first. Results are the same up to roundings.
    """
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_use_fusion_emitters=false".strip()
    start = [sys.executable, "-c", "import jax; jax.devices()"]
    tried = subprocess.run(start, env=os.environ | {"XLA_FLAGS": flags}, capture_output=True)
    if tried.returncode == 0:
        os.environ["XLA_FLAGS"] = flags


@dataclass(frozen=True)
class Cupy(Library):
    """CuPy, on an NVIDIA GPU."""

    name: str = "cupy"

    def send(self, array: np.ndarray | None, differentiable: bool = False) -> Any:
        """Return a copy on the device."""
        return None if array is None else importlib.import_module("cupy").asarray(array)

    def receive(self, value: Any) -> Any:
        """Return a copy from the device."""
        return super().receive(value.get() if hasattr(value, "get") else value)


LIBRARIES: dict[str, Library] = {
    "numpy": Library(),
    "minideeplab": Minideeplab(),
    "torch": Torch(),
    "jax": Jax(),
    "cupy": Cupy(),
}


def library(name: str) -> Library:
    """Return the array library called ``name``.

    Raises:
        ValueError: no such name.
        ImportError: the library is not installed.
    """
    if name not in LIBRARIES:
        raise ValueError(f"arrays must be one of {', '.join(LIBRARIES)}; got {name!r}")
    if not installed(name):
        raise ImportError(f"arrays={name!r} needs the package {name}, which is not installed")
    return LIBRARIES[name]


def installed(*names: str) -> bool:
    """Return whether all of the named packages can be imported here."""
    return all(importlib.util.find_spec(name) is not None for name in names)
