# %% [markdown]
# # Lesson 6 · ASPP and multi-scale
#
# A cyclist across the street is thirty pixels high, one beside you fills the image. A filter at
# one rate looks at one size of surroundings, and whoever has to label both needs several. The paper
# has two answers (section 3.2): several *rates* on one map, called atrous spatial pyramid pooling
# (**ASPP**), and several *sizes* of the image through one network. You will build both, see what
# large rates lose at the border, when four branches are really one filter in disguise, and how
# gradients find their way back through a sum and through a maximum.
#
# Five tasks, ten points. Fill in each hole, run the cell, and look at what `check` says.

# %%
import matplotlib.pyplot as plt
import numpy as np
from given import atrous_conv2d, resize

from minideeplab.grading import checker

plt.style.use("minideeplab.visualize.lecture")
BLUE, ORANGE = "#0072B2", "#D55E00"
COLOURS = "#0072B2", "#D55E00", "#009E73", "#CC79A7"  # one for each of the rates
RATES = 6, 12, 18, 24  # ASPP-L
check = checker("06")

# %% [markdown]
# ## What one rate can tell
#
# Take the simplest filter that looks for something standing out from what is around it: its middle
# tap weighs 1, the eight others $-\frac18$. At rate $r$, put it in the middle of a disc of radius
# $R$. If $R < r$, the ring of taps is outside, and the response is 1. If $R$ is larger than
# $\sqrt 2\, r$, the ring is inside with its corners, too, and the response is 0.
#
# So one rate answers one question: smaller than that, or larger? Four rates answer four such
# questions, and their sum rises in steps from large discs to small: it tells the *size*.

# %%
radius = np.linspace(0, 40, 401)
figure, axes = plt.subplots(figsize=(9, 3.2))
total = np.zeros(len(radius))
for rate, colour in zip(RATES, COLOURS, strict=True):
    ring = 0.5 * (radius >= rate) + 0.5 * (radius >= rate * np.sqrt(2))
    total += 1 - ring
    axes.plot(radius, 1 - ring, color=colour, label=f"rate {rate}")
axes.plot(radius, total, color="black", ls="--", label="sum")
axes.set(xlabel="radius of the disc, in steps of the map", ylabel="response in its middle")
axes.legend(loc="upper right", ncols=2)

# %% [markdown]
# ## Taps that look outside
#
# DeepLab's maps are not large: a training crop of 321 pixels gives 41 × 41 features, a test
# image 65 × 65. A 3 × 3 filter at rate 24 spans $1 + 2 \cdot 24 = 49$ steps. Wherever it stands
# on the small map, some of its nine taps fall outside and read zeros of the padding; they
# are drawn hollow.

# %%
figure, panels = plt.subplots(1, 4, figsize=(9, 2.6))
for axes, rate, colour in zip(panels, RATES, COLOURS, strict=True):
    axes.add_patch(plt.Rectangle((-0.5, -0.5), 41, 41, color="0.88"))
    for i, j in np.ndindex(3, 3):
        y, x = 10 + (i - 1) * rate, 15 + (j - 1) * rate
        inside = 0 <= y < 41 and 0 <= x < 41
        axes.plot(x, y, "s", ms=8, color=colour, mfc=colour if inside else "none")
    axes.set(xlim=(-12, 43), ylim=(43, -17), aspect="equal", title=f"rate {rate}")
    axes.set_axis_off()

# %% [markdown]
# ### Task 6.1 · How many taps count? (1 point)
#
# Average over all positions of the filter on an $H \times W$ map: how many of its nine taps are
# inside? Look at one axis first. The middle row of taps is inside at all $H$ positions. The row
# above is inside wherever the position is at least $r$, that is at $H - r$ positions, or at none
# if $r \ge H$; the row below likewise. Row and column of a tap must both be inside, and the average
# of a product over *all* pairs of positions is the product of the averages.


# %%
def taps_inside(height: int, width: int, rate: int) -> float:
    """Mean number, 1 to 9, of taps of a 3 x 3 filter that fall on an H x W map."""
    # solution 6.1: count rows and columns of taps that are inside, on average, and multiply
    rows = 1 + 2 * max(0, height - rate) / height
    columns = 1 + 2 * max(0, width - rate) / width
    return rows * columns
    # end 6.1


