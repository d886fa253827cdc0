"""Invalid arguments: the error names the argument, what it was and what was expected."""

import inspect

import numpy as np
import pytest

import minideeplab.functional as F
from minideeplab import Tensor, use_backend

X = np.zeros((2, 4, 5, 6))
W = np.zeros((6, 4, 3, 3))
SCORES, LABELS = np.zeros((2, 3, 4)), np.zeros((2, 4), np.int64)
FOUR = np.zeros(4)

WRONG_TYPES = {
    "list": (lambda: F.relu([1.0, 2.0]), "input: got list, expected a NumPy array or a Tensor"),
    "number": (lambda: F.softmax(1.0, 0), "input: got float"),
    "integers": (lambda: F.relu(np.arange(3)), "input: got dtype int64, expected float32 or"),
    "half": (lambda: F.relu(np.zeros(3, np.float16)), "input: got dtype float16"),
    "mixed": (
        lambda: F.conv2d(X, W.astype(np.float32)),
        "weight: got dtype float32, expected input's float64",
    ),
    "mixed bias": (lambda: F.linear(X, W[0, 0], FOUR.astype("f4")), "bias: got dtype float32"),
    "no weight": (lambda: F.conv2d(X, None), "weight: got NoneType, expected a NumPy array"),
    "no input": (lambda: F.conv2d(None, W), "input: got NoneType, expected a NumPy array"),
    "nothing to join": (lambda: F.cat([X, None]), r"tensors\[1\]: got NoneType"),
    "list weight": (lambda: F.conv2d(X, [[1.0]]), "weight: got list"),
    "stride": (lambda: F.conv2d(X, W, stride=1.5), "stride: got 1.5, expected an integer"),
    "bool stride": (lambda: F.conv2d(X, W, stride=True), "stride: got True, expected an integer"),
    "groups": (lambda: F.conv2d(X, W, groups=None), "groups: got None, expected an integer"),
    "kernel": (lambda: F.max_pool2d(X, (2, "2")), "kernel_size: got '2'"),
    "ceil_mode": (lambda: F.max_pool2d(X, 2, ceil_mode=1), "ceil_mode: got 1, expected True or"),
    "training": (lambda: F.dropout(X, training=1), "training: got 1, expected True or False"),
    "p": (lambda: F.dropout(X, "0.5"), "p: got '0.5', expected a number"),
    "rng": (lambda: F.dropout_rng(0).__enter__(), "generator: got int, expected a numpy.random"),
    "eps": (lambda: F.batch_norm(X, FOUR, FOUR, eps=None), "eps: got None, expected a number"),
    "scale": (lambda: F.interpolate(X, scale_factor="2"), "scale_factor: got '2'"),
    "size": (lambda: F.interpolate(X, (2.0, 3.0)), "size: got 2.0, expected an integer"),
    "pad": (lambda: F.pad(X, 1), r"pad: got 1, expected a tuple of integers"),
    "pad element": (lambda: F.pad(X, (1.0, 1)), "pad: got 1.0, expected an integer"),
    "softmax dtype": (lambda: F.softmax(X, 1, dtype=np.int64), "dtype: got .*int64"),
    "target type": (lambda: F.cross_entropy(SCORES, [0, 1]), "target: got list"),
    "bool target": (lambda: F.cross_entropy(SCORES, LABELS > 0), "target: got dtype bool"),
    "target precision": (
        lambda: F.cross_entropy(SCORES, SCORES.astype(np.float32)),
        "target: got dtype float32, expected integers or input's float64",
    ),
    "ignore_index": (
        lambda: F.cross_entropy(SCORES, LABELS, ignore_index=0.5),
        "ignore_index: got 0.5, expected an integer",
    ),
    "cat": (lambda: F.cat(X), "tensors: got"),
}

