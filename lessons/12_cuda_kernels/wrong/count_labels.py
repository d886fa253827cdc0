"""Wrong answers to task 12.4."""

import numpy as np
from given import launch
from numba import cuda

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


@wrong(
    "12.4",
    loses=ALL,
    hint="counts[label] += 1 is a race: two threads may read the old count; add atomically.",
)
def not_atomic(labels, classes, threads):
    def kernel(labels, counts):
        i = cuda.grid(1)
        if i < labels.size and labels[i] < counts.size:
            counts[labels[i]] += 1

    counts = np.zeros(classes, np.int64)
    launch(kernel, -(-len(labels) // threads), threads, labels, counts)
    return counts


@wrong(
    "12.4",
    loses=("ignored pixels",),
    hint="Label 255 is counted as if it were a class, beyond the end of the counts.",
)
def counts_ignored(labels, classes, threads):
    def kernel(labels, counts):
        i = cuda.grid(1)
        if i < labels.size:
            cuda.atomic.add(counts, labels[i], 1)

    counts = np.zeros(classes, np.int64)
    launch(kernel, -(-len(labels) // threads), threads, labels, counts)
    return counts


@wrong(
    "12.4",
    loses=("ignored pixels",),
    hint="Ignored pixels are counted for the last class; they do not count at all.",
)
def ignored_into_the_last_class(labels, classes, threads):
    return np.bincount(np.minimum(labels, classes - 1), minlength=classes).astype(np.int64)


@wrong(
    "12.4",
    loses=("a class that does not occur",),
    hint="Classes that do not occur are missing at the end; there is a count for every class.",
)
def only_classes_that_occur(labels, classes, threads):
    return np.bincount(labels[labels < classes]).astype(np.int64)
