"""The former place of the known wrong implementations, which `operations` holds now."""

from minideeplab.testing.mutant import Mutant
from minideeplab.testing.operations import mutants

__all__ = ["Mutant", "mutants"]
