# %% [markdown]
# # Lesson 5 · Bilinear upsampling, align_corners, and its adjoint
#
# DeepLab's network gives one score for every 8 × 8 pixels, and every pixel wants one. The paper
# simply interpolates (figure 1). That sounds like a detail, and yet it is asked about again and
# again: there are two conventions for *where* to interpolate, which libraries tell apart by
# `align_corners`, and the wrong one moves a mask by up to three and a half pixels. You will derive
# both, interpolate images, and send gradients back through it. Going back is not downsampling: it
# is the *adjoint*, which you will get to know as a matrix, and as code without any matrix.
#
# Five tasks, ten points. Fill in each hole, run the cell, and look at what `check` says.

# %%
import matplotlib.pyplot as plt
import numpy as np

from minideeplab.grading import checker
from minideeplab.ops import resize

plt.style.use("minideeplab.visualize.lecture")
BLUE, ORANGE, GREEN, SKY, GREY = "#0072B2", "#D55E00", "#009E73", "#56B4E9", "0.6"
check = checker("05")

# %% [markdown]
# ## Two answers to "where?"
#
# We have $n$ values and want $m$. Output $p$ (from 0 to $m - 1$) will be read at some position
# $s(p)$ of the input, where position 2 is the third value and 2.5 lies half-way to the fourth. Both
# conventions take a straight line, $s(p) = \alpha p + \beta$. They differ in what a pixel is.
#
# **A pixel is a point** (`align_corners=True`). The first output lies on the first input and the
# last on the last: $s(0) = 0$ and $s(m-1) = n - 1$. Two equations for $\alpha$ and $\beta$ give
#
# $$ s(p) = p\;\frac{n-1}{m-1}. $$
#
# **A pixel is a little square** (`align_corners=False`). Pixel $p$ fills the image from $p$ to
# $p + 1$ and has its centre at $p + \frac12$. Now both images are equally *wide*: the edges 0 and
# $m$ of the output are the edges 0 and $n$ of the input. A centre at $p + \frac12$ of the one is at
# $(p + \frac12)\frac{n}{m}$ of the other, which is the centre of pixel number
#
# $$ s(p) = \left(p + \tfrac12\right)\frac{n}{m} - \tfrac12. $$
#
# Near the ends this lies outside the first and the last centre, where there is nothing to
# interpolate between. There the end value is read: $s$ is clipped to $0 \le s \le n - 1$.

# %%
figure, panels = plt.subplots(1, 2, figsize=(9, 2.5))
for axes, out, title in zip(
    panels, (9, 10), ("align_corners=True: 5 to 9", "align_corners=False: 5 to 10"), strict=True
):
    old = np.arange(5.0)
    new = np.arange(out) * 4 / (out - 1) if out == 9 else (np.arange(out) + 0.5) / 2 - 0.5
    for places, level, colour, size in ((old, 1, BLUE, 13), (new, 0, ORANGE, 9)):
        if out == 10:
            width = 1 if level else 0.5
            axes.bar(places, 0.5, width, level - 0.25, color=colour, alpha=0.25, edgecolor=colour)
        axes.plot(places, 0 * places + level, "o", ms=size, color=colour)
    axes.vlines(new, 0, 1, color=GREY, lw=0.8, zorder=0)
    axes.set(yticks=[0, 1], yticklabels=["output", "input"], xticks=range(5), xlim=(-0.7, 4.7))
    axes.set(title=title, ylim=(-0.5, 1.5), xlabel="position in the input")

# %% [markdown]
# ### Task 5.1 · Where each output reads (2 points)
#
# Return $s(0), \dots, s(m-1)$, clipped. A single output ($m = 1$) has its corners nowhere to align
# with: with `align_corners` it reads position 0.


# %%
def source_positions(size: int, out: int, align_corners: bool) -> np.ndarray:
    """Positions (out,) in an input of `size` values, floats between 0 and size - 1."""
    # solution 5.1: a straight line through the corners or through the edges, then clip
    p = np.arange(out)
    if align_corners:
        return p * (size - 1) / max(out - 1, 1)
    return np.clip((p + 0.5) * size / out - 0.5, 0, size - 1)
    # end 5.1