check("6.1", taps_inside)

# %%
figure, axes = plt.subplots(figsize=(9, 3))
every = np.arange(1, 70)
for size, colour in ((41, BLUE), (65, ORANGE)):
    counts = np.array([taps_inside(size, size, int(r)) for r in every])
    axes.plot(every, counts, color=colour, label=f"{size} × {size} map")
    axes.plot(RATES, counts[np.array(RATES) - 1], "o", color=colour)
axes.axhline(1, color="0.6", lw=1)
axes.set(xlabel="rate", ylabel="taps inside, of 9", ylim=(0, 9.4), yticks=(1, 3, 5, 7, 9))
axes.legend()

# %% [markdown]
# At rate 24 a training crop uses 3.3 of 9 taps on average. Rates as large as the map leave the
# middle tap alone: a 1 × 1 filter, at the price of nine. (DeepLab's next version,
# [arXiv 1706.05587](https://arxiv.org/abs/1706.05587), draws that curve as well, and adds a
# branch that averages the whole map.)
#
# ## Four branches, or one filter?
#
# The simplest pyramid adds up four convolutions of the same map. That is what DeepLab's ResNet-101
# does to get its scores. A convolution is linear in its *filter*, so with $w_b$ at rate $r_b$
# written as the filter $\tilde w_b$ of rate 1 whose holes are zeros,
#
# $$ \sum_b \tilde w_b * x = \Big(\sum_b \tilde w_b\Big) * x. $$
#
# Centre all $\tilde w_b$ on one another and add: the pyramid *is* one large filter, almost all of
# which is zero. For rates 6, 12, 18, 24 it is 49 × 49 with $4 \cdot 8 + 1 = 33$ taps, as all four
# share the middle.
#
# ### Task 6.2 · Merge the branches (2 points)
#
# Filters are $(F, C, k, k)$ with odd $k$, which may differ from branch to branch.


# %%
def merge_branches(kernels: list[np.ndarray], rates: list[int]) -> np.ndarray:
    """Give one filter (F, C, K, K) of rate 1 that equals the sum of atrous ones; K the largest."""
    # solution 6.2: add every kernel at its rate around the common middle
    size = max((k.shape[2] - 1) * r for k, r in zip(kernels, rates, strict=True)) + 1
    merged = np.zeros((*kernels[0].shape[:2], size, size))
    for kernel, rate in zip(kernels, rates, strict=True):
        reach = (kernel.shape[2] - 1) * rate
        first = (size - 1 - reach) // 2
        places = slice(first, first + reach + 1, rate)
        merged[:, :, places, places] += kernel
    return merged
    # end 6.2


check("6.2", merge_branches)

# %%
random = np.random.default_rng(6)
kernels = [random.uniform(0.4, 1, (1, 1, 3, 3)) for _ in RATES]
merged = merge_branches(kernels, list(RATES))
image = random.standard_normal((1, 60, 70))
none = np.zeros(1)
branches = sum(atrous_conv2d(image, k, none, r) for k, r in zip(kernels, RATES, strict=True))
assert np.allclose(atrous_conv2d(image, merged, none, 1), branches)

figure, axes = plt.subplots(figsize=(5.2, 4))
y, x = np.nonzero(merged[0, 0])
dots = axes.scatter(x, y, s=60, c=merged[0, 0, y, x], cmap="cividis_r", marker="s")
axes.set(xticks=range(0, 49, 12), yticks=range(0, 49, 12), xlim=(-2, 50), ylim=(50, -2))
axes.set(title=f"49 × 49, {len(x)} taps", aspect="equal")
figure.colorbar(dots, ax=axes, label="weight")

# %% [markdown]
# ## The whole pyramid
#
# On VGG-16 the branches go deeper, and then they are no longer one filter: there is a ReLU
# between. Branch $b$ has weights of its own in three layers (figure 7 of the paper),
#
# $$ s_b = W^8_b\;\mathrm{relu}\big(W^7_b\;\mathrm{relu}(W^6_b *_{r_b} x + b^6_b) + b^7_b\big)
#        + b^8_b,
# \qquad s = \sum_b s_b. $$
#
# $W^6$ is 3 × 3 at rate $r_b$, the other two are 1 × 1. ASPP-L has the rates 6, 12, 18, 24, ASPP-S
# 2, 4, 8, 12. What comes out are scores, to be compared with one another, so nothing clips them.
#
# ### Task 6.3 · ASPP (2 points)
#
# Each branch is `(rate, w6, b6, w7, b7, w8, b8)`. Use `atrous_conv2d(x, w, b, rate)` of `given.py`.


