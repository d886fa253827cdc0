"""DenseCRF: the definition by dense algebra, steps, energies, conversions and bad input."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import scene

from minideeplab import backends
from minideeplab.crf import DenseCRF, DenseCRFBatch

SIZE, LABELS = (7, 9), 3


def softmax(x):
    return np.exp(x - x.max(0)) / np.exp(x - x.max(0)).sum(0)


@pytest.fixture(autouse=True)
def definition():
    with backends.use_backend("numpy"):
        yield


@pytest.fixture
def image_and_unary():
    return scene(*SIZE, LABELS)


def build(image, unary, method="lattice", self_term=True, **options):
    crf = DenseCRF(unary, method, self_term)
    crf.add_gaussian(3, 2.0, **options)
    crf.add_bilateral(image, (8, 6), (30, 40, 50), 3.0, **options)
    return crf


def dense_kernels(image, mode, self_term):
    """Both Khat as matrices, written out pixel by pixel."""
    y, x = (axis.ravel() for axis in np.mgrid[: SIZE[0], : SIZE[1]])
    colours = image.reshape(-1, 3).T / np.array([[30.0], [40], [50]])
    for f in (np.stack([x / 3, y / 3]), np.vstack([x / 8, y / 6, colours])):
        k = np.exp(-0.5 * ((f[:, :, None] - f[:, None, :]) ** 2).sum(axis=0))
        n = k.sum(axis=1)
        left = {"symmetric": n**-0.5, "after": 1 / n}.get(mode, np.ones_like(n))
        right = {"symmetric": n**-0.5, "before": 1 / n}.get(mode, np.ones_like(n))
        khat = left[:, None] * k * right
        yield khat if self_term else khat - np.diag(np.diag(khat))


@pytest.mark.parametrize("self_term", [True, False])
@pytest.mark.parametrize("mode", ["none", "before", "after", "symmetric"])
def test_exact_mode_against_dense_algebra(image_and_unary, mode, self_term):
    image, unary = image_and_unary
    u = unary.reshape(LABELS, -1).astype(np.float64)
    expected = softmax(-u)
    smooth, colour = dense_kernels(image, mode, self_term)
    for _ in range(4):
        expected = softmax(-u + 2 * expected @ smooth.T + 3 * expected @ colour.T)
    q = build(image, unary, "exact", self_term, normalization=mode).inference(4)
    np.testing.assert_allclose(q.reshape(LABELS, -1), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", ["lattice", "exact"])
def test_without_self_term_both_methods_come_close(image_and_unary, method):
    image, unary = image_and_unary
    with_self = build(image, unary, method).inference(5)
    without = build(image, unary, method, self_term=False).inference(5)
    other = build(image, unary, "exact", self_term=False).inference(5)
    assert np.abs(with_self - without).mean() > 1e-3
    assert np.abs(without - other).mean() < 0.03
    assert np.abs(with_self - other).mean() >= np.abs(without - other).mean()


def test_ten_steps_are_ten_iterations(image_and_unary):
    crf = build(*image_and_unary)
    whole = crf.inference(10)
    np.testing.assert_array_equal(crf.start(), softmax(-image_and_unary[1]))
    divergences = [crf.kl_divergence()]
    for _ in range(10):
        crf.step()
        divergences.append(crf.kl_divergence())
    np.testing.assert_array_equal(crf.q, whole)
    assert np.all(np.diff(divergences) < 1e-3)
    np.testing.assert_array_equal(crf.map(), whole.argmax(axis=0))


def test_signs_of_the_compatibilities(image_and_unary):
    """A number attracts; the same as a vector or matrix of energies with a minus."""
    image, unary = image_and_unary
    results = []
    for compat in (3.0, [-3.0] * LABELS, -3.0 * np.eye(LABELS), 3.0 * (1 - np.eye(LABELS))):
        crf = DenseCRF(unary.astype(np.float64))
        crf.add_bilateral(image, 8, 40, compat)
        results.append(crf.inference(5))
    for other in results[1:]:
        np.testing.assert_allclose(other, results[0], rtol=0, atol=1e-12)
    alone = DenseCRF(unary).inference(0)
    assert results[0].max(axis=0).mean() > alone.max(axis=0).mean() + 0.05


@pytest.mark.parametrize("kernel", ["const", "diag", "full"])
def test_kernel_type_does_not_change_inference(image_and_unary, kernel):
    a = build(*image_and_unary, kernel=kernel).inference(3)
    np.testing.assert_array_equal(a, build(*image_and_unary).inference(3))


def test_energies_of_a_labelling(image_and_unary):
    image, unary = image_and_unary
    labels = np.random.default_rng(0).integers(0, LABELS, SIZE)
    crf = build(image, unary, "exact")
    smooth, colour = dense_kernels(image, "symmetric", True)
    same = labels.ravel()[:, None] == labels.ravel()
    pairs = -(2 * smooth + 3 * colour) * same
    np.testing.assert_allclose(crf.pairwise_energy(labels).ravel(), pairs.sum(1), rtol=1e-12)
    first = crf.pairwise_energy(labels, term=0).ravel()
    np.testing.assert_allclose(first, -(2 * smooth * same).sum(1), rtol=1e-12)
    u = np.take_along_axis(unary, labels[None], 0)[0]
    np.testing.assert_array_equal(crf.unary_energy(labels), u)
    np.testing.assert_allclose(crf.energy(labels), u.sum() + pairs.sum() / 2, rtol=1e-12)


def test_free_energy_of_a_certain_q_is_the_energy(image_and_unary):
    crf = build(*image_and_unary, "exact")
    labels = crf.map()
    certain = np.eye(LABELS)[labels].transpose(2, 0, 1)
    np.testing.assert_allclose(crf.free_energy(certain), crf.energy(labels), rtol=1e-12)


def test_shapes_and_dtypes(image_and_unary):
    image, unary = image_and_unary
    flat = DenseCRF(unary.reshape(LABELS, -1))
    flat.add_pairwise(np.random.default_rng(0).normal(size=(4, 63)), 1.0)
    assert flat.inference(2).shape == (LABELS, 63)
    for given, got in ((np.float16, np.float32), (np.int64, np.float64), (np.float64, np.float64)):
        assert build(image, unary.astype(given)).inference(1).dtype == got
    fortran = np.asfortranarray(unary)
    expected = build(image, unary).inference(2)
    np.testing.assert_array_equal(
        build(image[:, :, ::-1].copy()[:, :, ::-1], fortran).q.shape, (3, 7, 9)
    )
    np.testing.assert_array_equal(build(image, fortran).inference(2), expected)
    grey = DenseCRF(unary)
    grey.add_bilateral(image[:, :, 0], 5, 20, 1.0)
    assert grey.terms[0].kernel.corners.shape[0] == 4


def test_volume():
    unary = np.random.default_rng(0).random((2, 3, 4, 5))
    crf = DenseCRF(unary)
    crf.add_gaussian((1, 2, 3), 1.0)
    crf.add_bilateral(np.ones((3, 4, 5, 2), np.uint8), 2, 9, 1.0)
    x = crf.pairwise[0].features
    assert x.shape == (3, 60) and x[0, 1] == 1 and x[1, 5] == 0.5 and x[2, 20] == 1 / 3
    np.testing.assert_allclose(crf.inference(3).sum(axis=0), 1, rtol=1e-12)


def test_one_label_one_pixel():
    one = DenseCRF(np.zeros((1, 3, 3), np.float32))
    one.add_gaussian(1, 3)
    assert np.all(one.inference(5) == 1)
    pixel = DenseCRF(np.array([[[0.0]], [[1.0]]]))
    pixel.add_gaussian(3, 3)
    pixel.add_bilateral(np.zeros((1, 1, 3), np.uint8), 3, 3, 3)
    q = pixel.inference(10)
    assert q.shape == (2, 1, 1) and np.isfinite(q).all() and q[0] > q[1]


def test_batch_is_its_images():
    from concurrent.futures import ThreadPoolExecutor

    images, unaries = (
        np.stack(part) for part in zip(*[scene(*SIZE, LABELS, s) for s in range(3)], strict=True)
    )
    expected = np.stack([build(i, u).inference(4) for i, u in zip(images, unaries, strict=True)])
    with ThreadPoolExecutor(2) as executor:
        for pool in (None, executor):
            batch = DenseCRFBatch(unaries, executor=pool)
            batch.add_gaussian(3, 2.0)
            batch.add_bilateral(images, (8, 6), (30, 40, 50), 3.0)
            np.testing.assert_array_equal(batch.inference(4), expected)
            assert batch.map().shape == (3, *SIZE) and batch.kl_divergence().shape == (3,)
    with pytest.raises(ValueError, match="batch of 3"):
        batch.add_bilateral(images[:2], 3, 3, 3)


@pytest.mark.parametrize(
    ("unary", "error", "message"),
    [
        (np.zeros((0, 3, 3)), ValueError, "at least one label"),
        (np.zeros((2, 0, 3)), ValueError, "one pixel"),
        (np.zeros(4), ValueError, "shape"),
        (np.full((2, 3, 3), np.nan), ValueError, "unary must be finite, got NaN"),
        (np.full((2, 3, 3), np.inf), ValueError, "infinity"),
        (np.zeros((2, 3), complex), TypeError, "complex"),
        ([["a", "b"]], TypeError, "real numbers"),
    ],
)
def test_bad_unary(unary, error, message):
    with pytest.raises(error, match=message):
        DenseCRF(unary)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda crf: crf.add_gaussian(0, 1), "sxy must be positive"),
        (lambda crf: crf.add_gaussian((1, 2, 3), 1), "sxy must be a number or 2"),
        (lambda crf: crf.add_gaussian(np.nan, 1), "sxy must be positive"),
        (lambda crf: crf.add_gaussian(1, [1, 2]), "compat must be a number"),
        (lambda crf: crf.add_gaussian(1, np.nan), "compat must be finite"),
        (lambda crf: crf.add_gaussian(1, 1, kernel="diagonal"), "kernel must be one of"),
        (lambda crf: crf.add_gaussian(1, 1, normalization="sym"), "normalization must be"),
        (lambda crf: crf.add_bilateral(np.zeros((9, 7, 3)), 3, 3, 3), "height seem swapped"),
        (lambda crf: crf.add_bilateral(np.zeros((7, 9, 3)), 3, (3, 3), 3), "srgb must be"),
        (lambda crf: crf.add_bilateral(np.full((7, 9, 3), np.nan), 3, 3, 3), "image must be fin"),
        (lambda crf: crf.add_bilateral(np.full((7, 9, 3), 255), 3, 1e-4, 3), "too small"),
        (lambda crf: crf.add_pairwise(np.zeros((2, 62)), 1), r"features must have shape \(D, 63"),
        (lambda crf: crf.inference(-1), "iterations must not be negative"),
        (lambda crf: crf.kl_divergence(np.zeros((3, 9, 7))), "q must have shape"),
        (lambda crf: crf.energy(np.full((7, 9), 3)), "labels must be in 0..2"),
        (lambda crf: crf.energy(np.zeros((9, 7), int)), "labels must be integers of shape"),
        (lambda crf: crf.set_unary(np.zeros((3, 9, 7))), "unary must have shape"),
        (lambda crf: DenseCRF(np.zeros((2, 3)), method="fast"), "method must be one of"),
    ],
)
def test_bad_calls(call, message):
    with pytest.raises(ValueError, match=message):
        call(DenseCRF(np.zeros((3, 7, 9))))


def test_a_failed_term_leaves_the_crf_as_it_was(image_and_unary):
    crf = build(*image_and_unary)
    before = crf.inference(3)
    with pytest.raises(ValueError, match="too small"):
        crf.add_bilateral(np.full((7, 9, 3), 255), 3, 1e-4, 3)
    np.testing.assert_array_equal(crf.inference(3), before)


def test_float_images_outside_grey_values_are_features_like_any(image_and_unary):
    """Only differences of colours matter."""
    image, unary = image_and_unary
    a, b = DenseCRF(unary, "exact"), DenseCRF(unary, "exact")
    a.add_bilateral(image, 9, 30, 3)
    b.add_bilateral(image.astype(np.float64) - 120.5, 9, 30, 3)
    np.testing.assert_allclose(a.inference(5), b.inference(5), atol=1e-12)
