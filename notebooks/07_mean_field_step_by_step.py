# %% [markdown]
# # Mean field, step by step
#
# *Previous:* [06 What backpropagation computes](06_what_backprop_sends_back.ipynb) · *Next:* [08
# The lattice, drawn](08_the_lattice_in_2d.ipynb) · *Lesson:* [9 Mean
# field](../lessons/09_mean_field/lesson.py) · *Paper:* section 3.3 · *Source:*
# [`crf/dense.py`](../minideeplab/crf/dense.py),
# [`ops/crf/meanfield.py`](../minideeplab/ops/crf/meanfield.py)
#
# A few strokes of a brush on a photograph, and a fully connected CRF
# ([arXiv 1606.00915](https://arxiv.org/abs/1606.00915), section 3.3) that spreads them over all
# pixels. No network is involved. We first compute the sums exactly, on a small crop, and then fast,
# on the whole image.
#
# ![Labels after each mean-field iteration](../.github/images/mean-field.gif)

# %%
from itertools import pairwise

import matplotlib.cbook
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

import minideeplab as mdl
from minideeplab.crf import DenseCRF, unary_from_labels
from minideeplab.ops.crf.meanfield import energy, softmax
from minideeplab.visualize.plots import (
    BLUE,
    ORANGE,
    REGION_COLOURS,
    add_legend,
    add_square,
    paint_over,
    paint_strokes,
    show,
)

plt.style.use("minideeplab.visualize.lecture")

# %% [markdown]
# ## The photograph and the strokes

# %%
path = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
photograph = mdl.io.read_image(path)[::2, ::2]  # every second pixel will do: (300, 256, 3)
regions = ("wall", "flag", "face", "hat and uniform")
palette = REGION_COLOURS
strokes = (
    (0, [(210, 20), (235, 125), (220, 165)]),
    (0, [(131, 5), (155, 7)]),
    (1, [(20, 10), (30, 90), (17, 165)]),
    (1, [(60, 10), (60, 115), (45, 165)]),
    (1, [(88, 5), (84, 25), (80, 55)]),
    (1, [(71, 10), (73, 130), (75, 167), (96, 156)]),
    (1, [(106, 5), (102, 17)]),
    (1, [(15, 165), (11, 200)]),
    (1, [(5, 210), (3, 280)]),
    (2, [(105, 75), (160, 80)]),
    (2, [(115, 125), (145, 145), (160, 120)]),
    (2, [(84, 75), (80, 97), (91, 131)]),
    (2, [(130, 175), (132, 192)]),
    (3, [(85, 56), (130, 47), (175, 52)]),
    (3, [(111, 25), (157, 24)]),
    (3, [(40, 200), (90, 215), (55, 280)]),
    (3, [(110, 195), (131, 235), (155, 200)]),
    (3, [(210, 200), (190, 230), (235, 280)]),
)
canvas = Image.new("L", photograph.shape[1::-1], 255)
for region, points in strokes:
    ImageDraw.Draw(canvas).line(points, fill=region, width=5, joint="curve")
marks = np.array(canvas)


figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 4.9))
show(left, photograph, "photograph")
show(
    right,
    paint_strokes(photograph, marks, palette),
    f"strokes on {(marks != 255).mean():.1%} of the pixels",
)
add_square(left, (70, 86), 48, "white")
left.text(60, 40, "crop", color="white", fontsize=12, weight="bold")
add_legend(figure, regions, palette)
plt.show()

