"""Our networks run by inference engines, through the ONNX export, as competitors to time."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

from minideeplab.backends.numba_cpu.runtime.parallel import thread_count
from minideeplab.nn import Module
from minideeplab.weights.onnx_export import INPUT, to_onnx

Run = Callable[[], np.ndarray]


def engines(net: Module, x: np.ndarray) -> dict[str, Run]:
    """Return forward passes on x (N, 3, H, W) by engine: onnxruntime and OpenVINO if installed.

    They have the same weights, float32, the shape of x fixed, and as many threads as we. Without
    the package onnx there are none.
    """
    installed = {name: make for name, (package, make) in _ENGINES.items() if find_spec(package)}
    if not installed or not find_spec("onnx"):
        return {}
    model = to_onnx(net).SerializeToString()
    return {name: make(model, x) for name, make in installed.items()}


def _onnxruntime(model: bytes, x: np.ndarray) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_count()
    for name, size in zip(("N", "H", "W"), (len(x), *x.shape[2:]), strict=True):
        options.add_free_dimension_override_by_name(name, size)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {INPUT: x})[0]


def _openvino(model: bytes, x: np.ndarray) -> Run:
    import openvino

    core = openvino.Core()
    network = core.read_model(model)
    network.reshape(list(x.shape))
    settings = {
        "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": thread_count(),
        "INFERENCE_PRECISION_HINT": "f32",  # else bfloat16, where the processor has it
    }  # fmt: skip
    compiled = core.compile_model(network, "CPU", settings)
    return lambda: compiled([x])[0]


_ENGINES = {
    "onnxruntime": ("onnxruntime", _onnxruntime),
    "OpenVINO": ("openvino", _openvino),
}
"""The package of each engine, and the function that returns its forward pass."""
