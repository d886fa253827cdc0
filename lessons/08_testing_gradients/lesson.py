# %% [markdown]
# # Lesson 8 · Testing gradients: why a cotangent of ones lies
#
# A wrong gradient rarely stops a network from learning. It only learns worse, and nobody knows why.
# So gradients are tested against differences of the function itself. You will write such a test,
# find out how large a step it should take, and see that the test in most courses and many libraries
# (sum the outputs, differentiate) does not notice some of the commonest mistakes.
#
# Five tasks, ten points. `given.py` has functions with right and wrong backward passes.

# %%
import given
import matplotlib.pyplot as plt
import numpy as np

from minideeplab.grading import checker
from minideeplab.testing import gradcheck

plt.style.use("minideeplab.visualize.lecture")
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
check = checker("08")

# %% [markdown]
# ## Differences instead of derivatives
#
# Taylor's theorem, once forwards and once backwards from $t$:
#
# $$ f(t \pm h) = f(t) \pm h f'(t) + \tfrac{h^2}{2} f''(t) \pm \tfrac{h^3}{6} f'''(t) + \dots $$
#
# Subtract the two, and all even terms cancel. The **central difference**
#
# $$ \frac{f(t + h) - f(t - h)}{2h} = f'(t) + \frac{h^2}{6} f'''(t) + \dots \tag{1} $$
#
# is off by a multiple of $h^2$; the one-sided $(f(t + h) - f(t)) / h$ by a multiple of $h$. For a
# function of an array, move one entry at a time, and leave the others where they are.
#
# ### Task 8.1 · A gradient from differences (2 points)


# %%
def numerical_gradient(f, x: np.ndarray, step: float) -> np.ndarray:
    """Central differences of f, which makes a number of x (any shape): an array of x's shape."""
    # solution 8.1: move each entry of a copy of x forwards and backwards by the step
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        ahead, behind = x.copy(), x.copy()
        ahead[index] += step
        behind[index] -= step
        gradient[index] = (f(ahead) - f(behind)) / (2 * step)
    return gradient
    # end 8.1


check("8.1", numerical_gradient)

# %% [markdown]
# ## How long a step?
#
# A small $h$ makes (1) more exact. But $f$ is computed with an error of about $\varepsilon F$,
# where $F$ is the size of the numbers that it adds up and $\varepsilon \approx 2 \cdot 10^{-16}$ in
# double precision, and the division by $h$ magnifies that. In the worst case, with $|f'''| \le M$,
#
# $$ E(h) = \underbrace{\frac{h^2}{6} M}_{\text{truncation}}
#         + \underbrace{\frac{\varepsilon F}{h}}_{\text{rounding}}. $$
#
# ### Task 8.2 · The best step (1 point)
#
# Find the $h$ at which $E$ is smallest, and how small it is there: set the derivative of $E$ to
# zero. Do it for the one-sided difference as well. Its truncation follows from Taylor's theorem
# above, with $|f''| \le M$, and its rounding is $2 \varepsilon F / h$: two errors over $h$, where
# the central difference has two over $2h$.


# %%
def best_step(size: float, bound: float, eps: float, central: bool) -> tuple[float, float]:
    """(h, E(h)) where E is smallest, for F = size, M = bound and rounding eps."""
    # solution 8.2: solve E'(h) = 0 for h
    if central:
        h = (3 * eps * size / bound) ** (1 / 3)
        return h, h**2 * bound / 6 + eps * size / h
    h = (4 * eps * size / bound) ** 0.5
    return h, h * bound / 2 + 2 * eps * size / h
    # end 8.2


check("8.2", best_step)

# %%
steps = 10.0 ** np.arange(-13, 0, 0.1)
truth = np.cos(1.0)
one_sided = np.abs((np.sin(1.0 + steps) - np.sin(1.0)) / steps - truth)
central = np.abs((np.sin(1.0 + steps) - np.sin(1.0 - steps)) / (2 * steps) - truth)
EPS = np.finfo(float).eps

