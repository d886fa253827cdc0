"""Wrong answers to task 11.4."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL

B_T = np.array([[1.0, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
A_T = np.array([[1.0, 1, 1, 0], [0, 1, -1, -1]])


def by_tiles(x, u, b=B_T, flip=False, step=2):
    """Convolve tile after tile; a tile's samples begin at step times its number."""
    y = np.zeros((u.shape[2], x.shape[1] - 2, x.shape[2] - 2))
    for p, q in np.ndindex(y.shape[1] // 2, y.shape[2] // 2):
        top, left = min(step * p, x.shape[1] - 4), min(step * q, x.shape[2] - 4)
        v = np.einsum("ai,cij,bj->abc", b, x[:, top : top + 4, left : left + 4], b)
        m = np.einsum("abfc,abc->fab", u, v)
        tile = A_T @ m @ A_T.T
        y[:, 2 * p : 2 * p + 2, 2 * q : 2 * q + 2] = tile.swapaxes(1, 2) if flip else tile
    return y


@wrong(
    "11.4",
    loses=("tiles", "channels and filters"),
    hint="The tiles of samples begin at every fourth pixel; they overlap, one at every second.",
)
def tiles_side_by_side(x, u):
    return by_tiles(x, u, step=4)


@wrong("11.4", loses=ALL, hint="B stands where its transpose should: the tile is B_T d B.")
def b_transposed(x, u):
    return by_tiles(x, u, b=B_T.T)


@wrong("11.4", loses=ALL, hint="The two axes of each 2 × 2 tile of outputs are swapped.")
def tiles_transposed(x, u):
    return by_tiles(x, u, flip=True)


@wrong(
    "11.4",
    loses=("channels and filters", "one tile, many channels"),
    hint="Only the first channel is used: sum over all of them.",
)
def first_channel(x, u):
    return by_tiles(x[:1], u[..., :1])
