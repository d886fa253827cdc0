"""Export networks to ONNX: the graph, its weights by name, and the preprocessing as metadata.

The graph has one node or more for each module; batch norms use their running statistics and
dropout is left out. N, H and W are free. With ``upsample`` the graph also does what
``minideeplab.inference`` does around a network: it pads the images to 8k + 1 at the bottom and the
right, upsamples the scores and crops them to H and W.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import numpy as np

from minideeplab import nn
from minideeplab.arrays import to_host
from minideeplab.files import atomic_write
from minideeplab.models.deeplab import DeepLab
from minideeplab.models.resnet import DeepLabResNet, FrozenBatchNorm2d, blocks
from minideeplab.models.small import ASPP, DeepLabSmall, Residual
from minideeplab.tensor import Tensor

OPSET, IR_VERSION = 18, 8  # what onnxruntime 1.14 and OpenVINO 2023.0 read
INPUT = "images"


def import_onnx() -> ModuleType:
    """Return the ``onnx`` package; ImportError if it is not installed."""
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
    except ImportError as error:
        raise ImportError("onnx is not installed; pip install 'minideeplab[onnx]'") from error
    return onnx


def export_onnx(
    net: nn.Module,
    path: str | os.PathLike[str],
    upsample: bool = False,
    argmax: bool = False,
) -> None:
    """Write a segmentation network to ``path``, completely or not at all.

    The input ``images`` is (N, 3, H, W) float32, preprocessed as the metadata say. The output is
    ``scores``, (N, num_classes, H', W') float32, on the network's grid or, with ``upsample``, one
    for each pixel; with ``argmax`` it is ``labels``, (N, H', W') int64.

    Raises:
        ImportError: the package onnx is not installed.
        TypeError: a module that has no ONNX form here.
    """
    content = to_onnx(net, upsample, argmax).SerializeToString()
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def to_onnx(net: nn.Module, upsample: bool = False, argmax: bool = False) -> Any:
    """Return the ``onnx.ModelProto`` that :func:`export_onnx` writes."""
    onnx = import_onnx()
    graph = Graph(net)
    output = graph.upsampled(net) if upsample else graph.run(net, INPUT)
    if argmax:
        output = graph.node("ArgMax", output, axis=1, keepdims=0)
    name, kind = (
        ("labels", onnx.TensorProto.INT64) if argmax else ("scores", onnx.TensorProto.FLOAT)
    )
    graph.nodes.append(onnx.helper.make_node("Identity", [output], [name]))
    sides = ["H", "W"] if upsample else ["H_out", "W_out"]
    shape = ["N", *([] if argmax else [net.num_classes]), *sides]
    images = onnx.helper.make_tensor_value_info(INPUT, onnx.TensorProto.FLOAT, ["N", 3, "H", "W"])
    result = onnx.helper.make_tensor_value_info(name, kind, shape)
    body = onnx.helper.make_graph(graph.nodes, net.name, [images], [result], graph.weights)
    model = onnx.helper.make_model(
        body, producer_name="minideeplab", ir_version=IR_VERSION,
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
    )  # fmt: skip
    onnx.helper.set_model_props(model, metadata(net))
    onnx.checker.check_model(model)
    return model


def metadata(net: nn.Module) -> dict[str, str]:
    """Return the network's description as texts, JSON where they are not: preprocessing, ..."""
    meta = {"model": net.name, "num_classes": net.num_classes, **getattr(net, "meta", {})}
    meta["preprocessing"] = dataclasses.asdict(net.preprocessing)
    return {key: value if isinstance(value, str) else json.dumps(value)
            for key, value in meta.items() if value is not None}  # fmt: skip


class Graph:
    """The nodes and weights of a network, in ONNX's form, as they are added."""

    def __init__(self, net: nn.Module) -> None:
        self.onnx = import_onnx()
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.names = {id(array): name for name, array in net.state_dict().items()}

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        output = f"{operator}_{len(self.nodes)}"
        self.nodes.append(
            self.onnx.helper.make_node(operator, list(inputs), [output], output, **attributes)
        )
        return output

    def constant(self, values: Any, name: str | None = None) -> str:
        """Add an array, int64 unless it has floats, and return its name."""
        name = name or f"constant_{len(self.weights)}"
        array = np.asarray(values)
        array = array.astype(np.float32 if array.dtype.kind == "f" else np.int64)
        self.weights.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    def weight(self, value: Tensor | np.ndarray) -> str:
        """Add a parameter or buffer under its name in the state dict."""
        array = value.data if isinstance(value, Tensor) else value
        return self.constant(to_host(array), self.names[id(array)])

    def run(self, module: nn.Module, x: str) -> str:
        """Add a module of these networks; TypeError for one that is unknown."""
        for kind, function in _FUNCTIONS.items():
            if isinstance(module, kind):
                return function(self, module, x)
        raise TypeError(f"net: a {type(module).__name__} has no ONNX form here")

    def chain(self, modules: Iterable[nn.Module], x: str) -> str:
        """Add modules that follow each other."""
        for module in modules:
            x = self.run(module, x)
        return x

    def resized(self, x: str, size: str) -> str:
        """Upsample (N, C, h, w) to ``size``, the name of (H, W), with aligned corners."""
        sizes = self.node("Concat", self.node("Shape", x, end=2), size, axis=0)
        align = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
        return self.node("Resize", x, "", "", sizes, **align)

    def upsampled(self, net: nn.Module) -> str:
        """Add a network on padded images, with scores for every pixel of them as they were."""
        size = self.node("Shape", INPUT, start=2)
        eighths = self.node("Div", self.node("Add", size, self.constant([6])), self.constant([8]))
        eighths = self.node("Max", eighths, self.constant([1]))
        padded = self.node("Mul", eighths, self.constant([8]))
        padded = self.node("Add", padded, self.constant([1]))  # 8k + 1, as inference.padded_size
        pads = self.node("Concat", self.constant([0] * 6), self.node("Sub", padded, size), axis=0)
        scores = self.resized(self.run(net, self.node("Pad", INPUT, pads)), padded)
        return self.node("Slice", scores, self.constant([0, 0]), size, self.constant([2, 3]))


