# %% [markdown]
# # ASPP: which branch responds to which size?
#
# *Previous:* [04 Upsampling conventions](04_upsampling_conventions.ipynb) ·
# *Next:* [06 What backpropagation computes](06_what_backprop_sends_back.ipynb) ·
# *Lesson:* [6 ASPP, multi-scale](../lessons/06_aspp_multi_scale/lesson.py) ·
# *Paper:* section 3.2 ·
# *Source:* [`models/small.py`](../minideeplab/models/small.py)
#
# Objects come in all sizes. *Atrous spatial pyramid pooling* filters the same features with
# several rates side by side ([arXiv 1606.00915](https://arxiv.org/abs/1606.00915), section 3.2).
# We first build a pyramid by hand, which shows the idea, and then measure what a trained one does.

# %%
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage

import minideeplab as mdl
import minideeplab.functional as F
from minideeplab.visualize.plots import ORANGE, show

plt.style.use("minideeplab.visualize.lecture")
RATES = (2, 4, 8, 12)
STRIDE = 8  # between features


# %% [markdown]
# ## A pyramid made by hand
#
# Disks on a plain ground. One weight of 1 in the middle, eight of $-\frac18$ around it, then a ReLU
# that wants more than a half: such a filter lights up where the middle lies on a disk and most of
# the other taps lie beside it. It has nine weights at any rate. The feature is the mean
# brightness of 8 × 8 pixels.

# %%
SIDE = 209  # of a image, pixels; features lie at 0, 8, ..., 208
MIDDLE = 13  # index of the feature at pixel 104


def disk(radius):
    """A bright disk in the middle of a dark image: (SIDE, SIDE)."""
    y, x = np.indices((SIDE, SIDE)) - SIDE // 2
    return np.clip(radius + 0.5 - np.hypot(y, x), 0, 1)


def bright(image):
    """Mean over 8 × 8 pixels around every 8th pixel: (1, 1, h, w)."""
    return F.avg_pool2d(image[None, None], 8, 8, padding=4, count_include_pad=False)


surround = np.full((1, 1, 3, 3), -1 / 8)
surround[0, 0, 1, 1] = 1


def by_hand(image, rate):
    more_than_half = np.array([-1.0])
    y = F.conv2d(bright(image), 2 * surround, more_than_half, padding=rate, dilation=rate)
    return F.relu(y)[0, 0]


figure, panels = plt.subplots(4, 5, figsize=(9, 7.6))
for row, radius in zip(panels, (7, 22, 44, 80), strict=True):
    show(row[0], disk(radius), f"radius {radius} px")
    for axes, rate in zip(row[1:], RATES, strict=True):
        show(axes, by_hand(disk(radius), rate), "", cmap="cividis", vmin=0, vmax=1)
for axes, rate in zip(panels[0, 1:], RATES, strict=True):
    axes.set_title(f"rate {rate}")
figure.colorbar(panels[0, 1].images[0], ax=panels, shrink=0.4, label="response")
plt.show()

# %% [markdown]
# Rate 2 responds to the small disk only: on a larger one all its taps read the same value. Each
# larger rate responds to one more disk. No single rate tells the sizes apart; the four together
# do. The response in the middle of a disk, as it grows:

# %%
radii = np.arange(2, 105, 2)
figure, axes = plt.subplots(figsize=(8.8, 3.9))
curves = {}
for rate, style in zip(RATES, ("-", "--", "-.", ":"), strict=True):
    curves[rate] = [by_hand(disk(radius), rate)[MIDDLE, MIDDLE] for radius in radii]
    (line,) = axes.plot(radii, curves[rate], style, label=f"rate {rate}")
    axes.axvline(STRIDE * rate, color=line.get_color(), lw=1, ls=":")
axes.set(xlabel="radius of the disk, pixels", ylabel="response in its middle")
axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
plt.show()
for rate in RATES:
    beside, on = np.interp((STRIDE * rate - 4, STRIDE * rate + 8), radii, curves[rate])
    assert beside > 0.9, "the outer taps lie beside the disk"
    assert on < 0.1, "the outer taps lie on the disk"

# %% [markdown]
# Each curve falls when its outer taps (thin lines) come to lie on the disk.
#
# ## What a trained branch reads
#
# The bundled net has been trained on scenes of shapes. Its branches have the same four rates, and
# 64 filters of 192 channels each instead of our one. We send a random gradient back from the
# middle position of one branch and see which pixels it reaches, and how strongly.

# %%
net = mdl.models.from_checkpoint(mdl.pretrained.find("shapes"))
branches = [branch for _, branch in net.aspp.branches.named_children()]
large = mdl.data.SyntheticScenes(3, size=(257, 257), seed=7)
rng = np.random.default_rng(0)


