# %% [markdown]
# # Which branch sees which object?
#
# Things come in all sizes. *Atrous spatial pyramid pooling* looks at the same features with
# several rates side by side ([arXiv 1606.00915](https://arxiv.org/abs/1606.00915), section 3.2).
# We first build a pyramid by hand, which shows the idea, and then look at what training made of
# one, which is less tidy.

# %%
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage

import minideeplab as mdl
import minideeplab.functional as F

plt.style.use("minideeplab.visualize.lecture")
ORANGE = "#D55E00"
RATES = (2, 4, 8, 12)
STRIDE = 8  # between features
print(mdl.doctor())


def show(axes, picture, title, **options):
    axes.imshow(picture, **options)
    axes.set_title(title)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


# %% [markdown]
# ## A pyramid made by hand
#
# Disks on a plain ground. One weight of 1 in the middle, eight of $-\frac18$ around it, then a ReLU
# that wants more than a half: such a filter lights up where the middle lies on a disk and most of
# the other taps lie beside it. It has nine weights at any rate. The features are plain: how bright
# are the 8 × 8 pixels around here?

# %%
SIDE = 209  # of a picture, pixels; features lie at 0, 8, ..., 208
MIDDLE = 13  # index of the feature at pixel 104


def disk(radius):
    """A bright disk in the middle of a dark picture: (SIDE, SIDE)."""
    y, x = np.indices((SIDE, SIDE)) - SIDE // 2
    return np.clip(radius + 0.5 - np.hypot(y, x), 0, 1)


def bright(picture):
    """Mean over 8 × 8 pixels around every 8th pixel: (1, 1, h, w)."""
    return F.avg_pool2d(picture[None, None], 8, 8, padding=4, count_include_pad=False)


surround = np.full((1, 1, 3, 3), -1 / 8)
surround[0, 0, 1, 1] = 1


def by_hand(picture, rate):
    more_than_half = np.array([-1.0])
    y = F.conv2d(bright(picture), 2 * surround, more_than_half, padding=rate, dilation=rate)
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
# Rate 2 answers to the small disk only: on a larger one its taps all see the same. Each larger rate
# lights up for one more disk. No single rate tells the sizes apart; the four together do. The
# response in the middle of a disk, as it grows:

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
    """How strongly each pixel acts on the middle answers: (257, 257), summing to 1."""
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
# Circles are the taps. Rates 2 and 4 look at one patch in the middle; rates 8 and 12 at nine
# separate ones, for the features below have a field of their own, as wide as the blobs.
#
# ## Who is needed for which size?
#
# The hand-made pyramid says: small rates for small things, large rates for large ones. Does the
# trained one agree? We silence one branch after the other (it gives its mean, whatever it sees) and
# count for objects of each size how many of their pixels are still labelled right.

# %%
scenes = mdl.data.SyntheticScenes(40, size=(121, 161), seed=7)
sizes = (0, 6, 10, 16, 100)  # radius of a disk of the object's area, in pixels


def look(image):
    """The fine features and what each branch says."""
    with mdl.no_grad():
        fine = net.fine(net.preprocessing(image)[None])
        coarse = net.coarse(fine)
        return fine, [np.asarray(branch(coarse)) for branch in branches]


def answer(fine, views):
    """The rest of the network: labels (H, W)."""
    with mdl.no_grad():
        context = net.aspp.join(np.concatenate(views, axis=1))
        context = F.interpolate(context, fine.shape[2:], mode="bilinear", align_corners=True)
        scores = net.score(net.refine(F.relu(context + net.detail(fine))))
        full = F.interpolate(scores, scenes.size, mode="bilinear", align_corners=True)
    return np.asarray(full)[0].argmax(0)


seen = [look(image) for image, _ in scenes]
mean = [
    np.mean([views[k].mean(axis=(0, 2, 3)) for _, views in seen], axis=0)[None, :, None, None]
    for k in range(4)
]
right = np.zeros((5, 4))  # nobody or one silenced, size of the object
count = np.zeros(4)
for (fine, views), (_, truth) in zip(seen, scenes, strict=True):
    labels = [answer(fine, views)]
    for k in range(4):
        muted = [*views[:k], np.broadcast_to(mean[k], views[k].shape), *views[k + 1 :]]
        labels.append(answer(fine, muted))
    for kind in range(1, 6):
        pieces, number = ndimage.label(truth == kind)
        for piece in range(1, number + 1):
            inside = pieces == piece
            if inside.sum() < 20:
                continue
            size = np.searchsorted(sizes, np.sqrt(inside.sum() / np.pi)) - 1
            count[size] += 1
            right[:, size] += [(found[inside] == kind).mean() for found in labels]
recall = 100 * right / count

names = [f"{low} to {high} px" for low, high in pairwise(sizes)]
names = [names[0].replace("0 to", "below"), *names[1:3], names[3].replace(" to 100", " or more")]
lost = recall[0] - recall[1:]
figure, axes = plt.subplots(figsize=(8, 4))
limit = np.abs(lost).max()
picture = axes.imshow(lost, cmap="PuOr_r", vmin=-limit, vmax=limit, aspect="auto")
for (row, column), value in np.ndenumerate(lost):
    shade = "white" if abs(value) > 0.6 * limit else "black"
    axes.text(column, row, f"{round(value):+d}", ha="center", va="center", color=shade, fontsize=14)
axes.set(xticks=range(4), yticks=range(4), xlabel="radius of the object")
axes.set_xticklabels(names)
axes.set_yticklabels([f"without rate {rate}" for rate in RATES])
axes.tick_params(length=0)
axes.spines[:].set_visible(False)
figure.colorbar(picture, label="lost, % of the pixels")
plt.show()
print("right with all four, by size:", ", ".join(f"{value:.0f} %" for value in recall[0]))
print("objects of each size:", *count.astype(int))
height, width = seen[0][1][0].shape[2:]
for rate in RATES:
    inside = (1 + 2 * max(0, 1 - rate / height)) * (1 + 2 * max(0, 1 - rate / width))
    print(f"rate {rate}: on average {inside:.1f} of 9 taps inside the picture")

# %% [markdown]
# It does not quite agree. Rate 2 is needed by all, and most by the large objects. Rate 12 is needed
# by small ones: these pictures are only 16 × 21 features large, so that most of its outer taps read
# the zeros outside, and it comes close to a filter of one tap, the *narrowest* view of the four.
# Rates 4 and 8 are hardly missed, since the others can stand in for them.
#
# So a rate has to be seen against the size of the feature map; later versions of DeepLab make the
# one-tap filter a branch of its own. And nothing in training asks for a division of labour: the
# pyramid offers fields of view, and what the network makes of them is its own affair. (A network
# trained again without a branch would make up for more. Only that would tell what a branch is
# worth.)
