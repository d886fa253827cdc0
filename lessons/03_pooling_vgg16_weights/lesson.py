# %% [markdown]
# # Lesson 3 · Pooling, VGG-16, and converting its weights
#
# DeepLab starts from VGG-16, a network that somebody else trained to name what is in an image.
# You will write the only layer of it that lesson 1 left out, max pooling, with its gradient; see
# where VGG-16's 138 million numbers sit; and turn weights that one framework saved into weights
# that another can use, without changing a single prediction. Three things go wrong there: sizes
# that are rounded the other way, axes in another order, and input colours on another scale.
#
# Five tasks, ten points. Fill in each hole, run the cell, and look at what `check` says.

# %%
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cbook import get_sample_data
from matplotlib.patches import Rectangle

from minideeplab.grading import checker
from minideeplab.ops import conv
from minideeplab.weights.vgg import fold_input as library_fold_input

plt.style.use("minideeplab.visualize.lecture")
BLUE, ORANGE, GREEN, SKY = "#0072B2", "#D55E00", "#009E73", "#56B4E9"
check = checker("03")

# %% [markdown]
# ## Pooling
#
# A pooling layer slides a $k \times k$ window over each channel by itself, by a stride $s$, and
# keeps one number of each window: the largest (**max pooling**), or the mean. There is nothing to
# learn in it. It makes the map smaller, so that the next filters see further, and it forgets
# exactly where in the window something was found.
#
# Why the maximum? A filter that looks for a thin line responds at few places. The mean drowns that
# response among the zeros around it, the maximum keeps it.

# %%
with get_sample_data("grace_hopper.jpg") as file:
    photograph = plt.imread(file)[80:336, 60:444].mean(axis=2) / 255  # grey, 256 x 384
edges = np.abs(photograph[1:-7, 8:] - photograph[1:-7, :-8])[:248, :376]
blocks = edges.reshape(31, 8, 47, 8)

figure, panels = plt.subplots(1, 3, figsize=(9, 2.5))
titles = "response of a filter", "mean of 8 × 8", "maximum of 8 × 8"
shown = edges, blocks.mean(axis=(1, 3)), blocks.max(axis=(1, 3))
for axes, title, image in zip(panels, titles, shown, strict=True):
    axes.imshow(image, vmin=0, vmax=0.7, cmap="cividis")
    axes.set_title(title)
    axes.set_axis_off()

# %% [markdown]
# ### How many windows?
#
# Along an axis of $n$ pixels with $p$ pixels of padding on either side, window number $i$ covers
# the padded positions $is, \dots, is + k - 1$. Whole windows end at $n + 2p$ at the latest, so
#
# $$ P = \left\lfloor \frac{n + 2p - k}{s} \right\rfloor + 1. $$
#
# If the division leaves a remainder, the last pixels belong to no window. Caffe does not like
# that and rounds *up*: one more window, which sticks out at the end. With padding, such a window
# might begin behind the image and see nothing but padding; then Caffe drops it again:
#
# $$ P = \left\lceil \frac{n + 2p - k}{s} \right\rceil + 1,
# \qquad\text{less one if}\quad (P-1)\,s \ge n + p. $$
#
# DeepLab was trained in Caffe and rounds up. For $n = 8m + 1$, such as 321 or 513, both rules
# give the same; on an image 360 pixels high they give 46 and 45 rows of scores.

# %%
figure, panels = plt.subplots(1, 2, figsize=(9, 1.9))
for axes, padding, n in ((panels[0], 0, 8), (panels[1], 1, 5)):
    k = 3 if padding == 0 else 2
    for x in range(-padding, n + padding):
        colour = "0.85" if 0 <= x < n else "white"
        axes.add_patch(Rectangle((x, 0), 1, 1, facecolor=colour, edgecolor="0.4"))
    for i in range(4):
        start, level = 2 * i - padding, -0.4 - 0.5 * i
        whole, useless = start + k <= n + padding, start >= n
        colour = BLUE if whole else ORANGE
        style = ":" if useless else "-"
        axes.plot([start + 0.1, start + k - 0.1], [level] * 2, style, lw=5, color=colour)
        word = "whole" if whole else "dropped" if useless else "rounding up"
        axes.text(start + k + 0.15, level, word, va="center", color=colour, fontsize=11)
    axes.set(xlim=(-1.2, 11.2), ylim=(-2.2, 1.1), aspect="equal")
    axes.set_title(f"n = {n}, k = {k}, s = 2, p = {padding}")
    axes.set_axis_off()

