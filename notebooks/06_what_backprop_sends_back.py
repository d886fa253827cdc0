# %% [markdown]
# # What backpropagation computes
#
# *Previous:* [05 ASPP branches](05_aspp_branches.ipynb) · *Next:* [07 Mean field, step by
# step](07_mean_field_step_by_step.ipynb) · *Lesson:* [7 Loss and
# training](../lessons/07_loss_and_training/lesson.py), [8 Testing
# gradients](../lessons/08_testing_gradients/lesson.py) · *Paper:* section 4.1 · *Source:*
# [`tape.py`](../minideeplab/tape.py), [`ops/conv.py`](../minideeplab/ops/conv.py)
#
# A network learns from the gradient of the loss with respect to its weights. We follow the gradient
# from the loss, through the upsampling and the network, to the pixels. On the way we measure which
# pixels an output depends on, and what keeps the gradient from vanishing.

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage

import minideeplab as mdl
import minideeplab.functional as F
from minideeplab.visualize.plots import ORANGE, add_square, show

plt.style.use("minideeplab.visualize.lecture")


# %% [markdown]
# ## It starts as a difference
#
# For one pixel with scores $s$ and probabilities $p = \mathrm{softmax}(s)$, the cross-entropy with
# the true class $t$ is $L = -\log p_t$, and its gradient could not be simpler:
#
# $$ \frac{\partial L}{\partial s_c} = p_c - [c = t]. $$
#
# The predicted probability minus the true one. Averaged over $n$ pixels it is divided by $n$;
# pixels labelled 255 are ignored and have gradient zero.

# %%
net = mdl.models.from_checkpoint(mdl.pretrained.find("shapes"))
scenes = mdl.data.SyntheticScenes(40, size=(121, 161), seed=5)
image, truth = scenes[12]
x = net.preprocessing(image)[None]

with mdl.no_grad():
    coarse = np.asarray(net(x))  # (1, 6, 31, 41)
coarse = mdl.Tensor(coarse, requires_grad=True)
upsampled = F.interpolate(coarse, size=truth.shape, mode="bilinear", align_corners=True)
scores = mdl.Tensor(upsampled.data, requires_grad=True)  # a leaf: here we stop and look
loss = F.cross_entropy(scores, truth[None].astype(np.int64), ignore_index=255)
loss.backward()

counted = truth != 255
p = F.softmax(scores.data, 1)[0]
by_hand = p - (truth == np.arange(6)[:, None, None])
by_hand = by_hand * counted / counted.sum()
print(f"largest difference from p - [c = t]: {np.abs(scores.grad[0] - by_hand).max():.0e}")
assert np.allclose(scores.grad[0], by_hand, atol=1e-8)
assert not scores.grad[0][:, ~counted].any(), "ignored pixels have gradient zero"

box = scenes.classes.index("box")
figure, panels = plt.subplots(1, 3, figsize=(9.4, 2.9))
show(panels[0], image, "image")
show(panels[1], p[box], "probability of “box”", cmap="cividis", vmin=0, vmax=1)
signed = {"cmap": "PuOr_r", "vmin": -1, "vmax": 1}
bar = show(panels[2], scores.grad[0, box] * counted.sum(), "gradient", **signed)
figure.colorbar(bar, ax=panels[2], ticks=(-1, 0, 1), shrink=0.75, label="$p - [c = t]$")
plt.show()

# %% [markdown]
# White: gradient zero. Brown: the network predicts “box” where there is none, so that score must go
# down. Purple: a box was not recognised. The band around the edges is ignored and white.
#
# ## Through the upsampling
#
# The gradient of a coarse score is the weighted sum over all pixels that read it, with the weights
# of the interpolation (notebook 04). Interpolation weights sum to one at each pixel, so the
# sum of the gradient is the same on both sides.

# %%
upsampled.backward(scores.grad)  # from here on down to the coarse scores
sums = scores.grad[0].sum(axis=(1, 2)), coarse.grad[0].sum(axis=(1, 2))
assert np.allclose(*sums, atol=1e-6)
print("sum for each class, fine:  ", *(f"{value:+.4f}" for value in sums[0]))
print("sum for each class, coarse:", *(f"{value:+.4f}" for value in sums[1]))

