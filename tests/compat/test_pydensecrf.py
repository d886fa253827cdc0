"""The drop-in: pydensecrf's calls, quirks and results, and friendlier with arrays."""

from __future__ import annotations

import importlib
import subprocess
import sys

import numpy as np
import pytest

from minideeplab import backends
from minideeplab.compat.pydensecrf import densecrf as dcrf
from minideeplab.compat.pydensecrf import eigen, utils
from minideeplab.crf import DenseCRF


@pytest.fixture(autouse=True)
def definition():
    with backends.use_backend("numpy"):
        yield


W, H, C = 11, 7, 3
RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (H, W, 3)).astype(np.uint8)
P = RNG.dirichlet(np.ones(C), (H, W)).transpose(2, 0, 1).astype(np.float32).copy()


def crf_2d(module=dcrf, helpers=utils):
    crf = module.DenseCRF2D(W, H, C)
    crf.setUnaryEnergy(np.ascontiguousarray(helpers.unary_from_softmax(P)))
    return crf


def test_width_comes_first_and_x_before_y():
    crf = crf_2d()
    crf.addPairwiseGaussian(sxy=(2, 4), compat=3)
    crf.addPairwiseBilateral(sxy=(20, 30), srgb=(30, 40, 50), rgbim=IMAGE, compat=5)
    core = DenseCRF(-np.log(np.clip(P, 1e-5, 1)))
    core.add_gaussian((2, 4), 3)
    core.add_bilateral(IMAGE, (20, 30), (30, 40, 50), 5)
    q = crf.inference(5)
    assert isinstance(q, eigen.MatrixXf) and q.dtype == np.float32 and q.shape == (C, W * H)
    np.testing.assert_array_equal(np.array(q).reshape(C, H, W), core.inference(5))
    np.testing.assert_array_equal(np.argmax(q, axis=0).reshape(H, W), core.map())


def test_helpers_put_the_row_first():
    gaussian = utils.create_pairwise_gaussian((2, 4), (H, W))
    assert gaussian.dtype == np.float32 and gaussian.shape == (2, H * W)
    assert gaussian[0, 1] == 0 and gaussian[1, 1] == 0.25 and gaussian[0, W] == 0.5
    bilateral = utils.create_pairwise_bilateral((2, 4), (10, 20, 30), IMAGE, chdim=2)
    np.testing.assert_array_equal(bilateral[:2], gaussian)
    colours = IMAGE.reshape(-1, 3).T / np.float32([[10], [20], [30]])
    np.testing.assert_array_equal(bilateral[2:], colours.astype(np.float32))
    first = utils.create_pairwise_bilateral((2, 4), 10, IMAGE.transpose(2, 0, 1), chdim=0)
    assert np.array_equal(first[2], bilateral[2])
    assert utils.create_pairwise_bilateral((2, 4), 10, IMAGE[..., 0]).shape == (3, H * W)
    volume = utils.create_pairwise_gaussian((1, 2, 3), (3, 4, 5))
    assert volume.shape == (3, 60) and volume[2, 1] == np.float32(1 / 3) and volume[0, 20] == 1


def test_steps_in_place_are_the_iterations():
    crf = crf_2d()
    crf.addPairwiseGaussian(sxy=3, compat=3)
    q, tmp1, tmp2 = crf.startInference()
    kls = []
    for _ in range(4):
        kls.append(crf.klDivergence(q))
        crf.stepInference(q, tmp1, tmp2)
    np.testing.assert_array_equal(q, crf.inference(4))
    assert kls == sorted(kls, reverse=True)


def test_unary_from_labels_with_and_without_unknown():
    labels = np.array([[0, 1, 2], [3, 3, 0]])
    p = np.exp(-utils.unary_from_labels(labels, 3, 0.8).astype(np.float64))
    np.testing.assert_allclose(p[:, 0], 1 / 3, rtol=1e-6)
    np.testing.assert_allclose(p[:, 1], [0.8, 0.1, 0.1], rtol=1e-6)
    p = np.exp(-utils.unary_from_labels(labels, 4, 0.7, zero_unsure=False).astype(np.float64))
    np.testing.assert_allclose(p[:, 0], [0.7, 0.1, 0.1, 0.1], rtol=1e-6)
    with pytest.warns(DeprecationWarning, match="unary_from_labels"):
        old = utils.compute_unary(labels, 3, GT_PROB=0.8)
    np.testing.assert_array_equal(old, utils.unary_from_labels(labels, 3, 0.8))
    with pytest.warns(DeprecationWarning, match="unary_from_softmax"):
        old = utils.softmax_to_unary(P, GT_PROB=0.7)
    np.testing.assert_array_equal(old, utils.unary_from_softmax(P, scale=0.7, clip=None))


