# %% [markdown]
# # Lesson 9 · The dense CRF by brute force: mean field
#
# A network's scores are right in the middle of things and smeared along their outlines: one score
# covers 8 × 8 pixels. DeepLab ([arXiv 1606.00915](https://arxiv.org/abs/1606.00915), section 3.3)
# sharpens them with a *fully connected conditional random field*, in which every pixel talks to
# every other. You will write down what that model says about an image, compute its answer
# exactly where that is possible at all, derive the **mean-field** approximation, and watch
# it find the outlines. Everything here is the plain sum over all pairs of pixels; lesson 10
# makes it fast.
#
# Five tasks, ten points. Fill in each hole, run the cell, and look at what `check` says.

# %%
import matplotlib.pyplot as plt
import numpy as np

import minideeplab as mdl
from minideeplab.grading import checker

plt.style.use("minideeplab.visualize.lecture")
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
check = checker("09")

# %% [markdown]
# ## The model
#
# Number the pixels $i = 1, \dots, N$ and the labels $l = 1, \dots, C$. A **labelling** $x$ gives
# each pixel one label $x_i$. The model is an energy, low for good labellings:
#
# $$ E(x) = \sum_i U_{x_i,\,i} \;+\; \sum_{i<j} \mu_{x_i x_j}\, k_{ij}. \tag{1} $$
#
# - The **unary** energy $U_{li} = -\log P_i(l)$ is what the network says of pixel $i$ alone.
# - The **compatibility** $\mu$, symmetric $(C, C)$, is the price of a *pair* of labels. DeepLab
#   takes Potts' model: $w$ for two different labels, nothing for equal ones.
# - The **kernel** $k_{ij}$ says how much the pair $i, j$ matters. All pairs take part, that is
#   what "fully connected" means.
#
# The kernel should be large for two pixels that probably belong to the same thing: near to each
# other *and* of similar colour. With positions $p_i$ (in pixels) and colours $I_i$,
#
# $$ k_{ij} = \exp\left(-\frac{|p_i - p_j|^2}{2\sigma_{xy}^2}
#                       -\frac{|I_i - I_j|^2}{2\sigma_{rgb}^2}\right)
#           = \exp\left(-\tfrac12 |f_i - f_j|^2\right). $$
#
# On the right, position and colour were divided by their widths and put into one vector,
#
# $$ f_i = \left(\frac{x_i}{\sigma_{xy}}, \frac{y_i}{\sigma_{xy}}, \frac{r_i}{\sigma_{rgb}},
#          \frac{g_i}{\sigma_{rgb}}, \frac{b_i}{\sigma_{rgb}}\right). $$
#
# A *bilateral* kernel is an ordinary Gaussian in five dimensions. The paper adds a second kernel,
# of position alone, and weighs the two (its equation 3):
#
# $$ k_{ij} = w_1 \exp\left(-\frac{|p_i - p_j|^2}{2\sigma_\alpha^2}
#                           -\frac{|I_i - I_j|^2}{2\sigma_\beta^2}\right)
#          + w_2 \exp\left(-\frac{|p_i - p_j|^2}{2\sigma_\gamma^2}\right). $$
#
# | paper | here | pydensecrf | what it does |
# |---|---|---|---|
# | $\sigma_\alpha$ | $\sigma_{xy}$, `sxy` | `sxy` of the bilateral kernel | how far apart, pixels |
# | $\sigma_\beta$ | $\sigma_{rgb}$, `srgb` | `srgb` | how different in colour, 0 to 255 |
# | $w_1$ | the factor $w$ of $\mu$ | `compat` | price of two labels, alike in colour |
# | $w_2$, $\sigma_\gamma$ | left out | `compat`, `sxy` of the Gaussian | how smooth, pixels |
#
# The first, the *appearance* kernel, makes labels follow colours. The second, the *smoothness*
# kernel, removes small isolated regions. The authors fix $w_2 = 3$ and $\sigma_\gamma = 3$ and
# search for $w_1$, $\sigma_\alpha$ and $\sigma_\beta$ on 100 images with known truth. The second
# kernel is the same computation with a two-dimensional $f$, and its messages are added to the
# first one's. So we leave it out.
#
# ### Task 9.1 · The kernel of an image (2 points)
#
# Compute the matrix $k$ for an image. Pixels are numbered row by row, as `reshape` does. A pixel
# is not its own neighbour, so the diagonal is zero. All numbers in `float64`, also if the image
# is `uint8`: differences of bytes wrap around.


