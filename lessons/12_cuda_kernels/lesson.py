# %% [markdown]
# # Lesson 12 · CUDA kernels without owning a GPU
#
# A GPU runs one function, the *kernel*, in thousands of threads at once. Writing kernels is easy;
# writing right ones is not, since a mistake may show once in a thousand runs. You will write the
# four patterns from which this library's CUDA backend is built (a thread for each output, a
# guard, an atomic addition, a reduction in shared memory), in Python, and run them under a checker
# that finds races, wrong bounds and missing barriers on *every* run, on any computer.
#
# Five tasks, ten points.

# %%
import matplotlib.pyplot as plt
import numpy as np
from given import launch
from numba import cuda

from minideeplab.grading import checker

plt.style.use("minideeplab.visualize.lecture")
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
check = checker("12")

# %% [markdown]
# ## Grids of blocks of threads
#
# A launch has a number of **blocks** $B$ of $T$ **threads** each. A thread knows its place $t$ in
# its block (`cuda.threadIdx.x`), its block's place $b$ (`cuda.blockIdx.x`), and so its place in the
# grid, which `cuda.grid(1)` computes:
#
# $$ i = b\,T + t, \qquad 0 \le i < B\,T. $$
#
# To give each of $n$ elements a thread, $B\,T \ge n$ is needed, with the smallest such $B$. Let
# $n = qT + r$ with $0 \le r < T$. Then $B = q$ for $r = 0$ and $B = q + 1$ otherwise, which is
# $B = \lceil n / T \rceil = \lfloor (n + T - 1) / T \rfloor$: adding $T - 1$ carries over into the
# next whole block unless $r = 0$. Up to $T - 1$ threads at the end have no element.

