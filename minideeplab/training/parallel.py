"""Data-parallel training: processes share each batch, and their gradients are summed.

The weights are in shared memory, and each process has some images of every batch. Losses are
shares of the batch's loss (``segmentation_loss(whole=...)``), dropout draws for the whole
batch and keeps the rows of its part, batch norm has the whole batch's statistics (``syncnorm``).
The gradients are those of one process with the whole batch, to rounding. The parent makes batches,
updates the weights and writes files.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import pickle
from collections.abc import Mapping
from multiprocessing import connection
from typing import Any

import numpy as np

from minideeplab import backends
from minideeplab.executors import end_with_parent, fewer_threads, interrupts_blocked
from minideeplab.nn import Module
from minideeplab.training.config import Config
from minideeplab.training.gradients import Batch, accumulate
from minideeplab.training.loop import Trainer
from minideeplab.training.syncnorm import Group, most_channels, synchronise

_context = multiprocessing.get_context("spawn")  # a fork would copy locks without their threads
TIMEOUT = 1800  # seconds that a process waits for the others at a barrier


class SharedArrays:
    """Named arrays in one block of memory that is shared with child processes."""

    def __init__(self, like: Mapping[str, np.ndarray]) -> None:
        self._shapes = {name: (array.shape, array.dtype) for name, array in like.items()}
        sizes = [-(-array.nbytes // 64) * 64 for array in like.values()]  # of whole cache lines
        self._starts = dict(zip(like, np.cumsum([0, *sizes]).tolist(), strict=False))
        self._block = _context.RawArray(ctypes.c_byte, max(1, sum(sizes)))

    def views(self) -> dict[str, np.ndarray]:
        """Return the arrays, views of the shared memory."""
        block = np.frombuffer(self._block, np.uint8)
        return {
            name: np.ndarray(shape, dtype, block, self._starts[name])
            for name, (shape, dtype) in self._shapes.items()
        }


class ParallelTrainer(Trainer):
    """A ``Trainer`` whose gradients are computed by ``jobs`` processes; the files are the same.

    Raises ValueError for more jobs than images in a batch, RuntimeError when a process dies.
    """

    def __init__(self, *arguments: Any, jobs: int, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if not 1 <= jobs <= self.config.batch_size:
            raise ValueError(
                f"jobs: {jobs}, expected 1 to {self.config.batch_size}, the images of a batch"
            )
        self.jobs = jobs
        self._workers: Workers | None = None

    def run(self) -> None:
        """Train as ``Trainer.run``; the processes end with it."""
        try:
            super().run()
        finally:
            if self._workers is not None:
                self._workers.close()
                self._workers = None

    def gradients(self, batches: list[Batch]) -> float:
        """Store the averaged gradients of ``batches`` in the parameters; return the loss."""
        if self._workers is None:
            self._workers = Workers(self.net, batches, self.class_weights, self.config, self.jobs)
        total = self._workers.gradients(self.net, batches, self.iteration)
        self.require_finite(total)
        return total


def make_trainer(jobs: int, *arguments: Any) -> Trainer:
    """Return a ``Trainer``, or a ``ParallelTrainer`` for more than one job."""
    return Trainer(*arguments) if jobs == 1 else ParallelTrainer(*arguments, jobs=jobs)


class Workers:
    """Worker processes; moves the weights of ``net`` into shared memory, in place."""

    def __init__(
        self,
        net: Module,
        batches: list[Batch],
        class_weights: np.ndarray | None,
        config: Config,
        jobs: int,
    ) -> None:
        weights = SharedArrays(net.state_dict())
        gradients = [
            SharedArrays({name: p.data for name, p in net.named_parameters()}) for _ in range(jobs)
        ]
        work = SharedArrays(
            {f"images{k}": images for k, (images, _) in enumerate(batches)}
            | {f"labels{k}": labels for k, (_, labels) in enumerate(batches)}
            | {"sums": np.empty((2, jobs, 2 * most_channels(net) + 1))}
        )
        net.zero_grad()
        job = pickle.dumps((net, class_weights, config, backends.current_name()))
        rebind(net, weights.views())
        self._work, self._gradients = work.views(), [part.views() for part in gradients]
        self._barrier = _context.Barrier(jobs, timeout=TIMEOUT)
        self._pipes, self._processes = [], []
        with fewer_threads(jobs), interrupts_blocked():
            for rank in range(jobs):
                ours, theirs = _context.Pipe()
                shared = (self._barrier, weights, gradients[rank], work)
                arguments = (rank, jobs, job, theirs, *shared)
                process = _context.Process(target=_run_worker, args=arguments, daemon=True)
                process.start()
                theirs.close()
                self._pipes.append(ours)
                self._processes.append(process)

    def gradients(self, net: Module, batches: list[Batch], iteration: int) -> float:
        """Compute the gradients in all processes and sum them in the order of ranks."""
        for k, (images, labels) in enumerate(batches):
            self._work[f"images{k}"][...] = images
            self._work[f"labels{k}"][...] = labels
        try:
            for pipe in self._pipes:
                pipe.send(iteration)
            shares = [self._share(pipe) for pipe in self._pipes]
        except (EOFError, ConnectionError) as error:
            raise RuntimeError(
                "a training process died, possibly out of memory; --resume continues from the "
                "last checkpoint"
            ) from error
        for name, parameter in net.named_parameters():
            parameter.grad = self._gradients[0][name].copy()
            for part in self._gradients[1:]:
                parameter.grad += part[name]
        return sum(shares)

    def _share(self, pipe: connection.Connection) -> float:
        """Return a process's share of the loss; raises EOFError as soon as any process died."""
        sentinels = [process.sentinel for process in self._processes]
        ready = connection.wait([pipe, *sentinels])
        if pipe not in ready:
            raise EOFError
        return pipe.recv()

    def close(self) -> None:
        """End the processes."""
        for pipe, process in zip(self._pipes, self._processes, strict=True):
            pipe.close()
            process.terminate()
        for process in self._processes:
            process.join()


