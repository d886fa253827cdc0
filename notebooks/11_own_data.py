# %% [markdown]
# # Your own data in ten minutes
#
# *Previous:* [10 Is your framework right?](10_is_your_framework_right.ipynb) · *Next:* [12 A tour
# of the GPU](12_gpu_tour.ipynb) · *Lesson:* [7 Loss and
# training](../lessons/07_loss_and_training/lesson.py) · *Paper:* section 4.1 · *Source:*
# [`data/own.py`](../minideeplab/data/own.py), [`cli/__init__.py`](../minideeplab/cli/__init__.py)
#
# Thirty images, thirty masks, no data-set download, no GPU: from a folder to a network trained on
# your classes, with four commands. Most problems with own data are in the masks, so we begin with a
# mistake.

# %%
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

import minideeplab as mdl
from minideeplab.visualize.plots import add_legend, paint

plt.style.use("minideeplab.visualize.lecture")

work = Path(tempfile.mkdtemp(prefix="own-data-"))


def minideeplab(*arguments):
    """Run a command in the work folder, and show it and its output."""
    print("$ minideeplab", *arguments)
    command = [sys.executable, "-m", "minideeplab", *map(str, arguments)]
    result = subprocess.run(command, cwd=work, capture_output=True, text=True)
    print(result.stdout or result.stderr[-2000:])
    return result.returncode


# %% [markdown]
# ## The images
#
# Your data would be photographs and masks painted in some program. We draw leaves and pebbles on
# sand, whose true labels are known.

# %%
CLASSES = ("ground", "leaf", "pebble")
LEAVES = ((90, 140, 60), (170, 140, 40), (160, 80, 40))
SIZE = (121, 161)
rng = np.random.default_rng(4)


def clouds(cells):
    """Smooth noise of about 1, (H, W)."""
    coarse = Image.fromarray(rng.uniform(0, 255, (cells, cells)).astype(np.uint8))
    return np.asarray(coarse.resize(SIZE[::-1], Image.Resampling.BICUBIC)) / 255.0 - 0.5


def outline(kind):
    """A polygon around the origin, about 1 in radius: (points, 2)."""
    if kind == "leaf":
        along = np.linspace(-1, 1, 24)
        half = 0.42 * (1 - along**2) * (1 - 0.25 * along)
        return np.r_[np.c_[along, half], np.c_[along, -half][::-1]]
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    radius = 0.8 + 0.1 * np.sin(2 * angle + rng.uniform(0, 6)) + 0.05 * np.sin(3 * angle)
    return np.c_[radius * np.cos(angle), radius * np.sin(angle)]


def draw_image():
    """A image (H, W, 3) uint8 and its labels (H, W): 0, 1, 2."""
    image = np.array((150, 130, 100)) + (40 * clouds(8) + 25 * clouds(40))[..., None]
    labels = np.zeros(SIZE, np.uint8)
    for kind in rng.integers(1, 3, rng.integers(4, 9)):
        angle, radius = rng.uniform(0, 2 * np.pi), rng.uniform(10, 30)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        points = radius * outline(CLASSES[kind]) @ turn + rng.uniform(0, 1, 2) * SIZE[::-1]
        canvas = Image.new("1", SIZE[::-1])
        ImageDraw.Draw(canvas).polygon(list(map(tuple, points)), fill=1)
        inside = np.asarray(canvas)
        colour = LEAVES[rng.integers(3)] if kind == 1 else 3 * (rng.uniform(70, 190),)
        image[inside] = np.array(colour) + (30 * clouds(20))[inside][:, None]
        labels[inside] = kind
    image += rng.normal(0, 6, (*SIZE, 1))
    return np.clip(image, 0, 255).astype(np.uint8), labels


pairs = [draw_image() for _ in range(30)]
split = {"train": pairs[:24], "val": pairs[24:]}

figure, panels = plt.subplots(1, 4, figsize=(9, 2))
for axes, (image, _) in zip(panels, pairs, strict=False):
    axes.imshow(image)
    axes.set_axis_off()
plt.show()

# %% [markdown]
# ## The folder, with a mistake
#
# The layout: `train` and `val` with images, `trainannot` and `valannot` with masks of the same
# names, and `classes.txt` with one class a line. The mistake: the masks are written in black,
# grey and white, so that they look right in a viewer.