# %%
def bilateral_kernel(image: np.ndarray, sxy: float, srgb: float) -> np.ndarray:
    """Kernel (N, N) of the N = H W pixels of an image (H, W, channels), zeros on the diagonal."""
    # solution 9.1: stack positions and colours over their widths, then all pairwise distances
    height, width, _ = image.shape
    y, x = np.indices((height, width))
    position = np.stack([x.ravel(), y.ravel()]) / sxy
    colour = image.reshape(height * width, -1).T / srgb
    distance = sum((f[:, None] - f) ** 2 for f in (*position, *colour))
    kernel = np.exp(-distance / 2)
    np.fill_diagonal(kernel, 0)
    return kernel
    # end 9.1


check("9.1", bilateral_kernel)

# %% [markdown]
# A small scene with its truth. The "network" has an output stride of 8: its unary is the true
# label averaged over blocks of 8 × 8 pixels, interpolated, and made a little unsure. One row of
# the kernel matrix, folded back into an image, shows to whom a pixel listens.

# %%
image, truth = mdl.data.SyntheticScenes(4, (48, 64), seed=7, border=0)[1]
labels_there = np.unique(truth)
onehot = (truth == labels_there[:, None, None]).astype(float)  # (C, H, W)
C, H, W = onehot.shape
blocks = onehot.reshape(C, H // 8, 8, W // 8, 8).mean(axis=(2, 4))
place = [np.clip((np.arange(n) - 3.5) / 8, 0, n // 8 - 1) for n in (H, W)]
low = [np.minimum(p.astype(int), n // 8 - 2) for p, n in zip(place, (H, W), strict=True)]
part = [p - q for p, q in zip(place, low, strict=True)]
rows = blocks[:, low[0]] * (1 - part[0])[:, None] + blocks[:, low[0] + 1] * part[0][:, None]
smooth = rows[..., low[1]] * (1 - part[1]) + rows[..., low[1] + 1] * part[1]
probability = 0.7 * smooth + 0.3 / C
unary = -np.log(probability.reshape(C, -1))

kernel = bilateral_kernel(image, 12.0, 16.0)
narrow = bilateral_kernel(image, 4.0, 1e9)  # so wide in colour that only position counts

figure, panels = plt.subplots(1, 4, figsize=(12, 2.9))
panels[0].imshow(image)
panels[0].set_title("the scene")
panels[1].imshow(probability.argmax(axis=0), cmap="cividis")
panels[1].set_title("best label, stride 8")
listener = (20, 32)
for axes, matrix, title in zip(
    panels[2:], (narrow, kernel), ("position", "bilateral"), strict=True
):
    axes.imshow(matrix[listener[0] * W + listener[1]].reshape(H, W), cmap="magma")
    axes.set_title(f"one row of $k$: {title}")
for axes in panels:
    axes.plot(*listener[::-1], "+", ms=13, mew=2.5, color="white")
    axes.plot(*listener[::-1], "+", ms=11, mew=1.2, color=ORANGE)
    axes.set(xticks=[], yticks=[])

# %% [markdown]
# ### Task 9.2 · The energy of a labelling (2 points)
#
# Write equation (1). Mind that every *pair* counts once, $i < j$, and that nobody is paired with
# himself, whatever stands on the diagonal of the matrix you are given.


# %%
def gibbs_energy(
    labels: np.ndarray, unary: np.ndarray, kernel: np.ndarray, mu: np.ndarray
) -> float:
    """Energy of labels (N,) for unary (C, N), a symmetric kernel (N, N) and mu (C, C)."""
    # solution 9.2: the unary of each pixel's label, and each pair above the diagonal once
    own = unary[labels, np.arange(len(labels))].sum()
    pairs = np.triu(mu[labels[:, None], labels[None, :]] * kernel, k=1).sum()
    return float(own + pairs)
    # end 9.2


check("9.2", gibbs_energy)

# %% [markdown]
# ## From an energy to an answer
#
# An energy becomes a probability by Gibbs' law: $P(x) = e^{-E(x)} / Z$, with
# $Z = \sum_x e^{-E(x)}$ over *all* labellings. What we want to know of a pixel is its
# **marginal**: the probability of each of its labels when everybody else may be anything,
#
# $$ P_i(l) = \sum_{x:\; x_i = l} P(x). $$
#
# That is a finite sum. It only has $C^N$ terms: a million for $N = 20$ pixels and two labels,
# and $21^{187500}$ for a photograph and PASCAL's labels.
#
# ### Task 9.3 · Exact marginals (2 points)
#
# For a handful of pixels all energies fit into one array with an axis for each pixel: entry
# $[x_1, x_2, \dots, x_N]$ is $E(x)$. Compute all marginals from it. Energies may be
# large, say 1000: $e^{-1000}$ is zero in `float64`, and $0/0$ is no probability. A constant that
# is taken off all energies cancels in $P$; choose it well.


# %%
def marginals(energies: np.ndarray) -> np.ndarray:
    """Marginals (C, N) of Gibbs' law for energies (C, C, ..., C), one axis for each of N pixels."""
    # solution 9.3: weights relative to the best labelling, then sum over the others' axes
    weights = np.exp(energies.min() - energies)
    weights /= weights.sum()
    n = energies.ndim
    columns = [weights.sum(axis=tuple(j for j in range(n) if j != i)) for i in range(n)]
    return np.stack(columns, axis=1)
    # end 9.3


check("9.3", marginals)

# %% [markdown]
# ## Mean field
#
# $P$ is out of reach because everything hangs together. So look for the *best approximation in
# which nothing does*: $Q(x) = \prod_i Q_i(x_i)$, one distribution for each pixel, $C N$ numbers.
# Best in the sense of the Kullback-Leibler divergence,
#
# $$ \mathrm{KL}(Q \,\|\, P) = \sum_x Q(x) \log\frac{Q(x)}{P(x)}
#    = \underbrace{\sum_x Q(x) \log Q(x) + \sum_x Q(x)\,E(x)}_{F(Q)} + \log Z, $$
#
# because $\log P(x) = -E(x) - \log Z$. The constant $\log Z$ is unknown and does not matter. What
# is left, the **free energy** $F$, can be computed, since under $Q$ the pixels are independent:
# the average of a term that has only $x_i$ in it needs only $Q_i$, one with $x_i$ and $x_j$ only
# $Q_i Q_j$. Writing $Q_{li}$ for $Q_i(l)$,
#
# $$ F(Q) = \sum_{i,l} Q_{li} \log Q_{li} + \sum_{i,l} Q_{li} U_{li}
#         + \sum_{i<j} k_{ij} \sum_{l,m} Q_{li}\, \mu_{lm}\, Q_{mj}. \tag{2} $$
#
# Now hold all pixels but $i$ and minimise over $Q_i$, with a multiplier $\lambda$ for
# $\sum_l Q_{li} = 1$:
#
# $$ 0 = \frac{\partial}{\partial Q_{li}} \Bigl( F + \lambda \bigl(\textstyle\sum_l Q_{li} - 1\bigr)
#      \Bigr) = \log Q_{li} + 1 + U_{li}
#      + \sum_{j \ne i} k_{ij} \sum_m \mu_{lm} Q_{mj} + \lambda. $$
#
# Every pair has one end at $i$ only once, so the half from $i<j$ is gone. Solved for
# $Q_{li}$, the constants go into the normalisation, which is a softmax over labels:
#
# $$ Q_{li} = \frac{e^{-E_{li}}}{\sum_m e^{-E_{mi}}}, \qquad
#    E_{li} = U_{li} + \sum_m \mu_{lm} \sum_{j} k_{ij} Q_{mj}. \tag{3} $$
#
# Read from the inside out, this is an algorithm: *filter* $Q$ with the kernel, mix the labels by
# the *compatibility*, add the *unary*, and *normalise*. DeepLab starts from
# $Q = \mathrm{softmax}(-U)$ and updates all pixels at once, ten times.
#
# ### Task 9.4 · One step (2 points)
#
# Do one update (3) of all pixels at once. In practice the kernel is often divided by its row sums,
# as the authors' program does, so that pixels with many neighbours are not shouted down. Then
# $k$ is not symmetric: keep to the indices of (3). Energies can be large here, too.


# %%
def mean_field_step(
    q: np.ndarray, unary: np.ndarray, kernel: np.ndarray, mu: np.ndarray
) -> np.ndarray:
    """New Q (C, N) from q (C, N), unary (C, N), kernel (N, N) with zero diagonal, mu (C, C)."""
    # solution 9.4: filter, mix by mu, add the unary, and a softmax of the negative over labels
    message = q @ kernel.T  # (C, N)
    energy = unary + mu @ message
    weights = np.exp(energy.min(axis=0) - energy)
    return weights / weights.sum(axis=0)
    # end 9.4


check("9.4", mean_field_step)

# %% [markdown]
# ### Ten steps on the scene
#
# The kernel is normalised by its row sums, and different labels cost 8 a pair. Above the best
# label after some steps, below how sure the pixel is. The outlines come from the image alone:
# the star's points were nowhere in the unary.
#
# It does not always help. With the same numbers,
# `SyntheticScenes(4, (48, 64), seed=2, border=0)[2]` goes from 6.4 % wrong to 7.5 %: small things
# of the colour of their surroundings are swallowed. The paper searches the widths and weights on
# 100 images with known truth.

# %%
normalised = kernel / kernel.sum(axis=1, keepdims=True)
potts = 8.0 * (1 - np.eye(C))

steps = [probability.reshape(C, -1)]
for _ in range(10):
    steps.append(mean_field_step(steps[-1], unary, normalised, potts))
right = np.searchsorted(labels_there, truth.ravel())
errors = [(q.argmax(axis=0) != right).mean() for q in steps]

figure, panels = plt.subplots(2, 4, figsize=(12, 4.8))
for axes, step in zip(panels.T, (0, 1, 3, 10), strict=True):
    axes[0].imshow(steps[step].argmax(axis=0).reshape(H, W), cmap="cividis")
    axes[0].set_title(f"after {step}: {100 * errors[step]:.1f} % wrong")
    axes[1].imshow(steps[step].max(axis=0).reshape(H, W), cmap="magma", vmin=1 / C, vmax=1)
for axes in panels.ravel():
    axes.set(xticks=[], yticks=[])
panels[0, 0].set_ylabel("best label")
panels[1, 0].set_ylabel("its $Q$\n(bright: sure)")
assert errors[10] < errors[0] / 2

# %% [markdown]
# ### Task 9.5 · The free energy (2 points)
#
# Write $F(Q)$, equation (2). With it you can *see* whether an update was one: an update of a
# single pixel can only lower $F$. Where a $Q_{li}$ is zero, $Q \log Q$ counts as zero, its limit.


# %%
def free_energy(q: np.ndarray, unary: np.ndarray, kernel: np.ndarray, mu: np.ndarray) -> float:
    """F(Q) for q and unary (C, N), a symmetric kernel (N, N) with zero diagonal, mu (C, C)."""
    # solution 9.5: negative entropy, mean unary, and half the sum over ordered pairs
    entropy = -np.sum(q * np.log(np.where(q > 0, q, 1)))
    pairs = np.sum(q * (mu @ q @ kernel)) / 2
    return float(np.sum(q * unary) + pairs - entropy)
    # end 9.5


check("9.5", free_energy)

# %% [markdown]
# ## How good is it, and does it settle?
#
# **Left**: eight pixels in a row, two labels, small enough for exact marginals. Mean field is
# too sure of itself: it replaces the neighbours by their average and forgets that they
# err *together*. For the best label that rarely matters; as probabilities, mistrust them.
#
# **Right**: what the derivation promised holds for *one pixel at a time*. Updating all at once is
# an extra liberty. In a row where only direct neighbours speak, from a start that alternates,
# each pixel adopts its neighbours' label at the same moment as they adopt his, and so on for
# ever: $F$ stays up. With a Gaussian kernel over all pairs the second neighbours speak as well
# and break the rhythm, which is why DeepLab gets away with it.

# %%
row = np.arange(8)
chain = np.exp(-0.5 * ((row[:, None] - row) / 1.5) ** 2) * (row[:, None] != row)
disagree = 0.8 * (1 - np.eye(2))
opinion = np.stack([np.zeros(8), [1.5, 1.0, -0.4, 0.9, -0.5, -1.0, 0.3, -1.4]])

every_labelling = np.stack(np.unravel_index(np.arange(2**8), (2,) * 8), axis=1)
energies = np.array([gibbs_energy(x, opinion, chain, disagree) for x in every_labelling])
exact = marginals(energies.reshape((2,) * 8))
start = np.exp(-opinion) / np.exp(-opinion).sum(axis=0)
settled = start
for _ in range(200):
    settled = mean_field_step(settled, opinion, chain, disagree)

links = (abs(row[:, None] - row) == 1).astype(float)
pull = 3.0 * (1 - np.eye(2))
alternating = np.where((row % 2 == 0) == np.array([[True], [False]]), 0.9, 0.1)
curves = {"all at once": [alternating], "one pixel at a time": [alternating]}
for _ in range(8):
    curves["all at once"].append(
        mean_field_step(curves["all at once"][-1], 0 * opinion, links, pull)
    )
    q = curves["one pixel at a time"][-1].copy()
    for i in row:
        q[:, i] = mean_field_step(q, 0 * opinion, links, pull)[:, i]
    curves["one pixel at a time"].append(q)

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.8))
for values, style, colour, name in (
    (start, "o:", PURPLE, "unary alone"),
    (exact, "s-", BLUE, "exact marginal"),
    (settled, "^--", ORANGE, "mean field"),
):
    left.plot(row, values[1], style, ms=7, color=colour, label=name)
left.set(xlabel="pixel", ylabel="probability of label 1", ylim=(-0.03, 1.03))
left.legend(loc="lower right")
for (name, states), colour, style in zip(
    curves.items(), (ORANGE, BLUE), ("^--", "s-"), strict=True
):
    falls = [free_energy(q, 0 * opinion, links, pull) for q in states]
    right.plot(falls, style, ms=7, color=colour, label=name)
right.set(xlabel="sweeps over all pixels", ylabel="free energy $F$")
right.legend(loc="center right")

assert free_energy(settled, opinion, chain, disagree) >= -np.log(np.exp(-energies).sum())

# %% [markdown]
# The last line of code checks a bound: a divergence is never negative, so $F(Q) \ge -\log Z$ for
# every $Q$.
#
# ## What it costs
#
# One step multiplies $Q$, $(C, N)$, with $k$, $(N, N)$: $C N^2$ multiplications, and $N^2$
# numbers to keep. At 375 × 500 pixels and 21 labels these are 740 billion
# multiplications a step, and a matrix of 260 GiB, which would have to be made anew in every step.
# The *permutohedral lattice* replaces the sum by one that multiplies about 18 times for each
# pixel and label (if it has as many vertices as the image has pixels; you will count them),
# whatever $N$ is. That is lesson 10.

# %%
pixels = np.array([48 * 64, 120 * 160, 240 * 320, 375 * 500, 1024 * 2048])
figure, axes = plt.subplots(figsize=(8, 3.8))
axes.loglog(pixels, 21.0 * pixels**2, "s-", color=ORANGE, label="all pairs: $C N^2$")
axes.loglog(pixels, 21.0 * pixels * 18, "o-", color=BLUE, label="lattice: $18\\,C N$")
for n, name in zip(pixels, ("48×64", "120×160", "240×320", "375×500", "1024×2048"), strict=True):
    axes.annotate(name, (n, 21.0 * n**2), (-6, 4), textcoords="offset points", ha="right")
axes.set(xlabel="pixels $N$", ylabel="multiplications a step", xlim=(600, 5e6))
axes.legend(loc="lower right")

# %% [markdown]
# ## Check yourself
#
# 1. For Potts' $\mu = w(1 - I)$, show that (3) becomes
#    $Q_{li} \propto \exp(-U_{li} + w \sum_j k_{ij} Q_{lj})$. Is $\mu = -wI$ another model?
# 2. The network's raw scores $s_{li}$ can be used as $U = -s$ without taking a log-softmax first.
#    Why is the result the same?
# 3. Well-known programs keep the term $j = i$ in the sum over $j$. What does it do to a pixel's
#    belief, and when does it matter least?
# 4. You set $\sigma_{rgb} = 3$ on images with values from 0 to 1 instead of 0 to 255. What does
#    the bilateral kernel become?
# 5. Why can mean field never give a pixel's label probability exactly 0 (if $U$ is finite)?
#
# <!-- answer -->
# **Answers.** (1) $\sum_m w[l \ne m] Q_{mj} = w (1 - Q_{lj})$. The part $w \sum_j k_{ij}$ does
# not depend on $l$ and cancels in the softmax. So $-wI$ gives the same updates: it shifts all
# energies of a pixel alike. (2)
# $-\log \mathrm{softmax}(s)_{li} = -s_{li} + \log\sum_m e^{s_{mi}}$: the second part is one
# number for each pixel, and the softmax in (3) does not see it. (3) It adds $w\,k_{ii}\,Q_{li}$
# to the pixel's own score, so whatever the pixel believes is amplified, also when the others
# disagree. Where the other neighbours together weigh much more than $k_{ii} = 1$, that is with
# wide kernels in smooth regions, it is lost among them; an isolated pixel (a colour of its own)
# hears only itself. (4) All colours are within 0.6 widths of each other, the colour part is
# nearly 1 everywhere, and the kernel is one of position only: it blurs over edges. (5) $e^{-E}$
# is positive for every finite $E$.
# <!-- end -->

# %% [markdown]
# ## Now read the package
#
# `minideeplab/ops/crf/meanfield.py` is task 9.4 as a loop (`mean_field`), and its first lines are
# equation (3). `minideeplab/ops/crf/exact.py` is the kernel of task 9.1; it makes rows in blocks,
# so that the whole matrix never exists. `minideeplab/crf/potentials.py` makes unary energies and
# features, `minideeplab/crf/dense.py` is the object that users hold, and
# `minideeplab/crf/energies.py` has tasks 9.2 and 9.5 as its `energy` and `free_energy`.
# `minideeplab/ops/crf/gradients.py` differentiates all the steps, and `minideeplab/crf/layer.py`
# makes them a layer of a network. The notebook `notebooks/07_mean_field_step_by_step.ipynb`
# spreads strokes over a photograph.
