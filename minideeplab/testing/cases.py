"""The former place of the table of cases, which `operations` holds now."""

from minideeplab.testing.case import Array, Case
from minideeplab.testing.operations import CRF, NETWORK, OPERATIONS, cases

TABLE = {op: record.rows for op, record in OPERATIONS.items()}

__all__ = ["CRF", "NETWORK", "TABLE", "Array", "Case", "cases"]
