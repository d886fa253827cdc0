# %% [markdown]
# # Holes in filters
#
# *Previous:* [00 The tour](00_tour.ipynb) · *Next:* [02 Features on a
# photograph](02_features_on_a_photograph.ipynb) · *Lesson:* [1
# Convolution](../lessons/01_convolution/lesson.py), [2 Atrous
# convolution](../lessons/02_atrous_convolution/lesson.py) · *Paper:* section 3.1 · *Source:*
# [`ops/conv.py`](../minideeplab/ops/conv.py)
#
# How does a filter see further without more weights, and a network give denser scores without
# being trained again? DeepLab solves both with *atrous* convolution, from the French *à trous*,
# "with holes" ([arXiv 1606.00915](https://arxiv.org/abs/1606.00915), section 3.1).

# %%
import matplotlib.pyplot as plt
import numpy as np

import minideeplab as mdl
import minideeplab.functional as F
from minideeplab.visualize.plots import BLUE, ORANGE, show, street

plt.style.use("minideeplab.visualize.lecture")

# %% [markdown]
# ## The definition
#
# With rate $r$ and $K$ taps, the output at position $p$ is
#
# $$ y[p] = \sum_{k=0}^{K-1} w[k]\; x[p + r\,k]. $$
#
# Rate 1 is the convolution everyone knows. Rate $r$ leaves $r-1$ holes between the taps, so that
# the filter spans $K + (K-1)(r-1)$ positions. The number of weights and of multiplications is
# still $K$ (in two dimensions $K^2$).
#
# ![The filter slides over its input, at rate 1 and rate 2](../.github/images/atrous.gif)


# %%
def span(taps, rate):
    return taps + (taps - 1) * (rate - 1)


figure, panels = plt.subplots(1, 3, figsize=(9, 3.5))
for axes, rate in zip(panels, (1, 2, 4), strict=True):
    grid = np.full((11, 11), 1.0)
    places = 5 + rate * np.array([-1, 0, 1])
    reach = slice(places[0], places[-1] + 1)
    grid[reach, reach] = 0.86
    axes.imshow(grid, vmin=0, vmax=1)
    axes.set(xticks=np.arange(12) - 0.5, yticks=np.arange(12) - 0.5)
    axes.tick_params(length=0, labelbottom=False, labelleft=False)
    axes.grid(color="0.7", lw=0.8)
    axes.spines[:].set_visible(False)
    axes.plot(*(m.ravel() for m in np.meshgrid(places, places)), "s", ms=12, color=BLUE)
    axes.set_title(f"rate {rate}: 9 taps, {span(3, rate)} × {span(3, rate)}")

# %% [markdown]
# ## The same thing, three times
#
# An atrous convolution can be had from an ordinary one in two ways, and both are good tests of an
# implementation:
#
# 1. **Zeros in the kernel.** Write the holes out as weights of zero. Right, but most of the
#    multiplications are by zero.
# 2. **Polyphase.** Taps $r$ apart only meet pixels $r$ apart. So sort the image's pixels by
#    their coordinates modulo $r$ into $r^2$ small images, convolve each with the *dense* kernel,
#    and put the results back. No multiplication is wasted.

# %%
rng = np.random.default_rng(0)
rate = 3
x = rng.standard_normal((1, 4, 24, 27))
w = rng.standard_normal((5, 4, 3, 3))
atrous = F.conv2d(x, w, dilation=rate)

stuffed = np.zeros((5, 4, span(3, rate), span(3, rate)))
stuffed[:, :, ::rate, ::rate] = w
by_zeros = F.conv2d(x, stuffed)

by_phases = np.empty_like(atrous)
for i, j in np.ndindex(rate, rate):
    by_phases[:, :, i::rate, j::rate] = F.conv2d(x[:, :, i::rate, j::rate], w)

for name, other in (("zeros in the kernel", by_zeros), ("polyphase", by_phases)):
    difference = np.abs(atrous - other).max()
    print(f"atrous against {name}: largest difference {difference:.1e}")
    assert difference < 1e-12
print(f"multiplications per output: {w[0].size} atrous, {stuffed[0].size} with the zeros")

