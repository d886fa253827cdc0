# %% [markdown]
# # What the layers see on a photograph
#
# *Previous:* [01 Holes in filters](01_holes_in_filters.ipynb) · *Next:* [03 Stride 32 against
# 8](03_stride_32_against_8.ipynb) · *Lesson:* [3
# VGG-16](../lessons/03_pooling_vgg16_weights/lesson.py) · *Paper:* sections 3.1 and 4.1.1 ·
# *Source:* [`models/vgg.py`](../minideeplab/models/vgg.py),
# [`models/deeplab.py`](../minideeplab/models/deeplab.py)
#
# DeepLab starts from a network that was trained for another task. VGG-16 was trained to classify a
# million photographs into a thousand classes; its features are useful for much more. We look at
# features on a photograph that no network here was trained for, test what they tell apart, and
# compute the receptive field of each layer.
#
# The weights of VGG-16 are a file of 553 MB, which this package does not contain. So the figures
# show the bundled network `camvid`, which was trained on 367 road scenes. The last cell shows the
# same for VGG-16, if you have the file.

# %%
from itertools import pairwise

import matplotlib.cbook
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageDraw

import minideeplab as mdl
import minideeplab.functional as F
from minideeplab.visualize.plots import (
    BLUE,
    ORANGE,
    REGION_COLOURS,
    add_legend,
    paint_strokes,
    show,
)

plt.style.use("minideeplab.visualize.lecture")


path = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
photograph = mdl.io.read_image(path)[:593, :505]  # 8k+1 on both sides
net = mdl.models.from_checkpoint(mdl.pretrained.find("camvid"))
print("its classes:", ", ".join(net.meta["classes"]))

# %% [markdown]
# ## The first layer: 32 filters of 3 × 3 pixels
#
# Only here can the weights be looked at as they are, since only here the channels are red, green
# and blue. Grey is zero. Nine pixels do not show much: some edges, some spots, many contrasts of
# two colours. What a filter detects is better seen from its output.

# %%
weights = next(net.fine.named_children())[1].conv.weight.data  # (32, 3, 3, 3)
order = np.argsort(weights.std(axis=1).mean(axis=(1, 2)) / weights.std(axis=(1, 2, 3)))
figure, panels = plt.subplots(3, 11, figsize=(9, 2.7))
for axes in panels.flat:
    axes.set_axis_off()
for axes, index in zip(panels.flat, order, strict=False):
    image = weights[index].transpose(1, 2, 0)
    axes.imshow(0.5 + 0.5 * image / np.abs(image).max())
figure.suptitle("32 filters, the greyest first", x=0.01, ha="left", fontsize=13)
plt.show()

# %% [markdown]
# ## Deeper: coarser positions, more selective channels
#
# Four channels each of four layers, those whose values vary most over the photograph. Deeper
# layers have coarser positions, and each channel responds to fewer things.


# %%
def layers_of(net):
    """The layers of a bundled net, by a readable name."""
    parts = {"fine": net.fine, "coarse": net.coarse}
    return [
        (f"{part} {number}", layer)
        for part, layers in parts.items()
        for number, (_, layer) in enumerate(layers.named_children(), start=1)
    ]


def activations(net, layers):
    """Each layer's features of the photograph: name -> (C, h, w)."""
    x, found = net.preprocessing(photograph)[None], {}
    with mdl.no_grad():
        for name, layer in layers:
            x = layer(x)
            found[name] = np.asarray(x)[0]
    return found


def draw_channels(found, names, count=4):
    """A row of the most varied channels for each of the named layers."""
    rows = len(names)
    _, panels = plt.subplots(rows, count, figsize=(7.6, 2.5 * rows), squeeze=False)
    for row, name in zip(panels, names, strict=True):
        maps = found[name]
        best = np.argsort(-maps.std(axis=(1, 2)))[:count]
        for axes, index in zip(row, best, strict=True):
            show(axes, maps[index], "", vmax=np.quantile(maps[index], 0.995))
        stride = round((photograph.shape[0] - 1) / (maps.shape[1] - 1))
        row[0].set_title(f"{name}: {len(maps)} channels, stride {stride}")
    plt.show()


