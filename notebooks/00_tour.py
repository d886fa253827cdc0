# %% [markdown]
# # From image to sharp mask in one sitting
#
# *Next:* [01 Holes in filters](01_holes_in_filters.ipynb) ·
# *Paper:* sections 3 and 4 ·
# *Source:* [`inference.py`](../minideeplab/inference.py)
#
# DeepLab ([arXiv 1606.00915](https://arxiv.org/abs/1606.00915)) labels every pixel of an image
# in four steps: a network with *atrous* convolutions, several receptive fields at once (*ASPP*),
# bilinear upsampling, and a fully connected *CRF*. First the result on a photograph of a street
# that the network has never seen; then one small image with known labels goes through all four.

# %%
import matplotlib.pyplot as plt
import numpy as np

import minideeplab as mdl
import minideeplab.functional as F
from minideeplab import inference
from minideeplab.crf.refinement import build_crf, crf_parameters
from minideeplab.visualize.palettes import CAMVID_CLASSES
from minideeplab.visualize.plots import (
    CAMVID_COLOURS,
    SCENE_COLOURS,
    add_legend,
    paint,
    show,
    street,
)

plt.style.use("minideeplab.visualize.lecture")

# %% [markdown]
# ## What DeepLab is for
#
# The bundled network `camvid` was trained on 367 road scenes in Cambridge. The photograph is from
# Lund. Coarse scores have a stride of 4 pixels of the network's input; the CRF follows the edges of
# the photograph.

# %%
photograph = street()
roads = mdl.models.from_checkpoint(mdl.pretrained.find("camvid"))
upsampled, _ = mdl.segment(photograph, roads, crf=False)
sharp, _ = mdl.segment(photograph, roads)
print(f"the CRF relabels {np.mean(upsampled != sharp):.1%} of the pixels")
assert 0 < np.mean(upsampled != sharp) < 0.2, "only pixels near edges, and specks"

figure, panels = plt.subplots(1, 3, figsize=(10, 3.4))
show(panels[0], photograph, "photograph")
show(panels[1], paint(upsampled, CAMVID_COLOURS), "network, upsampled")
show(panels[2], paint(sharp, CAMVID_COLOURS), "after the CRF")
add_legend(figure, CAMVID_CLASSES, CAMVID_COLOURS, columns=6)
plt.show()

# %% [markdown]
# ## An image with known labels
#
# A synthetic scene: five kinds of objects in front of a background, in any size, colour and
# texture. Only the shape tells what an object is. The true labels are known; the thin band along
# the edges (white) is ignored: it does not count in the loss or in the score.

# %%
scenes = mdl.data.SyntheticScenes(40, size=(121, 161), seed=5)
image, truth = scenes[12]
net = mdl.models.from_checkpoint(mdl.pretrained.find("shapes"))

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.1))
show(left, image, "image, 121 × 161")
show(right, paint(truth), "truth")
add_legend(figure, scenes.classes, SCENE_COLOURS, ignored=True)
plt.show()

# %% [markdown]
# ## Step 1: see far without shrinking
#
# A classifier halves its input five times and ends with one vector of scores for 32 × 32 pixels.
# That is too coarse for masks. DeepLab stops halving early and spreads the taps of its filters
# apart instead: an atrous convolution of rate $r$ reads
#
# $$ y[p] = \sum_k w[k]\; x[p + r\,k]. $$
#
# Nine weights stay nine weights, yet they span $2r+1$ positions. Our network uses four rates side
# by side, on features that lie 8 pixels apart. One output position reads these positions:

# %%
rates = (2, 4, 8, 12)
pixels = 8  # between neighbouring features
row, column = 7, 10  # the position that we look at, in features

figure, panels = plt.subplots(1, 4, figsize=(9, 2.9))
for axes, rate in zip(panels, rates, strict=True):
    show(axes, image, f"rate {rate}", alpha=0.55)
    down, across = np.meshgrid([-rate, 0, rate], [-rate, 0, rate], indexing="ij")
    ys, xs = pixels * (row + down), pixels * (column + across)
    inside = (ys >= 0) & (ys < image.shape[0]) & (xs >= 0) & (xs < image.shape[1])
    axes.plot(xs[inside], ys[inside], "o", ms=8, mfc="#D55E00", mec="white", mew=1.5)
    axes.set_xlabel(f"spans {2 * rate * pixels + 1} px,\n{inside.sum()} of 9 taps inside")

branches = [branch.conv.weight.shape for _, branch in net.aspp.branches.named_children()]
print("weights of the four branches:", *branches, sep="\n  ")
assert len(set(branches)) == 1, "a larger rate costs no weights"

# %% [markdown]
# Small rates read parts of an object, large rates its surroundings. Where a large filter sticks
# out of the image it reads zeros, which is why one large rate alone would not do. The branches
# are computed side by side and joined: *atrous spatial pyramid pooling*.
#
# ## Step 2: one score for each class, on a coarse grid
#
# The network returns a score for each class on a grid of stride 4 (after ASPP it mixes finer
# features back in, for thin objects). Softmax turns scores into probabilities:

