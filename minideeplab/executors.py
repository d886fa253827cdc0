"""Run work on any ``concurrent.futures`` executor: local processes, or a Dask cluster.

The work is a pure function of one item; results are yielded in the items' order, each exactly once,
whatever the executor repeats or reorders. What every item needs, such as the network, is pickled
into each task, so that a worker that joins late or replaces a dead one has it too.

``open_executor`` spawns its processes. An executor of your own should not fork (Linux's default
before Python 3.14): a child forked while another thread computes can hang, because it inherits
locks of BLAS and of the thread pool, but not the threads that hold them. Use
``ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn"))``, or "forkserver".
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import pickle
import signal
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
)
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 2  # tasks in flight per worker: none waits, and few enough fit in memory
_opened: OrderedDict[str, Any] = OrderedDict()  # this process's shared values, the latest last
_KEPT = 2
_THREADS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Shared:
    """A picklable value for many tasks: ``get()`` unpickles it once a process.

    The value must not be changed afterwards.
    """

    def __init__(self, value: Any) -> None:
        self._bytes = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
        self._key = hashlib.sha256(self._bytes).hexdigest()

    def get(self) -> Any:
        """Return the value; all tasks of a process get the same object."""
        if self._key not in _opened:
            _opened[self._key] = pickle.loads(self._bytes)
            while len(_opened) > _KEPT:
                _opened.popitem(last=False)
        _opened.move_to_end(self._key)
        return _opened[self._key]


def spread(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    executor: Executor | None = None,
) -> Iterator[Result]:
    """Yield ``function(item)`` for every item, in order; without an executor, one by one.

    Items are drawn as workers become free, so they may be a generator of large images. The
    first exception of the function is raised, as is RuntimeError when a worker process died.
    """
    if executor is None:
        yield from map(function, items)
        return
    waiting: deque[Future[Result]] = deque()
    most = AHEAD * _workers(executor)
    try:
        for item in items:
            waiting.append(executor.submit(function, item))
            if len(waiting) >= most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenExecutor as error:
        raise RuntimeError(
            "a worker process died, possibly out of memory; try fewer --jobs. A script that opens "
            "an executor needs the guard: if __name__ == '__main__':"
        ) from error
    finally:
        for future in waiting:
            future.cancel()


def _workers(executor: Executor) -> int:
    """Return about how many tasks the executor runs at once."""
    if hasattr(executor, "_client"):  # Dask's; the cluster may have grown
        return max(1, sum(executor._client.nthreads().values()))
    return getattr(executor, "_max_workers", None) or os.cpu_count() or 1


@contextmanager
def open_executor(jobs: int = 1, dask: str | None = None) -> Iterator[Executor | None]:
    """Open the executor for ``--jobs`` and ``--dask``; None for this process alone.

    Args:
        jobs: processes on this machine, which share its cores.
        dask: address of a Dask scheduler, such as ``tcp://10.0.0.1:8786``, or ``local`` for a
            cluster of ``jobs`` workers on this machine. Workers need minideeplab, no data.

    Raises:
        ValueError: both are given, or less than one job.
        ImportError: Dask is not installed.
        OSError: the scheduler does not answer.
        RuntimeError: Dask's scheduler went away, or a task kills every worker that tries it.
    """
    if jobs < 1:
        raise ValueError(f"jobs: {jobs}, expected 1 or more")
    if dask is not None:
        with _dask_client(dask, jobs) as client, client.get_executor() as executor:
            yield executor
    elif jobs == 1:
        yield None
    elif getattr(multiprocessing.current_process(), "_inheriting", False):
        raise RuntimeError(
            "open_executor: this script is being imported by a worker process; put the call under "
            "if __name__ == '__main__':"
        )
    else:
        with fewer_threads(jobs), _process_pool(jobs) as executor:
            yield executor


class _ProcessPool(ProcessPoolExecutor):
    """A pool whose workers are started so that Ctrl-C does not reach them."""

    def submit(self, *arguments: Any, **options: Any) -> Future[Any]:
        """Schedule a call, and start a worker if none is idle."""
        with interrupts_blocked():
            return super().submit(*arguments, **options)


@contextmanager
def _process_pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of spawned processes: forked ones would lack threads that hold locks."""
    context = multiprocessing.get_context("spawn")
    pool = _ProcessPool(jobs, mp_context=context, initializer=end_with_parent)
    try:
        yield pool
    except KeyboardInterrupt:
        for process in list(pool._processes.values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def end_with_parent() -> None:
    """Make this worker process end as soon as its parent has, even one that was killed."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        parent.join()
        os._exit(1)

    if parent is not None:
        threading.Thread(target=wait, name="end-with-parent", daemon=True).start()


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Delay Ctrl-C inside the block; processes started there never see it.

    The parent is interrupted and ends its workers, instead of every process printing a traceback.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def fewer_threads(jobs: int) -> Iterator[None]:
    """Limit the threads of processes started inside to their share, by environment variables."""
    before = {name: os.environ.get(name) for name in _THREADS}
    share = str(max(1, (os.cpu_count() or 1) // jobs))
    os.environ.update({name: os.environ.get(name, share) for name in _THREADS})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _dask_client(address: str, jobs: int) -> Iterator[Any]:
    try:
        from distributed import Client, KilledWorker, LocalCluster
    except ImportError as error:
        raise ImportError("Dask is not installed; pip install 'minideeplab[dask]'") from error
    with ExitStack() as stack:
        if address == "local":
            stack.enter_context(fewer_threads(jobs))
            cluster = LocalCluster(n_workers=jobs, threads_per_worker=1, dashboard_address=None)
            client = stack.enter_context(Client(stack.enter_context(cluster)))
        else:
            try:
                client = stack.enter_context(Client(address, timeout="10s"))
            except (OSError, ValueError) as error:
                raise OSError(f"dask: no scheduler answers at {address} ({error})") from error
        try:
            yield client
        except KilledWorker as error:
            raise RuntimeError(
                "dask: workers died repeatedly on the same task, possibly out of memory"
            ) from error
        except CancelledError as error:
            raise RuntimeError(
                f"dask: the scheduler at {address} is gone, and so are the unfinished tasks"
            ) from error
