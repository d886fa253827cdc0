# %% [markdown]
# # Lesson 2 · Atrous convolution and field of view
#
# A network that classifies images halves its resolution again and again. For segmentation that
# is a loss: DeepLab ([arXiv 1606.00915](https://arxiv.org/abs/1606.00915), section 3.1) keeps the
# resolution and spreads the filters' taps apart instead. You will derive that *atrous*
# convolution (from the French *à trous*, "with holes"), write it in one and in two dimensions,
# send gradients back through it, and compute how far a whole network sees.
#
# Five tasks, ten points. Fill in each hole, run the cell, and look at what `check` says.

# %%
import matplotlib.pyplot as plt
import numpy as np

from minideeplab.grading import checker

plt.style.use("minideeplab.visualize.lecture")
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
check = checker("02")

# %% [markdown]
# ## The definition
#
# A filter with $K$ taps $w[0], \dots, w[K-1]$ at **rate** $r$ reads a signal $x$ at steps of $r$:
#
# $$ y[p] = \sum_{k=0}^{K-1} w[k]\, x[p + r k]. \tag{1} $$
#
# Rate 1 is the convolution of lesson 1 (deep learning leaves out the flip). Rate 2 leaves one hole
# between neighbouring taps, rate $r$ leaves $r-1$. Weights and multiplications stay $K$; what
# grows is the **effective size**, from the first tap to the last:
#
# $$ K_\text{eff} = 1 + (K-1)\,r = K + (K-1)(r-1). $$

# %%
figure, panels = plt.subplots(1, 3, figsize=(9, 3.4))
for axes, rate in zip(panels, (1, 2, 4), strict=True):
    places = 5 + rate * np.array([-1, 0, 1])
    seen = np.full((11, 11), 1.0)
    seen[places[0] : places[-1] + 1, places[0] : places[-1] + 1] = 0.85
    axes.imshow(seen, vmin=0, vmax=1)
    axes.plot(*(grid.ravel() for grid in np.meshgrid(places, places)), "s", ms=11, color=BLUE)
    axes.set(xticks=np.arange(12) - 0.5, yticks=np.arange(12) - 0.5)
    axes.tick_params(length=0, labelbottom=False, labelleft=False)
    axes.grid(color="0.75", lw=0.8)
    axes.set_title(f"rate {rate}: 9 taps, {1 + 2 * rate} × {1 + 2 * rate}")

# %% [markdown]
# ### Task 2.1 · How many outputs? (1 point)
#
# Pad a signal of $N$ values (`n`) with $m$ zeros on either side (`padding`) and let the filter of
# $K$ taps (`k`) step by $s$. The first position is 0 and the last tap must stay inside, so
# positions $0, s, 2s, \dots$ up to $N + 2m - K_\text{eff}$ are allowed. Count them.


# %%
def output_size(n: int, k: int, stride: int, padding: int, rate: int) -> int:
    """Number of outputs of a filter of k taps on n values, 0 if it does not fit once."""
    # solution 2.1: count the positions of the effective kernel
    effective = 1 + (k - 1) * rate
    room = n + 2 * padding - effective
    return 0 if room < 0 else room // stride + 1
    # end 2.1


check("2.1", output_size)

# %% [markdown]
# ### Task 2.2 · One dimension (2 points)
#
# Write equation (1) without padding, for every position where all taps are inside. A loop over the
# $K$ taps is enough: tap $k$ contributes $w[k]$ times one *shifted piece* of the signal, as long
# as the output.


# %%
def atrous_conv1d(x: np.ndarray, w: np.ndarray, rate: int) -> np.ndarray:
    """Equation (1) for x (N,) and w (K,): y (N - (K-1) rate,)."""
    # solution 2.2: add up one shifted piece of x for each tap
    length = len(x) - (len(w) - 1) * rate
    y = np.zeros(length)
    for k in range(len(w)):
        y += w[k] * x[k * rate : k * rate + length]
    return y
    # end 2.2


check("2.2", atrous_conv1d)

# %% [markdown]
# ## What is it good for?
#
# The paper's figure 3 asks: a filter made for an image of *half* the size is at hand. How do we
# get its result at *every* position of the full image? One way is to halve the signal, filter,
# and interpolate between the few results. The other is to filter the full signal at rate 2.
# At even positions both read the very same samples; in between, only the second one computes.