found = activations(net, layers_of(net))
draw_channels(found, ("fine 1", "fine 3", "coarse 1", "coarse 3"))

# %% [markdown]
# ## What are they good for?
#
# A test that needs no training. Strokes mark four regions. From half of the strokes we
# take the mean feature of each region; each pixel under the other half goes to the region whose
# mean is the nearest. Which part of them is right? We compare the bare colours, the layers of the
# network, and the same layers with random weights.

# %%
regions = ("wall", "flag", "face", "hat and uniform")
palette = REGION_COLOURS
strokes = {  # drawn in turn for learning and for testing
    0: [[(420, 40), (470, 250), (440, 330)], [(262, 10), (310, 14)]],
    1: [[(40, 20), (60, 180), (35, 330)], [(120, 20), (120, 230), (90, 330)],
        [(10, 420), (6, 560)], [(30, 330), (22, 400)]],
    2: [[(210, 150), (320, 160)], [(230, 250), (290, 290), (320, 240)],
        [(260, 350), (265, 385)], [(168, 150), (160, 195), (182, 262)]],
    3: [[(80, 400), (180, 430), (110, 560)], [(420, 400), (380, 460), (470, 560)],
        [(170, 112), (260, 95), (350, 105)], [(222, 50), (315, 48)]],
}  # fmt: skip


def draw(turn):
    """Labels (H, W) of every second stroke, 255 elsewhere."""
    canvas = Image.new("L", photograph.shape[1::-1], 255)
    for region, lines in strokes.items():
        for points in lines[turn::2]:
            ImageDraw.Draw(canvas).line(points, fill=region, width=9, joint="curve")
    return np.array(canvas)


learn, test = draw(0), draw(1)


def told_apart(maps):
    """Share of the test strokes that the nearest mean gets right, averaged over the regions."""
    full = F.interpolate(maps[None], learn.shape, mode="bilinear", align_corners=True)[0]
    known = [full[:, learn == region] for region in range(4)]
    spread = np.sqrt(np.mean([part.var(axis=1) for part in known], axis=0)) + 1e-6
    tested, truth = full[:, test != 255], test[test != 255]
    distances = [
        (((tested - part.mean(axis=1)[:, None]) / spread[:, None]) ** 2).sum(axis=0)
        for part in known
    ]
    guess = np.argmin(distances, axis=0)
    return 100 * np.mean([np.mean(guess[truth == region] == region) for region in range(4)])


def all_told_apart(net):
    return [told_apart(maps) for maps in activations(net, layers_of(net)).values()]


trained = all_told_apart(net)
random = np.array([all_told_apart(mdl.models.deeplab_small(seed=seed).eval()) for seed in range(3)])
colours = told_apart(photograph.transpose(2, 0, 1).astype(np.float32))
print("trained on roads:", ", ".join(f"{value:.0f} %" for value in trained))
print("random weights:  ", ", ".join(f"{value:.0f} %" for value in random.mean(axis=0)))
print(f"colours alone: {colours:.0f} %")

figure, (left, right) = plt.subplots(1, 2, figsize=(9.4, 4.4), width_ratios=(1, 1.9))
show(left, paint_strokes(photograph, np.minimum(learn, test), palette), "strokes")
right.plot(range(8), trained, "o-", ms=8, label="trained on roads")
right.plot(range(8), random.mean(axis=0), "s--", ms=8, label="random (3 seeds)")
right.fill_between(range(8), random.min(axis=0), random.max(axis=0), color=ORANGE, alpha=0.2)
right.axhline(colours, color="0.4", lw=1.5, ls=":")
right.text(0, colours - 5, "colours alone", color="0.3", fontsize=12)
right.set(xticks=range(8), ylim=(25, 100), ylabel="told apart, %")
right.set_xticklabels(found, rotation=35, ha="right", rotation_mode="anchor")
right.legend(loc="upper left", ncols=2, columnspacing=1.2)
add_legend(figure, regions, palette, where="outside lower left")
plt.show()
assert min(trained[:6]) > colours
assert (np.array(trained) > random.mean(axis=0))[:6].all(), "in the first six layers"
assert (trained < random.max(axis=0))[6:].all(), "not in the last two"