# %% [markdown]
# ## The model
#
# A labelling $x$ of all pixels costs the energy
#
# $$ E(x) = \sum_i U_i(x_i) + \sum_{i<j} [x_i \ne x_j]\; k_{ij}, \qquad
#    k_{ij} = w_1\, e^{-|p_i-p_j|^2/2\sigma_\alpha^2 - |c_i-c_j|^2/2\sigma_\beta^2}
#           + w_2\, e^{-|p_i-p_j|^2/2\sigma_\gamma^2}. $$
#
# $U$ is the cost of a pixel's own label: at a stroke it gives the label 97 %, elsewhere all labels
# have the same. Each
# pair of unlike labels costs $k_{ij}$: much if the two pixels are near ($p$) and alike in colour
# ($c$), little otherwise.
#
# The probability $P(x) \propto e^{-E(x)}$ couples all pixels. Mean field looks for the product
# $Q(x) = \prod_i Q_i(x_i)$ nearest to it. Setting the derivative of the divergence
# $\mathrm{KL}(Q \,\|\, P)$ to zero for one pixel, with the others held, gives
#
# $$ Q_i(l) \propto \exp\Bigl(-U_i(l) + \sum_{j \ne i} k_{ij}\, Q_j(l)\Bigr) $$
#
# since $\sum_{m \ne l} Q_j(m) = 1 - Q_j(l)$, and what is the same for all labels drops out. In
# words: sum the probabilities of all other pixels, weighted by similarity; add the unary term;
# normalise. The code below does two things more, as most implementations do: each kernel is
# divided by $\sqrt{n_i n_j}$ with $n_i = \sum_j k_{ij}$, so that frequent colours do not
# dominate, and a pixel is in its own sum ($j = i$), which saves a subtraction (`self_term=False`
# leaves it out).
#
# ## Exactly, on a crop
#
# The crop has 48 × 48 pixels, where hat, face and flag meet. All 2304² pairs fit in memory, so
# `method="exact"` sums them one by one. One iteration in three lines:


# %%
def make_crf(image, marks, method="lattice"):
    unary = unary_from_labels(marks, len(regions), certainty=0.97, unknown=255)
    crf = DenseCRF(unary, method=method)
    crf.add_gaussian(sxy=3, compat=3)
    crf.add_bilateral(image, sxy=40, srgb=12, compat=6)
    return crf


window = (slice(46, 94), slice(62, 110))
crop, crop_marks = photograph[window], marks[window]
exact = make_crf(crop, crop_marks, "exact")

q = softmax(-exact.unary)  # (labels, pixels): before any message
cost = energy(exact.unary, exact.terms, q)  # U minus the messages from all pixels
q = softmax(-cost)
exact.start()
assert np.allclose(q, exact.step().reshape(q.shape)), "the library's step is these three lines"

# %% [markdown]
# Which pixels are linked? Below is the bilateral kernel's row for one pixel (the star): the weight
# of its link to each other pixel. It is large only where the colours are alike.

# %%
kernel = exact.terms[1].kernel.matrix  # (2304, 2304)
figure, panels = plt.subplots(1, 3, figsize=(9, 3.4))
show(panels[0], crop, "crop")
for axes, (row, column), name in zip(panels[1:], ((36, 38), (8, 36)), ("A", "B"), strict=True):
    panels[0].plot(column, row, "*", ms=17, color="white", mec="black")
    panels[0].text(column + 2.5, row + 1, name, color="white", fontsize=13, weight="bold")
    links = kernel[48 * row + column].reshape(48, 48)
    show(axes, links, f"links of pixel {name}", cmap="viridis", vmin=0, vmax=1)
    axes.plot(column, row, "*", ms=17, color="white", mec="black")
figure.colorbar(axes.images[0], ax=panels, label="kernel, no weight", shrink=0.8)
plt.show()

# %% [markdown]
# Now ten iterations, with the exact sum and with the permutohedral lattice that stands in for it
# (notebook 08), side by side.

# %%
fast = make_crf(crop, crop_marks)
runs = {"exact": exact, "lattice": fast}
states = {name: [crf.start()] + [crf.step() for _ in range(10)] for name, crf in runs.items()}

figure, panels = plt.subplots(2, 4, figsize=(9, 5.2))
for row, name in enumerate(runs):
    for axes, step in zip(panels[row], (0, 1, 3, 10), strict=True):
        blend = mdl.visualize.confidence(states[name][step], palette)
        show(axes, blend, f"{name}, step {step}" if step == 0 else f"step {step}")
add_legend(figure, regions, palette)
plt.show()

same = np.mean(states["exact"][10].argmax(0) == states["lattice"][10].argmax(0))
apart = np.abs(states["exact"][10] - states["lattice"][10]).mean()
print(f"after 10 steps {same:.1%} of the labels agree; mean difference of Q {apart:.4f}")
assert same > 0.95

