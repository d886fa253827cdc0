"""Tune glibc malloc to keep freed blocks.

A network allocates and frees hundreds of megabytes of feature maps in every step. By default glibc
returns large blocks to the system at once, which clears them page by page before it hands them out
again: 5 to 10 % of a training step. Other C libraries have no such setting and are left alone.
"""

from __future__ import annotations

import ctypes
import platform
from functools import cache

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # names of mallopt(3)
HELD_BYTES = 1 << 29  # unused memory that the top of the heap may hold
INFERENCE = 1 << 25  # inference should need little memory: larger blocks go back to the system
TRAINING = 1 << 28  # training should be fast


@cache
def keep_freed_memory(largest: int) -> bool:
    """Keep freed blocks of up to ``largest`` bytes; return whether the C library supports it."""
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all([mallopt(MMAP_THRESHOLD, largest), mallopt(TRIM_THRESHOLD, HELD_BYTES)])
