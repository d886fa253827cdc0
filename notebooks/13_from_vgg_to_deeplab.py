# %% [markdown]
# # From VGG-16 to DeepLab
#
# *Previous:* [12 A tour of the GPU](12_gpu_tour.ipynb) · *Next:* [14 Training and
# evaluating](14_training_and_evaluating.ipynb) · *Lesson:* [3
# VGG-16](../lessons/03_pooling_vgg16_weights/lesson.py), [6 ASPP,
# multi-scale](../lessons/06_aspp_multi_scale/lesson.py) · *Paper:* sections 3.1, 3.2 and 4.1.1 ·
# *Source:* [`models/deeplab.py`](../minideeplab/models/deeplab.py),
# [`weights/surgery.py`](../minideeplab/weights/surgery.py)
#
# DeepLab is a classifier with a few layers changed ([arXiv 1606.00915](
# https://arxiv.org/abs/1606.00915), sections 3.1, 3.2 and 4.1). We draw the layers of the package's
# networks, compare the two kinds of head, and derive the weights of `fc6` from those of VGG-16.

# %%
import matplotlib.pyplot as plt
import numpy as np

import minideeplab as mdl
from minideeplab.models.deeplab import VARIANTS
from minideeplab.visualize.plots import BLUE, GREEN, ORANGE, PINK, show
from minideeplab.weights.surgery import decimate_fc6

plt.style.use("minideeplab.visualize.lecture")

# %% [markdown]
# ## The trunk: two strides become rates
#
# Each block of VGG-16 ends with a pool of stride 2. DeepLab keeps the first three strides, gives
# pool4 and pool5 stride 1, and conv5 rate 2. The numbers of LargeFOV below are read off the
# network. It has 1/64 of the filters here; kernels, rates and strides do not depend on that.

# %%
narrow = {name: mdl.models.DeepLab(name, width=1 / 64).eval() for name in VARIANTS}
net = narrow["largefov"]
strides = [getattr(net, f"pool{block}").stride for block in range(1, 6)]
rates = [getattr(net, f"conv{block}_1").dilation for block in range(1, 6)]
assert strides == [2, 2, 2, 1, 1] and rates == [1, 1, 1, 1, 2]
after = np.cumprod(strides)
classifier = 2 ** np.arange(1, 6)

figure, panels = plt.subplots(2, 1, figsize=(9.6, 4.6), sharex=True)
for axes, title, stride_after, block_rates, head in (
    (panels[0], "VGG-16", classifier, [1] * 5, "fc6: 7 × 7"),
    (panels[1], "DeepLab LargeFOV", after, rates, "fc6: 3 × 3\nrate 12"),
):
    before = [1, *stride_after[:-1]]
    for block, (stride, rate) in enumerate(zip(before, block_rates, strict=True)):
        height = 1 - 0.16 * np.log2(stride)
        box = plt.Rectangle((block, -height / 2), 0.8, height, fc=BLUE if rate == 1 else ORANGE)
        axes.add_patch(box)
        text = f"conv{block + 1}\nstride {stride}" + (f"\nrate {rate}" if rate > 1 else "")
        axes.text(block + 0.4, 0, text, ha="center", va="center", color="white", fontsize=11)
    height = 1 - 0.16 * np.log2(stride_after[-1])
    axes.add_patch(plt.Rectangle((5, -height / 2), 0.9, height, fc=GREEN))
    axes.text(5.45, 0, head, ha="center", va="center", color="white", fontsize=10)
    axes.set(xlim=(-0.1, 6.1), ylim=(-0.55, 0.6), xticks=[], yticks=[])
    axes.set_title(f"{title}: output stride {stride_after[-1]}")
    axes.spines[:].set_visible(False)
plt.show()

with mdl.no_grad():
    scores = net(np.zeros((1, 3, 321, 321), np.float32))
print("321 × 321 pixels give scores of", scores.shape[2:])
assert scores.shape[2:] == (41, 41) and after[-1] == 8

# %% [markdown]
# The height of a box is the size of its feature maps, on a logarithmic scale.
#
# ## The head: one branch, or four that are summed
#
# LargeFOV has one branch, fc6 → fc7 → fc8. ASPP has four of them with different rates, and *adds*
# their scores. (`pool5a`, an average of 3 × 3, is in LargeFOV only.)

