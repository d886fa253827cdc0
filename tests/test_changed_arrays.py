"""Arrays that change between forward and backward, and NumPy's functions of a Tensor."""

import numpy as np
import pytest

import minideeplab.functional as F
from minideeplab import Tensor, no_grad
from minideeplab.nn import Linear
from minideeplab.tape import detect_changes


def leaf(*shape):
    data = np.random.default_rng(0).random(shape, np.float32) + np.float32(0.5)
    return Tensor(data, requires_grad=True)


CHANGES = {
    "product": (lambda x, w: x * w, "w"),
    "quotient": (lambda x, w: w / x, "x"),
    "power": (lambda x, w: x**2, "x"),
    "matmul": (lambda x, w: x.reshape(6, 6) @ w.reshape(6, 6), "x"),
    "convolution's input": (lambda x, w: F.conv2d(x, w.reshape(4, 1, 3, 3)), "x"),
    "convolution's weight": (lambda x, w: F.conv2d(x, w.reshape(4, 1, 3, 3)), "w"),
    "relu's result": (lambda x, w: F.relu(x), "y"),
    "softmax's result": (lambda x, w: F.softmax(x, 1), "y"),
    "max pooling's input": (lambda x, w: F.max_pool2d(x, 2), "x"),
    "loss's scores": (lambda x, w: F.cross_entropy(x, np.zeros((1, 6, 6), np.int64)), "x"),
    "maximum": (lambda x, w: F.maximum(x, w.reshape(1, 1, 6, 6)), "w"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_array_is_an_error(name):
    function, changed = CHANGES[name]
    for change in (True, False):
        x, w = leaf(1, 1, 6, 6), leaf(36)
        with detect_changes():
            y = function(x, w if name not in ("product", "quotient") else w.reshape(1, 1, 6, 6))
        if change:
            {"x": x, "w": w, "y": y}[changed].data[...] *= 2
            with pytest.raises(RuntimeError, match="changed after the forward pass"):
                y.sum().backward()
            assert x.grad is None and w.grad is None
        else:
            y.sum().backward()
            assert x.grad is not None


def test_arrays_that_backward_does_not_read_may_change():
    x, w = leaf(2, 3), leaf(2, 3)
    with detect_changes():
        y = (x + w).reshape(6).sum() + x[0].sum() + F.pad(x.reshape(1, 1, 2, 3), (1, 1)).sum()
    x.data[...] = 0
    w.data[...] = 0
    y.backward()
    np.testing.assert_array_equal(x.grad, [[3, 3, 3], [2, 2, 2]])


def test_without_the_switch_nothing_is_kept():
    with detect_changes(False):
        y = leaf(3) * leaf(3)
    assert y.node.checksums == []


@pytest.mark.parametrize(
    ("numpys", "ours"),
    [
        (lambda x: np.sqrt(x), lambda x: x.sqrt()),
        (lambda x: np.exp(np.log(x)), lambda x: x.log().exp()),
        (lambda x: np.add(x, 1), lambda x: x + 1),
        (lambda x: np.float32(2) * x, lambda x: 2 * x),
        (lambda x: np.ones(3, np.float32) - x, lambda x: 1 - x),
        (lambda x: np.power(np.square(x), 2), lambda x: (x * x) ** 2),
        (lambda x: np.divide(1, np.negative(x)), lambda x: 1 / -x),
    ],
)
def test_numpys_functions_keep_the_gradient(numpys, ours):
    found, expected = leaf(3), leaf(3)
    numpys(found).sum().backward()
    ours(expected).sum().backward()
    np.testing.assert_array_equal(found.grad, expected.grad)


def test_numpys_functions_without_a_derivative_are_refused():
    x = leaf(3)
    for function in (np.tan, np.sin, lambda x: np.maximum(x, 0), lambda x: np.add.reduce(x)):
        with pytest.raises(TypeError, match="of a Tensor would lose its gradient"):
            function(x)
    with pytest.raises(TypeError, match="would lose its gradient"):
        total = np.zeros(3, np.float32)
        total += x
    with pytest.raises(TypeError, match="out is a Tensor"):
        np.add(1.0, 2.0, out=Tensor(np.zeros(())))
    assert np.isfinite(x).all() and np.tan(x.detach()).shape == (3,)
    with no_grad():
        assert np.tan(x).shape == (3,)


def test_truth_is_that_of_the_element():
    assert not Tensor(np.array([0.0])) and Tensor(np.array([2.0]))
    with pytest.raises(ValueError, match="ambiguous"):
        bool(Tensor(np.ones(2)))


@pytest.mark.parametrize("bad", [np.array(["a", "b"]), np.array([1j, 2]), [None, None]])
def test_a_state_dict_is_loaded_whole_or_not_at_all(bad):
    net = Linear(3, 2)
    before = {name: array.copy() for name, array in net.state_dict().items()}
    with pytest.raises(ValueError, match=r"bias: .* in the weights, expected real numbers"):
        net.load_state_dict({"weight": np.ones((2, 3)), "bias": bad})
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
