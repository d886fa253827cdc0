# %% [markdown]
# # The permutohedral lattice, drawn
#
# *Previous:* [07 Mean field, step by step](07_mean_field_step_by_step.ipynb) ·
# *Next:* [09 The CRF's five parameters](09_crf_parameters.ipynb) ·
# *Lesson:* [10 Permutohedral lattice](../lessons/10_permutohedral_lattice/lesson.py) ·
# *Paper:* section 3.3 ·
# *Source:* [`ops/crf/lattice.py`](../minideeplab/ops/crf/lattice.py)
#
# The CRF's messages are Gaussian sums over all pairs of pixels: for $N$ points $f_i$ with values
# $v_i$,
#
# $$ (Kv)_i = \sum_j \exp\bigl(-\tfrac12 |f_i - f_j|^2\bigr)\; v_j , $$
#
# which costs $N^2$. The permutohedral lattice (Adams, Baek and Davis 2010) comes close at a cost
# linear in $N$: **splat** the values onto the vertices of a lattice, **blur** there, **slice** the
# result back. For images the points lie in five dimensions (position and colour). In two
# dimensions they can be drawn, and the method is the same.

# %%
import matplotlib.pyplot as plt
import numpy as np

from minideeplab.ops.crf import lattice as pl
from minideeplab.ops.crf.exact import ExactKernel
from minideeplab.visualize.plots import BLUE, GREEN, ORANGE

plt.style.use("minideeplab.visualize.lecture")
CORNER_COLOURS = np.array([BLUE, ORANGE, GREEN])

# %% [markdown]
# ## A plane in three dimensions
#
# For $D$ dimensions the lattice lies in the hyperplane $x_0 + \dots + x_D = 0$ of $D+1$ dimensions.
# Its vertices are the integer points there whose coordinates all leave the same remainder modulo
# $D+1$. `elevate` turns features into points of the plane; it is linear, and keeps all angles.
# Below we draw the plane face on, in the units of the features (1 is the Gaussian's standard
# deviation).

# %%
D = 2
basis = pl.elevate(np.eye(D))  # (3, 2): where the two axes of the features go
assert np.allclose(basis.sum(axis=0), 0), "in the plane"
assert np.allclose(basis.T @ basis, np.eye(D) * (basis[:, 0] @ basis[:, 0])), "angles are kept"


def flat(points):
    """Draw points of the plane, (3, N), in the units of the features, (2, N)."""
    return np.linalg.lstsq(basis, points, rcond=None)[0]


def vertices_in(reach):
    """List the lattice's vertices with coordinates up to ``reach``: (3, N)."""
    grid = np.array(np.meshgrid(*[np.arange(-reach, reach + 1)] * 2)).reshape(2, -1)
    points = np.vstack([grid, -grid.sum(axis=0)])
    return points[:, np.ptp(points % (D + 1), axis=0) == 0]


def corner_keys(vertex, rank):
    """List the corners of remainder 0, 1, 2 of each point's triangle: (3, 3, N), keys first."""
    r = np.arange(D + 1)[:, None]
    return vertex[:, None] + r - (D + 1) * (rank[:, None] > D - r)


def draw_lattice(axes, limits, labels=False):
    points = vertices_in(30)
    at = flat(points)
    for step in -np.ones((3, 3)) + 3 * np.eye(3):  # the three axes: (2, -1, -1) and so on
        ends = flat(points + step[:, None])
        axes.plot(*np.stack([at, ends], axis=1), color="0.8", lw=0.9, zorder=0)
    remainder = points[0] % (D + 1)
    near = (np.abs(at[0]) < limits + 0.3) & (np.abs(at[1]) < limits + 0.3)
    if labels:
        for r, marker in enumerate("os^"):
            here = near & (remainder == r)
            axes.plot(*at[:, here], marker, ms=10, color=CORNER_COLOURS[r], label=f"remainder {r}")
    axes.set(xlim=(-limits, limits), ylim=(-limits, limits), aspect="equal", xticks=(-2, 0, 2))
    axes.set(yticks=(-2, 0, 2), xlabel="feature 1", ylabel="feature 2")