# %%
position = np.linspace(0, 1, 128)
signal = (
    np.sin(2 * np.pi * 3 * position) + (position > 0.5) + 0.3 * np.sin(2 * np.pi * 29 * position)
)
kernel = np.array([-1.0, 0.0, 1.0])

dense = np.array([kernel @ signal[p : p + 5 : 2] for p in range(124)])  # rate 2, spelled out
coarse = np.array([kernel @ signal[::2][p : p + 3] for p in range(62)])  # on half the signal

figure, axes = plt.subplots()
axes.plot(np.arange(124), dense, color=BLUE, label="rate 2 on the full signal")
axes.plot(
    np.arange(0, 124, 2), coarse, "o-", ms=4, lw=1, color=ORANGE, label="half signal, interpolated"
)
axes.set(xlabel="position", ylabel="response", xlim=(30, 90))
axes.legend()
assert np.allclose(dense[::2], coarse)

# %% [markdown]
# ### Task 2.3 · Two dimensions, many channels (3 points)
#
# Now for images $x$ with $C$ channels and $F$ filters:
#
# $$ y[f, p, q] = \sum_{c}\sum_{i, j} w[f, c, i, j]\; x[c,\; p + r i - m_h,\; q + r j - m_w]. $$
#
# The margins $m_h = r (k_h - 1)/2$ and $m_w = r (k_w - 1)/2$, filled with zeros, keep the size
# (kernels are odd). Loop over the taps $(i, j)$; under one tap, the sum over channels is a matrix
# product of $(F, C)$ with $(C, H, W)$, for instance by `np.einsum` or `np.tensordot`.


# %%
def atrous_conv2d(x: np.ndarray, w: np.ndarray, rate: int) -> np.ndarray:
    """Convolve x (C, H, W) with w (F, C, kh, kw), odd kernel, zeros around: y (F, H, W)."""
    # solution 2.3: pad by the margins, then one matrix product for each tap
    (_, height, width), (filters, _, kh, kw) = x.shape, w.shape
    margins = rate * (kh - 1) // 2, rate * (kw - 1) // 2
    padded = np.pad(x, ((0, 0), (margins[0],) * 2, (margins[1],) * 2))
    y = np.zeros((filters, height, width))
    for i, j in np.ndindex(kh, kw):
        piece = padded[:, i * rate : i * rate + height, j * rate : j * rate + width]
        y += np.tensordot(w[:, :, i, j], piece, axes=1)  # (F, C) times (C, H, W)
    return y
    # end 2.3


check("2.3", atrous_conv2d)

# %% [markdown]
# ## The gradient
#
# Let $L$ be any number computed from $y$, and write $\bar y[p] = \partial L / \partial y[p]$.
# By the chain rule over all outputs,
#
# $$ \bar w[k] = \sum_p \bar y[p]\,\frac{\partial y[p]}{\partial w[k]}
#           = \sum_p \bar y[p]\, x[p + r k],
# \qquad
# \bar x[n] = \sum_p \bar y[p]\,\frac{\partial y[p]}{\partial x[n]}
#           = \sum_{k} \bar y[n - r k]\, w[k], $$
#
# where $\bar y$ counts as zero outside its range. In words: the forward pass lets tap $k$ *read*
# the piece of $x$ that starts at $rk$. Going back, tap $k$ *writes* $w[k]\,\bar y$ onto that very
# piece, and what several taps write to one place adds up.
#
# ### Task 2.4 · Back through one dimension (2 points)


# %%
def atrous_conv1d_backward(
    dy: np.ndarray, x: np.ndarray, w: np.ndarray, rate: int
) -> tuple[np.ndarray, np.ndarray]:
    """Gradients (dx, dw) of task 2.2's y, for dy of y's shape."""
    # solution 2.4: each tap reads a piece of x for dw, and adds to that piece of dx
    dx, dw = np.zeros(len(x)), np.zeros(len(w))
    for k in range(len(w)):
        piece = slice(k * rate, k * rate + len(dy))
        dw[k] = dy @ x[piece]
        dx[piece] += w[k] * dy
    return dx, dw
    # end 2.4


check("2.4", atrous_conv1d_backward)

# %% [markdown]
# ## Field of view
#
# Which pixels of the input can one output of a *stack* of layers see? Walk from the input up and
# keep two numbers: the **jump** $j$, how many input pixels lie between neighbouring values of the
# present layer, and the **field** $R$, how many input pixels one value sees. Both begin at 1.
# A layer with kernel $k$, stride $s$ and rate $r$ adds $(k-1)\,r$ steps of the present jump:
#
# $$ R \leftarrow R + (k-1)\, r\, j, \qquad j \leftarrow j\, s. $$
#
# ### Task 2.5 · How far does a network see? (2 points)


