# %% [markdown]
# # A tour of the GPU, without one
#
# *Previous:* [11 Your own data](11_own_data.ipynb) · *Next:* [13 From VGG-16 to
# DeepLab](13_from_vgg_to_deeplab.ipynb) · *Lesson:* [12 CUDA
# kernels](../lessons/12_cuda_kernels/lesson.py) · *Source:*
# [`backends/cuda/activation.py`](../minideeplab/backends/cuda/activation.py),
# [`testing/simt/__init__.py`](../minideeplab/testing/simt/__init__.py)
#
# A GPU runs one small program, a *kernel*, in thousands of threads at once. How do the operations
# of DeepLab look as kernels, and what can go wrong? This notebook needs no GPU and uses none:
# Numba's simulator executes the kernels on the CPU, slowly, and the package's checker logs their
# memory accesses.

# %%
import inspect
import os

os.environ["NUMBA_ENABLE_CUDASIM"] = "1"  # must be set before Numba is imported

import matplotlib.pyplot as plt
import numpy as np
from numba import config, cuda

import minideeplab as mdl
import minideeplab.functional as F
from minideeplab.backends.cuda import activation
from minideeplab.testing import simt
from minideeplab.visualize.plots import BLUE, ORANGE

plt.style.use("minideeplab.visualize.lecture")
OKABE = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7")

# %% [markdown]
# ## Threads, blocks and grid
#
# Threads come in *blocks*, blocks form a *grid*. All threads run the same program; only their
# numbers tell them apart. In this kernel each thread writes its numbers to the elements that it
# processes. The loop lets a limited grid walk over any number of elements.


# %%
def record_ids(block, thread, lap, size):
    count = 0
    for i in range(cuda.grid(1), size, cuda.gridsize(1)):
        block[i] = cuda.blockIdx.x
        thread[i] = cuda.threadIdx.x
        lap[i] = count
        count += 1


SIZE, BLOCKS, THREADS = 44, 4, 4
block, thread, lap = np.zeros((3, SIZE), int)
cuda.jit(record_ids)[BLOCKS, THREADS](block, thread, lap, SIZE)
assert np.array_equal(4 * block + thread, np.arange(SIZE) % 16)

figure, axes = plt.subplots(figsize=(9, 2.9))
for i in range(SIZE):
    x, y = i % 16, lap[i]
    axes.add_patch(plt.Rectangle((x, y), 0.94, 0.9, color=OKABE[block[i]]))
    axes.text(x + 0.47, y + 0.45, thread[i], ha="center", va="center", fontsize=15)
    axes.text(x + 0.9, y + 0.86, i, ha="right", va="bottom", fontsize=10)
for number in range(BLOCKS):
    axes.text(4 * number + 1.97, -0.2, f"block {number}", ha="center", fontsize=12)
axes.set(xlim=(0, 16), ylim=(3, -0.6), yticks=(0.45, 1.45, 2.45), xticks=[])
axes.set_yticklabels(["first", "second", "third lap"])
axes.tick_params(length=0)
axes.spines[:].set_visible(False)
axes.set_title("number of the thread, in its block (small: the element)")
plt.show()

# %% [markdown]
# In the third lap four threads have no element left. A kernel without this bound would write past
# the end of the array.
#
# ## A kernel of the package
#
# This is all of ReLU, with NaN kept:

# %%
print(inspect.getsource(activation.relu_forward.function))

# %% [markdown]
# `mdl.use_backend("cuda")` runs whole operations with such kernels: in this notebook in the
# simulator, which the first cell selects; without that line on a GPU. The results agree with the
# definitions in NumPy:

# %%
assert config.ENABLE_CUDASIM, "the simulator, even on a machine with a GPU"
rng = np.random.default_rng(0)
x, w = rng.standard_normal((1, 2, 7, 8)), rng.standard_normal((3, 2, 3, 3))


def run(backend):
    with mdl.use_backend(backend):
        pixels = mdl.Tensor(x, requires_grad=True)
        y = F.relu(F.conv2d(pixels, w, padding=2, dilation=2))
        y = F.interpolate(y, size=(13, 15), mode="bilinear", align_corners=True)
        y.backward(np.ones(y.shape))
    return y.data, pixels.grad


for name, reference, ours in zip(("forward", "gradient"), run("numpy"), run("cuda"), strict=True):
    difference = np.abs(reference - ours).max()
    print(f"{name}: NumPy and CUDA differ by at most {difference:.0e}")
    assert difference < 1e-12

# %% [markdown]
# ## Coalesced memory access
#
# Thirty-two threads, a *warp*, execute each step at the same time, and memory is read in lines of
# 128 bytes. If the threads of a warp read neighbouring numbers, one line serves all; if they read
# far apart, each needs a line of its own. Softmax over the classes: a thread goes down the
# classes of one pixel. Which memory layout is better?

