# %% [markdown]
# # Lesson 4 · Dense features: from output stride 32 to 8
#
# VGG-16 gives one score for every 32 × 32 pixels. Its **output stride** is 32: fine for naming an
# image, hopeless for outlining a bicycle. DeepLab needs scores four times as dense, from the
# *same* trained filters. In this lesson you will do that in two ways: by brute force, running the
# network on shifted images, and by algebra, moving every stride into a rate. You will see that
# both give the same numbers, what the second costs, how fc6 is cut to a quarter and less, and
# on which pixel each score really sits.
#
# Five tasks, ten points. Fill in each hole, run the cell, and look at what `check` says.

# %%
import matplotlib.pyplot as plt
import numpy as np

from minideeplab.grading import checker
from minideeplab.ops import resize

plt.style.use("minideeplab.visualize.lecture")
BLUE, ORANGE, GREEN, SKY, GREY = "#0072B2", "#D55E00", "#009E73", "#56B4E9", "0.6"
check = checker("04")

# %% [markdown]
# ## What a stride of 32 costs
#
# Suppose that a network makes no mistake at all, but gives its scores only at every $S$-th pixel.
# We interpolate between the scores and draw the line where they cross one half. How much of a
# thin object is left?


# %%
def bicycle(height: int, width: int) -> np.ndarray:
    """Return two wheels and a frame as a mask (H, W) of 0 and 1."""
    y, x = np.mgrid[:height, :width].astype(float)
    mask = np.zeros((height, width))
    for centre in ((150, 75), (150, 245)):
        distance = np.hypot(y - centre[0], x - centre[1])
        mask[abs(distance - 52) < 7] = 1
    joints = [(150, 75), (85, 120), (150, 150), (80, 220), (150, 245), (60, 212), (62, 116)]
    for a, b in [(0, 1), (1, 2), (2, 0), (1, 3), (2, 3), (3, 4), (3, 5), (1, 6)]:
        (y0, x0), (y1, x1) = joints[a], joints[b]
        share = ((y - y0) * (y1 - y0) + (x - x0) * (x1 - x0)) / ((y1 - y0) ** 2 + (x1 - x0) ** 2)
        share = np.clip(share, 0, 1)
        mask[np.hypot(y - y0 - share * (y1 - y0), x - x0 - share * (x1 - x0)) < 6] = 1
    return mask


truth = bicycle(225, 321)
figure, panels = plt.subplots(1, 4, figsize=(9, 2.1))
for axes, stride in zip(panels, (1, 8, 16, 32), strict=True):
    scores = truth[::stride, ::stride][None, None]
    dense = resize.interpolate(scores, truth.shape, "bilinear", True, (None, None))[0, 0] > 0.5
    iou = np.sum(dense * truth) / np.sum((dense + truth) > 0)
    axes.imshow(dense, cmap="Blues", vmax=1.3)
    axes.set_title("truth" if stride == 1 else f"stride {stride}: IoU {iou:.2f}", fontsize=12)
    axes.set_axis_off()

# %% [markdown]
# ## By brute force: shift and stitch
#
# The network looks at position 0, $S$, $2S$, ... of the image. Cut one row off at the top: now it
# looks at what was row 1, $S + 1$, $2S + 1$, ... With all $S \times S$ shifts each position has had
# its turn, and the $S^2$ small maps can be woven into one dense map. Nothing is approximated, no
# filter changes. It only takes $S^2$ runs of the network.
#
# ### Task 4.1 · Stitch (2 points)
#
# `parts[a][b]` is the network's output after $a$ rows and $b$ columns were cut off; its value at
# $(p, q)$ is the output for position $(Sp + a,\, Sq + b)$. Weave the $S \times S$ parts together.
# Later parts may be one row or column smaller than earlier ones, as the image ends.


# %%
def stitch(parts: list[list[np.ndarray]]) -> np.ndarray:
    """Weave parts[a][b] (P_a, Q_b), S lists of S, into one map (sum of P_a, sum of Q_b)."""
    # solution 4.1: part (a, b) fills every S-th row from a and every S-th column from b
    stride = len(parts)
    height = sum(len(row[0]) for row in parts)
    width = sum(part.shape[1] for part in parts[0])
    dense = np.zeros((height, width))
    for a, b in np.ndindex(stride, stride):
        dense[a::stride, b::stride] = parts[a][b]
    return dense
    # end 4.1