def field(branch):
    """How strongly each pixel acts on the middle outputs: (257, 257), summing to 1."""
    total = np.zeros(large.size)
    for image, _ in large:
        x = mdl.Tensor(net.preprocessing(image)[None], requires_grad=True)
        y = branch(net.coarse(net.fine(x)))  # (1, 64, 33, 33)
        back = np.zeros(y.shape, np.float32)
        back[0, :, 16, 16] = rng.choice([-1, 1], y.shape[1])
        y.backward(back)
        total += np.abs(x.grad[0]).sum(axis=0)
    return total / total.sum()


fields = [field(branch) for branch in branches]
distance = np.hypot(*(np.indices(large.size) - 128))
reach = []
for share in fields:
    order = distance.argsort(axis=None)
    reach.append(distance.flat[order[np.searchsorted(share.flat[order].cumsum(), 0.5)]])

figure, panels = plt.subplots(2, 2, figsize=(7.6, 8))
for axes, rate, share, half in zip(panels.flat, RATES, fields, reach, strict=True):
    smooth = ndimage.gaussian_filter(share, 3)
    title = f"rate {rate}: half of it within {half:.0f} px"
    show(axes, smooth, title, cmap="cividis", vmin=0, vmax=np.quantile(smooth, 0.995))
    taps = 128 + STRIDE * rate * np.array([-1, 0, 1])
    ys, xs = np.meshgrid(taps, taps)
    axes.plot(xs, ys, "o", ms=9, mfc="none", mec=ORANGE, mew=2)
    print(f"rate {rate}: half of the influence comes from within {half:.0f} pixels")
plt.show()
assert all(near < far for near, far in pairwise(reach))

# %% [markdown]
# Circles are the taps. Rates 2 and 4 read one region in the middle; rates 8 and 12 read nine
# separate ones. Each is as wide as the receptive field of the features below.
#
# ## Which branch is needed for which size?
#
# The hand-made pyramid says: small rates for small objects, large rates for large ones. Does the
# trained one agree? We replace one branch after the other by its mean output, and measure for
# objects of each size which part of their pixels is still labelled correctly. One set of 20 scenes
# has few objects of each size, so we repeat with seven sets and show mean and standard deviation.

# %%
SIZES = (0, 6, 10, 16, 100)  # radius of a disk of the object's area, in pixels
SEEDS = range(7, 14)


def run_branches(image):
    """The fine features and each branch's output."""
    with mdl.no_grad():
        fine = net.fine(net.preprocessing(image)[None])
        coarse = net.coarse(fine)
        return fine, [np.asarray(branch(coarse)) for branch in branches]


def run_head(fine, outputs):
    """The rest of the network: labels (H, W)."""
    with mdl.no_grad():
        context = net.aspp.join(np.concatenate(outputs, axis=1))
        context = F.interpolate(context, fine.shape[2:], mode="bilinear", align_corners=True)
        scores = net.score(net.refine(F.relu(context + net.detail(fine))))
        size = [4 * (length - 1) + 1 for length in fine.shape[2:]]
        full = F.interpolate(scores, size, mode="bilinear", align_corners=True)
    return np.asarray(full)[0].argmax(0)


def objects(truth):
    """Yield (class, size group, mask) of each object of 20 pixels or more."""
    for kind in range(1, 6):
        pieces, number = ndimage.label(truth == kind)
        for piece in range(1, number + 1):
            inside = pieces == piece
            if inside.sum() >= 20:
                yield kind, np.searchsorted(SIZES, np.sqrt(inside.sum() / np.pi)) - 1, inside


def recall_by_size(scenes, replaced):
    """Correct pixels, %, with all branches and without each of ``replaced``, by size group."""
    seen = [run_branches(image) for image, _ in scenes]
    mean = [
        np.mean([outputs[k].mean(axis=(0, 2, 3)) for _, outputs in seen], axis=0)[:, None, None]
        for k in range(4)
    ]
    right, count = np.zeros((1 + len(replaced), 4)), np.zeros(4)
    for (fine, outputs), (_, truth) in zip(seen, scenes, strict=True):
        labels = [run_head(fine, outputs)]
        for k in replaced:
            flat = np.broadcast_to(mean[k], outputs[k].shape)
            labels.append(run_head(fine, [*outputs[:k], flat, *outputs[k + 1 :]]))
        for kind, group, inside in objects(truth):
            count[group] += 1
            right[:, group] += [(found[inside] == kind).mean() for found in labels]
    return 100 * right / count


def losses(sets, replaced=(0, 1, 2, 3)):
    """Pixels lost without each branch, (sets, branches, size groups)."""
    recall = np.array([recall_by_size(scenes, replaced) for scenes in sets])
    return recall[:, :1] - recall[:, 1:]