# %%
for name, variant in VARIANTS.items():
    print(f"{name}: rates {variant.rates}, pool5a {variant.pool5a}")
    assert len(narrow[name].branches) == len(variant.rates)


def draw_chain(axes, x, rate, colour):
    """One branch, from the features below to its scores above."""
    boxes = (f"fc6: 3 × 3\nrate {rate}", "fc7: 1 × 1", "fc8: 1 × 1")
    for level, text in enumerate(boxes, start=1):
        axes.add_patch(plt.Rectangle((x - 0.44, level), 0.88, 0.62, fc=colour))
        axes.text(x, level + 0.31, text, ha="center", va="center", color="white", fontsize=10)
        axes.annotate("", (x, level), (x, level - 0.38), arrowprops={"arrowstyle": "->"})


figure, panels = plt.subplots(1, 2, figsize=(9.6, 4.4), width_ratios=(1, 2.6))
for axes, name, middle in ((panels[0], "largefov", 0), (panels[1], "aspp-l", 1.5)):
    chains = VARIANTS[name].rates
    below = "pool5, pool5a" if VARIANTS[name].pool5a else "pool5"
    axes.add_patch(plt.Rectangle((-0.5, 0), len(chains), 0.62, fc="0.35"))
    axes.text(middle, 0.31, below, ha="center", va="center", color="white", fontsize=11)
    for x, (rate, colour) in enumerate(zip(chains, (BLUE, ORANGE, GREEN, PINK), strict=False)):
        draw_chain(axes, x, rate, colour)
        axes.annotate("", (middle, 4.3), (x, 3.62), arrowprops={"arrowstyle": "->"})
    sign = "scores" if len(chains) == 1 else "sum: scores"
    axes.text(middle, 4.45, sign, ha="center", va="bottom", fontsize=12)
    axes.set(xlim=(-0.6, len(chains) - 0.4), ylim=(-0.1, 4.9), title=name)
    axes.set_axis_off()
plt.show()

# %% [markdown]
# That the scores are summed is checked on the network: each branch by itself, then their sum.

# %%
aspp = narrow["aspp-l"]
rng = np.random.default_rng(0)
x = rng.standard_normal((1, 3, 65, 65)).astype(np.float32)


def run(names, y):
    for name in names:
        y = getattr(aspp, name)(y)
    return np.asarray(y)


with mdl.no_grad():
    features = run(aspp.trunk, x)
    branches = [run(names, features) for names in aspp.branches]
    whole = np.asarray(aspp(x))
print("largest difference:", np.abs(sum(branches) - whole).max())
assert np.allclose(sum(branches), whole, rtol=1e-4, atol=1e-6)

# %% [markdown]
# ## The package's small network differs
#
# `deeplab_small`, which trains on a laptop, is not the paper's network. It has the same idea,
# output stride 8 and four rates side by side, but its branches are *concatenated* and joined by a
# 1 × 1 convolution, and features of stride 4 skip to the scores. Both are choices of this package
# (later versions of DeepLab have them too).

# %%
small = mdl.models.deeplab_small().eval()
one_branch = [branch.conv.weight.shape for _, branch in small.aspp.branches.named_children()]
joined = small.aspp.join.conv.weight.shape
print("four branches:", one_branch, "\njoined by:", joined)
assert joined[1] == sum(shape[0] for shape in one_branch), "the join reads all four"

with mdl.no_grad():
    fine = small.fine(x)
    coarse = small.coarse(fine)
    skip = small.detail(fine)
print("fine", fine.shape, "coarse", coarse.shape, "skip", skip.shape)
assert fine.shape[2] == 17 and coarse.shape[2] == 9 and skip.shape[2] == 17

# %% [markdown]
# ## fc6: from 7 × 7 to 3 × 3 by decimation
#
# VGG-16's fc6 is a convolution of 7 × 7 taps on features of stride 32. DeepLab keeps rows and
# columns 0, 3 and 6 of its taps. Three steps of stride 32 are twelve steps of stride 8, so the
# taps that remain stay on the same pixels when fc6 has rate 12. Of 4096 filters LargeFOV keeps
# 1024. (The authors drew them at random; the package takes every fourth, which is reproducible.)

