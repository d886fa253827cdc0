# %% [markdown]
# # The CRF's five numbers
#
# *Previous:* [08 The lattice, drawn](08_the_lattice_in_2d.ipynb) · *Next:* [10 Is your framework
# right?](10_is_your_framework_right.ipynb) · *Lesson:* [9 Mean
# field](../lessons/09_mean_field/lesson.py), [10 Permutohedral
# lattice](../lessons/10_permutohedral_lattice/lesson.py) · *Paper:* sections 3.3 and 4.1.2 ·
# *Source:* [`crf/refinement.py`](../minideeplab/crf/refinement.py),
# [`crf/search.py`](../minideeplab/crf/search.py)
#
# "Which parameters did you use?" is the question asked most often about DeepLab's CRF. There are
# five. We vary each of them and look at the masks and at the mean IoU. With a running kernel there
# are sliders at the end.

# %%
import importlib.util
import os

import matplotlib.pyplot as plt
import numpy as np

import minideeplab as mdl
import minideeplab.functional as F
from minideeplab import inference
from minideeplab.crf import CRFParameters, refine
from minideeplab.crf.refinement import PARAMETERS
from minideeplab.visualize.plots import (
    BLUE,
    ORANGE,
    SCENE_COLOURS,
    add_legend,
    add_values,
    paint,
    show,
)

plt.style.use("minideeplab.visualize.lecture")

# %% [markdown]
# | Parameter | Meaning | Unit |
# |---|---|---|
# | $w_1$ | weight of the bilateral kernel (position and colour) | - |
# | $\sigma_\alpha$ | its width in position | pixels |
# | $\sigma_\beta$ | its width in colour | grey values, of 255 |
# | $w_2$ | weight of the smoothness kernel (position only) | - |
# | $\sigma_\gamma$ | its width in position | pixels |
#
# The smoothness kernel removes specks. The first version of the paper fixed $w_2 = \sigma_\gamma
# = 3$ and searched the other three on 100 images; the released settings of the second version
# change these two as well. The names: *v1* and *v2* are the two versions of the paper
# ([1412.7062]( https://arxiv.org/abs/1412.7062) and
# [1606.00915](https://arxiv.org/abs/1606.00915)); *msc* is a network with multi-scale features;
# *coco* was pretrained on MS-COCO; *largefov* has the head of notebook 02; *vgg16* and
# *resnet101* are trunks.

# %%
for name, p in PARAMETERS.items():
    print(f"{name:20} w1 {p.w1:2}, alpha {p.sigma_alpha:3}, beta {p.sigma_beta:2}, "
          f"w2 {p.w2:g}, gamma {p.sigma_gamma:g}")  # fmt: skip
    assert name.startswith("v2") or (p.w2, p.sigma_gamma) == (3, 3)
assert (PARAMETERS["v2-vgg16"].w2, PARAMETERS["v2-vgg16"].sigma_gamma) == (2, 2)
assert (PARAMETERS["v2-resnet101"].w2, PARAMETERS["v2-resnet101"].sigma_gamma) == (3, 1)

# %% [markdown]
# These belong to photographs of about 500 × 375 pixels. Our scenes are a third as wide, noisier and
# more colourful, and the best values for them are different ones.
#
# ## Position and colour
#
# One scene, the network's labels, and the CRF's labels for three widths $\sigma_\alpha$ in position
# and three widths $\sigma_\beta$ in colour. Black: wrong.

# %%
net = mdl.models.from_checkpoint(mdl.pretrained.find("shapes"))
scenes = mdl.data.SyntheticScenes(40, size=(121, 161), seed=5)
classes = len(scenes.classes)
images, truths = zip(*(scenes[index] for index in range(5, 15)), strict=True)  # ten of them
probabilities = [
    F.softmax(inference.upsample(inference.coarse_scores(image, net), scenes.size), 0)
    for image in images
]


