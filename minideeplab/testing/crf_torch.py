"""gaussian_filter and dense_crf in PyTorch: an independent reference with its own gradients.

Written apart from ``crf_ops``, straight from the paper's equations, and differentiated by
torch.autograd, so that the definitions are not compared with themselves alone.
"""

from __future__ import annotations

import torch
from torch import Tensor


def _weights(features: Tensor, normalization: str) -> Tensor:
    """Return the normalised weights (N, N) of all pairs of points from features (D, N)."""
    weights = torch.exp(-(features[:, :, None] - features[:, None, :]).square().sum(0) / 2)
    total = weights.sum(1)
    left, right = {"none": (0.0, 0.0), "before": (0.0, 1.0), "after": (1.0, 0.0),
                   "symmetric": (0.5, 0.5)}[normalization]  # fmt: skip
    return weights / total[:, None] ** left / total**right


def gaussian_filter(input: Tensor, features: Tensor, normalization: str = "none") -> Tensor:
    """Filter values (C, N) as ``crf_ops.gaussian_filter`` does."""
    return input @ _weights(features.double(), normalization).T.to(input.dtype)


def dense_crf(
    unary: Tensor,
    image: Tensor,
    iterations: int = 5,
    gaussian_sxy: float = 3.0,
    gaussian_compat: float = 3.0,
    bilateral_sxy: float = 67.0,
    bilateral_srgb: float = 3.0,
    bilateral_compat: float = 4.0,
    normalization: str = "symmetric",
) -> Tensor:
    """Return Q (C, H, W) as ``crf_ops.dense_crf`` does."""
    energies = unary.flatten(1).double()
    height, width = unary.shape[1:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack([columns, rows]).flatten(1).double()
    colours = image.double().flatten(0, 1).T
    kernel = gaussian_compat * _weights(places / gaussian_sxy, normalization)
    features = torch.cat([places / bilateral_sxy, colours / bilateral_srgb])
    kernel = kernel + bilateral_compat * _weights(features, normalization)
    q = torch.softmax(-energies, 0)
    for _ in range(iterations):
        q = torch.softmax(-energies + q @ kernel.T, 0)
    return q.reshape(unary.shape).to(unary.dtype)
