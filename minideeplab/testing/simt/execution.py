"""Execute a grid as plain Python, one thread at a time, each up to a barrier or its end."""

from __future__ import annotations

import inspect
import itertools
import sys
import threading
from collections.abc import Callable, Sequence
from types import CellType, FunctionType, ModuleType, SimpleNamespace
from typing import Any

import numba
import numpy as np

from minideeplab.testing.simt.memory import Fatal, Problem, TracedArray


class Grid:
    """A kernel on a grid of blocks and threads; see ``check``."""

    def __init__(self, kernel: Callable, blocks: int | Sequence[int], threads: int | Sequence[int]):
        self.blocks, self.threads = _three(blocks), _three(threads)
        self.now = (0, 0, 0)  # block, thread, epoch
        self.block: Block | None = None
        self.cuda = device_side(self)
        known: dict[int, Callable] = {}
        self.kernel = rebind(getattr(kernel, "py_func", kernel), self.cuda, known)
        names = {name for f in known.values() for name in f.__code__.co_names}
        self.has_barriers = "syncthreads" in names

    def run(self, args: Sequence[Any]) -> list[Problem]:
        """Execute the grid, block by block, and return the problems."""
        names = list(inspect.signature(self.kernel).parameters)
        traced, arrays = [], []
        for name, value in zip(names, args, strict=True):
            if isinstance(value, np.ndarray) and value.ndim:
                value = TracedArray(value, name, self)
                arrays.append(value)
            traced.append(value)
        with np.errstate(all="ignore"):
            try:
                for number, place in enumerate(_points(self.blocks)):
                    self.block = Block(self, number, place)
                    self.block.run(traced)
                    arrays += self.block.shared + self.block.local
            except Fatal as fatal:
                return [fatal.problem]
        return [problem for array in arrays for problem in array.problems()]


class Block:
    """The threads of one block and their shared memory."""

    def __init__(self, grid: Grid, number: int, place: tuple[int, int, int]):
        self.grid, self.number, self.place = grid, number, place
        self.shared: list[TracedArray] = []
        self.local: list[TracedArray] = []
        self.epoch = 0
        self.threads = [
            Thread(self, number, place) for number, place in enumerate(_points(grid.threads))
        ]
        self.current = self.threads[0]

    def run(self, args: Sequence[Any]) -> None:
        """Run all threads from barrier to barrier."""
        if not self.grid.has_barriers:
            for thread in self.threads:
                self.enter(thread)
                self.grid.kernel(*args)
            return
        try:
            while True:
                for thread in self.threads:
                    if not thread.ended:
                        self.enter(thread)
                        thread.resume(args)
                if all(thread.ended for thread in self.threads):
                    return
                self._check_barrier()
                self.epoch += 1
        finally:
            for thread in self.threads:
                thread.dismiss()

    def enter(self, thread: Thread) -> None:
        """Make a thread the current one."""
        self.current = thread
        self.grid.now = (self.number, thread.number, self.epoch)

    def _check_barrier(self) -> None:
        """Raise Fatal unless all threads wait at the same barrier."""
        places = {thread.number: thread.barrier for thread in self.threads}
        for number, barrier in places.items():
            if barrier != places[0]:
                raise Fatal(
                    "barrier",
                    f"block {self.number}: thread 0 {_state(places[0])}, thread {number} "
                    f"{_state(barrier)}; all threads of a block must reach a barrier",
                )


