# %% [markdown]
# # Lesson 13 · Reverse mode: building the tape
#
# In lessons 1 to 7 you wrote the backward pass of one layer after another. Something must call
# them: in the right order, with the right cotangents, once each. That is reverse-mode
# differentiation, and it takes about a hundred lines. You will write its parts: the order, the
# accumulation, the inverse of broadcasting, what must be kept in memory, and batch norm's backward
# pass. At the end they run as a small tape that trains a network. Take this lesson after lesson 8.
#
# Five tasks, ten points. `given.py` has a few operations with their backward passes.

# %%
import matplotlib.pyplot as plt
import numpy as np
from given import NEEDS, forward, pullback

import minideeplab as mdl
from minideeplab.grading import checker

plt.style.use("minideeplab.visualize.lecture")
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "0.6"
check = checker("13")

# %% [markdown]
# ## A computation is a graph
#
# Let a program compute values $v_1, v_2, \dots, v_n$, each by one operation from earlier ones. Draw
# an arrow from each input to the result. The values without an input are **leaves**: images,
# weights. As operations only use what exists, there is no cycle.
#
# Let $L$ be a number that depends on the last value $v_n$, and write
# $\bar v = \partial L / \partial v$, the **cotangent** of $v$. By the chain rule, a value collects
# from *all* values that it was used for:
#
# $$ \bar v_i = \sum_{j:\; v_i \text{ is an input of } v_j}
#    \Big(\frac{\partial v_j}{\partial v_i}\Big)^{\!\mathsf T} \bar v_j. \tag{1} $$
#
# Equation (1) says everything about the order: $\bar v_i$ is complete when all values that use
# $v_i$ have passed theirs on. The product on the right is the **pullback** of the operation; it
# never needs the matrix $\partial v_j / \partial v_i$, as you saw in lesson 1.
#
# In this lesson a graph is a dictionary: `graph["c"] == ("add", ("a", "b"))` means that $c$ was
# computed as $a + b$. Leaves are `("leaf", ())`.

# %%
GRAPH = {
    "x": ("leaf", ()),
    "w": ("leaf", ()),
    "a": ("mul", ("x", "w")),
    "b": ("exp", ("a",)),
    "c": ("mul", ("b", "x")),
    "d": ("add", ("c", "a")),
}
PLACES = {"x": (0, 1), "w": (0, -1), "a": (1, -0.6), "b": (2, 0.2), "c": (3, 0.9), "d": (4, 0)}


def draw_graph(axes, labels, colour=BLUE):
    """Draw GRAPH with a label at each value."""
    for name, (_, inputs) in GRAPH.items():
        for one in inputs:
            axes.annotate(
                "", PLACES[name], PLACES[one],
                arrowprops={"arrowstyle": "-|>", "color": GREY, "shrinkA": 15, "shrinkB": 15},
            )  # fmt: skip
    for name, (x, y) in PLACES.items():
        axes.plot(x, y, "o", ms=26, color="white", mec=colour, mew=2)
        axes.text(x, y, name, ha="center", va="center")
        above = 0.38 if name != "a" else -0.62
        axes.text(x, y + above, labels.get(name, ""), ha="center", color=ORANGE, fontsize=11)
    axes.set(xlim=(-0.5, 4.6), ylim=(-1.5, 1.8))
    axes.set_axis_off()


figure, axes = plt.subplots(figsize=(7, 3))
draw_graph(axes, {name: op if op != "leaf" else "" for name, (op, _) in GRAPH.items()})
axes.set_title("$d = e^{xw} x + xw$: $x$ and $a$ are used twice")

# %% [markdown]
# ### Task 13.1 · The order (2 points)
#
# List all values that the last one depends on, each of them once, and each after its inputs. Such
# an order is called *topological*. There are several; return the depth-first one: for a value, take
# its inputs from left to right, each with all that it still needs, and then the value itself. The
# last value comes last.
#
# A deep network is a chain of more than a thousand operations, and Python allows about a thousand
# nested calls. A stack in a list has no such limit: push a value to come back to it, and its inputs
# on top.


