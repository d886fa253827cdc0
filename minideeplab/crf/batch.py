"""A batch of images under one model: a DenseCRF each, run side by side."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import copy_context

import numpy as np

from minideeplab.crf.dense import DenseCRF


class DenseCRFBatch:
    """CRFs over B images of equal size; everything has the image axis first.

    Args:
        unary: energies (B, C, H, W) or (B, C, N).
        executor: a ``concurrent.futures.ThreadPoolExecutor`` to run the images on; by default
            one after the other (the kernels of a fast backend use several threads anyway).
        method, self_term: see :class:`DenseCRF`.
    """

    def __init__(
        self,
        unary: np.ndarray,
        method: str = "lattice",
        self_term: bool = True,
        executor: Executor | None = None,
    ):
        unary = np.asarray(unary)
        if unary.ndim < 3 or not len(unary):
            raise ValueError(f"unary must be (B, C, H, W) with B >= 1, got {unary.shape}")
        self.crfs = [DenseCRF(one, method, self_term) for one in unary]
        self._executor = executor

    def add_gaussian(self, *args: object, **options: object) -> None:
        """Add the same smoothness term to every image; see :meth:`DenseCRF.add_gaussian`."""
        self._each(lambda crf: crf.add_gaussian(*args, **options))

    def add_bilateral(self, images: np.ndarray, *args: object, **options: object) -> None:
        """Add an appearance term for ``images`` (B, H, W, channels)."""
        self._each(lambda crf, image: crf.add_bilateral(image, *args, **options), images)

    def add_pairwise(self, features: np.ndarray, *args: object, **options: object) -> None:
        """Add a term with ``features`` (B, D, N)."""
        self._each(lambda crf, one: crf.add_pairwise(one, *args, **options), features)

    def inference(self, iterations: int = 10) -> np.ndarray:
        """Run mean field on every image; return Q (B, C, H, W)."""
        return np.stack(self._each(lambda crf: crf.inference(iterations)))

    def start(self) -> np.ndarray:
        """Begin step by step, (B, C, H, W)."""
        return self.inference(0)

    def step(self) -> np.ndarray:
        """Do one update of every image, (B, C, H, W)."""
        return np.stack(self._each(lambda crf: crf.step()))

    def map(self) -> np.ndarray:
        """The most probable labels under the present Q, (B, H, W)."""
        return np.stack([crf.map() for crf in self.crfs])

    def kl_divergence(self) -> np.ndarray:
        """The images' measures of convergence, (B,); see :meth:`DenseCRF.kl_divergence`."""
        return np.array(self._each(lambda crf: crf.kl_divergence()))

    def _each(self, act: Callable, *parts: np.ndarray) -> list:
        """Call ``act`` with every CRF and its slice of ``parts``."""
        for part in parts:
            if len(part) != len(self.crfs):
                raise ValueError(f"a batch of {len(self.crfs)} needs as many, got {len(part)}")
        calls = list(zip(self.crfs, *parts, strict=True))
        if self._executor is None:
            return [act(*call) for call in calls]
        jobs = [self._executor.submit(copy_context().run, act, *call) for call in calls]
        return [job.result() for job in jobs]