# %%
CLASSES, PIXELS, WARP = 21, 4096, 32
LINE = 32  # numbers of 4 bytes in a line of memory
layouts = {
    "class by class: (C, H·W)": lambda pixel, c: c * PIXELS + pixel,
    "pixel by pixel: (H·W, C)": lambda pixel, c: pixel * CLASSES + c,
}
figure, panels = plt.subplots(1, 2, figsize=(9, 3.9), sharey=True)
for axes, (name, address), colour in zip(panels, layouts.items(), (BLUE, ORANGE), strict=True):
    places = [address(np.arange(WARP), c) for c in range(CLASSES)]  # of each step
    lines = np.mean([len(np.unique(place // LINE)) for place in places])
    print(f"{name}: {lines:.0f} lines of memory for a step of one warp")
    axes.pcolormesh(np.zeros((22, LINE)), cmap="gray", vmin=-8, vmax=1, ec="white", lw=0.5)
    for place in places[0]:
        cell = (place % LINE, place // LINE)
        axes.add_patch(plt.Rectangle(cell, 1, 1, fc=colour, ec="white", lw=0.5))
    axes.set_title(f"{name}\nfirst step: {len(np.unique(places[0] // LINE))} line(s)")
    axes.set(xlabel="place in the line", ylim=(22, 0), xticks=(0, 16, 32), yticks=(0, 10, 20))
panels[0].set_ylabel("line of memory")
plt.show()

# %% [markdown]
# Class by class, as `(N, C, H, W)` has it, a step reads one line and uses all of it. Pixel by pixel
# it needs 21 lines for its 32 numbers; later steps may find them in the cache. The kernel is
# the same; the layout of the data decides.
#
# ## Data races
#
# The backward of upsampling: every fine pixel sends its gradient to the coarse one that it was read
# from. Written from the sender's side, each thread *adds to* a place that belongs to others too:


# %%
def scatter(dy, dx, scale):
    i = cuda.grid(1)
    if i < dy.size:
        dx[i // scale] += dy[i]  # read, add, write: another thread may come between


def scatter_atomic(dy, dx, scale):
    i = cuda.grid(1)
    if i < dy.size:
        cuda.atomic.add(dx, i // scale, dy[i])  # in one step that no thread can interrupt


def gather(dy, dx, scale):
    i = cuda.grid(1)
    if i < dx.size:
        total = 0.0
        for j in range(i * scale, (i + 1) * scale):
            total += dy[j]
        dx[i] = total  # the only thread that writes here


dy = rng.standard_normal(12)
right = dy.reshape(3, 4).sum(axis=1)
for kernel in (scatter, scatter_atomic, gather):
    dx = np.zeros(3)
    cuda.jit(kernel)[3, 4](dy, dx, 4)
    problems = simt.check(kernel, blocks=3, threads=4, args=(dy, np.zeros(3), 4))
    verdict = "right" if np.allclose(dx, right) else "wrong"
    print(f"{kernel.__name__}: the simulator's result is {verdict}; checker: "
          f"{'; '.join(map(str, problems)) or 'no problem found'}")  # fmt: skip
    assert bool(problems) == (kernel is scatter)

# %% [markdown]
# In the simulator this race rarely changes the result; on a GPU it sometimes does. The checker
# does not depend on that: it logs which thread accesses which element, and reports accesses that
# nothing orders. Atomic addition removes the race, but then the order of the sum, and so its last
# bits, vary from run to run. The package *gathers* where possible.
#
# How a race loses numbers, if all threads read before any writes:

# %%
kept = dy.reshape(3, 4)[:, -1]  # all read 0, all write their own number: the last one stays
figure, axes = plt.subplots(figsize=(7, 3.3))
place = np.arange(3)
axes.bar(place - 0.2, right, 0.38, color=BLUE, label="sum of four")
axes.bar(place + 0.2, kept, 0.38, color=ORANGE, hatch="//", ec="white", label="last writer wins")
axes.axhline(0, color="black", lw=1)
axes.set(xticks=place, xlabel="coarse pixel", ylabel="gradient")
axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# ## Bounds and barriers
#
# Two more mistakes that a GPU does not always show: a missing bound, and shared memory that
# is read before all threads of the block have written it:


# %%
def no_bound(x, y):
    i = cuda.grid(1)
    y[i] = 2 * x[i]


def reverse(x, y):
    shared = cuda.shared.array(4, np.float64)
    t = cuda.threadIdx.x
    shared[t] = x[t]
    y[t] = shared[3 - t]  # may not be written yet


def reverse_with_barrier(x, y):
    shared = cuda.shared.array(4, np.float64)
    t = cuda.threadIdx.x
    shared[t] = x[t]
    cuda.syncthreads()  # all threads have written
    y[t] = shared[3 - t]


for kernel, size, blocks in ((no_bound, 6, 2), (reverse, 4, 1), (reverse_with_barrier, 4, 1)):
    problems = simt.check(kernel, blocks, 4, (np.ones(size), np.zeros(size)))
    print(f"{kernel.__name__}: {'; '.join(map(str, problems)) or 'no problem found'}")
    assert bool(problems) == (kernel is not reverse_with_barrier)

# %% [markdown]
# ## With a GPU
#
# `pip install 'minideeplab[cuda12]'` (or `cuda13`), start Python *without* `NUMBA_ENABLE_CUDASIM`,
# and ask `mdl.doctor()`. Then `with mdl.use_backend("cuda"):` runs everything there, and
# `minideeplab bench gpu` measures how fast. The kernels are in `minideeplab/backends/cuda/`, one
# file an idea, each with a drawing of its thread map; beside them, in `kernels/`, are CUDA C
# sources.

# %% [markdown]
# - **Predict.** How many lines of memory does a step read if 16 channels are interleaved?
# - **Try.** Remove `cuda.syncthreads()` from `reverse_with_barrier`, and put it into a branch
#   that half of the threads take.
# - **Read the source.**
#   [`backends/cuda/activation.py`](../minideeplab/backends/cuda/activation.py),
#   [`testing/simt/__init__.py`](../minideeplab/testing/simt/__init__.py).
# - **Next.** [13 From VGG-16 to DeepLab](13_from_vgg_to_deeplab.ipynb).
