# %% [markdown]
# # Lesson 11 · Fast on the CPU: im2col, Winograd, Numba
#
# LargeFOV multiplies some hundred thousand million numbers for one picture. Whether that takes a
# second or an hour is not a matter of luck. You will compute how fast a product of matrices can be,
# turn a convolution into one (**im2col**) and find the way back for gradients, save more than half
# of the multiplications by evaluating polynomials (**Winograd**), and write plain loops that a
# compiler (**Numba**) turns into machine code.
#
# Five tasks, ten points. Fill in each hole, run the cell, and look at what `check` says.

# %%
import time

import matplotlib.pyplot as plt
import numpy as np
from given import winograd_matrices

from minideeplab.grading import checker

plt.style.use("minideeplab.grading.lecture")
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
check = checker("11")

# %% [markdown]
# ## How fast can it be?
#
# Two things take time: computing, and fetching what to compute with. The machine has a **peak** of
# $P$ operations a second and a **bandwidth** of $W$ bytes a second from memory. They overlap, so
# a program with $F$ operations that moves $B$ bytes needs at least $\max(F / P,\, B / W)$
# seconds, and its speed is at most
#
# $$ \frac{F}{\max(F/P,\; B/W)} = \min\Big(P,\; W\,\frac{F}{B}\Big). \tag{1} $$
#
# The quotient $F / B$ is the **intensity**. Drawn over it, (1) is a slope that ends in a flat top:
# the *roofline*. A product of $(m, k)$ with $(k, n)$ has $mnk$ multiplications and as many
# additions, and at best every number of the three matrices is moved once, at four bytes (float32).
# For square matrices the intensity is $2n^3 / (4 \cdot 3n^2) = n/6$: it *grows*. That is why one
# large product is what machines like best.
#
# ### Task 11.1 · The roofline (1 point)


# %%
def attainable(m: int, n: int, k: int, peak: float, bandwidth: float) -> float:
    """Bound (1), operations a second, of a float32 product of (m, k) with (k, n)."""
    # solution 11.1: operations over bytes moved once, below the peak
    operations = 2 * m * n * k
    moved = 4 * (m * k + k * n + m * n)
    return float(min(peak, bandwidth * operations / moved))
    # end 11.1


check("11.1", attainable)

# %% [markdown]
# Three layers of LargeFOV, written as products of $(F, 9C)$ with $(9C, PQ)$, on one core that
# computes 83 GFLOP/s (measured, one core of an AMD Zen 3) and reads 20 GB/s (assumed). The last
# point adds two vectors of a million numbers: one operation for every twelve bytes.

# %%
PEAK, BANDWIDTH = 83e9, 20e9
layers = {"conv1_1": (64, 321**2, 27), "conv3_2": (256, 81**2, 2304), "fc6": (1024, 41**2, 4608)}
figure, axes = plt.subplots(figsize=(9, 3.4))
intensity = np.geomspace(0.05, 1000, 200)
axes.plot(intensity, np.minimum(PEAK, BANDWIDTH * intensity) / 1e9, color="0.5")
for (name, (m, n, k)), colour in zip(layers.items(), (ORANGE, GREEN, BLUE), strict=True):
    x = 2 * m * n * k / (4 * (m * k + k * n + m * n))
    y = attainable(m, n, k, PEAK, BANDWIDTH) / 1e9
    axes.plot(x, y, "o", ms=9, color=colour)
    axes.annotate(name, (x, y), (0, -18), textcoords="offset points", ha="center", color=colour)
axes.plot(1 / 12, BANDWIDTH / 12e9, "s", ms=8, color="black")
axes.annotate("x + y", (1 / 12, BANDWIDTH / 12e9), (12, -4), textcoords="offset points")
axes.set(xscale="log", yscale="log", ylim=(0.7, 200))
axes.set(xlabel="operations for each byte", ylabel="GFLOP/s at most")