def test_arrays_are_converted_where_pydensecrf_fails():
    u = -np.log(P.reshape(C, -1))
    expected = None
    for given in (u, np.asfortranarray(u), u.astype(np.float64), u[:, ::-1].copy()[:, ::-1]):
        crf = dcrf.DenseCRF2D(W, H, C)
        crf.setUnaryEnergy(given)
        crf.addPairwiseBilateral(5, 20, np.asfortranarray(IMAGE).astype(np.float64), [-3, -3, -3])
        q = np.array(crf.inference(3))
        expected = q if expected is None else expected
        np.testing.assert_array_equal(q, expected)
    with pytest.raises(ValueError, match="float32 array, got float64"):
        crf.addPairwiseGaussian(3, np.array([1.0, 2.0, 3.0]))


def test_unaries_as_objects_and_without():
    crf = dcrf.DenseCRF(4, 2)
    np.testing.assert_array_equal(crf.inference(0), np.full((2, 4), 0.5))
    weights, f = np.array([[1.0, 2], [0, 1]]), np.arange(8.0).reshape(2, 4)
    crf.setUnary(dcrf.LogisticUnary(weights, f))
    a = np.array(crf.inference(0))
    crf.setUnaryEnergy(weights, f)
    np.testing.assert_array_equal(a, crf.inference(0))
    crf.setUnary(dcrf.ConstUnary(weights @ f))
    np.testing.assert_array_equal(a, crf.inference(0))


def test_constants():
    assert [dcrf.CONST_KERNEL, dcrf.DIAG_KERNEL, dcrf.FULL_KERNEL] == [0, 1, 2]
    names = ("NO_NORMALIZATION", "NORMALIZE_BEFORE", "NORMALIZE_AFTER", "NORMALIZE_SYMMETRIC")
    assert [getattr(dcrf, name) for name in names] == [0, 1, 2, 3]


