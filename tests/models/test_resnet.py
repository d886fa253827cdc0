"""ResNet-101 DeepLab: the authors' table, and agreement with the network spelled in torch."""

from __future__ import annotations

import numpy as np
import pytest

from minideeplab import models
from minideeplab.models.resnet import FrozenBatchNorm2d, blocks
from minideeplab.training import multi_scale_loss

FIRST = ("2a", "3a", "4a", "5a")


@pytest.fixture(scope="module")
def net():
    """The ASPP-L net with a quarter of the filters and frozen norms that do something."""
    net = models.DeepLabResNet("aspp-l", num_classes=5, width=1 / 4)
    rng = np.random.default_rng(1)
    for module in net.modules():
        if isinstance(module, FrozenBatchNorm2d):
            module.weight *= rng.uniform(0.7, 1.3, module.weight.shape)
            module.running_var *= rng.uniform(0.7, 1.3, module.weight.shape)
            module.bias += 0.1 * rng.standard_normal(module.weight.shape)
            module.running_mean += 0.1 * rng.standard_normal(module.weight.shape)
    return net


def in_torch(state, x, strides=("1x1", "3x3")):
    """The same network from torch's functions; strides: where res3 has its stride, of the two."""
    torch = pytest.importorskip("torch")
    tf = torch.nn.functional

    def normed(name, x, **options):
        bn = "bn_conv1" if name == "conv1" else name.replace("res", "bn")
        keys = ("running_mean", "running_var", "weight", "bias")
        x = tf.conv2d(x, state[f"{name}.weight"], **options)
        return tf.batch_norm(x, *(state[f"{bn}.{key}"] for key in keys), training=False)

    def block(name, x, stride, rate):
        at = {where: stride if where == strides[0] else 1 for where in strides}
        y = normed(f"{name}_branch2a", x, stride=at["1x1"]).relu()
        y = normed(f"{name}_branch2b", y, stride=at["3x3"], padding=rate, dilation=rate).relu()
        y = normed(f"{name}_branch2c", y)
        if f"{name}_branch1.weight" in state:
            x = normed(f"{name}_branch1", x, stride=stride)
        return (x + y).relu()

    x = normed("conv1", x, stride=2, padding=3).relu()
    x = tf.max_pool2d(x, 3, 2, 1, ceil_mode=True)
    for name in ("res2a", "res2b", "res2c"):
        x = block(name, x, 1, 1)
    for name in ("res3a", "res3b1", "res3b2", "res3b3"):
        x = block(name, x, 2 if name == "res3a" else 1, 1)
    for name in ("res4a", *(f"res4b{i}" for i in range(1, 23))):
        x = block(name, x, 1, 2)
    for name in ("res5a", "res5b", "res5c"):
        x = block(name, x, 1, 4)
    heads = [
        tf.conv2d(x, state[f"fc1_c{k}.weight"], state[f"fc1_c{k}.bias"], padding=r, dilation=r)
        for k, r in enumerate((6, 12, 18, 24))
    ]
    return sum(heads)


def torch_state(net):
    """The network's arrays as torch tensors, gradients asked for where the network trains."""
    torch = pytest.importorskip("torch")
    state = {name: torch.tensor(array) for name, array in net.state_dict().items()}
    for name, _ in net.named_parameters():
        state[name].requires_grad_()
    return state


def error(ours, theirs):
    theirs = theirs.detach().numpy()
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


def test_scores_and_gradients_are_torchs(net):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    x = rng.standard_normal((2, 3, 33, 41), np.float32) * 64
    state = torch_state(net)
    theirs, ours = in_torch(state, torch.tensor(x)), net.train()(x)
    assert ours.shape == (2, 5, 5, 6) and error(ours.data, theirs) < 1e-4
    dy = rng.standard_normal(ours.shape, np.float32)
    theirs.backward(torch.tensor(dy))
    ours.backward(dy)
    worst = {name: error(p.grad, state[name].grad) for name, p in net.named_parameters()}
    assert len(worst) == 104 + 2 * 4 and max(worst.values()) < 2e-3


