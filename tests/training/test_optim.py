"""Optimisers, schedules and the moving average against torch and against their formulas."""

from __future__ import annotations

import numpy as np
import pytest

from minideeplab.nn import Conv2d, Sequential
from minideeplab.tensor import Tensor
from minideeplab.training import SGD, AdamW, Config, WeightAverage, caffe_multipliers
from minideeplab.training.schedule import make_schedule, poly, step, warm_up

RNG = np.random.default_rng(0)


def parameters(dtype=np.float64):
    shapes = {"conv1_1.weight": (4, 3, 3, 3), "conv1_1.bias": (4,), "fc8_2.weight": (5, 4, 1, 1),
              "fc8_2.bias": (5,)}  # fmt: skip
    return {
        name: Tensor(RNG.standard_normal(shape).astype(dtype), requires_grad=True)
        for name, shape in shapes.items()
    }


def test_sgd_is_caffes_rule_when_the_rate_changes():
    named = parameters()
    optimizer = SGD(named.items(), lr=0.1, momentum=0.9, weight_decay=0.01)
    expected = {name: p.data.copy() for name, p in named.items()}
    velocity = {name: 0.0 for name in named}
    for rate in (0.1, 0.05, 0.01):
        optimizer.lr = rate
        for name, p in named.items():
            p.grad = RNG.standard_normal(p.shape)
            lr_mult = {"conv1_1.weight": 1, "conv1_1.bias": 2, "fc8_2.weight": 10, "fc8_2.bias": 20}
            decay = 0.01 if name.endswith("weight") else 0.0
            gradient = p.grad + decay * expected[name]
            velocity[name] = 0.9 * velocity[name] + rate * lr_mult[name] * gradient
            expected[name] = expected[name] - velocity[name]
        optimizer.step()
    for name, p in named.items():
        np.testing.assert_allclose(p.data, expected[name], rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("name, expected", [
    ("conv5_3.weight", (1, 1)), ("fc6.bias", (2, 0)), ("fc8.weight", (10, 1)),
    ("fc8_4.bias", (20, 0)), ("fc80.weight", (1, 1)),
    ("fc1_c3.weight", (10, 1)), ("fc1.bias", (20, 0)), ("fc1000.weight", (1, 1)),
])  # fmt: skip
def test_multipliers_follow_the_authors_prototxt(name, expected):
    assert caffe_multipliers(name, Tensor(np.zeros(1))) == expected


def test_adamw_agrees_with_torch():
    torch = pytest.importorskip("torch")
    named = parameters()
    theirs = [torch.tensor(p.data, requires_grad=True) for p in named.values()]
    groups = [{"params": [t], "weight_decay": 0.05 if t.ndim > 1 else 0.0} for t in theirs]
    reference = torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.999), eps=1e-8)
    optimizer = AdamW(named.items(), lr=0.01, weight_decay=0.05)
    for _ in range(7):
        for p, t in zip(named.values(), theirs, strict=True):
            p.grad = RNG.standard_normal(p.shape)
            t.grad = torch.tensor(p.grad)
        optimizer.step()
        reference.step()
    for p, t in zip(named.values(), theirs, strict=True):
        np.testing.assert_allclose(p.data, t.detach().numpy(), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("kind", [SGD, AdamW])
def test_optimizer_state_makes_the_next_step_the_same(kind):
    gradients = [RNG.standard_normal((3, 2)) for _ in range(4)]
    start = RNG.standard_normal((3, 2))

    def run(p, optimizer, steps):
        for gradient in steps:
            p.grad = gradient
            optimizer.step()

    whole = Tensor(start.copy(), requires_grad=True)
    run(whole, kind([("w", whole)], lr=0.1), gradients)

    first = Tensor(start.copy(), requires_grad=True)
    before = kind([("w", first)], lr=0.1)
    run(first, before, gradients[:2])
    second = Tensor(first.data.copy(), requires_grad=True)
    after = kind([("w", second)], lr=0.1)
    after.load_state_dict({k: v.copy() for k, v in before.state_dict().items()})
    run(second, after, gradients[2:])
    np.testing.assert_array_equal(second.data, whole.data)


def test_optimizer_state_of_other_parameters_is_refused():
    one = SGD([("w", Tensor(np.zeros(3), requires_grad=True))])
    two = SGD([("w", Tensor(np.zeros(4), requires_grad=True))])
    with pytest.raises(ValueError, match="velocity/w"):
        one.load_state_dict(two.state_dict())


def test_frozen_parameters_and_those_without_gradient_stay():
    frozen, idle = Tensor(np.ones(2)), Tensor(np.ones(2), requires_grad=True)
    optimizer = SGD([("frozen", frozen), ("idle.weight", idle)], lr=1.0)
    frozen.grad = np.ones(2)
    optimizer.step()
    np.testing.assert_array_equal(frozen.data, 1)
    np.testing.assert_array_equal(idle.data, 1)


@pytest.mark.parametrize("settings", [{"lr": 0.0}, {"lr": float("nan")}, {"weight_decay": -1.0}])
def test_bad_rates_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        SGD([], **settings)


def test_schedules():
    assert poly(20000)(0) == 1 and poly(20000)(20000) == 0
    assert poly(100, 0.9)(25) == pytest.approx(0.75**0.9)
    assert [step(2000)(i) for i in (0, 1999, 2000, 4000)] == pytest.approx([1, 1, 0.1, 0.01])
    rising = warm_up(lambda _: 1.0, 3)
    assert [rising(i) for i in range(5)] == pytest.approx([0.25, 0.5, 0.75, 1, 1])
    assert (
        make_schedule(Config(schedule="step", step_every=2, step_factor=0.5, warm_up=0))(5) == 0.25
    )
    with pytest.raises(ValueError, match="cosine"):
        Config(schedule="cosine")


def test_average_follows_its_formula_and_lends_the_network():
    net = Sequential(conv=Conv2d(1, 1, 1))
    average = WeightAverage(net, decay=0.5)
    start = net.conv.weight.data.copy()
    expected = start.copy()
    for t in range(1, 4):
        net.conv.weight.data[...] = t
        average.update()
        decay = min(0.5, (1 + t) / (10 + t))
        expected = decay * expected + (1 - decay) * t
    with average.applied() as lent:
        np.testing.assert_allclose(lent.conv.weight.data, expected, rtol=1e-6)
        assert not lent.training
    np.testing.assert_array_equal(net.conv.weight.data, 3)
    assert net.training


def test_average_of_decay_zero_is_the_weights_exactly():
    net = Sequential(conv=Conv2d(3, 5, 3))
    average = WeightAverage(net, decay=0.0)
    net.conv.weight.data[...] = RNG.standard_normal(net.conv.weight.shape)
    average.update()
    np.testing.assert_array_equal(average.state["conv.weight"], net.conv.weight.data)