# %% [markdown]
# The network was trained on roads and never saw a face, a flag or a uniform. Yet its layers, up to
# the sixth, tell them apart better than colours do, and better than the mean of three networks with
# random weights. That is *transfer*, the reason to start DeepLab from trained weights. In the last
# two layers one of the random networks does as well or better (the band shows the best and the
# worst of three). One photograph is an illustration, not a proof.
#
# ## The receptive field of each layer of VGG-16
#
# That needs no weights. A layer of kernel $k$ and rate $r$, whose input has stride $s$, widens the
# receptive field by $(k-1)\,r\,s$ pixels. LargeFOV's kernels, rates and strides are read off the
# package's own network. Pooling is a layer like the others: the authors' `pool5a`, an
# average of 3 × 3 at stride 8, adds 16 pixels.


# %%
def conv_and_pool(net, names):
    """The layers with a kernel, by name: [(name, kernel, stride, rate)]."""
    layers = [(name, getattr(net, name)) for name in names]
    return [
        (name, layer.weight.shape[2], layer.stride, layer.dilation)
        if hasattr(layer, "weight")
        else (name, layer.kernel_size, layer.stride, 1)
        for name, layer in layers
        if name[:2] in ("co", "po", "fc")
    ]


def fields(layers):
    """Receptive field behind each layer, by name, in pixels."""
    field, step, found = 1, 1, {}
    for name, kernel, stride, rate in layers:
        field += (kernel - 1) * rate * step
        step *= stride
        found[name] = field
    return found


largefov = mdl.models.DeepLab("largefov", num_classes=1, width=1 / 64).eval()
vgg = []  # 3 x 3 convolutions, pools of 2 x 2 with stride 2, and fc6 reads 7 x 7 positions
for block, count, _ in mdl.models.vgg.BLOCKS:
    vgg += [(f"conv{block}_{number}", 3, 1, 1) for number in range(1, count + 1)]
    vgg += [(f"pool{block}", 2, 2, 1)]
deeplab = fields(conv_and_pool(largefov, [*largefov.trunk, "fc6"]))
classifier = fields([*vgg, ("fc6", 7, 1, 1)])
print("VGG-16:  ", {name: classifier[name] for name in ("conv5_3", "pool5", "fc6")})
print("LargeFOV:", {name: deeplab[name] for name in ("conv5_3", "pool5", "pool5a", "fc6")})
assert classifier["conv5_3"] == 196 and classifier["fc6"] == 404

figure, axes = plt.subplots(figsize=(9, 4.4))
names = list(deeplab)
axes.plot(names, list(deeplab.values()), "s--", color=ORANGE, label="LargeFOV, stride 8")
axes.plot(list(classifier), list(classifier.values()), "o-", color=BLUE,
          label="VGG-16, stride 32 (no pool5a)")  # fmt: skip
axes.set(ylabel="receptive field, pixels")
axes.set_xticks(range(len(names)), names, rotation=60, ha="right", rotation_mode="anchor")
axes.legend()
plt.show()
assert all(less < more for less, more in pairwise(deeplab.values()))
assert all(deeplab[name] >= classifier[name] for name in classifier), "nowhere smaller"

# %% [markdown]
# A formula can be wrong, so we measure. With positive weights everywhere, the gradient of one
# output is positive on its receptive field and zero elsewhere. (A maximum sends its gradient to one
# pixel only; for this measurement the pools average over the same windows.)

# %%
SIDE = 481


