"""Atrous convolution as dense convolution on de-interleaved maps (DeepLab, section 3.1).

With dilation d, outputs whose positions have the same remainder modulo d read only inputs that
lie d apart, and nobody else's: the map falls apart into d * d phases, on each of which the
convolution is an ordinary one.
"""

from __future__ import annotations

import numpy as np


def starts(size: int, dilation: int, m: int) -> np.ndarray:
    """Return where runs of m outputs, ``dilation`` apart, start so that they cover ``size``."""
    return np.concatenate([np.arange(phase, size, dilation * m) for phase in range(dilation)])
