# %% [markdown]
# # Where do pixels lie? Upsampling and its conventions
#
# *Previous:* [03 Stride 32 against 8](03_stride_32_against_8.ipynb) ·
# *Next:* [05 ASPP branches](05_aspp_branches.ipynb) ·
# *Lesson:* [5 Bilinear upsampling](../lessons/05_bilinear_upsampling/lesson.py) ·
# *Paper:* section 3.1 ·
# *Source:* [`ops/resize.py`](../minideeplab/ops/resize.py)
#
# A network of output stride 8 gives one score for 8 × 8 pixels; bilinear interpolation brings the
# scores back to full size. There are two ways to lay a coarse grid over a fine one, and mixing
# them up shifts every mask by a few pixels. The bug is common in segmentation
# code, since nothing fails.

# %%
import matplotlib.pyplot as plt
import numpy as np

import minideeplab as mdl
import minideeplab.functional as F
from minideeplab.ops.resize import linear_source
from minideeplab.visualize.plots import BLUE, ORANGE

plt.style.use("minideeplab.visualize.lecture")

# %% [markdown]
# ## Two conventions
#
# A row of $n$ scores becomes a row of $m$ pixels. Output pixel $p$ reads the input at position
#
# $$ \text{corners aligned:}\quad s(p) = p\,\frac{n-1}{m-1}, \qquad\qquad
#    \text{half-pixel:}\quad s(p) = \Bigl(p + \tfrac12\Bigr)\frac{n}{m} - \tfrac12 . $$
#
# The first takes a pixel for a *point*: the outermost points of both grids coincide. The second
# takes a pixel for a small *square*: the outer edges of both rows of squares coincide, and centres
# are half a pixel inside. What lies outside the first and last centre repeats the edge's value.

# %%
n, m = 3, 9
conventions = {"corners aligned": True, "half-pixel": False}


def positions(n, m, align_corners):
    """Where each of m output pixels reads a row of n, after clamping: (m,)."""
    low, high, fraction = linear_source(n, m, align_corners, None, np.dtype(np.float64))
    return low * (1 - fraction) + high * fraction


figure, panels = plt.subplots(2, 1, figsize=(9, 4.6))
for axes, (name, align) in zip(panels, conventions.items(), strict=True):
    if align:  # draw both grids in units of output pixels
        coarse, fine = np.linspace(0, m - 1, n), np.arange(m)
    else:
        coarse, fine = (np.arange(n) + 0.5) * m / n - 0.5, np.arange(m)
        for edge in np.linspace(-0.5, m - 0.5, n + 1):
            axes.plot([edge, edge], [0.7, 1.3], color=ORANGE, lw=1.2)
        for edge in np.arange(m + 1) - 0.5:
            axes.plot([edge, edge], [-0.3, 0.3], color=BLUE, lw=1.2)
    reads = np.interp(positions(n, m, align), np.arange(n), coarse)
    arrow = {"arrowstyle": "->", "color": "0.6"}
    for start, end in zip(fine, reads, strict=True):
        axes.annotate("", (end, 0.85), (start, 0.12), arrowprops=arrow)
    axes.plot(coarse, np.ones(n), "s", ms=15, color=ORANGE)
    axes.plot(fine, np.zeros(m), "o", ms=11, color=BLUE)
    axes.set(xlim=(-0.9, m - 0.1), ylim=(-0.5, 1.5), yticks=(0, 1), xticks=range(m), title=name)
    axes.set_yticklabels([f"{m} pixels", f"{n} scores"])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
plt.show()

for align in (True, False):
    row = np.array([2.0, 5.0, 3.0])
    ours = np.interp(positions(n, m, align), np.arange(n), row)
    result = F.interpolate(row[None, None, None], (1, m), mode="bilinear", align_corners=align)
    assert np.allclose(result[0, 0, 0], ours), "the formula is the library's"

# %% [markdown]
# ## Which convention fits a network?
#
# That depends on which pixels the network computes each score from. A layer of
# stride 2 that maps $2k+1$ pixels to $k+1$ (kernel 3, padding 1) centres its output $i$ on input
# $2i$. Three of them centre score $i$ on pixel $8i$: the first on the first pixel, the last on the
# last, if the image has $8k+1$ pixels. So corners must be aligned. We can *measure* which
# pixels a score reads: propagate its gradient back and take the centre of gravity.


# %%
def centre_of(pixels, index):
    """The mean position of the pixels that score ``index`` of a stride-8 network reads."""
    x = mdl.Tensor(np.zeros((1, 1, 1, pixels)), requires_grad=True)
    y = x
    for _ in range(3):
        weight = np.array([[[[1.0, 2.0, 1.0]]]]) / 4
        y = F.conv2d(y, weight, stride=(1, 2), padding=(0, 1))
    y[0, 0, 0, index].backward()
    seen = x.grad[0, 0, 0]
    return seen @ np.arange(pixels) / seen.sum()


pixels, scores = 81, 11
measured = np.array([centre_of(pixels, i) for i in range(1, scores - 1)])  # the inner ones
assert np.allclose(measured, 8 * np.arange(1, scores - 1))
print("inner scores are centred on pixels", measured)

