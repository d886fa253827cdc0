"""Every row of the table, on every backend, against the definition, torch and what torch gave."""

import dataclasses
from pathlib import Path

import pytest

from minideeplab.backends import available_backends
from minideeplab.testing import references
from minideeplab.testing.definitions import operation
from minideeplab.testing.frameworks import Minideeplab
from minideeplab.testing.operations import NETWORK, OPERATIONS, cases
from minideeplab.testing.runner import DTYPES, check_row, framework_reference, judge, reference

RECORDED = Path(__file__).parent / "references" / "torch.npz"
BACKENDS = [name for name in available_backends() if name != "cuda"]


@pytest.fixture(scope="module")
def recorded():
    return references.read(RECORDED)


def complaints(op, backend, dtype, expected=lambda case: None):
    """Everything wrong on the rows of ``op``, a line each."""
    judged = Minideeplab(backend=backend)
    fn = operation("minideeplab", op)
    return "\n".join(
        f"{case.id}: {mismatch}"
        for case in cases(op)
        for mismatch in check_row(fn, case, dtype, judged, expected=expected(case))
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", NETWORK)
@pytest.mark.parametrize("backend", BACKENDS)
def test_agrees_with_definition(backend, op, dtype):
    assert not complaints(op, backend, dtype)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("op", NETWORK)
@pytest.mark.parametrize("backend", BACKENDS)
def test_agrees_with_torch(backend, op):
    pytest.importorskip("torch")
    assert not complaints(
        op, backend, "float64", lambda case: framework_reference(case, "float64", "torch")
    )


@pytest.mark.parametrize("op", NETWORK)
def test_definition_gives_what_torch_gave(op, recorded):
    judged = Minideeplab(backend="numpy")
    wrong = []
    for case in references.recordable(op):
        outcome = judged.run(operation("minideeplab", op), case, case.arguments("float64"))
        wrong += references.disagreements(case, outcome, recorded)
    assert not wrong


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("op", ["conv2d", "conv_transpose2d", "linear", "batch_norm"])
def test_each_gradient_alone(op, backend):
    """A gradient that nobody asks for is not computed; the others must not notice."""
    judged, fn, wrong = Minideeplab(backend=backend), operation("minideeplab", op), []
    for case in cases(op)[:4] + [case for case in cases(op) if "everything" in case.name]:
        whole = reference(case, "float64")
        for name in case.differentiable:
            alone = dataclasses.replace(case, differentiable=(name,))
            outcome = judged.run(fn, alone, alone.arguments("float64"))
            assert {key for key in outcome if key.startswith("grad")} == {f"grad_{name}"}
            wrong += judge(case, case.arguments("float64"), outcome, whole)
    assert not wrong


def test_names_are_unique():
    ids = [case.id for op in OPERATIONS for case in cases(op)]
    assert len(ids) == len(set(ids)) > 400
