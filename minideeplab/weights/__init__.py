"""Weights: read every framework's files, convert VGG-16 to DeepLab, download official files.

``load`` reads a file; ``vgg16_to_deeplab`` turns a VGG-16 into a DeepLab's initial weights;
``convert`` does both and writes the result; ``fetch`` downloads the official files by name;
``export_onnx`` writes a network for other programs.
"""

from __future__ import annotations

from minideeplab.weights.conversion import convert, locate, save
from minideeplab.weights.download import KNOWN, fetch
from minideeplab.weights.onnx_export import export_onnx
from minideeplab.weights.reading import load
from minideeplab.weights.resnet import resnet101_state
from minideeplab.weights.state import StateDict
from minideeplab.weights.surgery import vgg16_to_deeplab
from minideeplab.weights.vgg import canonical, vgg16_state

__all__ = [
    "KNOWN", "StateDict", "canonical", "convert", "export_onnx", "fetch", "load", "locate",
    "resnet101_state", "save", "vgg16_state", "vgg16_to_deeplab",
]  # fmt: skip