check("4.1", stitch)

# %% [markdown]
# ## By algebra: a stride becomes a rate
#
# In one dimension, write $D_s$ for keeping every $s$-th value, $(D_s x)[p] = x[sp]$, and $W_r$ for
# a filter at rate $r$, $(W_r x)[p] = \sum_k w[k]\, x[p + rk]$. Subsample first and filter then:
#
# $$ (W_r D_s x)[p] = \sum_k w[k]\,(D_s x)[p + rk] = \sum_k w[k]\, x[sp + rsk]
#  = (W_{rs}\, x)[sp] = (D_s W_{rs}\, x)[p]. $$
#
# So $W_r D_s = D_s W_{rs}$: **a subsampling may change places with the filter behind it, if the
# filter's rate is multiplied by $s$.** The proof only uses *which* values are read, and so it
# holds for max pooling as well. A ReLU or a bias works on each value by itself: it changes
# places with $D_s$ as it is.
#
# A layer of stride $s$ is a layer of stride 1 with $D_s$ behind it. Push all the subsamplings to
# the end, past one layer after the other:
#
# $$ V_1 D_2\; U_1 D_2\; W_1 \;=\; V_1 D_2\; D_2\, U_2\; W_1 \;=\; D_4\; V_4\, U_2\, W_1 $$
#
# (read from right to left: $W$ is the first layer, $W$ and $U$ have stride 2). The last form is a
# dense network followed by one subsampling. Leave that out, and there is an output at every
# position; every fourth of them is a score of the old network. In the figure, the dark dots of the
# dense network are those that the network with strides computes, too.

# %%
figure, panels = plt.subplots(1, 2, figsize=(9, 3.3), sharey=True)
SPACING = 1, 2, 4, 4  # of the values in the network with strides, from the signal up
for axes, strided in zip(panels, (True, False), strict=True):
    for level in range(4):
        step = SPACING[level] if strided else 1
        reach = 2 * sum(SPACING[:level])
        places = np.arange(0, 19 - reach, step)
        if level:  # three taps, as far apart as the values of the layer below
            for tap in range(3):
                ends = places + tap * SPACING[level - 1], places
                axes.plot(ends, (level - 1, level), color="0.85", lw=0.8, zorder=0)
        common = places % SPACING[level] == 0
        axes.plot(places[~common], 0 * places[~common] + level, "o", color=SKY, ms=5)
        axes.plot(places[common], 0 * places[common] + level, "o", color=BLUE, ms=6)
    axes.set(yticks=range(4), xticks=range(0, 19, 4), xlabel="position")
panels[0].set_yticklabels(["signal", "layer 1", "layer 2", "layer 3"])
panels[0].set_title("strides 2, 2, 1; rates 1, 1, 1")
panels[1].set_title("strides 1, 1, 1; rates 1, 2, 4")

# %% [markdown]
# ### Task 4.2 · Any output stride (2 points)
#
# Rewrite a network's table of layers $(k, s, r)$ so that it has at most the given output stride.
# Walk up from the first layer. A layer keeps its stride if the product of all strides kept so far,
# times its own, is at most `output_stride`. Otherwise its stride becomes 1, and the rates of all
# layers *behind* it are multiplied by the stride that it lost. Kernels stay.


# %%
def dense_layers(
    layers: list[tuple[int, int, int]], output_stride: int
) -> list[tuple[int, int, int]]:
    """Layers (kernel, stride, rate) with the same filters and a smaller output stride."""
    # solution 4.2: keep two products while walking up, the strides kept and the strides lost
    kept, lost, result = 1, 1, []
    for kernel, stride, rate in layers:
        if kept * stride <= output_stride:
            kept *= stride
            result.append((kernel, stride, rate * lost))
        else:
            result.append((kernel, 1, rate * lost))
            lost *= stride
    return result
    # end 4.2


check("4.2", dense_layers)

