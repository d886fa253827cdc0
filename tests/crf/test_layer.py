"""CRF-RNN: its forward against DenseCRF, its gradients, and training end to end."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import scene

from minideeplab import backends, crf
from minideeplab import functional as F
from minideeplab.crf import CRFasRNN, DenseCRF
from minideeplab.tensor import Tensor


@pytest.fixture(autouse=True)
def definition():
    with backends.use_backend("numpy"):
        yield


def batch(count=2, size=(6, 5), labels=3):
    scenes = [scene(*size, labels, seed) for seed in range(count)]
    images, unaries = (np.stack(part) for part in zip(*scenes, strict=True))
    return images, -unaries.astype(np.float64)


def test_first_state_is_a_dense_crf():
    """With W = w I and M = I the layer is mean field with Potts terms."""
    images, scores = batch()
    layer = CRFasRNN(3, 4, 8, 30, 2, spatial_weight=1.5, bilateral_weight=2)
    refined = layer(scores, images).data
    for image, s, r in zip(images, scores, refined, strict=True):
        crf = DenseCRF(-s)
        crf.add_gaussian(2, 1.5, normalization="after")
        crf.add_bilateral(image, 8, 30, 2.0, normalization="after")
        expected = crf.inference(4)
        np.testing.assert_allclose(F.softmax(r, 0), expected, atol=1e-9)


@pytest.mark.parametrize("normalization", ["after", "symmetric"])
def test_gradients(normalization):
    images, scores = batch()
    rng = np.random.default_rng(0)
    layer = CRFasRNN(3, 3, 4, 60, 2, normalization=normalization, learn_widths=True)
    layer = layer.astype(np.float64)
    for parameter in layer.parameters():
        parameter.data += rng.normal(0, 0.1, parameter.shape)
    x, cotangent = Tensor(scores, requires_grad=True), rng.normal(size=scores.shape)
    (layer(x, images) * cotangent).sum().backward()
    for name, tensor in [("scores", x), *layer.named_parameters()]:
        direction, origin, step = rng.normal(size=tensor.shape), tensor.data.copy(), 1e-6
        values = []
        for sign in (1, -1):
            tensor.data[...] = origin + sign * step * direction
            values.append((layer(scores, images).data * cotangent).sum())
            tensor.data[...] = origin
        slope = (values[0] - values[1]) / (2 * step)
        assert abs((tensor.grad * direction).sum() - slope) < 1e-5 * abs(slope), name


def training_scenes(count, seed, size=(20, 24)):
    """Two textures and a third class in a blob: images, truth."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    images, truths = [], []
    for _ in range(count):
        truth = (x > rng.integers(6, 18)).astype(int)
        truth[(y - rng.integers(5, 15)) ** 2 + (x - rng.integers(5, 19)) ** 2 < 20] = 2
        colours = np.array([[70, 90, 80], [120, 100, 90], [90, 140, 130]])
        image = colours[truth] + rng.normal(0, 45, (*size, 3))
        images.append(np.clip(image, 0, 255).astype(np.uint8))
        truths.append(truth)
    return np.stack(images), np.stack(truths)


def test_trained_end_to_end_it_beats_a_fixed_crf():
    """A one-layer network alone, with the CRF at its initial weights, and trained through it."""

    def scores_of(weight, bias, images):
        x = (images.transpose(0, 3, 1, 2).astype(np.float32) - 100) / 50
        return F.conv2d(x, weight, bias, padding=1)

    def fit(layer, steps, rate):
        rng = np.random.default_rng(0)
        weight = Tensor(rng.normal(0, 0.1, (3, 3, 3, 3)).astype(np.float32), requires_grad=True)
        bias = Tensor(np.zeros(3, np.float32), requires_grad=True)
        parameters = [weight, bias, *(layer.parameters() if layer else [])]
        for _ in range(steps):
            scores = scores_of(weight, bias, images)
            out = layer(scores, images) if layer else scores
            F.cross_entropy(out, truths).backward()
            for parameter in parameters:
                parameter.data -= rate * parameter.grad
                parameter.grad = None
        return weight.data, bias.data

    def accuracy(weights, layer=None):
        scores = scores_of(*weights, test_images)
        out = layer(scores, test_images).data if layer else scores
        return (out.argmax(axis=1) == test_truths).mean()

    images, truths = training_scenes(4, 0)
    test_images, test_truths = training_scenes(6, 1)

    def crf():
        return CRFasRNN(3, 3, 5, 100, 2, spatial_weight=0.5, bilateral_weight=0.5)

    alone = fit(None, 60, 1.0)
    layer = crf()
    initial = layer.compatibility.data.copy()
    together = fit(layer, 60, 1.0)
    plain, fixed, trained = accuracy(alone), accuracy(alone, crf()), accuracy(together, layer)
    assert fixed > plain
    assert trained > fixed + 0.02, (plain, fixed, trained)
    assert np.abs(layer.compatibility.data - initial).max() > 0.05


@pytest.mark.parametrize(
    ("scores", "images", "message"),
    [
        (np.zeros((1, 4, 5, 5)), np.zeros((1, 5, 5, 3)), r"scores must have shape \(N, 3"),
        (np.zeros((1, 3, 5, 6)), np.zeros((1, 6, 5, 3)), "images must have shape"),
        (np.zeros((2, 3, 5, 6)), np.zeros((1, 5, 6, 3)), "images must have shape"),
    ],
)
def test_bad_input(scores, images, message):
    with pytest.raises(ValueError, match=message):
        CRFasRNN(3)(scores, images)


def test_state_dict_and_bad_options():
    assert set(CRFasRNN(3).state_dict()) == {
        "spatial_weights",
        "bilateral_weights",
        "compatibility",
    }
    with pytest.raises(ValueError, match="iterations must be at least 1"):
        CRFasRNN(3, iterations=0)
    with pytest.raises(AttributeError, match="CRFasRMM"):
        _ = crf.CRFasRMM
