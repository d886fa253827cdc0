"""Record what pydensecrf computes for synthetic images: writes pydensecrf.npz beside this file.

Run it with pydensecrf2 installed: ``python tests/crf/make_pydensecrf.py``.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from scenes import scene

TARGET = Path(__file__).with_name("pydensecrf.npz")
MATRIX = [[0.0, 1.5, 0.2], [0.5, -1.0, 2.0], [1.2, 0.4, 0.0]]
CASES = {  # size, labels, compat, normalization, sxy and srgb of the bilateral, sxy of the other
    "symmetric": ((11, 14), 4, 3.0, 3, (9, 20, 3)),
    "before": ((11, 14), 4, 3.0, 1, (9, 20, 3)),
    "after": ((11, 14), 4, 3.0, 2, (9, 20, 3)),
    "unnormalised": ((11, 14), 4, 0.02, 0, (9, 20, 3)),
    "two labels": ((13, 16), 2, 2.0, 3, (67, 3, (2, 5))),
    "five-dimensional padding": ((9, 13), 3, 4.0, 3, (67, 3, 1)),
    "diagonal": ((12, 12), 3, [-1.0, -3.0, 0.5], 3, (30, 13, 3)),
    "matrix": ((12, 12), 3, MATRIX, 3, (30, 13, 3)),
}


def run_pydensecrf(size, labels, compat, normalization, widths, seed):
    import pydensecrf.densecrf as dcrf

    image, unary = scene(*size, labels, seed)
    sxy, srgb, small = widths
    given = compat if isinstance(compat, float) else np.array(compat, np.float32)
    crf = dcrf.DenseCRF2D(size[1], size[0], labels)
    crf.setUnaryEnergy(np.ascontiguousarray(unary.reshape(labels, -1)))
    options = {"compat": given, "normalization": dcrf.NormalizationType(normalization)}
    crf.addPairwiseGaussian(sxy=small, **options)
    crf.addPairwiseBilateral(sxy=sxy, srgb=srgb, rgbim=image, **options)
    q1, q10 = (np.array(crf.inference(n)).reshape(unary.shape) for n in (1, 10))
    return image, unary, np.stack([q1, q10]), crf.klDivergence(crf.inference(10))


def main() -> None:
    arrays, settings = {}, {}
    for seed, (name, case) in enumerate(CASES.items()):
        image, unary, q, kl = run_pydensecrf(*case, seed)
        arrays |= {f"{name} image": image, f"{name} unary": unary, f"{name} q": q}
        settings[name] = [*case, kl]
    np.savez_compressed(TARGET, settings=json.dumps(settings), **arrays)
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
