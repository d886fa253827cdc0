"""A report of this installation: versions, backends, and how to fix what does not work."""

from __future__ import annotations

import importlib.metadata
import os
import platform

from minideeplab import __version__, backends

PACKAGES = ("numpy", "numba", "scipy", "matplotlib")


def doctor() -> str:
    """Return a report of versions, backends and threads, with a fix for what does not work.

    A backend that cannot be loaded is reported, not raised.
    """
    versions = ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPU threads"
    lines = [
        f"minideeplab {__version__}: Python {platform.python_version()}, {versions}; {system}",
        *(_backend_line(name) for name in backends.MODULES),
    ]
    return "\n".join(lines)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return f"missing (fix: pip install {package})"


def _backend_line(name: str) -> str:
    try:
        backends.load(name)
    except ImportError as error:
        others = [other for other in backends.available_backends() if other != name]
        instead = f'; meanwhile mdl.use_backend("{others[0]}") works' if others else ""
        return f"backend {name}: does not work: {error}{instead}"
    default = os.environ.get(backends.VARIABLE) or backends.DEFAULT
    return f"backend {name}: works" + (", the default" if name == default else "")
