"""pydensecrf's Eigen wrappers: float32 vectors and matrices, here NumPy arrays of their own class.

These two constructors are as strict as the originals (a float64 array is an error); everywhere
else in this package arrays are converted.
"""

from __future__ import annotations

import numpy as np


class VectorXf(np.ndarray):
    """A float32 vector; an ordinary array under pydensecrf's name."""


class MatrixXf(np.ndarray):
    """A float32 matrix; an ordinary array under pydensecrf's name."""


def vectorXf(arr: np.ndarray) -> VectorXf:
    """Copy a float32 vector (N,); TypeError for None, ValueError for another shape or dtype."""
    return _copy(arr, 1).view(VectorXf)


def matrixXf(arr: np.ndarray) -> MatrixXf:
    """Copy a float32 matrix (M, N); TypeError for None, ValueError for another shape or dtype."""
    return _copy(arr, 2).view(MatrixXf)


def wrap(array: np.ndarray) -> MatrixXf:
    """View an array as a float32 matrix, converting it if it is of another dtype."""
    return np.ascontiguousarray(array, np.float32).view(MatrixXf)


def _copy(arr: np.ndarray, ndim: int) -> np.ndarray:
    if arr is None:
        raise TypeError("arr must be a float32 array, got None")
    arr = np.asarray(arr)
    if arr.ndim != ndim or arr.dtype != np.float32:
        raise ValueError(
            f"arr must have {ndim} dimension(s) and dtype float32, got {arr.ndim} and {arr.dtype}"
        )
    return np.array(arr, order="C")
