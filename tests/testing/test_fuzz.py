"""A short run of random cases against torch; `minideeplab check fuzz` makes long ones."""

import numpy as np
import pytest

from minideeplab.cli import run
from minideeplab.testing.fuzz import Tally, fuzz, random_case
from minideeplab.testing.operations import NETWORK

SEED = 20261123


@pytest.mark.parametrize("op", NETWORK)
def test_agrees_with_torch(op):
    pytest.importorskip("torch")
    tally = Tally()
    found = list(fuzz(op, 40, SEED, ("numpy", "numba"), tally))
    assert not found, f"seed {SEED}\n" + "\n".join(map(str, found))
    assert tally.compared >= 20


@pytest.mark.parametrize("op", NETWORK)
def test_a_case_can_be_made_again(op):
    one, other = (random_case(op, 5, 3) for _ in range(2))
    assert one.options == other.options and one.id == other.id
    for name, array in one.arguments("float32").items():
        again = other.arguments("float32")[name]
        assert (array is None and again is None) or np.array_equal(array, again)


def test_disagreement_is_found(monkeypatch, capsys):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.nn.functional, "relu", lambda x: torch.nn.functional.leaky_relu(x))
    assert run(["check", "fuzz", "relu", "--count", "5", "--seed", "1"]) == 1
    said = capsys.readouterr().out
    assert "seed 1" in said and "relu/fuzz-1-" in said


def test_unknown_operation():
    with pytest.raises(ValueError, match="op must be one of"):
        random_case("conv9", 0, 0)
