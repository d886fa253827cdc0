# %% [markdown]
# # Lesson 7 · Loss with ignored labels, SGD, training a small DeepLab
#
# So far you have a network that computes scores. Now it learns them. You will derive the loss over
# pixels of which some have no label, send its gradient back, take the steps exactly as the
# authors' program does ([arXiv 1606.00915](https://arxiv.org/abs/1606.00915), section 4.1),
# train a small DeepLab in seconds, and judge it by the measure that the paper reports.
#
# Five tasks, ten points. Fill in each hole, run the cell, and look at what `check` says.

# %%
import matplotlib.pyplot as plt
import numpy as np

import minideeplab as mdl
from minideeplab.grading import checker
from minideeplab.ops import conv

plt.style.use("minideeplab.visualize.lecture")
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
check = checker("07")

# %% [markdown]
# ## Scores, probabilities, loss
#
# At every pixel $i$ the network gives $C$ scores $s_{ci}$. The softmax makes probabilities of
# them, and the loss of a pixel with label $t_i$ is minus the logarithm of what its label got:
#
# $$ p_{ci} = \frac{e^{s_{ci}}}{\sum_k e^{s_{ki}}}, \qquad
#    \ell_i = -\log p_{t_i i} = \log \sum_k e^{s_{ki}} - s_{t_i i}. \tag{1} $$
#
# Adding a number to all scores of a pixel changes nothing, since it cancels. So take off the
# largest one first: then the largest exponential is 1, nothing overflows, and the logarithm is
# of a number from 1 to $C$.
#
# People mark some pixels as *nobody knows*, label **255**: in PASCAL VOC a band along every
# outline. Let $V$ be the set of all other pixels, **of the whole batch**. The loss is their mean,
#
# $$ L = \frac{1}{\max(1, |V|)} \sum_{i \in V} \ell_i . \tag{2} $$
#
# An image with many ignored pixels thus counts less than one with few; and a batch without
# any label has loss 0, not 0/0.
#
# The network's scores are 8 times smaller than the image, and the authors shrink the *labels*
# instead of enlarging the scores: `labels[::8, ::8]`, one label for each score. Labels are names;
# they are picked, never averaged.
#
# ### Task 7.1 · The loss (2 points)


# %%
def cross_entropy(scores: np.ndarray, labels: np.ndarray) -> float:
    """Equation (2) for scores (N, C, H, W) and labels (N, H, W), 255 where there is none."""
    # solution 7.1: log-softmax from shifted scores, pick the label's, mean over what counts
    shifted = scores - scores.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    counted = labels != 255
    safe = np.where(counted, labels, 0)
    picked = np.take_along_axis(log_p, safe[:, None], axis=1)[:, 0]  # (N, H, W)
    return float(-picked[counted].sum() / max(1, counted.sum()))
    # end 7.1


check("7.1", cross_entropy)

# %% [markdown]
# ## The gradient
#
# Differentiate (1), with $[c = t]$ for 1 if equal and 0 if not:
#
# $$ \frac{\partial \ell_i}{\partial s_{ci}}
#    = \frac{e^{s_{ci}}}{\sum_k e^{s_{ki}}} - [c = t_i] = p_{ci} - [c = t_i]. $$
#
# That is all: what the network believes, minus what is true. It sums to 0 over the classes of a
# pixel, as it must, since a common number added to the scores does nothing. By (2) it is divided
# by $\max(1, |V|)$, and ignored pixels get 0.
#
# ### Task 7.2 · The gradient of the loss (3 points)