# %%
def aspp(x: np.ndarray, branches: list[tuple]) -> np.ndarray:
    """Scores (K, H, W) of features x (C, H, W): the sum of all branches."""
    # solution 6.3: three layers a branch, a ReLU behind the first two, add the scores up
    scores = 0.0
    for rate, w6, b6, w7, b7, w8, b8 in branches:
        hidden = np.maximum(atrous_conv2d(x, w6, b6, rate), 0)
        hidden = np.maximum(atrous_conv2d(hidden, w7, b7, 1), 0)
        scores = scores + atrous_conv2d(hidden, w8, b8, 1)
    return scores
    # end 6.3


check("6.3", aspp)

# %% [markdown]
# Does it help? The paper's table 3 gives the mean IoU on PASCAL VOC's validation set, VGG-16,
# before and after the CRF of lesson 9. The price: with four heads the network has 37.9 million
# parameters, with one 20.5, and 14.7 of them are the trunk's.

# %%
nets, before, after = ("LargeFOV", "ASPP-S", "ASPP-L"), (65.76, 66.98, 68.96), (69.84, 69.73, 71.57)
figure, axes = plt.subplots(figsize=(9, 2.5))
axes.hlines(nets, before, after, color="0.75", lw=5, zorder=0)
axes.plot(before, nets, "o", ms=10, color=BLUE, label="network alone")
axes.plot(after, nets, "s", ms=10, color=ORANGE, label="with CRF")
for x, y in zip((*before, *after), nets * 2, strict=True):
    axes.annotate(f"{x}", (x, y), (0, 9), textcoords="offset points", ha="center", fontsize=11)
axes.set(xlabel="mean IoU, %", xlim=(65, 72.5), ylim=(2.6, -0.7))
axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))

# %% [markdown]
# ## Several sizes of one image
#
# Instead of spreading the filter, one may shrink the image: at half the size a large object looks
# like a small one. The same network, with the same weights, scores the image at scales 1, 0.75
# and 0.5. All scores are brought to the size of the first, and for each class at each pixel the
# **largest** is kept. A class that is clearly seen at *one* scale is enough.
#
# Sizes follow lesson 5. A length $n$ at scale $\sigma$ becomes $(n-1)\,\sigma + 1$, rounded down:
# it is the gaps that scale. So 321 becomes 241 and 161, with 41, 31 and 21 scores.
#
# ### Task 6.4 · Back through the maximum (2 points)
#
# Let $y[c] = \max_\sigma s_\sigma[c]$ at each pixel. As in lesson 3, the winner takes the gradient
# and the others get zero. That is decided for each class by itself: at one pixel the small image
# may know best about "bus", and the large one about "person". At a tie, the first scale wins.
#
# (And through the *sum* of task 6.3? With $\partial s / \partial s_b = 1$, every branch gets all of
# $\bar s$. All branches learn from every pixel, the scales of a maximum only where they win.)