figure, axes = plt.subplots(figsize=(9, 3.8))
every = np.arange(pixels)
for (name, align), colour in zip(conventions.items(), (BLUE, ORANGE), strict=True):
    error = 8 * positions(scores, pixels, align) - every  # what is shown at p belongs there
    axes.plot(every, error, color=colour, ls="-" if align else "--", label=name)
    print(f"{name}: off by up to {np.abs(error).max():.1f} pixels")
axes.set(xlabel="pixel", ylabel="shift, pixels", ylim=(-5, 5))
axes.legend(ncols=2)
assert np.allclose(8 * positions(scores, pixels, True), every)
plt.show()

# %% [markdown]
# With aligned corners each score lands on the pixel for which it was computed. With half-pixels
# the mask is right in the middle of the image and off by about three pixels near the borders. (A
# network built from kernels of 2 with stride 2 is the opposite case: its scores stand for *blocks*,
# and half-pixels fit.)
#
# On a image: a score that falls off gently across the edge of a disk. We keep that of every
# eighth pixel, as the network does, and upsample.

# %%
size = 81
y, x = np.mgrid[:size, :size]
score = np.clip(0.5 + (17 - np.hypot(y - 22, x - 22)) / 24, 0, 1)
truth, coarse = score > 0.5, score[::8, ::8]

figure, panels = plt.subplots(1, 3, figsize=(9, 3.6))
panels[0].imshow(coarse, cmap="cividis", extent=(-4, 84, 84, -4))
panels[0].set_title("11 × 11 scores")
for axes, (name, align) in zip(panels[1:], conventions.items(), strict=True):
    up = F.interpolate(coarse[None, None], (size, size), mode="bilinear", align_corners=align)
    mask = up[0, 0] > 0.5
    wrong = np.mean(mask != truth)
    assert wrong < 0.005 if align else wrong > 0.02
    centre = np.argwhere(mask).mean(axis=0)
    print(f"{name}: centre at {centre.round(1)}, truth 22, {wrong:.1%} of the pixels wrong")
    axes.imshow(up[0, 0], cmap="cividis")
    axes.contour(score, [0.5], colors="white", linewidths=2, linestyles="--")
    axes.contour(up[0, 0], [0.5], colors=ORANGE, linewidths=2)
    axes.set_title(name)
for axes in panels:
    axes.set(xlim=(-0.5, 80.5), ylim=(80.5, -0.5), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
plt.show()

# %% [markdown]
# Dashed: the true disk. Orange: where the upsampled score is one half.
#
# ## The gradient: the adjoint
#
# Upsampling is linear, $y = Ax$, with a tall matrix $A$ that holds at most two weights in a row.
# Backpropagation needs its transpose: $\partial L / \partial x = A^\top\, \partial L / \partial y$.
# Each score collects from the pixels that read it, with the weights of the reading. There is no
# need to write $A$ down, and one identity tests any implementation: for all $x$ and $y$
#
# $$ \langle A x,\; y \rangle = \langle x,\; A^\top y \rangle . $$

# %%
rng = np.random.default_rng(0)
figure, panels = plt.subplots(1, 2, figsize=(9, 3.7), sharey=True)
for axes, (name, align) in zip(panels, conventions.items(), strict=True):

    def up(row, align=align):
        return F.interpolate(row, (1, 25), mode="bilinear", align_corners=align)

    x = mdl.Tensor(rng.standard_normal((1, 1, 1, 4)), requires_grad=True)
    dy = rng.standard_normal((1, 1, 1, 25))
    y = up(x)
    y.backward(dy)
    left, right = (y.data * dy).sum(), (x.data * x.grad).sum()
    print(f"{name}: <Ax, y> = {left:.12f}, <x, A'y> = {right:.12f}")
    assert np.isclose(left, right, rtol=1e-12)

    matrix = up(np.eye(4)[:, None, None]).reshape(4, 25)  # columns of A
    assert np.allclose(matrix @ dy.ravel(), x.grad.ravel()), "the gradient is A transposed"
    for column, style in zip(matrix, ("-", "--", "-.", ":"), strict=True):
        axes.plot(column, style)
    weights = ", ".join(f"{total:.2f}" for total in matrix.sum(axis=1))
    axes.set(xlabel="pixel", title=f"{name}\nsums {weights}", ylim=(-0.05, 1.1))
    share = matrix.sum(axis=1)
    assert 0.5 < share[0] / share[1] < 0.6 if align else 0.95 < share[0] / share[1] < 1.05
panels[0].set_ylabel("weight")
plt.show()

# %% [markdown]
# Each curve is one column of $A$: how one score spreads over the pixels, and with which weights it
# collects the gradient. With aligned corners the outer scores have half a hat each and receive
# about half the gradient of the inner ones; with half-pixels every score receives nearly the same.
#
# **To remember.** Find out where your scores are centred. DeepLab: sizes $8k+1$, corners aligned.

# %% [markdown]
# - **Predict.** How large is the largest shift of half-pixels for stride 16?
# - **Try.** Set `pixels` to 80, which is not $8k+1$, and see where the last score lies.
# - **Read the source.** [`ops/resize.py`](../minideeplab/ops/resize.py).
# - **Next.** [05 ASPP branches](05_aspp_branches.ipynb).