check("5.1", source_positions)

# %% [markdown]
# ## Which one is DeepLab's?
#
# In lesson 4 you computed where scores sit: with DeepLab's padding, score $k$ sits on pixel $8k$.
# So pixel $P$ must read the scores at $P/8$. An image of $8k + 1$ pixels has $k + 1$ scores, and
# `align_corners=True` gives $P\,\frac{(k+1) - 1}{(8k+1) - 1} = P/8$, exactly. The other convention
# reads somewhere else. The figure shows how many pixels away, for 65 scores on 513 pixels, and for
# a frequent mistake: to upsample 65 by 8 to 520, and to cut off seven pixels.

# %%
pixel = np.arange(513)
figure, axes = plt.subplots(figsize=(9, 3))
for label, colour, positions in (
    ("align_corners=True, to 513", BLUE, pixel * 64 / 512),
    ("align_corners=False, to 513", ORANGE, (pixel + 0.5) * 65 / 513 - 0.5),
    ("align_corners=False, to 520, cut", GREEN, (pixel + 0.5) / 8 - 0.5),
    ("align_corners=True, to 520, cut", GREY, pixel * 64 / 519),
):
    axes.plot(pixel, 8 * np.clip(positions, 0, 64) - pixel, color=colour, label=label)
axes.set(xlabel="pixel", ylabel="read too far right, pixels", xlim=(0, 513))
axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=11)

# %% [markdown]
# ## Between four pixels
#
# On a line, between values $x_l$ and $x_{l+1}$ and at a fraction $f$ of the way,
#
# $$ y = (1 - f)\, x_l + f\, x_{l+1}. $$
#
# In an image, do this along the columns and then along the rows. With a fraction $g$ downwards,
#
# $$ y = (1-g)\big[(1-f)\,x_{k,l} + f\,x_{k,l+1}\big]
#      + g\,\big[(1-f)\,x_{k+1,l} + f\,x_{k+1,l+1}\big]. $$
#
# Each of the four neighbours has a product of two weights, and the other order of the two steps
# gives the same. (Along a diagonal $f = g$ there is an $f^2$: bi-linear, not linear.) At the last
# row or column there is no $x_{l+1}$; it would have weight 0, but it must not be read.
#
# ### Task 5.2 · Interpolate (2 points)
#
# `rows` are positions along the height and `columns` along the width, as in task 5.1. Output
# $(p, q)$ lies at (`rows[p]`, `columns[q]`).