# %%
def write(folder, values):
    """Write all pairs; ``values``: labels -> the mask's values."""
    for name, chosen in split.items():
        for part in (name, f"{name}annot"):
            (work / folder / part).mkdir(parents=True, exist_ok=True)
        for number, (image, labels) in enumerate(chosen):
            mdl.io.write_image(work / folder / name / f"{number:02}.png", image)
            mask = Image.fromarray(values(labels).astype(np.uint8))
            mask.save(work / folder / f"{name}annot" / f"{number:02}.png")
    (work / folder / "classes.txt").write_text("\n".join(CLASSES) + "\n", encoding="utf-8")


write("beach", lambda labels: np.array((0, 128, 255))[labels])
status = minideeplab("check-data", "beach", "--classes", 3)
print("exit status", status)
assert status == 1

# %% [markdown]
# 128 is no class, and 255, by convention, means "ignored".
#
# A mask holds the *numbers* 0, 1, 2, and so looks black in most viewers; that is correct. We also
# mark a thin band along the edges as 255 (ignored), since the exact edge of an object is uncertain.


# %%
def numbers(labels):
    edge = ndimage.maximum_filter(labels, 3) != ndimage.minimum_filter(labels, 3)
    return np.where(edge, 255, labels)


write("beach", numbers)
status = minideeplab("check-data", "beach", "--classes", 3)
assert status == 0

# %% [markdown]
# ## Training from given weights
#
# 24 images and 30 iterations are too few to train from random weights. We start from the weights
# `shapes`, `--init`; the layer of the scores, which has other classes, starts from random weights.
# For street scenes, `camvid` is the better start; with a file of VGG-16,
# `--model largefov`.

# %%
shutil.copy(mdl.pretrained.find("shapes"), work / "shapes.npz")
status = minideeplab(
    "train", "--data", "own:beach", "--init", "shapes.npz", "--out", "run", "--iterations", 30,
    "--batch-size", 4, "--crop", 97, 97, "--scales", 0.8, 1.2, "--warm-up", 5, "--average", 0.9,
)  # fmt: skip
assert status == 0
print(sorted(path.name for path in (work / "run").iterdir()))

# %%
log = np.genfromtxt(work / "run" / "log.csv", delimiter=",", names=True)
figure, axes = plt.subplots(figsize=(7.5, 3.4))
axes.plot(log["iteration"], log["loss"], ".-", lw=1.2)
axes.set(xlabel="iteration", ylabel="loss", ylim=(0, None))
plt.show()

# %% [markdown]
# ## How good is it?
#
# On the six validation images. (The task is easy: the colours help, and the band along the edges is
# ignored. Expect less on your data.)

# %%
status = minideeplab("evaluate", "--data", "own:beach", "--weights", "run/weights.npz", "--crf")
assert status == 0

# %% [markdown]
# ## Segment
#
# With `minideeplab segment`, or in Python:

# %%
minideeplab("segment", "beach/val", "--weights", "run/weights.npz", "--out", "masks")
net = mdl.models.from_checkpoint(work / "run" / "weights.npz")

figure, panels = plt.subplots(3, 3, figsize=(9, 6.6))
palette = np.array([(187, 187, 187), (27, 116, 69), (240, 228, 65)], np.uint8)
for row, (image, labels) in zip(panels, split["val"], strict=False):
    found, _ = mdl.segment(image, net)
    row[0].imshow(image)
    row[1].imshow(paint(found, palette))
    row[2].imshow(paint(numbers(labels), palette))
for axes, title in zip(panels[0], ("image", "network and CRF", "truth"), strict=True):
    axes.set_title(title)
for axes in panels.flat:
    axes.set_axis_off()
add_legend(figure, CLASSES, palette, ignored=True)
plt.show()

# %% [markdown]
# For your own images: put them in a folder of this layout, run `minideeplab check-data`, and use
# the commands above with some thousand iterations. If the result is poor: are the objects the
# size they were at training? Is a class rare (`--class-weights`)? Does the loss fall, and does
# `val` follow (`--validate-every 100` keeps the best)?

# %% [markdown]
# - **Predict.** What happens to a class that is in 3 of 24 images?
# - **Try.** Use `--init camvid`, or no `--init`, and compare the mean IoU.
# - **Read the source.** [`data/own.py`](../minideeplab/data/own.py),
#   [`cli/__init__.py`](../minideeplab/cli/__init__.py).
# - **Next.** [12 A tour of the GPU](12_gpu_tour.ipynb).
