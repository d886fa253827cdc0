"""The operations that the kit knows, one record each.

Unit tests, gradient checks, every backend, the framework comparison, ``check_op``, the graders
and the benchmarks all read their rows, so a new row tests all of them.
"""

from __future__ import annotations

import functools
import importlib

from minideeplab.testing.case import Case
from minideeplab.testing.generic_mutants import generic_mutants
from minideeplab.testing.limits import limit_mutants
from minideeplab.testing.mutant import Mutant
from minideeplab.testing.operation import Operation

NAMES = (
    "conv2d",
    "conv_transpose2d",
    "max_pool2d",
    "avg_pool2d",
    "adaptive_avg_pool2d",
    "interpolate",
    "pad",
    "unfold",
    "fold",
    "linear",
    "relu",
    "sigmoid",
    "dropout",
    "softmax",
    "log_softmax",
    "cross_entropy",
    "batch_norm",
    "gaussian_filter",
    "dense_crf",
)
"""Every operation has a module of its name here, which defines ``OPERATION``."""

OPERATIONS: dict[str, Operation] = {
    name: importlib.import_module(f"{__name__}.{name}").OPERATION for name in NAMES
}
NETWORK = tuple(op for op, record in OPERATIONS.items() if record.family == "network")
"""The operations of torch.nn.functional."""
CRF = tuple(op for op, record in OPERATIONS.items() if record.family == "crf")


def cases(op: str) -> list[Case]:
    """Return the rows of operation ``op`` in the table of cases.

    Raises:
        ValueError: there is no such operation.
    """
    return list(find(op).rows)


def find(op: str) -> Operation:
    """Return the record of operation ``op``.

    Raises:
        ValueError: there is no such operation.
    """
    if op not in OPERATIONS:
        raise ValueError(f"op must be one of {', '.join(OPERATIONS)}; got {op!r}")
    return OPERATIONS[op]


@functools.cache
def mutants(op: str) -> tuple[Mutant, ...]:
    """Return the known wrong implementations of ``op``: its own, generic ones, those of size.

    Each is a mistake that was seen in a library, a course or a port. They are made of the right
    definitions with one part exchanged, so that each shows its own mistake and nothing else.
    """
    record = OPERATIONS[op]
    generic = generic_mutants(op, record.generic.split())
    return (*record.mutants(), *generic, *limit_mutants(op))
