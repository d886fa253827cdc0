"""pydensecrf's interface on minideeplab's dense CRF: no compiler, the same results.

    import minideeplab.compat.pydensecrf.densecrf as dcrf
    from minideeplab.compat.pydensecrf.utils import unary_from_softmax

Arrays of another dtype or memory layout are converted where pydensecrf rejects them. Kept, because
results depend on it: ``DenseCRF2D(width, height, labels)`` takes the width first, the bilateral
features of ``DenseCRF2D`` start with x but those of ``utils.create_pairwise_*`` with the row, and
the sign of ``compat`` turns over between a number and an array.
"""

from __future__ import annotations

from minideeplab.compat.pydensecrf import densecrf, eigen, utils

__all__ = ["densecrf", "eigen", "utils"]
