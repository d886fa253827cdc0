"""Wrong answers to task 12.4."""

import numpy as np
from given import launch
from numba import cuda

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def counted(labels, classes, threads, is_class=lambda label, classes: 0 <= label < classes):
    """Count with another rule for what is a class."""

    def kernel(labels, counts):
        i = cuda.grid(1)
        if i < labels.size and is_class(labels[i], counts.size):
            cuda.atomic.add(counts, labels[i], 1)

    counts = np.zeros(classes, np.int64)
    launch(kernel, -(-len(labels) // threads), threads, labels, counts)
    return counts


@wrong(
    "12.4",
    loses=("labels below zero",),
    hint="A label below zero is counted, before the beginning of the counts; it is no class.",
)
def counts_below_zero(labels, classes, threads):
    return counted(labels, classes, threads, lambda label, classes: label < classes)


@wrong(
    "12.4",
    loses=("labels below zero", "labels that are no class, nor 255"),
    hint="255 is left out, but no other label that is no class: ask whether it lies in 0 to C - 1.",
)
def leaves_out_255_only(labels, classes, threads):
    return counted(labels, classes, threads, lambda label, classes: label != 255)


@wrong(
    "12.4",
    loses=("ignored pixels", "labels that are no class, nor 255"),
    hint="Labels beyond the last class are counted; a class is a label from 0 to C - 1.",
)
def leaves_out_negative_only(labels, classes, threads):
    return counted(labels, classes, threads, lambda label, classes: label >= 0)


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
    loses=("ignored pixels", "labels below zero", "labels that are no class, nor 255"),
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
    loses=("ignored pixels", "labels that are no class, nor 255"),
    hint="Ignored pixels are counted for the last class; they do not count at all.",
)
def ignored_into_the_last_class(labels, classes, threads):
    return counted(np.minimum(labels, classes - 1), classes, threads)


@wrong(
    "12.4",
    loses=("a class that does not occur",),
    hint="Classes that do not occur are missing at the end; there is a count for every class.",
)
def only_classes_that_occur(labels, classes, threads):
    return counted(labels, labels[labels < classes].max() + 1, threads)
