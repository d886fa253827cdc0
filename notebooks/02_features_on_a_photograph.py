# %% [markdown]
# # What the layers see on a photograph
#
# DeepLab starts from a network that was trained for something else. VGG-16 had sorted a million
# photographs into a thousand kinds; its features turned out to be good for much more. We look at
# features on a photograph that no network here was trained for, ask what they are good for, and
# count how far each layer sees.
#
# The weights of VGG-16 are a file of 553 MB, which this package does not contain. So the pictures
# show the bundled net `camvid`, which was trained on 367 road scenes. The last cell shows the same
# for VGG-16, if you have the file.

# %%
from itertools import pairwise

import matplotlib.cbook
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageDraw

import minideeplab as mdl
import minideeplab.functional as F

plt.style.use("minideeplab.visualize.lecture")
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
print(mdl.doctor())


def show(axes, picture, title, **options):
    axes.imshow(picture, **options)
    axes.set_title(title)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


path = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
photograph = mdl.io.read_image(path)[:593, :505]  # 8k+1 on both sides
net = mdl.models.from_checkpoint(mdl.pretrained.find("camvid"))
print("its classes:", ", ".join(net.meta["classes"]))

# %% [markdown]
# ## The first layer: 32 filters of 3 × 3 pixels
#
# Only here can the weights be looked at as they are, since only here the channels are red, green
# and blue. Grey is zero. Nine pixels do not show much: some edges, some spots, many contrasts of
# two colours. What a filter is for is better seen from what it answers.

# %%
weights = next(net.fine.named_children())[1].conv.weight.data  # (32, 3, 3, 3)
order = np.argsort(weights.std(axis=1).mean(axis=(1, 2)) / weights.std(axis=(1, 2, 3)))
figure, panels = plt.subplots(3, 11, figsize=(9, 2.7))
for axes in panels.flat:
    axes.set_axis_off()
for axes, index in zip(panels.flat, order, strict=False):
    picture = weights[index].transpose(1, 2, 0)
    axes.imshow(0.5 + 0.5 * picture / np.abs(picture).max())
figure.suptitle("32 filters, the greyest first", x=0.01, ha="left", fontsize=13)
plt.show()

# %% [markdown]
# ## Deeper: less where, more what
#
# Four channels each of four layers, those whose answers vary most over the photograph. Going
# down, the pixels become coarser and the channels choosier.


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
    """Each layer's answers to the photograph: name -> (C, h, w)."""
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
# A test that needs no training. Somebody draws strokes on four regions. From half of the strokes we
# take the mean feature of each region; each pixel under the other half goes to the region whose
# mean is the nearest. How many go right? We ask that of the bare colours, of the layers of the net,
# and of the same layers with random weights.

# %%
regions = ("wall", "flag", "face", "hat and uniform")
palette = np.array([(86, 180, 233), (213, 94, 0), (240, 228, 66), (0, 114, 178)], np.uint8)
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
    asked, truth = full[:, test != 255], test[test != 255]
    distances = [
        (((asked - part.mean(axis=1)[:, None]) / spread[:, None]) ** 2).sum(axis=0)
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
picture = photograph.copy()
for marks in (learn, test):
    picture[marks != 255] = palette[marks[marks != 255]]
show(left, picture, "strokes")
right.plot(range(8), trained, "o-", ms=8, label="trained on roads")
right.plot(range(8), random.mean(axis=0), "s--", ms=8, label="random (3 seeds)")
right.fill_between(range(8), random.min(axis=0), random.max(axis=0), color=ORANGE, alpha=0.2)
right.axhline(colours, color="0.4", lw=1.5, ls=":")
right.text(0, colours - 5, "colours alone", color="0.3", fontsize=12)
right.set(xticks=range(8), ylim=(25, 100), ylabel="told apart, %")
right.set_xticklabels(found, rotation=35, ha="right", rotation_mode="anchor")
right.legend(loc="upper left", ncols=2, columnspacing=1.2)
dots = [plt.Line2D([], [], marker="s", ls="", ms=11, color=c / 255) for c in palette]
figure.legend(dots, regions, loc="outside lower left", ncols=4, columnspacing=1.2)
plt.show()
assert min(trained[:6]) > colours
assert (np.array(trained) > random.mean(axis=0))[:6].all(), "in the first six layers"

# %% [markdown]
# The net was trained on roads and never saw a face, a flag or a uniform. Yet its layers, down to
# the sixth, tell them apart better than colours do, and better than three nets with random weights
# in the mean. That is *transfer*: why nobody trains DeepLab from nothing if they can help it. At
# the end the lead is lost. The last layer is tuned to roads; and random filters, of which there are
# many here, can be lucky (the band shows the best and the worst of three). One photograph is an
# illustration, not a proof.
#
# ## How far does each layer of VGG-16 see?
#
# That needs no weights. A layer of kernel $k$ and rate $r$, whose input has stride $s$, widens the
# field of view by $(k-1)\,r\,s$ pixels.


# %%
def fields(strides, pool, head):
    """Field of view behind each layer; ``strides``: of pool1 to pool5; ``head``: kernel, rate."""
    names, seen, field, stride = [], [], 1, 1
    for block, count, _ in mdl.models.vgg.BLOCKS:
        rate = 2 if block == 5 and strides[3] == 1 else 1
        for number in range(1, count + 1):
            field += 2 * rate * stride
            names.append(f"conv{block}_{number}")
            seen.append(field)
        field += (pool - 1) * stride
        stride *= strides[block - 1]
        names.append(f"pool{block}")
        seen.append(field)
    kernel, rate = head
    return [*names, "fc6"], [*seen, field + (kernel - 1) * rate * stride]


names, classifier = fields((2, 2, 2, 2, 2), pool=2, head=(7, 1))
_, deeplab = fields((2, 2, 2, 1, 1), pool=3, head=(3, 12))
print("before fc6 and behind it, VGG-16:", *classifier[-2:], " LargeFOV:", *deeplab[-2:])
assert classifier[names.index("conv5_3")] == 196 and classifier[-1] == 404

figure, axes = plt.subplots(figsize=(9, 4.2))
axes.plot(names, classifier, "o-", color=BLUE, label="VGG-16, stride 32")
axes.plot(names, deeplab, "s--", color=ORANGE, label="DeepLab LargeFOV, stride 8")
axes.set(ylabel="field of view, pixels")
axes.set_xticks(range(len(names)), names, rotation=60, ha="right", rotation_mode="anchor")
axes.legend()
plt.show()
assert all(less < more for less, more in pairwise(deeplab))

# %% [markdown]
# DeepLab removes two strides and loses no sight: rates take their place. Its `fc6` of 3 × 3 taps
# sees as far as the classifier's of 7 × 7, with a fifth of the weights.
#
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
    vgg = mdl.models.deeplab("largefov").eval()
    vgg.load_state_dict(mdl.weights.vgg16_to_deeplab(state, "largefov"))
    seen = activations(vgg, [(name, getattr(vgg, name)) for name in vgg.trunk])
    ends = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
    draw_channels(seen, ends)
    for name in ends:
        print(f"{name}: regions told apart {told_apart(seen[name]):.0f} %")
