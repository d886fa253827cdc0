# %% [markdown]
# # Lesson 10 · The permutohedral lattice
#
# Lesson 9 ended with a sum over all pairs of pixels, $\sum_j k_{ij} v_j$ with a Gaussian kernel
# in a space of five dimensions. A photograph has 35 billion pairs. Here is the idea that
# makes the dense CRF of DeepLab ([arXiv 1606.00915](https://arxiv.org/abs/1606.00915), section
# 3.3) practical, by Adams, Baek and Davis (2010): lay a coarse lattice into the space of
# features, let every pixel **splat** its value onto the lattice points around it, **blur** on the
# lattice, and **slice**, that is read the result where the pixels are. Each of the three costs
# time proportional to $N$.
#
# You will derive the lattice, find out why its cells are the right ones for many dimensions,
# write all of its steps, and compare with the exact sum.
#
# Five tasks, ten points. Fill in each hole, run the cell, and look at what `check` says.

# %%
import matplotlib.pyplot as plt
import numpy as np
from given import connect

import minideeplab as mdl
from minideeplab.grading import checker
from minideeplab.ops.crf.exact import ExactKernel

plt.style.use("minideeplab.visualize.lecture")
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
check = checker("10")

# %% [markdown]
# ## Which lattice?
#
# The obvious lattice is a grid of cubes. But a point in a cube of $d$ dimensions has $2^d$
# corners to write to, 32 for $d = 5$. A simplex (triangle, tetrahedron, ...) has $d+1$: six.
# Simplices that are all alike and fill the space come from the following lattice, which lives in
# one dimension more.
#
# Take vectors of $d+1$ whole numbers whose sum is 0. They lie in a plane $\mathcal{H}$ of $d$
# dimensions. Keep those whose coordinates all leave the **same remainder** on division by $d+1$.
# That is a lattice: sums and differences stay in it. The step along **axis** $j$,
#
# $$ s_j = (d+1)\,e_j - (1, 1, \dots, 1) = (-1, \dots, -1, \underbrace{d}_{j}, -1, \dots, -1), $$
#
# leads to a neighbour, and lowers the remainder by 1. The figure shows $d = 2$ in its plane.
# Every triangle has one vertex of each remainder, and that is so in all dimensions.


# %%
def plane(e: np.ndarray) -> np.ndarray:
    """Coordinates (2, ...) of vectors (3, ...) with sum 0 in their own plane, for drawing."""
    return np.stack([(e[0] - e[1]) / np.sqrt(2), (e[0] + e[1] - 2 * e[2]) / np.sqrt(6)])


def lattice_vertices(reach: int) -> np.ndarray:
    """All vertices (3, M) of the lattice for d = 2 with coordinates up to reach."""
    a, b = np.meshgrid(*[np.arange(-reach, reach + 1)] * 2)
    all_three = np.stack([a.ravel(), b.ravel(), -(a + b).ravel()])
    same = (all_three % 3 == all_three[0] % 3).all(axis=0)
    return all_three[:, same & (abs(all_three[2]) <= reach)]


def draw_lattice(axes: plt.Axes, reach: int) -> None:
    """Draw the lattice for d = 2: edges, and vertices in the colour of their remainder."""
    vertices = lattice_vertices(reach)
    for j in range(3):
        ends = np.stack([vertices, vertices + (3 * np.eye(3, dtype=int)[j] - 1)[:, None]])
        axes.plot(*plane(ends.transpose(1, 0, 2)), color="0.8", lw=1, zorder=0)
    for r, (colour, marker) in enumerate(zip((BLUE, ORANGE, GREEN), "os^", strict=True)):
        chosen = vertices[:, vertices[0] % 3 == r]
        axes.plot(*plane(chosen), marker, ms=7, color=colour, ls="", label=f"remainder {r}")
    axes.set(aspect="equal", xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


figure, axes = plt.subplots(figsize=(8, 4.6))
draw_lattice(axes, 6)
for j in range(3):
    end = plane(3 * np.eye(3)[j] - 1)
    axes.annotate("", end, (0, 0), arrowprops={"arrowstyle": "->", "lw": 2.2})
    axes.text(*(1.28 * end), f"$s_{j}$", ha="center", va="center", fontsize=15)
axes.set(xlim=(-8.5, 8.5), ylim=(-4.8, 4.8))
axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))

