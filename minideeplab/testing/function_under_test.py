"""The function that is tested, with everything needed to call it, found by name or given."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from minideeplab.testing import frameworks
from minideeplab.testing.case import Array, Case
from minideeplab.testing.compare import Mismatch
from minideeplab.testing.library import Library, Outcome
from minideeplab.testing.operations import OPERATIONS
from minideeplab.testing.runner import attempt, quiet
from minideeplab.testing.scope import Scope

OUTSIDE = "outside the stated scope"


@dataclass(frozen=True)
class FunctionUnderTest:
    """A function that claims to be operation ``op``, and its hand-written backward if any."""

    op: str
    fn: Callable[..., Any]
    backward: Callable[..., Any] | None = None
    library: Library = field(default_factory=Library)
    name: str = ""
    scope: Scope = field(default_factory=Scope)

    @property
    def differentiates(self) -> bool:
        """Return whether gradients can be judged."""
        return self.backward is not None or self.library.differentiates

    def fitted(self, case: Case) -> Case:
        """Return the row without asking for indices if the function cannot return them."""
        return _without_indices(case) if "return_indices" in self.lacks(case) else case

    def attempt(self, case: Case, dtype: str) -> Outcome | Mismatch:
        """Return the outcome of the row, or what was raised.

        A backward of its own is not asked on random rows: it cannot know which mask was drawn.
        """
        backward = None if "random" in case.tags else self.backward
        return attempt(self.fn, case, dtype, self.library, backward)

    def lacks(self, case: Case) -> str:
        """Return what the row needs and the function's signature does not offer, "" if nothing."""
        try:
            parameters = inspect.signature(self.fn).parameters.values()
        except (TypeError, ValueError):  # built-in functions do not tell
            return ""
        kinds = [p.kind for p in parameters]
        named = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        if inspect.Parameter.VAR_POSITIONAL not in kinds and len(named) < len(case.arrays):
            return f"takes {len(named)} positional arguments, not {', '.join(case.arrays)}"
        if inspect.Parameter.VAR_KEYWORD in kinds:
            return ""
        missing = [name for name in case.options if name not in {p.name for p in parameters}]
        return f"has no parameter {', '.join(missing)}" if missing else ""

    def __call__(self, *arrays: np.ndarray | None, **options: Any) -> np.ndarray:
        """Return the output for given arrays, as a NumPy array that may share its memory."""
        case = self.case(arrays, options)
        library = replace(self.library, differentiates=False)
        dtype = str(arrays[0].dtype)
        return library.run(self.fn, case, case.arguments(dtype))["output"]

    def gradient(
        self, *arrays: np.ndarray | None, **options: Any
    ) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """Return the output, a random cotangent of it, and the gradients of the arrays in turn.

        They may share the function's memory, as what it returned does.
        """
        case = self.case(arrays, options)
        dtype = str(arrays[0].dtype)
        outcome = self.library.run(self.fn, case, case.arguments(dtype), self.backward)
        cotangent = case.cotangent(np.shape(outcome["output"]), dtype)
        gradients = [outcome[f"grad_{name}"] for name in case.differentiable]
        return outcome["output"], cotangent, gradients

    def case(self, arrays: Sequence[np.ndarray | None], options: dict[str, Any]) -> Case:
        """Return a row made of arrays instead of recipes; NotImplementedError if it is lacking."""
        record = OPERATIONS[self.op]
        recipes = {
            name: None if array is None else Array(np.shape(array), _copying(array))
            for name, array in zip(record.arguments, arrays, strict=False)
        }
        wanted = record.differentiable
        differentiable = tuple(name for name in wanted if recipes.get(name) is not None)
        case = Case(self.op, "given", recipes, options, differentiable)
        if self.lacks(case):
            raise NotImplementedError(self.lacks(case))
        if case not in self.scope:
            raise NotImplementedError(OUTSIDE)
        return case


def name_of(fn: Callable[..., Any]) -> str:
    """Return "module.function" where the function has such a name.

    Of a built-in function and of one defined inside another, the last part of its name is told.
    """
    if isinstance(fn, functools.partial):
        return f"partial of {name_of(fn.func)}"
    name = getattr(fn, "__qualname__", None) or type(fn).__qualname__
    name = getattr(fn, "__name__", name) if inspect.isbuiltin(fn) else name
    module = getattr(fn, "__module__", None)
    return ".".join(part for part in (module, name.rpartition("<locals>.")[2]) if part)


@functools.cache
def _without_indices(case: Case) -> Case:
    options = {name: value for name, value in case.options.items() if name != "return_indices"}
    return replace(case, options=options)


def _copying(array: np.ndarray) -> Callable[..., np.ndarray]:
    return lambda rng, shape: np.array(array)


def arrays_of(op: str, fn: Callable[..., Any]) -> str:
    """Return the name of the library whose arrays ``fn`` takes, by its module or one call.

    A function that raises for NumPy arrays and not for torch's takes torch's.
    """
    parts = (fn, getattr(fn, "func", None), getattr(fn, "__self__", None))
    for module in (getattr(p, "__module__", None) or getattr(p, "__name__", "") for p in parts):
        if str(module).partition(".")[0] in ("torch", "jax", "cupy"):
            return str(module).partition(".")[0]
    if "torch" in sys.modules and not _works(op, fn, "numpy") and _works(op, fn, "torch"):
        return "torch"
    return "numpy"


def _works(op: str, fn: Callable[..., Any], library: str) -> bool:
    """Return whether ``fn`` takes the library's arrays in one ordinary call."""
    arrays, options = OPERATIONS[op].call(np.random.default_rng(0), np.float64)
    send = frameworks.library(library).send
    try:
        with quiet():
            fn(*map(send, arrays), **options)
    except (Exception, SystemExit):  # whatever it raises is judged later
        return False
    return True


def load_function(name: str) -> Callable[..., Any]:
    """Return the function called ``package.module:function`` or ``path/to/file.py:function``.

    Modules are looked for in the current directory, too; a file may import what lies beside it.

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
    if str(path.resolve().parent) not in sys.path:  # it may import what lies beside it
        sys.path.insert(0, str(path.resolve().parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None  # any .py file has both
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module
