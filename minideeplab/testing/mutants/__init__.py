"""Known wrong implementations: what the judge must catch, and what it compares failures with.

Each is a mistake that was seen in a library, a course or a port. They are made of the right
definitions with one part exchanged, so that each shows its own mistake and nothing else.
"""

from __future__ import annotations

import functools

from minideeplab.testing.mutant import Mutant
from minideeplab.testing.mutants.activation import DROPOUT, RELU
from minideeplab.testing.mutants.average_pool import ADAPTIVE_AVG_POOL2D, AVG_POOL2D
from minideeplab.testing.mutants.columns import FOLD, UNFOLD
from minideeplab.testing.mutants.conv import CONV2D
from minideeplab.testing.mutants.conv_gradients import (
    CONV2D_GRADIENTS,
    CONV_TRANSPOSE2D,
    LINEAR,
)
from minideeplab.testing.mutants.crf import DENSE_CRF
from minideeplab.testing.mutants.gaussian import GAUSSIAN_FILTER
from minideeplab.testing.mutants.generic import generic_mutants
from minideeplab.testing.mutants.labels import LABELS
from minideeplab.testing.mutants.log_softmax import LOG_SOFTMAX
from minideeplab.testing.mutants.loss import CROSS_ENTROPY
from minideeplab.testing.mutants.max_pool import MAX_POOL2D
from minideeplab.testing.mutants.mistaken import MISTAKEN
from minideeplab.testing.mutants.norm import BATCH_NORM
from minideeplab.testing.mutants.pad import PAD
from minideeplab.testing.mutants.resize import INTERPOLATE
from minideeplab.testing.mutants.softmax import SOFTMAX

OWN: dict[str, list[Mutant]] = {
    "conv2d": CONV2D + CONV2D_GRADIENTS,
    "conv_transpose2d": CONV_TRANSPOSE2D,
    "linear": LINEAR,
    "max_pool2d": MAX_POOL2D,
    "avg_pool2d": AVG_POOL2D,
    "adaptive_avg_pool2d": ADAPTIVE_AVG_POOL2D,
    "interpolate": INTERPOLATE,
    "pad": PAD,
    "unfold": UNFOLD,
    "fold": FOLD,
    "relu": RELU,
    "dropout": DROPOUT,
    "softmax": SOFTMAX,
    "log_softmax": LOG_SOFTMAX,
    "cross_entropy": CROSS_ENTROPY + LABELS,
    "batch_norm": BATCH_NORM,
    "gaussian_filter": GAUSSIAN_FILTER,
    "dense_crf": DENSE_CRF,
}

__all__ = ["OWN", "Mutant", "mutants"]


@functools.cache
def mutants(op: str) -> tuple[Mutant, ...]:
    """Return the wrong implementations of ``op``: its own mistakes, then those of any operation."""
    return (*OWN.get(op, ()), *MISTAKEN.get(op, ()), *generic_mutants(op))
