"""Autodiff: gradients of formulas, how they accumulate, and invalid calls."""

import numpy as np
import pytest

import minideeplab.functional as F
from minideeplab import Tensor, no_grad
from minideeplab.tensor import record

RNG = np.random.default_rng(0)


def leaf(*shape, dtype=np.float64):
    return Tensor(RNG.normal(size=shape).astype(dtype), requires_grad=True)


def numerical(f, tensors, step=1e-6):
    """Gradient of the number f() with respect to the elements of each tensor."""
    gradients = []
    for tensor in tensors:
        gradient = np.zeros_like(tensor.data)
        for index in np.ndindex(tensor.shape):
            kept = tensor.data[index]
            tensor.data[index] = kept + step
            above = f().item()
            tensor.data[index] = kept - step
            gradient[index] = (above - f().item()) / (2 * step)
            tensor.data[index] = kept
        gradients.append(gradient)
    return gradients


FORMULAS = {
    "add": (lambda a, b: a + b, (2, 3), (3,)),
    "add itself": (lambda a, _: a + a, (2, 3), ()),
    "subtract": (lambda a, b: a - b, (2, 1), (1, 3)),
    "multiply": (lambda a, b: a * b, (4, 2, 3), (2, 1)),
    "divide": (lambda a, b: a / (b * b + 1), (2, 3), (2, 3)),
    "reflected": (lambda a, b: (2 - a) * 3 + 1 / (b * b + 1), (3,), (3,)),
    "power": (lambda a, b: (a * a + 1) ** 1.5 - b**3, (3,), (3,)),
    "negate": (lambda a, b: -a * b, (2, 2), ()),
    "matmul": (lambda a, b: a @ b, (2, 3), (3, 4)),
    "matmul of stacks": (lambda a, b: a @ b, (5, 2, 3), (3, 4)),
    "sum": (lambda a, b: a * b.sum(axis=0) + b.sum(axis=(0, 1), keepdims=True), (3,), (2, 3)),
    "mean": (lambda a, b: a.mean() * b + a.mean(axis=1), (2, 3), (2,)),
    "exp": (lambda a, b: (a * b).exp(), (2, 3), (3,)),
    "log": (lambda a, b: (a * a + 1).log() - b, (2, 3), (3,)),
    "sqrt": (lambda a, b: (a * a + 1).sqrt() * b, (2, 3), (3,)),
    "abs": (lambda a, b: a.abs() + abs(b) * 2, (2, 3), (3,)),
    "clip": (lambda a, b: a.clip(-0.5, 0.5) * a + b.clip(max=0.1) * b.clip(0.1), (5, 3), (3,)),
    "max": (lambda a, b: a.max() * b + a.max(axis=-1) - b.max(0), (3, 4), (3,)),
    "min": (lambda a, b: a.min((0, 2), keepdims=True) * a + b.min(), (2, 3, 2), (3,)),
    "softmax": (
        lambda a, b: (a - a.max(1, True)).exp() / (a - a.max(1, True)).exp().sum(1, True) * b,
        (2, 3),
        (3,),
    ),
    "T": (lambda a, b: a.T @ b.T, (3, 2), (4, 3)),
    "mask": (lambda a, b: a * (a > 0) + a[a < 0.1].sum() * b * (b <= a), (2, 3), (3,)),
    "reshape": (lambda a, b: a.reshape(3, 2) @ b.reshape((2, 1)), (2, 3), (2,)),
    "transpose": (lambda a, b: a.transpose(2, 0, 1) * b.transpose(), (2, 3, 4), (3, 2)),
    "slice": (lambda a, b: a[1:, ::-2] * b[..., None], (3, 4), (2,)),
    "repeated index": (lambda a, b: a[np.array([0, 2, 0])] * b, (3, 2), (2,)),
    "cat": (lambda a, b: F.cat([a, b, a], dim=-1), (2, 3), (2, 1)),
    "maximum": (lambda a, b: F.maximum(a, b), (2, 3), (3,)),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_gradient_of_formula(name):
    formula, *shapes = FORMULAS[name]
    a, b = (leaf(*shape) for shape in shapes)
    cotangent = RNG.normal(size=formula(a, b).shape)
    formula(a, b).backward(cotangent)
    expected = numerical(lambda: (formula(a, b) * cotangent).sum(), [a, b])
    np.testing.assert_allclose(a.grad, expected[0], rtol=1e-6, atol=1e-8)
    if b.grad is not None:
        np.testing.assert_allclose(b.grad, expected[1], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", FORMULAS)
def test_formula_keeps_float32(name):
    formula, *shapes = FORMULAS[name]
    a, b = (leaf(*shape, dtype=np.float32) for shape in shapes)
    y = formula(a, b)
    y.backward(np.ones(y.shape))
    assert y.dtype == np.float32
    assert a.grad.dtype == np.float32
    assert isinstance(a.grad, np.ndarray)


@pytest.mark.parametrize(
    ("values", "extreme", "expected"),
    [
        ([1, 3, 3], lambda x: x.max(), [0, 0.5, 0.5]),
        ([1, 1, 3], lambda x: x.min(axis=0), [0.5, 0.5, 0]),
        ([np.nan, 5, np.nan], lambda x: x.max(), [0.5, 0, 0.5]),
    ],
)
def test_ties_and_nan_share_the_gradient_of_an_extremum_as_in_torch(values, extreme, expected):
    x = Tensor(np.array(values, float), requires_grad=True)
    y = extreme(x)
    y.backward()
    np.testing.assert_array_equal(y.data, np.max(values) if expected[0] == 0 else values[0])
    np.testing.assert_array_equal(x.grad, expected)


@pytest.mark.parametrize("edge", [-0.5, 0.5])
def test_clip_passes_the_gradient_at_its_bounds_as_torch_does(edge):
    x = Tensor(np.array([edge, 2 * edge]), requires_grad=True)
    x.clip(-0.5, 0.5).backward(np.ones(2))
    np.testing.assert_array_equal(x.grad, [1, 0])


def test_comparisons_are_masks_without_a_gradient():
    x = leaf(4)
    for mask, expected in (
        (x > 0, x.data > 0), (x >= x, True), (x < x * 2, x.data > 0), (0.5 <= x, x.data >= 0.5),
        (np.zeros(4) < x, x.data > 0),
    ):  # fmt: skip
        assert mask.dtype == bool and not mask.requires_grad
        np.testing.assert_array_equal(mask, np.broadcast_to(expected, 4))
    assert not (x.sum() > np.inf) and x.sum() < np.inf
    with pytest.raises(ValueError, match="ambiguous"):
        bool(x > 0)


def test_numpy_is_the_data_itself():
    x = leaf(2)
    assert x.numpy() is x.data


def test_gradients_accumulate_until_cleared():
    x = leaf(3)
    (x * 2).sum().backward()
    (x * 5).sum().backward()
    np.testing.assert_array_equal(x.grad, [7, 7, 7])
    x.grad = None
    (x * 2).sum().backward()
    np.testing.assert_array_equal(x.grad, [2, 2, 2])


def test_a_gradient_held_elsewhere_is_left_alone():
    x = leaf(3)
    (x * 2).sum().backward()
    held = x.grad
    (x * 2).sum().backward()
    np.testing.assert_array_equal(held, [2, 2, 2])


def test_gradients_of_two_leaves_share_no_memory():
    a, b = leaf(3), leaf(3)
    (a + b).backward(np.ones(3))
    a.grad *= 10
    np.testing.assert_array_equal(b.grad, [1, 1, 1])


def test_cotangent_is_neither_changed_nor_kept():
    x, cotangent = leaf(3), np.ones(3)
    x.reshape(3, 1).reshape(3).backward(cotangent)
    x.grad *= 10
    np.testing.assert_array_equal(cotangent, [1, 1, 1])


def test_shared_part_gets_the_sum_of_its_uses():
    x = leaf(2)
    shared = x * 3
    (shared * shared + shared).sum().backward()
    np.testing.assert_allclose(x.grad, 18 * x.data + 3)


def test_deep_history_needs_no_recursion():
    x = leaf(1)
    y = x
    for _ in range(5000):
        y = y + 1
    y.backward()
    np.testing.assert_array_equal(x.grad, [1])


def test_only_leaves_that_require_it_get_a_gradient():
    x, constant = leaf(2), Tensor(np.ones(2))
    middle = x * constant
    middle.sum().backward()
    assert constant.grad is None and middle.grad is None
    np.testing.assert_array_equal(x.grad, [1, 1])


def test_no_grad_records_nothing():
    x = leaf(2)
    with no_grad():
        y = x * 2
    assert not y.requires_grad
    assert (x * 2).requires_grad


def test_no_grad_decorates_a_function():
    @no_grad()
    def double(x):
        return x * 2

    assert not double(leaf(2)).requires_grad
    assert not double(leaf(2)).requires_grad


def test_no_grad_ends_with_an_exception():
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert (leaf(1) * 1).requires_grad


def test_detached_tensor_shares_data_but_no_history():
    x = leaf(2)
    assert x.detach().data is x.data
    with pytest.raises(RuntimeError, match="requires a gradient"):
        x.detach().backward(np.ones(2))


def test_second_backward_is_refused_and_changes_nothing():
    x = leaf(2)
    shared = x * 2
    loss, other = shared.sum(), (shared * x).sum()
    loss.backward()
    for used in (loss, other):
        with pytest.raises(RuntimeError, match="compute it again"):
            used.backward()
    np.testing.assert_array_equal(x.grad, [2, 2])


def test_cotangent_of_wrong_shape_is_refused_and_backward_still_possible():
    x = leaf(2, 3)
    y = x * 2
    with pytest.raises(ValueError, match=r"grad: got shape \(3, 2\), expected .*\(2, 3\)"):
        y.backward(np.ones((3, 2)))
    y.backward(np.ones((2, 3)))
    np.testing.assert_array_equal(x.grad, np.full((2, 3), 2))


def test_cotangent_is_needed_unless_there_is_one_element():
    with pytest.raises(RuntimeError, match=r"grad: missing .*\(2,\)"):
        (leaf(2) * 2).backward()
    x = leaf(1, 1)
    (x * 2).backward()
    assert x.grad.shape == (1, 1)


def test_history_is_freed():
    saved = np.ones(2)

    def backward(dy, needs):
        return (dy * saved,)

    x = leaf(2)
    y = record(x.data.copy(), (x,), backward)
    y.backward(np.ones(2))
    assert y.node.backward is None and y.node.inputs == ()


def test_record_says_which_inputs_want_a_gradient():
    seen = []

    def backward(dy, needs):
        seen.append(needs)
        return dy, None, None

    x = leaf(2)
    record(x.data * 1, (x, Tensor(np.ones(2)), None), backward).backward(np.ones(2))
    assert seen == [(True, False, False)]


def test_arrays_and_numbers_meet_tensors_from_both_sides():
    x = Tensor(np.array([1.0, 2.0], np.float32))
    for y in (np.ones(2, np.float32) + x, x + np.float64(1), np.float64(1) + x, 1 + x):
        assert isinstance(y, Tensor) and y.dtype == np.float32
        np.testing.assert_array_equal(y, [2, 3])


def test_tensor_is_read_like_an_array():
    data = np.arange(6.0).reshape(2, 3)
    x = Tensor(data)
    assert x.data is data and np.asarray(x) is data
    assert (x.shape, x.ndim, x.size, x.dtype, len(x)) == ((2, 3), 2, 6, np.float64, 2)
    assert x[1, 2].item() == 5.0 == float(x[1, 2])
    assert "requires_grad=True" in repr(leaf(1)) and "[0., 1., 2.]" in repr(x)
    assert np.array(x, np.float32).dtype == np.float32


@pytest.mark.parametrize(
    ("data", "requires_grad", "message"),
    [
        (np.arange(3), True, "got an array of int64, expected floats"),
        (np.array(["a"]), False, "expected real numbers"),
        (np.array([1j]), False, "complex128, expected real numbers"),
    ],
)
def test_data_must_be_numbers_and_floats_for_a_gradient(data, requires_grad, message):
    with pytest.raises(TypeError, match=f"data: .*{message}"):
        Tensor(data, requires_grad)


def test_wrong_operands():
    with pytest.raises(TypeError, match="operand: got str"):
        leaf(2) + "1"
    with pytest.raises(ValueError, match=r"@: got shapes \(2,\) and \(2, 2\)"):
        leaf(2) @ leaf(2, 2)
