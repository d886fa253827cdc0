"""The gradient check accepts right gradients, and says where wrong ones are wrong."""

import numpy as np
import pytest

import minideeplab.functional as F
from minideeplab.tensor import Tensor, record
from minideeplab.testing import gradcheck

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.standard_normal(shape)


@pytest.mark.parametrize(
    ("f", "inputs"),
    [
        (lambda x: x * x, normal(3, 4)),
        (lambda x, w, b: F.conv2d(x, w, b, stride=2, padding=1),
         [normal(2, 3, 5, 6), normal(4, 3, 3, 2), normal(4)]),
        (lambda x: F.softmax(x, 1), normal(2, 5)),
        (lambda x: F.interpolate(x, size=(7, 3), mode="bilinear"), normal(1, 2, 4, 5)),
        (lambda x, t: F.cross_entropy(x, t), [normal(4, 3), np.array([0, 2, 1, 1])]),
        (lambda x: F.softmax(x * 1e3, 0), normal(4)),
    ],
)  # fmt: skip
def test_right_gradients_pass(f, inputs):
    assert gradcheck(f, inputs) is True


def test_tensor_that_requires_no_gradient_is_held_fixed():
    x, w = Tensor(normal(3), requires_grad=True), Tensor(normal(3))
    assert gradcheck(lambda x, w: x * w, [x, w])


def test_float32_inputs_are_widened():
    assert gradcheck(lambda x: x * x, normal(3).astype(np.float32))


def wrong_square(scale):
    def f(x):
        return record(x.data**2, [x], lambda dy, needs: (scale(2 * x.data * dy),))

    return f


@pytest.mark.parametrize(
    ("scale", "said"),
    [
        (lambda g: 0 * g, "all zero"),
        (lambda g: 3 * g, "3 times"),
        (lambda g: g[::-1], "backwards along axis 0"),
        (lambda g: g.T, "swapped"),
        (lambda g: g + 1e-4, "worst"),
    ],
)
def test_wrong_gradients_are_explained(scale, said):
    with pytest.raises(AssertionError, match=said):
        gradcheck(wrong_square(scale), normal(4, 4))


def test_a_single_wrong_entry_is_shown():
    def nudge(g):
        g = g.copy()
        g[2, 1] += 0.5
        return g

    with pytest.raises(AssertionError, match=r"\(2, 1\)"):
        gradcheck(wrong_square(nudge), normal(3, 4))


def test_written_backward():
    assert gradcheck(np.sin, normal(5), backward=lambda dy, x: dy * np.cos(x))
    with pytest.raises(AssertionError, match="-1 times"):
        gradcheck(np.sin, normal(5), backward=lambda dy, x: -dy * np.cos(x))


def test_nothing_to_differentiate():
    with pytest.raises(ValueError, match="no floating-point input"):
        gradcheck(lambda x: x, np.arange(3))


def test_gradient_of_another_shape():
    with pytest.raises(ValueError, match="shape"):
        gradcheck(np.sin, normal(5), backward=lambda dy, x: np.sum(dy * np.cos(x)))