# %%
def field_of_view(layers: list[tuple[int, int, int]]) -> tuple[int, int]:
    """(field, jump) in input pixels of a stack of (kernel, stride, rate), the first layer first."""
    # solution 2.5: keep the field and the jump while walking up the layers
    field, jump = 1, 1
    for kernel, stride, rate in layers:
        field += (kernel - 1) * rate * jump
        jump *= stride
    return field, jump
    # end 2.5


check("2.5", field_of_view)

# %% [markdown]
# ## Rates that leave gaps
#
# The *extent* of the field is not everything. Three layers of rate 2 reach as far as rates
# 1, 2, 3, but they only ever read every second pixel: the neighbour of a pixel is never seen. The
# figure counts, for one output of three 3-tap layers, over how many paths each input reaches it.


# %%
def count_paths(rates: tuple[int, ...]) -> np.ndarray:
    """For each input, the number of ways to the centre output of 3-tap layers."""
    paths = np.ones(1)
    for rate in rates:
        spread = np.zeros(len(paths) + 2 * rate)
        for tap in range(3):
            spread[tap * rate : tap * rate + len(paths)] += paths
        paths = spread
    return paths


figure, panels = plt.subplots(1, 3, figsize=(9, 3), sharey=True)
for axes, rates in zip(panels, [(1, 1, 1), (2, 2, 2), (1, 2, 3)], strict=True):
    paths = count_paths(rates)
    places = np.arange(len(paths)) - len(paths) // 2
    axes.bar(places, paths, color=np.where(paths > 0, BLUE, ORANGE))
    axes.plot(places[paths == 0], 0 * places[paths == 0], "x", ms=7, color=ORANGE)
    axes.set(title="rates " + ", ".join(map(str, rates)), xlabel="input position", xlim=(-7, 7))
panels[0].set_ylabel("paths to the output")
assert (count_paths((2, 2, 2)) == 0).sum() == 6

# %% [markdown]
# ## Check yourself
#
# 1. DeepLab-LargeFOV replaces a dense 7 × 7 kernel by a 3 × 3 kernel of rate 12. How large is the
#    new kernel's effective size, and by what factor do weights and multiplications shrink?
# 2. Table 1 of the paper gives fields of view of 128 and 224 pixels for kernels of 4 × 4 at
#    rates 4 and 8. The features are 8 pixels apart. Which part of 128 and of 224 is due to the
#    kernel, and what remains?
# 3. Stack $L$ layers of 3 taps with rates $1, 2, 4, \dots, 2^{L-1}$. How does the field grow with
#    $L$? And if every rate is 1?
# 4. You have an atrous convolution and doubt it. Name two tests that need only an ordinary one.
#
# <!-- answer -->
# **Answers.** (1) $1 + 2 \cdot 12 = 25$; both shrink by $49/9 \approx 5.4$. (2) $(k-1)\,r \cdot 8$
# gives $3 \cdot 4 \cdot 8 = 96$ and $3 \cdot 8 \cdot 8 = 192$; in both cases 32 pixels remain for
# what a single feature sees (as the authors count it). (3) $R = 1 + 2(1 + 2 + \dots + 2^{L-1}) =
# 2^{L+1} - 1$ against $2L + 1$. (4) Write the holes as zeros into a larger kernel; or sort the
# positions by their remainder modulo $r$, filter each of the $r$ parts, and put them back.
# <!-- end -->

# %% [markdown]
# ## Now read the package
#
# The atrous convolution of the library is not a function of its own: it is the argument `dilation`
# of `conv2d` in `minideeplab/ops/conv.py`, one factor in `tap` (`minideeplab/ops/window.py`),
# where `effective_size` and `output_size` are your task 2.1. A layer takes it as `Conv2d(...,
# dilation=r)` (`minideeplab/nn/layers.py`); `minideeplab/models/deeplab.py` gives conv5 rate 2 and
# fc6 rate 12, and `minideeplab/visualize/plots.py` draws what you drew. How it becomes fast is
# lesson 11. The notebook `notebooks/01_holes_in_filters.ipynb` measures fields of view in a whole
# network, and `notebooks/02_features_on_a_photograph.ipynb` shows what filters answer to.