# %% [markdown]
# ## Convolution as one product
#
# With output $(p, q)$ of filter $f$ being
#
# $$ y[f, p, q] = \sum_{c, i, j} w[f, c, i, j]\; x[c,\; p + r i,\; q + r j], $$
#
# number the triples $(c, i, j)$ by one index, and the pairs $(p, q)$ by another. Then $w$ is a
# matrix $(F,\, C k_h k_w)$, in the very order in which it lies in memory, and what the outputs see
# is a matrix $X$ of shape $(C k_h k_w,\, PQ)$: row $(c, i, j)$ is the piece of channel $c$ that starts
# at $(ri, rj)$, read row by row. So $Y = w X$. The price is memory: $X$ holds the picture $k_h k_w$
# times.
#
# ### Task 11.2 · Columns (2 points)
#
# Build $X$, without padding. A loop over the taps suffices.


# %%
def im2col(x: np.ndarray, kernel: tuple[int, int], rate: int) -> np.ndarray:
    """Columns (C kh kw, P Q) of x (C, H, W) for a kernel (kh, kw) at a rate."""
    # solution 11.2: copy the piece under each tap, then flatten
    (channels, height, width), (kh, kw) = x.shape, kernel
    rows, columns = height - (kh - 1) * rate, width - (kw - 1) * rate
    pieces = np.empty((channels, kh, kw, rows, columns))
    for i, j in np.ndindex(kh, kw):
        pieces[:, i, j] = x[:, i * rate : i * rate + rows, j * rate : j * rate + columns]
    return pieces.reshape(channels * kh * kw, rows * columns)
    # end 11.2


check("11.2", im2col)