# %%
figure, axes = plt.subplots(figsize=(9, 1.7))
for i in range(16):
    inside = i < 13
    axes.add_patch(plt.Rectangle((i + 0.06 + 0.4 * (i // 4), 0), 0.88, 1,
                                 color=BLUE if inside else ORANGE, alpha=0.8))  # fmt: skip
    axes.text(i + 0.5 + 0.4 * (i // 4), 0.5, i, ha="center", va="center", color="white")
for b in range(4):
    axes.text(4.4 * b + 2, -0.45, f"block {b}", ha="center")
axes.text(17.5, 0.5, "13 elements,\n4 blocks of 4:\nthreads 13 to 15\nmust do nothing", va="center")
axes.set(xlim=(0, 23), ylim=(-0.7, 1.2))
axes.axis("off")

# %% [markdown]
# Often $n$ is larger than any grid one would launch. Then every thread does several elements: its
# own place $i$ first, and from there on in steps of the whole grid, $i + B\,T$, $i + 2 B\,T$, ...
# Neighbouring threads work on neighbouring elements at all times, which memory rewards.
#
# ### Task 12.1 · Who does what? (1 point)
#
# Thread $t$ of block $b$ is given. Which elements does it work on?


# %%
def elements_of(n: int, blocks: int, threads: int, b: int, t: int) -> np.ndarray:
    """Places, from small to large, of the elements 0 to n - 1 that a thread works on: int64."""
    # solution 12.1: from the place in the grid on, in steps of all threads
    return np.arange(b * threads + t, n, blocks * threads)
    # end 12.1


check("12.1", elements_of)

# %% [markdown]
# ## The first kernel, and its guard
#
# A kernel returns nothing; it reads and writes arrays. A launch is `kernel[blocks, threads](...)`
# on a GPU, and `launch(kernel, blocks, threads, ...)` from `given.py` here. Every thread whose
# place is beyond the end must do nothing: a GPU does not complain about `y[i]` outside of `y`, it
# overwrites whatever lies there.
#
# ### Task 12.2 · A thread for each element (2 points)
#
# Write the kernel inside the function, launch it on enough blocks, and return `y`. From here on the
# result has to be an array that a kernel wrote: `launch` keeps an account.


# %%
def scale(x: np.ndarray, factor: float, threads: int) -> np.ndarray:
    """factor x for x (N,), by a kernel on blocks of so many threads: y (N,)."""
    # solution 12.2: one thread for each element, and a guard for the threads beyond the end

    def kernel(x, factor, y):
        i = cuda.grid(1)
        if i < y.size:
            y[i] = factor * x[i]

    y = np.zeros(len(x))
    launch(kernel, -(-len(x) // threads), threads, x, factor, y)
    return y
    # end 12.2


check("12.2", scale)

# %% [markdown]
# ## Gather: whoever owns an output writes it
#
# Convolution has two kernels. To **gather**, a thread owns one output and adds up all that belongs
# there; to **scatter**, a thread owns one input and adds its share to several outputs, which others
# write to as well. Gathering needs no agreement between threads, so prefer it: forward
#
# $$ y[p] = \sum_k w[k]\, x[p + r k] $$
#
# is a gather as it stands (lesson 2), and so is its gradient once it is written by input position,
# $\bar x[n] = \sum_k w[k]\, \bar y[n - rk]$ (the same sum, sorted by $n$).
#
# ### Task 12.3 · Atrous convolution, an output a thread (2 points)


# %%
def atrous_conv1d(x: np.ndarray, w: np.ndarray, rate: int, threads: int) -> np.ndarray:
    """Convolve x (N,) with w (K,) at a rate, no padding: y (N - (K-1) rate,)."""
    # solution 12.3: each thread adds up the taps of its output in a variable of its own

    def kernel(x, w, rate, y):
        p = cuda.grid(1)
        if p < y.size:
            total = 0.0
            for k in range(w.size):
                total += w[k] * x[p + rate * k]
            y[p] = total

    y = np.zeros(len(x) - (len(w) - 1) * rate)
    launch(kernel, -(-len(y) // threads), threads, x, w, rate, y)
    return y
    # end 12.3


check("12.3", atrous_conv1d)

# %% [markdown]
# ## Races
#
# `count[c] += 1` is three steps: read, add, write. Let two threads do it to one element. If both
# read before either writes, one addition is lost. Of the $\binom{4}{2} = 6$ orders in which the
# reads and writes of two threads can be interleaved, only the two in which one thread
# finishes before the other starts give 2; the other four give 1.
#
# Two accesses to one element **race** if they are by different threads, at least one writes,
# and nothing orders them: no barrier between them, and not both atomic. An **atomic** operation,
# `cuda.atomic.add(count, c, 1)`, does its three steps as one. A race is a mistake even when the
# result happens to be right, and that is what the checker looks for: it does not wait for bad luck.
#
# ### Task 12.4 · Counting labels (2 points)
#
# One thread for each pixel; labels that are no class (such as 255) do not count. This is how a
# confusion matrix is made, and how a gradient is scattered.


# %%
def count_labels(labels: np.ndarray, classes: int, threads: int) -> np.ndarray:
    """Pixels of each class in labels (N,) int64, others ignored: counts (classes,) int64."""
    # solution 12.4: an atomic addition for each pixel that has a class

    def kernel(labels, counts):
        i = cuda.grid(1)
        if i < labels.size:
            label = labels[i]
            if label >= 0 and label < counts.size:
                cuda.atomic.add(counts, label, 1)

    counts = np.zeros(classes, np.int64)
    launch(kernel, -(-len(labels) // threads), threads, labels, counts)
    return counts
    # end 12.4


check("12.4", count_labels)

# %% [markdown]
# ## Together: shared memory and barriers
#
# Atomic additions to one place happen one after the other. A sum of $T$ numbers goes faster as a
# tree: in step $s$ every thread $t < T / 2^s$ adds the number of thread $t + T / 2^s$ to its own.
# After $\log_2 T$ steps thread 0 has the sum, against $T - 1$ steps for one thread alone.
#
# The numbers lie in **shared memory**, which all threads of a block see:
# `cuda.shared.array(threads, np.float64)`. It comes filled with garbage, so every place must be
# written before it is read. Between writing and another thread's reading there must be a
# **barrier**, `cuda.syncthreads`, to which *all* threads of the block come: also those that have
# nothing to add.

# %%
figure, axes = plt.subplots(figsize=(9, 3))
for step, alive in enumerate((8, 4, 2, 1)):
    for t in range(8):
        axes.plot(t, -step, "o", ms=13, color=BLUE if t < alive else "0.85")
    for t in range(alive // 2):
        for start in (t, t + alive // 2):
            axes.annotate("", (t, -step - 0.8), (start, -step - 0.2),
                          arrowprops={"arrowstyle": "->", "color": "0.4"})  # fmt: skip
    if alive > 1:
        axes.axhline(-step - 0.5, color=ORANGE, lw=1, ls="--")
axes.text(7.6, -0.42, "barrier", color=ORANGE)
axes.set(xticks=range(8), xlabel="thread of the block", yticks=[0, -1, -2, -3], xlim=(-0.5, 8.6))
axes.set_yticklabels(["loaded", "step 1", "step 2", "step 3"])

# %% [markdown]
# ### Task 12.5 · A sum for each block (3 points)
#
# `threads` is a power of two. The last block may have fewer elements than threads: what do its
# other threads put into shared memory?


# %%
def block_sums(x: np.ndarray, threads: int) -> np.ndarray:
    """Sums of x (N,) over pieces of so many entries, each by one block: (ceil(N / threads),)."""
    # solution 12.5: load into shared memory, then halve the number of adding threads, with barriers

    def kernel(x, sums):
        shared = cuda.shared.array(threads, np.float64)
        t, i = cuda.threadIdx.x, cuda.grid(1)
        shared[t] = x[i] if i < x.size else 0.0
        half = threads // 2
        while half > 0:
            cuda.syncthreads()
            if t < half:
                shared[t] += shared[t + half]
            half //= 2
        if t == 0:
            sums[cuda.blockIdx.x] = shared[0]

    sums = np.zeros(-(-len(x) // threads))
    launch(kernel, len(sums), threads, x, sums)
    return sums
    # end 12.5


check("12.5", block_sums)

# %% [markdown]
# ## Why share at all? Counting bytes
#
# Say a GPU computes $\pi$ operations and moves $\beta$ bytes in a second. A kernel that does $a$
# operations for each byte needs at least $\max(1 / \pi,\; 1 / (a \beta))$ seconds an operation,
# so it reaches at most $\min(\pi,\; a \beta)$: the **roofline**. Below $a = \pi / \beta$ memory is
# the limit.
#
# A $k \times k$ convolution with $C$ channels and $F$ filters does $2 k^2 C$ operations for one
# output of one filter. If every thread fetches its own numbers, each product takes two floats, 8
# bytes: $a = 2 / 8 = 1/4$. If a block loads tiles of $M$ outputs × $R$ products and $R$ × $M$
# weights into shared memory, $2 M R$ floats serve $2 M^2 R$ operations:
#
# $$ a = \frac{2 M^2 R}{4 \cdot 2 M R} = \frac{M}{4}. $$

# %%
PEAK, BANDWIDTH = 20e12, 1e12  # of a present GPU, about: operations and bytes in a second
intensity = np.geomspace(0.1, 300, 200)
figure, axes = plt.subplots(figsize=(9, 3.4))
axes.loglog(intensity, np.minimum(PEAK, intensity * BANDWIDTH) / 1e12, color=BLUE)
for a, name in ((0.25, "each its own"), (4, "16 × 16"), (16, "64 × 64"), (32, "128 × 128")):
    reached = min(PEAK, a * BANDWIDTH) / 1e12
    axes.plot(a, reached, "o", ms=9, color=ORANGE)
    axes.annotate(name, (a, reached), (8, 7 if a > 20 else -15), textcoords="offset points")
axes.set(xlabel="operations a byte", ylabel="10¹² operations a second", ylim=(0.08, 50))

# %% [markdown]
# ## On a real GPU
#
# The kernels above run on a GPU as they are: decorate them with `@cuda.jit` and launch them with
# `kernel[blocks, threads](...)` on arrays that lie there. CuPy makes such arrays: `cupy.asarray(x)`
# copies to the GPU, `.get()` copies back, and between the two CuPy has NumPy's functions under
# NumPy's names, so that only the loops that NumPy lacks need a kernel. The library does just
# that: `mdl.use_backend("cuda")` is CuPy's arrays, and kernels like yours. Without a GPU, Numba's
# own simulator runs them too (`NUMBA_ENABLE_CUDASIM=1`, set before Numba is imported). It finds an
# index beyond an array, but not a race: its threads happen to take turns. The checker here found
# what a planted race does, each time:

# %%


def forgets_atomic(x, total):
    i = cuda.grid(1)
    if i < x.size:
        total[0] += x[i]


try:
    launch(forgets_atomic, 2, 4, np.ones(8), np.zeros(1))
except RuntimeError as error:
    print(error)

# %% [markdown]
# ## Check yourself
#
# 1. A kernel is launched on 10 blocks of 256 threads for 2400 elements. How many threads fail the
#    guard? In how many blocks?
# 2. Somebody puts `cuda.syncthreads` inside `if t < half:`. What happens on a GPU?
# 3. Is it a race if all threads write the *same* number to one place?
# 4. In task 12.5 the barrier stands before the addition. Would it do to have it behind?
#
# <!-- answer -->
# **Answers.** (1) 160, all in the last block. (2) Threads that skip the barrier leave the others
# waiting: the result is undefined, often the kernel hangs. (3) Yes by the definition above; it does
# no harm on today's GPUs, but nothing promises that. (4) Not by itself: the loading also has to be
# finished before the first addition, so one more barrier is needed before the loop.
# <!-- end -->

# %% [markdown]
# ## Now read the package
#
# The folder `minideeplab/backends/cuda/kernels` has the kernels of the CUDA backend, in CUDA C:
# begin with `activation.cu`, one thread an element in the steps of task 12.1, then `filter.cu` and
# `im2col.cu`. `minideeplab/backends/cuda/backend.py` launches them, and
# `minideeplab/backends/cuda/probe.py` finds out whether there is a GPU. The checker is
# `minideeplab/testing/simt`: `memory.py` logs each access and finds the races, `execution.py` runs
# the threads from barrier to barrier. Layers and tape are the same as on the CPU, see
# `minideeplab/backends/registry.py`. The notebook `notebooks/12_gpu_tour.ipynb` shows memory and
# races drawn.
