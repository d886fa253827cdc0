"""Sample inputs of torch's own OpInfo: every one agrees, forward and gradient, or has a reason.

Of an operation with more than 158 samples only every 16th is taken, unless OPINFO_ALL=1.
"""

import functools
import os
import sys
import types
import unittest

import numpy as np
import pytest

import minideeplab.functional as F
from minideeplab import Tensor, use_backend

torch = pytest.importorskip("torch")

OPS = {
    "nn.functional.conv2d": 30, "nn.functional.conv_transpose2d": 12,
    "nn.functional.max_pool2d": 1440, "nn.functional.avg_pool2d": 7,
    "nn.functional.adaptive_avg_pool2d": 10, "nn.functional.interpolate": 158,
    "nn.functional.pad": 89, "nn.functional.unfold": 163, "nn.functional.linear": 18,
    "nn.functional.relu": 4, "nn.functional.dropout": 19, "softmax": 14, "log_softmax": 14,
    "nn.functional.cross_entropy": 21, "nn.functional.batch_norm": 24, "maximum": 9, "cat": 9,
    "sigmoid": 3,
}  # fmt: skip
"""The operations here that OpInfo has, which is all but fold, with torch 2.13's samples."""


@functools.cache
def operations():
    """Return the OpInfos by name. Their module imports expecttest, which only torch's tests use."""
    stub = types.ModuleType("expecttest")
    stub.TestCase = unittest.TestCase
    sys.modules.setdefault("expecttest", stub)
    found = {}
    for info in pytest.importorskip(
        "torch.testing._internal.common_methods_invocations", exc_type=ImportError
    ).op_db:
        found.setdefault(info.name, []).append(info)
    return found


def reason(op, sample):
    """Return why the sample cannot be compared, "" if it can."""
    if op.endswith("interpolate"):
        if sample.input.ndim != 4:
            return "1 or 3 axes are resized; here only images"
        if sample.kwargs["mode"] not in ("nearest", "bilinear"):
            return "another mode than nearest and bilinear"
    if op.endswith("dropout") and sample.kwargs.get("training", True):
        if sample.kwargs.get("p", 0.5) not in (0.0, 1.0):
            return "random"
    return ""


LEFT_OUT = {"nn.functional.interpolate": 126, "nn.functional.dropout": 4}


def ours(value):
    """Return a sample's argument as this package takes it."""
    if isinstance(value, torch.dtype):
        return np.dtype(str(value).removeprefix("torch."))
    if isinstance(value, torch.Tensor):
        array = value.detach().numpy().copy()
        return Tensor(array, requires_grad=True) if value.requires_grad else array
    if isinstance(value, list | tuple):
        return [ours(v) for v in value] if isinstance(value, list) else tuple(value)
    return value


def theirs(value):
    """Return a sample's argument for torch in float64, with a gradient of its own."""
    if isinstance(value, torch.dtype):
        return torch.float64
    if isinstance(value, torch.Tensor):
        wide = value.detach().clone()
        wide = wide.double() if wide.is_floating_point() else wide
        return wide.requires_grad_(value.requires_grad)
    return [theirs(v) for v in value] if isinstance(value, list) else value


def differentiated(values):
    """Return the tensors with a gradient among arguments."""
    flat = [v for value in values for v in (value if isinstance(value, list) else [value])]
    return [v for v in flat if getattr(v, "requires_grad", False)]


def close(got, expected, eps):
    got, expected = np.asarray(got, np.float64), expected.detach().numpy().astype(np.float64)
    if got.shape != expected.shape:
        return False
    room = 256 * eps * max(1.0, np.abs(expected[np.isfinite(expected)]).max(initial=0.0))
    return np.allclose(got, expected, rtol=0, atol=room, equal_nan=True)


def wrong(op, info, sample, dtype):
    """Return in words what differs between this package and torch, "" if nothing does."""
    call = (sample.input, *sample.args)
    eps = np.finfo(str(dtype).removeprefix("torch.")).eps
    one = [ours(v) for v in call], {k: ours(v) for k, v in sample.kwargs.items()}
    other = [theirs(v) for v in call], {k: theirs(v) for k, v in sample.kwargs.items()}
    results = getattr(F, op.split(".")[-1])(*one[0], **one[1]), info.op(*other[0], **other[1])
    pairs = list(zip(*(r if isinstance(r, tuple | list) else (r,) for r in results), strict=True))
    for mine, right in pairs:
        if not close(getattr(mine, "data", mine), right, eps):
            return "output"
    mine, right = pairs[0]
    wanted = [differentiated([*args, *kwargs.values()]) for args, kwargs in (one, other)]
    if not wanted[1]:
        return ""
    cotangent = np.random.default_rng(0).standard_normal(right.shape)
    mine.backward(cotangent.astype(mine.data.dtype))
    right.backward(torch.from_numpy(np.asarray(cotangent)))
    for a, b in zip(*wanted, strict=True):
        expected = torch.zeros_like(b) if b.grad is None else b.grad
        if not close(np.zeros(a.shape) if a.grad is None else a.grad, expected, eps):
            return f"gradient of {a.shape}"
    return ""


@pytest.fixture(autouse=True)
def one_thread():
    """Use one of torch's threads: with small arrays a second one only waits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_samples_agree(op, backend):
    step = 16 if OPS[op] > 158 and not os.environ.get("OPINFO_ALL") else 1
    for dtype in (torch.float64, torch.float32):
        found, compared, left = [], 0, 0
        for info in operations()[op]:
            torch.manual_seed(0)
            for i, sample in enumerate(info.sample_inputs("cpu", dtype, requires_grad=True)):
                left += bool(reason(op, sample))
                compared += not reason(op, sample)
                if reason(op, sample) or i % step:
                    continue
                with use_backend(backend), np.errstate(all="ignore"):
                    text = wrong(op, info, sample, dtype)
                if text:
                    found.append(f"{text}: {sample.summary()}")
        assert not found, "\n".join(found)
        assert compared + left == OPS[op] and left == LEFT_OUT.get(op, 0)