# %% [markdown]
# ## Into the plane
#
# Features have $d$ coordinates, $\mathcal{H}$ sits in $d+1$ dimensions. An orthonormal basis of
# it is
#
# $$ u_i = \frac{(\overbrace{1, \dots, 1}^{i},\; -i,\; 0, \dots, 0)}{\sqrt{i (i+1)}},
#    \qquad i = 1, \dots, d : $$
#
# each has sum 0 and length 1, and $u_i \cdot u_k = 0$ since $u_i$ is constant where the earlier
# ones are not zero. So $f \mapsto \sum_i f_i u_i$ keeps all distances. What about the *scale*?
# The chain splat-blur-slice should end up as a Gaussian of standard deviation 1 in $f$. Its
# variance is the sum of three.
#
# - **Blur** runs over all axes $j$ with taps $\frac14, \frac12, \frac14$ at $-s_j, 0, s_j$. The
#   covariance of one pass is $\frac14 s_j s_j^T + \frac14 s_j s_j^T = \frac12 s_j s_j^T$.
# - **Splat** and **slice** interpolate linearly within a simplex. In one dimension the hat
#   function of linear interpolation is a box convolved with a box, and $d = 1$ has two axes. It
#   is so in general: the hat of this lattice is the convolution of $d+1$ boxes, from
#   $-\frac12 s_j$ to $\frac12 s_j$ for each $j$. (The first $d$ boxes give a function that is
#   constant on a parallelepiped. One more makes it linear between planes that are spanned by $d-1$
#   of the axes, and these are the sides of the simplices. It is zero at all vertices but one: a
#   hat.) A box of length 1 has variance $\frac{1}{12}$, which makes $\frac{1}{12} s_j s_j^T$ for
#   every axis.
#
# With $\mathbf{1} = (1, \dots, 1)^T$, the sum over the axes is
#
# $$ \sum_j s_j s_j^T = \sum_j \bigl((d+1) e_j - \mathbf 1\bigr)\bigl((d+1) e_j - \mathbf 1\bigr)^T
#    = (d+1)^2 I - (d+1)\,\mathbf 1 \mathbf 1^T = (d+1)^2 \Bigl(I - \tfrac{1}{d+1} \mathbf 1 \mathbf
#    1^T\Bigr). $$
#
# The bracket is the projection onto $\mathcal H$, the identity for vectors in it: the filter is
# the same in all directions, and its variance is
# $\left(\frac12 + \frac1{12} + \frac1{12}\right) (d+1)^2 = \frac23 (d+1)^2$. For a Gaussian of
# deviation 1, features must be stretched by $\sqrt{2/3}\,(d+1)$.
#
# ### Task 10.1 · Elevate (2 points)
#
# Map features into the plane: $e = \sqrt{2/3}\,(d+1) \sum_i f_i\, u_i$.


# %%
def elevate(features: np.ndarray) -> np.ndarray:
    """Features (D, N) in the lattice's plane: (D+1, N), columns of sum 0."""
    # solution 10.1: add each feature, scaled, along its vector of the orthonormal basis
    d, n = features.shape
    elevated = np.zeros((d + 1, n))
    for i in range(1, d + 1):
        length = np.sqrt(2 / 3) * (d + 1) / np.sqrt(i * (i + 1))
        elevated[:i] += length * features[i - 1]
        elevated[i] -= i * length * features[i - 1]
    return elevated
    # end 10.1


check("10.1", elevate)

