"""Run the CUDA C sources on the CPU: compiled by a C++ compiler, one block after another.

Threads of a block run one after the other, or, where a kernel has a barrier, on threads of the
operating system. So the CUDA C sources are tested with the same table of cases as everything else.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np

from minideeplab.backends.cuda import implicit_gemm, sources

COMPILER = shutil.which("g++") if sys.platform == "linux" else None
DEVICE = r"""
#include <barrier>
#include <cmath>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>
using std::exp; using std::log;
#define __global__
#define __device__
#define __shared__ static
struct Place { int x, y, z; };
static thread_local Place threadIdx, blockIdx;
static Place blockDim, gridDim;
static std::optional<std::barrier<>> all;
static std::mutex one_at_a_time;
static void __syncthreads() { all->arrive_and_wait(); }
template <typename V> V atomicAdd(V* where, V value) {
    std::lock_guard<std::mutex> lock(one_at_a_time);
    V old = *where; *where += value; return old;
}
static unsigned long long atomicCAS(unsigned long long* where, unsigned long long expected,
                                    unsigned long long value) {
    std::lock_guard<std::mutex> lock(one_at_a_time);
    unsigned long long old = *where; if (old == expected) *where = value; return old;
}
template <typename Kernel> void each(const int* blocks, const int* threads, bool meet, Kernel run) {
    gridDim = {blocks[0], blocks[1], blocks[2]};
    blockDim = {threads[0], threads[1], threads[2]};
    int count = threads[0] * threads[1] * threads[2];
    for (int b = 0; b < blocks[0] * blocks[1] * blocks[2]; b++) {
        auto thread = [&](int t) {
            blockIdx = {b % blocks[0], b / blocks[0] % blocks[1], b / blocks[0] / blocks[1]};
            threadIdx = {t % threads[0], t / threads[0] % threads[1], t / threads[0] / threads[1]};
            run();
            if (meet) all->arrive_and_drop();
        };
        if (!meet) { for (int t = 0; t < count; t++) thread(t); continue; }
        all.emplace(count);
        std::vector<std::thread> running;
        for (int t = 0; t < count; t++) running.emplace_back(thread, t);
        for (auto& one : running) one.join();
    }
}
"""


@cache
def library(folder: Path, file: str, dtype: str, index: str) -> ctypes.CDLL:
    """A file of kernels as a shared library; compiled once for all processes with this folder."""
    source = sources.source(file, dtype, index)
    sizes = [f"-D{name}={getattr(implicit_gemm, name)}" for name in ("WORK", "ACROSS", "STEP")]
    sizes = sizes if "WORK" in source else []
    path = folder / ("".join([Path(file).stem, dtype, index, *sizes]) + ".so")
    if not path.exists():
        made = folder / f"{path.stem}-{os.getpid()}"
        made.with_suffix(".cpp").write_text(_with_starters(source))
        command = [COMPILER, "-std=c++20", "-O1", "-shared", "-fPIC", "-pthread", *sizes]
        command += ["-Wl,-Bsymbolic"]  # our `connect` is not the operating system's
        command += ["-o", str(made.with_suffix(".so")), str(made.with_suffix(".cpp"))]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{file} does not compile:\n{done.stderr}")
        made.with_suffix(".so").replace(path)
    return ctypes.CDLL(str(path))


def _with_starters(source: str) -> str:
    """The source behind stand-ins for CUDA, with a function ``run_NAME`` for each kernel."""
    parts = [DEVICE, source]
    for name, parameters in sources.SIGNATURE.findall(source):
        names = ", ".join(re.findall(r"(\w+)(?:,|$)", parameters))
        parts.append(
            f'extern "C" void run_{name}(const int* blocks, const int* threads, int meet, '
            f"{parameters}) {{ each(blocks, threads, meet, [&] {{ {name}({names}); }}); }}"
        )
    return "\n".join(parts)


def runner(folder: Path):
    """A runner for ``launch.through`` that executes the sources."""

    def run(kernel, blocks, threads, args):
        dtype = sources.floating(kernel.file, kernel.__name__, args)
        index = sources.index(args)
        integer = {"int32": ctypes.c_int, "int64": ctypes.c_longlong}[index]
        real = {"float32": ctypes.c_float, "float64": ctypes.c_double}[dtype]
        given = []
        for arg in args:
            if isinstance(arg, np.ndarray):
                assert arg.flags.c_contiguous and arg.ndim == 1
                given.append(ctypes.c_void_p(arg.ctypes.data))
            else:
                given.append(integer(arg) if isinstance(arg, int) else real(arg))
        sizes = [(ctypes.c_int * 3)(*size, *(1,) * (3 - len(size))) for size in (blocks, threads)]
        meet = "__syncthreads" in sources.text(kernel.file) and kernel.__name__ in BARRIERS
        start = getattr(library(folder, kernel.file, dtype, index), f"run_{kernel.__name__}")
        start(*sizes, int(meet), *given)

    return run


BARRIERS = {"implicit_gemm", "channel_sums", "channel_squares", "channel_products"}
"""Kernels whose threads meet at barriers."""
