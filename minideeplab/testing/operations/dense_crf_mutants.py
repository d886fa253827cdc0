"""Wrong dense CRFs: features, kernels, signs, and the update."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minideeplab.testing.mutant import QUIET, Function, on, right
from minideeplab.testing.operations.kernels import (
    WRONG_KERNELS,
    Kernel,
    gaussian,
    normalised,
    renamed,
    without_self,
    wrong_normalizations,
)
from minideeplab.testing.operations.products import DX_ZERO

dense_crf = right("dense_crf")
GREY = np.array([0.299, 0.587, 0.114])


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
    normalise: Callable[..., np.ndarray] = lambda energy, q: _softmax(energy),
    sent: Callable[[np.ndarray], np.ndarray] = lambda q: q,
) -> Function:
    """Return a dense CRF with one part exchanged.

    ``sent(q)`` are the messages, ``update(unary, message, q)`` gives energies, and
    ``normalise(energies, q)`` the next probabilities.
    """

    def forward(
        unary: np.ndarray, image: np.ndarray, iterations: int = 5, gaussian_sxy: float = 3.0,
        gaussian_compat: float = 3.0, bilateral_sxy: float = 67.0, bilateral_srgb: float = 3.0,
        bilateral_compat: float = 4.0, normalization: str = "symmetric",
    ) -> np.ndarray:  # fmt: skip
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
            q = normalise(update(u, sent(q) @ weights.T, q), q)
        return q.reshape(unary.shape).astype(unary.dtype)

    return forward


def _image(change: Callable[[np.ndarray], np.ndarray]) -> Function:
    """Return a CRF that sees a changed image."""
    return _mean_field(
        features=lambda image, sxy, srgb: _features(change(image.astype(np.float64)), sxy, srgb)
    )


def _places(change: Callable[[np.ndarray, tuple[int, int]], np.ndarray]) -> Function:
    """Return a CRF whose positions, column and row of all pixels, are changed."""

    def features(image: np.ndarray, sxy: float, srgb: float | None) -> np.ndarray:
        found = _features(image, sxy, srgb)
        return np.concatenate([change(found[:2] * sxy, image.shape[:2]) / sxy, found[2:]])

    return _mean_field(features=features)


def _counted_down(places: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return columns as index % H, rows as index // W, which is right for square images only."""
    return np.stack([np.arange(places.shape[1]) % size[0], places[1]])


def _exp_unshifted(unary: np.ndarray, image: np.ndarray, **options: Any) -> np.ndarray:
    with np.errstate(**QUIET):
        overflows = bool(np.isinf(np.exp(-unary)).any())
    q = dense_crf(unary, image, **options)
    return np.full_like(q, np.nan) if overflows else q


FORWARD = {
    "repels": (_mean_field(update=lambda u, m, q: u + m),
               "the sign of the compatibility is wrong: similar pixels repel"),
    "probabilities": (dense_crf.before(lambda u, image, **o: (-u, image)),
                      "the energies are taken for log-probabilities"),
    "unary-forgotten": (_mean_field(update=lambda u, m, q: -m),
                        "the update forgets the unary energies"),
    "starts-uniform": (_mean_field(start=lambda u: np.full_like(u, 1 / len(u))),
                       "inference starts from equal labels"),
    "without-self": (_mean_field(without_self), "a pixel's own message is left out"),
    **{name: (_mean_field(kernel), text) for name, (kernel, text) in WRONG_KERNELS.items()},
    "half-message": (_mean_field(update=lambda u, m, q: u - m / 2), "messages count half"),
    "unary-once": (_mean_field(update=lambda u, m, q: -np.log(q) - m),
                   "the last probabilities stand in for the unary energies"),
    "damped": (_mean_field(normalise=lambda energy, q: (q + _softmax(energy)) / 2),
               "updates are damped: half of the old probabilities stay"),
    "not-divided": (_mean_field(normalise=lambda energy, q: np.exp(-energy + energy.min(axis=0))),
                    "probabilities are not divided by their sum"),
    "variances": (
        _mean_field(features=lambda image, sxy, srgb: _features(
            image, sxy**0.5, None if srgb is None else srgb**0.5)),
        "the widths are taken for variances: features are divided by their roots"),
    "bytes": (_image(lambda c: c.astype(np.int64).astype(np.uint8)),
              "the colours are cut to bytes"),
    "coordinates": (_places(_counted_down),
                    "columns are counted modulo the height: right for square images only"),
    "rows-only": (_places(lambda p, size: p * [[0], [1]]),
                  "the columns do not count in the distance"),
    "columns-only": (_places(lambda p, size: p * [[1], [0]]),
                     "the rows do not count in the distance"),
    "unit-square": (_places(lambda p, size: p / [[size[1]], [size[0]]]),
                    "positions are divided by the image's size"),
    "grey": (_image(lambda c: 0 * c + c.mean(-1, keepdims=True)),
             "the mean of the colours stands for all three"),
    "luminance": (_image(lambda c: 0 * c + (c @ GREY)[..., None]),
                  "the luminance stands for all three colours"),
    "one-grey": (_image(lambda c: c.mean(axis=-1, keepdims=True)),
                 "there is one grey value, not 3 colours"),
    "neighbours": (
        _mean_field(lambda f: gaussian(f) * (
            np.abs(f[:2, :, None] - f[:2, None]).max(axis=0) <= 1)),
        "only features nearer than 1 count"),
    "product": (_mean_field(join=np.multiply), "the two kernels are multiplied, not added"),
    "hard-messages": (_mean_field(sent=lambda q: (q == q.max(axis=0)).astype(np.float64)),
                      "messages carry the best label instead of probabilities"),
    "over-pixels": (_mean_field(normalise=lambda energy, q: _softmax(energy.T).T),
                    "probabilities are divided by their sum over pixels, not labels"),
    "colours-ignored": (_mean_field(features=lambda image, sxy, srgb: _features(image, sxy, None)),
                        "the colours are ignored"),
    "places-ignored": (
        _mean_field(features=lambda image, sxy, srgb: _features(image, sxy, srgb)[
            0 if srgb is None else 2 :]),
        "the bilateral term ignores the positions"),
    "one-too-many": (dense_crf.altered(iterations=lambda n: n + 1),
                     "there is one iteration too many"),
    "one-too-few": (dense_crf.altered(iterations=lambda n: max(0, n - 1)),
                    "there is one iteration too few"),
    **wrong_normalizations("dense_crf", "the kernels are not normalised"),
    "after-for-symmetric": (renamed("dense_crf", symmetric="after"),
                            "normalised on one side instead of both"),
    "overflow": (_exp_unshifted, "exp overflows: the smallest energy is not subtracted first"),
}  # fmt: skip


def _last_step(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> np.ndarray:
    q = dense_crf(*arrays, **options)
    return -q * (dy - (dy * q).sum(axis=0))


BACKWARD = {
    "dx-zero": DX_ZERO,
    "dx-negated": (on(0, np.negative), "dx has the opposite sign"),
    "last-step-only": (_last_step, "dx differentiates the last update's unary only"),
}
