"""DeepLab (arXiv 1606.00915) from scratch: operations, networks, training and the dense CRF.

The public names, nothing else. Submodules load on first use, so that ``import minideeplab`` and
``minideeplab --help`` stay quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_ATTRIBUTES = {
    "Tensor": "minideeplab.tensor",
    "no_grad": "minideeplab.tensor",
    "use_backend": "minideeplab.backends",
    "available_backends": "minideeplab.backends",
    "segment": "minideeplab.inference",
    "doctor": "minideeplab.environment",
}
_SUBMODULES = {
    "backends",
    "compat",
    "crf",
    "data",
    "evaluation",
    "executors",
    "experiments",
    "functional",
    "inference",
    "io",
    "models",
    "nn",
    "ops",
    "pretrained",
    "testing",
    "training",
    "visualize",
    "weights",
}

__all__ = ["__version__", *sorted(_ATTRIBUTES), *sorted(_SUBMODULES)]

if TYPE_CHECKING:
    from minideeplab.backends import available_backends as available_backends
    from minideeplab.backends import use_backend as use_backend
    from minideeplab.inference import segment as segment
    from minideeplab.tensor import Tensor as Tensor
    from minideeplab.tensor import no_grad as no_grad


def __getattr__(name: str) -> Any:
    if name in _ATTRIBUTES:
        return getattr(importlib.import_module(_ATTRIBUTES[name]), name)
    if name in _SUBMODULES:
        return importlib.import_module(f"minideeplab.{name}")
    raise AttributeError(f"module 'minideeplab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
