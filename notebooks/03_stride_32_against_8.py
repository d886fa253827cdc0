# %% [markdown]
# # Stride 32 against stride 8
#
# *Previous:* [02 Features on a photograph](02_features_on_a_photograph.ipynb) ·
# *Next:* [04 Upsampling conventions](04_upsampling_conventions.ipynb) ·
# *Lesson:* [4 Dense features](../lessons/04_dense_features/lesson.py) ·
# *Paper:* section 3.1 ·
# *Source:* [`models/deeplab.py`](../minideeplab/models/deeplab.py)
#
# A classifier halves its input five times: one position for 32 × 32 pixels. DeepLab stops after
# three halvings and computes scores every 8 pixels, from the *same weights*
# ([arXiv 1606.00915](https://arxiv.org/abs/1606.00915), section 3.1). How is that done, what does
# it cost, and what do the masks gain?

# %%
import copy

import matplotlib.cbook
import matplotlib.pyplot as plt
import numpy as np

import minideeplab as mdl
import minideeplab.functional as F
from minideeplab import inference
from minideeplab.crf import refine
from minideeplab.visualize.plots import BLUE, ORANGE, SCENE_COLOURS, add_legend, paint, show

plt.style.use("minideeplab.visualize.lecture")


# %% [markdown]
# ## Where the scores lie
#
# A dot is one position for which the network computes scores. Everything in between is
# interpolated.

# %%
path = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
photograph = mdl.io.read_image(path)[60:317, 130:387]  # (257, 257, 3): 257 = 8 · 32 + 1

figure, panels = plt.subplots(1, 2, figsize=(8.6, 4.5))
for axes, stride, size in zip(panels, (32, 8), (8, 3), strict=True):
    ys, xs = np.mgrid[0:257:stride, 0:257:stride]
    show(axes, photograph, f"stride {stride}: {ys.size} positions", alpha=0.75)
    axes.plot(xs.ravel(), ys.ravel(), "o", ms=size + 1.5, mfc=ORANGE, mec="white", mew=1)
plt.show()

# %% [markdown]
# At stride 32 the face has a few positions. No interpolation restores what lies between them.
#
# ## The surgery
#
# VGG-16 with the strides of its two last pooling layers taken away gives more positions, but
# wrong features: the layers behind them were trained on neighbours that lie two (four) steps
# apart. So the taps move apart by the same factor: conv5 gets rate 2, and `fc6` rate 12 instead
# of 3. Below are both networks, with one set of weights (random and narrow: the identity holds
# for any weights).

# %%
dense = mdl.models.DeepLab("largefov", num_classes=5, width=1 / 8, seed=1).eval()  # stride 8
sparse = copy.deepcopy(dense)  # and back to a classifier's strides
sparse.pool4.stride = sparse.pool5.stride = 2
for name in ("conv5_1", "conv5_2", "conv5_3"):
    layer = getattr(sparse, name)
    layer.dilation = layer.padding = 1


def run_to(net, last):
    """Activations (C, H, W) of one layer of the trunk, on the photograph."""
    x = net.preprocessing(photograph)[None]
    with mdl.no_grad():
        for name in net.trunk[: net.trunk.index(last) + 1]:
            x = getattr(net, name)(x)
    return np.asarray(x)[0]


few, many = run_to(sparse, "relu5_3"), run_to(dense, "relu5_3")
apart = np.abs(many[:, ::2, ::2] - few).max() / few.max()
print(f"conv5_3: {few.shape[1:]} positions became {many.shape[1:]}; at the old ones the largest")
print(f"difference is {apart:.0e} of the largest feature")
assert apart < 1e-4

channel = many.mean(axis=(1, 2)).argmax()
figure, panels = plt.subplots(1, 2, figsize=(8.6, 4.5))
for axes, maps, title in ((panels[0], few, "conv5 behind stride 16"),
                          (panels[1], many, "rate 2 on stride 8")):  # fmt: skip
    rows, columns = maps.shape[1:]
    show(axes, maps[channel], f"{title}: {rows} × {columns}", cmap="viridis", vmin=0,
         vmax=many[channel].max())  # fmt: skip
