"""Restrict this process by the Linux kernel: namespaces, Landlock and seccomp.

Each layer is used where the kernel has it, and `restrict` returns those that work. Together they
refuse what Python's audit hooks do not see: system calls of native code, special files, signals.
Other systems have no such layers; there the audit hooks of `sandbox` are the only limit.
"""

from __future__ import annotations

import os
import platform
import struct
import sys
from collections.abc import Sequence

try:
    import ctypes
except ImportError:  # a Python without it, which cannot call the kernel
    ctypes = None  # type: ignore[assignment]

_NEW_SPACES = 0x10000000 | 0x40000000 | 0x08000000  # CLONE_NEWUSER, NEWNET, NEWIPC
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2  # of prctl
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_CLONE, _CLONE3, _PRLIMIT = (56, 220), 435, (302, 261)
_CLONE_THREAD = 0x10000
_NONE = -1
_ALLOWED = {
    "read": (0, 63), "write": (1, 64), "open": (2, _NONE), "close": (3, 57), "stat": (4, _NONE),
    "fstat": (5, 80), "lstat": (6, _NONE), "poll": (7, _NONE), "lseek": (8, 62), "mmap": (9, 222),
    "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214), "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "pread64": (17, 67),
    "readv": (19, 65), "writev": (20, 66), "access": (21, _NONE), "select": (23, _NONE),
    "sched_yield": (24, 124), "mremap": (25, 216), "madvise": (28, 233), "nanosleep": (35, 101),
    "getpid": (39, 172), "exit": (60, 93), "uname": (63, 160), "getcwd": (79, 17),
    "readlink": (89, _NONE), "gettimeofday": (96, 169), "getrlimit": (97, 163),
    "getrusage": (98, 165), "sysinfo": (99, 179), "times": (100, 153), "getuid": (102, 174),
    "getgid": (104, 176), "geteuid": (107, 175), "getegid": (108, 177), "getppid": (110, 173),
    "sigaltstack": (131, 132), "gettid": (186, 178), "time": (201, _NONE), "futex": (202, 98),
    "sched_getaffinity": (204, 123), "getdents64": (217, 61), "restart_syscall": (219, 128),
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "clock_nanosleep": (230, 115),
    "exit_group": (231, 94), "openat": (257, 56), "newfstatat": (262, 79),
    "readlinkat": (267, 78), "faccessat": (269, 48), "pselect6": (270, 72), "ppoll": (271, 73),
    "set_robust_list": (273, 99), "getrandom": (318, 278), "membarrier": (324, 283),
    "statx": (332, 291), "rseq": (334, 293), "faccessat2": (439, 439),
}  # fmt: skip
"""System calls that computing needs, with their numbers on x86_64 and aarch64."""


def restrict(readable: Sequence[str], listable: Sequence[str]) -> list[str]:
    """Restrict this process for the rest of its life and return the names of the working layers.

    It must have one thread. Streams that are open stay usable.

    Args:
        readable: files and folders that may still be read.
        listable: folders whose names may be listed, besides.
    """
    if sys.platform != "linux" or ctypes is None:
        return []
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    layers = [] if libc.unshare(_NEW_SPACES) else ["namespaces"]
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        return layers
    if _landlock(libc, readable, listable):
        layers.append("Landlock")
    if _seccomp(libc):
        layers.append("seccomp")
    return layers


def _landlock(libc: ctypes.CDLL, readable: Sequence[str], listable: Sequence[str]) -> bool:
    """Refuse all files but these, TCP, and signals to other processes."""
    version = libc.syscall(_LANDLOCK_CREATE, None, 0, 1)
    if version < 1:
        return False
    files = (1 << (13 if version < 2 else 14 if version < 3 else 15 if version < 5 else 16)) - 1
    rules = struct.pack("QQQ", files, 3, 3)[: 8 if version < 4 else 16 if version < 6 else 24]
    handle = libc.syscall(_LANDLOCK_CREATE, rules, len(rules), 0)
    if handle < 0:
        return False
    for paths, rights in ((readable, _READ_FILE | _READ_DIR), (listable, _READ_DIR)):
        for path in paths:
            _permit(libc, handle, path, rights)
    done = libc.syscall(_LANDLOCK_RESTRICT, handle, 0) == 0
    os.close(handle)
    return done


def _permit(libc: ctypes.CDLL, handle: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not os.path.isdir(path):
        rights &= ~_READ_DIR
    libc.syscall(_LANDLOCK_ADD, handle, 1, struct.pack("=Qi", rights, place), 0)
    os.close(place)


def _seccomp(libc: ctypes.CDLL) -> bool:
    """Refuse all system calls but `_ALLOWED`: no programs, processes, sockets, special files."""
    if platform.machine() not in _ARCHITECTURES or sys.maxsize < 2**32:
        return False
    program = b"".join(struct.pack("HBBI", *line) for line in _filter(platform.machine()))
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    return libc.prctl(_SET_SECCOMP, _FILTER, header, 0, 0) == 0


def _filter(machine: str) -> list[tuple[int, int, int, int]]:
    """Return the BPF program: instructions as (code, jump if true, jump if false, operand)."""
    column, architecture = _ARCHITECTURES[machine]
    load, equal, bits, result = 0x20, 0x15, 0x45, 0x06
    allow, kill, refuse, unknown = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026  # EPERM, ENOSYS
    lines = [
        (load, 0, 0, 4), (equal, 1, 0, architecture), (result, 0, 0, kill),
        (load, 0, 0, 0),
        (equal, 0, 1, _CLONE3), (result, 0, 0, unknown),  # then libc uses clone, whose flags show
        (equal, 0, 4, _CLONE[column]), (load, 0, 0, 16), (bits, 0, 1, _CLONE_THREAD),
        (result, 0, 0, allow), (result, 0, 0, refuse),
        (equal, 0, 8, _PRLIMIT[column]), (load, 0, 0, 16), (equal, 0, 5, 0),  # of this process
        (load, 0, 0, 32), (equal, 0, 3, 0), (load, 0, 0, 36), (equal, 0, 1, 0),  # and no new limit
        (result, 0, 0, allow), (result, 0, 0, refuse),
    ]  # fmt: skip
    for numbers in _ALLOWED.values():
        if numbers[column] != _NONE:
            lines += [(equal, 0, 1, numbers[column]), (result, 0, 0, allow)]
    return [*lines, (result, 0, 0, refuse)]
