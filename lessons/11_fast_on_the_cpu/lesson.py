# %% [markdown]
# # Lesson 11 · Fast on the CPU: im2col, Winograd, Numba
#
# The definition of a convolution is short, and slow. DeepLab
# ([arXiv 1606.00915](https://arxiv.org/abs/1606.00915)) spends nearly all of its time in it, so
# this lesson writes the same sum in three other ways: as *one matrix product* (im2col), with
# *fewer multiplications* (Winograd), and as *loops that are compiled* (Numba). At the end you
# time them on your own machine.
#
# Five tasks, ten points. Fill in each hole, run the cell, and look at what `check` says.

# %%
import time
from collections.abc import Callable

import matplotlib.pyplot as plt
import numba
import numpy as np

from minideeplab.grading import checker
from minideeplab.ops import conv

plt.style.use("minideeplab.visualize.lecture")
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
check = checker("11")

# %% [markdown]
# ## One matrix product
#
# Without margins, $C$ channels, $F$ filters of $k_h \times k_w$ taps at rate $r$:
#
# $$ y[f, p, q] = \sum_{c, i, j} w[f, c, i, j]\; x[c,\; p + r i,\; q + r j]. \tag{1} $$
#
# Write the three indices of the sum as one, $m = (c, i, j)$, and the two of the position as one,
# $n = (p, q)$. Then (1) is $y_{fn} = \sum_m w_{fm} X_{mn}$, a product of the matrices
# $(F, C k_h k_w)$ and $(C k_h k_w, H' W')$, if only we write out
# $X_{(c,i,j),(p,q)} = x[c, p + ri, q + rj]$: every row is a shifted piece of the image. That is
# **im2col**. It needs $k_h k_w$ times the image's memory, and wins all the same: the product
# of two matrices is the best tuned program on any machine, because each number that it
# fetches is used many times.
#
# ### Task 11.1 · Images to columns (2 points)


# %%
def im2col(x: np.ndarray, kernel: tuple[int, int], rate: int) -> np.ndarray:
    """Matrix (C kh kw, H' W') of x (C, H, W), with H' = H - (kh-1) rate, W' = W - (kw-1) rate."""
    # solution 11.1: one shifted piece for each channel and tap
    channels, height, width = x.shape
    kh, kw = kernel
    rows, columns = height - (kh - 1) * rate, width - (kw - 1) * rate
    matrix = np.empty((channels, kh, kw, rows, columns))
    for i, j in np.ndindex(kh, kw):
        matrix[:, i, j] = x[:, i * rate : i * rate + rows, j * rate : j * rate + columns]
    return matrix.reshape(channels * kh * kw, rows * columns)
    # end 11.1


check("11.1", im2col)

