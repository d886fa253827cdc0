"""How every kernel of this backend is compiled: to disk, without the interpreter's lock.

A kernel is an ordinary Python function over a part of its arrays; ``kernel.py_func`` is the same
text, uncompiled, for reading and debugging. Threads come from ``threads.py``, not from Numba's
``parallel=True``: the kernels compile three to five times faster that way, and there is one pool.
"""

from __future__ import annotations

from functools import partial

import numba
from numba.core import types
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature

_compile = partial(numba.njit, nogil=True, error_model="numpy", no_cfunc_wrapper=True)
jit = _compile(cache=True)
# Only compiled code calls these: the way in from Python takes as long to compile as short kernels.
inner = _compile(cache=True, no_cpython_wrapper=True)
inlined = _compile(forceinline=True, no_cpython_wrapper=True)


def compiled(function, typing, literal=False):
    """Give a function a compiled form; ``typing`` maps its arguments' types to the result's.

    If ``literal``, the types of constants in a call tell their values.
    """

    def generic(self, args, kws):
        result = typing(*args)
        return None if result is None else signature(result, *args)

    members = {"generic": generic, "prefer_literal": literal}
    infer_global(function)(type(function.__name__, (AbstractTemplate,), members))
    return lower_builtin(function, types.VarArg(types.Any))