pixels = mdl.Tensor(x, requires_grad=True)
net(pixels).backward(coarse.grad)
arrived = np.abs(pixels.grad[0]).sum(axis=0)  # (121, 161)

figure, panels = plt.subplots(1, 3, figsize=(9.4, 2.9))
for axes, grad, title in ((panels[0], scores.grad, "at 121 × 161 scores"),
                          (panels[1], coarse.grad, "at 31 × 41 scores")):  # fmt: skip
    limit = np.quantile(np.abs(grad[0, box]), 0.995)
    bar = show(axes, grad[0, box], title, cmap="PuOr_r", vmin=-limit, vmax=limit)
    figure.colorbar(bar, ax=axes, shrink=0.75, format="%.0e", ticks=(-limit, 0, limit))
show(panels[2], ndimage.gaussian_filter(arrived, 1), "at the pixels", cmap="cividis")
plt.show()

# %% [markdown]
# On the right is the gradient at the pixels, from all classes together: bright where a small change
# of colour would change the loss most.
#
# ## Which pixels does one output depend on?
#
# In theory: all within the *receptive field*, which follows from kernels, strides and rates
# alone. In practice most of it hardly counts. We propagate a random gradient back from the middle
# position of three stages and average over scenes. The white square is the receptive field in
# theory.

# %%
large = mdl.data.SyntheticScenes(3, size=(321, 321), seed=7)
layers = {  # (kernel, stride, rate) of each convolution on the way
    "fine": [(3, 2, 1), (3, 1, 1), (3, 2, 1), (3, 1, 1)],
    "coarse": [(3, 2, 1), (3, 1, 1), (3, 1, 1), (3, 1, 2), (3, 1, 4), (3, 1, 4)],
    "widest branch": [(3, 1, 12)],
}


def theory():
    """Receptive field after each stage, in pixels."""
    field, step, fields = 1, 1, {}
    for stage, convolutions in layers.items():
        for kernel, stride, rate in convolutions:
            field += (kernel - 1) * rate * step
            step *= stride
        fields[stage] = field
    return fields


def stages(x):
    """Activations of each stage: (1, C, h, w)."""
    fine = net.fine(x)
    coarse = net.coarse(fine)
    branches = [branch(coarse) for _, branch in net.aspp.branches.named_children()]
    return {"fine": fine, "coarse": coarse, "widest branch": branches[-1]}


