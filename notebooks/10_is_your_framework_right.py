# %% [markdown]
# # Is your framework right?
#
# *Previous:* [09 The CRF's five parameters](09_crf_parameters.ipynb) · *Next:* [11 Your own
# data](11_own_data.ipynb) · *Lesson:* [8 Testing
# gradients](../lessons/08_testing_gradients/lesson.py) · *Source:*
# [`testing/conformance.py`](../minideeplab/testing/conformance.py),
# [`testing/gradients.py`](../minideeplab/testing/gradients.py)
#
# You have written or ported a convolution. Is it correct with two strides, with a rate, on one
# pixel, in float32, and backwards? `mdl.testing` tests any function on a table of cases and
# diagnoses the mistake.

# %%
import importlib.util

import matplotlib.pyplot as plt
import numpy as np

import minideeplab as mdl
from minideeplab.testing.mutant import right, right_backward
from minideeplab.testing.operations import mutants
from minideeplab.visualize.plots import BLUE, ORANGE

plt.style.use("minideeplab.visualize.lecture")
GREY = "0.8"

# %% [markdown]
# ## A convolution that passes its tests
#
# It takes what `torch.nn.functional.conv2d` takes, but for the groups.


# %%
def pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


def my_conv2d(x, w, b=None, stride=1, padding=0, dilation=1):
    (s, _), (py, px), (dy, dx) = pair(stride), pair(padding), pair(dilation)
    x = np.pad(x, ((0, 0), (0, 0), (py, py), (px, px)))
    height = (x.shape[2] - dy * (w.shape[2] - 1) - 1) // s + 1
    width = (x.shape[3] - dx * (w.shape[3] - 1) - 1) // s + 1
    y = np.zeros((len(x), len(w), height, width), x.dtype)
    for i, j in np.ndindex(w.shape[2:]):
        seen = x[:, :, i * dy :, j * dx :][:, :, ::s, ::s][:, :, :height, :width]
        y += np.einsum("nchw,fc->nfhw", seen, w[:, :, i, j])
    return y if b is None else y + b[:, None, None]


rng = np.random.default_rng(0)
x, w = rng.standard_normal((1, 3, 8, 8)), rng.standard_normal((4, 3, 3, 3))
for options in ({}, {"stride": 2}, {"padding": 1, "dilation": 2}):
    assert np.allclose(my_conv2d(x, w, **options), right("conv2d")(x, w, **options))
print("all tests passed")

# %% [markdown]
# These tests use square images and the same stride both ways. The kit's table has no square row.

# %%
report = mdl.testing.check_op("conv2d", my_conv2d, raises=False)
print(str(report).splitlines()[0])
print("first failing row:", report.failures[0])
print("diagnosis:", report.diagnosis)
assert not report.passed and "stride" in report.diagnosis

# %% [markdown]
# The diagnosis is computed: the kit implements many known mistakes and compares their results
# with ours on the rows that fail. Other rows raise: padding by name, and images without a batch.
# We do not want to support those and say so; rows "not implemented" are counted apart. With the
# mistake fixed:


# %%
def my_conv2d(x, w, b=None, stride=1, padding=0, dilation=1):
    if isinstance(padding, str) or x.ndim == 3:
        raise NotImplementedError("padding by name, images without a batch")
    (sy, sx), (py, px), (dy, dx) = pair(stride), pair(padding), pair(dilation)
    x = np.pad(x, ((0, 0), (0, 0), (py, py), (px, px)))
    height = (x.shape[2] - dy * (w.shape[2] - 1) - 1) // sy + 1
    width = (x.shape[3] - dx * (w.shape[3] - 1) - 1) // sx + 1
    y = np.zeros((len(x), len(w), height, width), x.dtype)
    for i, j in np.ndindex(w.shape[2:]):
        seen = x[:, :, i * dy :, j * dx :][:, :, ::sy, ::sx][:, :, :height, :width]
        y += np.einsum("nchw,fc->nfhw", seen, w[:, :, i, j])
    return y if b is None else y + b[:, None, None]


report = mdl.testing.check_op("conv2d", my_conv2d)  # raises if something is wrong
print(str(report).splitlines()[0])
print("not implemented:", ", ".join(row.row.removeprefix("conv2d/") for row in report.skipped))
assert report.passed

# %% [markdown]
# ## The backward pass
#
# A backward takes the gradient of the output and the arguments, and returns the gradients of the
# arrays. Here is one of a linear layer, with a mistake that does not stop a network from training:


# %%
def linear(x, w, b=None):
    y = x @ w.T
    return y if b is None else y + b


def linear_backward(dy, x, w, b=None):
    rows, inputs = dy.reshape(-1, len(w)), x.reshape(-1, w.shape[1])
    db = None if b is None else rows.mean(axis=0)
    return dy @ w, rows.T @ inputs, db


report = mdl.testing.check_op("linear", linear, backward=linear_backward, raises=False)
print(str(report).splitlines()[0])
print("diagnosis:", report.diagnosis)
assert not report.passed and "averages" in report.diagnosis

# %% [markdown]
# ## Why not just sum the output and differentiate?
#
# Because such a test misses mistakes. To differentiate, the outputs are weighted and summed; the
# weights are the incoming gradient, the *cotangent*. A cotangent of ones hides every mistake that
# mirrors, permutes or drops it. With it, the gradient of a softmax is zero, and so are many wrong
# ones. The kit ships the known wrong gradients (each was seen in a library, a course or a
# port). We apply three tests to them:
#
# 1. one square input, as people write them, with a cotangent of **ones**;
# 2. the same input, a **random** cotangent;
# 3. the kit's **table**: many rows, random cotangents, edge cases.

