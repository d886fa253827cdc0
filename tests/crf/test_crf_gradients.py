"""Gradients through mean field against central differences, lattice and exact."""

from __future__ import annotations

import numpy as np
import pytest

from minideeplab import backends
from minideeplab.crf import DenseCRF
from minideeplab.crf.learning import hamming, intersection_over_union, log_likelihood

SIZE, C, ITERATIONS = (6, 7), 3, 3
RNG = np.random.default_rng(1)
IMAGE = RNG.integers(0, 256, (*SIZE, 3)).astype(np.float64)
UNARY, WEIGHT = RNG.normal(size=(2, C, *SIZE))
COMPATS = {"potts": np.array(1.5), "vector": RNG.normal(size=C), "matrix": RNG.normal(size=(C, C))}
SIGMAS = np.array([2.3, 1.7])
GREYS = np.array([50.0, 60, 70])


@pytest.fixture(autouse=True)
def definition():
    with backends.use_backend("numpy"):
        yield


def build(model, unary=UNARY, compat=None, sxy=SIGMAS, srgb=GREYS, parameters=None):
    method, mode, kernel, self_term, kind = model
    scale = 0.1 if mode == "none" else 1.0
    crf = DenseCRF(unary, method, self_term)
    crf.add_gaussian(sxy, 1.5 * scale, kernel, mode)
    compat = COMPATS[kind] * scale if compat is None else compat
    crf.add_bilateral(IMAGE, (3.1, 4.2), srgb, compat, kernel, mode)
    if parameters is not None:
        crf.set_kernel(0, parameters)
    return crf


def loss(crf):
    return float((np.sin(3 * crf.inference(ITERATIONS)) * WEIGHT).sum())


def slope(f, x, direction, step=1e-6):
    return (f(x + step * direction) - f(x - step * direction)) / (2 * step)


def check(f, x, gradient, seed=0):
    direction = np.random.default_rng(seed).normal(size=np.shape(x))
    found, expected = float(np.sum(gradient * direction)), slope(f, x, direction)
    assert abs(found - expected) < 1e-5 * abs(expected) + 1e-8


MODELS = [
    (method, mode, kernel, self_term, kind)
    for method in ("lattice", "exact")
    for mode, kernel, kind, self_term in [
        ("none", "diag", "potts", True),
        ("before", "full", "vector", True),
        ("after", "diag", "matrix", True),
        ("symmetric", "full", "matrix", True),
        ("symmetric", "diag", "potts", False),
        ("after", "full", "vector", False),
    ]
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: "-".join(map(str, model)))
def test_all_gradients(model):
    crf = build(model)
    start = crf.pairwise[0].parameters * 1.03 + 0.01
    crf.set_kernel(0, start)
    q, found = crf.gradients(lambda q: 3 * np.cos(3 * q) * WEIGHT, ITERATIONS)
    np.testing.assert_array_equal(q, crf.inference(ITERATIONS))
    smooth, colour = found.terms
    keep = {"parameters": start}
    check(lambda x: loss(build(model, unary=x, **keep)), UNARY, found.unary)
    check(lambda x: loss(build(model, compat=x, **keep)), crf.pairwise[1].compat, colour.compat)
    check(lambda x: loss(build(model, parameters=x)), start, smooth.kernel)
    check(lambda x: loss(build(model, sxy=x, **keep)), SIGMAS, smooth.widths)
    check(lambda x: loss(build(model, srgb=x, **keep)), GREYS, colour.widths[2:])
    compat = crf.pairwise[1].compat
    check(lambda x: loss(build(model, compat=x * compat, **keep)), np.array(1.0), colour.weight)


def test_fast_backend_gives_the_same_gradients():
    results = []
    for name in ("numpy", "numba"):
        with backends.use_backend(name):
            crf = DenseCRF(UNARY.astype(np.float32))
            crf.add_gaussian(2, 1.0)
            crf.add_bilateral(IMAGE, 3, 50, 2.0)
            results.append(crf.gradients(WEIGHT, ITERATIONS)[1])
    a, b = results
    np.testing.assert_allclose(a.unary, b.unary, rtol=0, atol=1e-5)
    np.testing.assert_allclose(a.terms[0].kernel, b.terms[0].kernel, rtol=1e-3, atol=1e-4)


def test_without_kernels_the_rest_is_the_same():
    crf = build(MODELS[0])
    full, quick = (crf.gradients(WEIGHT, 2, kernels)[1] for kernels in (True, False))
    np.testing.assert_array_equal(full.unary, quick.unary)
    assert full.terms[0].kernel.any() and not quick.terms[0].kernel.any()


TRUTH = RNG.integers(0, C + 1, SIZE)
TRUTH[TRUTH == C] = 255


@pytest.mark.parametrize(
    "objective",
    [
        log_likelihood(TRUTH),
        log_likelihood(TRUTH, robust=0.1),
        hamming(TRUTH),
        hamming(TRUTH, class_weights=np.array([1.0, 2, 5])),
        intersection_over_union(TRUTH),
        intersection_over_union(np.where(TRUTH == 1, 255, TRUTH)),
    ],
)
def test_gradients_of_objectives(objective):
    q = np.random.default_rng(2).dirichlet(np.ones(C), SIZE).transpose(2, 0, 1)
    check(lambda x: objective(x)[0], q, objective(q)[1])


def test_objectives_of_a_perfect_prediction():
    q = (np.arange(C)[:, None, None] == TRUTH).astype(float)
    assert log_likelihood(TRUTH)(q)[0] == 0
    assert abs(hamming(TRUTH)(q)[0] - 1) < 1e-12
    assert abs(intersection_over_union(TRUTH)(q)[0] - 1) < 1e-12
    with pytest.raises(ValueError, match="must label some pixel"):
        hamming(np.full(SIZE, 255))(q)