# %%
phase = 3 * (np.arange(9)[:, None] % 3) + np.arange(9) % 3
shades = plt.get_cmap("cividis")(np.linspace(0.12, 1, 9))
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.3))
sorted_phase = phase.reshape(3, 3, 3, 3).transpose(1, 0, 3, 2).reshape(9, 9)
for axes, grid, title in (
    (left, phase, "pixels, coloured by phase"),
    (right, sorted_phase, "sorted: nine small images"),
):
    axes.imshow(shades[grid])
    axes.set_title(title)
    axes.set(xticks=np.arange(10) - 0.5, yticks=np.arange(10) - 0.5)
    axes.tick_params(length=0, labelbottom=False, labelleft=False)
    axes.grid(color="white", lw=1)
    axes.spines[:].set_visible(False)
    taps = np.argwhere(grid == 4)
    axes.plot(taps[:, 1], taps[:, 0], "o", ms=13, mfc=ORANGE, mec="white", mew=1.8)
right.hlines([2.5, 5.5], -0.5, 8.5, color="black", lw=2)
right.vlines([2.5, 5.5], -0.5, 8.5, color="black", lw=2)
plt.show()

# %% [markdown]
# The nine dots are the taps of one $3 \times 3$ filter of rate 3. On the left they lie apart; on
# the right they are neighbours, in the one small image that has their phase.
#
# ## Dense features from a trained network
#
# A layer of stride 2 keeps every second output, and the layers behind it never see the others.
# Take the stride away and double the rate behind it: the kept outputs are unchanged, and the
# outputs in between appear, from the *same weights*. Why? After the change, the second layer's taps
# lie 2 apart on a grid twice as fine, so at even positions they read exactly what they read
# before. Every further stride doubles the rate again. In one dimension:

# %%
signal = np.convolve(rng.standard_normal(85), np.hanning(9) / 2, mode="same")[None, None, None]
first, second = rng.standard_normal((2, 1, 1, 1, 3))

sparse = F.conv2d(F.relu(F.conv2d(signal, first, stride=(1, 2))), second)[0, 0, 0]
dense = F.conv2d(F.relu(F.conv2d(signal, first)), second, dilation=(1, 2))[0, 0, 0]
assert np.allclose(dense[::2], sparse), "the old outputs are all there"
print(f"{sparse.size} outputs became {dense.size}; the old ones are the even ones")

figure, axes = plt.subplots()
axes.plot(dense, color=BLUE, marker=".", ms=7, lw=1.5, label="stride 1, then rate 2")
axes.plot(np.arange(0, dense.size, 2), sparse, "o", ms=10, mfc="none", mec=ORANGE, mew=2,
          label="stride 2, then rate 1")  # fmt: skip
axes.set(xlabel="position", ylabel="output", xlim=(-1, 80))
axes.legend(loc="upper left", bbox_to_anchor=(0, 1.2), ncols=2)
plt.show()

# %% [markdown]
# This is how DeepLab turns a classifier of stride 32 into a segmentation network of stride 8. No
# new weights and no new training are needed; more positions are computed.
#
# ![Stride 2 becomes rate 2](../.github/images/stride-to-rate.gif)
#
# ## On an image: the paper's figure 3
#
# A derivative filter of 7 × 7 taps on a photograph. Above, the image is made half as large,
# filtered, and the result interpolated. Below, the same filter with rate 2 runs on the full image.
# It gives the same values at every second pixel, and computes those in between.

# %%
grey = street()[240:340, :140].mean(axis=2)[None, None] / 255
offsets = np.arange(-3, 4)
gauss = np.exp(-(offsets**2) / 4.5)
edges = (np.outer(-offsets * gauss, gauss) / 12)[None, None]  # derivative from top to bottom

coarse = F.conv2d(grey[:, :, ::2, ::2], edges, padding=3)
interpolated = F.interpolate(coarse, size=(99, 139), mode="bilinear", align_corners=True)
fine = F.conv2d(grey, edges, padding=6, dilation=2)
assert np.allclose(fine[:, :, ::2, ::2], coarse), "the same values where both exist"

figure, panels = plt.subplots(2, 3, figsize=(9.6, 5.4))
signed = {"cmap": "PuOr_r", "vmin": -0.4, "vmax": 0.4}
show(panels[0, 0], grey[0, 0, ::2, ::2], "half size")
show(panels[0, 1], coarse[0, 0], "filtered", **signed)
show(panels[0, 2], interpolated[0, 0], "interpolated", **signed)
show(panels[1, 0], grey[0, 0], "full size")
drawn = show(panels[1, 1], fine[0, 0], "filtered with rate 2", **signed)
show(
    panels[1, 2],
    np.abs(fine[0, 0, :99, :139] - interpolated[0, 0]),
    "difference",
    vmin=0,
    vmax=0.4,
)
figure.colorbar(drawn, ax=panels, shrink=0.7, label="response")
plt.show()

