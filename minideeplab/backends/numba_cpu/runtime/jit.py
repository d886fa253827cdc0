"""Compile the kernels of this backend: cached on disk, without the interpreter's lock.

A kernel is an ordinary Python function over a part of its arrays; ``kernel.py_func`` is the same
source, uncompiled, for reading and debugging. Threads come from ``parallel.py``, not from Numba's
``parallel=True``: kernels compile three to five times faster that way, and there is one pool.
"""

from __future__ import annotations

from functools import partial

import numba
from numba.core import types
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature

_compile = partial(numba.njit, nogil=True, error_model="numpy", no_cfunc_wrapper=True)
jit = _compile(cache=True)
# Called from compiled code only: an entry from Python takes as long to compile as a short kernel.
inner = _compile(cache=True, no_cpython_wrapper=True)
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