# %%
tiny = np.arange(20.0).reshape(1, 4, 5)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), width_ratios=(5, 6))
for axes, values, title in (
    (left, tiny[0], "image 4 × 5"),
    (right, im2col(tiny, (3, 3), 1), "columns: 9 taps × 6 positions"),
):
    axes.imshow(values, cmap="cividis", aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        colour = "white" if value < 10 else "black"
        axes.text(j, i, f"{value:.0f}", ha="center", va="center", color=colour)
    axes.set(title=title, xticks=[], yticks=[])
right.set(xlabel="position $(p, q)$", ylabel="tap $(i, j)$")

# %% [markdown]
# ### Task 11.2 · Back again (2 points)
#
# Going back, $\bar X = w^T \bar y$ is again one product. It remains to bring $\bar X$ to the
# image. As im2col *copies* $x[c, u, v]$ to all places with $p + ri = u$, $q + rj = v$, the
# chain rule *adds* what comes from all of them:
#
# $$ \bar x[c, u, v] = \sum_{(i, j, p, q):\; p + ri = u,\; q + rj = v} \bar X_{(c,i,j),(p,q)}. $$
#
# This is the adjoint: $\langle \bar X, \mathrm{im2col}(x) \rangle = \langle
# \mathrm{col2im}(\bar X), x \rangle$ for all $x$ and $\bar X$.


# %%
def col2im(
    matrix: np.ndarray, shape: tuple[int, int, int], kernel: tuple[int, int], rate: int
) -> np.ndarray:
    """Adjoint of task 11.1: add a matrix (C kh kw, H' W') up to an array of shape (C, H, W)."""
    # solution 11.2: what was read from a shifted piece is added to it
    channels, height, width = shape
    kh, kw = kernel
    down, across = height - (kh - 1) * rate, width - (kw - 1) * rate
    pieces = matrix.reshape(channels, kh, kw, down, across)
    dx = np.zeros(shape)
    for i, j in np.ndindex(kh, kw):
        dx[:, i * rate : i * rate + down, j * rate : j * rate + across] += pieces[:, i, j]
    return dx
    # end 11.2


check("11.2", col2im)

# %% [markdown]
# ## Fewer multiplications
#
# Two outputs of three taps need six multiplications. Winograd's way needs **four**. Take the
# samples $d_0, \dots, d_3$ and taps $g_0, g_1, g_2$:
#
# $$ y_0 = d_0 g_0 + d_1 g_1 + d_2 g_2, \qquad y_1 = d_1 g_0 + d_2 g_1 + d_3 g_2. $$
#
# Where do they come from? From a product of polynomials. Take any two numbers $h_0, h_1$, and ask
# for $h_0 y_0 + h_1 y_1$. Sorted by samples, it is
#
# $$ h_0 y_0 + h_1 y_1 = \sum_{p, i} h_p\, g_i\, d_{p+i} = \sum_{m=0}^{3} s_m d_m, \qquad
#    s_m = \sum_{p + i = m} h_p\, g_i, \tag{2} $$
#
# and the $s_m$ are the coefficients of $s(t) = h(t)\, g(t)$, with $h(t) = h_0 + h_1 t$ and
# $g(t) = g_0 + g_1 t + g_2 t^2$.
#
# A polynomial of degree 3 is known from its values at **four points**. And a value of $s$ costs one
# multiplication, $s(t_k) = h(t_k)\, g(t_k)$. Take $t = 0, 1, -1$, and for the fourth "infinity",
# the leading coefficient, $s_3 = h_1 g_2$. To evaluate is to multiply by a matrix,
#
# $$ \begin{pmatrix} g(0) \\ g(1) \\ g(-1) \\ g(\infty) \end{pmatrix} =
#    \underbrace{\begin{pmatrix} 1&0&0 \\ 1&1&1 \\ 1&-1&1 \\ 0&0&1 \end{pmatrix}}_{G} g, \qquad
#    \begin{pmatrix} h(0) \\ h(1) \\ h(-1) \\ h(\infty) \end{pmatrix} =
#    \underbrace{\begin{pmatrix} 1&0 \\ 1&1 \\ 1&-1 \\ 0&1 \end{pmatrix}}_{A} h, \qquad
#    \begin{pmatrix} s(0) \\ s(1) \\ s(-1) \\ s(\infty) \end{pmatrix} =
#    \underbrace{\begin{pmatrix} 1&0&0&0 \\ 1&1&1&1 \\ 1&-1&1&-1 \\ 0&0&0&1
#    \end{pmatrix}}_{V} s. $$
#
# Hence $s = V^{-1} [(G g) \odot (A h)]$, where $\odot$ multiplies entry by entry. Put it into (2):
#
# $$ h^T y = d^T s = d^T V^{-1} \bigl[(G g) \odot (A h)\bigr]
#    = h^T A^T \bigl[(G g) \odot (V^{-T} d)\bigr]. $$
#
# That holds for every $h$, so with $B^T = V^{-T}$ we have $y = A^T [(G g) \odot (B^T d)]$: four
# multiplications. $V^{-T}$ has halves in its rows for $1$ and $-1$. Move them into $G$, which is
# applied to the filter only once; the last row changes its sign together with $A$'s. In two
# dimensions, apply it to rows and columns: a tile $d$ of $4 \times 4$ samples and a $3 \times 3$
# filter $g$ give $2 \times 2$ outputs with 16 multiplications instead of 36,
#
# $$ Y = A^T \bigl[\,(G\, g\, G^T) \odot (B^T d\, B)\,\bigr] A. \tag{3} $$

# %%
B_T = np.array([[1.0, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
A_T = np.array([[1.0, 1, 1, 0], [0, 1, -1, -1]])


def winograd_matrices(points: list[float], outputs: int) -> tuple[np.ndarray, ...]:
    """(A^T, G, B^T) for three taps, from the points and infinity, with no factors moved."""

    def powers(count: int) -> np.ndarray:
        rows = np.array(points)[:, None] ** np.arange(count)
        return np.vstack([rows, np.arange(count) == count - 1])

    return powers(outputs).T, powers(3), np.linalg.inv(powers(outputs + 2)).T


signs = np.array([1.0, 2, 2, -1])[:, None]  # what was moved
assert np.allclose(winograd_matrices([0, 1, -1], 2)[2] * signs, B_T)

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
for axes, size, title in ((left, 4, "input: tiles of 4 × 4"), (right, 2, "output: 2 × 2 each")):
    side = 8 if axes is left else 6
    for line in range(side + 1):
        axes.plot([0, side], [line, line], color="0.85", lw=1, zorder=0)
        axes.plot([line, line], [0, side], color="0.85", lw=1, zorder=0)
    for corner, colour in (((0, 0), BLUE), ((2, 0), ORANGE), ((2, 2), GREEN)):
        axes.add_patch(plt.Rectangle(corner, size, size, color=colour, alpha=0.25))
        axes.add_patch(plt.Rectangle(corner, size, size, fill=False, ec=colour, lw=2.5))
    axes.set(aspect="equal", title=title, xlim=(-0.2, 8.2), ylim=(8.2, -0.2), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)

# %% [markdown]
# ## Larger tiles, larger errors
#
# More points make larger tiles: with six, $F(4 \times 4, 3 \times 3)$ computes 16 outputs by 36
# multiplications instead of 144, a factor of 4. With eight points it is 5.06. The price is
# accuracy. $V^{-1}$ takes differences of powers up to $2^5$, so the entries of $A$, $G$ and $B$
# grow, the products are larger than the result that their sum leaves, and so are their rounding
# errors. In two dimensions all factors are squared. The usual second pair of points is $\pm 2$;
# `minideeplab` takes $0, \pm \frac{1}{\sqrt 2}, \pm \sqrt 2$ and infinity
# (`backends/numba_cpu/convolution/transforms.py`), whose powers are nearer to 1. The figure
# measures it in `float32`, with 64 channels of random numbers. The unit is the rounding of the
# largest sum that can occur, $\varepsilon \sum |w|\, |x|$.

# %%
ROOT = 2**0.5
METHODS = {
    "F(2, 3): 0, ±1, ∞": ([0, 1, -1], 2),
    "F(4, 3): 0, ±1, ±2, ∞": ([0, 1, -1, 2, -2], 4),
    "F(4, 3): 0, ±1/√2, ±√2, ∞": ([0, 1 / ROOT, -1 / ROOT, ROOT, -ROOT], 4),
    "F(6, 3): 0, ±1, ±2, ±1/2, ∞": ([0, 1, -1, 2, -2, 0.5, -0.5], 6),
}


def rounding_errors(points: list[float], outputs: int) -> np.ndarray:
    """Errors of 60 tiles by 20 filters in float32, in units of eps times sum |w| |x|."""
    random = np.random.default_rng(outputs).standard_normal
    size = outputs + 2
    tiles = random((60, 64, size, size)).astype(np.float32)
    filters = random((20, 64, 3, 3)).astype(np.float32)
    a, g, b = (m.astype(np.float32) for m in winograd_matrices(points, outputs))
    products = np.einsum("ncij,fcij->nfij", b @ tiles @ b.T, g @ filters @ g.T)
    windows = np.lib.stride_tricks.sliding_window_view(tiles.astype(float), (3, 3), axis=(2, 3))
    exact = np.einsum("ncpqij,fcij->nfpq", windows, filters.astype(float), optimize=True)
    unit = np.einsum("ncpqij,fcij->nfpq", abs(windows), abs(filters).astype(float), optimize=True)
    return abs(a @ products @ a.T - exact) / (np.finfo(np.float32).eps * unit)


figure, axes = plt.subplots(figsize=(9, 2.6))
for row, (points, outputs) in enumerate(METHODS.values()):
    errors = rounding_errors(points, outputs)
    axes.plot([np.sqrt(np.mean(errors**2)), errors.max()], [row, row], "o-", color=BLUE)
axes.set(xscale="log", yticks=range(4), yticklabels=METHODS, ylim=(3.5, -0.5))
axes.set_xlabel("error of the output: root mean square, and largest")

# %% [markdown]
# ### Task 11.3 · The filters, once (1 point)
#
# Filters stay the same from image to image, so $G g G^T$ is computed once. Put the two axes
# of the tile first, which makes the next task a product of matrices. The matrices `B_T`, `G` and
# `A_T` above are at hand.


# %%
def transform_filters(w: np.ndarray) -> np.ndarray:
    """U (4, 4, F, C) with U[:, :, f, c] = G w[f, c] G^T, for filters w (F, C, 3, 3)."""
    # solution 11.3: one sum over both axes of the kernel
    return np.einsum("ai,fcij,bj->abfc", G, w, G)
    # end 11.3


check("11.3", transform_filters)

# %% [markdown]
# ### Task 11.4 · A convolution by tiles (3 points)
#
# The outputs are cut into tiles of $2 \times 2$, so the $4 \times 4$ tiles of samples begin at
# every *second* pixel and overlap. The sum over channels can be taken **before** the way back,
# since $A$ is linear: at each of the 16 places, $M = U V$ is a product of $(F, C)$ and ($C$,
# number of tiles). Compute (1) for $3 \times 3$ filters of rate 1 from their transforms `u`. The
# number of output rows and columns, $H - 2$ and $W - 2$, is even.


# %%
def winograd(x: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Convolve x (C, H, W), H and W even, with u (4, 4, F, C) of task 11.3: y (F, H-2, W-2)."""
    # solution 11.4: tiles at every second pixel, there, product, back, and side by side
    _, height, width = x.shape
    tiles = np.lib.stride_tricks.sliding_window_view(x, (4, 4), axis=(1, 2))[:, ::2, ::2]
    v = np.einsum("ai,cpqij,bj->abcpq", B_T, tiles, B_T, optimize=True)
    m = np.matmul(u, v.reshape(*v.shape[:3], -1)).reshape(4, 4, u.shape[2], *v.shape[3:])
    y = np.einsum("ia,abfpq,jb->fpiqj", A_T, m, A_T, optimize=True)
    return y.reshape(u.shape[2], height - 2, width - 2)
    # end 11.4


check("11.4", winograd)

# %% [markdown]
# ## Compiled loops
#
# Python runs a loop some hundred times slower than the machine could, because it looks at the
# types of all numbers in every step. **Numba** looks once and makes machine code of the function.
# So write the plainest thing: loops over numbers. Without the decorator the same text can be
# debugged.
#
# ### Task 11.5 · Loops (2 points)
#
# Equation (1) with loops and single numbers. What should the innermost loop run over? Memory is
# fetched in lines of neighbouring numbers: over $q$, where $x$ and $y$ are next to each other.


# %%
def conv_loops(x: np.ndarray, w: np.ndarray, rate: int) -> np.ndarray:
    """Equation (1) by loops: y (F, H', W') of x (C, H, W) and w (F, C, kh, kw)."""
    # solution 11.5: six loops over single numbers, positions of a row innermost
    filters, channels, kh, kw = w.shape
    rows, columns = x.shape[1] - (kh - 1) * rate, x.shape[2] - (kw - 1) * rate
    y = np.zeros((filters, rows, columns))
    for f in range(filters):
        for p in range(rows):
            for c in range(channels):
                for i in range(kh):
                    for j in range(kw):
                        tap = w[f, c, i, j]
                        for q in range(columns):
                            y[f, p, q] += tap * x[c, p + i * rate, q + j * rate]
    return y
    # end 11.5


check("11.5", conv_loops)

# %% [markdown]
# ## Time them
#
# All of them on one layer, 16 channels and 24 filters on 50 × 66 pixels, the best of five runs. The
# plain loops are timed on a small part and scaled up. Bars are on a logarithmic scale. What comes
# out depends on the machine: the product of matrices uses all cores and the widest instructions,
# the compiled loops one core. Do not be surprised if Winograd's way is *slower* here: NumPy
# makes an array of every intermediate result, and moving them costs more than the multiplications
# that were saved. It pays once the transforms of a tile stay in the processor's cache, as in the
# compiled, blocked version that `minideeplab` has.

# %%
rng = np.random.default_rng(11)
x = rng.standard_normal((16, 50, 66))
w = rng.standard_normal((24, 16, 3, 3))
u = transform_filters(w)
compiled = numba.njit(fastmath=True)(conv_loops)


def by_columns(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Convolve by one product of matrices."""
    y = w.reshape(len(w), -1) @ im2col(x, (3, 3), 1)
    return y.reshape(len(w), x.shape[1] - 2, x.shape[2] - 2)


def best_of_five(function: Callable, *arguments: object) -> float:
    """The shortest of five times, in milliseconds."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        function(*arguments)
        times.append(1000 * (time.perf_counter() - start))
    return min(times)


expected = conv.conv2d(x[None], w, None, (1, 1), ((0, 0), (0, 0)), (1, 1), 1)[0]
for result in (by_columns(x, w), winograd(x, u), compiled(x, w, 1)):
    assert np.allclose(result, expected)

start = time.perf_counter()
conv_loops(x[:2, :10, :18], w[:2, :2], 1)
part = (2 * 2 * 8 * 16) / (24 * 16 * 48 * 64)
results = {
    "plain loops": 1000 * (time.perf_counter() - start) / part,
    "loops, Numba": best_of_five(compiled, x, w, 1),
    "im2col": best_of_five(by_columns, x, w),
    "Winograd, NumPy": best_of_five(winograd, x, u),
}

figure, axes = plt.subplots(figsize=(9, 3.2))
axes.barh(list(results), list(results.values()), color=(ORANGE, GREEN, BLUE, BLUE))
for place, value in enumerate(results.values()):
    axes.text(1.1 * value, place, f"{value:,.0f} ms", va="center")
axes.set(xscale="log", xlabel="time, milliseconds", xlim=(0.1, 6 * max(results.values())))
axes.invert_yaxis()

# %% [markdown]
# ## Check yourself
#
# 1. How much memory does im2col need for `conv4_2` of VGG-16 (512 channels, 3 × 3 taps, 65 × 65
#    outputs), in `float32`?
# 2. Winograd's $F(2 \times 2, 3 \times 3)$ saves a factor 2.25 in multiplications. Why is it not
#    2.25 times faster?
# 3. How could Winograd's method serve an atrous convolution of rate 2?
# 4. Why is col2im not the inverse of im2col?
#
# <!-- answer -->
# **Answers.** (1) $512 \cdot 9 \cdot 65^2 \cdot 4$ bytes = 78 MB, nine times the input's 8.7 MB;
# fast programs therefore make the columns block by block. (2) The transforms there and back cost
# additions and, worse, memory traffic: each sample is in up to four tiles. They pay when there
# are many channels and filters to share them. (3) Sort the pixels by the parity of row and column
# into four images; on each of them the convolution has rate 1. (4) It adds up all copies:
# col2im(im2col(x)) is x times the number of windows that see each pixel.
# <!-- end -->

# %% [markdown]
# ## Now read the package
#
# `minideeplab/ops/im2col.py` is tasks 11.1 and 11.2 under the names `unfold` and `fold`. The
# folder `minideeplab/backends/numba_cpu/convolution` is the rest of this lesson, and its README
# tells which method runs when: `shifted_gemm.py` needs no columns at all, `direct.py` is task 11.5
# in blocks of registers, `transforms.py` and `winograd.py` are tasks 11.3 and 11.4 for larger
# tiles. `minideeplab/backends/registry.py` chooses the backend; the layers of `minideeplab/nn` and
# the tape know nothing of it. `minideeplab bench --help` measures. The notebook
# `notebooks/12_gpu_tour.ipynb` goes on where the processor ends.