sets = [list(mdl.data.SyntheticScenes(20, size=(121, 161), seed=seed)) for seed in SEEDS]
small = losses(sets)
mean, spread = small.mean(axis=0), small.std(axis=0, ddof=1)
names = [f"{low} to {high} px" for low, high in pairwise(SIZES)]
names = [names[0].replace("0 to", "below"), *names[1:3], names[3].replace(" to 100", " or more")]

print("lost, %, by rate and size:", *np.round(mean, 1).tolist(), sep="\n  ")
assert (mean[0] > mean[1:3].max(axis=0)).all(), "rate 2 matters more than 4 and 8, at every size"
assert mean[3].argmax() != 3, "rate 12 is not most important for the largest"

figure, axes = plt.subplots(figsize=(8.6, 4.2))
limit = np.abs(mean).max()
drawn = axes.imshow(mean, cmap="PuOr_r", vmin=-limit, vmax=limit, aspect="auto")
for (row, column), value in np.ndenumerate(mean):
    shade = "white" if abs(value) > 0.6 * limit else "black"
    text = f"{value:+.1f} ± {spread[row, column]:.1f}"
    axes.text(column, row, text, ha="center", va="center", color=shade, fontsize=14)
axes.set(xticks=range(4), yticks=range(4), xlabel="radius of the object")
axes.set_xticklabels(names)
axes.set_yticklabels([f"without rate {rate}" for rate in RATES])
axes.tick_params(length=0)
axes.spines[:].set_visible(False)
figure.colorbar(drawn, label="lost, % of the pixels")
plt.show()

# %% [markdown]
# The trained pyramid does not divide the sizes as the hand-made one does: rate 2 matters for
# every size, and rate 12 is not most important for the large objects. A cell whose mean is not
# larger than its standard deviation says nothing.
#
# One explanation: these images have 16 × 21 features, so most taps of rate 12 read the zeros around
# the image, and the branch is close to a filter of one tap. A test: put four scenes into one image
# of 241 × 321 pixels. The objects stay as they are, but more taps of rate 12 lie inside the image.


# %%
def mosaic(scenes):
    """Four scenes (image, truth) as one of (241, 321), without the last row and column."""
    images, truths = zip(*scenes, strict=True)
    rows = [np.concatenate(images[k : k + 2], axis=1) for k in (0, 2)]
    labels = [np.concatenate(truths[k : k + 2], axis=1) for k in (0, 2)]
    return np.concatenate(rows)[:-1, :-1], np.concatenate(labels)[:-1, :-1]


def taps_inside(size, rate):
    """Taps of 9 inside the image, averaged over positions."""
    lengths = [(length - 1) // STRIDE + 1 for length in size]
    return np.prod([1 + 2 * max(0, 1 - rate / length) for length in lengths])


for size in ((121, 161), (241, 321)):
    inside = ", ".join(f"rate {rate}: {taps_inside(size, rate):.1f}" for rate in RATES)
    print(f"{size[0]} × {size[1]}: taps inside the image, of 9: {inside}")
assert taps_inside((121, 161), 12) < 3 < 5 < taps_inside((241, 321), 12)

mosaics = [[mosaic(scenes[k : k + 4]) for k in range(0, 20, 4)] for scenes in sets]
widest = RATES.index(12)
rows = {"121 × 161": small[:, widest], "241 × 321": losses(mosaics, (widest,))[:, 0]}
for size, row in rows.items():
    cells = zip(names, row.mean(axis=0), row.std(axis=0, ddof=1), strict=True)
    print(f"without rate 12, {size}:", ", ".join(f"{n}: {m:+.1f} ± {s:.1f}" for n, m, s in cells))
change = rows["241 × 321"] - rows["121 × 161"]
paired = zip(names, change.mean(axis=0), change.std(axis=0, ddof=1), strict=True)
print("change, set by set:", ", ".join(f"{n}: {m:+.1f} ± {s:.1f}" for n, m, s in paired))
assert (change.mean(axis=0) < 0).all(), "on average less is lost where the taps lie inside"

# %% [markdown]
# With its taps inside the image, rate 12 is needed less, on average in every size group. That
# agrees with the explanation, but the differences are of the size of their standard deviation, so
# it is not proved. Later versions of DeepLab make the one-tap filter a branch of its own. Nothing
# in training asks the branches to divide the sizes. What a branch is worth would only be known
# from training again without it, since the others could adapt.

# %% [markdown]
# - **Predict.** Does a branch of rate 24 help on scenes of 121 × 161 pixels?
# - **Try.** Replace two branches at once by their means: are rates 4 and 8 needed together?
# - **Read the source.** [`models/small.py`](../minideeplab/models/small.py).
# - **Next.** [06 What backpropagation computes](06_what_backprop_sends_back.ipynb).