WRONG_VALUES = {
    "three axes too few": (lambda: F.conv2d(X[0, 0], W), r"input: got shape \(5, 6\), expected"),
    "no rows": (lambda: F.conv2d(X[:, :, :0], W), r"input: got shape \(2, 4, 0, 6\)"),
    "weight axes": (lambda: F.conv2d(X, W[0]), r"weight: got shape \(4, 3, 3\), expected four"),
    "weight channels": (
        lambda: F.conv2d(X, W[:, :3]),
        r"weight: got shape \(6, 3, 3, 3\), expected .*4 input channels",
    ),
    "weight groups": (lambda: F.conv2d(X, W, groups=2), "4 input channels / 2 groups"),
    "groups": (lambda: F.conv2d(X, W[:5, :2], groups=2), "groups: got 2, expected a divisor of"),
    "bias": (lambda: F.conv2d(X, W, FOUR), r"bias: got shape \(4,\), expected \(6,\)"),
    "stride 0": (lambda: F.conv2d(X, W, stride=0), "stride: got 0, expected an integer of at lea"),
    "dilation 0": (lambda: F.conv2d(X, W, dilation=(1, 0)), "dilation: got 0"),
    "padding -1": (lambda: F.conv2d(X, W, padding=-1), "padding: got -1, expected an integer of"),
    "three strides": (lambda: F.conv2d(X, W, stride=(1, 1, 1)), r"stride: got \(1, 1, 1\)"),
    "padding word": (
        lambda: F.conv2d(X, W, padding="full"),
        "padding: got 'full', expected 'same' or 'valid'",
    ),
    "same, strided": (lambda: F.conv2d(X, W, padding="same", stride=2), "expected stride 1"),
    "kernel too large": (
        lambda: F.conv2d(X, W, dilation=3),
        r"input: got shape .*, expected H, W of at least \(7, 7\)",
    ),
    "transposed weight": (lambda: F.conv_transpose2d(X, W), r"weight: got .*\(4 input channels"),
    "output_padding": (
        lambda: F.conv_transpose2d(X, W[:4], output_padding=1),
        r"output_padding: got \(1, 1\), expected less than stride or dilation",
    ),
    "nothing left": (lambda: F.conv_transpose2d(X, W[:4], padding=4), r"padding: got \(4, 4\)"),
    "linear": (lambda: F.linear(X, FOUR), r"weight: got shape \(4,\), expected \(O, I\)"),
    "linear bias": (lambda: F.linear(X, W[0, 0].T[:2].repeat(2, 1), FOUR), "bias: got shape"),
    "pool kernel 0": (lambda: F.max_pool2d(X, 0), "kernel_size: got 0"),
    "pool too large": (lambda: F.avg_pool2d(X, 7), r"kernel_size: got \(7, 7\) .* \(5, 6\) pixels"),
    "pool padding": (
        lambda: F.max_pool2d(X, 3, padding=2),
        r"padding: got \(2, 2\), expected at most half of kernel_size \(3, 3\)",
    ),
    "divisor": (lambda: F.avg_pool2d(X, 2, divisor_override=0), "divisor_override: got 0"),
    "adaptive": (lambda: F.adaptive_avg_pool2d(X, (1, 2, 3)), r"output_size: got \(1, 2, 3\)"),
    "unfold": (lambda: F.unfold(X, 7), r"kernel_size: got \(7, 7\)"),
    "fold taps": (lambda: F.fold(np.zeros((1, 7, 4)), 3, 2), "input: .*a multiple of 4 taps"),
    "fold windows": (lambda: F.fold(np.zeros((1, 8, 5)), 3, 2), "input: got .*4 windows"),
    "resize nothing": (lambda: F.interpolate(X), "size, scale_factor: got None and None, expected"),
    "resize both": (lambda: F.interpolate(X, 3, 2.0), "expected exactly one of them"),
    "resize mode": (
        lambda: F.interpolate(X, 3, mode="bicubic"),
        "mode: got 'bicubic', expected 'n",
    ),
    "resize corners": (
        lambda: F.interpolate(X, 3, align_corners=True),
        "align_corners: got True, expected None for mode 'nearest'",
    ),
    "resize single": (lambda: F.interpolate(X[0], 3), r"input: got shape \(4, 5, 6\)"),
    "resize away": (lambda: F.interpolate(X, scale_factor=0.1), "scale_factor: got 0.1, expected"),
    "resize to 0": (lambda: F.interpolate(X, (0, 1)), "size: got 0"),
    "antialias": (lambda: F.interpolate(X, 3, antialias=True), "antialias: got True"),
    "recompute": (
        lambda: F.interpolate(X, 3, recompute_scale_factor=True),
        "recompute_scale_factor: got True, expected a scale_factor",
    ),
    "pad odd": (lambda: F.pad(X, (1, 1, 1)), "pad: got 3 numbers, expected two for each axis"),
    "pad reflect": (lambda: F.pad(X, (6, 0, 0, 0), "reflect"), r"pad: got \(6, 0\) .* at most 5"),
    "pad mode": (lambda: F.pad(X, (1, 1), "mirror"), "mode: got 'mirror', expected 'constant' or"),
    "pad value": (lambda: F.pad(X, (1, 1, 1, 1), "reflect", 2.0), "value: got 2.0, expected None"),
    "pad axes": (lambda: F.pad(X, (1, 1), "reflect"), r"pad: got 2 numbers .*\(2, 4, 5, 6\)"),
    "pad crops all": (lambda: F.pad(X, (-4, -3)), r"pad: got \(-4, -3\)"),
    "dim": (lambda: F.softmax(X, 4), r"dim: got 4, expected an axis of shape \(2, 4, 5, 6\)"),
    "negative dim": (lambda: F.log_softmax(X, -5), "dim: got -5"),
    "p": (lambda: F.dropout(X, 1.5), "p: got 1.5, expected a probability between 0 and 1"),
    "target shape": (
        lambda: F.cross_entropy(SCORES, LABELS[:1]),
        r"target: got shape \(1, 4\), expected \(2, 4\) for class labels",
    ),
    "one-hot labels": (lambda: F.cross_entropy(SCORES, SCORES.astype(int)), "for class labels"),
    "probabilities": (
        lambda: F.cross_entropy(SCORES, SCORES[:, :2]),
        r"target: got shape \(2, 2, 4\), expected \(2, 3, 4\) for class probabilities",
    ),
    "label": (
        lambda: F.cross_entropy(SCORES, LABELS + 3),
        "target: got label 3, expected 0 to 2, or ignore_index -100",
    ),
    "ignored probabilities": (
        lambda: F.cross_entropy(SCORES, SCORES, ignore_index=1),
        "ignore_index: got 1, expected none",
    ),
    "class weights": (lambda: F.cross_entropy(SCORES, LABELS, FOUR), r"weight: got shape \(4,\)"),
    "reduction": (lambda: F.cross_entropy(SCORES, LABELS, reduction="avg"), "reduction: got 'avg'"),
    "smoothing": (
        lambda: F.cross_entropy(SCORES, LABELS, label_smoothing=2.0),
        "label_smoothing: got 2.0, expected a number from 0 to 1",
    ),
    "one value": (
        lambda: F.batch_norm(np.zeros((1, 4)), None, None, training=True),
        "input: got .*more than one value a channel when training",
    ),
    "no statistics": (lambda: F.batch_norm(X, None, None), "running_mean, running_var: got None"),
    "statistics": (lambda: F.batch_norm(X, FOUR, FOUR[:3]), r"running_var: got shape \(3,\)"),
    "one axis": (lambda: F.batch_norm(FOUR, FOUR, FOUR), r"input: got .*expected \(N, C, ...\)"),
    "cat": (lambda: F.cat([X, X[:, :, :2]], 1), r"tensors\[1\]: got shape \(2, 4, 2, 6\)"),
    "cat dim": (lambda: F.cat([X], 4), "dim: got 4"),
}


