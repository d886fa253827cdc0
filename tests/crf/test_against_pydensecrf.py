"""Agreement with pydensecrf: recorded results, golden cases where present, and live."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from make_pydensecrf import CASES, TARGET, run_pydensecrf

from minideeplab import backends
from minideeplab.crf import DenseCRF
from minideeplab.crf.pairwise import NORMALIZATIONS

GOLDEN = sorted(Path(__file__).parents[2].joinpath("../shared/golden_crf").glob("*.npz"))
TOLERANCE = {np.float32: 5e-6, np.float64: 5e-5}
BACKENDS = ["numpy", "numba"]


@pytest.fixture(params=BACKENDS)
def backend(request):
    with backends.use_backend(request.param):
        yield request.param


@pytest.fixture(scope="module")
def recorded():
    with np.load(TARGET) as file:
        return dict(file)


def ours(image, unary, compat, normalization, widths, method="lattice"):
    sxy, srgb, small = widths
    mode = NORMALIZATIONS[normalization]
    crf = DenseCRF(unary, method)
    crf.add_gaussian(small, compat, normalization=mode)
    crf.add_bilateral(image, sxy, srgb, compat, normalization=mode)
    return crf


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_recorded(recorded, backend, name, dtype):
    *case, kl = json.loads(str(recorded["settings"]))[name]
    image, unary = recorded[f"{name} image"], recorded[f"{name} unary"].astype(dtype)
    crf = ours(image, unary, *case[2:])
    for iterations, expected in zip((1, 10), recorded[f"{name} q"], strict=True):
        q = crf.inference(iterations)
        assert q.dtype == dtype
        np.testing.assert_allclose(q, expected, rtol=0, atol=TOLERANCE[dtype])
    np.testing.assert_allclose(crf.kl_divergence(), kl, rtol=1e-4)


def golden_crf(data, dtype):
    crf = DenseCRF(data["unary"].astype(dtype))
    for k, term in enumerate(json.loads(str(data["params"]))["terms"]):
        mode = term["normalization"].removeprefix("NORMALIZE_").lower()
        options = {
            "compat": term["compat"],
            "kernel": term["kernel"].removesuffix("_KERNEL").lower(),
            "normalization": "none" if mode.startswith("no_") else mode,
        }
        if term["type"] == "addPairwiseGaussian":
            crf.add_gaussian(term["sxy"], **options)
        elif term["type"] == "addPairwiseBilateral":
            crf.add_bilateral(data["image"], term["sxy"], term["srgb"], **options)
        else:
            crf.add_pairwise(data[f"feats{k}"], **options)
    return crf


@pytest.mark.skipif(not GOLDEN, reason="the golden cases are not on this machine")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden(backend, path, dtype):
    data = np.load(path)
    crf = golden_crf(data, dtype)
    for iterations in (1, 5, 10):
        expected = data[f"Q{iterations}"]
        q = crf.inference(iterations)
        np.testing.assert_allclose(q, expected, rtol=0, atol=TOLERANCE[dtype])
    crf.start()
    for kl in data["kl"]:
        np.testing.assert_allclose(crf.kl_divergence(), kl, rtol=1e-4)
        crf.step()


@pytest.mark.parametrize("seed", range(6))
def test_live_on_random_cases(backend, seed):
    pytest.importorskip("pydensecrf.densecrf")
    rng = np.random.default_rng(seed)
    labels = int(rng.integers(2, 24))
    size = tuple(int(n) for n in rng.integers(5, 40, 2))
    compat = [3.0, rng.normal(size=labels).tolist(), rng.normal(size=(labels, labels)).tolist()]
    widths = (float(rng.uniform(5, 90)), float(rng.uniform(3, 40)), (2.5, 3.5))
    case = (size, labels, compat[seed % 3], int(rng.integers(1, 4)), widths)
    image, unary, expected, kl = run_pydensecrf(*case, seed=seed)
    crf = ours(image, unary, *case[2:])
    np.testing.assert_allclose(crf.inference(10), expected[1], rtol=0, atol=5e-6)
    np.testing.assert_allclose(crf.kl_divergence(), kl, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("name", ["symmetric", "after"])
def test_exact_mode_is_near(recorded, name):
    *case, _ = json.loads(str(recorded["settings"]))[name]
    image, unary = recorded[f"{name} image"], recorded[f"{name} unary"]
    lattice = ours(image, unary, *case[2:]).inference(5)
    exact = ours(image, unary, *case[2:], method="exact").inference(5)
    assert exact.dtype == np.float64
    assert 1e-5 < np.abs(exact - lattice).mean() < 0.015
    assert (exact.argmax(0) != lattice.argmax(0)).mean() < 0.04