point = np.array([[0.35], [0.62]])
elevated = pl.elevate(point)
vertex, rank = pl.find_simplex(elevated)
weights = pl.barycentric(elevated, vertex, rank)[:, 0]
keys = corner_keys(vertex, rank)[:, :, 0]
assert (keys.sum(axis=0) == 0).all() and np.allclose(keys @ weights, elevated[:, 0])

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.9))
draw_lattice(left, 2.2, labels=True)
left.plot(*point, "*", ms=17, color="black")
left.set_title("every triangle has one of each")
left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=3, columnspacing=0.6,
            handletextpad=0.1)  # fmt: skip
corners = flat(keys)
right.fill(*corners, color="0.93", ec="0.6")
for r in range(3):
    right.plot(*corners[:, r], "os^"[r], color=CORNER_COLOURS[r], ms=30 * weights[r] ** 0.5)
    name = f"({', '.join(map(str, keys[:, r]))}), weight {weights[r]:.2f}"
    offset = ((0, -30), (0, 26), (14, 44))[r]
    right.annotate(name, corners[:, r], offset, textcoords="offset points", ha="center")
right.plot(*point, "*", ms=20, color="black")
right.set(aspect="equal", xlim=(-0.55, 1.5), ylim=(-0.45, 1.6))
right.axis("off")
right.set_title("the point's triangle: keys, weights")
plt.show()

# %% [markdown]
# `find_simplex` finds the triangle by rounding and sorting, with no search: round each coordinate
# to a multiple of $D+1$, and sort what is left over. `barycentric` gives the weights with which the
# corners average to the point. They are never negative and sum to one. That is all the geometry;
# $D+1$ corners instead of the $2^D$ of a cube is why this works in five dimensions.
#
# ## Splat, blur, slice
#
# One point in the middle has the value 1; all others have 0. A fine raster of points lets us see
# the result everywhere. The area of a dot is the value at that vertex.

# %%
side = np.linspace(-4, 4, 161)
raster = np.stack([m.ravel() for m in np.meshgrid(side, side)])  # (2, N)
lattice = pl.build_lattice(raster)
start = np.argmin(((raster - point) ** 2).sum(axis=0))
values = np.zeros((1, raster.shape[1]))
values[0, start] = 1

after = [pl.splat(lattice, values)]
for axis in range(D + 1):  # pl.blur, one pass at a time
    before, behind = lattice.neighbours[axis]
    blurred = after[-1].copy()
    blurred[:, :-1] += (after[-1][:, before] + after[-1][:, behind]) / 2
    after.append(blurred)
assert np.array_equal(after[-1], pl.blur(lattice, after[0]))
sliced = pl.slice_(lattice, after[-1])
assert np.allclose(lattice.alpha * sliced, pl.filter_lattice(lattice, values))

# where each vertex lies: the keys of all points' corners, drawn
found = corner_keys(*pl.find_simplex(pl.elevate(raster.astype(np.float32))))  # (3, 3, N)
place = np.empty((2, lattice.n_vertices))
place[:, lattice.corners] = flat(found.reshape(3, -1)).reshape(2, 3, -1)

wanted = np.exp(-((raster - raster[:, [start]]) ** 2).sum(axis=0) / 2)

figure, panels = plt.subplots(2, 3, figsize=(9, 6.4), sharex=True, sharey=True)
names = ("1. splat", "2. blur, axis 0", "3. blur, axis 1", "4. blur, axis 2", "5. slice", "wanted")
for axes, name, state in zip(panels.flat, names, [*after, sliced, wanted], strict=True):
    draw_lattice(axes, 3)
    if name[0] in "1234":
        axes.scatter(*place, s=420 * state[0, :-1] / state.max(), color=BLUE, zorder=2)
    else:
        image = state.reshape(161, 161)
        axes.imshow(image, extent=(-4, 4, -4, 4), origin="lower", cmap="Blues", zorder=1)
        axes.set(xlim=(-3, 3), ylim=(-3, 3))
    axes.plot(*point, "*", ms=13, color=ORANGE, mec="white", mew=0.8, zorder=3)
    axes.set_title(name)
    axes.label_outer()
plt.show()

# %% [markdown]
# Splatting shares the 1 among three corners. Each blur pass adds half of both neighbours along one
# of the three axes. Slicing reads every point from its corners, with the weights of the splat.
# Compare with the Gaussian that we wanted, scaled by the best single factor (a CRF normalises its
# kernel, so a factor does not matter):