figure, axes = plt.subplots()
axes.loglog(steps, one_sided, color=ORANGE, lw=1.2, label="one-sided")
axes.loglog(steps, central, color=BLUE, lw=1.2, label="central")
axes.loglog(steps, steps**2 / 6 * truth, "--", color="0.4", lw=1.4, label="h² M / 6")
axes.loglog(steps, EPS * np.sin(1.0) / steps, ":", color="0.4", lw=1.8, label="ε F / h")
axes.axvline((3 * EPS * np.tan(1.0)) ** (1 / 3), color=GREEN, lw=1.5, label="best step")
axes.set(xlabel="step h", ylabel="error of sin′(1)", ylim=(1e-13, 1))
axes.legend(ncols=2, loc="upper center")

# %% [markdown]
# ## From a number to an array: the cotangent
#
# A layer $y = f(x)$ returns an array. Its backward pass takes $\bar y$, the derivative of some loss
# with respect to $y$, and returns $\bar x = J^{\mathsf T} \bar y$ with the Jacobian
# $J_{mn} = \partial y_m / \partial x_n$. To test it, choose a loss whose $\bar y$ you know: for any
# fixed array $c$, the **cotangent**,
#
# $$ L(x) = \sum_m c_m\, f(x)_m \qquad \text{has} \qquad \bar y = c. $$
#
# And there is no need to move every entry by itself. Along one **direction** $v$ the slope of $L$
# is
#
# $$ \frac{d}{dt} L(x + t v) \Big|_{t=0} = \langle J^{\mathsf T} c,\; v \rangle
#    \approx \frac{L(x + h v) - L(x - h v)}{2h}: $$
#
# two calls of $f$ and one of the backward pass, however large $x$ is.
#
# ### Task 8.3 · Two slopes (2 points)


# %%
def two_slopes(
    f, backward, x: np.ndarray, cotangent: np.ndarray, direction: np.ndarray, step: float
) -> tuple[float, float]:
    """Slope of L at x along a direction: (by backward(dy, x), by a central difference)."""
    # solution 8.3: weight the outputs with the cotangent, the gradient with the direction
    analytical = np.sum(backward(cotangent, x) * direction)
    ahead, behind = f(x + step * direction), f(x - step * direction)
    numerical = np.sum(cotangent * (ahead - behind)) / (2 * step)
    return float(analytical), float(numerical)
    # end 8.3


check("8.3", two_slopes)

# %% [markdown]
# ## Why ones lie
#
# The convenient choice is $c = 1$ everywhere: then $L$ is the sum of the outputs. Now let a wrong
# backward pass compute $\hat J^{\mathsf T} c$ and write $D = \hat J - J \neq 0$ for the mistake.
# The test sees nothing of $D$ but $D^{\mathsf T} c$.
#
# - **Softmax.** The outputs of a row sum to 1 whatever $x$ is, so $J^{\mathsf T} 1 = 0$. A backward
#   pass that returns *zero* is right in the eyes of this test. The same goes for everything
#   that removes a mean, such as batch normalisation.
# - **Swapped axes, upside-down images.** If $\hat J$ is $J$ with its rows and columns in a
#   different order, and every pixel is used equally often, the sums do not change.
#
# A *direction* of ones is no better: softmax does not change when all its scores grow alike.
#
# Draw $c$ and $v$ from a normal distribution instead. Their entries are independent, of mean 0 and
# variance 1, so that
#
# $$ \mathbb E\, \langle D^{\mathsf T} c, v \rangle^2
#    = \sum_{m, n} \sum_{m', n'} D_{mn} D_{m'n'}\, \mathbb E[c_m c_{m'}]\, \mathbb E[v_n v_{n'}]
#    = \sum_{m, n} D_{mn}^2. $$
#
# On average one random slope shows the **whole** mistake, and the chance that it shows exactly
# none is zero: $\langle D^{\mathsf T} c, v\rangle = 0$ holds only on a surface without volume.

