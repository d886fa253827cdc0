"""refine: settings by name, shapes, tiles, batches and bad input."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import scene

from minideeplab import backends
from minideeplab.crf import PARAMETERS, CRFParameters, DenseCRF, refine, refinement
from minideeplab.crf.potentials import unary_from_labels, unary_from_probabilities


@pytest.fixture(autouse=True)
def definition():
    with backends.use_backend("numpy"):
        yield


def sample(height=20, width=24, labels=3, seed=0):
    image, unary = scene(height, width, labels, seed)
    p = np.exp(-unary)
    return image, p / p.sum(axis=0)


def test_is_a_gaussian_and_a_bilateral_kernel():
    image, p = sample()
    crf = DenseCRF(-np.log(np.clip(p, 1e-5, 1)))
    crf.add_gaussian(1, 3)
    crf.add_bilateral(image, 67, 3, 4)
    np.testing.assert_array_equal(refine(image, p, parameters="v2-resnet101"), crf.inference(10))


def test_published_settings():
    assert PARAMETERS["v1-largefov"] == CRFParameters(4, 121, 5, 3, 3)
    assert PARAMETERS["v2-resnet101"] == CRFParameters(4, 67, 3, 3, 1)
    image, p = sample()
    default = refine(image, p)
    np.testing.assert_array_equal(default, refine(image, p, 10, "v1-largefov"))
    after = refine(image, p, normalization="after")
    assert np.abs(default - after).max() > 1e-3


def test_batch_of_images():
    images, ps = (np.stack(part) for part in zip(sample(), sample(seed=1), strict=True))
    both = refine(images, ps, 3)
    for image, p, q in zip(images, ps, both, strict=True):
        np.testing.assert_array_equal(q, refine(image, p, 3))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtypes(dtype):
    image, p = sample()
    q = refine(image, p.astype(dtype), 2)
    assert q.dtype == (np.float64 if dtype == np.float64 else np.float32)
    np.testing.assert_allclose(q.sum(axis=0), 1, atol=1e-5)


@pytest.mark.parametrize("shape", [(900, 700), (300, 4000), (513, 513)])
def test_tiles_cover_every_pixel_within_the_bound(shape):
    tiles = list(refinement.tile_slices(shape, 200_000))
    covered = np.zeros(shape, int)
    for tile in tiles:
        covered[tile] += 1
        assert covered[tile].size <= 200_000
    assert covered.min() >= 1 and len(tiles) < 4 * np.prod(shape) / 200_000 + 2
    assert len(list(refinement.tile_slices(shape, np.prod(shape)))) == 1


def test_tiles_agree_with_the_whole():
    image, p = sample(100, 400)
    settings = CRFParameters(3, 12, 10)
    whole = refine(image, p, 3, settings)
    tiled = refine(image, p, 3, settings, max_pixels=30_000)
    assert 0 < np.abs(whole - tiled).max()
    assert np.abs(whole - tiled).mean() < 2e-3
    np.testing.assert_allclose(tiled.sum(axis=0), 1, atol=1e-5)
    with pytest.raises(ValueError, match="max_pixels must leave room"):
        refine(image, p, 3, settings, max_pixels=100)


IMAGE, P = sample()


@pytest.mark.parametrize(
    ("image", "p", "options", "message"),
    [
        (IMAGE.transpose(1, 0, 2), P, {}, "same height and width"),
        (IMAGE[:, :-1], P, {}, "same height and width"),
        (IMAGE, np.moveaxis(P, 0, -1), {}, "labels come first"),
        (IMAGE, P[0], {}, r"two labels pass np.stack\(\[1 - p, p\]\)"),
        (IMAGE, P[:1], {}, r"two labels pass np.concatenate\(\[1 - p, p\]\)"),
        (IMAGE > 99, P, {}, "0..1"),
        (IMAGE / 255, P, {}, "maximum 1.0?|0..1"),
        (IMAGE + 1000.0, P, {}, "values in 0..255"),
        (np.full(IMAGE.shape, np.nan), P, {}, "values in 0..255"),
        (IMAGE, P * 2, {}, "must be in|sum to 1"),
        (IMAGE, P / 2, {}, "sum to 1"),
        (IMAGE, np.log(P), {}, "softmax|in \\[0, 1\\]"),
        (IMAGE, P * np.nan, {}, "NaN"),
        (IMAGE, P, {"parameters": "v3"}, "v1-largefov"),
        (IMAGE, P, {"parameters": CRFParameters(4, 121, 1e-4)}, "too small"),
        (IMAGE, P[:0], {}, "not empty"),
        (IMAGE, P, {"iterations": -1}, "negative"),
    ],
)
def test_bad_input(image, p, options, message):
    with pytest.raises(ValueError, match=message):
        refine(image, p, **options)


def test_unary_from_labels():
    labels = np.array([[0, 1], [2, 9]])
    u = unary_from_labels(labels, 3, 0.8, unknown=9)
    p = np.exp(-u.astype(np.float64))
    np.testing.assert_allclose(p[:, 0, 1], [0.1, 0.8, 0.1], rtol=1e-6)
    np.testing.assert_allclose(p[:, 1, 1], 1 / 3, rtol=1e-6)
    assert unary_from_labels(labels * 0, 1).shape == (1, 2, 2)
    for bad, message in ((3, "labels must be in 0..2"), (-1, "labels must be in")):
        with pytest.raises(ValueError, match=message):
            unary_from_labels(np.array([bad]), 3)
    with pytest.raises(TypeError, match="integers"):
        unary_from_labels(np.zeros(3), 3)
    with pytest.raises(ValueError, match="certainty"):
        unary_from_labels(labels, 10, 1.0)


def test_unary_from_probabilities_clips():
    u = unary_from_probabilities(np.array([[0.0, 1.0], [1.0, 0.0]]), clip=1e-3)
    np.testing.assert_allclose(u, [[-np.log(1e-3), 0], [0, -np.log(1e-3)]])