# %% [markdown]
# ## What does a stack of layers see?
#
# The *receptive field* of an output is the set of pixels that can change it (the paper says
# *field of view*, `LargeFOV`). We get it from the gradient: with positive weights everywhere,
# send back a one from one output, and the pixels whose gradient is not zero are those that were
# read; its size tells over how many paths. Each layer of $K$ taps and rate $r$ widens the field
# by $(K-1)\,r$.


# %%
def paths(rates, size=41):
    """Count, for each input pixel, the paths to the middle output of 3 × 3 layers."""
    x = mdl.Tensor(np.zeros((1, 1, size, size)), requires_grad=True)
    y = x
    for rate in rates:
        y = F.conv2d(y, np.ones((1, 1, 3, 3)), padding=rate, dilation=rate)
    y[0, 0, size // 2, size // 2].backward()
    return x.grad[0, 0]


stacks = {"rates 1, 1, 1": (1, 1, 1), "rates 1, 2, 4": (1, 2, 4), "rates 4, 4, 4": (4, 4, 4)}
figure, panels = plt.subplots(1, 3, figsize=(9, 3.7))
for axes, (name, rates) in zip(panels, stacks.items(), strict=True):
    count = paths(rates)
    rows = np.flatnonzero(count.any(axis=1))
    width = rows[-1] - rows[0] + 1
    seen = (count > 0).sum() / width**2
    assert width == 1 + sum(2 * rate for rate in rates)
    print(f"{name}: field {width} × {width}, of which {seen:.0%} is read")
    axes.imshow(np.where(count > 0, np.log(np.maximum(count, 1)) + 1, np.nan),
                cmap="viridis_r", extent=(-20.5, 20.5) * 2)  # fmt: skip
    axes.set(xlim=(-14.5, 14.5), ylim=(-14.5, 14.5), xticks=(-12, 0, 12), yticks=(-12, 0, 12))
    axes.set_title(f"{name}\n{width} px wide, {seen:.0%} read")
    axes.set_xlabel("pixels; darker: more paths", fontsize=11)

assert (paths((1, 2, 4)) > 0).sum() == 15**2, "doubling rates leave no holes"
assert (paths((4, 4, 4)) > 0).sum() == 7**2, "equal rates read one phase only"

# %% [markdown]
# Three plain layers see 7 pixels. With rates 1, 2, 4 they see 15, each of which counts. With the
# rates 4, 4, 4 they span 25 × 25 pixels but read 49 of them: all taps meet the same phase. This is
# the **gridding effect**: neighbouring outputs depend on disjoint sets of pixels, and a fine
# texture may fall into the holes altogether.
#
# ## Gridding on an image
#
# Let the three layers average (weights $1/9$), and show them a bright dot and fine stripes.

# %%
size = 80
scene = np.zeros((size, size))
scene[16, 16] = 60
scene[:, 40:] = np.arange(40) % 4 == 0  # a bright column every 4 pixels

figure, panels = plt.subplots(1, 3, figsize=(9, 3.5))
panels[0].imshow(scene, vmin=0, vmax=1)
panels[0].set_title("a dot, and stripes")
results = {}
for axes, (name, rates) in zip(panels[1:], list(stacks.items())[1:], strict=True):
    y = scene[None, None]
    for rate in rates:
        y = F.conv2d(y, np.full((1, 1, 3, 3), 1 / 9), padding=rate, dilation=rate)
    results[name] = y[0, 0]
    axes.imshow(y[0, 0], vmin=0, vmax=1)
    axes.set_title(name)
for axes in panels:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)

middle = (40, slice(54, 66))  # inside the stripes, away from borders
for name, y in results.items():
    print(f"{name}: contrast left inside the stripes {np.ptp(y[middle]):.2f}")
assert np.ptp(results["rates 1, 2, 4"][middle]) < 0.25
assert np.ptp(results["rates 4, 4, 4"][middle]) > 0.99
plt.show()

# %% [markdown]
# An average over 15 pixels should wash the stripes out, and with rates 1, 2, 4 little is left of
# them. Rates 4, 4, 4 do not touch them, since all taps fall on stripes or all fall beside; and
# they turn the dot into a lattice of dots. DeepLab uses large rates *once*, behind many plain
# layers that mix neighbouring pixels, and joins several rates side by side. There gridding does
# little harm.

# %% [markdown]
# - **Predict.** Which pixels do rates 1, 2, 3 read in three layers? And 2, 3, 4?
# - **Try.** Change `stacks` to your own rates, and find three whose receptive field is as large
#   as possible without holes.
# - **Read the source.** [`ops/conv.py`](../minideeplab/ops/conv.py).
# - **Next.** [02 Features on a photograph](02_features_on_a_photograph.ipynb).
