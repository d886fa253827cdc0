"""Number the vertices of a lattice by their keys with a hash table that all threads fill at once.

``insert``: a corner of a point a thread. It begins at its key's home and tries slot after slot with
one indivisible step, compare-and-swap: "if the slot is empty, it is mine; tell me what was there".

    thread A, key 7 ->  home 2   [  ] [  ] [ 7] [  ] [  ]     found empty: A wrote 7
    thread B, key 7 ->  home 2              ^                 found 7: the same vertex, done
    thread C, key 9 ->  home 2              ^ -> ^            found 7, goes on; slot 3 is C's

Whatever the order of the threads, every distinct key ends up in exactly one slot. The filled slots
are then counted off (a running sum, by CuPy), which numbers the vertices.
"""

from __future__ import annotations

from numba import cuda

from minideeplab.backends.cuda.launch import device_function, kernel

EMPTY = -(1 << 63)


@device_function
def home(key, last):
    """The slot, of last + 1 (a power of 2), where the search for a key begins."""
    mixed = (key & 0x7FFFFFFF) * 0x5BD1E995 + (key >> 31) * 0x27D4EB2F
    return ((mixed >> 15) ^ mixed) & last


@kernel("lattice.cu")
def insert(keys, table, slots, size, last):
    """Enter ``size`` keys into the table of last + 1 slots; note where each one is."""
    for e in range(cuda.grid(1), size, cuda.gridsize(1)):
        key = keys[e]
        slot = home(key, last)
        held = cuda.atomic.cas(table, slot, EMPTY, key)
        while held != EMPTY and held != key:
            slot = (slot + 1) & last
            held = cuda.atomic.cas(table, slot, EMPTY, key)
        slots[e] = slot


@kernel("lattice.cu")
def gather_keys(table, number, vertex_keys, size):
    """The keys of the vertices in the order of their numbers; a slot a thread."""
    for slot in range(cuda.grid(1), size, cuda.gridsize(1)):
        if table[slot] != EMPTY:
            vertex_keys[number[slot]] = table[slot]


@device_function
def find(key, table, number, last, missing):
    """The number of the vertex with this key, ``missing`` if there is none."""
    slot = home(key, last)
    while table[slot] != EMPTY and table[slot] != key:
        slot = (slot + 1) & last
    return missing if table[slot] == EMPTY else number[slot]


@kernel("lattice.cu")
def connect(vertex_keys, table, number, steps, neighbours, axes, vertices, last):
    """neighbours (D+1, 2, M): the vertices before and behind each one; an axis and vertex a thread.

    A step along an axis adds a constant to the key. A missing neighbour is M.
    """
    for e in range(cuda.grid(1), axes * vertices, cuda.gridsize(1)):
        axis, v = e // vertices, e % vertices
        before = find(vertex_keys[v] + steps[axis], table, number, last, vertices)
        behind = find(vertex_keys[v] - steps[axis], table, number, last, vertices)
        neighbours[2 * axis * vertices + v] = before
        neighbours[(2 * axis + 1) * vertices + v] = behind