@pytest.mark.parametrize("name", WRONG_TYPES)
def test_wrong_type(name):
    call, message = WRONG_TYPES[name]
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.parametrize("name", WRONG_VALUES)
def test_wrong_value(name):
    call, message = WRONG_VALUES[name]
    with pytest.raises(ValueError, match=message):
        call()


def test_running_statistics_are_untouched_by_a_refused_call():
    mean = np.ones(4)
    with pytest.raises(ValueError, match="weight"):
        F.batch_norm(X, mean, np.ones(4), np.ones(3), training=True)
    np.testing.assert_array_equal(mean, np.ones(4))


def test_missing_dim_warns_and_is_chosen_as_torch_does():
    with pytest.warns(UserWarning, match="dim: missing, 1 is assumed"):
        y = F.softmax(X)
    np.testing.assert_array_equal(y.sum(axis=1), np.ones((2, 5, 6)))


def test_plain_arrays_give_plain_arrays_and_tensors_give_tensors():
    scores = Tensor(SCORES)
    assert type(F.cross_entropy(SCORES, LABELS)) is np.ndarray
    assert type(F.cross_entropy(scores, LABELS)) is Tensor
    assert type(F.conv2d(X, Tensor(W))) is Tensor
    values, indices = F.max_pool2d(Tensor(X), 2, return_indices=True)
    assert type(values) is type(indices) is Tensor and indices.dtype == np.int64


