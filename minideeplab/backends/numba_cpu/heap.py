"""Memory that was used is used again: the C library's heap keeps what arrays give back.

A network makes and drops hundreds of megabytes of maps in every step. By default glibc returns
large blocks to the system at once, which then hands them out again cleared, page by page: 5 to 10 %
of a training step. Other C libraries have no such setting and are left alone.
"""

from __future__ import annotations

import ctypes
import platform

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # names of mallopt(3)
BLOCK_BYTES = 1 << 25  # larger blocks still come from the system and go back to it
HELD_BYTES = 1 << 29  # unused memory that the heap's end may hold


def keep_freed_memory() -> bool:
    """Tell the C library; return whether it could be told."""
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = ((MMAP_THRESHOLD, BLOCK_BYTES), (TRIM_THRESHOLD, HELD_BYTES))
    return all([mallopt(*setting) for setting in settings])
