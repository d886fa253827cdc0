"""Check that a GPU can be used; the error says why not and how to fix it."""

from __future__ import annotations

import ctypes
import importlib
import sys

import numpy as np

from minideeplab.backends.cuda.device import SIMULATED, xp

SIMULATOR = "NUMBA_ENABLE_CUDASIM=1 runs this backend on the CPU, slowly"
INSTALL = "pip install '.[cuda{}]'"
LIBRARY = {"win32": "nvcuda.dll"}


def require() -> None:
    """Raise ImportError, with the reason and how to fix it, if kernels cannot run here."""
    if SIMULATED:
        return
    version = driver_version()
    extra = INSTALL.format(13 if version >= (13, 0) else 12)
    if xp.__name__ == "numpy":
        raise ImportError(f"CuPy cannot be imported ({_import_error('cupy')}): {extra}")
    _check_runtime(version, extra)
    from numba import cuda

    if not cuda.is_available():
        raise ImportError(f"Numba finds no CUDA ({_first_line(cuda.cuda_error() or '')}): {extra}")
    _compute(extra)


def _compute(extra: str) -> None:
    """Run a product and a sum: CuPy loads cuBLAS and NVRTC when they are first needed."""
    try:
        threes = xp.ones((2, 3), np.float32) @ xp.ones((3, 2), np.float32)
        total = float(threes.sum())
    except Exception as error:
        raise ImportError(
            f"the device cannot compute ({type(error).__name__}: {_first_line(error)}); if a CUDA "
            f"library is missing: {extra}"
        ) from error
    if total != 12:
        raise ImportError(f"the device computes 3 + 3 + 3 + 3 = {total}")


def driver_version() -> tuple[int, int]:
    """The newest CUDA version that the NVIDIA driver supports, such as (12, 8).

    Raises ImportError if there is no driver or no visible GPU.
    """
    try:
        driver = ctypes.CDLL(LIBRARY.get(sys.platform, "libcuda.so.1"))
    except OSError:
        raise ImportError(
            f"no NVIDIA driver was found; install it if there is an NVIDIA GPU. {SIMULATOR}"
        ) from None
    status, number, count = driver.cuInit(0), ctypes.c_int(), ctypes.c_int()
    driver.cuDriverGetVersion(ctypes.byref(number))
    if status == 0:
        status = driver.cuDeviceGetCount(ctypes.byref(count))
    if status or not count.value:
        raise ImportError(
            f"the NVIDIA driver finds no GPU (status {status}); look at CUDA_VISIBLE_DEVICES and "
            f"nvidia-smi. {SIMULATOR}"
        )
    return number.value // 1000, number.value % 1000 // 10


def _check_runtime(driver: tuple[int, int], extra: str) -> None:
    """Raise ImportError if CuPy was built for a newer CUDA than the driver supports."""
    number = xp.cuda.runtime.runtimeGetVersion()
    major = number // 1000
    if major > driver[0]:
        raise ImportError(
            f"CuPy is built for CUDA {major}, the driver supports CUDA {driver[0]}.{driver[1]}: "
            f"pip uninstall cupy-cuda{major}x, then {extra}; or install a newer driver"
        )


def _import_error(module: str) -> str:
    try:
        importlib.import_module(module)
    except Exception as error:
        return _first_line(error.__cause__ or error)  # CuPy wraps the reason in long advice
    return "no reason given"


def _first_line(error: object) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[0]