ys, xs = np.mgrid[0:33:2, 0:33:2]
panels[1].plot(xs.ravel(), ys.ravel(), "o", ms=3.5, mfc="white", mec="black", mew=0.6)
plt.show()

# %% [markdown]
# At the white dots the right map equals the left one. The other positions are new.
#
# One thing does not carry over. The released networks keep pool5's window at 3 × 3 neighbours
# after its stride is gone, although its neighbours now lie closer together. A window with holes
# would be exact; fine-tuning makes up for the difference:

# %%
few, many = run_to(sparse, "pool5"), run_to(dense, "pool5")
apart = np.abs(many[:, ::4, ::4] - few).mean() / few.mean()
print(f"after pool5 the features at the old positions differ by {apart:.0%} on average")
assert apart > 0.01

# %% [markdown]
# ## What it costs
#
# The trunk up to conv4 does the same work as before: pool4 is the first layer whose stride changes.
# conv5 has nearly 4 times and fc6 to fc8 15 times as many positions. For an image of 513 × 513
# pixels:


# %%
def multiplications(dense, side=513):
    """Count the multiplications of LargeFOV's layers, by block, in billions."""
    work, stride, channels = {}, 1, 3
    for block, count, width in mdl.models.vgg.BLOCKS:
        positions = ((side - 1) // stride + 1) ** 2
        work[f"conv{block}"] = positions * 9 * width * (channels + (count - 1) * width)
        channels = width
        if block <= 3 or not dense:
            stride *= 2
    positions = ((side - 1) // stride + 1) ** 2
    work["fc6 to fc8"] = positions * (9 * 512 * 1024 + 1024 * 1024 + 1024 * 21)
    return {name: total / 1e9 for name, total in work.items()}


coarse, fine = multiplications(False), multiplications(True)
total = [sum(work.values()) for work in (coarse, fine)]
print(f"stride 32: {total[0]:.0f}, stride 8: {total[1]:.0f} billion multiplications")
print(f"{total[1] / total[0]:.1f} times the work for 16 times the positions")
ratio = {name: fine[name] / coarse[name] for name in fine}
print("ratio by block:", {name: round(value, 1) for name, value in ratio.items()})
assert all(ratio[f"conv{block}"] == 1 for block in (1, 2, 3, 4)), "unchanged up to conv4"
assert 3.8 < ratio["conv5"] < 4 and 14 < ratio["fc6 to fc8"] < 16

figure, axes = plt.subplots(figsize=(8.4, 3.8))
place = np.arange(len(fine))
axes.bar(place - 0.2, list(coarse.values()), 0.4, color=BLUE, label="stride 32")
axes.bar(place + 0.2, list(fine.values()), 0.4, color=ORANGE, hatch="//", ec="white",
         label="stride 8")  # fmt: skip
axes.set(xticks=place, xticklabels=fine, ylabel="multiplications, $10^9$")
axes.legend(loc="upper left")
plt.show()

# %% [markdown]
# This is why DeepLab stops at 8. For stride 4, pool3 would lose its stride too, and every layer
# behind it would have four times as many positions again:

# %%
behind = ("conv4", "conv5", "fc6 to fc8")
at_4 = sum(work * (4 if name in behind else 1) for name, work in fine.items())
print(f"stride 4: {at_4:.0f} billion, {at_4 / total[1]:.1f} times stride 8")
assert at_4 > 2 * total[1]

# %% [markdown]
#
#
# ## What the masks gain
#
# Two measurements on synthetic scenes, whose truth is known. *Ideal scores*: take the true
# label at every 4th, 8th, 16th, 32nd pixel and interpolate; no network of that stride with bilinear
# upsampling can do much better. *The network's scores*: the bundled network has stride 4. By
# the identity above, the same network at a coarser stride would give a part of these scores, so we
# keep every 2nd, 4th, 8th.

# %%
net = mdl.models.from_checkpoint(mdl.pretrained.find("shapes"))
scenes = mdl.data.SyntheticScenes(16, size=(129, 161), seed=7)
classes = len(scenes.classes)
strides = (4, 8, 16, 32)


def enlarge(coarse):
    full = F.interpolate(coarse[None], size=scenes.size, mode="bilinear", align_corners=True)
    return full[0]


def labels_by_stride(image, truth):
    """Labels (H, W) for each (kind, stride)."""
    scores = inference.coarse_scores(image, net)  # (C, 33, 41)
    perfect = (truth == np.arange(classes)[:, None, None]).astype(np.float32)
    found = {}
    for stride in strides:
        step = stride // 4
        found["ideal scores", stride] = enlarge(perfect[:, ::stride, ::stride]).argmax(0)
        full = enlarge(scores[:, ::step, ::step])
        found["the network's", stride] = full.argmax(0)
        q = refine(image, F.softmax(full, 0), **inference.crf_options(True, net))
        found["the network's, with CRF", stride] = q.argmax(0)
    return found


confusion = {}
for image, truth in scenes:
    for key, labels in labels_by_stride(image, truth).items():
        matrix = mdl.evaluation.confusion_matrix(labels, truth, classes)
        confusion[key] = confusion.get(key, 0) + matrix
iou = {key: 100 * mdl.evaluation.scores(matrix).mean_iou for key, matrix in confusion.items()}
for kind in dict.fromkeys(kind for kind, _ in iou):
    line = ", ".join(f"{iou[kind, stride]:.0f} % at {stride}" for stride in strides)
    print(f"{kind}: {line}")

figure, axes = plt.subplots(figsize=(7.6, 4))
for kind, style in (("ideal scores", "s--"), ("the network's", "o-"),
                    ("the network's, with CRF", "^:")):  # fmt: skip
    axes.plot(range(4), [iou[kind, stride] for stride in strides], style, ms=9, label=kind)
axes.set(xticks=range(4), xticklabels=strides, xlabel="stride of the scores, pixels")
axes.set(ylabel="mean IoU, %", ylim=(0, 103))
axes.legend(loc="lower left")
plt.show()
assert iou["ideal scores", 8] > 90 > 70 > iou["ideal scores", 32]
assert iou["the network's", 8] > iou["the network's", 32] + 10
assert 0 < iou["ideal scores", 4] - iou["ideal scores", 8] < 6
assert iou["the network's, with CRF", 32] < iou["the network's", 8]

# %% [markdown]
# At stride 32 even ideal scores lose a good part of the IoU: objects smaller than the grid fall
# between the positions, and edges become wavy. From 8 to 4 the ideal scores gain a few points only.
# The CRF does not repair stride 32: it moves edges, but it cannot restore an object of which no
# position has a score.

# %%
image, truth = scenes[5]
labels = labels_by_stride(image, truth)

figure, panels = plt.subplots(2, 3, figsize=(9, 5.1))
show(panels[0, 0], image, "image")
show(panels[1, 0], paint(truth), "truth")
for column, stride in ((1, 32), (2, 8)):
    for row, kind in enumerate(("ideal scores", "the network's")):
        show(panels[row, column], paint(labels[kind, stride]), f"{kind}, stride {stride}")
add_legend(figure, scenes.classes, SCENE_COLOURS, ignored=True)
plt.show()

# %% [markdown]
# - **Predict.** Which layers have to change for output stride 16?
# - **Try.** Put a window with holes in the place of `pool5` (take every second pixel of a phase)
#   and make the last identity exact.
# - **Read the source.** [`models/deeplab.py`](../minideeplab/models/deeplab.py).
# - **Next.** [04 Upsampling conventions](04_upsampling_conventions.ipynb).
