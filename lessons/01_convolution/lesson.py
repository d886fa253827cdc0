# %% [markdown]
# # Lesson 1 · Convolution and its gradient
#
# A convolutional network is made of one operation more than of any other. You will write it for
# one image, then for batches with channels, stride and padding, and derive its gradients: what a
# network that learns sends back to the weights, and to the layer below. Everything later builds
# on this: atrous convolution (lesson 2) changes one index.
#
# Four tasks, ten points. Fill in each hole, run the cell, and look at what `check` says.

# %%
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cbook import get_sample_data

from minideeplab.grading import checker

plt.style.use("minideeplab.visualize.lecture")
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
check = checker("01")

# %% [markdown]
# ## A sliding dot product
#
# Lay a small kernel $w$ of $k_h \times k_w$ weights over an image $x$ of $H \times W$ pixels,
# multiply what lies on top of each other, add up, and write the sum down. Then move on by a pixel:
#
# $$ y[p, q] = \sum_{i=0}^{k_h-1} \sum_{j=0}^{k_w-1} w[i, j]\; x[p + i,\; q + j]. \tag{1} $$
#
# The kernel fits at $P = H - k_h + 1$ places from top to bottom and at $Q = W - k_w + 1$ from left
# to right. (In mathematics, convolution reads the image backwards, $x[p - i, q - j]$, and (1) is
# called cross-correlation. Deep learning calls (1) convolution: since the weights are learnt, a
# flip makes no difference.)
#
# Some kernels are old acquaintances. A photograph through four of them:

