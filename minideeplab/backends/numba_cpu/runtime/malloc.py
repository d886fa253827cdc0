"""Memory that was used is used again: the C library's heap keeps what arrays give back.

A network makes and drops hundreds of megabytes of maps in every step. By default glibc returns
large blocks to the system at once, which then hands them out again cleared, page by page: 5 to 10 %
of a training step. Other C libraries have no such setting and are left alone.
"""

from __future__ import annotations

import ctypes
import platform
from functools import cache

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # names of mallopt(3)
HELD_BYTES = 1 << 29  # unused memory that the heap's end may hold
INFERENCE = 1 << 25  # larger blocks come from the system and go back: inference should need little
TRAINING = 1 << 28  # and training should be fast


@cache
def keep_freed_memory(largest: int) -> bool:
    """Keep freed blocks of up to ``largest`` bytes; return whether the C library could be told."""
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all([mallopt(MMAP_THRESHOLD, largest), mallopt(TRIM_THRESHOLD, HELD_BYTES)])
