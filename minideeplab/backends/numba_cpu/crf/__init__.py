"""The dense CRF on the CPU: the permutohedral lattice and mean field, compiled."""

from __future__ import annotations

from minideeplab.backends.numba_cpu.crf.lattice import build_lattice, filter_lattice
from minideeplab.backends.numba_cpu.crf.meanfield import mean_field

__all__ = ["build_lattice", "filter_lattice", "mean_field"]
