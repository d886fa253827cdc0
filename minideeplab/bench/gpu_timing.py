"""Timing on a GPU: events on the stream after warm-up, measured limits, and torch's time.

Numba's simulator has no events; there the wall clock only lets this code run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from minideeplab.backends.cuda.device import SIMULATED, xp
from minideeplab.backends.cuda.launch import LANGUAGES, written_in
from minideeplab.backends.cuda.matmul import PRECISIONS, matmul_precision, multiply

WARM_UP = 3
MEGABYTE = 1 << 20
RUNNABLE = LANGUAGES[:1] if SIMULATED else LANGUAGES
"""Languages of the kernels that can run: only "numba" in the simulator."""


@dataclass(frozen=True)
class Limits:
    """Measured GB/s of a copy and GFLOP/s of cuBLAS in each precision."""

    gigabytes: float
    gigaflops: dict[str, float]

    def fraction(
        self, bytes_moved: float, operations: float, milliseconds: float, precision: str = "float32"
    ) -> float:
        """The share of the tighter limit that is reached: lower bound of the time / the time."""
        at_best = max(bytes_moved / self.gigabytes, operations / self.gigaflops[precision]) / 1e6
        return at_best / milliseconds

    def facts(self) -> dict[str, float]:
        """The limits by name."""
        gemm = {f"cuBLAS {name} GFLOP/s": value for name, value in self.gigaflops.items()}
        return {"copy GB/s": self.gigabytes} | gemm


def milliseconds(run: Callable[[], Any], rounds: int, torch: Any = None) -> float:
    """Median time of ``run`` on the device after ``WARM_UP`` runs; ``torch`` times torch's stream.

    Host work counts only where the device is idle because of it.
    """
    return float(np.median([_once(run, torch) for _ in range(WARM_UP + rounds)][WARM_UP:]))


def _once(run: Callable[[], Any], torch: Any) -> float:
    """Milliseconds of one run."""
    if xp is np:
        start = time.perf_counter()
        run()
        return 1e3 * (time.perf_counter() - start)
    new = partial(torch.cuda.Event, enable_timing=True) if torch else xp.cuda.Event
    start, stop = new(), new()
    start.record()
    run()
    stop.record()
    stop.synchronize()
    return start.elapsed_time(stop) if torch else xp.cuda.get_elapsed_time(start, stop)


def by_language(run: Callable[[], Any], rounds: int) -> dict[str, float]:
    """Milliseconds of ``run`` in each runnable language, as columns of a table."""
    columns = {}
    for language in RUNNABLE:
        with written_in(language):
            columns[f"{language} ms"] = milliseconds(run, rounds)
    return columns


def with_torch(prepare: Callable[[Any], Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Torch's milliseconds with TF32 off and on, empty where torch cannot use the GPU."""
    torch, columns = cuda_torch(), {}
    if torch is None:
        return columns
    run = prepare(torch)
    torch.backends.cudnn.benchmark = True
    for name, allowed in (("torch ms", False), ("torch TF32 ms", True)):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed
        columns[name] = milliseconds(run, rounds, torch)
    return columns


def limits(size: int = 4096, megabytes: int = 256, rounds: int = 10) -> Limits:
    """Measure a copy on the device (read and written) and a matrix product in each precision."""
    source = xp.zeros(megabytes * MEGABYTE, np.uint8)
    target = xp.empty_like(source)

    def copy() -> None:
        target[...] = source

    seconds = milliseconds(copy, rounds) / 1e3
    a, out = xp.ones((1, size, size), np.float32), xp.empty((1, size, size), np.float32)
    gigaflops = {}
    for name in PRECISIONS:
        with matmul_precision(name):
            gemm = milliseconds(lambda: multiply(a, a, out), rounds) / 1e3
        gigaflops[name] = 2 * size**3 / gemm / 1e9
    return Limits(2 * source.nbytes / seconds / 1e9, gigaflops)


def description() -> dict[str, Any]:
    """The conditions of a measurement: device, driver and versions."""
    import numba

    facts: dict[str, Any] = {"numba": numba.__version__, "numpy": np.__version__}
    if xp is np:
        return {"device": "Numba's simulator", **facts}
    name = xp.cuda.runtime.getDeviceProperties(xp.cuda.Device().id)["name"].decode()
    facts = {"device": name, "cupy": xp.__version__, **facts}
    facts["driver's CUDA"] = xp.cuda.runtime.driverGetVersion()
    torch = cuda_torch()
    return facts | ({"torch": torch.__version__} if torch else {})


def cuda_torch() -> Any:
    """The module torch, if it is installed and can use this GPU, else None."""
    if xp is np:
        return None
    try:
        import torch
    except ImportError:
        return None
    return torch if torch.cuda.is_available() else None