# %%
scores = inference.coarse_scores(image, net)  # (6, 31, 41), 4 pixels apart
coarse = F.softmax(scores, 0)
assert scores.shape[1:] == ((121 - 1) // 4 + 1, (161 - 1) // 4 + 1)

figure, panels = plt.subplots(2, 3, figsize=(9, 5))
for axes, name, plane in zip(panels.flat, scenes.classes, coarse, strict=True):
    show(axes, plane, name, cmap="viridis", vmin=0, vmax=1)
figure.colorbar(axes.images[0], ax=panels, shrink=0.7, label="probability")
plt.show()

# %% [markdown]
# ## Step 3: bilinear upsampling
#
# Score $(i, j)$ belongs to pixel $(4i, 4j)$. In between we interpolate linearly, with the corners
# of both grids on top of each other (`align_corners=True`). This costs nothing and needs no
# weights, but it cannot invent an edge: borders come out smooth and in the wrong place by a few
# pixels.

# %%
full = inference.upsample(scores, image.shape[:2])  # (6, 121, 161)
assert np.allclose(full[:, ::4, ::4], scores, atol=1e-4), "every score is kept at its own pixel"
probabilities = F.softmax(full, 0)
window = (slice(51, 121), slice(76, 161))  # a closer look

figure, panels = plt.subplots(1, 3, figsize=(9, 2.9))
blocks = paint(coarse.argmax(0)).repeat(4, 0).repeat(4, 1)[2:-1, 2:-1]  # centred on their pixels
show(panels[0], image[window], "image, closer")
show(panels[1], blocks[window], "coarse labels")
show(panels[2], paint(probabilities.argmax(0))[window], "upsampled")

# %% [markdown]
# ## Step 4: the fully connected CRF
#
# The image shows where the edges are. The CRF links *every* pixel to every other,
# strongly if the two are near each other and alike in colour, and asks linked pixels to agree:
#
# $$ k_{ij} = w_1 \exp\Bigl(-\tfrac{|p_i-p_j|^2}{2\sigma_\alpha^2}
#    -\tfrac{|c_i-c_j|^2}{2\sigma_\beta^2}\Bigr)
#    + w_2 \exp\Bigl(-\tfrac{|p_i-p_j|^2}{2\sigma_\gamma^2}\Bigr). $$
#
# Mean field repeats one update: filter the probabilities with $k$, add the result to the network's
# scores, normalise.

# %%
settings = inference.crf_options(True, net)["parameters"]
print(crf_parameters(settings))
crf = build_crf(image, probabilities, settings)


def mean_iou(q, truth=truth):
    confusion = mdl.evaluation.confusion_matrix(q.argmax(0), truth, len(scenes.classes))
    return mdl.evaluation.scores(confusion).mean_iou


states = [crf.start()] + [crf.step() for _ in range(10)]
ious = [mean_iou(q) for q in states]

figure = plt.figure(figsize=(9, 5.9))
panels = figure.subplot_mosaic("ABC\nDDD", height_ratios=(1, 1.05))
for key, step in zip("ABC", (0, 1, 10), strict=True):
    title = "network alone" if step == 0 else f"CRF, iteration {step}"
    show(panels[key], paint(states[step].argmax(0)), f"{title}: {ious[step]:.1%}")
panels["D"].plot(range(11), 100 * np.array(ious), "o-")
panels["D"].set(xlabel="iteration", ylabel="mean IoU, %", xticks=range(0, 11, 2))
panels["D"].set_title("agreement with the truth")
add_legend(figure, scenes.classes, SCENE_COLOURS, ignored=True)
plt.show()

# %% [markdown]
# ## All of it in one call, and on more than one image
#
# `mdl.segment` does these four steps. Look closely at the last mask: the box has become whole, but
# the small red star on the red box is gone. The CRF goes by colour, and those two are alike.
# Likewise, where the network's class is wrong, the CRF spreads the error up to the
# next edge. One image proves little, so here are the first 20 scenes:

# %%
labels, _ = mdl.segment(image, net)
assert np.array_equal(labels, states[-1].argmax(0)), "the same, step by step and at once"
small_star = (truth == scenes.classes.index("star")) & (np.indices(truth.shape)[1] > 60)
for name, region, kind in (("box", truth == 2, 2), ("small star", small_star, 4)):
    before, after = (np.mean(q.argmax(0)[region] == kind) for q in (states[0], states[-1]))
    print(f"{name}: {before:.0%} of its pixels right before the CRF, {after:.0%} after")
assert after == 0

pairs = []
for scene, its_truth in (scenes[index] for index in range(20)):
    q = [mdl.segment(scene, net, crf=crf)[1] for crf in (False, True)]
    pairs.append([100 * mean_iou(one, its_truth) for one in q])
before, after = np.array(pairs).T
print(f"mean IoU of the 20 scenes, averaged: {before.mean():.1f} % -> {after.mean():.1f} %")
print(f"the CRF improves {np.sum(after > before)} of them and worsens {np.sum(after < before)}")
assert after.mean() > before.mean() and np.any(after < before)

figure, axes = plt.subplots(figsize=(5.6, 5.2))
axes.plot([40, 100], [40, 100], color="0.6", lw=1.2)
better = after >= before
axes.plot(before[better], after[better], "o", ms=8, label="better with the CRF")
axes.plot(before[~better], after[~better], "s", ms=8, label="worse")
axes.set(xlabel="network alone, mean IoU, %", ylabel="with the CRF, %", aspect="equal")
axes.legend(loc="lower right", handletextpad=0.2)
plt.show()

# %% [markdown]
# - **Predict.** On which kinds of images does the CRF worsen the labels? The last figure has
#   some.
# - **Try.** Segment a photograph of your own: `minideeplab segment street.jpg`.
# - **Read the source.** [`inference.py`](../minideeplab/inference.py).
# - **Next.** [01 Holes in filters](01_holes_in_filters.ipynb).