# %%
picture = np.arange(1.0, 21).reshape(1, 4, 5)
matrix = im2col(picture, (3, 3), 1)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), width_ratios=(5, 6))
for axes, values, title in (
    (left, picture[0], "picture (4, 5)"),
    (right, matrix, "columns (9, 6)"),
):
    shade = np.zeros(values.shape)
    if axes is left:
        shade[:3, :3] = 0.3
    else:
        shade[:, 0] = 0.3
    axes.imshow(shade, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        axes.text(j, i, f"{value:.0f}", ha="center", va="center")
    axes.set(title=title, xticks=(), yticks=())
    axes.grid(False)
right.set(xlabel="outputs (p, q)", ylabel="taps (i, j)")

# %% [markdown]
# ## The way back
#
# $Y = wX$ is a product of matrices, so $\bar w = \bar Y X^\top$ and $\bar X = w^\top \bar Y$. What is
# left is $x \mapsto X$, which only *copies* numbers. If $X_a = x_b$ for all $a$ of a set $S_b$, the
# chain rule gives
#
# $$ \bar x_b = \sum_{a \in S_b} \bar X_a : $$
#
# each pixel collects the gradients of all its copies. In the middle of a picture there are nine.
#
# ### Task 11.3 · Back to the picture (2 points)


# %%
def col2im(
    columns: np.ndarray, shape: tuple[int, int, int], kernel: tuple[int, int], rate: int
) -> np.ndarray:
    """Gradient of x, of shape (C, H, W), for that of its columns (C kh kw, P Q)."""
    # solution 11.3: add each tap's row of columns onto the piece that it was read from
    (channels, height, width), (kh, kw) = shape, kernel
    rows, across = height - (kh - 1) * rate, width - (kw - 1) * rate
    pieces = columns.reshape(channels, kh, kw, rows, across)
    dx = np.zeros((channels, height, width))
    for i, j in np.ndindex(kh, kw):
        dx[:, i * rate : i * rate + rows, j * rate : j * rate + across] += pieces[:, i, j]
    return dx
    # end 11.3


check("11.3", col2im)

# %%
figure, panels = plt.subplots(1, 3, figsize=(9, 2.6), layout="constrained")
for axes, rate in zip(panels, (1, 2, 3), strict=True):
    ones = np.ones((9, (12 - 2 * rate) * (14 - 2 * rate)))
    shown = axes.imshow(col2im(ones, (1, 12, 14), (3, 3), rate)[0], cmap="cividis", vmin=0, vmax=9)
    axes.set(title=f"rate {rate}", xticks=(), yticks=())
    axes.grid(False)
figure.colorbar(shown, ax=panels, label="copies of a pixel")

# %% [markdown]
# ## Fewer multiplications
#
# Two outputs of a 3-tap filter, $y_0 = d_0 g_0 + d_1 g_1 + d_2 g_2$ and
# $y_1 = d_1 g_0 + d_2 g_1 + d_3 g_2$, take six multiplications. Four are enough. First look at the
# *transposed* problem: the coefficients $s_0, \dots, s_3$ of the product of two polynomials,
#
# $$ s(a) = u(a)\, g(a), \qquad u(a) = u_0 + u_1 a, \quad g(a) = g_0 + g_1 a + g_2 a^2. $$
#
# $s$ has degree 3, so four values determine it, and a value costs *one* multiplication. Take
# the points $0, 1, -1$ and "infinity", that is the leading coefficient:
#
# $$ s(0) = u_0 g_0, \quad s(1) = (u_0 + u_1)(g_0 + g_1 + g_2), \quad
#    s(-1) = (u_0 - u_1)(g_0 - g_1 + g_2), \quad s(\infty) = u_1 g_2. $$
#
# From these, $s_0 = s(0)$ and $s_3 = s(\infty)$; half the sum of $s(\pm 1)$ is $s_0 + s_2$, and half
# their difference $s_1 + s_3$. With the halves moved into the filter's matrix, $s = B\,[(Gg) \odot
# (Au)]$, where $\odot$ multiplies entry by entry and
#
# $$ A = \begin{pmatrix} 1 & 0 \\ 1 & 1 \\ 1 & -1 \\ 0 & 1 \end{pmatrix}, \quad
#    G = \begin{pmatrix} 1 & 0 & 0 \\ \frac12 & \frac12 & \frac12 \\
#        \frac12 & -\frac12 & \frac12 \\ 0 & 0 & 1 \end{pmatrix}, \quad
#    B = \begin{pmatrix} 1 & 0 & 0 & 0 \\ 0 & 1 & -1 & -1 \\ -1 & 1 & 1 & 0 \\ 0 & 0 & 0 & 1
#        \end{pmatrix}. $$
#
# For a fixed $g$, $s = T u$ with the matrix $T = B\,\mathrm{diag}(Gg)\,A$, whose entries are $T_{ij} =
# g_{i-j}$. But our outputs are $y_j = \sum_i g_{i-j}\, d_i$, that is $y = T^\top d$. Transposing a
# product turns it round, and the diagonal matrix stays:
#
# $$ y = A^\top \big[(Gg) \odot (B^\top d)\big]. \tag{2} $$
#
# In two dimensions, do it along the rows and then along the columns. A tile of 4 × 4 inputs gives
# 2 × 2 outputs, and over the channels the products add up *before* the last transform:
#
# $$ M_f = \sum_c (G\, w_{fc}\, G^\top) \odot (B^\top d_c\, B), \qquad Y_f = A^\top M_f\, A. \tag{3} $$
#
# That is 16 multiplications instead of 36. The filters are transformed once, the inputs once for
# all filters; and at each of the 16 points, the sum over $c$ for all tiles and filters is again a
# product of matrices.
#
# ### Task 11.4 · One tile (3 points)
#
# Return both $M$ and $Y$ of (3). NumPy's `@` works on the last two axes and carries the others along.

# %%
BT = np.array([[1.0, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, -1, 0, 1]])
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
AT = np.array([[1.0, 1, 1, 0], [0, 1, -1, 1]])


def winograd_tile(d: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Products M (F, 4, 4) and outputs Y (F, 2, 2) of a tile d (C, 4, 4), filters w (F, C, 3, 3)."""
    # solution 11.4: transform filters and inputs, multiply, sum over channels, transform back
    u = G @ w @ G.T  # (F, C, 4, 4)
    v = BT @ d @ BT.T  # (C, 4, 4)
    m = (u * v).sum(axis=1)
    return m, AT @ m @ AT.T
    # end 11.4


check("11.4", winograd_tile)

# %% [markdown]
# ## Larger tiles, larger errors
#
# With $n = m + 2$ points, $m \times m$ outputs cost $n^2$ instead of $9 m^2$ multiplications. Why
# stop at $m = 2$? The further points are $\pm 2, \pm\frac12, \pm 3$, whose powers are large and small.
# Large numbers that cancel leave the rounding errors of large numbers. The picture measures
# them in float32, against the result in double precision.


# %%
def rounding_error(m: int, tiles: int = 300, channels: int = 64) -> float:
    """Largest error of F(m x m, 3 x 3) in float32, as a part of the largest output."""
    rng = np.random.default_rng(m)
    w = rng.standard_normal((channels, 3, 3))
    d = rng.standard_normal((tiles, channels, m + 2, m + 2))
    right = sum(
        np.einsum("c,tcpq->tpq", w[:, i, j], d[:, :, i : i + m, j : j + m])
        for i, j in np.ndindex(3, 3)
    )
    bt, g, at = (matrix.astype(np.float32) for matrix in winograd_matrices(m))
    w, d = w.astype(np.float32), d.astype(np.float32)
    products = ((g @ w @ g.T) * (bt @ d @ bt.T)).sum(axis=1)
    return float(np.abs(at @ products @ at.T - right).max() / np.abs(right).max())


sizes = np.arange(2, 9)
errors = [rounding_error(int(m)) for m in sizes]
figure, panels = plt.subplots(1, 2, figsize=(9, 3.2))
panels[0].plot(sizes, 9 * sizes**2 / (sizes + 2) ** 2, "o-", color=BLUE)
panels[0].axhline(9, color="0.6", ls="--")
panels[0].set(title="times fewer multiplications", ylim=(0, 10))
panels[1].semilogy(sizes, errors, "o-", color=ORANGE)
panels[1].axhline(2.0**-24, color="0.6", ls="--")
panels[1].text(8, 2.0**-24 * 1.2, "one rounding", ha="right", va="bottom", color="0.4")
panels[1].set(title="relative error in float32")
for axes in panels:
    axes.set(xlabel="outputs of a tile, along one side", xticks=sizes)
assert errors[0] < errors[4]

# %% [markdown]
# The gain flattens while the error grows: this library uses $m = 4$ (four times fewer) and $m = 6$
# (five times).
#
# ## Loops that are compiled
#
# Python's interpreter spends tens of nanoseconds on each operation, a hundred times what the
# machine needs. NumPy hides that behind whole arrays, but each array operation writes its result to
# memory and reads it again. **Numba** compiles a function of plain loops to machine code at its
# first call, and then a sum can stay in a register.
#
# Such a function is written in the simplest way: numbers and loops, no temporary arrays. What
# matters is the *order* of the loops: the innermost one should walk through memory in a straight
# line, or keep its sum.
#
# ### Task 11.5 · Six loops (2 points)
#
# Write the convolution with one loop for each of $f, p, q, c, i, j$.


# %%
def convolve_by_loops(x: np.ndarray, w: np.ndarray, rate: int) -> np.ndarray:
    """Convolve x (C, H, W) with w (F, C, kh, kw) at a rate, no padding: y (F, P, Q)."""
    # solution 11.5: one sum of numbers for each output
    channels, height, width = x.shape
    filters, _, kh, kw = w.shape
    y = np.empty((filters, height - (kh - 1) * rate, width - (kw - 1) * rate))
    for f in range(filters):
        for p in range(y.shape[1]):
            for q in range(y.shape[2]):
                total = 0.0
                for c in range(channels):
                    for i in range(kh):
                        for j in range(kw):
                            total += w[f, c, i, j] * x[c, p + i * rate, q + j * rate]
                y[f, p, q] = total
    return y
    # end 11.5


check("11.5", convolve_by_loops)


# %%
def compiled(function):
    """The function as machine code; imported here, since the tasks need no Numba."""
    import numba

    return numba.njit(function)


def by_columns(x: np.ndarray, w: np.ndarray, rate: int) -> np.ndarray:
    """Task 11.2 and one product of matrices."""
    size = (x.shape[1] - (w.shape[2] - 1) * rate, x.shape[2] - (w.shape[3] - 1) * rate)
    return (w.reshape(len(w), -1) @ im2col(x, w.shape[2:], rate)).reshape(len(w), *size)


def milliseconds(function, *arguments, runs: int = 5) -> float:
    """The least of several runs, since others only ever make a run slower."""
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        function(*arguments)
        seconds.append(time.perf_counter() - start)
    return 1000 * min(seconds)


rng = np.random.default_rng(0)
work = rng.standard_normal((8, 28, 36)), rng.standard_normal((12, 8, 3, 3)), 2
machine_code = compiled(convolve_by_loops)
assert np.allclose(machine_code(*work), by_columns(*work))  # the first call compiles
times = {
    "loops, Python": milliseconds(convolve_by_loops, *work, runs=1),
    "loops, Numba": milliseconds(machine_code, *work),
    "columns, one product": milliseconds(by_columns, *work),
}
figure, axes = plt.subplots(figsize=(9, 2.4))
axes.barh(list(times), list(times.values()), color=(ORANGE, BLUE, GREEN))
for row, value in enumerate(times.values()):
    axes.text(value * 1.1, row, f"{value:.3g} ms", va="center")
axes.set(xscale="log", xlabel="milliseconds on this machine", xlim=(None, 20 * max(times.values())))
axes.invert_yaxis()

# %% [markdown]
# Compiling buys some hundred times. The product of matrices is faster still, by another measure:
# whoever wrote it for NumPy kept a whole *block* of sums in registers, so that each number
# fetched is used several times. `minideeplab/backends/numba_cpu/convolution/README.md` goes on
# from here, step by step, with measurements: Winograd's form, blocks of registers, panels in
# memory.
#
# ## Check yourself
#
# 1. How much memory do the columns of conv1_2 take (64 channels of 321 × 321, 3 × 3, padding 1,
#    float32)? And the layer's input?
# 2. A layer takes 100 ms, of which products take 70. Winograd makes them four times faster, and
#    its transforms take 12 ms. What is the gain?
# 3. How does an atrous convolution of rate 2 become ordinary ones, so that Winograd applies?
# 4. Your kernel is at 40 % of the peak, at intensity 2, with $P = 83$ GFLOP/s and $W = 20$ GB/s.
#    Is it worth optimising its arithmetic?
# 5. Why does im2col need no Winograd for 1 × 1 filters?
#
# <!-- answer -->
# **Answers.** (1) $9 \cdot 64 \cdot 321^2 \cdot 4$ bytes $\approx 237$ MB against 26 MB. (2)
# $30 + 17.5 + 12 = 59.5$ ms, 1.7 times faster: what is not products stays (Amdahl's law). (3)
# Outputs at even rows and columns read only pixels at even rows and columns, and so on: it is four
# ordinary convolutions on pictures of half the size, whose results are put back. (4) No. At most
# $2 \cdot 20 = 40$ GFLOP/s are possible, and 40 % of the peak is 33: the memory is the limit, so move
# fewer bytes. (5) With one tap, every output takes one multiplication for each channel and
# filter already, and the columns are the picture itself: nothing is copied, nothing to save.
# <!-- end -->