# %%
def upsample(x: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Read x (C, H, W) at rows (P,) times columns (Q,): y (C, P, Q)."""
    # solution 5.2: interpolate along the height, then along the width
    low = np.floor(rows).astype(int)
    high, g = np.minimum(low + 1, x.shape[1] - 1), (rows - low)[:, None]
    x = x[:, low] * (1 - g) + x[:, high] * g
    low = np.floor(columns).astype(int)
    high, f = np.minimum(low + 1, x.shape[2] - 1), columns - low
    return x[:, :, low] * (1 - f) + x[:, :, high] * f
    # end 5.2


check("5.2", upsample)

# %% [markdown]
# What is interpolated matters, too. DeepLab interpolates *scores* and picks the best class of each
# pixel afterwards. Picking first and enlarging the labels gives blocks; labels themselves must
# never be interpolated, as there is no class between "road" and "car".

# %%
coarse_y, coarse_x = np.mgrid[:9, :9] * 8.0
scores = np.stack([np.full((9, 9), 20.0), 42 - np.hypot(coarse_y - 34, coarse_x - 28),
                   30 - 0.8 * np.hypot(coarse_y - 8, coarse_x - 58)])  # fmt: skip
positions = source_positions(9, 65, True)
fine = upsample(scores, positions, positions)
nearest = np.rint(positions).astype(int)

figure, panels = plt.subplots(1, 3, figsize=(9, 3))
labels = scores.argmax(axis=0)
shown = labels[nearest][:, nearest], fine.argmax(axis=0), fine.max(axis=0)
titles = "labels, enlarged", "best of enlarged scores", "the best score"
for axes, image, title in zip(panels, shown, titles, strict=True):
    axes.imshow(image, cmap="cividis")
    axes.set_title(title)
    axes.set_axis_off()

# %% [markdown]
# ## Every linear map is a matrix
#
# Interpolation is linear in $x$: each output is a sum of inputs with weights that do not depend on
# them. So along one axis there is a matrix $A$ of shape $(m, n)$ with $y = A x$; its rows have two
# entries each, $1 - f$ and $f$. For an image, $Y = A X B^\top$ with one matrix for each axis.
#
# Whatever linear function one is handed, its matrix can be found without looking inside: $A e_j$
# picks column $j$ of $A$, so put in unit vectors. A layer with a bias is not linear but **affine**,
# $y = A x + b$, and does not map zero to zero. Images are read row by row into long columns.
#
# ### Task 5.3 · Matrix and offset of a function (1 point)
#
# Find $A$ and $b$ of an affine function that takes arrays of a given shape and returns arrays of a
# shape that you have to find out. Call it no more often than needed.


# %%
def matrix_of(affine, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """(A (M, N), b (M,)) of an affine function of arrays of a shape, N and M entries read flat."""
    # solution 5.3: the offset is what becomes of zero, a column what a unit vector adds to it
    offset = affine(np.zeros(shape)).ravel()
    units = np.eye(int(np.prod(shape)))
    columns = [affine(unit.reshape(shape)).ravel() - offset for unit in units]
    return np.stack(columns, axis=1), offset
    # end 5.3


check("5.3", matrix_of)

# %%
figure, panels = plt.subplots(1, 2, figsize=(9, 2.3))
for axes, out, align in zip(panels, (17, 20), (True, False), strict=True):
    matrix, _ = matrix_of(
        lambda x, out=out, align=align: resize.interpolate(
            x[None, None, None], (1, out), "bilinear", align, (None, None)
        )[0, 0, 0],
        (5,),
    )
    axes.imshow(matrix.T, cmap="Blues", vmin=0, vmax=1.2, aspect="auto")
    axes.set(xlabel="output", ylabel="input", yticks=range(5), xticks=range(0, out, 4))
    axes.set_title(f"align_corners={align}, 5 to {out}")
    for n, total in enumerate(matrix.sum(axis=0)):
        axes.text(out - 0.2, n, f"Σ {total:.1f}", va="center", fontsize=11)

# %% [markdown]
# (The matrices are drawn lying down.) Every output takes weights that add up to 1. What an input
# *gives* is another matter, see the sums on the right: with aligned corners, the two values at the
# ends are used less than the others.
#
# ## Going back: the adjoint
#
# Let $L$ be a number computed from $y = Ax$, with $\bar y_p = \partial L / \partial y_p$. Then
#
# $$ \bar x_n = \sum_p \bar y_p\, \frac{\partial y_p}{\partial x_n} = \sum_p \bar y_p\, A_{pn},
# \qquad\text{that is}\qquad \bar x = A^\top \bar y. $$
#
# The gradient of a linear map is its transpose, whatever $x$ is. One can say the same without
# matrices: $A^\top$ is the one map for which
#
# $$ \langle A x,\, \bar y\rangle = \langle x,\, A^\top \bar y\rangle
# \qquad\text{for all } x \text{ and } \bar y, $$
#
# the **adjoint** of $A$. That equation is the best test of a backward pass there is: two random
# vectors, two dot products, one comparison. (Lesson 8 says more.)
#
# In code, going forward output $p$ *reads* $x_l$ with weight $1-f$ and $x_{l+1}$ with weight $f$.
# Going back it *adds* $(1-f)\,\bar y_p$ to $\bar x_l$ and $f\, \bar y_p$ to $\bar x_{l+1}$. Many
# outputs add to one input. Nothing is divided: upsampling by 8 in both directions makes the
# gradient of a score a weighted sum over some 15 × 15 pixels.
#
# ### Task 5.4 · The adjoint of upsampling (3 points)
#
# Send `dy` of task 5.2's $y$ back to the shape of $x$. Beware that `a[i] += b` adds only once where
# an index occurs twice; `np.add.at` adds each time.


# %%
def upsample_backward(
    dy: np.ndarray, rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int, int]
) -> np.ndarray:
    """Gradient dx (C, H, W) = shape, of task 5.2's y for dy (C, P, Q)."""
    # solution 5.4: add along the width, then along the height, what each output has read
    channels, height, width = shape
    wide = np.zeros((width, channels, dy.shape[1]))
    low = np.floor(columns).astype(int)
    f, moved = (columns - low)[:, None, None], np.moveaxis(dy, 2, 0)  # (Q, C, P)
    np.add.at(wide, low, moved * (1 - f))
    np.add.at(wide, np.minimum(low + 1, width - 1), moved * f)
    dx = np.zeros((height, width, channels))
    low = np.floor(rows).astype(int)
    g, moved = (rows - low)[:, None, None], np.moveaxis(wide, 2, 0)  # (P, W, C)
    np.add.at(dx, low, moved * (1 - g))
    np.add.at(dx, np.minimum(low + 1, height - 1), moved * g)
    return dx.transpose(2, 0, 1)
    # end 5.4


check("5.4", upsample_backward)

# %%
random = np.random.default_rng(7)
rows, columns = source_positions(6, 41, True), source_positions(9, 65, True)
x, dy = random.standard_normal((2, 6, 9)), random.standard_normal((2, 41, 65))
dx = upsample_backward(dy, rows, columns, x.shape)
one_side, other_side = np.sum(upsample(x, rows, columns) * dy), np.sum(x * dx)
print(f"<Ax, dy> = {one_side:.12f},  <x, A'dy> = {other_side:.12f}")

figure, panels = plt.subplots(1, 3, figsize=(9, 2.6))
one = np.zeros((1, 41, 65))
one[0, 10, 29] = 1
shown = {
    "dy: a single pixel": one[0],
    "dx: its four scores": upsample_backward(one, rows, columns, (1, 6, 9))[0],
    "dx of dy = 1 everywhere": upsample_backward(np.ones_like(one), rows, columns, (1, 6, 9))[0],
}
for axes, (title, values) in zip(panels, shown.items(), strict=True):
    image = axes.imshow(values, cmap="cividis")
    axes.set_title(title, fontsize=12)
    axes.set(xticks=[], yticks=[])
    figure.colorbar(image, ax=axes, shrink=0.75)

# %% [markdown]
# The score in a corner gets less than a third of the gradient of one in the middle, as it speaks
# for less than a third as many pixels.
#
# ## Upsampling is a transposed convolution
#
# Look at the columns of the aligned matrix: with $m - 1 = z\,(n - 1)$, that is upsampling by a
# factor $z$, output $p$ lies at $p/z$, and the weight of input $n$ falls from 1 at $p = zn$ to 0 at
# the neighbours $p = z(n \pm 1)$. Every input writes the same **tent**, moved by $z$:
#
# $$ y[p] = \sum_n x[n]\; t[p - zn], \qquad t[i] = \max\left(0,\; 1 - \frac{|i|}{z}\right). $$
#
# That is a transposed convolution with stride $z$ and $2z - 1$ fixed taps. In other words: put
# $z - 1$ zeros between neighbouring inputs, and convolve with $t$. Between two inputs only their
# two tents are not zero, and $(1 - f) + f = 1$.

# %%
z, values = 8, np.array([1.0, 2.5, 0.5, 2.0, 1.5])
figure, axes = plt.subplots(figsize=(9, 2.8))
places = np.arange(4 * z + 1)
tents = [v * np.maximum(0, 1 - abs(places - z * n) / z) for n, v in enumerate(values)]
for n, tent in enumerate(tents):
    axes.fill_between(places, tent, color=SKY, alpha=0.35, label="" if n else "tent of one input")
    axes.plot(places, tent, color=SKY, lw=1)
axes.plot(places, sum(tents), "o-", ms=4, color=BLUE, label="their sum, the output")
axes.plot(np.arange(5) * z, values, "o", ms=10, color=ORANGE, label="input")
axes.set(xticks=np.arange(5) * z, xlabel="output position", ylim=(0, 3.4))
axes.legend(ncols=3, loc="upper right")

# %% [markdown]
# ### Task 5.5 · Upsample with tents (2 points)
#
# Upsample $x$ by a whole factor $z$ with aligned corners, from $N$ to $(N - 1) z + 1$ values, and
# without computing any position.


# %%
def upsample_by_tents(x: np.ndarray, z: int) -> np.ndarray:
    """Upsample x (N,) by z, corners aligned: ((N - 1) z + 1,)."""
    # solution 5.5: spread the values apart, convolve with a tent, cut off what sticks out
    spread = np.zeros((len(x) - 1) * z + 1)
    spread[::z] = x
    tent = 1 - abs(np.arange(1 - z, z)) / z
    return np.convolve(spread, tent)[z - 1 : z - 1 + len(spread)]
    # end 5.5


check("5.5", upsample_by_tents)

# %% [markdown]
# ## Check yourself
#
# 1. An image of 500 × 375 pixels gives, rounded as Caffe does it, 64 × 48 scores. To which size
#    must they be upsampled with aligned corners, so that each lies on its pixel, and what then?
# 2. With `align_corners=False`, enlarge by 2 and shrink by 2 again. Does the image come back? And
#    with `align_corners=True`, from $n$ to $2n - 1$ and back?
# 3. Somebody writes the backward pass of upsampling as a downsampling of `dy` to the smaller size.
#    Its shape is right, and the result looks like a gradient. Name a test that it fails.
# 4. Transposed convolutions with *learnt* taps often begin with the tent. How must a layer for 21
#    classes be filled so that it does not mix the classes?
# 5. DeepLab trains on labels of `label[::8, ::8]`, so no gradient passes an upsampling. What would
#    be different if it upsampled the scores and used all labels?
#
# <!-- answer -->
# **Answers.** (1) To $8 \cdot 63 + 1 = 505$ by $8 \cdot 47 + 1 = 377$; then the surplus on the
# right and at the bottom is cut off. (2) No for the first: it reads half-way between two enlarged
# pixels and so it smooths. Yes for the second: every second output lies exactly on an input.
# (3) The two dot products of the adjoint differ, for a constant `dy` by a factor of about 64 if
# images grow 8 times in both directions; and so does a numerical derivative. (4) Weight
# $(c, c')$ is the tent for $c = c'$ and zero otherwise: one tent for each class, or as many groups
# as classes. (5) Every label would count, 64 times as many, and each score would learn from all
# the pixels around it that it labels. The price is the memory for 21 maps in the size of the image.
# <!-- end -->

# %% [markdown]
# ## Now read the package
#
# `linear_source` in `minideeplab/ops/resize.py` is task 5.1: between which two values to read, and
# how far. `interpolate` and `interpolate_backward` there stand side by side, one axis at a time,
# as tasks 5.2 and 5.4. `minideeplab/models/deeplab.py` and `minideeplab/inference.py` say where
# the corners are aligned, and why. `conv_transpose2d` in `minideeplab/ops/conv.py` is task 5.5
# with weights that can be learnt. That a backward pass is an adjoint is tested as you did it, by
# `gradcheck` in `minideeplab/testing/gradients.py`. The notebook
# `notebooks/04_upsampling_conventions.ipynb` has both conventions on a photograph.
