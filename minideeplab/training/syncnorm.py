"""Batch normalization over a batch that is spread over processes.

Each process has some of the images. Sums over the batch, two in the forward pass and two in the
backward pass, are added over the processes, so that each normalizes by the statistics of the whole
batch. The result is that of one process with the whole batch, to rounding.
"""

from __future__ import annotations

from multiprocessing.synchronize import Barrier

import numpy as np

from minideeplab import backends
from minideeplab.nn import BatchNorm2d, Module
from minideeplab.tensor import Tensor, record


class Group:
    """Sums small arrays over processes; all must make the same calls of ``sum``.

    Args:
        rank: index of this process, from 0.
        slots: (2, processes, K) float64 in shared memory.
        barrier: of all the processes.
    """

    def __init__(self, rank: int, slots: np.ndarray, barrier: Barrier) -> None:
        self.rank, self._slots, self._barrier = rank, slots, barrier
        self._turn = 0

    def sum(self, values: np.ndarray) -> np.ndarray:
        """Return the sum of (K',) float64 over the processes, in the order of ranks.

        Two slots alternate, so that no process writes to one before all have read it.
        """
        slot = self._slots[self._turn, :, : len(values)]
        slot[self.rank] = values
        self._barrier.wait()
        self._turn = 1 - self._turn
        return slot.sum(axis=0)


class SyncBatchNorm2d(BatchNorm2d):
    """``BatchNorm2d`` with the statistics of the whole batch; replaces ``norm``."""

    def __init__(self, norm: BatchNorm2d, group: Group) -> None:
        vars(self).update(vars(norm))
        self.group = group

    def forward(self, x: Tensor | np.ndarray) -> Tensor | np.ndarray:
        """(N, C, H, W), some of the images -> the same shape."""
        if not self.training:
            return super().forward(x)
        data = np.asarray(x.data if isinstance(x, Tensor) else x)
        mean, var, count = self._statistics(data)
        unbiased = var * (count / max(1, count - 1))
        for running, batch in ((self.running_mean, mean), (self.running_var, unbiased)):
            running[...] = (1 - self.momentum) * running + self.momentum * batch
        weight, backend = self.weight.data, backends.current()
        y, mean, invstd = backend.batch_norm(
            data, mean, var, weight, self.bias.data, False, self.eps
        )

        def backward(dy: np.ndarray, needs: tuple[bool, ...]) -> tuple[np.ndarray | None, ...]:
            _, dweight, dbias = backend.batch_norm_backward(
                dy, data, mean, invstd, weight, False, (False, True, True)
            )
            totals = self.group.sum(np.concatenate([dweight, dbias], dtype=np.float64)) / count
            along, average = (part.astype(dy.dtype) for part in np.split(totals, 2))
            xhat = (data - _planes(mean)) * _planes(invstd)
            dx = (dy - _planes(average) - xhat * _planes(along)) * _planes(weight * invstd)
            return dx, dweight, dbias

        return record(y, (x, self.weight, self.bias), backward)

    def _statistics(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Return mean (C,), biased variance (C,) and count of the whole batch, in two passes."""
        axes, here = (0, 2, 3), x.shape[0] * x.shape[2] * x.shape[3]
        sums = self.group.sum(np.append(x.sum(axes, dtype=np.float64), here))
        count = sums[-1]
        mean = sums[:-1] / count
        deviations = np.square(x - _planes(mean).astype(x.dtype))
        return mean, self.group.sum(deviations.sum(axes, dtype=np.float64)) / count, count


def _planes(channel: np.ndarray) -> np.ndarray:
    """Return (C,) values in a shape that broadcasts to (N, C, H, W)."""
    return channel[:, None, None]


def synchronise(net: Module, group: Group) -> None:
    """Replace each trained batch norm of ``net`` by a ``SyncBatchNorm2d``."""
    for module in list(net.modules()):
        for name, child in list(module.named_children()):
            if type(child) is BatchNorm2d:
                setattr(module, name, SyncBatchNorm2d(child, group))


def most_channels(net: Module) -> int:
    """Return the channels of the widest batch norm, 1 at least."""
    norms = (module for module in net.modules() if isinstance(module, BatchNorm2d))
    return max((len(norm.running_mean) for norm in norms), default=1)
