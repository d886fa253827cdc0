# %% [markdown]
# # Training and evaluating
#
# *Previous:* [13 From VGG-16 to DeepLab](13_from_vgg_to_deeplab.ipynb) · *Lesson:* [6 ASPP,
# multi-scale](../lessons/06_aspp_multi_scale/lesson.py), [7 Loss and
# training](../lessons/07_loss_and_training/lesson.py) · *Paper:* sections 4.1.2 and 4.1.3 ·
# *Source:* [`evaluation/confusion.py`](../minideeplab/evaluation/confusion.py),
# [`evaluation/boundaries.py`](../minideeplab/evaluation/boundaries.py),
# [`training/multiscale.py`](../minideeplab/training/multiscale.py),
# [`training/schedule.py`](../minideeplab/training/schedule.py)
#
# How is a segmentation network scored, and which choices of training change the score? IoU and the
# trimap band first, then schedules and multi-scale input ([arXiv 1606.00915](
# https://arxiv.org/abs/1606.00915), section 4).
#
# ![Labels of a new image while a network learns](../.github/images/training.gif)

# %%
import csv
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import minideeplab as mdl
import minideeplab.functional as F
from minideeplab.training import schedule
from minideeplab.training.multiscale import SCALES, fused_scores
from minideeplab.visualize.plots import BLUE, ORANGE, SCENE_COLOURS, add_legend, paint, show

plt.style.use("minideeplab.visualize.lecture")
net = mdl.models.from_checkpoint(mdl.pretrained.find("shapes"))
scenes = mdl.data.SyntheticScenes(40, size=(121, 161), seed=5)
images, truths = zip(*(scenes[index] for index in range(5, 17)), strict=True)
SCENE = 7  # the one that is drawn


def labels_of(image, crf=False):
    return mdl.segment(image, net, crf=crf)[0]


networks = [labels_of(image) for image in images]
refined = [labels_of(image, crf=True) for image in images]

# %% [markdown]
# ## IoU: intersection over union
#
# For one class, take the pixels that the network labels so, and those of the truth:
#
# $$ \text{IoU} = \frac{|\text{both}|}{|\text{either}|}
#    = \frac{\text{true positives}}
#      {\text{true positives} + \text{false positives} + \text{false negatives}} . $$
#
# Ignored pixels (255 in the truth) are in neither set.

# %%
box = scenes.classes.index("box")
counts = truths[SCENE] != 255
predicted, true = (networks[SCENE] == box) & counts, (truths[SCENE] == box) & counts
iou = (predicted & true).sum() / (predicted | true).sum()

regions = np.full(true.shape, 3)
regions[predicted & true], regions[predicted & ~true], regions[~predicted & true] = 0, 1, 2
regions[~counts] = 255
parts = np.array([(0, 114, 178), (213, 94, 0), (240, 228, 66), (187, 187, 187)], np.uint8)
names = ("both", "false positive", "false negative", "neither")
figure, panels = plt.subplots(1, 3, figsize=(10, 3.4))
show(panels[0], images[SCENE], "image")
show(panels[1], paint(networks[SCENE]), "network")
show(panels[2], paint(regions, parts), f"IoU of “box”: {iou:.1%}")
add_legend(figure, names, parts, ignored=True)
plt.show()

confusion = mdl.evaluation.confusion_matrix(networks[SCENE], truths[SCENE], len(scenes.classes))
scores = mdl.evaluation.scores(confusion)
print(mdl.evaluation.format_table(scores, scenes.classes))
assert np.isclose(scores.iou[box], iou), "the library's IoU is this fraction"

# %% [markdown]
# *Mean IoU* averages over the classes. Over a data set, the confusion matrices of all images are
# added first. The mean of each image's IoU is another number, and so is pixel accuracy, which the
# background dominates:

# %%
classes = len(scenes.classes)


def total(labels, where=None):
    """Confusion matrix of all images; ``where``: a mask for each truth, or None."""
    result = np.zeros((classes, classes), int)
    for index, found in enumerate(labels):
        truth = truths[index] if where is None else np.where(where[index], truths[index], 255)
        result += mdl.evaluation.confusion_matrix(found, truth, classes)
    return result