# %%
MISTAKES = {
    "softmax: zero": (given.softmax, given.softmax_zero, (3, 4)),
    "softmax: diagonal": (given.softmax, given.softmax_diagonal, (3, 4)),
    "centre: zero": (given.centre, given.centre_zero, (5, 3)),
    "centre: fixed mean": (given.centre, given.centre_mean_taken_as_fixed, (5, 3)),
    "enlarge: swapped": (given.enlarge, given.enlarge_swapped, (4, 4)),
    "enlarge: upside down": (given.enlarge, given.enlarge_upside_down, (4, 4)),
    "cube: halved": (given.cube, given.cube_halved, (3, 4)),
    "cube: last entry": (given.cube, given.cube_last_entry_lost, (3, 4)),
}


def distance(f, backward, shape, seed, ones):
    """How far the slopes by backward pass and by difference are apart."""
    rng = np.random.default_rng(seed)
    x, v = rng.standard_normal((2, *shape))
    c = np.ones(f(x).shape) if ones else rng.standard_normal(f(x).shape)
    numerical = np.sum(c * (f(x + 1e-5 * v) - f(x - 1e-5 * v))) / 2e-5
    return abs(np.sum(backward(c, x) * v) - numerical)


figure, axes = plt.subplots(figsize=(9, 4))
for row, (f, backward, shape) in enumerate(MISTAKES.values()):
    for ones, colour, shift in ((True, ORANGE, 0.14), (False, BLUE, -0.14)):
        found = [max(distance(f, backward, shape, seed, ones), 1e-12) for seed in range(20)]
        axes.plot(found, np.full(20, row + shift), "o", ms=5, color=colour, alpha=0.6)
axes.set(xscale="log", xlabel="distance of the two slopes, 20 tries", yticks=range(len(MISTAKES)))
axes.set_yticklabels(MISTAKES)
axes.axvspan(1e-13, 1e-7, color="0.92", zorder=0)
axes.text(1.5e-13, -0.75, "looks right", va="center", color="0.35")
axes.plot([], [], "o", color=ORANGE, label="cotangent of ones")
axes.plot([], [], "o", color=BLUE, label="random cotangent")
axes.legend(loc="center", bbox_to_anchor=(0.48, 0.22))
axes.set(xlim=(1e-13, 1e3), ylim=(len(MISTAKES) - 0.5, -1.1))

# %% [markdown]
# ### Task 8.4 · The test (3 points)
#
# Draw cotangent and direction from `np.random.default_rng(seed).standard_normal`, compare the two
# slopes of equation (1)'s kind with step $10^{-5}$, and decide: right means that they differ by at
# most $10^{-6}$ of the larger one's magnitude. (Write it all here: tasks do not call each other.)


# %%
def gradient_is_right(f, backward, x: np.ndarray, seed: int) -> bool:
    """Whether backward(dy, x) is the gradient of f at x."""
    # solution 8.4: compare the slopes for a random cotangent along a random direction
    draw = np.random.default_rng(seed).standard_normal
    c, v, h = draw(f(x).shape), draw(x.shape), 1e-5
    by_difference = np.sum(c * f(x + h * v) - c * f(x - h * v)) / (2 * h)
    by_backward = np.sum(v * backward(c, x))
    largest = max(abs(by_backward), abs(by_difference))
    return bool(abs(by_backward - by_difference) <= 1e-6 * largest)
    # end 8.4


check("8.4", gradient_is_right)

