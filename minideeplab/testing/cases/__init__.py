"""THE table: for every operation, the rows that pin down its meaning.

Unit tests, gradient checks, every backend, the framework comparison, ``check_op``, the graders
and the benchmarks all read this one table, so a new row tests all of them.
"""

from __future__ import annotations

from minideeplab.testing.case import Array, Case
from minideeplab.testing.cases.activation import DROPOUT, LOG_SOFTMAX, RELU, SOFTMAX
from minideeplab.testing.cases.average_pool import ADAPTIVE_AVG_POOL2D, AVG_POOL2D
from minideeplab.testing.cases.columns import FOLD, UNFOLD
from minideeplab.testing.cases.conv import CONV2D
from minideeplab.testing.cases.conv_transpose import CONV_TRANSPOSE2D
from minideeplab.testing.cases.crf import DENSE_CRF, GAUSSIAN_FILTER
from minideeplab.testing.cases.linear import LINEAR
from minideeplab.testing.cases.loss import CROSS_ENTROPY
from minideeplab.testing.cases.max_pool import MAX_POOL2D
from minideeplab.testing.cases.norm import BATCH_NORM
from minideeplab.testing.cases.resize import INTERPOLATE, PAD

TABLE: dict[str, list[Case]] = {
    "conv2d": CONV2D,
    "conv_transpose2d": CONV_TRANSPOSE2D,
    "max_pool2d": MAX_POOL2D,
    "avg_pool2d": AVG_POOL2D,
    "adaptive_avg_pool2d": ADAPTIVE_AVG_POOL2D,
    "interpolate": INTERPOLATE,
    "pad": PAD,
    "unfold": UNFOLD,
    "fold": FOLD,
    "linear": LINEAR,
    "relu": RELU,
    "dropout": DROPOUT,
    "softmax": SOFTMAX,
    "log_softmax": LOG_SOFTMAX,
    "cross_entropy": CROSS_ENTROPY,
    "batch_norm": BATCH_NORM,
    "gaussian_filter": GAUSSIAN_FILTER,
    "dense_crf": DENSE_CRF,
}

CRF = ("gaussian_filter", "dense_crf")
NETWORK = tuple(op for op in TABLE if op not in CRF)
"""The operations of torch.nn.functional."""

__all__ = ["CRF", "NETWORK", "TABLE", "Array", "Case", "cases"]


def cases(op: str) -> list[Case]:
    """Return the rows of operation ``op``.

    Raises:
        ValueError: the table has no such operation.
    """
    if op not in TABLE:
        raise ValueError(f"op must be one of {', '.join(TABLE)}; got {op!r}")
    return TABLE[op]