def mean_iou(labels, where=None):
    return 100 * mdl.evaluation.scores(total(labels, where)).mean_iou


together = mdl.evaluation.scores(total(networks))
single = [
    mdl.evaluation.scores(mdl.evaluation.confusion_matrix(found, truth, classes)).mean_iou
    for found, truth in zip(networks, truths, strict=True)
]
print(f"mean IoU, one matrix over {len(images)} images: {100 * together.mean_iou:.1f} %")
print(f"mean of the images' mean IoUs: {100 * np.mean(single):.1f} %")
print(f"pixel accuracy: {100 * together.pixel_accuracy:.1f} %")
assert together.pixel_accuracy > together.mean_iou

# %% [markdown]
# ## The trimap band
#
# Most pixels lie far from any edge and are easy. The paper (figure 10) scores only those within a
# band around the object boundaries, and varies its width. As in the authors' code the band grows
# from the ignored pixels, which lie along the boundaries.

# %%
figure, panels = plt.subplots(1, 3, figsize=(10, 3.3))
for axes, width in zip(panels, (2, 6, 15), strict=True):
    band = mdl.evaluation.trimap(truths[SCENE], width)
    picked = np.where(band, truths[SCENE], 255)
    show(axes, paint(picked), f"band of {width} px: {band.mean():.0%} of the pixels")
add_legend(figure, scenes.classes, SCENE_COLOURS, ignored=True)
plt.show()

widths = (1, 2, 3, 4, 6, 8, 12, 16, 24, 40)
curves = {"network": [], "with CRF": []}
for width in widths:
    bands = [mdl.evaluation.trimap(truth, width) for truth in truths]
    curves["network"].append(mean_iou(networks, bands))
    curves["with CRF"].append(mean_iou(refined, bands))

figure, axes = plt.subplots(figsize=(7.6, 3.8))
axes.plot(widths, curves["network"], "o-", color=BLUE, label="network")
axes.plot(widths, curves["with CRF"], "s--", color=ORANGE, label="with CRF")
axes.set(xlabel="width of the band, pixels", ylabel="mean IoU, %")
axes.legend(loc="lower right")
plt.show()
gain = np.subtract(curves["with CRF"], curves["network"])
print(
    "gain of the CRF by width:",
    *(f"{width}: {g:+.1f}" for width, g in zip(widths, gain, strict=True)),
)
assert curves["network"][0] < curves["network"][-1], "pixels near edges are harder"
assert (gain > 0).all()

# %% [markdown]
# ## Learning rate: step against poly
#
# The first version of the paper divides the rate by 10 in steps. The second (section 4.1.2) uses
# *poly*, $(1 - i/n)^{0.9}$. In table 2 it gains 1.17 points with the same batch and iterations.

