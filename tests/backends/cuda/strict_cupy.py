"""A stand-in for CuPy that is as strict: its arrays are not NumPy's and do not become so silently.

NumPy's functions and operators work on them, as on CuPy's, but mixing in a NumPy array, or asking
NumPy for a conversion, raises TypeError. So code that would fail on a GPU because a copy is
missing fails here. ``install()`` makes it ``import cupy``; kernels run as CUDA C on the
CPU. Transfers are counted in ``TRANSFERS``.
"""

from __future__ import annotations

import sys
import types
from collections import Counter
from typing import Any

import cublas
import numpy as np

TRANSFERS: Counter = Counter()


def wrap(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return ndarray(value)
    if isinstance(value, tuple | list):
        return type(value)(map(wrap, value))
    return value


def unwrap(value: Any) -> Any:
    """What is inside. NumPy arrays are refused; NumPy's numbers are as good as Python's."""
    if isinstance(value, ndarray):
        return value.inside
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}: a NumPy array met one on the device")
    if isinstance(value, tuple | list):
        return type(value)(map(unwrap, value))
    if isinstance(value, dict):
        return {key: unwrap(part) for key, part in value.items()}
    return value


class ndarray(np.lib.mixins.NDArrayOperatorsMixin):
    """An array "on the device"."""

    def __init__(self, inside: Any):
        self.inside = np.asarray(inside)

    __cuda_array_interface__ = property(lambda self: {"version": 3})
    T = property(lambda self: wrap(self.inside.T))
    data = property(lambda self: types.SimpleNamespace(ptr=self.inside.ctypes.data))

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if "out" in options:
            getattr(ufunc, method)(*unwrap(inputs), **unwrap(options))
            return options["out"][0]
        return wrap(getattr(ufunc, method)(*unwrap(inputs), **unwrap(options)))

    def __array_function__(self, function: Any, _: Any, args: Any, options: Any) -> Any:
        return wrap(function(*unwrap(args), **unwrap(options)))

    def __getattr__(self, name: str) -> Any:
        if name in ("shape", "dtype", "ndim", "size", "flags", "itemsize", "nbytes", "strides"):
            return getattr(self.inside, name)
        method = getattr(self.inside, name)
        return lambda *args, **options: wrap(method(*unwrap(args), **unwrap(options)))

    def __getitem__(self, index: Any) -> Any:
        return wrap(self.inside[unwrap(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        self.inside[unwrap(index)] = unwrap(value)

    def __iter__(self) -> Any:
        return iter([wrap(part) for part in self.inside])

    __len__ = lambda self: len(self.inside)  # noqa: E731
    __float__ = lambda self: float(self.item())  # noqa: E731
    __int__ = lambda self: int(self.item())  # noqa: E731
    __bool__ = lambda self: bool(self.item())  # noqa: E731

    def item(self) -> Any:
        TRANSFERS["back"] += 1
        return self.inside.item()

    def get(self) -> np.ndarray:
        TRANSFERS["back"] += 1
        return self.inside.copy()


class Module(types.ModuleType):
    """``cupy``: NumPy's names, on arrays of the device."""

    ndarray = ndarray
    add = types.SimpleNamespace(at=lambda a, i, v: np.add.at(unwrap(a), unwrap(i), unwrap(v)))

    cuda = types.SimpleNamespace(
        Event=lambda: types.SimpleNamespace(record=lambda: None, synchronize=lambda: None),
        Device=lambda: types.SimpleNamespace(id=0, cublas_handle=7),
        get_current_stream=lambda: types.SimpleNamespace(ptr=0),
        cublas=cublas,
        get_elapsed_time=lambda start, stop: 1.0,
        runtime=types.SimpleNamespace(
            getDeviceProperties=lambda number: {"name": b"stand-in"},
            driverGetVersion=lambda: 12080,
            CUDA_R_32F=cublas.CUDA_R_32F,
            CUDA_R_64F=cublas.CUDA_R_64F,
            CUDA_R_16F=cublas.CUDA_R_16F,
        ),
    )

    def __getattr__(self, name: str) -> Any:
        found = getattr(np, name)
        if isinstance(found, type) or not callable(found):
            return found
        return lambda *args, **options: wrap(found(*unwrap(args), **unwrap(options)))

    @staticmethod
    def asarray(value: Any, dtype: Any = None) -> ndarray:
        if isinstance(value, ndarray):
            return wrap(value.inside.astype(dtype or value.dtype, copy=False))
        TRANSFERS["to the device"] += isinstance(value, np.ndarray)
        return ndarray(np.array(value, dtype))


def install(folder: Any) -> None:
    """Become CuPy, and let the cuda backend load; CUDA C is compiled into ``folder``."""
    sys.modules["cupy"] = Module("cupy")  # before anything of the backend is imported
    import emulator

    from minideeplab.backends.cuda import implicit_gemm, launch, probe, sources

    implicit_gemm.WORK = implicit_gemm.SIDE = 1  # a thread a block: no barriers to wait at
    implicit_gemm.ACROSS, implicit_gemm.STEP = 1, 64
    launch.THREADS, launch.BLOCKS = 4, 2
    probe.require = lambda: None
    run = emulator.runner(folder)
    sources.start = lambda xp, file, name, blocks, threads, args: run(
        types.SimpleNamespace(file=file, __name__=name), blocks, threads, list(map(unwrap, args))
    )
    launch._run_numba = launch._run_c