# %% [markdown]
# ### Task 3.1 · How many windows? (1 point)
#
# Write both rules. The kernel always fits at least once.


# %%
def pooled_size(n: int, k: int, stride: int, padding: int, ceil_mode: bool) -> int:
    """Number of windows along an axis of n pixels; rounded up as Caffe does it if ceil_mode."""
    # solution 3.1: count whole windows, or round up and drop a window that begins too late
    room = n + 2 * padding - k
    if not ceil_mode:
        return room // stride + 1
    count = (room + stride - 1) // stride + 1
    return count - 1 if (count - 1) * stride >= n + padding else count
    # end 3.1


check("3.1", pooled_size)

# %% [markdown]
# ### Task 3.2 · The maximum, and where it was (2 points)
#
# Pool every channel of $x$ with a square window, rounding down. Going back you will need to know
# *which* pixel won, so return two arrays: the maxima, and for each the winner's number
# $i W + j$ in its channel, counted over the image *without* padding. If several pixels tie, the
# first in reading order wins. Padding never wins, whatever the pixels are, even if all of them are
# negative: it is as good as $-\infty$.
#
# A loop over the windows is quick enough. Cut each window where it leaves the image, and let
# `argmax` find the winner.


# %%
def max_pool2d(x: np.ndarray, k: int, stride: int, padding: int) -> tuple[np.ndarray, np.ndarray]:
    """Maxima of x (C, H, W) and where they were: y float (C, P, Q), index int64 (C, P, Q)."""
    # solution 3.2: cut each window to the image, take its argmax, number it in the image
    channels, height, width = x.shape
    rows, columns = ((n + 2 * padding - k) // stride + 1 for n in (height, width))
    y, index = np.zeros((channels, rows, columns)), np.zeros((channels, rows, columns), np.int64)
    for p, q in np.ndindex(rows, columns):
        top, left = p * stride - padding, q * stride - padding
        window = x[:, max(top, 0) : top + k, max(left, 0) : left + k]
        best = window.reshape(channels, -1).argmax(axis=1)
        i, j = np.divmod(best, window.shape[2])
        y[:, p, q] = window.max(axis=(1, 2))
        index[:, p, q] = (max(top, 0) + i) * width + max(left, 0) + j
    return y, index
    # end 3.2


check("3.2", max_pool2d)

# %% [markdown]
# ## The gradient of a maximum
#
# Let $m = \max(x_1, \dots, x_n)$ and let $x_a$ be the largest, without a tie. Change any other
# $x_i$ a little: nothing happens to $m$. Change $x_a$ by $\epsilon$: $m$ changes by $\epsilon$. So
#
# $$ \frac{\partial m}{\partial x_i}
# = \begin{cases} 1 & i = a \\ 0 & \text{otherwise.} \end{cases} $$
#
# With the chain rule over all windows $w$, and $a(w)$ for the winner of window $w$,
#
# $$ \bar x[n] = \sum_{w} \bar y[w]\, \frac{\partial y[w]}{\partial x[n]}
#             = \sum_{w:\; a(w) = n} \bar y[w]. $$
#
# The winner takes it all, from *every* window that it won: DeepLab's windows of 3 × 3 with stride
# 2 overlap, and an outstanding pixel wins up to four of them. (At a tie the derivative does not
# exist. Any of the tied pixels will do, if forward and backward agree on which.)
#
# ### Task 3.3 · Back through max pooling (2 points)
#
# Hand every $\bar y[w]$ to the winner of its window. `index` is what task 3.2 returns. Beware:
# `a[i] += b` adds only once where an index occurs twice in `i`; `np.add.at` adds every time.


# %%
def max_pool2d_backward(
    dy: np.ndarray, index: np.ndarray, shape: tuple[int, int, int]
) -> np.ndarray:
    """Gradient dx (C, H, W) = shape, for dy (C, P, Q) and the winners index (C, P, Q)."""
    # solution 3.3: in each channel, add dy at the winners' places
    channels, height, width = shape
    dx = np.zeros((channels, height * width))
    for c in range(channels):
        np.add.at(dx[c], index[c].ravel(), dy[c].ravel())
    return dx.reshape(shape)
    # end 3.3


check("3.3", max_pool2d_backward)

# %%
random = np.random.default_rng(5)
plane = random.uniform(0, 9, (1, 7, 9))
_, winners = max_pool2d(plane, 3, 2, 1)
wins = max_pool2d_backward(np.ones(winners.shape), winners, plane.shape)[0]

figure, panels = plt.subplots(1, 2, figsize=(9, 3.6))
panels[0].imshow(plane[0], cmap="Blues", vmax=14)
panels[1].imshow(wins, cmap="Oranges", vmax=6)
for (i, j), value in np.ndenumerate(plane[0]):
    panels[0].text(j, i, f"{value:.1f}", ha="center", va="center", fontsize=11)
    panels[1].text(j, i, int(wins[i, j]) or "", ha="center", va="center", fontsize=12)
panels[0].set_title("x")
panels[1].set_title("windows won (3 × 3, stride 2, padding 1)")
for axes in panels:
    axes.set(xticks=[], yticks=[])

# %% [markdown]
# ## VGG-16
#
# The network is as plain as can be ([arXiv 1409.1556](https://arxiv.org/abs/1409.1556),
# configuration D): 3 × 3 filters with padding 1 and a ReLU, in five blocks of 2, 2, 3, 3, 3
# layers with 64, 128, 256, 512, 512 filters; after each block a maximum of 2 × 2 with stride 2;
# then three fully connected layers fc6, fc7, fc8 of 4096, 4096 and 1000 outputs. An image of
# 224 × 224 arrives at fc6 as 512 maps of 7 × 7.
#
# A convolution of $F$ filters on $C$ channels has $F(9C + 1)$ parameters and computes $9CF$
# multiplications for each pixel of its map; a fully connected layer has $F(C + 1)$ parameters,
# each used once.

# %%
names, parameters, products = [], [], []
channels, size = 3, 224
for block, (count, filters) in enumerate([(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)], 1):
    for layer in range(count):
        names.append(f"conv{block}_{layer + 1}")
        parameters.append(filters * (9 * channels + 1))
        products.append(9 * channels * filters * size**2)
        channels = filters
    size //= 2
for name, inputs, outputs in ("fc6", 512 * 7 * 7, 4096), ("fc7", 4096, 4096), ("fc8", 4096, 1000):
    names.append(name)
    parameters.append(outputs * (inputs + 1))
    products.append(outputs * inputs)
assert sum(parameters) == 138_357_544

figure, panels = plt.subplots(1, 2, figsize=(9, 4.4), sharey=True)
places = np.arange(len(names))
colours = [ORANGE if name.startswith("fc") else BLUE for name in names]
panels[0].barh(places, np.array(parameters) / 1e6, color=colours)
panels[1].barh(places, np.array(products) / 1e9, color=colours)
panels[0].set(yticks=places, yticklabels=names, xlabel="million parameters")
panels[1].set(xlabel="billion multiplications, 224 × 224")
panels[0].invert_yaxis()
panels[0].set_title(f"{sum(parameters) / 1e6:.1f} million numbers")
panels[1].set_title(f"{sum(products) / 1e9:.1f} billion products")

# %% [markdown]
# The weights are in the fully connected layers, the work is in the convolutions. That is why
# DeepLab keeps the convolutions as they are and cuts fc6 down, and why its LargeFOV net has 20.5
# million parameters instead of 134 (table 1 of the paper).
#
# ## A fully connected layer is a convolution
#
# fc6 flattens the $C \times h \times w$ maps into one vector and multiplies it with a matrix.
# Number its columns by $(c, i, j)$ instead, and the product is what a convolution without padding
# computes at its only position:
#
# $$ y[f] = b[f] + \sum_{c, i, j} W[f, (c, i, j)]\; x[c, i, j]. $$
#
# So the matrix, *reshaped*, is a filter bank $(F, C, h, w)$; and a filter bank may be slid over an
# image of any size. That is all there is to "fully convolutional".
#
# What must be known is the order in which $(c, i, j)$ was flattened. Caffe and PyTorch keep maps as
# $(C, h, w)$: column $(c\,h + i)\,w + j$, and the matrix is (outputs, inputs). Keras keeps them as
# $(h, w, C)$: the same weight is in *row* $(i\,w + j)\,C + c$ of a matrix (inputs, outputs). Take
# one for the other, and nothing complains: the shapes fit, the network runs, and its predictions
# are noise.

# %%
number = np.arange(12)  # two channels of 2 x 3 pixels
chw = number.reshape(2, 2, 3)
hwc = chw.transpose(1, 2, 0).ravel()
figure, panels = plt.subplots(2, 1, figsize=(9, 2.4))
for axes, order, title in zip(
    panels, (number, hwc), ("flattened as (C, h, w)", "flattened as (h, w, C)"), strict=True
):
    axes.bar(number, 1, width=0.95, color=np.where(order < 6, SKY, "#E69F00"))
    for place, value in enumerate(order):
        c, i, j = np.unravel_index(value, chw.shape)
        axes.text(place, 0.5, f"{c},{i},{j}", ha="center", va="center")
    axes.set(title=title, xlim=(-0.6, 11.6))
    axes.set_axis_off()

# %% [markdown]
# ### Task 3.4 · From a matrix to filters (2 points)
#
# Turn a fully connected layer's matrix into a filter bank. `size` is $(C, h, w)$ and `framework`
# says how the matrix was saved: "caffe" $(F, C h w)$ or "keras" $(h w C, F)$.


# %%
def dense_to_conv(weight: np.ndarray, size: tuple[int, int, int], framework: str) -> np.ndarray:
    """Filters (F, C, h, w) of a matrix, "caffe" (F, C h w) or "keras" (h w C, F)."""
    # solution 3.4: reshape as it was flattened, then put the axes in order
    channels, height, width = size
    if framework == "caffe":
        return weight.reshape(-1, channels, height, width)
    return weight.reshape(height, width, channels, -1).transpose(3, 2, 0, 1)
    # end 3.4


check("3.4", dense_to_conv)

# %% [markdown]
# ## The same colours on another scale
#
# Caffe's VGG-16 takes an image $p$ (0 to 255) as **BGR** minus a mean $m$. torchvision's was
# trained anew on **RGB** in 0 to 1, minus a mean $t$, divided by a standard deviation $s$. For each
# colour $c$ the two see
#
# $$ v_c = p_c - m_c \qquad\text{and}\qquad u_c = \frac{p_c / 255 - t_c}{s_c}. $$
#
# We want to feed $v$ to weights that were made for $u$. Solve the first equation for $p_c$, and
# put it into the second:
#
# $$ u_c = \frac{v_c + m_c - 255\, t_c}{255\, s_c}. $$
#
# The first layer is linear, so this change can move into its weights, once and for all:
#
# $$ \sum_{c,i,j} w_{cij}\, u_{cij} + b
#  = \sum_{c,i,j} \underbrace{\frac{w_{cij}}{255\, s_c}}_{w'_{cij}} v_{cij}
#  + \underbrace{b + \sum_{c,i,j} w_{cij}\, \frac{m_c - 255\, t_c}{255\, s_c}}_{b'}. $$
#
# What remains is to turn the channels of $w'$ from RGB to BGR. Batch normalisation after a
# convolution can be folded in by the same argument.
#
# ### Task 3.5 · Fold the input into the first layer (3 points)
#
# `mean_from` ($t$) and `std` ($s$) are RGB on the scale of 0 to 1; `mean_to` ($m$) is BGR on the
# scale of 0 to 255, as the frameworks write them.


# %%
def fold_input(
    weight: np.ndarray,
    bias: np.ndarray,
    mean_from: np.ndarray,
    std: np.ndarray,
    mean_to: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Weights (F, 3, kh, kw) and bias (F,) that give for BGR v what the old ones gave for RGB u."""
    # solution 3.5: divide the weights, move the difference of the means to the bias, turn BGR
    scale = 255 * std
    shift = (mean_to[::-1] - 255 * mean_from) / scale
    moved = bias + np.einsum("fchw,c->f", weight, shift)
    return (weight / scale[:, None, None])[:, ::-1], moved
    # end 3.5


check("3.5", fold_input)

# %% [markdown]
# Is it the same network? Inside the image, yes. At its border both pad with zeros, but a zero
# means the colour $t$ for one and $m$ for the other. The figure shows, pixel by pixel, how far the
# outputs of a random first layer are apart: for the real means, which differ by one grey level at
# most, and for a mean that is 20 levels higher.

# %%
weight, bias = random.normal(size=(16, 3, 3, 3)), random.normal(size=16)
t, s = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
m = np.array([104.008, 116.669, 122.675])  # DeepLab's mean, BGR
ours, theirs = fold_input(weight, bias, t, s, m), library_fold_input(weight, bias)
assert all(np.allclose(a, b) for a, b in zip(ours, theirs, strict=True))

rgb = random.uniform(0, 255, (3, 12, 20))
around = (1, 1), ((1, 1), (1, 1)), (1, 1), 1
u = (rgb / 255 - t[:, None, None]) / s[:, None, None]
before = conv.conv2d(u[None], weight, bias, *around)[0]
apart = []
for mean in (m, m + 20):
    v = rgb[::-1] - mean[:, None, None]
    new_weight, new_bias = fold_input(weight, bias, t, s, mean)
    after = conv.conv2d(v[None], new_weight, new_bias, *around)[0]
    apart.append(np.abs(after - before).mean(axis=0))

figure, panels = plt.subplots(1, 2, figsize=(9, 2.6))
for axes, values, title in zip(panels, apart, ("DeepLab's mean", "20 levels more"), strict=True):
    image = axes.imshow(values, cmap="cividis", vmin=0, vmax=apart[1].max())
    axes.set_title(title)
    axes.set(xticks=[], yticks=[])
figure.colorbar(image, ax=panels, label="difference")
assert apart[1][1:-1, 1:-1].max() < 1e-10

# %% [markdown]
# With that, a VGG-16 of any framework becomes ours: layers renamed (torchvision's `features.0` is
# Caffe's `conv1_1`), filters with their axes in order, fc6 reshaped, the first layer folded. The
# command `minideeplab convert` does it for whole files; the module `minideeplab.weights.vgg` reads
# much like your solution.
#
# ## Check yourself
#
# 1. Max pooling has no weights. Why can a network with max pooling not be replaced by one of
#    convolutions alone, while mean pooling can?
# 2. An image is 480 pixels high. DeepLab pools it three times with 3 × 3, stride 2, padding 1.
#    How many rows of scores come out if the sizes are rounded up, and how many if rounded down?
# 3. You check the gradient of max pooling numerically, on an image of small whole numbers, and
#    it fails at some pixels. Is the gradient wrong?
# 4. How many of VGG-16's parameters are in fc6? How many remain if its 4096 filters of 7 × 7 become
#    1024 of 3 × 3?
# 5. A converted network gives good predictions, but a little worse than published. Which of this
#    lesson's three mistakes is likely, and which two are not?
#
# <!-- answer -->
# **Answers.** (1) The mean is linear: it is a convolution with equal weights. The maximum is not.
# (2) Rounded up $240.5 \to 241$, then $121$, then $61$; rounded down $240, 120, 60$. (3) Not
# necessarily: whole numbers tie, and at a tie there is no derivative. Check with numbers that
# differ by more than the step. (4) $4096 \cdot (25088 + 1) = 102{,}764{,}544$, three quarters of
# all; $1024 \cdot (9 \cdot 512 + 1) = 4{,}719{,}616$ remain. (5) Colours in the wrong order or on
# a slightly wrong scale cost some accuracy, as the image still looks like one. fc6 flattened in
# another order gives noise, and a size rounded the other way is seen at once in the output's
# shape.
# <!-- end -->

# %% [markdown]
# ## Now read the package
#
# `pooled_size` in `minideeplab/ops/pool.py` is task 3.1 with its rule for the last window, and
# `max_pool2d` there is task 3.2 as a loop over the window's taps: compare it with yours, and see
# how a tie goes to the first. `minideeplab/models/vgg.py` puts the layers together.
# `minideeplab/weights/vgg.py` is tasks 3.4 and 3.5 for four frameworks; its first paragraph lists
# in what they differ. `minideeplab/weights/conversion.py` reads the files, and `minideeplab
# convert --help` is the command. The notebook `notebooks/13_from_vgg_to_deeplab.ipynb` draws the
# network.