# %%
def cross_entropy_backward(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Gradient (N, C, H, W) of task 7.1's loss with respect to the scores."""
    # solution 7.2: softmax minus one-hot over the count, zero where the label is 255
    gradient = np.exp(scores - scores.max(axis=1, keepdims=True))
    gradient /= gradient.sum(axis=1, keepdims=True)
    gradient -= labels[:, None] == np.arange(scores.shape[1])[:, None, None]
    counted = labels != 255
    return gradient * counted[:, None] / max(1, counted.sum())
    # end 7.2


check("7.2", cross_entropy_backward)

# %% [markdown]
# ## The step
#
# Plain descent, $w \leftarrow w - \eta g$, shakes: each batch pulls elsewhere. **Momentum** keeps
# a velocity $v$ in which the pulls average out. If the gradient $g$ and the rate $\eta$ stay the
# same, $v = \eta g\,(1 + m + m^2 + \dots)$ tends to $\eta g / (1 - m)$: with $m = 0.9$, ten times
# plain steps. **Weight decay** $\lambda$ is the gradient of $\frac{\lambda}{2} |w|^2$, which
# keeps weights small. In the authors' program (Caffe), with a rate multiplier $a$ and a decay
# multiplier $b$ for each parameter,
#
# $$ v \leftarrow m\, v + a\,\eta\,(g + b\,\lambda\, w), \qquad w \leftarrow w - v. \tag{3} $$
#
# The rate is *inside* the velocity: when it falls, old velocity keeps its size. (PyTorch leaves
# it outside, $w \leftarrow w - \eta v$.) Biases have $a = 2, b = 0$, the new classifier's weights
# $a = 10$.
#
# ### Task 7.3 · One step of SGD (2 points)


# %%
def sgd_step(
    w: np.ndarray,
    v: np.ndarray,
    g: np.ndarray,
    rate: float,
    momentum: float,
    decay: float,
    multipliers: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray]:
    """New (w, v) by equation (3), all of one shape; multipliers are (a, b)."""
    # solution 7.3: the velocity with decayed gradient, then the weights
    a, b = multipliers
    velocity = momentum * v + a * rate * (g + b * decay * w)
    return w - velocity, velocity
    # end 7.3


check("7.3", sgd_step)

# %% [markdown]
# How large may the rate be? Take a valley $\frac{h}{2} w^2$ of curvature $h$, so $g = h w$, without
# decay and with $a = 1$. The last step was $v = w_{n-1} - w_n$, and (3) becomes
#
# $$ w_{n+1} = (1 + m - \eta h)\, w_n - m\, w_{n-1}. $$
#
# Its solutions are sums of powers $z^n$ with $z^2 - (1 + m - \eta h)\, z + m = 0$. Both roots of
# $z^2 - bz + m$ are inside the unit circle if and only if $|m| < 1$ and $|b| < 1 + m$, that is for
# $0 < \eta h < 2\,(1 + m)$. So the *steepest* direction of a loss limits the rate, and without
# momentum the flat directions crawl. Below, one direction is 25 times as steep as the other.


# %%
def descend(momentum: float) -> np.ndarray:
    """Path (41, 2) down the valley."""
    w, v = np.array([-9.0, 1.6]), np.zeros(2)
    path = [w]
    for _ in range(40):
        w, v = sgd_step(w, v, np.array([1.0, 25.0]) * w, 0.03, momentum, 0.0, (1.0, 1.0))
        path.append(w)
    return np.array(path)


figure, panels = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
for axes, momentum, colour in zip(panels, (0.0, 0.7), (ORANGE, BLUE), strict=True):
    across, up = np.meshgrid(np.linspace(-10, 4, 120), np.linspace(-2.2, 2.2, 80))
    axes.contour(across, up, (across**2 + 25 * up**2) / 2, levels=10, colors="0.8", linewidths=1)
    path = descend(momentum)
    axes.plot(*path.T, "o-", ms=3, lw=1, color=colour)
    axes.plot(0, 0, "x", ms=9, color="black")
    left_over = np.linalg.norm(path[-1])
    axes.set(title=f"momentum {momentum}: {left_over:.2g} left to go", xlabel="flat direction")
panels[0].set_ylabel("steep direction")

# %% [markdown]
# ### Task 7.4 · The learning rate (1 point)
#
# The first version of the paper divided the rate by 10 every 2000 iterations. The second found
# **poly** better, $\eta_i = \eta_0\, (1 - i/i_\text{max})^{0.9}$, by more than a point of mean
# IoU for the same 6000 iterations (table 2: 62.25 to 63.42). Return the rate of iteration $i$;
# past the end it is 0.


# %%
def poly_rate(base: float, iteration: int, iterations: int, power: float) -> float:
    """The rate of an iteration, counted from 0, out of so many."""
    # solution 7.4: the remaining share to the power, none past the end
    remaining = max(0.0, 1 - iteration / iterations)
    return base * remaining**power
    # end 7.4


check("7.4", poly_rate)

# %%
iterations = np.arange(6000)
figure, axes = plt.subplots(figsize=(8, 3.4))
axes.plot(iterations, [poly_rate(1e-3, i, 6000, 0.9) for i in iterations], color=BLUE,
          label="poly, power 0.9")  # fmt: skip
axes.plot(iterations, 1e-3 * 0.1 ** (iterations // 2000), "--", color=ORANGE,
          label="a tenth every 2000")  # fmt: skip
axes.set(xlabel="iteration", ylabel="learning rate")
axes.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
axes.legend()

# %% [markdown]
# ## How good is it?
#
# Counting right pixels is no use: if 90 % are background, "background everywhere" gets 90 %. The
# paper's measure is the **intersection over union** of each class, over all counted pixels:
#
# $$ \mathrm{IoU}_c =
#    \frac{|\text{predicted } c \text{ and is } c|}{|\text{predicted } c \text{ or is } c|}, $$
#
# and its mean over the classes. Pixels with true label 255 are left out, whatever was predicted
# there. A class that is neither predicted nor true anywhere has no IoU (0/0) and is left out of
# the mean.
#
# ### Task 7.5 · Mean IoU (2 points)


# %%
def mean_iou(predicted: np.ndarray, truth: np.ndarray, classes: int) -> float:
    """Mean intersection over union of labels of one shape; true label 255 does not count."""
    # solution 7.5: one intersection and union for each class that occurs
    predicted, truth = predicted[truth != 255], truth[truth != 255]
    ratios = []
    for c in range(classes):
        union = np.sum((predicted == c) | (truth == c))
        if union > 0:
            ratios.append(np.sum((predicted == c) & (truth == c)) / union)
    return float(np.mean(ratios))
    # end 7.5


check("7.5", mean_iou)

# %% [markdown]
# ## Train a small DeepLab
#
# Everything in one place, without any tape: three convolutions, of which two halve the
# resolution and one has rate 2 instead, and a classifier. Output stride 4. The scenes are
# synthetic; the task is to tell things from the ground. The labels are shrunk to the
# scores' size, and the bands of 255 are ignored.


# %%
LAYERS = ((3, 12, 2, 1), (12, 16, 2, 1), (16, 16, 1, 2), (16, 2, 1, 1))  # in, out, stride, rate


def forward(x: np.ndarray, parameters: list[np.ndarray]) -> list[np.ndarray]:
    """The input (N, 3, H, W) and the output of each layer, the scores last."""
    outputs = [x]
    for (_, _, stride, rate), w, b in zip(LAYERS, parameters[::2], parameters[1::2], strict=True):
        margin = ((rate, rate),) * 2
        y = conv.conv2d(outputs[-1], w, b, (stride,) * 2, margin, (rate,) * 2, 1)
        outputs.append(y if w is parameters[-2] else np.maximum(y, 0))
    return outputs


def backward(
    dy: np.ndarray, outputs: list[np.ndarray], parameters: list[np.ndarray]
) -> list[np.ndarray]:
    """Gradients of all parameters for the gradient of the scores."""
    gradients: list[np.ndarray] = []
    for n in reversed(range(len(LAYERS))):
        _, _, stride, rate = LAYERS[n]
        margin = ((rate, rate),) * 2
        dx, dw, db = conv.conv2d_backward(
            dy, outputs[n], parameters[2 * n], (stride,) * 2, margin, (rate,) * 2, 1
        )
        gradients = [dw, db, *gradients]
        dy = dx * (outputs[n] > 0)  # through the ReLU before
    return gradients


def batch(scenes: mdl.data.SyntheticScenes, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 3, H, W) about zero, and labels (N, H, W): ground 0, thing 1, unknown 255."""
    pairs = [scenes[int(i)] for i in chosen]
    x = np.stack([(image / 255 - 0.5).transpose(2, 0, 1) for image, _ in pairs])
    labels = np.stack([truth.astype(np.int64) for _, truth in pairs])
    return x, np.where((labels > 0) & (labels < 255), 1, labels)


rng = np.random.default_rng(0)
scenes = mdl.data.SyntheticScenes(16, (41, 57), seed=1, border=1.0)
held_out = mdl.data.SyntheticScenes(8, (41, 57), seed=2, border=1.0)
x_all, labels_all = batch(scenes, np.arange(16))
x_test, labels_test = batch(held_out, np.arange(8))

parameters = []
for inputs, filters, _, _ in LAYERS:
    parameters += [rng.standard_normal((filters, inputs, 3, 3)) * np.sqrt(2 / (9 * inputs)),
                   np.zeros(filters)]  # fmt: skip
velocities = [np.zeros_like(p) for p in parameters]


def test_iou() -> float:
    """Mean IoU on the scenes that were held out, at the scores' resolution."""
    return mean_iou(forward(x_test, parameters)[-1].argmax(axis=1), labels_test[:, ::4, ::4], 2)


losses, quality = [], {0: test_iou()}
for iteration in range(120):
    chosen = rng.choice(16, 4, replace=False)
    outputs = forward(x_all[chosen], parameters)
    labels = labels_all[chosen][:, ::4, ::4]
    losses.append(cross_entropy(outputs[-1], labels))
    gradients = backward(cross_entropy_backward(outputs[-1], labels), outputs, parameters)
    rate = poly_rate(0.05, iteration, 120, 0.9)
    for n, gradient in enumerate(gradients):
        roles = (1.0, 1.0) if n % 2 == 0 else (2.0, 0.0)  # weights, biases
        parameters[n], velocities[n] = sgd_step(
            parameters[n], velocities[n], gradient, rate, 0.9, 5e-4, roles
        )
    if iteration % 20 == 19:
        quality[iteration + 1] = test_iou()

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.5))
left.plot(losses, color=BLUE)
left.axhline(np.log(2), color="0.5", ls=":", lw=1.5)
left.text(119, np.log(2), "a coin: log 2", ha="right", va="bottom", color="0.35")
left.set(xlabel="iteration", ylabel="loss of the batch", ylim=(0, None))
right.plot(list(quality), list(quality.values()), "o-", color=BLUE)
right.set(xlabel="iteration", ylabel="mean IoU, held out", ylim=(0, 1))
assert quality[120] > 0.7

