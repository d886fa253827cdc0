"""Find a function from its name on the command line."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any


def load_function(name: str) -> Callable[..., Any]:
    """Return the function called ``package.module:function`` or ``path/to/file.py:function``.

    Modules are looked for in the current directory, too.

    Raises:
        ValueError: the name has no colon, or the module no such function.
        ImportError: there is no such module.
        FileNotFoundError: there is no such file.
    """
    module_name, colon, path = name.rpartition(":")
    if not colon or not module_name or not path:
        raise ValueError(
            f"function: got {name!r}, expected package.module:function or FILE.py:function"
        )
    found: Any = (
        _load_file(Path(module_name)) if module_name.endswith(".py") else _load(module_name)
    )
    for part in path.split("."):
        if not hasattr(found, part):
            raise ValueError(f"function: {module_name} has no {path!r}")
        found = getattr(found, part)
    if not callable(found):
        raise ValueError(f"function: {name} is not a function but {type(found).__name__}")
    return found


def _load(name: str) -> ModuleType:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    return importlib.import_module(name)


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise FileNotFoundError(2, "no such file", str(path))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None  # any .py file has both
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module