def _conv(g: Graph, m: nn.Conv2d, x: str) -> str:
    inputs = [g.weight(value) for value in (m.weight, m.bias) if value is not None]
    return g.node(
        "Conv", x, *inputs, strides=[m.stride] * 2, pads=[m.padding] * 4,
        dilations=[m.dilation] * 2, group=m.groups,
    )  # fmt: skip


def _batch_norm(g: Graph, m: nn.BatchNorm2d | FrozenBatchNorm2d, x: str) -> str:
    arrays = (m.weight, m.bias, m.running_mean, m.running_var)
    epsilon = getattr(m, "eps", 1e-5)
    return g.node("BatchNormalization", x, *map(g.weight, arrays), epsilon=epsilon)


def _pool(g: Graph, operator: str, m: nn.MaxPool2d | nn.AvgPool2d, x: str, **options: int) -> str:
    window = {"kernel_shape": [m.kernel_size] * 2, "strides": [m.stride] * 2}
    return g.node(operator, x, **window, pads=[m.padding] * 4, **options)


def _sum(g: Graph, terms: Iterable[str]) -> str:
    first, *others = terms
    for term in others:
        first = g.node("Add", first, term)
    return first


def _children(module: nn.Module) -> list[nn.Module]:
    return [child for _, child in module.named_children()]


def _aspp(g: Graph, m: ASPP, x: str) -> str:
    views = [g.run(branch, x) for branch in _children(m.branches)]
    return g.run(m.join, g.node("Concat", *views, axis=1))


def _deeplab(g: Graph, m: DeepLab, x: str) -> str:
    x = g.chain((getattr(m, name) for name in m.trunk), x)
    return _sum(g, [g.chain((getattr(m, name) for name in names), x) for names in m.branches])


def _deeplab_small(g: Graph, m: DeepLabSmall, x: str) -> str:
    fine = g.run(m.fine, x)
    context = g.resized(g.chain((m.coarse, m.aspp), fine), g.node("Shape", fine, start=2))
    joined = g.node("Relu", g.node("Add", context, g.run(m.detail, fine)))
    return g.chain((m.refine, m.score), joined)


def _residual(g: Graph, m: Residual, x: str) -> str:
    return g.node("Relu", g.node("Add", g.chain((m.first, m.conv, m.bn), x), x))


def _deeplab_resnet(g: Graph, m: DeepLabResNet, x: str) -> str:
    def normed(name: str, x: str) -> str:
        return g.chain((getattr(m, f"res{name}"), getattr(m, f"bn{name}")), x)

    x = g.run(m.pool1, g.node("Relu", g.chain((m.conv1, m.bn_conv1), x)))
    for name, _, _ in blocks():
        inner = g.node("Relu", normed(f"{name}_branch2a", x))
        inner = g.node("Relu", normed(f"{name}_branch2b", inner))
        inner = normed(f"{name}_branch2c", inner)
        shortcut = normed(f"{name}_branch1", x) if name.endswith("a") else x
        x = g.node("Relu", g.node("Add", shortcut, inner))
    return _sum(g, [g.run(getattr(m, name), x) for name in m.head])


_FUNCTIONS: dict[type, Callable[[Graph, Any, str], str]] = {
    DeepLab: _deeplab,
    DeepLabSmall: _deeplab_small,
    DeepLabResNet: _deeplab_resnet,
    Residual: _residual,
    ASPP: _aspp,
    nn.Sequential: lambda g, m, x: g.chain(_children(m), x),
    nn.Conv2d: _conv,
    nn.BatchNorm2d: _batch_norm,
    FrozenBatchNorm2d: _batch_norm,
    nn.ReLU: lambda g, m, x: g.node("Relu", x),
    nn.MaxPool2d: lambda g, m, x: _pool(g, "MaxPool", m, x, ceil_mode=int(m.ceil_mode)),
    nn.AvgPool2d: lambda g, m, x: _pool(g, "AveragePool", m, x, count_include_pad=1),
    nn.Dropout: lambda g, m, x: x,
}
"""The ONNX form of each kind of module, subclasses first."""
