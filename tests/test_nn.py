"""Modules: what they own, how it is named, saved and loaded, and what each layer computes."""

from __future__ import annotations

import numpy as np
import pytest

from minideeplab import Tensor, no_grad, use_backend
from minideeplab import functional as F
from minideeplab.nn import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Linear,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
)


@pytest.fixture(autouse=True)
def numpy_backend():
    with use_backend("numpy"):
        yield


class Net(Module):
    def __init__(self, seed=0):
        super().__init__()
        rng = np.random.default_rng(seed)
        self.stem = Sequential(conv=Conv2d(3, 4, 3, padding=1, rng=rng), bn=BatchNorm2d(4))
        self.drop = Dropout(0.5)
        self.score = Conv2d(4, 2, 1, bias=False, rng=rng)

    def forward(self, x):
        return self.score(self.drop(self.stem(x)))


def test_names_of_parameters_and_buffers():
    net = Net()
    parameters = ["stem.conv.weight", "stem.conv.bias", "stem.bn.weight", "stem.bn.bias"]
    assert [name for name, _ in net.named_parameters()] == parameters + ["score.weight"]
    buffers = ["stem.bn.running_mean", "stem.bn.running_var"]
    assert [name for name, _ in net.named_buffers()] == buffers
    assert set(net.state_dict()) == {*parameters, "score.weight", *buffers}


def test_state_dict_goes_into_another_net_by_value():
    one, two = Net(0), Net(1)
    two.load_state_dict(one.state_dict())
    one.score.weight.data[...] = 7
    assert not (two.score.weight.data == 7).any()
    np.testing.assert_array_equal(two.stem.conv.weight.data, one.stem.conv.weight.data)


def test_load_lists_every_mismatch_and_copies_nothing():
    net, state = Net(), {name: array + 1 for name, array in Net().state_dict().items()}
    before = net.stem.conv.weight.data.copy()
    state["score.weight"] = np.zeros((2, 5, 1, 1))
    state["extra.weight"] = np.zeros(3)
    del state["stem.bn.bias"]
    with pytest.raises(ValueError) as error:
        net.load_state_dict(state)
    lines = str(error.value).splitlines()
    assert any("score.weight" in x and "(2, 5, 1, 1)" in x and "(2, 4, 1, 1)" in x for x in lines)
    assert any("extra.weight" in x for x in lines) and any("stem.bn.bias" in x for x in lines)
    np.testing.assert_array_equal(net.stem.conv.weight.data, before)


def test_load_not_strict_passes_over_names_but_not_over_shapes():
    net = Net()
    net.load_state_dict({"score.weight": np.full((2, 4, 1, 1), 3.0), "other": np.zeros(1)}, False)
    assert (net.score.weight.data == 3).all() and net.score.weight.dtype == np.float32
    with pytest.raises(ValueError, match=r"stem\.conv\.weight"):
        net.load_state_dict({"stem.conv.weight": np.zeros((1, 4, 1, 1))}, strict=False)


def test_load_not_strict_passes_over_a_last_layer_of_other_classes_with_a_message():
    net, state = Net(), {name: array + 1 for name, array in Net().state_dict().items()}
    before = {name: array.copy() for name, array in net.state_dict().items()}
    state["score.weight"] = np.zeros((5, 4, 1, 1))
    with pytest.raises(ValueError, match=r"score\.weight: shape \(5, 4, 1, 1\)"):
        net.load_state_dict(state)
    with pytest.warns(UserWarning, match=r"kept: score\.weight: shape \(5, 4, 1, 1\)"):
        net.load_state_dict(state, strict=False)
    for name, array in net.state_dict().items():
        expected = before[name] if name.startswith("score") else state[name]
        np.testing.assert_array_equal(array, expected)


def test_load_ignores_the_batch_counters_of_torch():
    net, other = Net(), Net()
    state = {name: array + 1 for name, array in other.state_dict().items()}
    net.load_state_dict(state | {"stem.bn.num_batches_tracked": np.array(7)})
    assert net.state_dict().keys() == state.keys()
    assert all(np.array_equal(array, state[name]) for name, array in net.state_dict().items())


def test_train_and_eval_reach_every_layer():
    net = Net()
    assert net.eval() is net and not any(module.training for module in net.modules())
    assert all(module.training for module in net.train().modules())