# %% [markdown]
# ## Which simplex?
#
# This is the clever part. No search is needed, only rounding and sorting.
#
# **1. The nearest vertex of remainder 0.** These are the vectors $(d+1) z$ with whole $z$ and
# $\sum z = 0$. Round every coordinate of $e$ to its nearest multiple of $d+1$. If the multiples'
# factors have sum 0, that is it. If their sum is $S > 0$, too many were rounded up: lower the
# $S$ of them by one multiple for which this costs least, those with the *smallest* offset
# $e - (d+1) z$. If $S < 0$, raise the $|S|$ ones with the *largest* offset.
#
# Why the smallest? To lower $z_i$ by one turns its offset $\delta_i$ into $\delta_i + (d+1)$, and
# the squared distance grows by $(\delta_i + d + 1)^2 - \delta_i^2 = (d+1)(2 \delta_i + d + 1)$,
# which is smallest where $\delta_i$ is. After rounding, $|\delta_i| \le \frac{d+1}{2}$, so one step
# costs at most $2 (d+1)^2$. A second step at the same coordinate costs
# $(d+1)(2 \delta_i + 3(d+1))$, at least as much: no coordinate needs two.
#
# **2. The order of the offsets.** Let $\delta = e - (d+1) z$ be the offset from that vertex. The
# simplex around $e$ is told by the order of its coordinates alone: give **rank** 0 to the
# largest, ..., rank $d$ to the smallest. The vertex of remainder $k$ is reached by adding $k$ to
# the coordinates of ranks $0, \dots, d-k$, and $k - (d+1)$ to the other $k$ ones. (The sum is
# $k(d+1-k) + (k-d-1)k = 0$, as it must be.) All orders occur, $(d+1)!$ simplices around each such
# vertex: hence *permuto*hedral.
#
# ### Task 10.2 · Find the simplex (3 points)
#
# Return both as whole numbers: the vertex $(d+1) z$, and the rank of each coordinate. Work on all
# points at once, or loop over them. A hint on ranks: `np.argsort` says *who* comes first, second,
# third. What is asked for is the inverse, *which place* each one has.


