"""Implementations of the operations, chosen by name: "numpy", "numba" or "cuda".

See ``registry.py`` for how one is chosen and what a backend must export.
"""

from minideeplab.backends.registry import (
    DEFAULT,
    MODULES,
    VARIABLE,
    available_backends,
    current,
    current_name,
    load,
    to,
    use_backend,
)

__all__ = [
    "DEFAULT",
    "MODULES",
    "VARIABLE",
    "available_backends",
    "current",
    "current_name",
    "load",
    "to",
    "use_backend",
]