class Thread:
    """One thread of a block, a Python thread that runs only inside `resume`."""

    def __init__(self, block: Block, number: int, place: tuple[int, int, int]):
        self.block, self.number, self.place = block, number, place
        self.ended, self.dismissed = False, False
        self.barrier: tuple[int, ...] | None = None  # line numbers, from the kernel to the barrier
        self.shared_arrays = 0
        self._turn, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def resume(self, args: Sequence[Any]) -> None:
        """Run up to the next barrier or the end; raise the kernel's exception."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._main, args=(args,), daemon=True)
            self._thread.start()
        else:
            self._turn.release()
        self._back.acquire()
        if self._error is not None:
            raise self._error

    def wait(self) -> None:
        """Wait at a barrier; called by the kernel."""
        self.barrier = _lines(self.block.grid.kernel.__code__)
        self._back.release()
        self._turn.acquire()
        if self.dismissed:
            raise SystemExit
        self.barrier = None

    def dismiss(self) -> None:
        """End a thread that waits at a barrier."""
        self.dismissed = True
        self._turn.release()
        if self._thread is not None:
            self._thread.join()

    def _main(self, args: Sequence[Any]) -> None:
        try:
            with np.errstate(all="ignore"):
                self.block.grid.kernel(*args)
        except SystemExit:
            pass
        except BaseException as error:
            self._error = error
        self.ended, self.barrier = True, None
        self._back.release()


def device_side(grid: Grid) -> SimpleNamespace:
    """The module ``cuda`` as seen by a checked kernel."""

    def position(axes: int, start: Callable[[int], int]) -> Any:
        values = tuple(start(axis) for axis in range(axes))
        return values[0] if axes == 1 else values

    def grid_position(axes: int) -> Any:
        block, thread = grid.block.place, grid.block.current.place
        return position(axes, lambda a: block[a] * grid.threads[a] + thread[a])

    def shared(shape: Any, dtype: Any) -> TracedArray:
        block, thread = grid.block, grid.block.current
        number = thread.shared_arrays  # counts calls, so it is the same in all threads
        thread.shared_arrays += 1
        if number == len(block.shared):
            memory = np.zeros(shape, _dtype(dtype))
            block.shared.append(TracedArray(memory, f"shared array {number}", grid, fresh=True))
        return block.shared[number]

    def local(shape: Any, dtype: Any) -> TracedArray:
        memory = np.zeros(shape, _dtype(dtype))
        grid.block.local.append(TracedArray(memory, "local array", grid, fresh=True))
        return grid.block.local[-1]

    namespace = _Namespace(grid)
    namespace.grid = grid_position
    namespace.gridsize = lambda n: position(n, lambda a: grid.blocks[a] * grid.threads[a])
    namespace.syncthreads = lambda: grid.block.current.wait()
    namespace.shared = SimpleNamespace(array=shared)
    namespace.local = SimpleNamespace(array=local)
    namespace.atomic = SimpleNamespace(
        add=lambda a, i, v: a.update(i, lambda old: old + v),
        max=lambda a, i, v: a.update(i, lambda old: max(old, v)),
        min=lambda a, i, v: a.update(i, lambda old: min(old, v)),
        exch=lambda a, i, v: a.update(i, lambda old: v),
        cas=lambda a, i, expected, v: a.update(i, lambda old: v if old == expected else old),
    )
    return namespace


class _Namespace(SimpleNamespace):
    """``cuda`` with the indices of the current thread."""

    def __init__(self, grid: Grid):
        super().__init__(_grid=grid)

    threadIdx = property(lambda self: _xyz(self._grid.block.current.place))
    blockIdx = property(lambda self: _xyz(self._grid.block.place))
    blockDim = property(lambda self: _xyz(self._grid.threads))
    gridDim = property(lambda self: _xyz(self._grid.blocks))


def rebind(function: FunctionType, cuda: Any, known: dict[int, Callable]) -> FunctionType:
    """A copy of a function, and of all functions that it calls, with another ``cuda``."""
    if id(function) in known:
        return known[id(function)]
    names, cells = dict(function.__globals__), tuple(CellType() for _ in function.__closure__ or ())
    copy = FunctionType(function.__code__, names, function.__name__, function.__defaults__, cells)
    known[id(function)] = copy

    def replaced(value: Any) -> Any:
        if isinstance(value, ModuleType) and value.__name__.startswith("numba.cuda"):
            return cuda
        if callable(getattr(value, "py_func", None)):
            return rebind(value.py_func, cuda, known)
        return value

    for name in function.__code__.co_names:
        if name in names:
            names[name] = replaced(names[name])
    for cell, old in zip(cells, function.__closure__ or (), strict=True):
        cell.cell_contents = replaced(old.cell_contents)
    return copy


def _dtype(kind: Any) -> np.dtype:
    if isinstance(kind, numba.types.Type):
        return numba.np.numpy_support.as_dtype(kind)
    return np.dtype(kind)


def _three(size: int | Sequence[int]) -> tuple[int, int, int]:
    size = (size,) if isinstance(size, int) else tuple(size)
    return (*size, 1, 1)[:3] if len(size) < 3 else size


def _points(size: tuple[int, int, int]) -> list[tuple[int, int, int]]:
    """All (x, y, z), x fastest, as the hardware numbers them."""
    x, y, z = map(range, size)
    return [(a, b, c) for c, b, a in itertools.product(z, y, x)]


def _xyz(place: tuple[int, int, int]) -> SimpleNamespace:
    return SimpleNamespace(x=place[0], y=place[1], z=place[2])


def _lines(kernel: Any) -> tuple[int, ...]:
    """Line numbers of the calls from the kernel down to the barrier."""
    lines, frame = [], sys._getframe(3)
    while frame is not None:
        lines.append(frame.f_lineno)
        if frame.f_code is kernel:
            break
        frame = frame.f_back
    return tuple(reversed(lines))


def _state(barrier: tuple[int, ...] | None) -> str:
    return "has ended" if barrier is None else f"waits in line {barrier[-1]}"