def test_astype_converts_parameters_and_buffers():
    net = Net().astype(np.float64)
    assert {array.dtype for array in net.state_dict().values()} == {np.dtype(np.float64)}
    x = np.random.default_rng(0).standard_normal((1, 3, 5, 4))
    assert net.eval()(x).dtype == np.float64


def test_gradients_reach_every_parameter_and_are_forgotten():
    net = Net()
    scores = net(np.random.default_rng(0).standard_normal((2, 3, 5, 4)).astype(np.float32))
    scores.backward(np.ones(scores.shape, np.float32))
    assert all(np.abs(p.grad).sum() > 0 for p in (net.score.weight, net.stem.bn.weight))
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_no_grad_records_nothing():
    with no_grad():
        scores = Net()(np.zeros((1, 3, 5, 4), np.float32))
    assert isinstance(scores, Tensor) and not scores.requires_grad


def test_dropout_repeats_with_its_generator_and_is_idle_in_eval():
    net, x = Net(), np.ones((1, 3, 9, 9), np.float32)
    results = []
    for seed in (1, 1, 2):
        with F.dropout_rng(np.random.default_rng(seed)):
            results.append(net(x).data)
    np.testing.assert_array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])
    drop = Dropout(0.5).eval()
    np.testing.assert_array_equal(np.asarray(drop(x)), x)


def test_dropout_zeroes_half_and_doubles_the_rest():
    drop = Dropout(0.5)
    y = np.asarray(drop(np.ones((1, 1, 100, 100), np.float32)))
    assert set(np.unique(y)) == {0, 2}
    assert 0.45 < (y == 0).mean() < 0.55


def test_batch_norm_keeps_running_statistics_of_the_batches():
    layer = BatchNorm2d(2)
    x = np.random.default_rng(0).standard_normal((3, 2, 4, 5)).astype(np.float32) * 3 + 1
    y = np.asarray(layer(x))
    np.testing.assert_allclose(y.mean((0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(layer.running_mean, 0.1 * x.mean((0, 2, 3)), rtol=1e-5)
    unbiased = x.var((0, 2, 3), ddof=1)
    np.testing.assert_allclose(layer.running_var, 0.9 + 0.1 * unbiased, rtol=1e-5)
    before = layer.running_mean.copy()
    expected = (x - before[:, None, None]) / np.sqrt(layer.running_var[:, None, None] + 1e-5)
    np.testing.assert_allclose(np.asarray(layer.eval()(x)), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(layer.running_mean, before)


def test_layers_compute_what_their_torch_twins_do():
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal((2, 4, 10, 9)).astype(np.float32)
    conv = Conv2d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2)
    twin = torch.nn.Conv2d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2)
    linear, twin_linear = Linear(9, 5), torch.nn.Linear(9, 5)
    for ours, theirs in ((conv, twin), (linear, twin_linear)):
        ours.bias.data[...] = np.arange(len(ours.bias.data))
        theirs.load_state_dict({k: torch.tensor(v) for k, v in ours.state_dict().items()})
    pairs = [
        (conv, twin),
        (MaxPool2d(3, 2, 1, ceil_mode=True), torch.nn.MaxPool2d(3, 2, 1, ceil_mode=True)),
        (AvgPool2d(3, 1, 1), torch.nn.AvgPool2d(3, 1, 1, count_include_pad=True)),
        (ReLU(), torch.nn.ReLU()),
    ]
    for ours, theirs in pairs:
        expected = theirs(torch.tensor(x)).detach().numpy()
        np.testing.assert_allclose(np.asarray(ours(x)), expected, rtol=1e-4, atol=1e-5)
    expected = twin_linear(torch.tensor(x[:, 0, 0])).detach().numpy()
    np.testing.assert_allclose(np.asarray(linear(x[:, 0, 0])), expected, rtol=1e-4, atol=1e-5)


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match="Module"):
        Module()(np.zeros(1))


def test_repr_shows_layers_shapes_and_parameters():
    net = Sequential(conv=Conv2d(3, 4, 3, dilation=2), pool=MaxPool2d(2, 2), relu=ReLU())
    assert repr(net) == (
        "Sequential(  # 112 parameters\n"
        "  (conv): Conv2d(stride=1, padding=0, dilation=2, groups=1, weight 4x3x3x3, bias 4)\n"
        "  (pool): MaxPool2d(kernel_size=2, stride=2, padding=0, ceil_mode=False)\n"
        "  (relu): ReLU()\n)"
    )