def test_dropout_follows_the_generator_of_its_context():
    with F.dropout_rng(np.random.default_rng([7, 3])):
        first = F.dropout(X + 1)
    with F.dropout_rng(np.random.default_rng([7, 3])):
        again = F.dropout(X + 1)
    np.testing.assert_array_equal(first, again)
    assert set(np.unique(first)) == {0.0, 2.0}
    assert (F.dropout(X + 1) != first).any()


def test_gradient_of_class_probabilities():
    rng = np.random.default_rng(0)
    scores, weight = rng.normal(size=(2, 3, 4)), np.array([1.0, 2.0, 3.0])
    target = Tensor(rng.random((2, 3, 4)), requires_grad=True)
    loss = F.cross_entropy(scores, target, weight, label_smoothing=0.1)
    plain = F.cross_entropy(scores, target.data, weight, label_smoothing=0.1)
    np.testing.assert_allclose(loss, plain)
    loss.backward()
    expected = -0.9 * weight[:, None] * F.log_softmax(scores, 1) / 8
    np.testing.assert_allclose(target.grad, expected)


def test_a_backend_with_one_convolution_takes_the_options_that_do_not_name_another():
    with use_backend("numpy"):
        plain = F.conv2d(X + 1, W + 1)
        np.testing.assert_array_equal(F.conv2d(X + 1, W + 1, exact=True, explain=True), plain)
        with pytest.raises(ValueError, match="algorithm: got 'winograd', expected 'auto'"):
            F.conv2d(X, W, algorithm="winograd")
    with pytest.raises(TypeError, match="exact: got 1, expected True or False"):
        F.conv2d(X, W, exact=1)


@pytest.mark.parametrize("name", sorted(set(F.__all__) - {"cat", "dropout_rng", "maximum"}))
def test_signature_is_that_of_torch(name):
    functional = pytest.importorskip("torch").nn.functional
    documented = {  # dispatched or built in: torch shows no signature of its own
        "conv2d": "input weight bias stride padding dilation groups",
        "conv_transpose2d": "input weight bias stride padding output_padding groups dilation",
        "linear": "input weight bias",
        "max_pool2d": "input kernel_size stride padding dilation ceil_mode return_indices",
        "avg_pool2d": "input kernel_size stride padding ceil_mode count_include_pad "
        "divisor_override",
        "pad": "input pad mode value",
    }
    ours = inspect.signature(getattr(F, name)).parameters
    if name in documented:
        shared = [p for p in ours.values() if p.kind != p.KEYWORD_ONLY]  # ours alone follow *
        assert " ".join(p.name for p in shared) == documented[name]
    else:
        theirs = inspect.signature(getattr(functional, name)).parameters
        assert list(ours) == list(theirs)
        assert [p.default for p in ours.values()] == [p.default for p in theirs.values()]