# %%
full = rng.standard_normal((64, 4, 7, 7)).astype(np.float32)  # a narrow fc6
kept = decimate_fc6(full)
assert kept.shape == (16, 4, 3, 3)
assert np.array_equal(kept, full[::4, :, ::3, ::3])

spots = np.arange(-3, 4) * 32  # pixels from the centre, stride 32
dense = np.arange(-1, 2) * 12 * 8  # rate 12 on stride 8
assert np.array_equal(spots[::3], dense)

figure, panels = plt.subplots(1, 3, figsize=(10, 3.6))
limit = np.abs(full[0, 0]).max()
colours = {"cmap": "PuOr_r", "vmin": -limit, "vmax": limit}
show(panels[0], full[0, 0], "a filter of fc6, 7 × 7", **colours)
ys, xs = np.mgrid[0:7:3, 0:7:3]
panels[0].plot(xs, ys, "s", ms=21, mfc="none", mec="black", mew=2.5)
show(panels[1], kept[0, 0], "kept, 3 × 3", **colours)
figure.colorbar(panels[1].images[0], ax=panels[:2], shrink=0.8, label="weight")
every = np.array(np.meshgrid(spots, spots)).reshape(2, -1)
some = np.array(np.meshgrid(dense, dense)).reshape(2, -1)
panels[2].plot(*every, "o", ms=6, color="0.7", label="VGG-16, stride 32")
panels[2].plot(*some, "o", ms=11, mfc="none", mec=ORANGE, mew=2.5, label="rate 12, stride 8")
panels[2].set(aspect="equal", xlabel="pixels from the centre", xticks=(-96, 0, 96), yticks=())
panels[2].set_ylim(-110, 175)
panels[2].legend(loc="upper center", fontsize=11)
plt.show()

# %% [markdown]
# The ASPP networks have four branches of 1024 filters. In this package branch $k$ takes filters
# $k-1$, $k+3$, $k+7$ and so on, so that the four hold all 4096.

# %%
parts = [decimate_fc6(full, offset=k) for k in range(4)]
together = np.stack(parts, axis=1).reshape(64, 4, 3, 3)
assert np.array_equal(together, full[:, :, ::3, ::3]), "no filter twice, none left out"

# %% [markdown]
# ## What it costs in parameters

# %%
trunk = sum(
    9 * a * b + b
    for block, count, b in mdl.models.vgg.BLOCKS
    for a in [mdl.models.vgg.BLOCKS[block - 2][2] if block > 1 else 3, *[b] * (count - 1)]
)
head = 9 * 512 * 1024 + 1024 + 1024 * 1024 + 1024 + 1024 * 21 + 21  # fc6, fc7, fc8
vgg_head = 512 * 49 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000 + 1000
table = {"VGG-16": trunk + vgg_head, "LargeFOV": trunk + head, "ASPP-L": trunk + 4 * head}
for name, count in table.items():
    print(f"{name}: {count:,} parameters")
assert table["VGG-16"] == 138_357_544 and table["LargeFOV"] == 20_505_429
largefov = mdl.models.deeplab("largefov")
assert sum(p.data.size for p in largefov.parameters()) == table["LargeFOV"]

figure, axes = plt.subplots(figsize=(8, 2.6))
axes.barh(list(table), [trunk / 1e6] * 3, color=BLUE, label="trunk")
heads = [(count - trunk) / 1e6 for count in table.values()]
axes.barh(list(table), heads, left=trunk / 1e6, color=ORANGE, hatch="//", ec="white",
          label="head")  # fmt: skip
axes.invert_yaxis()
axes.set(xlabel="parameters, million")
axes.legend(loc="lower right")
plt.show()

# %% [markdown]
# - **Predict.** Which rate would fc6 need after decimation at output stride 16?
# - **Try.** Load a VGG-16 (notebook 02), make `vgg16_to_deeplab(state, "aspp-l")` of it, and
#   compare the four `fc6`.
# - **Read the source.** [`models/deeplab.py`](../minideeplab/models/deeplab.py),
#   [`weights/surgery.py`](../minideeplab/weights/surgery.py).
# - **Next.** [14 Training and evaluating](14_training_and_evaluating.ipynb).
