"""How every kernel of this backend is compiled: to disk, without the interpreter's lock.

A kernel is an ordinary Python function over a part of its arrays; ``kernel.py_func`` is the same
text, uncompiled, for reading and debugging. Threads come from ``threads.py``, not from Numba's
``parallel=True``: the kernels compile three to five times faster that way, and there is one pool.
"""

from __future__ import annotations

import numba

jit = numba.njit(cache=True, nogil=True, error_model="numpy")