# %% [markdown]
# Four scenes that the network has never seen: the image, the truth at the scores' resolution
# (white: ignored), and what the network says, in blocks of 4 × 4 pixels. It has found the large
# things and misses the small ones, which hardly weigh in a mean over pixels. The next lessons are
# about trusting the gradients, and about sharper outlines.

# %%
predicted = forward(x_test, parameters)[-1].argmax(axis=1)
figure, panels = plt.subplots(3, 4, figsize=(11, 6.2))
for column, n in zip(panels.T, range(4), strict=True):
    truth = labels_test[n, ::4, ::4]
    column[0].imshow(x_test[n].transpose(1, 2, 0) + 0.5)
    column[1].imshow(np.ma.masked_equal(truth, 255), cmap="cividis", vmin=0, vmax=1)
    column[2].imshow(predicted[n], cmap="cividis", vmin=0, vmax=1)
for axes in panels.ravel():
    axes.set(xticks=[], yticks=[])
for axes, name in zip(panels[:, 0], ("image", "truth", "network"), strict=True):
    axes.set_ylabel(name)

# %% [markdown]
# ## Check yourself
#
# 1. What is the loss of a network that gives every class the same score, for 21 classes? Why is
#    that a good first test of a new program?
# 2. Somebody averages the loss of each image first and then over the images. When does this
#    differ from (2), and which pixels gain weight?
# 3. The gradient of a pixel whose label got probability 0.99 is small. Is that good or bad?
# 4. The rate falls from $\eta$ to $\eta/10$ between two iterations. How large is the next step in
#    Caffe's rule and in PyTorch's, if $g$ stays the same and $v$ has settled?
# 5. A network says "background" everywhere, on images with 90 % background and one other class.
#    What are its accuracy and its mean IoU?
#
# <!-- answer -->
# **Answers.** (1) $\log 21 \approx 3.04$. A loss far from it before the first step means that
# scores are too large, or labels wrong. (2) If images have different numbers of counted pixels;
# those in images with few counted pixels weigh more. (3) Both: easy pixels stop disturbing, but
# as they are the great majority, together they still weigh much against a few difficult ones. (4)
# Settled, Caffe's $v$ is $\eta g/(1-m)$ and the next one is $m\,\eta g/(1-m) + \eta g/10$: with
# $m = 0.9$, 9.1 $\eta g$, hardly less than 10. PyTorch's $v$ is $g/(1-m)$ and the step falls at
# once to $\eta g/(10(1-m)) = \eta g$. (5) 90 %, and $(0.9 + 0)/2 = 45$ %.
# <!-- end -->

# %% [markdown]
# ## Now read the package
#
# `minideeplab/ops/loss.py` is tasks 7.1 and 7.2, with class weights, label smoothing and a choice
# of reductions; `log_softmax` in `minideeplab/ops/activation.py` takes off the largest score.
# `sgd_update` in `minideeplab/ops/elementwise.py` is Caffe's rule of task 7.3, which
# `minideeplab/training/optim.py` applies with the multipliers of each layer, and `poly` in
# `minideeplab/training/schedule.py` is task 7.4. `minideeplab/training/loop.py` puts them together
# with `minideeplab/tape.py`, which makes the gradients. `minideeplab/evaluation` counts what task
# 7.5 needs. The notebook `notebooks/14_training_and_evaluating.ipynb` trains and measures.