# %%
def find_simplex(elevated: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nearest remainder-0 vertex and ranks, both (D+1, N) int64, of points (D+1, N) of sum 0."""
    # solution 10.2: round, repair the sum at the cheapest coordinates, rank what is left
    size = len(elevated)
    factor = np.rint(elevated / size).astype(np.int64)
    for point, excess in enumerate(factor.sum(axis=0)):
        cheapest = np.argsort(elevated[:, point] - size * factor[:, point])
        if excess > 0:
            factor[cheapest[:excess], point] -= 1
        elif excess < 0:
            factor[cheapest[excess:], point] += 1
    offset = elevated - size * factor
    rank = (offset[:, None] < offset[None, :]).sum(axis=1)  # how many are larger
    return size * factor, rank
    # end 10.2


check("10.2", find_simplex)

# %% [markdown]
# One point for $d = 2$. **Left**: the points whose nearest vertex of remainder 0 is the middle one
# fill a hexagon. The ranks of their offset's coordinates cut it into six triangles, one for each
# order. The arrow is the offset of the marked point. **Right**: the three coordinates of that
# offset. The largest has rank 0.

# %%
TO_SPACE = plane(np.eye(3)).T  # (3, 2): from the plane to three coordinates
POINT = TO_SPACE @ [[0.5], [-0.65]]
across, up = np.meshgrid(np.linspace(-3, 3, 180), np.linspace(-3, 3, 180))
everywhere = TO_SPACE @ np.stack([across.ravel(), up.ravel()])
near, orders = find_simplex(everywhere)
inside = (near == 0).all(axis=0)
number = orders[0] * 2 + (orders[1] > orders[2])

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), width_ratios=(5, 4))
draw_lattice(left, 4)
left.scatter(*plane(everywhere[:, inside]), s=3, c=number[inside], cmap="Set2", zorder=-1)
for value in range(6):
    chosen = inside & (number == value)
    ranks = orders[:, chosen][:, 0]
    middle = 1.1 * plane(everywhere[:, chosen]).mean(axis=1)
    left.text(*middle, f"{ranks[0]}, {ranks[1]}, {ranks[2]}", ha="center", va="center", fontsize=12)
left.annotate("", plane(POINT)[:, 0], (0, 0), arrowprops={"arrowstyle": "->", "lw": 2})
left.plot(*plane(POINT), "D", ms=7, color=PURPLE)
left.set(xlim=(-3.2, 3.2), ylim=(-3.2, 3.2), title="ranks of the three coordinates")
nearest, its_rank = find_simplex(POINT)
right.barh(range(3), (POINT - nearest)[:, 0], color=PURPLE)
right.axvline(0, color="0.4", lw=1)
right.set(yticks=range(3), xlabel="offset from the vertex", ylim=(2.6, -0.6))
right.set_yticklabels([f"coordinate {i}, rank {r}" for i, r in enumerate(its_rank[:, 0])])

# %% [markdown]
# ## How much for each corner?
#
# Let $c_k$ be the corner of remainder $k$ seen from the remainder-0 vertex. We look for weights
# $b_k$ of sum 1 with $\delta = \sum_k b_k c_k$. Sort the coordinates of $\delta$ from large to
# small, $\delta_{(0)} \ge \dots \ge \delta_{(d)}$, and look at two that follow each other. By the
# rule above, corner $k$ has the same entry at ranks $j$ and $j+1$ unless $j = d - k$: there it
# falls from $k$ to $k - (d+1)$, a step of $d+1$. So only one corner takes part in each
# difference:
#
# $$ \delta_{(j)} - \delta_{(j+1)} = (d+1)\, b_{d-j}
#    \quad\Longrightarrow\quad
#    b_k = \frac{\delta_{(d-k)} - \delta_{(d-k+1)}}{d+1}\;\; (k = 1, \dots, d), \qquad
#    b_0 = 1 - \sum_{k \ge 1} b_k . $$
#
# Because of the sorting none of $b_1, \dots, b_d$ is negative. And by their sum
# $b_0 = 1 - \frac{\delta_{(0)} - \delta_{(d)}}{d+1}$, and it is not negative either, because the
# vertex is the nearest: take the vertex of remainder 0 one multiple further along the largest
# coordinate and one back along the smallest. Its squared distance is larger by
# $2(d+1)\bigl(d + 1 - (\delta_{(0)} - \delta_{(d)})\bigr)$, so this bracket is at least zero.
#
# ### Task 10.3 · Barycentric weights (2 points)


# %%
def barycentric(offset: np.ndarray) -> np.ndarray:
    """Weights (D+1, N) of the corners of remainder 0 to D for offsets (D+1, N) from the vertex."""
    # solution 10.3: differences of the sorted offsets, and what is left for remainder 0
    ordered = np.sort(offset, axis=0)  # from small to large
    weights = np.zeros(offset.shape)
    weights[1:] = np.diff(ordered, axis=0) / len(offset)
    weights[0] = 1 - weights.sum(axis=0)
    return weights
    # end 10.3


check("10.3", barycentric)

# %% [markdown]
# The same point. **Left**: its offsets, sorted. The gap between two of them is $d + 1$ times the
# weight of one corner. What is left of $d + 1$ belongs to the vertex of remainder 0. **Right**: the
# three corners; the area of a disc is the weight.

# %%
shares = barycentric(POINT - nearest)[:, 0]
ordered = np.sort((POINT - nearest)[:, 0])
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), width_ratios=(5, 4))
for k, colour in ((1, ORANGE), (2, GREEN)):
    left.plot(ordered[k - 1 : k + 1], [0, 0], lw=9, color=colour, solid_capstyle="butt", zorder=0)
    left.text(ordered[k - 1 : k + 1].mean(), 0.25, f"$3\\,b_{k} = {3 * shares[k]:.2f}$",
              ha="center", color=colour, fontsize=14)  # fmt: skip
left.plot(ordered, np.zeros(3), "|", ms=30, mew=2, color="black")
for place, value in enumerate(ordered[::-1]):
    left.text(value, -0.45, f"$\\delta_{{({place})}}$", ha="center", fontsize=15)
left.set(ylim=(-1, 1), yticks=[], xlabel=f"offset;  $3\\,b_0 = {3 * shares[0]:.2f}$ is left")
left.spines["left"].set_visible(False)
draw_lattice(right, 4)
for k, colour in enumerate((BLUE, ORANGE, GREEN)):
    corner = nearest + np.where(its_rank <= 2 - k, k, k - 3)
    right.scatter(*plane(corner), s=2500 * shares[k], color=colour, alpha=0.5, zorder=3)
right.plot(*plane(POINT), "D", ms=7, color=PURPLE, zorder=4)
right.set(xlim=(-3.2, 3.2), ylim=(-3.2, 2.2))

# %% [markdown]
# ### Task 10.4 · Splat (1 point)
#
# Every point adds its value, times the weight, to each of its corners. The corners are given by
# their numbers. Beware: many points share a vertex, and `sums[corners] += ...` in NumPy adds
# *once* for a number that occurs several times.


# %%
def splat(
    values: np.ndarray, corners: np.ndarray, weights: np.ndarray, n_vertices: int
) -> np.ndarray:
    """Sums (C, M) on M vertices of values (C, N), with corners and weights (D+1, N)."""
    # solution 10.4: one weighted histogram of the corners for each channel
    shares = weights * values[:, None]  # (C, D+1, N)
    numbers = corners.ravel()
    return np.stack([np.bincount(numbers, s.ravel(), minlength=n_vertices) for s in shares])
    # end 10.4


check("10.4", splat)

# %% [markdown]
# ### Task 10.5 · Blur (2 points)
#
# One pass along each axis, with taps $\frac14, \frac12, \frac14$: before, here, behind. Each pass
# works on the result of the pass before. Where no point has touched a vertex, it is not there (a
# lattice in five dimensions is nearly empty): its number is $M$, and it counts as zero.


# %%
def blur(vertices: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """Blurred values (C, M) of vertices (C, M); neighbours (D+1, 2, M), numbers M are missing."""
    # solution 10.5: append a column of zeros for the missing, and pass along one axis after another
    for before, behind in neighbours:
        padded = np.pad(vertices, ((0, 0), (0, 1)))
        vertices = vertices / 2 + (padded[:, before] + padded[:, behind]) / 4
    return vertices
    # end 10.5


check("10.5", blur)

# %% [markdown]
# A single vertex has the value 1. Each pass spreads what is there along one axis.

# %%
corners, neighbours = connect(*find_simplex(everywhere))
places = np.zeros((3, neighbours.shape[2]))
for k in range(3):
    places[:, corners[k]] = near + np.where(orders <= 2 - k, k, k - 3)
single = (places == 0).all(axis=0).astype(float)[None]
figure, panels = plt.subplots(1, 4, figsize=(12, 3.1))
for passes, axes in enumerate(panels):
    draw_lattice(axes, 5)
    for line in axes.lines[-3:]:
        line.set(markersize=2, color="0.6")
    spread = blur(single, neighbours[:passes]) if passes else single
    axes.scatter(*plane(places), s=500 * spread[0], color=BLUE, zorder=2)
    title = f"{passes} passes" if passes > 1 else ("at first", "1 pass")[passes]
    axes.set(xlim=(-5.2, 5.2), ylim=(-5.2, 5.2), title=title)

# %% [markdown]
# ## One point's journey
#
# Slicing is the splat read backwards: a point collects from its corners, with the same weights.
# That is the whole filter. `connect`, from `given.py`, numbers the vertices by a dictionary of
# their coordinates; read it, it is short. In the figure, one point of a cloud has the value 1
# and all others 0. The dashed circle has radius 1 in the features.


# %%
def lattice_filter(values: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Filter values (C, N) with a Gaussian of deviation 1 in features (D, N), up to a factor."""
    elevated = elevate(features)
    vertex, rank = find_simplex(elevated)
    weights = barycentric(elevated - vertex)
    corners, neighbours = connect(vertex, rank)
    on_lattice = blur(splat(values, corners, weights, neighbours.shape[2]), neighbours)
    return np.einsum("kn,ckn->cn", weights, on_lattice[:, corners])  # slice


rng = np.random.default_rng(10)
cloud = rng.uniform(-2.6, 2.6, (2, 3000))
cloud[:, 0] = 0.30, 0.12
one = (np.arange(3000) == 0).astype(float)[None]

elevated = elevate(cloud)
vertex, rank = find_simplex(elevated)
weights = barycentric(elevated - vertex)
corners, neighbours = connect(vertex, rank)
places = np.zeros((3, neighbours.shape[2]))
for k in range(3):
    places[:, corners[k]] = vertex + np.where(rank <= 2 - k, k, k - 3)
after_splat = splat(one, corners, weights, places.shape[1])
after_blur = blur(after_splat, neighbours)
after_slice = np.einsum("kn,ckn->cn", weights, after_blur[:, corners])

stretch = np.sqrt(2 / 3) * 3
figure, panels = plt.subplots(1, 3, figsize=(12, 4.1))
for axes, title in zip(panels, ("splat", "blur", "slice"), strict=True):
    draw_lattice(axes, 7)
    for line in axes.lines[-3:]:
        line.set(markersize=2, color="0.6")
    axes.add_patch(
        plt.Circle(plane(elevated[:, 0]), stretch, fill=False, ls="--", lw=1.5, color=ORANGE)
    )
    axes.set(title=title, xlim=(-6, 6), ylim=(-6, 6))
for axes, sums in zip(panels, (after_splat, after_blur), strict=False):
    axes.scatter(*plane(places), s=900 * sums[0], color=BLUE, zorder=2)
panels[2].scatter(*plane(elevated), s=9, c=after_slice[0], cmap="Blues", vmin=-0.03, zorder=2)
for axes in panels:
    axes.plot(*plane(elevated[:, 0]), "+", ms=13, mew=2.5, color=ORANGE, zorder=3)

# %% [markdown]
# ## Is it a Gaussian?
#
# Nearly. **Left**: what the points of the cloud receive, against their distance, and the bell
# curve they should lie on (of the same sum). They scatter, because the result depends a little on
# where in its triangle a point lies. **Right**: the derivation checked by numbers. For a single
# point anywhere, the variance of its response in each direction, averaged over many places, is 1
# in one to five dimensions.

# %%
distance = np.sqrt(((cloud - cloud[:, :1]) ** 2).sum(axis=0))
bell = np.exp(-(distance**2) / 2)


def response_variance(d: int, trials: int) -> float:
    """Mean variance per direction of splat and blur for single points, and slice's share."""
    points = rng.uniform(-3, 3, (d, trials))
    lifted = elevate(points)
    nearest, order = find_simplex(lifted)
    share = barycentric(lifted - nearest)
    total = 0.0
    for k in range(d + 1):
        corner = nearest + np.where(order <= d - k, k, k - (d + 1))
        total += (share[k] * ((corner - lifted) ** 2).sum(axis=0)).mean()
    steps = (d + 1) * np.eye(d + 1) - 1
    blurred = (steps**2).sum() / 2  # each axis adds half its length squared
    return (2 * total + blurred) / (2 / 3 * (d + 1) ** 2) / d


variances = [response_variance(d, 4000) for d in range(1, 6)]

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.8))
left.plot(distance, after_slice[0] * bell.sum() / after_slice[0].sum(), ".", ms=3, color=BLUE,
          label="lattice")  # fmt: skip