# %% [markdown]
# ### Task 4.3 · The dense output (3 points)
#
# Now compute it. A network for signals is a list of layers of three kinds,
#
# - `("conv", w, s)`: equation $y[p] = \sum_k w[k]\, x[ps + k]$ with the array $w$ of taps,
# - `("max", k, s)`: the maximum of $k$ values, $y[p] = \max_{j<k} x[ps + j]$,
# - `("relu", None, 1)`: $y[p] = \max(0, x[p])$,
#
# all without padding. Return its output at *every* position, without a loop over the positions:
# every layer at stride 1, and at the rate that the strides below it make necessary.


# %%
def dense_response(x: np.ndarray, layers: list[tuple]) -> np.ndarray:
    """The network's output for x (N,) from each position on: (N - R + 1,), R its field."""
    # solution 4.3: apply each layer at stride 1, with the product of all former strides as rate
    rate = 1
    for kind, what, stride in layers:
        if kind == "relu":
            x = np.maximum(x, 0)
            continue
        taps = len(what) if kind == "conv" else what
        length = len(x) - (taps - 1) * rate
        pieces = np.stack([x[k * rate : k * rate + length] for k in range(taps)])
        x = what @ pieces if kind == "conv" else pieces.max(axis=0)
        rate *= stride
    return x
    # end 4.3


check("4.3", dense_response)

# %%
random = np.random.default_rng(4)
small_net = [
    ("conv", np.array([1.0, 2.0, 1.0]) / 4, 1),
    ("max", 2, 2),
    ("conv", np.array([-1.0, 0.0, 1.0]), 1),
    ("relu", None, 1),
    ("max", 2, 2),
    ("conv", np.array([0.5, 1.0, 0.5]), 1),
]
position = np.arange(160)
signal = np.sin(position / 9) + np.sin(position / 3.7) + 0.3 * random.standard_normal(160)
dense = dense_response(signal, small_net)

figure, axes = plt.subplots(figsize=(9, 3))
axes.plot(np.arange(len(dense)), dense, color=BLUE, label="rates 1, 2, 4: every position")
axes.plot(
    np.arange(len(dense))[::4], dense[::4], "o", ms=7, color=ORANGE, label="strides: every fourth"
)
axes.set(xlabel="position", ylabel="response", xlim=(0, 145))
axes.legend(loc="upper right", ncols=2, bbox_to_anchor=(1, 1.18))

# %% [markdown]
# The dots are all that the network with strides has to say. The curve between them is not smooth:
# interpolating between the dots would miss what happens there.
#
# ## What density costs
#
# Weights stay as they are, but each must be multiplied at more positions. From stride 32 to 8 these
# are four times as many in both directions. Only the layers behind a lost stride pay for it: with
# pool4 and pool5 at stride 1, conv5 works on 4 times and fc6 on 16 times as many positions, and
# all the blocks before them are not touched. The figure counts the multiplications of VGG-16 on
# 513 × 513 pixels. It is fc6, with its 7 × 7 taps and 4096 filters, that makes a dense VGG-16 slow,
# and so DeepLab's authors cut it down (the last bar).

# %%
VGG16 = [("conv1", 3, 64, 2), ("conv2", 64, 128, 2), ("conv3", 128, 256, 3),
         ("conv4", 256, 512, 3), ("conv5", 512, 512, 3)]  # fmt: skip


def work_of_blocks(output_stride: int, fc6: int) -> np.ndarray:
    """Return billions of multiplications of conv1 ... conv5 and fc6 (weights fc6), (6,)."""
    table = [layer for *_, count in VGG16 for layer in [(3, 1, 1)] * count + [(2, 2, 1)]]
    layers, size, work = iter(dense_layers(table, output_stride)), 513, []
    for _, channels, filters, count in VGG16:
        weights = 9 * filters * (channels + (count - 1) * filters)
        work.append(weights * size**2)
        *_, (_, stride, _) = (next(layers) for _ in range(count + 1))
        size = (size - 1) // stride + 1
    return np.array([*work, fc6 * size**2]) / 1e9


large, small = 512 * 7 * 7 * 4096, 512 * 3 * 3 * 1024
bars = {
    "stride 32": work_of_blocks(32, large),
    "stride 16": work_of_blocks(16, large),
    "stride 8": work_of_blocks(8, large),
    "stride 8, fc6 cut": work_of_blocks(8, small),
}
figure, axes = plt.subplots(figsize=(9, 3))
left = np.zeros(len(bars))
parts = *(block[0] for block in VGG16), "fc6"
for name, part, colour in zip(
    parts, np.array(list(bars.values())).T, (GREY, SKY, GREEN, BLUE, "#E69F00", ORANGE), strict=True
):
    axes.barh(list(bars), part, left=left, color=colour, label=name)
    left += part