def refined(index, w1=4, sigma_alpha=40, sigma_beta=30, w2=3, sigma_gamma=3, iterations=10):
    """Labels (H, W) of one scene with these settings."""
    settings = CRFParameters(w1, sigma_alpha, sigma_beta, w2, sigma_gamma)
    return refine(images[index], probabilities[index], iterations, settings).argmax(0)


def mean_iou(labels, chosen):
    """Of one confusion matrix over the chosen scenes, %."""
    pairs = zip(labels, chosen, strict=True)
    total = sum(mdl.evaluation.confusion_matrix(q, truths[index], classes) for q, index in pairs)
    return 100 * mdl.evaluation.scores(total).mean_iou


SCENE = 7
alone = probabilities[SCENE].argmax(0)
star = scenes.classes.index("star")
small_star = (truths[SCENE] == star) & (np.indices(scenes.size)[1] > 60)
kept = []  # of the small star, by each setting
print(f"small star: probability {probabilities[SCENE][star][small_star].mean():.0%} on its pixels")
figure, panels = plt.subplots(3, 4, figsize=(9.4, 6.2))
show(panels[0, 0], images[SCENE], "image")
show(
    panels[1, 0], paint(alone, truth=truths[SCENE]), f"network: {mean_iou([alone], [SCENE]):.0f} %"
)
panels[2, 0].set_axis_off()
for row, alpha in zip(panels[:, 1:], (5, 40, 160), strict=True):
    for axes, beta in zip(row, (3, 30, 100), strict=True):
        labels = refined(SCENE, sigma_alpha=alpha, sigma_beta=beta)
        kept.append(np.mean(labels[small_star] == star))
        show(axes, paint(labels, truth=truths[SCENE]), f"{mean_iou([labels], [SCENE]):.0f} %")
        if alpha == 160:
            axes.set_xlabel(f"$\\sigma_\\beta$ = {beta}")
        if beta == 3:
            axes.set_ylabel(f"$\\sigma_\\alpha$ = {alpha}")
add_legend(figure, scenes.classes, SCENE_COLOURS, wrong=True)
plt.show()
print(f"of the small star {min(kept):.0%} to {max(kept):.0%} of the pixels stay right")
assert max(kept) < 0.2

# %% [markdown]
# With $\sigma_\alpha = 5$ only specks change. With 40 the box becomes whole. With $\sigma_\beta =
# 100$ nearly all colours count as similar and labels cross edges. The small star is lost or
# nearly lost in every one: it is red on red, and its probability from the network is low.
#
# ## On ten scenes, as numbers
#
# One scene may be an exception. Here is the mean IoU of ten, searched as the authors did: with
# everything else fixed, over a grid of $\sigma_\alpha$ and $\sigma_\beta$; then over $w_1$ and
# over the number of iterations.

# %%
everyone = range(len(images))


def score(**settings):
    return mean_iou([refined(index, **settings) for index in everyone], everyone)


alphas, betas = (5, 10, 20, 40, 80), (3, 10, 30, 60)
network = mean_iou([q.argmax(0) for q in probabilities], everyone)
grid = np.array([[score(sigma_alpha=a, sigma_beta=b) for b in betas] for a in alphas])

figure, axes = plt.subplots(figsize=(7.8, 4.6))
drawn = axes.imshow(grid, cmap="cividis", aspect="auto", origin="lower")
add_values(axes, grid)
axes.set(xticks=range(len(betas)), xticklabels=betas, yticks=range(len(alphas)))
axes.set_yticklabels(alphas)
axes.set(xlabel=r"$\sigma_\beta$, grey values", ylabel=r"$\sigma_\alpha$, pixels")
axes.set_title(f"mean IoU, %; network alone {network:.1f}")
figure.colorbar(drawn, label="mean IoU, %")
plt.show()
assert grid.max() > network + 2
broad = grid[np.ix_([2, 3, 4], [1, 2])]  # 20 to 80 pixels, 10 and 30 grey values
print(f"20 to 80 pixels and 10 to 30 grey values: {broad.min():.1f} to {broad.max():.1f} %")
assert np.ptp(broad) < 2 and broad.max() == grid.max()