# %% [markdown]
# ## Linear layers need no difference at all
#
# Convolution, upsampling, padding and averaging are linear: $f(x) = A x$, and the backward pass is
# $A^{\mathsf T}$ whatever $x$ is. Then for any $x$ and $\bar y$
#
# $$ \langle \bar y, A x \rangle = \bar y^{\mathsf T} A x
#    = \langle A^{\mathsf T} \bar y, x \rangle, $$
#
# and both sides come without any step, right to the last few digits. The gap between them says
# *that* a transpose is wrong. *Where* it is wrong, unit vectors say: entry $A_{mn}$ is
# $e_m^{\mathsf T} A e_n$, and the function that should be the transpose has its own opinion of it.
#
# ### Task 8.5 · The dot-product test (2 points)
#
# Return the gap $\langle \bar y, A x \rangle - \langle \hat A^{\mathsf T} \bar y, x \rangle$ for
# a linear $f$ and a candidate for its transpose, and the place $(m, n)$ at which the candidate's
# matrix differs most from $A$: the first in reading order, and `None` if nowhere by more than
# $10^{-9}$.


# %%
def adjoint_gap(
    f, transpose, x: np.ndarray, dy: np.ndarray
) -> tuple[float, tuple[int, int] | None]:
    """(<dy, f(x)> - <transpose(dy), x>, (m, n) of the worst entry or None) for x (N,), dy (M,)."""
    # solution 8.5: two inner products, then both matrices from unit vectors
    gap = float(np.sum(dy * f(x)) - np.sum(transpose(dy) * x))
    matrix = np.stack([f(unit) for unit in np.eye(len(x))], axis=1)
    claimed = np.stack([transpose(unit) for unit in np.eye(len(dy))])
    wrong = abs(matrix - claimed)
    if wrong.max() <= 1e-9:
        return gap, None
    m, n = np.unravel_index(wrong.argmax(), wrong.shape)
    return gap, (int(m), int(n))
    # end 8.5


check("8.5", adjoint_gap)

# %% [markdown]
# The library has this test as `minideeplab.testing.gradcheck`: several directions, Richardson's
# extrapolation to estimate its own error, and where a gradient is wrong, entry by entry how.

# %%
X = np.random.default_rng(0).standard_normal((2, 3))
print("right:", gradcheck(given.softmax, X, backward=given.softmax_backward))
try:
    gradcheck(given.softmax, X, backward=given.softmax_zero)
except AssertionError as error:
    print(error)

# %% [markdown]
# ## Check yourself
#
# 1. With the best step, how does the error $E$ depend on $\varepsilon$? How many digits are right
#    in double precision, and how many would be in single precision?
# 2. ReLU has a kink at 0. What happens to the test if an entry of $x$ is closer to 0 than $h$, and
#    what do you do about it?
# 3. Would a random cotangent with a direction of ones find everything that a random direction
#    finds?
# 4. A colleague's test moves each entry by itself and uses $c = 1$. It costs more than yours. Does
#    it find more?
#
# <!-- answer -->
# **Answers.** (1) With $h \propto \varepsilon^{1/3}$ both parts are proportional to
# $\varepsilon^{2/3}$: about $10^{-10}$, or ten digits, against $10^{-5}$. (2) The difference
# mixes the two slopes and the test fails although the gradient is right; keep test points away from
# kinks by more than $h$. (3) Not everything: it sees only the sum of $\bar x$'s entries, so
# mistakes that move shares from one entry to another stay hidden. (4) No: it sees all of
# $D^{\mathsf T} 1$, but nothing else of $D$.
# <!-- end -->

# %% [markdown]
# ## Now read the package
#
# `gradcheck` in `minideeplab/testing/gradients.py` is this lesson as a tool: random cotangents,
# several directions, an estimate of the error of the differences, and in the end which entries are
# wrong. It differentiates what `minideeplab/tape.py` recorded, so it tests layers of
# `minideeplab/nn` and whole networks as well. `batch_norm_backward` in `minideeplab/ops/norm.py`
# and `softmax_backward` in `minideeplab/ops/activation.py` are the two backward passes that a
# cotangent of ones never tests. `minideeplab verify --help` compares a function of yours with the
# definitions. The notebook `notebooks/10_is_your_framework_right.ipynb` does that for a framework.
