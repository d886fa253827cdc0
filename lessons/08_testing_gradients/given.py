"""Functions with their backward passes, right and wrong, for lesson 8.

A backward pass takes dy, the derivative of a loss with respect to the function's result, and x,
and returns the derivative with respect to x.
"""

from __future__ import annotations

import numpy as np


def cube(x: np.ndarray) -> np.ndarray:
    """x to the third, entry by entry."""
    return x**3


def cube_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Right."""
    return 3 * x**2 * dy


def cube_halved(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Half of what it should be."""
    return 1.5 * x**2 * dy


def cube_off_by_a_thousandth(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Almost right."""
    return 3.003 * x**2 * dy


def cube_off_by_3e_6(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Right to five digits only."""
    return (3 + 9e-6) * x**2 * dy


def faint(x: np.ndarray) -> np.ndarray:
    """Small numbers: a hundred-millionth of the sine, entry by entry."""
    return 1e-8 * np.sin(x)


def faint_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Right."""
    return 1e-8 * np.cos(x) * dy


def faint_halved(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Half of what it should be."""
    return 5e-9 * np.cos(x) * dy


def faint_doubled(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Twice what it should be."""
    return 2e-8 * np.cos(x) * dy


def cube_last_entry_lost(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Right but for the last entry, which is zero."""
    dx = 3 * x**2 * dy
    dx.flat[-1] = 0.0
    return dx


def cube_of_dy_upside_down(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Takes the rows of dy in the opposite order."""
    return 3 * x**2 * dy[::-1]


def softmax(x: np.ndarray) -> np.ndarray:
    """Probabilities (N, C) from scores (N, C)."""
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softmax_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Right."""
    y = softmax(x)
    return y * (dy - (dy * y).sum(axis=1, keepdims=True))


def softmax_zero(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Nothing at all."""
    return np.zeros_like(x)


def softmax_diagonal(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Forgets that every score moves every probability."""
    y = softmax(x)
    return dy * y * (1 - y)


def centre(x: np.ndarray) -> np.ndarray:
    """x (N, C) less the mean of each column: the first half of batch normalisation."""
    return x - x.mean(axis=0)


def centre_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Right."""
    return dy - dy.mean(axis=0)


def centre_zero(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Nothing at all."""
    return 0.0 * dy


def centre_mean_taken_as_fixed(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Forgets that x moves the mean."""
    return dy.copy()


def enlarge(x: np.ndarray) -> np.ndarray:
    """Every pixel of (H, W) four times: (2H, 2W)."""
    return x.repeat(2, axis=0).repeat(2, axis=1)


def enlarge_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Right."""
    return dy[::2, ::2] + dy[1::2, ::2] + dy[::2, 1::2] + dy[1::2, 1::2]


def enlarge_swapped(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Height and width swapped; nobody notices the shape of a square."""
    return enlarge_backward(dy, x).T


def enlarge_upside_down(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Rows in the opposite order."""
    return enlarge_backward(dy, x)[::-1]


def quadratic(x: np.ndarray) -> float:
    """A number: half the sum of squares, each weighted by its place."""
    return float(np.sum(np.arange(1, x.size + 1) * x.ravel() ** 2) / 2)


def waves(x: np.ndarray) -> float:
    """A number: the sum of sines, multiplied with each other in pairs."""
    s = np.sin(x.ravel())
    return float(s[:-1] @ s[1:] + s.sum())


BLUR = np.array([0.25, 0.5, 0.25])


def blur(x: np.ndarray) -> np.ndarray:
    """A linear function: (N,) blurred to (N - 2,)."""
    return np.convolve(x, BLUR, "valid")


def blur_backward(dy: np.ndarray) -> np.ndarray:
    """The transpose of `blur`: (N - 2,) to (N,)."""
    return np.convolve(dy, BLUR, "full")


def blur_backward_one_entry(dy: np.ndarray) -> np.ndarray:
    """Wrong: the transpose of `blur`, but input 3 gets more than its share of output 2."""
    dx = blur_backward(dy)
    dx[3] += 0.125 * dy[2]
    return dx


def slope(x: np.ndarray) -> np.ndarray:
    """A linear function: differences of neighbours, (N,) to (N - 1,)."""
    return x[1:] - x[:-1]


def slope_backward_flipped(dy: np.ndarray) -> np.ndarray:
    """Wrong: the transpose of `slope` with the other sign."""
    return np.convolve(dy, [1.0, -1.0], "full")


def slope_backward_shifted(dy: np.ndarray) -> np.ndarray:
    """Wrong: the transpose of `slope`, a place too far to the right."""
    return np.roll(np.convolve(dy, [-1.0, 1.0], "full"), 1)