# %%
weights, steps = (0, 1, 2, 4, 8, 16), (0, 1, 2, 3, 5, 10, 20)
by_weight = [score(w1=weight) for weight in weights]
by_step = [score(iterations=count) for count in steps]
print("w1:        ", ", ".join(f"{w} -> {v:.1f}" for w, v in zip(weights, by_weight, strict=True)))
print("iterations:", ", ".join(f"{n} -> {v:.1f}" for n, v in zip(steps, by_step, strict=True)))

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.7), sharey=True)
left.plot(range(len(weights)), by_weight, "o-", color=BLUE)
left.set(xticks=range(len(weights)), xticklabels=weights, xlabel="$w_1$", ylabel="mean IoU, %")
right.plot(range(len(steps)), by_step, "s-", color=ORANGE)
right.set(xticks=range(len(steps)), xticklabels=steps, xlabel="iterations")
for axes in (left, right):
    axes.axhline(network, color="0.4", lw=1.5, ls=":")
right.text(len(steps) - 1, network + 0.1, "network alone", ha="right", color="0.3", fontsize=12)
plt.show()
assert abs(by_step[-1] - by_step[-2]) < abs(by_step[1] - by_step[0]), "it settles"
assert abs(by_step[5] - by_step[4]) < 0.5, "five iterations or ten"
assert by_weight[-1] < max(by_weight) and grid[2:, 3].max() < grid.max(), "too much costs"

# %% [markdown]
# The three figures together:
#
# - The optimum is broad. From 20 to 80 pixels and from 10 to 30 grey values all is within two
#   points. A rough search is enough.
# - A small $\sigma_\alpha$ does little. The CRF can only correct pixels that have links to
#   correct ones.
# - A large $\sigma_\beta$ or $w_1$ lowers the IoU: neighbouring objects merge.
# - After five iterations little changes; ten are usual.
#
# Choose the parameters on images on which you will not report. `minideeplab.crf.search` does what
# the authors did: a coarse grid, then finer ones around the best point.
#
# ## Sliders
#
# With a running kernel and `ipywidgets` (part of `jupyter`) the cell below shows sliders, on a page
# without a kernel one image.


# %%
def turn(scene=SCENE, w1=4, sigma_alpha=40, sigma_beta=30, w2=3, sigma_gamma=3, iterations=10):
    labels = refined(scene, w1, sigma_alpha, sigma_beta, w2, sigma_gamma, iterations)
    before = probabilities[scene].argmax(0)
    figure, panels = plt.subplots(1, 3, figsize=(9, 3))
    show(panels[0], images[scene], "image")
    show(
        panels[1],
        paint(before, truth=truths[scene]),
        f"network: {mean_iou([before], [scene]):.0f} %",
    )
    show(panels[2], paint(labels, truth=truths[scene]), f"CRF: {mean_iou([labels], [scene]):.0f} %")
    add_legend(figure, scenes.classes, SCENE_COLOURS, wrong=True)
    plt.show()


page = "MINIDEEPLAB_STATIC" in os.environ  # set by build.py
if importlib.util.find_spec("ipywidgets") and not page:
    from ipywidgets import IntSlider, interact

    def slider(low, high, value):
        return IntSlider(value, low, high, continuous_update=False)

    interact(turn, scene=slider(0, 9, SCENE), w1=slider(0, 20, 4),
             sigma_alpha=slider(1, 200, 40), sigma_beta=slider(1, 120, 30),
             w2=slider(0, 20, 3), sigma_gamma=slider(1, 20, 3),
             iterations=slider(0, 20, 10))  # fmt: skip
else:
    turn()

# %% [markdown]
# - **Predict.** Which $\sigma_\alpha$ suits images of twice the size?
# - **Try.** Search `w2` and `sigma_gamma` on the ten scenes, then score the best on
#   `scenes[15:25]`.
# - **Read the source.** [`crf/refinement.py`](../minideeplab/crf/refinement.py),
#   [`crf/search.py`](../minideeplab/crf/search.py).
# - **Next.** [10 Is your framework right?](10_is_your_framework_right.ipynb).
