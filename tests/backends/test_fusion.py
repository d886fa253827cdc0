"""Fused convolution, batch norm and ReLU: the same numbers as one after the other."""

import numpy as np
import pytest

import minideeplab as mdl
import minideeplab.functional as F
from minideeplab import nn
from minideeplab.nn import run_layers

LAYERS = {  # channels, filters, kernel, stride, padding, dilation, groups
    "winograd": (32, 48, 3, 1, 1, 1, 1),
    "polyphase": (48, 32, 3, 1, 2, 2, 1),
    "taps": (32, 32, 3, 1, 30, 30, 1),
    "strided": (12, 20, 3, 2, 1, 1, 2),
    "pointwise": (32, 21, 1, 1, 0, 1, 1),
}
BACKENDS = ["numpy", "numba"]


def image(channels, dtype=np.float32):
    return np.random.default_rng(1).standard_normal((2, channels, 36, 45)).astype(dtype)


def layer(name):
    channels, filters, *options = LAYERS[name]
    conv = nn.Conv2d(channels, filters, *options, rng=np.random.default_rng(0))
    conv.bias.data[:] = np.linspace(-1, 1, filters)
    return conv


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", LAYERS)
def test_relu_joins_with_its_gradients(name, backend):
    results = []
    for apply in (lambda c, x: F.relu(c(x)), lambda c, x: run_layers([c, nn.ReLU()], x)):
        conv, x = layer(name), mdl.Tensor(image(LAYERS[name][0]), requires_grad=True)
        with mdl.use_backend(backend):
            y = apply(conv, x)
            y.backward(np.random.default_rng(2).standard_normal(y.shape, np.float32))
        results.append((y.data, x.grad, conv.weight.grad, conv.bias.grad))
    assert (results[0][0] == 0).any()
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=2e-5 * np.abs(one).max())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("rectify", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_batch_norm_joins_in_inference(name, rectify, backend):
    conv, norm = layer(name), nn.BatchNorm2d(LAYERS[name][1])
    conv.bias = None
    rng = np.random.default_rng(3)
    for array in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
        array[:] = rng.uniform(0.2, 1, len(array))
    norm.eval()
    x = image(LAYERS[name][0])
    with mdl.use_backend(backend), mdl.no_grad():
        expected = norm(conv(x))
        expected = F.relu(expected).data if rectify else expected.data
        y = run_layers([conv, norm, nn.ReLU()][: 2 + rectify], x)
    np.testing.assert_allclose(y.data, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("training", [False, True])
def test_batch_norm_stays_apart_while_recording(training):
    conv, norm, x = layer("winograd"), nn.BatchNorm2d(48), image(32)
    conv.bias = None
    norm.train(training)
    net = nn.Sequential(conv, norm)
    y = net(x)
    y.backward(np.ones(y.shape, np.float32))
    assert norm.weight.grad is not None and conv.weight.grad is not None
    assert training == bool(norm.running_mean.any())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("training", [False, True])
def test_batch_norm_joins_its_relu(training, backend):
    results = []
    for apply in (lambda n, x: F.relu(n(x)), lambda n, x: run_layers([n, nn.ReLU()], x)):
        norm, x = nn.BatchNorm2d(32), mdl.Tensor(image(32), requires_grad=True)
        x.data[0, 3, 2, 2] = np.nan if not training else 50
        norm.weight.data[:], norm.bias.data[:] = np.linspace(-1, 1, 32), np.linspace(1, -1, 32)
        norm.train(training)
        with mdl.use_backend(backend):
            y = apply(norm, x)
            y.backward(np.random.default_rng(2).standard_normal(y.shape, np.float32))
        gradients = [x.grad, norm.weight.grad, norm.bias.grad]
        results.append([y.data, norm.running_mean, norm.running_var, *gradients])
    assert (results[0][0] == 0).any()
    for one, other in zip(*results, strict=True):
        scale = np.nanmax(np.abs(one))
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6 * scale)


def test_a_nan_passes_the_relu():
    conv, x = layer("winograd"), image(32)
    x[0, 3, 20, 20] = np.nan
    expected = F.relu(conv(x)).data
    np.testing.assert_array_equal(
        np.isnan(run_layers([conv, nn.ReLU()], x).data), np.isnan(expected)
    )
    assert np.isnan(expected).any() and np.isfinite(expected).any()


def test_a_single_image_may_come_without_a_batch():
    conv = layer("winograd")
    assert run_layers([conv, nn.ReLU()], image(32)[0]).shape == (48, 36, 45)