for place, total in enumerate(left):
    axes.text(total + 6, place, f"{total:.0f}", va="center")
axes.set(xlabel="billion multiplications", xlim=(0, 600))
axes.invert_yaxis()
axes.legend(ncols=6, loc="upper left", bbox_to_anchor=(-0.02, 1.22), columnspacing=1.0)

# %% [markdown]
# ## What the authors did
#
# With output stride 8, pool4 and pool5 lose their strides. The rule says: conv5 gets rate 2, and
# fc6, behind both, rate 4. That is the first row of the paper's table 1 ("7 × 7, rate 4", 134.3
# million parameters). In two places DeepLab departs from the exact rule. Its pooling windows are
# 3 × 3 with padding 1, and pool5, which comes behind a lost stride, is *not* spread apart. And fc6
# is made smaller: the network is trained on anyway, so its start need not be exact.
#
# **Cutting fc6.** Of fc6's 4096 filters a quarter stays (the authors drew them at random),
# and of its 7 × 7 taps rows and columns 0, 3 and 6. The three taps that stay are
# three times as far apart as the seven were, so that the filter still sees as far: from
# $6 \cdot 4 = 24$ steps at rate 4 to $2 \cdot 12 = 24$ steps at **rate 12**, LargeFOV's. fc7 loses
# three quarters of its filters, and three quarters of its channels as well, since these were fc6's
# filters.

# %%
figure, axes = plt.subplots(figsize=(4.6, 3.8))
old, new = np.arange(7) * 4, np.arange(3) * 12
axes.plot(
    *(grid.ravel() for grid in np.meshgrid(old, old)), "o", ms=8, color=SKY, label="7 × 7, rate 4"
)
axes.plot(
    *(grid.ravel() for grid in np.meshgrid(new, new)),
    "s",
    ms=12,
    color=BLUE,
    label="3 × 3, rate 12",
)
axes.set(xticks=old, yticks=old, xlabel="column of the stride-8 map", ylabel="row", aspect="equal")
axes.invert_yaxis()
axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))

# %% [markdown]
# ### Task 4.4 · Cut a layer down, and the next one with it (1 point)
#
# Keep the filters whose numbers are in `kept`, in that order, and of the taps every `tap_step`-th
# row and column, the first ones included. The layer `after` reads this one's filters as its
# channels: it must fit again, and see them in the same order. At which rate must the result be
# used?


# %%
def decimate(
    weight: np.ndarray, bias: np.ndarray, rate: int, kept: np.ndarray, tap_step: int,
    after: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, int, np.ndarray]:  # fmt: skip
    """(weight, bias, rate, after) of weight (F, C, kh, kw), bias (F,) and after (G, F, h, w)."""
    # solution 4.4: pick filters and taps, the extent stays by a larger rate, and channels behind
    small = weight[kept][:, :, ::tap_step, ::tap_step]
    return small, bias[kept], rate * tap_step, after[:, kept]
    # end 4.4


check("4.4", decimate)

# %% [markdown]
# ## Where does a score sit?
#
# A score describes some pixel. Which one? Take it to be the *centre* of the pixels that
# it sees. Let value $n$ of a map sit at $c + j n$, with $c$ the place of the first and $j$ the
# jump of lesson 2. For the image itself, $c = 0$ and $j = 1$. A layer with kernel $k$, stride
# $s$, rate $r$ and padding $m$ reads for its output $p$ the values
# $ps - m,\; ps - m + r,\; \dots,\; ps - m + (k-1) r$, whose centre is number
# $ps - m + (k-1) r / 2$. That sits at
#
# $$ c + j\left(ps - m + \tfrac{(k-1)\, r}{2}\right)
#  = \underbrace{c + j\left(\tfrac{(k-1)\, r}{2} - m\right)}_{c'} + \underbrace{j s}_{j'}\; p. $$
#
# ### Task 4.5 · The grid of scores (2 points)


