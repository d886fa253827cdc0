"""Wrong answers to task 12.1."""

import numpy as np

from minideeplab.grading import wrong


@wrong(
    "12.1",
    loses=("one element each", "several elements each", "the first thread", "the last element"),
    hint="The steps are those of one block; the other blocks do the elements between.",
)
def steps_of_a_block(n, blocks, threads, b, t):
    return np.arange(b * threads + t, n, threads)


@wrong(
    "12.1",
    loses=("several elements each", "the first thread", "the last element"),
    hint="Each thread does a piece of neighbouring elements; here they are a grid apart.",
)
def a_piece_each(n, blocks, threads, b, t):
    size = -(-n // (blocks * threads))
    first = (b * threads + t) * size
    return np.arange(min(first, n), min(first + size, n))


@wrong(
    "12.1",
    loses=("several elements each", "the first thread", "the last element"),
    hint="Only the first element is there; the thread goes on in steps of the whole grid.",
)
def first_element_only(n, blocks, threads, b, t):
    return np.arange(b * threads + t, n, blocks * threads)[:1]


@wrong(
    "12.1",
    loses=(
        "one element each",
        "several elements each",
        "a thread beyond the end",
        "the last element",
    ),
    hint="The block is left out: block b begins behind b blocks of T threads.",
)
def ignores_the_block(n, blocks, threads, b, t):
    return np.arange(t, n, blocks * threads)


@wrong(
    "12.1",
    loses=("one element each", "several elements each", "the last element"),
    hint="Blocks and threads are mixed up: the place is b T + t, with T threads in a block.",
)
def place_by_blocks(n, blocks, threads, b, t):
    return np.arange(b * blocks + t, n, blocks * threads)


@wrong(
    "12.1",
    loses=("a thread beyond the end",),
    hint="A thread beyond the end has no element.",
)
def always_one(n, blocks, threads, b, t):
    place = b * threads + t
    return np.arange(place, max(n, place + 1), blocks * threads)


@wrong(
    "12.1",
    loses=("the last element",),
    hint="The last element has place n - 1, and counts.",
)
def one_too_few(n, blocks, threads, b, t):
    return np.arange(b * threads + t, n - 1, blocks * threads)