def test_the_multi_scale_loss_and_its_gradients_are_torchs(net):
    """Three sizes, fused by maximum, four losses on the grids of the authors' network."""
    torch = pytest.importorskip("torch")
    tf = torch.nn.functional
    rng = np.random.default_rng(6)
    x = rng.standard_normal((1, 3, 65, 81), np.float32) * 64
    labels = rng.choice([0, 1, 2, 3, 4, 255], size=(1, 65, 81))
    net.train().zero_grad()
    loss = multi_scale_loss(net, x, labels, at="stride")
    loss.backward()

    def to(y, *size):
        return tf.interpolate(y, size=size, mode="bilinear", align_corners=True)

    state, image, truth = torch_state(net), torch.tensor(x), torch.tensor(labels)
    views = [in_torch(state, view) for view in (image, to(image, 49, 61), to(image, 33, 41))]
    three_quarters, half = to(views[1], 9, 11), to(views[2], 9, 11)
    fused = torch.maximum(torch.maximum(views[0], three_quarters), half)
    expected = sum(
        tf.cross_entropy(scores, truth[:, ::every, ::every], ignore_index=255)
        for scores, every in ((fused, 8), (views[0], 8), (three_quarters, 8), (views[2], 16))
    )
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    worst = {name: error(p.grad, state[name].grad) for name, p in net.named_parameters()}
    assert max(worst.values()) < 2e-3


def test_stride_in_3x3_is_torchvisions(net):
    torch = pytest.importorskip("torch")
    other = models.DeepLabResNet("aspp-l", num_classes=5, width=1 / 4, stride_in_3x3=True)
    other.load_state_dict(net.state_dict())
    x = np.random.default_rng(3).standard_normal((1, 3, 33, 33), np.float32) * 64
    theirs = in_torch(torch_state(net), torch.tensor(x), strides=("3x3", "1x1"))
    assert error(other(x).data, theirs) < 1e-4
    assert error(net(x).data, theirs) > 1e-2


def test_training_mode_leaves_the_norm_alone(net):
    x = np.random.default_rng(4).standard_normal((1, 3, 33, 33), np.float32) * 64
    expected, before = net.eval()(x).data, {k: v.copy() for k, v in net.named_buffers()}
    found = net.train()(x)
    found.sum().backward()
    assert np.array_equal(found.data, expected)
    assert len(before) == 4 * 104
    assert all(np.array_equal(array, before[name]) for name, array in net.named_buffers())


def test_full_size_and_names():
    net = models.deeplab("aspp-l", backbone="resnet101", num_classes=21)
    # ResNet-101 has 44,549,160 parameters: the norms' 105,344 are frozen, the classifier's
    # 2,049,000 make way for 4 * (2048 * 9 + 1) * 21.
    count = sum(parameter.size for parameter in net.parameters())
    assert count == 44_549_160 - 105_344 - 2_049_000 + 1_548_372 == 43_943_188
    state = net.state_dict()
    assert state["res2a_branch2a.weight"].shape == (64, 64, 1, 1)
    assert state["res4b22_branch2b.weight"].shape == (256, 256, 3, 3)
    assert state["bn5c_branch2c.running_var"].shape == (2048,)
    assert state["fc1_c3.bias"].shape == (21,)
    assert [name for name, _, _ in blocks() if f"res{name}_branch1.weight" in state] == list(FIRST)


def test_random_weights_give_scores_of_a_usable_size():
    net = models.DeepLabResNet(num_classes=3, width=1 / 4)
    x = np.random.default_rng(5).standard_normal((1, 3, 65, 65), np.float32) * 64
    assert 0.03 < net(x).data.std() < 3


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="variant: 'v3'"):
        models.DeepLabResNet("v3")
    with pytest.raises(ValueError, match="num_classes: 0"):
        models.build("resnet101-largefov", 0)