# %%
n = 90
rates = {"step": schedule.step(every=n // 3), "poly": schedule.poly(n)}
figure, axes = plt.subplots(figsize=(7.6, 3.4))
for (name, rate), style in zip(rates.items(), ("--", "-"), strict=True):
    axes.plot([rate(i) for i in range(n + 1)], style, label=name)
axes.set(xlabel="iteration", ylabel="part of the base rate")
axes.legend()
plt.show()
assert rates["poly"](0) == 1 and rates["poly"](n) == 0 and np.isclose(rates["step"](n - 1), 0.01)

results = Path(mdl.__file__).parent / "experiments" / "results" / "shapes" / "schedules.csv"
with results.open(encoding="utf-8") as file:
    step_row, poly_row, *_ = csv.DictReader(file)
assert (step_row["schedule"], poly_row["schedule"]) == ("step", "poly")
assert step_row["iterations"] == poly_row["iterations"] == str(n)
found = [float(row["mean IoU, %"]) for row in (step_row, poly_row)]
paper = [float(row["paper, VOC, %"]) for row in (step_row, poly_row)]
print(f"this package, synthetic scenes: step {found[0]:.1f}, poly {found[1]:.1f} % (one run each)")
print(f"the paper, PASCAL VOC: step {paper[0]}, poly {paper[1]} %")
assert found[1] > found[0] and np.isclose(paper[1] - paper[0], 1.17)

# %% [markdown]
# ## Several scales, fused by the maximum
#
# An object that is too large for the receptive field fits on a smaller image. The same network is
# applied at the scales 1, 0.75 and 0.5; the scores are brought to one grid, and each class keeps
# its *largest* score at each position (section 4.1.2).

# %%
x = net.preprocessing(images[SCENE])[None]
with mdl.no_grad():
    fused, views = fused_scores(net.eval(), x)
fused = np.asarray(fused)[0]
grid = fused.shape[1:]
maps = [
    np.asarray(F.interpolate(np.asarray(view), size=grid, mode="bilinear", align_corners=True))[0]
    for view in views
]
assert np.allclose(fused, np.max(maps, axis=0), atol=1e-5), "the maximum, class by class"

winner = np.argmax([view[box] for view in maps], axis=0)
figure, panels = plt.subplots(2, 3, figsize=(10, 5.6))
signed = {"cmap": "PuOr_r", "vmin": -8, "vmax": 8}
for axes, scale, view in zip(panels.flat, SCALES, maps, strict=False):
    show(axes, view[box], f"score of “box”, scale {scale}", **signed)
show(panels[1, 0], images[SCENE], "image")
drawn = show(panels[1, 1], fused[box], "fused by maximum", **signed)
show(panels[1, 2], parts[winner], "scale of the maximum")
figure.colorbar(drawn, ax=panels, shrink=0.7, label="score")
add_legend(figure, [str(scale) for scale in SCALES], parts[:3])
plt.show()

# %% [markdown]
# Does it help? The bundled network was trained at one scale, so the smaller images are new to it:

# %%
options = {"scales": SCALES, "crf": False}
by_max = [mdl.segment(image, net, fusion="max", **options)[0] for image in images]
by_mean = [mdl.segment(image, net, fusion="mean", **options)[0] for image in images]
table = {
    "one scale": mean_iou(networks),
    "three, maximum of the scores": mean_iou(by_max),
    "three, mean of the probabilities": mean_iou(by_mean),
}
for name, value in table.items():
    print(f"{name}: {value:.1f} %")
assert (
    max(table["three, maximum of the scores"], table["three, mean of the probabilities"])
    < (table["one scale"])
)

# %% [markdown]
# It does not: both ways to fuse lower the mean IoU. In the paper, the
# network is *trained* with the fused scores, and gains 2.55 points (table 4). The
# [experiment](../minideeplab/experiments/results/shapes/multi-scale.md) on synthetic scenes shows
# the same: without such training three scales lower the IoU, with it they raise it.

# %%
csv_file = results.with_name("multi-scale.csv")
with csv_file.open(encoding="utf-8") as file:
    rows = {row["run"]: row for row in csv.DictReader(file)}
change = {
    name: float(rows[name]["three sizes, max, %"]) - float(rows[name]["one size, %"])
    for name in ("plain", "msc")
}
print(f"three scales: {change['plain']:+.1f} points, trained at three: {change['msc']:+.1f}")
assert change["plain"] < 0 < change["msc"]
assert np.isclose(71.27 - 68.72, 2.55)  # the paper's table 4

# %% [markdown]
# - **Predict.** What is the IoU of a class that is in no truth but in some labels?
# - **Try.** Score the twelve scenes with `scales=(1, 1.25)` and with `flip=True`.
# - **Read the source.** [`evaluation/confusion.py`](../minideeplab/evaluation/confusion.py),
#   [`evaluation/boundaries.py`](../minideeplab/evaluation/boundaries.py),
#   [`training/multiscale.py`](../minideeplab/training/multiscale.py),
#   [`training/schedule.py`](../minideeplab/training/schedule.py).
# - **Next.** [All notebooks](README.md).