# %%
def score_grid(layers: list[tuple[int, int, int, int]]) -> tuple[float, int]:
    """(place of the first score, pixels between scores) for (kernel, stride, rate, padding)."""
    # solution 4.5: keep c and j while walking up the layers
    first, jump = 0.0, 1
    for kernel, stride, rate, padding in layers:
        first += jump * ((kernel - 1) * rate / 2 - padding)
        jump *= stride
    return first, jump
    # end 4.5


check("4.5", score_grid)

# %% [markdown]
# A 3 × 3 convolution with padding 1 moves nothing: $c' = c$. A 2 × 2 maximum without padding, as in
# VGG-16, moves the grid by half a jump, five times over. DeepLab's 3 × 3 windows with padding 1 do
# not. So its scores sit *exactly* on pixels 0, 8, 16, ..., and an image of $8k + 1$ pixels has a
# score on its first pixel and one on its last. Lesson 5 will stretch the map between the two.

# %%
three = [(3, 1, 1, 1)] * 3
nets = {
    "2 × 2 windows": [*three, (2, 2, 1, 0)] * 3 + three,
    "3 × 3 windows, padding 1": [*three, (3, 2, 1, 1)] * 3 + three,
}
figure, axes = plt.subplots(figsize=(9, 1.9))
for level, (name, layers) in enumerate(nets.items()):
    first, jump = score_grid(layers)
    axes.plot(np.arange(33), np.full(33, -level), "s", ms=9, color="0.85")
    places = np.arange(first, 33, jump)
    axes.plot(places, 0 * places - level, "o", ms=8, color=(ORANGE, BLUE)[level])
    axes.text(0, -level + 0.38, f"{name}: scores at {first:g}, {first + jump:g}, ...", fontsize=12)
axes.set(yticks=[], xticks=range(0, 33, 8), xlabel="pixel", ylim=(-1.4, 0.8))
axes.spines.left.set_visible(False)
assert score_grid(nets["3 × 3 windows, padding 1"]) == (0, 8)

# %% [markdown]
# ## Check yourself
#
# 1. Shift and stitch with $S = 4$ runs the network 16 times. The dense network of task 4.2 gives
#    the same outputs. Where does the brute force compute the same thing several times?
# 2. $W_r D_s = D_s W_{rs}$ was derived for signals without padding. What must become of the padding
#    if the layers pad with zeros?
# 3. Rewrite VGG-16 for output stride 16. Which rates do conv5 and fc6 get?
# 4. Where does VGG-16's first score sit after all five of its 2 × 2 windows? By how many pixels
#    would a mask be off if one took that place to be 0?
# 5. ResNet-101 has output stride 32; DeepLab uses it with 8. Its last two stages begin with a
#    stride of 2 each. Which rates do the 3 × 3 filters behind these strides get?
#
# <!-- answer -->
# **Answers.** (1) Below the first stride all 16 runs compute on the same image, only cut
# differently: each value of the first layer is computed 16 times, in the dense network once.
# (2) $m$ zeros behind a subsampling by $s$ are as wide as $ms$ zeros before
# it, so the padding is multiplied like the rate (3 × 3 at rate 2 pads by 2). Then the dense
# network still gives the old outputs at every $S$-th position. (3) pool5 alone loses its stride,
# as pool1 to pool4 make 16; so conv5 keeps rate 1 and fc6 gets rate 2. (4) At
# $\frac12 (1 + 2 + 4 + 8 + 16) = 15.5$; the mask would be off by 15.5 pixels, half a stride.
# (5) Rate 2 in the first of the two stages, rate 4 in the second, behind both strides.
# <!-- end -->

# %% [markdown]
# ## Now read the package
#
# `minideeplab/models/deeplab.py` is the result of this lesson: `trunk` has pool4 and pool5 at
# stride 1 and conv5 at rate 2, and the comment at its head names all the changes by the authors.
# `minideeplab/weights/surgery.py` is task 4.4 for the real fc6 and fc7 (`decimate_fc6`,
# `decimate_fc7`), and `minideeplab/models/resnet.py` does with stages of ResNet-101 what task 4.2
# does with a table. In `minideeplab/inference.py` the sizes $8k + 1$ of task 4.5 come back as
# `padded_size`. The notebook `notebooks/03_stride_32_against_8.ipynb` shows what the masks gain,
# and `notebooks/13_from_vgg_to_deeplab.ipynb` what the cut costs.
