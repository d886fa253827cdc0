"""The same nets, weights and batches in torch: the same loss curve, step by step."""

from __future__ import annotations

import numpy as np
import pytest

from minideeplab import functional as F
from minideeplab.models.deeplab import DeepLab
from minideeplab.nn import AvgPool2d, BatchNorm2d, Conv2d, Dropout, MaxPool2d, Module, ReLU
from minideeplab.training import SGD, poly, segmentation_loss

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True, scope="module")
def one_torch_thread():
    """For nets this small torch's threads cost more than they give."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class TinyDeepLab(Module):
    """Two convolutions, a pool, batch norm and two summed atrous branches: all the ideas, small."""

    def __init__(self, num_classes, rng):
        super().__init__()
        self.conv1_1 = Conv2d(3, 6, 3, padding=1, rng=rng)
        self.pool1 = MaxPool2d(3, 2, 1, ceil_mode=True)
        self.conv2_1 = Conv2d(6, 8, 3, 2, padding=1, bias=False, rng=rng)
        self.bn = BatchNorm2d(8)
        self.pool5a = AvgPool2d(3, 1, 1)
        self.fc8_1 = Conv2d(8, num_classes, 3, padding=2, dilation=2, rng=rng)
        self.fc8_2 = Conv2d(8, num_classes, 3, padding=4, dilation=4, rng=rng)

    def forward(self, x):
        x = self.pool1(F.relu(self.conv1_1(x)))
        x = self.pool5a(F.relu(self.bn(self.conv2_1(x))))
        return self.fc8_1(x) + self.fc8_2(x)


class TorchTinyDeepLab(torch.nn.Module):
    """The same net, spelled in torch."""

    def __init__(self, num_classes):
        super().__init__()
        self.conv1_1 = torch.nn.Conv2d(3, 6, 3, padding=1)
        self.conv2_1 = torch.nn.Conv2d(6, 8, 3, stride=2, padding=1, bias=False)
        self.bn = torch.nn.BatchNorm2d(8)
        self.fc8_1 = torch.nn.Conv2d(8, num_classes, 3, padding=2, dilation=2)
        self.fc8_2 = torch.nn.Conv2d(8, num_classes, 3, padding=4, dilation=4)

    def forward(self, x):
        x = torch.nn.functional.max_pool2d(self.conv1_1(x).relu(), 3, 2, 1, ceil_mode=True)
        x = self.bn(self.conv2_1(x)).relu()
        x = torch.nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=True)
        return self.fc8_1(x) + self.fc8_2(x)


def torch_deeplab(net):
    """Spell a ``DeepLab`` in torch from the attributes of its layers, with its weights."""
    layers = torch.nn.ModuleDict()
    for name, layer in net.named_children():
        if isinstance(layer, Conv2d):
            f, c, k, _ = layer.weight.shape
            layers[name] = torch.nn.Conv2d(c, f, k, layer.stride, layer.padding, layer.dilation)
        elif isinstance(layer, MaxPool2d):
            layers[name] = torch.nn.MaxPool2d(3, layer.stride, 1, ceil_mode=True)
        elif isinstance(layer, AvgPool2d):
            layers[name] = torch.nn.AvgPool2d(3, 1, 1, count_include_pad=True)
        else:
            assert isinstance(layer, (ReLU, Dropout))
            layers[name] = torch.nn.ReLU() if isinstance(layer, ReLU) else torch.nn.Identity()
    load(layers, net)

    def forward(x):
        for name in net.trunk:
            x = layers[name](x)
        scores = 0
        for names in net.branches:
            y = x
            for name in names:
                y = layers[name](y)
            scores = scores + y
        return scores

    return layers, forward


def load(theirs, net):
    state = {name: torch.tensor(array) for name, array in net.state_dict().items()}
    theirs.to(next(iter(state.values())).dtype)
    theirs.load_state_dict(state, strict=False)


def torch_loss(scores, labels, at):
    labels = torch.as_tensor(labels)
    if at == "stride":
        labels = labels[:, ::8, ::8]
    else:
        scores = torch.nn.functional.interpolate(
            scores, labels.shape[1:], mode="bilinear", align_corners=True
        )
    return torch.nn.functional.cross_entropy(scores, labels, ignore_index=255)


def caffe_step(named, velocities, lr, momentum=0.9, decay=5e-4):
    """Caffe's rule with the authors' multipliers, on torch tensors."""
    with torch.no_grad():
        for name, p in named:
            scale = 10 if name.startswith("fc8") else 1
            bias = name.endswith("bias")
            gradient = p.grad if bias else p.grad + decay * p
            rate = lr * scale * (2 if bias else 1)
            velocities[name] = momentum * velocities.get(name, 0) + rate * gradient
            p -= velocities[name]
            p.grad = None


def batch(rng, dtype, size, classes, n=2):
    labels = rng.integers(classes, size=(n, *size))
    labels[:, :3] = 255
    return rng.standard_normal((n, 3, *size)).astype(dtype), labels


def curves(net, theirs, forward, steps, dtype, size, classes, at, lr):
    """Train both nets on the same batches; return both loss curves."""
    rng, rate = np.random.default_rng(3), poly(steps)
    optimizer, velocities, ours, reference = SGD(net.named_parameters(), lr=lr), {}, [], []
    for i in range(steps):
        images, labels = batch(rng, dtype, size, classes)
        optimizer.lr = lr * rate(i)
        net.zero_grad()
        loss = segmentation_loss(net(images), labels, at=at)
        loss.backward()
        optimizer.step()
        ours.append(loss.item())
        loss = torch_loss(forward(torch.tensor(images)), labels, at)
        loss.backward()
        caffe_step(theirs.named_parameters(), velocities, lr * rate(i))
        reference.append(loss.item())
    return np.array(ours), np.array(reference)


@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-8), (np.float32, 1e-3)])
def test_a_hundred_steps_give_torchs_curve(dtype, tolerance):
    net = TinyDeepLab(4, np.random.default_rng(1)).astype(dtype)
    theirs = TorchTinyDeepLab(4)
    load(theirs, net)
    ours, reference = curves(
        net, theirs, theirs, 100, dtype, size=(21, 29), classes=4, at="full", lr=0.01
    )
    np.testing.assert_allclose(ours, reference, rtol=tolerance)
    assert ours[-10:].mean() < ours[:10].mean()
    for name, array in net.named_buffers():
        np.testing.assert_allclose(
            array, theirs.state_dict()[name].numpy(), rtol=tolerance, atol=tolerance
        )


@pytest.mark.parametrize("variant", ["largefov", "aspp-s"])
def test_narrow_vgg_nets_give_torchs_curve(variant):
    net = DeepLab(variant, num_classes=5, seed=2, width=1 / 16).astype(np.float64)
    for layer in net.modules():
        if isinstance(layer, Dropout):
            layer.p = 0.0
    theirs, forward = torch_deeplab(net)
    ours, reference = curves(
        net, theirs, forward, 4, np.float64, size=(41, 33), classes=5, at="stride", lr=0.01
    )
    np.testing.assert_allclose(ours, reference, rtol=1e-10)


@pytest.mark.parametrize("variant", ["largefov", "aspp-s", "aspp-l"])
def test_full_networks_agree_with_torch(variant):
    """Scores to 1e-4, every parameter's gradient to 2e-3 of its norm, in float32."""
    net = DeepLab(variant, seed=4).eval()
    theirs, forward = torch_deeplab(net)
    x = np.random.default_rng(5).standard_normal((1, 3, 33, 49)).astype(np.float32)
    cotangent = np.random.default_rng(6).standard_normal((1, 21, 5, 7)).astype(np.float32)
    scores = net(x)
    reference = forward(torch.tensor(x))
    scale = reference.detach().abs().max().item()
    np.testing.assert_allclose(scores.data, reference.detach().numpy(), atol=1e-4 * scale, rtol=0)
    scores.backward(cotangent)
    reference.backward(torch.tensor(cotangent))
    gradients = {name: p.grad.numpy() for name, p in theirs.named_parameters()}
    for name, parameter in net.named_parameters():
        error = np.linalg.norm(parameter.grad - gradients[name])
        assert error <= 2e-3 * np.linalg.norm(gradients[name]), name