def test_eigen_is_as_strict_as_the_original():
    matrix = np.arange(6, dtype=np.float32).reshape(2, 3)
    copy = eigen.matrixXf(matrix)
    matrix[0, 0] = 9
    assert copy[0, 0] == 0 and np.array_equal(eigen.vectorXf(matrix[1]), matrix[1])
    for wrong, error in (
        (matrix.astype(float), ValueError),
        (matrix[0], ValueError),
        (None, TypeError),
    ):
        with pytest.raises(error):
            eigen.matrixXf(wrong)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dcrf.DenseCRF(0, 2), "nvar must be at least 1"),
        (lambda: dcrf.DenseCRF2D(3, 3, 0), "nlabels must be at least 1"),
        (lambda: dcrf.DenseCRF(4, 2).setUnaryEnergy(np.zeros((4, 2))), "unary must have shape"),
        (lambda: dcrf.DenseCRF(4, 2).setUnaryEnergy(np.full((2, 4), np.nan)), "NaN"),
        (lambda: dcrf.DenseCRF(4, 2).addPairwiseEnergy(np.zeros((2, 5)), 3), "features must have"),
        (lambda: crf_2d().addPairwiseBilateral(3, 3, IMAGE.transpose(1, 0, 2), 3), "swapped"),
        (lambda: crf_2d().addPairwiseBilateral(3, 3, IMAGE[..., :2], 3), "create_pairwise_bilat"),
        (lambda: crf_2d().addPairwiseBilateral(3, 1e-4, IMAGE, 3), "too small"),
        (lambda: crf_2d().addPairwiseBilateral(3, 3, IMAGE / 255.0, 3), r"rgbim must .* in 0..255"),
        (lambda: crf_2d().addPairwiseBilateral(3, 3, IMAGE > 99, 3), r"rgbim must .* in 0..255"),
        (lambda: crf_2d().setUnaryEnergy(np.zeros((W * H, C))), "labels come first"),
        (lambda: crf_2d().setUnaryEnergy(np.full((C, W * H), np.inf)), "infinity for all"),
        (lambda: crf_2d().setUnaryEnergy(np.full((C, W * H), -np.inf)), "infinity"),
        (lambda: utils.unary_from_softmax(-P, clip=None), "sm must not be negative"),
        (lambda: utils.unary_from_labels([4], 3, 0.5), "labels must be in"),
        (lambda: utils.unary_from_labels([1], 3, 1.5), "certainty must be in"),
        (lambda: utils.unary_from_softmax(P * np.nan), "sm must be finite"),
        (lambda: utils.unary_from_softmax(P, scale=2), "scale must be in"),
        (lambda: utils.create_pairwise_gaussian((1, 2), (3, 4, 5)), "sdims must be"),
        (lambda: utils.create_pairwise_bilateral((1, 2), (1, 2), IMAGE, 2), "schan must be"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


HARD = np.array([[1, 0.5], [0, 0.5]], np.float32)  # the first pixel cannot have label 1


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("second", [np.inf, 1e31])
def test_infinite_energies_are_hard_constraints(backend, second):
    with backends.use_backend(backend):
        crf = dcrf.DenseCRF2D(2, 1, 2)
        energies = utils.unary_from_softmax(HARD, clip=None)
        assert energies[1, 0] == np.inf
        energies[1, 0] = second
        crf.setUnaryEnergy(energies)
        crf.addPairwiseGaussian(3, 3)
        q = crf.inference(5)
        expected = [[1, 0.93986], [0, 0.06014]]  # pydensecrf's
        np.testing.assert_allclose(np.array(q), expected, atol=1e-5)
        assert np.isfinite(crf.klDivergence(q))


def test_energies_above_any_padding():
    with backends.use_backend("numba"):
        crf = dcrf.DenseCRF2D(2, 1, 2)
        crf.setUnaryEnergy(np.array([[1e31, 0], [2e31, 0]]))
        crf.addPairwiseGaussian(3, 3)
        q = np.array(crf.inference(5))
    np.testing.assert_allclose(q, [[1, 0.93986], [0, 0.06014]], atol=1e-5)  # pydensecrf's


def test_counts_and_arguments_are_as_loose_as_the_original():
    for crf in (
        dcrf.DenseCRF2D(4.0, 3, 2),
        dcrf.DenseCRF2D(np.float64(4.7), 3, np.int64(2), 1, "x", n=3),
        dcrf.DenseCRF(12.0, 2, 7, n=7),
    ):
        crf.setUnaryEnergy(np.zeros((2, 12)))
        assert crf.inference(0).shape == (2, 12)
    with pytest.raises(TypeError, match="w must be an integer, got str"):
        dcrf.DenseCRF2D("4", 3, 2)


def test_private_helpers_of_the_original():
    a = utils._create_pairwise_gaussian_2d(2, 4, (H, W))
    np.testing.assert_array_equal(a, utils.create_pairwise_gaussian((2, 4), (H, W)))
    b = utils._create_pairwise_bilateral_2d(2, 4, 10, 20, 30, IMAGE)
    np.testing.assert_array_equal(
        b, utils.create_pairwise_bilateral((2, 4), (10, 20, 30), IMAGE, chdim=2)
    )


def test_installed_under_the_originals_name():
    lines = [
        "import minideeplab as mdl; mdl.compat.install_as_pydensecrf()",
        "import pydensecrf.densecrf as dcrf, pydensecrf",
        "from pydensecrf.utils import unary_from_softmax",
        "from pydensecrf import eigen",
        "assert dcrf.__name__ == 'minideeplab.compat.pydensecrf.densecrf'",
        "assert pydensecrf.densecrf is dcrf and pydensecrf.eigen is eigen",
    ]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)


def test_a_very_wide_image():
    width = 20_000
    sides = np.random.default_rng(0).random((1, width), np.float32)
    energies = np.concatenate([sides, 1 - sides]) * 3
    results = []
    for module in (dcrf, pytest.importorskip("pydensecrf.densecrf")):
        crf = module.DenseCRF2D(width, 1, 2)
        crf.setUnaryEnergy(energies)
        crf.addPairwiseGaussian(1, 3)
        results.append(np.array(crf.inference(3)))
    np.testing.assert_allclose(results[0], results[1], atol=2e-5)


def test_against_the_original():
    theirs = pytest.importorskip("pydensecrf.densecrf")
    helpers = importlib.import_module("pydensecrf.utils")
    results = []
    for module, tools in ((theirs, helpers), (dcrf, utils)):
        crf = crf_2d(module, tools)
        crf.addPairwiseGaussian(sxy=(2, 4), compat=3, normalization=module.NORMALIZE_AFTER)
        features = tools.create_pairwise_bilateral((5, 9), (20, 30, 40), IMAGE, chdim=2)
        compat = np.float32([[0, 1, 2], [1, 0, 1], [2, 1, -1]])
        crf.addPairwiseEnergy(features, compat, kernel=module.FULL_KERNEL)
        q, *scratch = crf.startInference()
        for _ in range(3):
            crf.stepInference(q, *scratch)
        results.append((np.array(q), crf.klDivergence(q)))
    np.testing.assert_allclose(results[1][0], results[0][0], rtol=0, atol=5e-6)
    np.testing.assert_allclose(results[1][1], results[0][1], rtol=1e-4)
    for scale in (None, 0.6):
        a, b = (tools.unary_from_softmax(P, scale=scale) for tools in (helpers, utils))
        np.testing.assert_array_equal(a, b)