# %%
photograph = plt.imread(get_sample_data("grace_hopper.jpg"))[20:440:3, 100:430:3].mean(axis=2)
KERNELS = {
    "mean of 5 × 5": np.full((5, 5), 1 / 25),
    "left to right": np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8,
    "top to bottom": np.array([[-1.0, -2, -1], [0, 0, 0], [1, 2, 1]]) / 8,
    "sharper": np.array([[0.0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
}


def look(image, kernel):
    """Equation (1) by a library of windows, for the figure below only."""
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    return np.einsum("pqij,ij->pq", windows, kernel)


figure, panels = plt.subplots(1, 5, figsize=(11, 2.7))
panels[0].imshow(photograph)
panels[0].set_title("photograph")
for axes, (name, kernel) in zip(panels[1:], KERNELS.items(), strict=True):
    signed = kernel.sum() < 0.5
    axes.imshow(look(photograph, kernel), vmin=-40 if signed else 0, vmax=40 if signed else 255)
    axes.set_title(name)
for axes in panels:
    axes.axis("off")

# %% [markdown]
# ### Task 1.1 · One plane (2 points)
#
# Write equation (1). Loop over the places $(p, q)$, or, with fewer steps, over the taps $(i, j)$:
# tap $(i, j)$ multiplies the whole piece of $x$ that begins at row $i$, column $j$.


# %%
def correlate(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Equation (1) for x (H, W) and w (kh, kw): y (H - kh + 1, W - kw + 1)."""
    # solution 1.1: for each place, the dot product of the kernel with what lies under it
    (height, width), (kh, kw) = x.shape, w.shape
    y = np.zeros((height - kh + 1, width - kw + 1))
    for p, q in np.ndindex(y.shape):
        y[p, q] = np.sum(w * x[p : p + kh, q : q + kw])
    return y
    # end 1.1


check("1.1", correlate)

# %% [markdown]
# ## Channels, filters, batches; stride and padding
#
# A layer sees $C$ planes at once (red, green, blue, or the features of the layer below) and has
# $F$ kernels, each of them as deep as the input. Two more choices: **padding** puts $m$ zeros
# around every plane, **stride** $s$ moves the kernel by $s$ pixels at a time. With biases $b[f]$,
# and for each image $n$ of a batch,
#
# $$ y[n, f, p, q] = b[f] + \sum_{c} \sum_{i, j} w[f, c, i, j]\;
#    \hat x[n, c,\; s p + i,\; s q + j], \tag{2} $$
#
# where $\hat x$ is $x$ with its zeros around. The largest $p$ with $s p + k_h - 1 \le H + 2m - 1$
# gives the number of rows, and the columns likewise:
#
# $$ P = \left\lfloor \frac{H + 2m - k_h}{s} \right\rfloor + 1. $$
#
# ### Task 1.2 · The layer (3 points)
#
# Fix a tap $(i, j)$. The pixels that it reads at all places form an image of $P \times Q$, a slice
# with step $s$. Under one tap, the sum over channels is a product of the $(F, C)$ matrix
# $w[:, :, i, j]$ with the channels: `np.einsum("fc,ncpq->nfpq", ...)`, or `np.tensordot`.


# %%
def conv2d(x: np.ndarray, w: np.ndarray, b: np.ndarray, stride: int, padding: int) -> np.ndarray:
    """Equation (2) for x (N, C, H, W), w (F, C, kh, kw) and b (F,): y (N, F, P, Q)."""
    # solution 1.2: pad, then for each tap the matrix product of its weights with its pixels
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    kh, kw = w.shape[2:]
    rows, columns = ((n - k) // stride + 1 for n, k in zip(x.shape[2:], (kh, kw), strict=True))
    y = np.zeros((len(x), len(w), rows, columns)) + b[:, None, None]
    for i, j in np.ndindex(kh, kw):
        pixels = x[:, :, i : i + stride * rows : stride, j : j + stride * columns : stride]
        y += np.einsum("fc,ncpq->nfpq", w[:, :, i, j], pixels)
    return y
    # end 1.2


check("1.2", conv2d)

# %% [markdown]
# ## A convolution is a matrix
#
# $y$ depends linearly on $x$: write both as long columns, and (1) is $y = A x$ with a matrix $A$
# that has the same few weights in every row, moved along, and zeros elsewhere. Nobody computes
# with $A$, but it answers the question of this lesson. Let a loss $L$ depend on $y$, and write
# $\bar y = \partial L / \partial y$ (a column as long as $y$). The chain rule says
#
# $$ \bar x[n] = \sum_m \bar y[m] \frac{\partial y[m]}{\partial x[n]} = \sum_m A[m, n]\, \bar y[m],
#    \qquad \text{that is} \qquad \bar x = A^{\mathsf T} \bar y. $$
#
# **Going back is multiplying by the transpose.** What a row of $A$ gathers into one output, the
# same numbers as a column of $A^{\mathsf T}$ scatter from it.

# %%
kernel = np.array([[1.0, 2.0], [3.0, 4.0]])
pixels = np.eye(20).reshape(20, 4, 5)
matrix = np.stack([look(one, kernel).ravel() for one in pixels], axis=1)  # (12, 20)

figure, panels = plt.subplots(1, 2, figsize=(9, 3.8), width_ratios=(20, 12))
for axes, shown, title, across, down in (
    (panels[0], matrix, "A: a 2 × 2 kernel on 4 × 5 pixels", "pixel of x", "pixel of y"),
    (panels[1], matrix.T, "its transpose", "pixel of y", "pixel of x"),
):
    axes.imshow(shown, cmap="Blues", vmin=0, vmax=5)
    axes.set(title=title, xlabel=across, ylabel=down)
    axes.set(xticks=range(0, shown.shape[1], 5), yticks=range(0, shown.shape[0], 5))
    for (row, column), value in np.ndenumerate(shown):
        if value:
            axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=8,
                      color="white" if value > 2.5 else "black")  # fmt: skip

# %% [markdown]
# ## What goes back to the weights
#
# In (2) a weight $w[f, c, i, j]$ is used at every place of every image, and each use adds its
# share to the derivative. A bias is used everywhere with factor one:
#
# $$ \bar w[f, c, i, j] = \sum_{n, p, q} \bar y[n, f, p, q]\; \hat x[n, c,\; s p + i,\; s q + j],
#    \qquad \bar b[f] = \sum_{n, p, q} \bar y[n, f, p, q]. $$
#
# Under one tap this is again a matrix product, now summed over batch and places.
#
# ### Task 1.3 · Gradients of weights and biases (2 points)


# %%
def conv2d_weight_gradient(
    dy: np.ndarray, x: np.ndarray, kernel: tuple[int, int], stride: int, padding: int
) -> tuple[np.ndarray, np.ndarray]:
    """(dw (F, C, kh, kw), db (F,)) for dy (N, F, P, Q), x (N, C, H, W) and kernel (kh, kw)."""
    # solution 1.3: for each tap, dy times the pixels that the tap read, summed over all places
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    rows, columns = dy.shape[2:]
    dw = np.zeros((dy.shape[1], x.shape[1], *kernel))
    for i, j in np.ndindex(kernel):
        pixels = x[:, :, i : i + stride * rows : stride, j : j + stride * columns : stride]
        dw[:, :, i, j] = np.einsum("nfpq,ncpq->fc", dy, pixels)
    return dw, dy.sum(axis=(0, 2, 3))
    # end 1.3


check("1.3", conv2d_weight_gradient)

# %% [markdown]
# ## What goes back to the layer below
#
# Pixel $\hat x[n, c, h, v]$ was read by output $(p, q)$ through tap $(i, j)$ whenever
# $h = s p + i$ and $v = s q + j$. So
#
# $$ \bar{\hat x}[n, c, h, v] = \sum_{\substack{p, q, i, j \\ s p + i = h,\; s q + j = v}} \sum_f
#    w[f, c, i, j]\; \bar y[n, f, p, q]. $$
#
# There is no need to solve $s p + i = h$ for anything. Run the forward pass backwards: where tap
# $(i, j)$ *read* a slice of $\hat x$ and *added* to $y$, it now reads $\bar y$ and adds
# $w[:, :, i, j]^{\mathsf T} \bar y$ *onto* that slice of $\bar{\hat x}$. In the end the share of
# the zeros is cut off, since the padding is no input.
#
# ### Task 1.4 · The gradient of the input (3 points)


# %%
def conv2d_input_gradient(
    dy: np.ndarray, w: np.ndarray, size: tuple[int, int], stride: int, padding: int
) -> np.ndarray:
    """dx (N, C, H, W) for dy (N, F, P, Q), w (F, C, kh, kw) and size (H, W)."""
    # solution 1.4: each tap adds its share of dy onto the pixels that it read; then cut the padding
    rows, columns = dy.shape[2:]
    height, width = size
    dx = np.zeros((len(dy), w.shape[1], height + 2 * padding, width + 2 * padding))
    for i, j in np.ndindex(w.shape[2:]):
        down = slice(i, i + stride * rows, stride)
        across = slice(j, j + stride * columns, stride)
        dx[:, :, down, across] += np.einsum("fc,nfpq->ncpq", w[:, :, i, j], dy)
    return dx[:, :, padding : padding + height, padding : padding + width]
    # end 1.4


check("1.4", conv2d_input_gradient)

# %% [markdown]
# ## Looking at a gradient
#
# Put a single 1 into $\bar y$ and look at $\bar x$: the kernel is stamped onto the place that it
# looked at. Neighbouring outputs have overlapping stamps, which add up. With stride 2 the stamps
# are two pixels apart, and where the stride does not divide the kernel's size they leave a
# checkerboard: the same that transposed convolutions are known for.


# %%
def stamp(places: list[tuple[int, int]], stride: int, shape=(9, 9)) -> np.ndarray:
    """Add a 3 × 3 kernel of ones at each place: the gradient that these outputs send back."""
    sent = np.zeros(shape)
    for p, q in places:
        sent[stride * p : stride * p + 3, stride * q : stride * q + 3] += 1
    return sent


every = [(p, q) for p in range(4) for q in range(4)]
figure, panels = plt.subplots(1, 3, figsize=(9, 3.2))
for axes, (title, places, stride) in zip(
    panels,
    (
        ("one output", [(3, 3)], 1),
        ("two outputs", [(3, 3), (4, 4)], 1),
        ("all, stride 2", every, 2),
    ),
    strict=True,
):
    drawn = axes.imshow(stamp(places, stride), cmap="Blues", vmin=0, vmax=4)
    axes.set_title(title)
    axes.set(xticks=[], yticks=[])
figure.colorbar(drawn, ax=panels, label="gradient of x", ticks=range(5))

# %% [markdown]
# ## Check yourself
#
# 1. A layer has 64 filters of 3 × 3 on 32 channels. How many weights and biases does it have? How
#    many multiplications does an image of 100 × 80 take with padding 1, stride 1, and stride 2?
# 2. For stride 1, no padding and one channel, the sum for $\bar x$ is itself a convolution of a
#    padded $\bar y$. With which kernel, and how much padding?
# 3. Take random $x$ and $\bar y$. Why is $\langle \bar y, A x \rangle$ always equal to
#    $\langle A^{\mathsf T} \bar y, x \rangle$, and how does that test `conv2d_input_gradient`
#    without any derivative?
# 4. With stride 2 and a 1 × 1 kernel, three quarters of $\bar x$ are zero. Why?
#
# <!-- answer -->
# **Answers.** (1) $64 \cdot 32 \cdot 9 + 64 = 18{,}496$; $100 \cdot 80 \cdot 64 \cdot 288$, about
# 147 million, and a quarter of that. (2) With the kernel turned by 180 degrees, and $k - 1$ zeros
# on each side. (3) Both are $\bar y^{\mathsf T} A x$; compute the left side with the forward pass,
# the right side with the gradient, and compare two numbers. (4) Only pixels with even row and
# column were ever read.
# <!-- end -->

# %% [markdown]
# ## Now read the package
#
# `minideeplab/ops/conv.py` is this lesson in full: `conv2d` and `conv2d_backward`, with dilation,
# groups and sides of their own for the padding. `tap` in `minideeplab/ops/window.py` is the slice
# that you wrote three times. Look for the one difference: a view that is read forwards and added
# to backwards. `minideeplab/functional/conv.py` checks the arguments and records the call,
# `minideeplab/tape.py` walks the records from the last to the first and calls the backward passes,
# and `Conv2d` in `minideeplab/nn/layers.py` holds weights and bias. The notebook
# `notebooks/06_what_backprop_sends_back.ipynb` follows a gradient from the loss down to the
# pixels.