order = np.argsort(distance)
left.plot(distance[order], bell[order], color=ORANGE, label=r"$\exp(-r^2/2)$")
left.set(xlabel="distance $r$", ylabel="response", xlim=(0, 3.4))
left.legend(markerscale=4)
right.axhline(1, color=ORANGE, ls="--", lw=1.5)
right.plot(range(1, 6), variances, "o", ms=9, color=BLUE)
right.set(xlabel="dimensions $d$", ylabel="variance", ylim=(0.9, 1.1), xticks=range(1, 6))
assert np.allclose(variances, 1, atol=0.02)

# %% [markdown]
# ## On an image, in five dimensions
#
# Position and colour together, as the dense CRF does it. The scale of the raw filter is not to be
# trusted: neighbours that are missing swallow what should pass through them. Dividing by the
# filter of ones repairs most of it. The exact sum of lesson 9 is the judge. Here the values are
# noisy colours, and the features those of the clean image, which says who belongs together.

# %%
image, _ = mdl.data.SyntheticScenes(4, (48, 64), seed=7, border=0)[1]
height, width, _ = image.shape
y, x = np.indices((height, width))
colours = image.reshape(-1, 3).T.astype(float)


def scene_features(sxy: float, srgb: float) -> np.ndarray:
    """Features (5, N) of the scene."""
    return np.concatenate([np.stack([x.ravel(), y.ravel()]) / sxy, colours / srgb])


