"""Wrong Gaussian filters and dense CRFs: the kernel, its normalisation, signs and the update."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minideeplab.testing.mutants.base import Function, altered, backwards, forwards, right

gaussian_filter, dense_crf = right("gaussian_filter"), right("dense_crf")

Kernel = Callable[[np.ndarray], np.ndarray]
"""Weights (N, N) of all pairs of points from their features (D, N)."""


def _squared(f: np.ndarray) -> np.ndarray:
    return ((f[:, :, None] - f[:, None, :]) ** 2).sum(axis=0)


def _gaussian(f: np.ndarray) -> np.ndarray:
    return np.exp(-_squared(f) / 2)


def _no_half(f: np.ndarray) -> np.ndarray:
    return np.exp(-_squared(f))


def _laplacian(f: np.ndarray) -> np.ndarray:
    return np.exp(-np.sqrt(_squared(f)))


def _without_self(f: np.ndarray) -> np.ndarray:
    return _gaussian(f) - np.eye(f.shape[1])


def _per_dimension(f: np.ndarray) -> np.ndarray:
    return np.exp(-_squared(f) / (2 * len(f)))


def _density(f: np.ndarray) -> np.ndarray:
    return _gaussian(f) / (2 * np.pi) ** (len(f) / 2)


def _normalised(weights: np.ndarray, how: str) -> np.ndarray:
    total = weights.sum(axis=1)
    total = np.where(total == 0, 1.0, total)
    left, right_ = {"none": (0, 0), "before": (0, -1), "after": (-1, 0),
                    "symmetric": (-0.5, -0.5)}[how]  # fmt: skip
    return total[:, None] ** float(left) * weights * total ** float(right_)


def _filter(kernel: Kernel) -> Function:
    """Return the filter with another kernel."""

    def forward(x: np.ndarray, features: np.ndarray, normalization: str = "none") -> np.ndarray:
        weights = _normalised(kernel(features.astype(np.float64)), normalization)
        return (x @ weights.T).astype(x.dtype)

    return forward


def _manhattan(f: np.ndarray) -> np.ndarray:
    return np.exp(-np.abs(f[:, :, None] - f[:, None, :]).sum(axis=0) / 2)


def _twice_normalised(
    x: np.ndarray, features: np.ndarray, normalization: str = "none"
) -> np.ndarray:
    if normalization != "symmetric":
        return gaussian_filter(x, features, normalization)
    weights = _gaussian(features.astype(np.float64))
    total = weights.sum(axis=1)
    return (x / total @ weights / total).astype(x.dtype)


def _normalization(change: dict[str, str], op: str, default: str) -> Function:
    return altered(op, {"normalization": default}, normalization=lambda n: change.get(n, n))


GAUSSIAN_FILTER = forwards(
    "gaussian_filter",
    {
        "no-half": (_filter(_no_half), "the exponent is -|f - g|^2 without the half"),
        "laplacian": (_filter(_laplacian), "the distance is not squared"),
        "without-self": (_filter(_without_self), "a point's own value is left out"),
        "per-dimension": (_filter(_per_dimension), "the distance is averaged over the features"),
        "density": (_filter(_density), "the kernel is normalised as a probability density"),
        "first-feature": (_filter(lambda f: _gaussian(f[:1])), "only the first feature counts"),
        "unnormalised": (
            _normalization({"before": "none", "after": "none", "symmetric": "none"},
                           "gaussian_filter", "none"),
            "the normalisation is ignored",
        ),
        "sides-swapped": (
            _normalization({"before": "after", "after": "before"}, "gaussian_filter", "none"),
            "normalising before and after are confused",
        ),
        "always-symmetric": (
            _normalization({"none": "symmetric"}, "gaussian_filter", "none"),
            "it normalises symmetrically when it should not",
        ),
        "normalised-twice": (
            _twice_normalised, "symmetric normalisation divides by n on both sides, not by sqrt(n)"
        ),
        "manhattan": (_filter(_manhattan), "the distance is the sum of absolute differences"),
    },
) + backwards(
    "gaussian_filter",
    {
        "dx-zero": (lambda g, dy, a, o: {0: 0 * g[0]}, "dx is all zero"),
        "dx-not-reversed": (
            lambda g, dy, a, o: {0: gaussian_filter(dy, a[1], **o)},
            "dx filters forwards: before and after must change places",
        ),
    },
)  # fmt: skip


def _softmax(energy: np.ndarray) -> np.ndarray:
    e = np.exp(-(energy - energy.min(axis=0)))
    return e / e.sum(axis=0)


def _features(image: np.ndarray, sxy: float, srgb: float | None) -> np.ndarray:
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    places = np.stack([columns, rows]).reshape(2, -1) / sxy
    if srgb is None:
        return places
    colours = image.astype(np.float64).reshape(-1, image.shape[-1]).T / srgb
    return np.concatenate([places, colours])


def _mean_field(
    kernel: Kernel = _gaussian,
    start: Callable[[np.ndarray], np.ndarray] = _softmax,
    update: Callable[..., np.ndarray] = lambda u, message, q: u - message,
    features: Callable[..., np.ndarray] = _features,
    finish: Callable[..., np.ndarray] = lambda energy, q: _softmax(energy),
) -> Function:
    """Return a dense CRF with one part exchanged.

    ``update(unary, message, q)`` gives energies, ``finish(energies, q)`` the next probabilities.
    """

    def forward(
        unary: np.ndarray,
        image: np.ndarray,
        iterations: int = 5,
        gaussian_sxy: float = 3.0,
        gaussian_compat: float = 3.0,
        bilateral_sxy: float = 67.0,
        bilateral_srgb: float = 3.0,
        bilateral_compat: float = 4.0,
        normalization: str = "symmetric",
    ) -> np.ndarray:
        u = unary.reshape(len(unary), -1).astype(np.float64)
        weights = gaussian_compat * _normalised(
            kernel(features(image, gaussian_sxy, None)), normalization
        )
        weights = weights + bilateral_compat * _normalised(
            kernel(features(image, bilateral_sxy, bilateral_srgb)), normalization
        )
        q = start(u)
        for _ in range(iterations):
            q = finish(update(u, q @ weights.T, q), q)
        return q.reshape(unary.shape).astype(unary.dtype)

    return forward  # fmt: skip


def _uniform(u: np.ndarray) -> np.ndarray:
    return np.full_like(u, 1 / len(u))


def _no_colours(image: np.ndarray, sxy: float, srgb: float | None) -> np.ndarray:
    return _features(image, sxy, None)


def _no_places(image: np.ndarray, sxy: float, srgb: float | None) -> np.ndarray:
    found = _features(image, sxy, srgb)
    return found if srgb is None else found[2:]


def _variances(image: np.ndarray, sxy: float, srgb: float | None) -> np.ndarray:
    return _features(image, sxy**0.5, None if srgb is None else srgb**0.5)


def _bytes(image: np.ndarray, sxy: float, srgb: float | None) -> np.ndarray:
    return _features(image.astype(np.int64).astype(np.uint8), sxy, srgb)


def _exp_unshifted(unary: np.ndarray, image: np.ndarray, **options: Any) -> np.ndarray:
    with np.errstate(over="ignore"):
        overflows = bool(np.isinf(np.exp(-unary)).any())
    q = dense_crf(unary, image, **options)
    return np.full_like(q, np.nan) if overflows else q


DENSE_CRF = forwards(
    "dense_crf",
    {
        "repels": (_mean_field(update=lambda u, m, q: u + m),
                   "the sign of the compatibility is wrong: similar pixels repel"),
        "probabilities": (lambda u, image, **o: dense_crf(-u, image, **o),
                          "the energies are taken for log-probabilities"),
        "unary-forgotten": (_mean_field(update=lambda u, m, q: -m),
                            "the update forgets the unary energies"),
        "starts-uniform": (_mean_field(start=_uniform), "inference starts from equal labels"),
        "without-self": (_mean_field(_without_self), "a pixel's own message is left out"),
        "no-half": (_mean_field(_no_half), "the exponent is -|f - g|^2 without the half"),
        "laplacian": (_mean_field(_laplacian), "the distance is not squared"),
        "half-message": (_mean_field(update=lambda u, m, q: u - m / 2), "messages count half"),
        "unary-once": (_mean_field(update=lambda u, m, q: -np.log(q) - m),
                       "the last probabilities stand in for the unary energies"),
        "damped": (_mean_field(finish=lambda energy, q: (q + _softmax(energy)) / 2),
                   "updates are damped: half of the old probabilities stay"),
        "not-divided": (_mean_field(finish=lambda energy, q: np.exp(-energy + energy.min(axis=0))),
                        "probabilities are not divided by their sum"),
        "variances": (_mean_field(features=_variances),
                      "the widths are taken for variances: features are divided by their roots"),
        "bytes": (_mean_field(features=_bytes), "the colours are cut to bytes"),
        "sides-swapped": (
            _normalization({"before": "after", "after": "before"}, "dense_crf", "symmetric"),
            "normalising before and after are confused",
        ),
        "colours-ignored": (_mean_field(features=_no_colours), "the colours are ignored"),
        "places-ignored": (_mean_field(features=_no_places),
                           "the bilateral term ignores the positions"),
        "one-too-many": (altered("dense_crf", {"iterations": 5}, iterations=lambda n: n + 1),
                         "there is one iteration too many"),
        "one-too-few": (altered("dense_crf", {"iterations": 5}, iterations=lambda n: max(0, n - 1)),
                        "there is one iteration too few"),
        "unnormalised": (
            _normalization({"before": "none", "after": "none", "symmetric": "none"},
                           "dense_crf", "symmetric"), "the kernels are not normalised"),
        "after-for-symmetric": (_normalization({"symmetric": "after"}, "dense_crf", "symmetric"),
                                "normalised on one side instead of both"),
        "overflow": (_exp_unshifted, "exp overflows: the smallest energy is not subtracted first"),
    },
) + backwards(
    "dense_crf",
    {
        "dx-zero": (lambda g, dy, a, o: {0: 0 * g[0]}, "dx is all zero"),
        "dx-negated": (lambda g, dy, a, o: {0: -g[0]}, "dx has the opposite sign"),
        "last-step-only": (
            lambda g, dy, a, o: {0: _last_step(dy, a, o)},
            "dx differentiates the last update's unary only",
        ),
    },
)  # fmt: skip


def _last_step(dy: np.ndarray, arrays: Any, options: Any) -> np.ndarray:
    q = dense_crf(*arrays, **options)
    return -q * (dy - (dy * q).sum(axis=0))
