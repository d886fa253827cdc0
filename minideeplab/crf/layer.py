"""CRF-RNN: mean field as a layer of a network, with weights that are trained (Zheng et al. 2015).

    scores' = scores + M (W_s Khat_s Q + W_b Khat_b Q),     Q = softmax of the scores before

The smoothness and the bilateral kernel are fixed by each image. W_s, W_b and M, (C, C), are the
parameters; the sign of M is that of the authors' code: added to the scores, identity at first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from minideeplab import nn
from minideeplab.crf.gradients import (
    kernel_parameters_backward,
    khat_gradient,
    mean_field_history,
)
from minideeplab.crf.kernels import run_kernel
from minideeplab.crf.pairwise import Pairwise, build_term, make_pairwise
from minideeplab.crf.potentials import bilateral_features, check_image, gaussian_features
from minideeplab.ops.crf.gradients import energy_backward, mean_field_backward
from minideeplab.ops.crf.meanfield import Term, energy
from minideeplab.tensor import Tensor, record


@dataclass(frozen=True)
class _Pass:
    """What the backward needs of one image."""

    pairs: list[Pairwise]
    terms: list[Term]
    history: list[np.ndarray]


class CRFasRNN(nn.Module):
    """Refine scores by mean field; the output is scores again, ready for a cross entropy.

    Args:
        num_classes: C.
        iterations: mean-field updates, at least 1 (the paper: 5 in training, 10 in use).
        sigma_alpha, sigma_beta: widths of the bilateral kernel, pixels and grey values (0..255).
        sigma_gamma: width of the smoothness kernel, pixels.
        spatial_weight, bilateral_weight: initial W_s and W_b, times the identity.
        normalization: "none", "before", "after" (the authors' code) or "symmetric".
        learn_widths: also train a factor on each feature, ``spatial_scale`` (2,) and
            ``bilateral_scale`` (5,), at first 1. Slower.
    """

    def __init__(
        self,
        num_classes: int,
        iterations: int = 5,
        sigma_alpha: float = 160.0,
        sigma_beta: float = 3.0,
        sigma_gamma: float = 3.0,
        spatial_weight: float = 3.0,
        bilateral_weight: float = 5.0,
        normalization: str = "after",
        learn_widths: bool = False,
    ):
        super().__init__()
        if num_classes < 1 or iterations < 1:
            raise ValueError(
                f"num_classes and iterations must be at least 1, got {num_classes} and {iterations}"
            )
        eye = np.eye(num_classes, dtype=np.float32)
        self.iterations, self.normalization = iterations, normalization
        self.widths = (sigma_alpha, sigma_beta, sigma_gamma)
        self.spatial_weights = Tensor(eye * spatial_weight, requires_grad=True)
        self.bilateral_weights = Tensor(eye * bilateral_weight, requires_grad=True)
        self.compatibility = Tensor(eye.copy(), requires_grad=True)
        if learn_widths:
            self.spatial_scale = Tensor(np.ones(2, np.float32), requires_grad=True)
            self.bilateral_scale = Tensor(np.ones(5, np.float32), requires_grad=True)
        self.learn_widths = learn_widths

    def __call__(self, scores: Tensor | np.ndarray, images: np.ndarray) -> Tensor:
        """Run :meth:`forward`."""
        return self.forward(scores, images)

    def forward(self, scores: Tensor | np.ndarray, images: np.ndarray) -> Tensor:
        """Refine scores (N, C, H, W), unnormalised, with RGB images (N, H, W, 3) of 0..255."""
        data = scores.data if isinstance(scores, Tensor) else np.asarray(scores)
        self._check(data, images)
        count, classes = data.shape[:2]
        flat = data.reshape(count, classes, -1)
        passes = [self._run(-s, i, data.shape[2:]) for s, i in zip(flat, images, strict=True)]
        refined = [
            -energy(-s, p.terms, p.history[-1], run_kernel)
            for s, p in zip(flat, passes, strict=True)
        ]
        inputs = [scores, self.spatial_weights, self.bilateral_weights, self.compatibility]
        if self.learn_widths:
            inputs += [self.spatial_scale, self.bilateral_scale]
        return record(
            np.reshape(refined, data.shape),
            inputs,
            lambda dy, needs: self._backward(dy.reshape(flat.shape), passes, data.shape),
        )

    def _run(self, unary: np.ndarray, image: np.ndarray, shape: tuple[int, int]) -> _Pass:
        """Build the kernels of one image and do all updates but the last."""
        alpha, beta, gamma = self.widths
        kind, classes = unary.dtype.type, len(unary)
        image = check_image(image, shape)
        features = [gaussian_features(shape, gamma, kind)]
        features.append(bilateral_features(image, alpha, beta, kind))
        weights = (self.spatial_weights, self.bilateral_weights)
        pairs = [make_pairwise(f, 0, "diag", self.normalization, classes) for f in features]
        if self.learn_widths:
            scales = (self.spatial_scale, self.bilateral_scale)
            pairs = [replace(p, parameters=s.data) for p, s in zip(pairs, scales, strict=True)]
        terms = [build_term(pair, "lattice") for pair in pairs]
        terms = [
            replace(term, compat=(-self.compatibility.data @ weight.data).astype(unary.dtype))
            for term, weight in zip(terms, weights, strict=True)
        ]
        return _Pass(pairs, terms, mean_field_history(unary, terms, self.iterations - 1))

    def _backward(
        self, dy: np.ndarray, passes: list[_Pass], shape: tuple[int, ...]
    ) -> tuple[np.ndarray, ...]:
        """Gradients of the scores and of all parameters, summed over the images."""
        dscores, totals = [], None
        for denergy, done in zip(-dy, passes, strict=True):
            dunary, parts = self._backward_image(denergy, done)
            dscores.append(-dunary)
            totals = (
                parts if totals is None else [a + b for a, b in zip(totals, parts, strict=True)]
            )
        dmu, dscales = totals[:2], totals[2:]
        weights = (self.spatial_weights.data, self.bilateral_weights.data)
        dweights = [-self.compatibility.data.T @ d for d in dmu]  # mu_k = -M W_k
        dcompat = -sum(d @ w.T for d, w in zip(dmu, weights, strict=True))
        return np.reshape(dscores, shape), *dweights, dcompat, *dscales

    def _backward_image(
        self, denergy: np.ndarray, done: _Pass
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        dfeatures = [np.zeros_like(pair.features) for pair in done.pairs]

        def visit(k: int, dmessage: np.ndarray, q: np.ndarray) -> None:
            features = done.pairs[k].scaled_features()
            dfeatures[k] += khat_gradient(done.terms[k], self.normalization, features, dmessage, q)

        watch = visit if self.learn_widths else None
        dq, dmu_last = energy_backward(done.terms, done.history[-1], denergy, watch, run_kernel)
        dunary, dmu = mean_field_backward(done.terms, done.history, dq, watch, run_kernel)
        parts = [a + b for a, b in zip(dmu, dmu_last, strict=True)]
        if self.learn_widths:
            pairs = zip(done.pairs, dfeatures, strict=True)
            parts += [kernel_parameters_backward(pair, d) for pair, d in pairs]
        return dunary + denergy, parts

    def _check(self, scores: np.ndarray, images: np.ndarray) -> None:
        classes = len(self.compatibility.data)
        if scores.ndim != 4 or scores.shape[1] != classes or 0 in scores.shape:
            raise ValueError(f"scores must have shape (N, {classes}, H, W), got {scores.shape}")
        expected = (len(scores), *scores.shape[2:], 3)
        if np.shape(images) != expected:
            raise ValueError(f"images must have shape {expected}, got {np.shape(images)}")