# %%
INPUTS = {  # shapes and options of an ordinary test
    "conv2d": (((2, 3, 6, 6), (3, 3, 3, 3), (3,)), {"padding": 1}),
    "conv_transpose2d": (((2, 3, 5, 5), (3, 3, 3, 3), (3,)), {}),
    "linear": (((5, 6), (4, 6), (4,)), {}),
    "max_pool2d": (((2, 3, 6, 6),), {"kernel_size": 2}),
    "avg_pool2d": (((2, 3, 6, 6),), {"kernel_size": 2}),
    "interpolate": (((2, 3, 4, 4),), {"scale_factor": 2, "mode": "bilinear"}),
    "relu": (((2, 3, 4, 4),), {}),
    "softmax": (((4, 5),), {"dim": 1}),
    "batch_norm": (((3, 4, 5, 5), None, None, (4,), (4,)), {"training": True}),
    "cross_entropy": (((6, 5), (6,)), {}),
}


def fresh(op):
    """New arrays for each call, since a wrong backward may write into them."""
    rng = np.random.default_rng(0)
    shapes, options = INPUTS[op]
    arrays = [None if shape is None else rng.standard_normal(shape) for shape in shapes]
    if op == "cross_entropy":
        arrays[1] = rng.integers(0, 5, 6)
    return arrays, options


def caught(mutant, ones):
    """Does one ordinary input show that this backward is wrong?"""
    arrays, options = fresh(mutant.op)
    shape = np.shape(right(mutant.op)(*arrays, **options))
    cotangent = np.ones(shape) if ones else np.random.default_rng(1).standard_normal(shape)
    results = []
    for backward in (right_backward(mutant.op), mutant.backward):
        arrays, options = fresh(mutant.op)
        results.append(backward(cotangent.copy(), *arrays, **options))
    return not all(
        expected is None or (np.shape(got) == expected.shape and np.allclose(got, expected))
        for expected, got in zip(*results, strict=False)
    )


counts = {}
for op in INPUTS:
    wrong = [mutant for mutant in mutants(op) if mutant.backward]
    counts[op] = [sum(caught(m, ones=True) for m in wrong),
                  sum(caught(m, ones=False) for m in wrong), len(wrong)]  # fmt: skip
ones, random, everything = np.array(list(counts.values())).T
print(f"{everything.sum()} wrong gradients: a cotangent of ones catches {ones.sum()}, "
      f"a random one {random.sum()}")  # fmt: skip
assert ones.sum() < random.sum() < everything.sum()

figure, axes = plt.subplots(figsize=(9, 4.8))
place = np.arange(len(counts))[::-1]
axes.barh(place, ones, 0.62, color=BLUE, label="ones")
axes.barh(place, random - ones, 0.62, ones, color=ORANGE, hatch="//", ec="white",
          label="only random")  # fmt: skip
axes.barh(place, everything - random, 0.62, random, color=GREY, label="only the table")
axes.set(yticks=place, yticklabels=list(counts), xticks=range(0, 20, 5), xlabel="wrong gradients")
axes.tick_params(axis="y", length=0)
axes.legend(loc="lower right", title="caught by", alignment="left")
plt.show()

# %% [markdown]
# `minideeplab check --self-test` verifies that the table catches all of them. That takes some
# minutes, so here are three that both ordinary tests miss:

# %%
for op, name in (("softmax", "cotangent-overwritten"), ("relu", "half-at-zero"),
                 ("avg_pool2d", "dx-uniform")):  # fmt: skip
    (mutant,) = (m for m in mutants(op) if m.name == name)
    assert not caught(mutant, ones=True) and not caught(mutant, ones=False)
    report = mdl.testing.check_op(op, right(op), mutant.backward, raises=False)
    print(f"{op}: {mutant.diagnosis}\n  the table: {str(report).splitlines()[0]}")
    assert not report.passed

# %% [markdown]
# ## A formula of your own
#
# For what is in no table there is `gradcheck`: your gradient against central differences, in
# float64, along random directions with a random cotangent. It shows the worst entries:


# %%
def hard_swish(x):
    return x * np.clip(x + 3, 0, 6) / 6


def hard_swish_backward(dy, x):
    return dy * np.clip(x + 3, 0, 6) / 6  # the product rule has a second half


try:
    mdl.testing.gradcheck(hard_swish, rng.standard_normal((2, 3)), backward=hard_swish_backward)
except AssertionError as error:
    print(error)

# %% [markdown]
# ## A whole framework
#
# PyTorch's functions are called as they are and differentiated by PyTorch (`arrays="torch"`; also
# `"jax"` and `"cupy"`). On the command line: `minideeplab check softmax
# torch.nn.functional:softmax --arrays torch`; and `minideeplab verify` compares all that is
# installed here.

# %%
if importlib.util.find_spec("torch"):
    import torch.nn.functional as TF

    for op in ("max_pool2d", "interpolate", "softmax", "cross_entropy"):
        report = mdl.testing.check_op(op, getattr(TF, op), arrays="torch", raises=False)
        print(str(report).splitlines()[0])
else:
    print("PyTorch is not installed: pip install torch")

# %% [markdown]
# - **Predict.** Which mistakes does a cotangent of ones find for `relu`?
# - **Try.** Give `check_op` your own function, or one of your framework.
# - **Read the source.** [`testing/conformance.py`](../minideeplab/testing/conformance.py),
#   [`testing/gradients.py`](../minideeplab/testing/gradients.py).
# - **Next.** [11 Your own data](11_own_data.ipynb).