def rebind(net: Module, arrays: Mapping[str, np.ndarray]) -> None:
    """Move the parameters and buffers of ``net`` into ``arrays``."""
    for name, array in net.state_dict().items():
        arrays[name][...] = array
        owner: Any = net
        *path, last = name.split(".")
        for part in path:
            owner = getattr(owner, part)
        held = getattr(owner, last)
        if isinstance(held, np.ndarray):
            setattr(owner, last, arrays[name])
        else:
            held.data = arrays[name]


def _run_worker(
    rank: int,
    jobs: int,
    job: bytes,
    pipe: connection.Connection,
    barrier: Any,
    weights: SharedArrays,
    gradients: SharedArrays,
    work: SharedArrays,
) -> None:
    """Loop of a process: receive an iteration, send the loss of its part of the batch."""
    end_with_parent()
    net, class_weights, config, backend = pickle.loads(job)
    own, views, arrays = gradients.views(), weights.views(), work.views()
    kept = views if rank == 0 else {name: a.copy() for name, a in net.named_buffers()}
    rebind(net, {**views, **{name: kept[name] for name, _ in net.named_buffers()}})
    synchronise(net.train(), Group(rank, arrays["sums"], barrier))
    bounds = np.linspace(0, config.batch_size, jobs + 1).round().astype(int)
    rows = slice(int(bounds[rank]), int(bounds[rank + 1]))
    batches = [(arrays[f"images{k}"], arrays[f"labels{k}"]) for k in range(config.iter_size)]
    with backends.use_backend(backend):
        while True:
            try:
                iteration = pipe.recv()
            except EOFError:
                return
            loss = accumulate(net, batches, class_weights, config, iteration, rows)
            for name, parameter in net.named_parameters():
                own[name][...] = 0 if parameter.grad is None else parameter.grad
            pipe.send(loss)