# %% [markdown]
# Grey mixtures are undecided pixels. After one step each pixel prefers the label of the strokes of
# its own colour; further steps sharpen the borders.
#
# ## Does it converge?
#
# The update moves all pixels at once, so the free energy, $\mathrm{KL}(Q \,\|\, P)$ up to a
# constant, is not guaranteed to fall at each step. Here it does, and most of the way is made in
# the first few steps:

# %%
free = [exact.free_energy(q) for q in states["exact"]]
moved = [np.abs(after - before).mean() for before, after in pairwise(states["exact"])]
assert all(after <= before for before, after in pairwise(free))

figure, (left, right) = plt.subplots(1, 2)
left.plot(free, "o-", color=BLUE)
left.set(xlabel="step", ylabel="free energy", title="falls at each step", xticks=range(0, 11, 2))
right.semilogy(range(1, 11), moved, "s-", color=ORANGE)
right.set(xlabel="step", ylabel="mean change of Q", title="changes die out", xticks=range(2, 11, 2))
plt.show()

# %% [markdown]
# ## The whole photograph
#
# The exact sum would need $76\,800^2$, 6 billion pairs for each label and step. The
# lattice needs a fraction of a second.

# %%
crf = make_crf(photograph, marks)
whole = [crf.start()] + [crf.step() for _ in range(10)]

figure, panels = plt.subplots(1, 2, figsize=(7, 4.7))
for axes, step in zip(panels, (1, 10), strict=True):
    title = f"after {step} step{'s' if step > 1 else ''}"
    show(axes, paint_over(photograph, whole[step].argmax(0), palette), title)
add_legend(figure, regions, palette)
plt.show()

known = marks != 255
kept = np.mean(whole[-1].argmax(0)[known] == marks[known])
print(f"labels from strokes on {known.mean():.1%} of the pixels; {kept:.1%} of the strokes kept")
assert kept > 0.95
shirt = (slice(190, 240), slice(95, 165))
white = photograph[shirt].min(axis=-1) > 190
uniform = np.mean(whole[-1].argmax(0)[shirt][white] == regions.index("hat and uniform"))
print(f"white pixels of the shirt labelled as uniform: {uniform:.0%}")
assert uniform > 0.95

# %% [markdown]
# The white shirt is labelled as uniform: no stroke marks it, and uniform surrounds it. The CRF uses
# colours and positions only; knowledge about objects must come from a network's scores.
#
# ## What the widths do
#
# $\sigma_\beta$, the width in colour, says how unlike two colours may be and still be linked.

# %%
figure, panels = plt.subplots(1, 3, figsize=(9, 3.4))
head = (slice(20, 190), slice(40, 230))
pieces = {}
for axes, width in zip(panels, (3, 12, 60), strict=True):
    crf = DenseCRF(unary_from_labels(marks, len(regions), certainty=0.97, unknown=255))
    crf.add_gaussian(sxy=3, compat=3)
    crf.add_bilateral(photograph, sxy=40, srgb=width, compat=6)
    labels = crf.inference(10).argmax(0)
    show(axes, paint_over(photograph, labels, palette)[head], f"$\\sigma_\\beta$ = {width}")
    pieces[width] = sum(ndimage.label(labels == region)[1] for region in range(len(regions)))
    print(f"width {width}: {pieces[width]} connected pieces")
assert pieces[3] > pieces[12]
cap = np.mean(labels[20:60, 85:185] == regions.index("flag"))
print(f"width 60: the flag has {cap:.0%} of the cap")
assert 0.25 < cap < 0.5
add_legend(figure, regions, palette)
plt.show()

# %% [markdown]
# Too narrow, and a pixel has hardly any links: specks remain. Too wide, and colours no
# longer count: the labels cross edges, and the flag takes a third of the cap. DeepLab chose its
# widths by a search on 100 images.

# %% [markdown]
# - **Predict.** What happens with `compat=0` for the bilateral kernel?
# - **Try.** Draw strokes for a fifth region, the collar.
# - **Read the source.** [`crf/dense.py`](../minideeplab/crf/dense.py),
#   [`ops/crf/meanfield.py`](../minideeplab/ops/crf/meanfield.py).
# - **Next.** [08 The lattice, drawn](08_the_lattice_in_2d.ipynb).