rng = np.random.default_rng(0)
influence = dict.fromkeys(layers, 0)
for large_image, _ in large:
    for stage in layers:
        pixels = mdl.Tensor(net.preprocessing(large_image)[None], requires_grad=True)
        y = stages(pixels)[stage]
        back = np.zeros(y.shape, np.float32)
        back[0, :, y.shape[2] // 2, y.shape[3] // 2] = rng.choice([-1, 1], y.shape[1])
        y.backward(back)
        influence[stage] = influence[stage] + np.abs(pixels.grad[0]).sum(axis=0)

figure, panels = plt.subplots(1, 3, figsize=(9.4, 3.7))
distance = np.abs(np.indices(large.size) - 160).max(axis=0)
for axes, (stage, field) in zip(panels, theory().items(), strict=True):
    share = influence[stage] / influence[stage].sum()
    assert share[distance > field // 2].sum() < 1e-5, "nothing from outside, but for rounding"
    inner = np.searchsorted(np.bincount(distance.ravel(), share.ravel()).cumsum(), 0.5)
    print(f"{stage}: field {field} px; half of the influence from the inner {2 * inner + 1} px")
    smooth = ndimage.gaussian_filter(share, 2)
    show(axes, smooth, stage, cmap="cividis", vmin=0, vmax=np.quantile(smooth, 0.999))
    for width, colour in ((field, "white"), (2 * inner + 1, ORANGE)):
        add_square(axes, (160, 160), width, colour)
    axes.set(xlim=(-0.5, 320.5), ylim=(320.5, -0.5))
    axes.set_xlabel(f"field {field} px, half in {2 * inner + 1}", fontsize=12)
plt.show()

# %% [markdown]
# White: the field in theory (in the last panel it is larger than the image). Orange: half of the
# influence comes from within this square. The middle of a field has many more paths to the output
# than its rim, so that the effective field is much smaller than the nominal one. A branch with a
# large rate is the exception: its taps lie far apart.
#
# ## Does the gradient vanish?
#
# Each layer multiplies the gradient by its weights. If that makes it a little smaller on average,
# many layers make it vanish; a little larger, and it explodes. A ReLU passes half of it on average,
# so weights of variance $2 / \text{fan-in}$ (*He initialisation*) keep the balance. Thirty layers
# of 3 × 3 convolutions with weights of other sizes:


# %%
def sizes(scale, shortcut=False, depth=30, channels=16):
    """Root mean square of the gradient behind each layer, from the last to the first."""
    rng = np.random.default_rng(3)
    std = scale * np.sqrt(2 / (9 * channels))
    x = mdl.Tensor(rng.standard_normal((1, channels, 24, 24)), requires_grad=True)
    weights = [std * rng.standard_normal((channels, channels, 3, 3)) for _ in range(depth)]
    signs = rng.choice([-1, 1], (1, channels, 24, 24))
    inputs, y = [], x
    for w in weights:  # one layer at a time, so that we can look at every gradient
        inputs.append(mdl.Tensor(np.asarray(y), requires_grad=True))
        y = step(inputs[-1], w, shortcut)
    grad, found = signs.astype(float), []
    for x, w in zip(reversed(inputs), reversed(weights), strict=True):
        step(x, w, shortcut).backward(grad)
        grad = x.grad
        found.append(np.sqrt(np.mean(grad**2)))
    return found


def step(x, w, shortcut):
    y = F.relu(F.conv2d(x, w, padding=1))
    return (x + y) * np.sqrt(0.5) if shortcut else y


figure, axes = plt.subplots(figsize=(8.8, 4.2))
ends = {}
for name, options, style in (
    ("1.4 × He", {"scale": 1.4}, "-."),
    ("He", {"scale": 1}, "-"),
    ("0.7 × He, shortcuts", {"scale": 0.7, "shortcut": True}, ":"),
    ("0.7 × He", {"scale": 0.7}, "--"),
):
    found = sizes(**options)
    ends[name] = found[-1]
    axes.semilogy(range(1, 31), found, style, label=name)
    print(f"{name}: after 30 layers {found[-1]:.1e} of the gradient")
axes.set(xlabel="layers passed on the way back", ylabel="size of the gradient")
axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
plt.show()
assert ends["1.4 × He"] > 100 > 2 > ends["He"] > 0.1 > ends["0.7 × He"] * 100
assert ends["0.7 × He, shortcuts"] > 100 * ends["0.7 × He"]

# %% [markdown]
# A factor of 1.4 more or less makes the gradient explode or vanish. Shortcuts (here $(x +
# f(x))/\sqrt2$) give the gradient a path around the weights, and batch normalisation undoes their
# scale. Both make networks forgiving; the bundled net has both and could be trained from nothing.
# VGG-16 has neither, and was trained in steps, from a shallow net to a deep one.
#
# ## Maximum and ReLU
#
# A maximum passes the gradient to the largest pixel; the others receive zero. Where several are
# equal, the first one receives it, in PyTorch as here. ReLU passes nothing where its output is
# zero.

# %%
x = mdl.Tensor(np.array([[[[1.0, 5.0, 2.0, 2.0], [3.0, 4.0, 2.0, 2.0]]]]), requires_grad=True)
F.max_pool2d(x, 2).backward(np.array([[[[10.0, 20.0]]]]))
print("pooled\n", x.data[0, 0], "\nreceived\n", x.grad[0, 0])
assert x.grad[0, 0, 0, 1] == 10 and x.grad[0, 0, 0, 2] == 20

x = mdl.Tensor(np.array([-1.0, 0.0, 2.0]), requires_grad=True)
F.relu(x).backward(np.ones(3))
print("ReLU of", x.data, "passes", x.grad)
assert np.array_equal(x.grad, [0, 0, 1])

# %% [markdown]
# - **Predict.** What is the gradient of an upsampled score of a pixel whose label is 255?
# - **Try.** Set `depth=60` in `sizes`, and find the scale at which the gradient keeps its size.
# - **Read the source.** [`tape.py`](../minideeplab/tape.py),
#   [`ops/conv.py`](../minideeplab/ops/conv.py).
# - **Next.** [07 Mean field, step by step](07_mean_field_step_by_step.ipynb).
