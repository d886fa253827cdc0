"""Compile the kernels of this backend: cached on disk, without the interpreter's lock.

A kernel is an ordinary Python function over a part of its arrays; ``kernel.py_func`` is the same
source, uncompiled, for reading and debugging. Threads come from ``parallel.py``, not from Numba's
``parallel=True``: kernels compile three to five times faster that way, and there is one pool.
"""

from __future__ import annotations

import warnings
from functools import partial

import numba
from numba.core import types
from numba.core.caching import IndexDataCacheFile
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature

_compile = partial(numba.njit, nogil=True, error_model="numpy", no_cfunc_wrapper=True)


UNCACHED = (
    "compiled code is not cached, and every process compiles it again: set NUMBA_CACHE_DIR to a "
    "folder that can be written"
)


class _CacheFile(IndexDataCacheFile):
    """Numba's file of compiled code; one that was cut off or damaged is compiled again."""

    def load(self, key):
        """Return what is stored for a signature, None if there is nothing that can be read."""
        try:
            return super().load(key)
        except Exception:  # unpickling damaged bytes raises nearly anything
            return None

    def _load_index(self):
        try:
            return super()._load_index()
        except Exception:
            return {}


def _cached(function, **options):
    """Return a compiled function that is cached on disk, or is not where no folder can be written.

    ``NUMBA_CACHE_DIR`` names the folder; by default it is beside the source, or in the home.
    """
    try:
        dispatcher = _compile(cache=True, **options)(function)
    except RuntimeError:  # neither folder can be written
        warnings.warn(UNCACHED, RuntimeWarning, stacklevel=1)
        return _compile(**options)(function)
    if not numba.config.DISABLE_JIT:
        dispatcher._cache._cache_file.__class__ = _CacheFile
    return dispatcher


jit = _cached
# Called from compiled code only: an entry from Python takes as long to compile as a short kernel.
inner = partial(_cached, no_cpython_wrapper=True)
inlined = _compile(forceinline=True, no_cpython_wrapper=True)


def compiled(function, typing, literal=False):
    """Return a decorator that registers the LLVM code of ``function`` for compiled callers.

    ``typing`` maps the types of the arguments to that of the result. If ``literal``, the types of
    constant arguments hold their values.
    """

    def generic(self, args, kws):
        result = typing(*args)
        return None if result is None else signature(result, *args)

    members = {"generic": generic, "prefer_literal": literal}
    infer_global(function)(type(function.__name__, (AbstractTemplate,), members))
    return lower_builtin(function, types.VarArg(types.Any))