# %%
got = sliced[0]
factor = (got @ wanted) / (got @ got)
error = np.abs(factor * got - wanted).max()
print(f"{raster.shape[1]} points, {lattice.n_vertices} vertices")
print(f"largest error {error:.3f} of a peak of 1; correlation {np.corrcoef(got, wanted)[0, 1]:.4f}")
assert np.corrcoef(got, wanted)[0, 1] > 0.98

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.9), width_ratios=(1, 1.25))
levels = (0.1, 0.3, 0.5, 0.7, 0.9)
for response, colour, style in ((wanted, "0.35", "--"), (factor * got, BLUE, "-")):
    left.contour(side, side, response.reshape(161, 161), levels, colors=colour, linestyles=style)
left.set_title("contours")
right.set_title("a cut")
left.set(aspect="equal", xlim=(-2.4, 3), ylim=(-2, 3.2), xlabel="feature 1", ylabel="feature 2")
line = start // 161
right.plot(side, wanted.reshape(161, 161)[line], "--", color="0.35", label="Gaussian")
right.plot(side, factor * got.reshape(161, 161)[line], color=BLUE, label="lattice")
right.set(xlabel="feature 1, through the point", ylabel="response")
right.legend()
plt.show()

# %% [markdown]
# The response has corners and is not quite round, and it depends a little on where in its triangle
# the point sits. It approximates a Gaussian.
#
# ## Many points at once
#
# Now the real task: all pairs among many points. Here are 3000 in three clouds, each with a value
# of its cloud. Both methods average each point's neighbourhood, $(Kv)_i / (K1)_i$:

# %%
rng = np.random.default_rng(1)
centres = np.array([[-2.2, -1.0], [1.8, -1.4], [0.2, 1.9]]).T
cloud = rng.integers(3, size=3000)
points = centres[:, cloud] + 0.9 * rng.standard_normal((2, 3000))
noisy = (cloud == 2) + 0.8 * rng.standard_normal(3000)


def smooth(kernel):
    total, count = kernel.filter(np.stack([noisy, np.ones(3000)]))
    return total / count


exact, fast = smooth(ExactKernel(points)), smooth(pl.build_lattice(points))
print(f"correlation of the two averages: {np.corrcoef(exact, fast)[0, 1]:.4f}")
print(f"median difference: {np.median(np.abs(exact - fast)):.3f}")
assert np.corrcoef(exact, fast)[0, 1] > 0.99

figure, panels = plt.subplots(1, 3, figsize=(9.6, 3.5), sharey=True)
titles = ("noisy values", "exact, 9 million pairs", "lattice")
for axes, title, colour in zip(panels, titles, (noisy, exact, fast), strict=True):
    dots = axes.scatter(*points, c=colour, s=7, cmap="cividis", vmin=-0.2, vmax=1.2)
    axes.set(title=title, aspect="equal", xlabel="feature 1")
panels[0].set_ylabel("feature 2")
figure.colorbar(dots, ax=panels, label="value")
plt.show()

# %% [markdown]
# ## Linear and quadratic cost
#
# The exact sum has one term for each pair. The lattice touches $D+1$ vertices for each point,
# twice, and then $D+1$ times two neighbours for each vertex.

# %%
counts = 1000 * 4 ** np.arange(5)
pairs = counts.astype(float) ** 2
touched = []
for count in counts:
    some = pl.build_lattice(3 * rng.standard_normal((2, count)))
    touched.append(2 * (D + 1) * count + 2 * (D + 1) * some.n_vertices)

figure, axes = plt.subplots(figsize=(7, 3.9))
axes.loglog(counts, pairs, "s--", color=ORANGE, label="exact: pairs")
axes.loglog(counts, touched, "o-", color=BLUE, label="lattice: vertices read")
axes.set(xlabel="points", ylabel="terms in the sums")
axes.legend()
print(f"for {counts[-1]} points: {pairs[-1]:.1e} terms against {touched[-1]:.1e}")
plt.show()

# %% [markdown]
# A photograph has hundreds of thousands of pixels, and mean field filters once for each label and
# iteration. That is why the dense CRF became practical with the lattice. Besides the definition
# used here (`minideeplab/ops/crf/lattice.py`) there is a compiled version of the same algorithm.

# %% [markdown]
# - **Predict.** How many vertices does a point touch in five dimensions?
# - **Try.** Move `point` to the middle of a triangle and to a corner; where is the error larger?
# - **Read the source.** [`ops/crf/lattice.py`](../minideeplab/ops/crf/lattice.py).
# - **Next.** [09 The CRF's five parameters](09_crf_parameters.ipynb).