def measure(net, names):
    """Width of the receptive field of the middle output behind the last of ``names``, in pixels."""
    for parameter in net.parameters():
        parameter.data[...] = 1 / parameter.data[0].size  # positive, and sums stay near one
    x = mdl.Tensor(np.ones((1, 3, SIDE, SIDE), np.float32), requires_grad=True)
    y = x
    for name in names:
        layer = getattr(net, name)
        if name.startswith("pool"):
            y = F.avg_pool2d(y, layer.kernel_size, layer.stride, layer.padding)
        else:
            y = layer(y)
    y[0, 0, y.shape[2] // 2, y.shape[3] // 2].backward()
    return int(np.count_nonzero(x.grad[0, 0].any(axis=0)))


until = largefov.trunk.index("pool5") + 1
measured = {
    "pool5": measure(largefov, largefov.trunk[:until]),
    "pool5a": measure(largefov, largefov.trunk),
    "fc6": measure(largefov, [*largefov.trunk, "fc6"]),
    "fc6 without pool5a": measure(largefov, [*largefov.trunk[:until], "fc6"]),
}
kernel, rate = 3, 12
paper = (kernel - 1) * rate * 8 + 32  # table 1: fc6's span at stride 8, plus one 32-pixel cell
print("measured:", measured)
print(f"the paper's table 1: {paper} pixels, fc6 alone")
assert measured == {"pool5": 227, "pool5a": 243, "fc6": 435, "fc6 without pool5a": 419}
assert (
    measured["pool5a"] == deeplab["pool5a"] and measured["fc6"] == deeplab["fc6"] and paper == 224
)

# %% [markdown]
# So three numbers are in use for LargeFOV. The whole network reads 435 pixels. Without `pool5a`,
# as in the ASPP variants, a branch of rate 12 reads 419. The 224 of the paper's table 1, and of
# this package's [results](../minideeplab/experiments/results/shapes/field-of-view.md), counts
# fc6's own kernel: its span of 24 positions of 8 pixels, plus 32.
#
# DeepLab removes two strides without making the receptive field smaller, since rates replace them.
# Its `fc6` of 3 × 3 taps and rate 12 needs far fewer weights than the classifier's:

# %%
filters = {"VGG-16's fc6": (4096, 512, 7, 7), "LargeFOV's fc6": (1024, 512, 3, 3)}
weights_of = {name: int(np.prod(shape)) for name, shape in filters.items()}
full_size, small_size = weights_of.values()
print(f"a filter: 9/49 of the weights; 1024 of 4096 filters: 1/{full_size / small_size:.0f} in all")
assert round(full_size / small_size) == 22

# %% [markdown]
# ## Your own VGG-16
#
# Write the path of a file into the next cell: torchvision's `.pth`, Caffe's `.caffemodel`, Keras'
# `.h5`, MatConvNet's `.mat`. Or a name such as `"vgg16-torchvision"`, and it is downloaded
# (553 MB). The trunk is copied into DeepLab, and you see its channels on the photograph.

# %%
VGG_FILE = None  # for instance "vgg16-397923af.pth"

if VGG_FILE is None:
    print("no file given: nothing to show here")
else:
    state = mdl.weights.load(mdl.weights.locate(VGG_FILE))
    full = mdl.models.deeplab("largefov").eval()
    full.load_state_dict(mdl.weights.vgg16_to_deeplab(state, "largefov"))
    seen = activations(full, [(name, getattr(full, name)) for name in full.trunk])
    ends = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
    draw_channels(seen, ends)
    for name in ends:
        print(f"{name}: regions told apart {told_apart(seen[name]):.0f} %")

# %% [markdown]
# - **Predict.** What is the receptive field of ASPP-L's branch of rate 24? (No `pool5a`.)
# - **Try.** Call `measure` on `models.DeepLab("aspp-l")` with `fc6_4` at its end, and a larger
#   `SIDE`.
# - **Read the source.** [`models/vgg.py`](../minideeplab/models/vgg.py),
#   [`models/deeplab.py`](../minideeplab/models/deeplab.py).
# - **Next.** [03 Stride 32 against 8](03_stride_32_against_8.ipynb).
