"""``minideeplab bench crf``: time and memory of the dense CRF against pydensecrf, and its cost.

Each run builds both kernels and iterates ten times on a photograph and a smooth random unary.
Widths of 67 (space) and 3 (colour) give many lattice vertices, so the blur dominates; 80 and 13
give few, so splat, slice and softmax dominate.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numba
import numpy as np

from minideeplab.bench import memory
from minideeplab.bench.report import (
    Progress,
    Results,
    Step,
    collect,
    heading,
    machine,
    markdown,
)
from minideeplab.bench.timing import interleaved
from minideeplab.crf import DenseCRF

WIDTHS = ((67, 3), (80, 13))  # sxy, srgb of the bilateral kernel
SIZES = ((375, 500, 21), (513, 513, 21))
CURVE = ((128, 256, 19), (256, 512, 19), (512, 1024, 19), (1024, 2048, 19),
         (256, 512, 2), (256, 512, 8), (256, 512, 40), (256, 512, 150))  # fmt: skip
ITERATIONS = 10


def scene(height: int, width: int, labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a photograph (H, W, 3) uint8 from Matplotlib's samples and a unary (C, H, W)."""
    import matplotlib.cbook
    from PIL import Image
    from scipy.ndimage import gaussian_filter

    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        image = np.array(Image.open(file).resize((width, height), Image.Resampling.BICUBIC))
    rng = np.random.default_rng(0)
    scores = np.empty((labels, height, width), np.float32)
    for channel in scores:
        channel[:] = gaussian_filter(rng.standard_normal((height, width), np.float32), 8)
    scores *= 2 / scores.std()
    return image, np.log(np.exp(scores).sum(axis=0)) - scores


def run_ours(image: np.ndarray, unary: np.ndarray, sxy: float, srgb: float) -> np.ndarray:
    """Return Q (C, H, W) of this package."""
    crf = DenseCRF(unary)
    crf.add_gaussian(sxy=3, compat=3)
    crf.add_bilateral(image, sxy=sxy, srgb=srgb, compat=4)
    return crf.inference(ITERATIONS)


def run_pydensecrf(image: np.ndarray, unary: np.ndarray, sxy: float, srgb: float) -> np.ndarray:
    """Return Q (C, H, W) of pydensecrf."""
    from pydensecrf import densecrf

    labels, height, width = unary.shape
    crf = densecrf.DenseCRF2D(width, height, labels)
    crf.setUnaryEnergy(unary.reshape(labels, -1))
    crf.addPairwiseGaussian(sxy=3, compat=3)
    crf.addPairwiseBilateral(sxy=sxy, srgb=srgb, rgbim=image, compat=4)
    return np.array(crf.inference(ITERATIONS)).reshape(unary.shape)


RUNNERS = {"ours": run_ours, "pydensecrf": run_pydensecrf}


def competitors() -> list[str]:
    """Names of the implementations that can run here."""
    try:
        import pydensecrf.densecrf  # noqa: F401
    except ImportError:
        return ["ours"]
    return list(RUNNERS)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let the backend use ``count`` threads."""
    before = numba.config.NUMBA_NUM_THREADS
    numba.config.NUMBA_NUM_THREADS = count
    try:
        yield
    finally:
        numba.config.NUMBA_NUM_THREADS = before


def compare(size: tuple[int, int, int], widths: tuple[float, float], rounds: int) -> dict:
    """Return a table's row: one image on one thread, on two, and by pydensecrf, interleaved."""
    image, unary = scene(*size)

    def ours(count: int) -> np.ndarray:
        with threads(count):
            return run_ours(image, unary, *widths)

    names = {1: "1 thread, ms", 2: "2 threads, ms"}
    run: dict[str, Callable] = {name: partial(ours, count) for count, name in names.items()}
    if "pydensecrf" in competitors():
        run["pydensecrf, ms"] = lambda: run_pydensecrf(image, unary, *widths)
    times = interleaved(run, rounds)
    row = {"size": "x".join(map(str, size)), "sxy / srgb": "{} / {}".format(*widths)}
    row |= {name: 1e3 * timing.median for name, timing in times.items()}
    if theirs := times.get("pydensecrf, ms"):
        row |= {
            f"faster, {count} thread{'s' * (count > 1)}": times[name].times_faster_than(theirs)
            for count, name in names.items()
        }
        difference = run_ours(image, unary, *widths) - run_pydensecrf(image, unary, *widths)
        row["largest difference"] = float(np.abs(difference).max())
    return row


def cost(size: tuple[int, int, int], rounds: int) -> dict:
    """Return a row of the cost in pixels and labels: one image on all threads."""
    image, unary = scene(*size)
    seconds = interleaved({"ours": lambda: run_ours(image, unary, 67, 3)}, rounds)["ours"].median
    return {
        "size": "x".join(map(str, size)),
        "seconds": seconds,
        "ns per pixel and label": 1e9 * seconds / unary.size,
    }


def memory_row(size: tuple[int, int, int]) -> dict | None:
    """Return the peak memory that one call adds to a warm process, in MB; None where unknown."""
    if not memory.known():
        return None
    context = multiprocessing.get_context("spawn")
    row: dict[str, Any] = {"size": "x".join(map(str, size)), "sxy / srgb": "67 / 3"}
    for name in competitors():
        with context.Pool(1) as pool:
            row[f"{name}, MB"] = pool.apply(_peak_growth, (name, size)) / 1e6
    return row


def _peak_growth(name: str, size: tuple[int, int, int]) -> int:
    run = RUNNERS[name]
    run(*scene(16, 16, size[2]), 67, 3)
    image, unary = scene(*size)
    memory.reset_peak()
    before = memory.resident(memory.NOW)
    run(image, unary, 67, 3)
    return memory.resident(memory.PEAK) - before


def measure(rounds: int, quick: bool, progress: Progress = lambda steps: steps) -> Results:
    """Run all measurements; ``quick`` leaves out the larger sizes and the cost table."""
    if rounds < 1:
        raise ValueError(f"rounds: {rounds}, expected at least 1")
    sizes = ((120, 160, 21),) if quick else SIZES
    steps: list[Step] = [("speed", partial(compare, s, w, rounds)) for s in sizes for w in WIDTHS]
    steps += [("memory", partial(memory_row, size)) for size in sizes]
    steps += [("cost", partial(cost, size, min(rounds, 3))) for size in (() if quick else CURVE)]
    rows, facts = {"speed": [], "memory": [], "cost": []} | collect(steps, progress), machine()
    text = "\n\n".join([heading(facts), *(markdown(table) for table in rows.values() if table)])
    return Results({"machine": facts, **rows}, text + "\n")