noisy = colours + 25 * rng.standard_normal(colours.shape)
inputs = np.concatenate([noisy, np.ones((1, noisy.shape[1]))])
features = scene_features(8.0, 25.0)
fast = lattice_filter(inputs, features)
slow = ExactKernel(features).filter(inputs)
smoothed = [result[:3] / result[3] for result in (fast, slow)]
error = np.linalg.norm(smoothed[0] - smoothed[1]) / np.linalg.norm(smoothed[1])

figure, panels = plt.subplots(1, 3, figsize=(12, 3.4))
for axes, image, title in zip(
    panels, (noisy, *smoothed), ("noisy", "lattice", "all pairs"), strict=True
):
    axes.imshow(np.clip(image, 0, 255).T.reshape(height, width, 3).astype(np.uint8))
    axes.set(title=title, xticks=[], yticks=[])
panels[1].set_title(f"lattice, {100 * error:.1f} % off")
assert error < 0.1

# %% [markdown]
# ## What it costs
#
# A pixel writes to $d+1$ vertices and reads from them, and each of the $M$ vertices is touched
# once for each axis: $O(d N + d M)$ for one channel. **Left**: why cubes would not do. **Right**:
# $M$ shrinks quickly with the widths, since a wide kernel is a coarse lattice. With narrow ones
# the lattice falls apart into separate simplices, and the blur finds no neighbours.