# %%
def topological_order(inputs: dict[str, tuple[str, ...]], last: str) -> list[str]:
    """Names of all values below `last` and itself, inputs first; inputs[name] are a value's."""
    # solution 13.1: a stack of (value, are its inputs done?), depth first
    order, done = [], set()
    stack = [(last, False)]
    while stack:
        name, ready = stack.pop()
        if ready:
            order.append(name)
        elif name not in done:
            done.add(name)
            stack.append((name, True))
            stack.extend((one, False) for one in reversed(inputs[name]) if one not in done)
    return order
    # end 13.1


check("13.1", topological_order)

# %% [markdown]
# ## Why not simply follow the arrows back?
#
# One could start at the end and, at each value, call the pullback and go on with each input at
# once. The result is right, since (1), unrolled, is a sum over all *paths* from the end to a leaf.
# But the number of paths may be exponential. In $v_{k+1} = v_k \cdot v_k$ each step doubles it. In
# a network with shortcuts, $v_{k+1} = v_k + f(v_k)$, so does each block. In a topological order
# read backwards, each pullback is called once.

# %%
depth = np.arange(1, 34)
figure, axes = plt.subplots(figsize=(8, 3.2))
axes.semilogy(depth, 2.0**depth, "o-", ms=4, color=ORANGE, label="follow every path")
axes.semilogy(depth, depth, "s-", ms=4, color=BLUE, label="topological order")
axes.axvline(33, color=GREY, lw=1)
axes.text(32.6, 300, "ResNet-101: 33 blocks", rotation=90, ha="right", color="0.35", fontsize=11)
axes.set(xlabel="blocks with a shortcut", ylabel="calls of a pullback")
axes.legend(loc="upper left")

# %% [markdown]
# ### Task 13.2 · Accumulate (2 points)
#
# Compute the gradients of all leaves in `order`. Call `pullback(op, cotangent, arrays, result)` of
# an operation with the arrays of its inputs and its result; it returns a list with one array for
# each input. Two things go wrong often. A value may be used twice, also by *one* operation
# ($x \cdot x$). And a pullback may return the same array for both inputs (that of `add` does), so a
# later `+=` into it changes the cotangent of another value.


# %%
def gradients(
    graph: dict[str, tuple[str, tuple[str, ...]]],
    order: list[str],
    values: dict[str, np.ndarray],
    dy: np.ndarray,
    pullback,
) -> dict[str, np.ndarray]:
    """Gradient of each leaf in order, for the cotangent dy of the last value in order."""
    # solution 13.2: from last to first, pass on what each value has collected
    collected = {order[-1]: np.array(dy)}
    for name in reversed(order):
        op, inputs = graph[name]
        if not inputs:
            continue
        arrays = [values[one] for one in inputs]
        for one, share in zip(
            inputs, pullback(op, collected.pop(name), arrays, values[name]), strict=True
        ):
            collected[one] = collected[one] + share if one in collected else share
    return collected
    # end 13.2


check("13.2", gradients)

# %%
order = topological_order({name: inputs for name, (_, inputs) in GRAPH.items()}, "d")
values = {"x": np.array(0.5), "w": np.array(-1.2)}
for name in order:
    op, inputs = GRAPH[name]
    if inputs:
        values[name] = forward(op, [values[one] for one in inputs])
found = gradients(GRAPH, order, values, np.array(1.0), pullback)

figure, panels = plt.subplots(1, 2, figsize=(12, 3))
draw_graph(panels[0], {name: f"{k}: {values[name]:.3f}" for k, name in enumerate(order, 1)})
panels[0].set_title("forward: the order and the values")
draw_graph(panels[1], {name: f"{g:.3f}" for name, g in found.items()}, ORANGE)
panels[1].set_title("backward: the gradients of the leaves")
x, w = values["x"], values["w"]
assert np.isclose(found["x"], np.exp(x * w) * (1 + x * w) + w)

