"""The "numpy" backend: the definitions themselves, as `minideeplab.ops` and `crf` give them."""

from __future__ import annotations

from minideeplab.ops import *  # noqa: F403 - the same names, whatever they are
from minideeplab.ops import __all__ as _operations
from minideeplab.ops.crf.lattice import build_lattice, filter_lattice
from minideeplab.ops.crf.meanfield import mean_field

__all__ = [*_operations, "build_lattice", "filter_lattice", "mean_field"]