# %%
def max_fusion_backward(dy: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Gradient (S, C, H, W) of the scores, whose maximum over S has the gradient dy (C, H, W)."""
    # solution 6.4: find the first scale with the maximum, and give it dy
    winner = scores.argmax(axis=0)
    scales = np.arange(len(scores))[:, None, None, None]
    return np.where(scales == winner, dy, 0.0)
    # end 6.4


check("6.4", max_fusion_backward)

# %% [markdown]
# ### Task 6.5 · Several scales (3 points)
#
# Score an image at several scales and fuse. `network(image)` turns an image $(3, H, W)$ of any
# size into scores, and `resize(x, size)` interpolates as lesson 5 does, with $(H, W)$ for the size
# (both are in `given.py`, and handed in). Scores are brought to the size of those of the *first*
# scale in the list.


# %%
def multi_scale(image: np.ndarray, scales: list[float], network, resize) -> np.ndarray:
    """Largest scores (K, P, Q) over all scales, P and Q those of the first scale."""
    # solution 6.5: resize the image, score it, resize the scores, take the maximum
    fused = None
    for scale in scales:
        size = tuple(int((n - 1) * scale) + 1 for n in image.shape[1:])
        scores = network(resize(image, size))
        fused = scores if fused is None else np.maximum(fused, resize(scores, fused.shape[1:]))
    return fused
    # end 6.5


check("6.5", multi_scale)

# %% [markdown]
# Let us look at it with a detector that knows one size only: it likes bright discs of 3 pixels in
# radius. On the image as it is, it finds the small ones; on the shrunken ones the larger.


# %%
def disc_detector(image: np.ndarray) -> np.ndarray:
    """Score discs of radius 3: the mean inside minus the mean of a ring around, (1, H, W)."""
    y, x = np.mgrid[-5:6, -5:6]
    distance = np.hypot(y, x)
    inside, around = distance < 3.3, (distance >= 3.3) & (distance < 5.2)
    kernel = inside / inside.sum() - around / around.sum()
    return atrous_conv2d(image[:1], kernel[None, None], np.zeros(1), 1)


y, x = np.mgrid[:81, :161]
scene = np.zeros((3, 81, 161))
for row, column, size in [(40, 34, 24), (21, 94, 12), (60, 106, 6), (38, 128, 3), (62, 140, 12)]:
    scene[:, np.hypot(y - row, x - column) < size] = 1.0
scales = [1.0, 0.5, 0.25, 0.125]
alone = [resize(multi_scale(scene, [s], disc_detector, resize), (81, 161))[0] for s in scales]
fused = multi_scale(scene, scales, disc_detector, resize)[0]

figure, panels = plt.subplots(2, 3, figsize=(9, 3.8))
shown = {"image": scene[0]} | {f"scale {s:g}": a for s, a in zip(scales, alone, strict=True)}
shown["maximum of all four"] = fused
for axes, (title, image) in zip(panels.ravel(), shown.items(), strict=True):
    axes.imshow(image, cmap="cividis", vmin=0, vmax=0.75)
    axes.set_title(title)
    axes.set_axis_off()

# %% [markdown]
# ## Check yourself
#
# 1. A 3 × 3 filter at rate 24 stands in the corner (0, 0) of a 41 × 41 map. How many of its taps
#    are inside? And if it stands in the middle?
# 2. With the ReLUs left out of task 6.3, could the four branches be merged into one filter? Of
#    which size, and why would nobody compute it that way?
# 3. All branches of a pyramid start with the same weights in all layers, but different rates. Do
#    they stay alike in training? And if the rates were the same, too?
# 4. DeepLab trains ResNet-101 at three scales with a loss on the fused scores *and* one on the
#    scores of each scale. What would be missing with the first alone?
# 5. Compare the work for scales 1, 0.75, 0.5 with that for scale 1 alone. How much more is it?
#
# <!-- answer -->
# **Answers.** (1) In the corner four: the middle, the one below, the one on the right, and the one
# below right, 24 steps away. In the middle, at (20, 20), only the middle tap. (2) Yes: two 1 × 1
# layers behind a 3 × 3 are one 3 × 3, and so the sum is a filter of 49 × 49. As a dense filter it
# takes 2401 taps instead of 33. (3) They see different features, so their gradients differ and they
# part. With equal rates they would get equal gradients for ever, dropout apart: one branch, counted
# four times. (4) Gradients for the scales that do not win. A scale that is bad at first would
# hardly ever win, and so hardly ever learn. (5) $1 + 0.75^2 + 0.5^2 = 1.8125$ times the work, 81 %
# more.
# <!-- end -->

# %% [markdown]
# ## Now read the package
#
# `branch` and `DeepLab` in `minideeplab/models/deeplab.py` are task 6.3: four branches of fc6, fc7
# and fc8, whose scores are added. `ASPP` in `minideeplab/models/small.py` is the later form with
# batch norm, which joins the branches by a 1 × 1 convolution. `minideeplab/inference.py` does task
# 6.5 for photographs (`fusion="max"`), and `minideeplab/training/multiscale.py` trains with it, as
# the authors did. Sums and maxima on the tape are in `minideeplab/functional` and
# `minideeplab/tape.py`: look at how `add` passes one gradient on to both of its inputs. The
# notebook `notebooks/05_aspp_branches.ipynb` asks which rate responds to which size.
