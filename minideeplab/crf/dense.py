"""The fully connected CRF of Kraehenbuehl and Koltun (2011): energies in, label probabilities out.

Over labellings x of the pixels,

    E(x) = sum_i U(x_i) + 1/2 sum_k sum_ij mu_k(x_i, x_j) Khat_k(i, j)

    crf = DenseCRF(unary)                                # (C, H, W) negative log-probabilities
    crf.add_gaussian(sxy=3, compat=3)                    # smoothness
    crf.add_bilateral(image, sxy=67, srgb=3, compat=4)   # appearance
    q = crf.inference(10)                                # (C, H, W), sums to 1 over labels
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from minideeplab import backends
from minideeplab.crf.energies import Energies
from minideeplab.crf.gradients import Gradients, crf_gradients
from minideeplab.crf.pairwise import (
    Pairwise,
    build_term,
    check_compat,
    make_pairwise,
    with_compat,
)
from minideeplab.crf.potentials import (
    as_float,
    as_widths,
    bilateral_features,
    check_energies,
    check_finite,
    check_image,
    gaussian_features,
)
from minideeplab.ops.crf.meanfield import mean_field, softmax

METHODS = ("lattice", "exact")


class DenseCRF(Energies):
    """A dense CRF over one image, volume or set of points.

    Args:
        unary: energies (C, H, W), (C, D, H, W) or (C, N), float32 or float64 (others are
            converted). Results have its dtype; ``method="exact"`` is always float64. Infinity
            makes a label impossible at a pixel: Q is 0 there, and 1 where it is the only one left.
        method: "lattice", O(N), or "exact", the O(N^2) definition that it approximates.
        self_term: whether a pixel's message includes its own label, as in pydensecrf. The paper
            leaves it out (``False``); inference is then slower.

    Raises ValueError or TypeError for NaN, for pixels without a possible label, and for energies
    without labels or pixels.
    """

    def __init__(self, unary: np.ndarray, method: str = "lattice", self_term: bool = True):
        unary = as_float(unary, "unary")
        if unary.ndim < 2 or 0 in unary.shape:
            raise ValueError(
                "unary must have shape (labels, H, W) or (labels, N) with at least one label and "
                f"one pixel, got {unary.shape}"
            )
        check_energies(unary)
        if method not in METHODS:
            raise ValueError(f"method must be one of {METHODS}, got {method!r}")
        self.method, self.self_term = method, self_term
        self.n_labels, self.shape = unary.shape[0], unary.shape[1:]
        self.dtype = np.dtype(np.float64) if method == "exact" else unary.dtype
        self.unary = np.ascontiguousarray(unary.reshape(self.n_labels, -1), self.dtype)  # (C, N)
        self.pairwise: list[Pairwise] = []
        self.terms = []
        self._q: np.ndarray | None = None

    # ------------------------------------------------------------ the model

    def add_gaussian(
        self,
        sxy: float | Sequence[float],
        compat: object,
        kernel: str = "diag",
        normalization: str = "symmetric",
    ) -> None:
        """Add a smoothness term: positions only, ``sxy`` in pixels, a number or (sx, sy, ...)."""
        features = gaussian_features(self.shape, sxy, self.dtype.type)
        widths = as_widths(sxy, len(self.shape), "sxy")
        self._add(features, compat, kernel, normalization, widths)

    def add_bilateral(
        self,
        image: np.ndarray,
        sxy: float | Sequence[float],
        srgb: float | Sequence[float],
        compat: object,
        kernel: str = "diag",
        normalization: str = "symmetric",
    ) -> None:
        """Add an appearance term: positions and colours.

        ``image`` (H, W, channels), or (H, W) grey, any number of channels and any real dtype;
        ``srgb``, a number or one per channel, is in the image's units (DeepLab: 0..255).
        """
        image = check_image(image, self.shape)
        features = bilateral_features(image, sxy, srgb, self.dtype.type)
        widths = as_widths(sxy, len(self.shape), "sxy") + as_widths(srgb, image.shape[-1], "srgb")
        self._add(features, compat, kernel, normalization, widths)

    def add_pairwise(
        self,
        features: np.ndarray,
        compat: object,
        kernel: str = "diag",
        normalization: str = "symmetric",
    ) -> None:
        """Add a term with any ``features`` (D, N) or (D, H, W), divided by the kernel's widths.

        ``compat`` is a number (Potts, positive attracts), a vector (C,) or a matrix (C, C) of
        energies (positive repels); see ``pairwise.py``. ``kernel`` is "const", "diag" or "full":
        what learning may change. ``normalization``: "none", "before", "after" or "symmetric".
        """
        features = as_float(features, "features").astype(self.dtype, copy=False)
        n = self.unary.shape[1]
        if features.ndim < 2 or not len(features) or features[0].size != n:
            raise ValueError(f"features must have shape (D, {n}) here, got {features.shape}")
        self._add(features.reshape(len(features), n), compat, kernel, normalization)

    def set_unary(self, unary: np.ndarray) -> None:
        """Replace the unary energies by others of the same shape, or (C, N); kernels are kept."""
        unary = self._flat(as_float(unary, "unary"), "unary")
        check_energies(unary)
        self.unary, self._q = np.ascontiguousarray(unary), None

    def set_compat(self, term: int, compat: object) -> None:
        """Replace the compatibility of one term, as given to ``add_*``; the kernel is kept."""
        compat = check_compat(compat, self.n_labels, self.dtype)
        self.pairwise[term] = replace(self.pairwise[term], compat=compat)
        self.terms[term] = with_compat(self.terms[term], self.pairwise[term])

    def set_kernel(self, term: int, parameters: np.ndarray) -> None:
        """Replace the kernel parameters of one term, (D,) or (D, D), and rebuild its kernel."""
        old = self.pairwise[term].parameters
        parameters = np.asarray(parameters, self.dtype)
        if parameters.shape != old.shape:
            raise ValueError(f"parameters must have shape {old.shape}, got {parameters.shape}")
        self.pairwise[term] = replace(self.pairwise[term], parameters=parameters)
        self.terms[term] = build_term(self.pairwise[term], self.method, self.self_term)

    # ------------------------------------------------------------ inference

    def inference(self, iterations: int = 10) -> np.ndarray:
        """Run mean field from the unary; return Q in the unary's shape, sums over labels of 1."""
        if iterations < 0:
            raise ValueError(f"iterations must not be negative, got {iterations}")
        self._q = self._run(iterations)
        return self.q

    def start(self) -> np.ndarray:
        """Begin step by step: Q = softmax(-unary)."""
        self._q = None
        return self.q

    def step(self, q: np.ndarray | None = None) -> np.ndarray:
        """Do one update, of ``q`` or else of the present Q, and return it.

        Ten steps after :meth:`start` equal ``inference(10)``.
        """
        self._q = self._run(1, self._q if q is None else self._flat(q))
        return self.q

    def label_steps(self, iterations: int) -> Iterator[np.ndarray]:
        """Yield the most probable labels (H, W) at the start and after each of the iterations."""
        self.start()
        yield self.map()
        for _ in range(iterations):
            self.step()
            yield self.map()

    @property
    def q(self) -> np.ndarray:
        """The present Q, of the unary's shape."""
        return self._state().reshape(self.n_labels, *self.shape)

    def map(self) -> np.ndarray:
        """The most probable label of every pixel under the present Q, int64 (H, W)."""
        return self.q.argmax(axis=0)

    def gradients(
        self, dq: np.ndarray | Callable, iterations: int = 10, kernels: bool = True
    ) -> tuple[np.ndarray, Gradients]:
        """Run mean field and differentiate a loss of its Q; return Q and the gradients.

        ``dq`` is dLoss/dQ in the unary's shape, or a function that computes it from Q.
        ``kernels=False`` leaves out the kernel parameters and widths, which cost the most.
        """

        def loss_gradient(q: np.ndarray) -> np.ndarray:
            given = dq(q.reshape(self.n_labels, *self.shape)) if callable(dq) else dq
            return np.asarray(given, self.dtype).reshape(q.shape)

        q, found = crf_gradients(
            self.unary, self.pairwise, self.terms, iterations, loss_gradient, kernels
        )
        self._q = q
        return self.q, replace(found, unary=found.unary.reshape(self.q.shape))

    # ------------------------------------------------------------ inside

    def _add(
        self,
        features: np.ndarray,
        compat: object,
        kernel: str,
        normalization: str,
        widths: Sequence[float] | None = None,
    ) -> None:
        check_finite(features, "features")
        pairwise = make_pairwise(
            features, compat, kernel, normalization, self.n_labels, widths and np.array(widths)
        )
        self.terms.append(build_term(pairwise, self.method, self.self_term))
        self.pairwise.append(pairwise)

    def _run(self, iterations: int, q: np.ndarray | None = None) -> np.ndarray:
        run = mean_field if self.method == "exact" else backends.current().mean_field
        return run(self.unary, self.terms, iterations, q)

    def _state(self) -> np.ndarray:
        return softmax(-self.unary) if self._q is None else self._q

    def _flat(self, q: np.ndarray, name: str = "q") -> np.ndarray:
        q = np.asarray(q)
        if q.shape not in [self.unary.shape, (self.n_labels, *self.shape)]:
            last = q.size == self.unary.size and q.shape[-1:] == (self.n_labels,)
            raise ValueError(
                f"{name} must have shape {(self.n_labels, *self.shape)}, got {q.shape}"
                + ("; labels come first: pass np.moveaxis(x, -1, 0)" if last else "")
            )
        return q.reshape(self.unary.shape).astype(self.dtype, copy=False)
