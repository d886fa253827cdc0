"""Recorded results of PyTorch, to test against where PyTorch is not installed.

``python -m minideeplab.testing.references`` writes them. Instead of whole arrays they hold a
sketch of each: a few random projections, in which any wrong entry shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from minideeplab.testing.case import FLOAT32_IN_TORCH, Case
from minideeplab.testing.compare import tolerance
from minideeplab.testing.definitions import operation
from minideeplab.testing.frameworks import library
from minideeplab.testing.library import Outcome
from minideeplab.testing.operations import NETWORK, cases

PROJECTIONS = 12
STAND_INS = {"nan": 1.2345, "posinf": 2.3456, "neginf": 3.4567}
DEFAULT_PATH = Path("tests/references/torch.npz")


def _finite(array: np.ndarray) -> np.ndarray:
    return np.nan_to_num(np.asarray(array, dtype=np.float64), **STAND_INS).ravel()


def _directions(size: int) -> np.ndarray:
    return np.random.default_rng(size).choice((-1.0, 1.0), (PROJECTIONS, size))


def sketch(array: np.ndarray) -> np.ndarray:
    """Return sums of the entries with random signs, shape (PROJECTIONS,).

    NaN and infinities count as arbitrary numbers, so that their places matter too.
    """
    values = _finite(array)
    return _directions(values.size) @ values


def results(case: Case, outcome: Outcome) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the key, which ends in the shape, and the array of each result of the row."""
    for what, value in outcome.items():
        if what != "inputs":
            yield f"{case.id}:{what}:{np.shape(value)}", np.asarray(value)


def recordable(op: str) -> list[Case]:
    """Return the rows of ``op`` whose results do not depend on chance, and torch has in float64."""
    return [case for case in cases(op) if not case.tags & {"random", FLOAT32_IN_TORCH}]


def write(path: Path = DEFAULT_PATH) -> int:
    """Record what PyTorch gives in float64 for every row, and return how many results."""
    torch = library("torch")
    keys, sketches = [], []
    for op in NETWORK:
        for case in recordable(op):
            outcome = torch.run(operation("torch", op), case, case.arguments("float64"))
            for key, array in results(case, outcome):
                keys.append(key)
                sketches.append(sketch(array))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.savez_compressed(file, keys=np.array(keys), sketches=np.array(sketches))
    return len(keys)


def disagreements(case: Case, outcome: Outcome, recorded: dict[str, np.ndarray]) -> list[str]:
    """Return the results of a float64 run of the row that are not the recorded ones."""
    wrong = []
    arguments = case.arguments("float64")
    for key, array in results(case, outcome):
        if key not in recorded:
            wrong.append(f"{key} is not among the recorded results")
            continue
        tol = tolerance(case, key.split(":")[1], arguments, outcome)
        rounding = float(np.finfo(np.float64).eps) * float(np.abs(_finite(array)).sum())
        room = 4.0 * (tol * np.sqrt(array.size) + rounding)
        if np.abs(sketch(array) - recorded[key]).max() > room:
            wrong.append(f"{key} differs from the recorded result")
    return wrong


def read(path: Path) -> dict[str, np.ndarray]:
    """Return the recorded sketches by key."""
    with np.load(path) as file:
        return dict(zip(file["keys"].tolist(), file["sketches"], strict=True))


if __name__ == "__main__":
    print(f"{write()} results written to {DEFAULT_PATH}")
