"""Wrong dense CRFs: features, kernels, signs, and the update."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minideeplab.testing.mutant import Function, altered, backwards, forwards, right
from minideeplab.testing.mutants.gaussian import (
    Kernel,
    gaussian,
    laplacian,
    no_half,
    normalised,
    renamed,
    without_self,
)

dense_crf = right("dense_crf")


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
    kernel: Kernel = gaussian,
    start: Callable[[np.ndarray], np.ndarray] = _softmax,
    update: Callable[..., np.ndarray] = lambda u, message, q: u - message,
    features: Callable[..., np.ndarray] = _features,
    join: Callable[[np.ndarray, np.ndarray], np.ndarray] = np.add,
    finish: Callable[..., np.ndarray] = lambda energy, q: _softmax(energy),
    spoken: Callable[[np.ndarray], np.ndarray] = lambda q: q,
) -> Function:
    """Return a dense CRF with one part exchanged.

    ``spoken(q)`` is what is sent, ``update(unary, message, q)`` gives energies, and
    ``finish(energies, q)`` the next probabilities.
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
        near, alike = (
            compat * normalised(kernel(features(image, sxy, srgb)), normalization)
            for compat, sxy, srgb in (
                (gaussian_compat, gaussian_sxy, None),
                (bilateral_compat, bilateral_sxy, bilateral_srgb),
            )
        )
        weights = join(near, alike)
        q = start(u)
        for _ in range(iterations):
            q = finish(update(u, spoken(q) @ weights.T, q), q)
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


def _coloured(change: Callable[[np.ndarray], np.ndarray]) -> Callable[..., np.ndarray]:
    """Return features of an image whose colours are changed."""
    return lambda image, sxy, srgb: _features(change(image.astype(np.float64)), sxy, srgb)


def _places(change: Callable[[np.ndarray, tuple[int, int]], np.ndarray]) -> Any:
    """Return features whose first two rows, column and row over sxy, are changed."""

    def features(image: np.ndarray, sxy: float, srgb: float | None) -> np.ndarray:
        found = _features(image, sxy, srgb)
        places = change(found[:2] * sxy, image.shape[:2]) / sxy
        return np.concatenate([places, found[2:]])

    return features


def _grey_feature(image: np.ndarray, sxy: float, srgb: float | None) -> np.ndarray:
    return _features(image.mean(axis=-1, keepdims=True), sxy, srgb)


def _counted_down(places: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return columns as index % H, rows as index // W, which is right for square images only."""
    return np.stack([np.arange(places.shape[1]) % size[0], places[1]])


def _neighbours(f: np.ndarray) -> np.ndarray:
    return gaussian(f) * (np.abs(f[:2, :, None] - f[:2, None]).max(axis=0) <= 1)


def _hard(q: np.ndarray) -> np.ndarray:
    return (q == q.max(axis=0)).astype(np.float64)


def _over_pixels(energy: np.ndarray, q: np.ndarray) -> np.ndarray:
    return _softmax(energy.T).T


GREY = np.array([0.299, 0.587, 0.114])


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
        "without-self": (_mean_field(without_self), "a pixel's own message is left out"),
        "no-half": (_mean_field(no_half), "the exponent is -|f - g|^2 without the half"),
        "laplacian": (_mean_field(laplacian), "the distance is not squared"),
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
        "coordinates": (_mean_field(features=_places(_counted_down)),
                        "columns are counted modulo the height: right for square images only"),
        "rows-only": (_mean_field(features=_places(lambda p, size: p * [[0], [1]])),
                      "the columns do not count in the distance"),
        "columns-only": (_mean_field(features=_places(lambda p, size: p * [[1], [0]])),
                         "the rows do not count in the distance"),
        "unit-square": (_mean_field(features=_places(lambda p, size: p / [[size[1]], [size[0]]])),
                        "positions are divided by the image's size"),
        "grey": (_mean_field(features=_coloured(lambda c: 0 * c + c.mean(-1, keepdims=True))),
                 "the mean of the colours stands for all three"),
        "luminance": (_mean_field(features=_coloured(lambda c: 0 * c + (c @ GREY)[..., None])),
                      "the luminance stands for all three colours"),
        "one-grey": (_mean_field(features=_grey_feature), "there is one grey value, not 3 colours"),
        "neighbours": (_mean_field(_neighbours), "only features nearer than 1 count"),
        "product": (_mean_field(join=np.multiply), "the two kernels are multiplied, not added"),
        "hard-messages": (_mean_field(update=lambda u, m, q: u - m, spoken=_hard),
                          "messages carry the best label instead of probabilities"),
        "over-pixels": (_mean_field(finish=_over_pixels),
                        "probabilities are divided by their sum over pixels, not labels"),
        "sides-swapped": (
            renamed({"before": "after", "after": "before"}, "dense_crf", "symmetric"),
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
            renamed({"before": "none", "after": "none", "symmetric": "none"},
                           "dense_crf", "symmetric"), "the kernels are not normalised"),
        "after-for-symmetric": (renamed({"symmetric": "after"}, "dense_crf", "symmetric"),
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