# %%
dimensions = np.arange(1, 8)
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.8))
left.semilogy(dimensions, 2.0**dimensions, "s--", ms=7, color=ORANGE, label="cube: $2^d$")
left.semilogy(dimensions, dimensions + 1, "o-", ms=7, color=BLUE, label="simplex: $d + 1$")
left.set(xlabel="dimensions $d$", ylabel="corners of a cell", ylim=(1, 200))
left.legend()
widths = np.array([4.0, 8.0, 16.0, 32.0, 64.0])
for sxy, colour, marker in ((4.0, GREEN, "^"), (8.0, BLUE, "o"), (32.0, ORANGE, "s")):
    counts = []
    for srgb in widths:
        lifted = elevate(scene_features(sxy, srgb))
        counts.append(connect(*find_simplex(lifted))[1].shape[2])
    right.loglog(widths, np.array(counts) / (height * width), marker + "-", ms=7, color=colour,
                 label=f"$\\sigma_{{xy}} = {sxy:.0f}$")  # fmt: skip
right.axhline(6, color="0.5", ls=":", lw=1.5)
right.text(4, 6.3, "all six corners its own", va="bottom", color="0.35")
right.set(xlabel=r"$\sigma_{rgb}$", ylabel="vertices for each pixel", ylim=(0.01, 12),
          xticks=widths, xticklabels=[f"{w:.0f}" for w in widths])  # fmt: skip
right.minorticks_off()
right.legend(loc="lower left")

# %% [markdown]
# ## Check yourself
#
# 1. Write down all vertices of the lattice for $d = 1$, and the weights of a point between two of
#    them. Which well-known interpolation is this?
# 2. The filter is $K = S^T B S$: splat, blur, slice. What is its transpose, and why is it not $K$
#    itself if vertices are missing?
# 3. Well-known programs use taps $\frac12, 1, \frac12$. By what factor do their raw results
#    differ, and why does nobody notice?
# 4. You filter with $\sigma_{rgb} = 0.1$ on bytes. Explain what the result is after dividing by
#    the filter of ones.
# 5. A point of a pixel lies exactly on the face between two simplices. Does the result depend on
#    which of them is chosen?
#
# <!-- answer -->
# **Answers.** (1) $(a, -a)$ for every whole $a$: the remainders of $a$ and $-a$ modulo 2 are
# equal. The even ones have remainder 0. Between $(a, -a)$ and $(a+1, -a-1)$ the weights are
# $1 - t$ and $t$: linear interpolation on a line. (2) $S^T B^T S$, where $B^T$ is the product of
# the passes in reverse order (each pass alone is symmetric). On a full lattice the passes
# commute; where a vertex is missing, whether something gets around the gap depends on which axis
# is walked first. (3) By $2^{d+1}$, a factor 2 for each axis; results are divided by the filter
# of ones, or the kernel's weight takes it in. (4) Pixels of different colour share no vertices
# and no neighbours, so each hears only pixels of its very colour nearby; a pixel with a colour of
# its own keeps its value: the lattice does nothing. (5) The vertices that the two do not share
# get weight 0, so splat and slice are the same; but a vertex of weight 0 may be created, and the
# blur can pass through it.
# <!-- end -->

# %% [markdown]
# ## Now read the package
#
# `minideeplab/ops/crf/lattice.py` has your five functions under your names: `elevate`,
# `find_simplex`, `barycentric`, `splat`, `blur`. Compare the rounding in `find_simplex` with your
# repair, and see why it is done in `float32`. `_connect` there is `connect` without a dictionary:
# keys are sorted. `minideeplab/ops/crf/self_term.py` removes the pixel from its own sum, and
# `minideeplab/ops/crf/kernel_gradients.py` differentiates the filter by the features.
# `minideeplab/crf/dense.py` uses it all. The notebook `notebooks/08_the_lattice_in_2d.ipynb` draws
# splat, blur and slice, and `notebooks/09_crf_parameters.ipynb` turns the five parameters.