# %% [markdown]
# ## Broadcasting, backwards
#
# $y = x + b$ with $x$ of shape $(N, C, H, W)$ and $b$ of shape $(C, 1, 1)$: NumPy repeats $b$ along
# all other axes. To repeat is linear. Written as $b' = R\,b$, each row of $R$ has a single one, in
# the column of the entry that was copied there. So the pullback is
# $\bar b = R^{\mathsf T} \bar b'$, and a row of $R^{\mathsf T}$ has a one for *each* copy: **what
# was copied is summed.**
#
# NumPy aligns shapes at their last axes. It puts missing axes in front, and stretches axes of
# length 1. The pullback does both in reverse.
#
# ### Task 13.3 · Sum what was repeated (2 points)


# %%
def sum_to(dy: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Cotangent, of the given shape, of a value that was broadcast to dy's shape."""
    # solution 13.3: sum the axes that were put in front, then those that were stretched
    dy = dy.sum(axis=tuple(range(dy.ndim - len(shape))))
    stretched = tuple(i for i, n in enumerate(shape) if n == 1)
    return dy.sum(axis=stretched, keepdims=True)
    # end 13.3


check("13.3", sum_to)

# %%
repeated = np.stack([np.broadcast_to(row.reshape(3, 1), (3, 4)).ravel() for row in np.eye(3)], 1)
figure, panels = plt.subplots(1, 2, figsize=(9, 3.2), width_ratios=(3, 12))
for axes, matrix, title in zip(panels, (repeated, repeated.T), ("$R$", "$R^T$"), strict=True):
    axes.imshow(matrix, cmap="Blues", vmax=1.5)
    axes.set(title=title, xticks=[], yticks=[])
panels[0].set_ylabel("entries of $(3, 4)$")
panels[1].set_xlabel("a column $(3, 1)$ is copied to four places: four ones in a row of $R^T$")

# %% [markdown]
# ## What must be kept, and when it may go
#
# Pullbacks read values of the forward pass: that of $x \cdot w$ reads $w$ for $\bar x$ and $x$ for
# $\bar w$, that of $e^x$ its result, that of $x + b$ nothing. So training needs memory for almost
# all intermediate results; evaluation does not. Three rules keep it small.
#
# - **Record only what is wanted.** A value needs a cotangent only if it depends on a leaf whose
#   gradient is wanted. Layers whose weights are frozen, from the image up to the first trained one,
#   record nothing. Inside `no_grad()` nothing is recorded at all.
# - **Keep only what is read.** `NEEDS[op][k]` tells what the pullback reads for the cotangent of
#   input $k$: numbers of inputs, or `"result"`. If $\bar x$ is not wanted, $w$ need not be kept.
# - **Free as you go.** After its pullback has been called, an operation's arrays are not read
#   again. The tape drops them, and so a second `backward()` through the same values is an error.
#
# ### Task 13.4 · What is kept? (2 points)
#
# Return the sorted names of the values that must be kept after the forward pass, if the gradients
# of the leaves `wanted` shall be computed.

# %%
NEEDS  # noqa: B018


# %%
def kept_values(
    graph: dict[str, tuple[str, tuple[str, ...]]],
    order: list[str],
    wanted: list[str],
    needs: dict,
) -> list[str]:
    """Sorted names of what the pullbacks will read, for values in topological order."""
    # solution 13.4: mark what depends on wanted leaves, and look up what each such input needs
    tracked, kept = set(wanted), set()
    for name in order:
        op, inputs = graph[name]
        for place, one in enumerate(inputs):
            if one in tracked:
                tracked.add(name)
                kept.update(name if k == "result" else inputs[k] for k in needs[op][place])
    return sorted(kept)
    # end 13.4


check("13.4", kept_values)

# %% [markdown]
# A network of eight layers, $a_k = h_{k-1} w_k$ and $h_k = \mathrm{relu}(a_k)$. How many arrays are
# kept if only the weights of the last layers are trained?

# %%
NET = {"h0": ("leaf", ())}
for k in range(1, 9):
    NET |= {f"w{k}": ("leaf", ()), f"a{k}": ("matmul", (f"h{k - 1}", f"w{k}"))}
    NET |= {f"h{k}": ("relu", (f"a{k}",))}
forwards = topological_order({name: inputs for name, (_, inputs) in NET.items()}, "h8")
counts = []
for trained in range(9):
    leaves = [f"w{k}" for k in range(9 - trained, 9)]
    counts.append(sum(name[0] == "h" for name in kept_values(NET, forwards, leaves, NEEDS)))

figure, axes = plt.subplots(figsize=(7, 3))
axes.bar(range(9), counts, color=BLUE)
axes.set(xlabel="last layers that are trained", ylabel="features kept, arrays", xticks=range(9))

# %% [markdown]
# ## Batch normalization
#
# Most pullbacks are short. Batch norm's is the one that is most often wrong, as its mean and
# variance are computed from $x$, too. For each channel, with the $m = N H W$ values of a batch,
#
# $$ \mu = \frac1m \sum_i x_i, \qquad \sigma^2 = \frac1m \sum_i (x_i - \mu)^2 + \epsilon, \qquad
#    \hat x_i = \frac{x_i - \mu}{\sigma}, \qquad y_i = w\, \hat x_i + b. $$
#
# First the statistics. $\partial \mu / \partial x_j = 1/m$. In the variance, the part that goes
# through $\mu$ is $-\frac2m \sum_i (x_i - \mu) \frac1m = 0$, so that
# $\partial \sigma^2 / \partial x_j = \frac2m (x_j - \mu)$, and
#
# $$ \frac{\partial \sigma}{\partial x_j}
#    = \frac{1}{2 \sigma} \frac{\partial \sigma^2}{\partial x_j} = \frac{\hat x_j}{m}. $$
#
# By the quotient rule, with $\delta_{ij} = 1$ for $i = j$ and 0 otherwise,
#
# $$ \frac{\partial \hat x_i}{\partial x_j}
#    = \frac{1}{\sigma} \Big(\delta_{ij} - \frac1m\Big)
#      - \frac{x_i - \mu}{\sigma^2} \frac{\hat x_j}{m}
#    = \frac1\sigma \Big(\delta_{ij} - \frac1m - \frac{\hat x_i\, \hat x_j}{m}\Big). \tag{2} $$
#
# Read (2) as a matrix. For $\epsilon = 0$, $\hat x / \sqrt m$ and $(1, \dots, 1) / \sqrt m$ are
# unit vectors at right angles, and the bracket is the projection that removes both directions.
# Rightly so: to shift all $x_i$, or to stretch them, does not change $y$.
#
# ### Task 13.5 · Back through batch norm (2 points)
#
# Multiply by the transpose of (2), and find $\bar w$ and $\bar b$ from the definition of $y$. $b$
# itself is not needed.


# %%
def batch_norm_backward(
    dy: np.ndarray, x: np.ndarray, weight: np.ndarray, eps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(dx (N, C, H, W), dweight (C,), dbias (C,)) for dy and x (N, C, H, W), weight (C,)."""
    # solution 13.5: normalise again, then take off the mean and the part along the normalised x
    axes = (0, 2, 3)
    centred = x - x.mean(axes, keepdims=True)
    sigma = np.sqrt((centred**2).mean(axes, keepdims=True) + eps)
    normalised = centred / sigma
    scaled = dy * weight[:, None, None]
    along = (scaled * normalised).mean(axes, keepdims=True)
    dx = (scaled - scaled.mean(axes, keepdims=True) - normalised * along) / sigma
    return dx, (dy * normalised).sum(axes), dy.sum(axes)
    # end 13.5


check("13.5", batch_norm_backward)

# %% [markdown]
# One channel of random values, and a cotangent. Each point is one value: the gradient that goes
# back, against the normalised value. If mean and variance are taken as fixed, the gradient has a
# mean and a slope; a step along it would be undone by the normalisation. The right one has neither.

# %%
rng = np.random.default_rng(13)
x = rng.normal(2.0, 3.0, (4, 1, 6, 6))
xhat = (x - x.mean()) / x.std()
dy = 0.6 + 0.5 * xhat + 0.4 * rng.standard_normal(x.shape)
one = np.ones(1)
right = batch_norm_backward(dy, x, one, 1e-5)[0]
figure, panels = plt.subplots(1, 2, figsize=(10, 3.2), sharey=True)
for axes, dx, title, colour in (
    (panels[0], dy / x.std(), "statistics taken as fixed", ORANGE),
    (panels[1], right, "right", BLUE),
):
    axes.plot(xhat.ravel(), dx.ravel(), "o", ms=4, color=colour, alpha=0.6)
    slope, height = np.polyfit(xhat.ravel(), dx.ravel(), 1)
    ends = np.array([xhat.min(), xhat.max()])
    axes.plot(ends, height + slope * ends, color="0.3", lw=1.5)
    axes.set(
        title=f"{title}: mean {abs(dx.mean()):.2f}, slope {abs(slope):.2f}", xlabel="normalised x"
    )
panels[0].set_ylabel("gradient of x")
assert abs(right.mean()) < 1e-12

# %% [markdown]
# ## A tape of your own
#
# Now the parts are put to work. A `Tape` records each operation into a graph, with its value;
# `backward` takes the order and the gradients from your functions. Broadcasting is undone by
# `sum_to` around each pullback. The network fits a ring: is a point at a distance between 1 and 2
# from the origin?


# %%
class Tape:
    """A graph, its values, and the names of the leaves."""

    def __init__(self):
        self.graph, self.values = {}, {}

    def leaf(self, array):
        """Record a leaf; return its name."""
        return self.record("leaf", (), np.asarray(array, float))

    def record(self, op, inputs, array):
        """Record a result; return its name."""
        name = f"v{len(self.graph)}"
        self.graph[name], self.values[name] = (op, inputs), array
        return name

    def __call__(self, op, *inputs):
        """Compute an operation of values by name; return the result's name."""
        return self.record(op, inputs, forward(op, [self.values[one] for one in inputs]))

    def backward(self, last):
        """Return the gradients of all leaves that a number depends on."""
        order = topological_order({n: i for n, (_, i) in self.graph.items()}, last)
        return gradients(self.graph, order, self.values, np.array(1.0), self.pull)

    @staticmethod
    def pull(op, dy, arrays, result):
        """Return pullbacks with the shapes of the inputs."""
        shares = pullback(op, dy, arrays, result)
        return [sum_to(s, a.shape) for s, a in zip(shares, arrays, strict=True)]


points = rng.uniform(-2.5, 2.5, (400, 2))
radius = np.hypot(*points.T)
target = np.where((radius > 1) & (radius < 2), 1.0, -1.0)[:, None]
weights = [rng.standard_normal((2, 24)), rng.standard_normal(24),
           rng.standard_normal((24, 24)) * 0.3, np.zeros(24),
           rng.standard_normal((24, 1)) * 0.1, np.zeros(1)]  # fmt: skip


def network(tape, names, data):
    """Scores (N, 1) of two hidden layers."""
    h = tape.leaf(data)
    for layer in range(3):
        h = tape("add", tape("matmul", h, names[2 * layer]), names[2 * layer + 1])
        h = tape("relu", h) if layer < 2 else h
    return h


losses = []
for step in range(800):
    tape = Tape()
    names = [tape.leaf(w) for w in weights]
    error = tape("add", network(tape, names, points), tape.leaf(-target))
    loss = tape("mean", tape("mul", error, error))
    losses.append(float(tape.values[loss]))
    found = tape.backward(loss)
    rate = 0.05 * (1 - step / 800) ** 0.9  # lesson 7
    weights = [w - rate * found[name] for w, name in zip(weights, names, strict=True)]

grid = np.stack(np.meshgrid(np.linspace(-2.5, 2.5, 80), np.linspace(-2.5, 2.5, 80)), -1)
tape = Tape()
scores = tape.values[network(tape, [tape.leaf(w) for w in weights], grid.reshape(-1, 2))]
figure, (left, middle) = plt.subplots(1, 2, figsize=(10, 3.6), width_ratios=(5, 4))
left.semilogy(losses, color=BLUE)
left.set(xlabel="step", ylabel="mean squared error")
middle.imshow(scores.reshape(80, 80), extent=(-2.5, 2.5, -2.5, 2.5), origin="lower",
              cmap="RdBu", vmin=-1.5, vmax=1.5)  # fmt: skip
middle.scatter(*points.T, s=6, c=np.where(target > 0, "white", "black").ravel())
middle.set(title="score, and the points", xticks=[], yticks=[])
assert losses[-1] < 0.4 * losses[0]

# %% [markdown]
# The peaks are steps that were too long for the steepest direction; they end as the rate falls.
#
# The library's tape does the same with objects in place of names: each `Tensor` holds a node with
# its inputs and its pullback.

# %%
x = mdl.Tensor(np.array([1.0, 2.0]), requires_grad=True)
y = (x * x + x).sum()
y.backward()
print("gradient:", x.grad, "and the node is used up:", y.node.backward is None)
with mdl.no_grad():
    print("recorded inside no_grad:", (x * x).node)
try:
    y.backward()
except RuntimeError as error:
    print(error)

# %% [markdown]
# ## Now read the package
#
# - `minideeplab/tape.py`: `topological_order` and `backpropagate` are tasks 13.1 and 13.2 for
#   tensors, `sum_to` is task 13.3, and `Node.cotangents` frees inputs and pullback.
# - `minideeplab/tensor.py`: `record` keeps only inputs that require a gradient (task 13.4), and the
#   arithmetic with its pullbacks in one line each.
# - `minideeplab/ops/norm.py`: batch norm, forward beside backward.
# - `minideeplab/functional/norm.py`: how such a pair becomes an operation on tensors.
# - `minideeplab/training/optim.py`: who uses the gradients.
#
# ## Check yourself
#
# 1. Forward mode computes $\partial v_j / \partial x$ along with $v_j$, one input $x$ at a time.
#    For which functions is it cheaper than reverse mode, and why are networks not among them?
# 2. `gradients` calls each pullback once. How much more than a forward pass does a backward pass
#    cost if each layer is a matrix product?
# 3. A deep network does not fit into memory. You keep only every tenth layer's features, and
#    compute the others again in the backward pass. What does that cost in time, and what does it
#    save?
# 4. In evaluation, batch norm uses fixed statistics. What is its pullback then, and why can it be
#    folded into the convolution before it?
#
# <!-- answer -->
# **Answers.** (1) For few inputs and many outputs: it needs one pass for each input. A network's
# loss is one number, of millions of weights. (2) $y = xw$ takes one product forward and two
# backward, for $\bar x$ and $\bar w$: twice as much, three times in all. (3) One more forward pass,
# so four thirds of the time; the memory falls to about a tenth, plus ten layers. (4)
# $\bar x = \bar y\, w / \sigma$; $y$ is then a linear function of $x$ with one factor and one
# offset for each channel, which scale the filters and move the bias.
# <!-- end -->

# %% [markdown]
# ## Now read the package
#
# `minideeplab/tape.py` is this lesson: `Node` is what an operation records, `topological_order` and
# `backpropagate` walk the graph, `sum_to` undoes broadcasting, `no_grad` stops the recording.
# `minideeplab/tensor.py` holds value and gradient and has the operators. Each function of
# `minideeplab/functional` computes by the backend and records its backward pass, which stands
# beside the forward pass in `minideeplab/ops`: see `batch_norm` and `batch_norm_backward` in
# `minideeplab/ops/norm.py`. `minideeplab/nn/module.py` finds the parameters of a network, and
# `minideeplab/crf/layer.py` puts the whole dense CRF on the tape as one operation. `gradcheck` in
# `minideeplab/testing/gradients.py` tests what was recorded. The notebook
# `notebooks/06_what_backprop_sends_back.ipynb` shows what arrives at every layer.
