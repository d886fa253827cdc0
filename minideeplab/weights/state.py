"""StateDict, the result of every reader: arrays by name, and the framework they come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

#: The frameworks that a reader may record.
ORIGINS = ("caffe", "torchvision", "keras", "matconvnet")


class StateDict(dict[str, np.ndarray]):
    """A dict of arrays with an ``origin``: one of ``ORIGINS``, or None if unknown.

    The origin matters for VGG-16, whose first layer expects another input in each framework
    (see :mod:`minideeplab.weights.vgg`); for everything else this is a plain dict. ``fresh`` names
    the layers whose values are new and random, not from a file.
    """

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray] | Iterable[tuple[str, np.ndarray]] = (),
        origin: str | None = None,
        fresh: Iterable[str] = (),
    ) -> None:
        super().__init__(arrays)
        self.origin, self.fresh = origin, tuple(fresh)


def bfloat16_to_float32(values: np.ndarray) -> np.ndarray:
    """Widen bfloat16, given as uint16 bit patterns: it is the upper half of a float32."""
    return np.array(values.astype(np.uint32) << 16, np.uint32, order="C").view(np.float32)
