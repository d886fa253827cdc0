"""The GPU backend: CuPy arrays, cuBLAS for matrix products, CUDA kernels for everything else.

Read ``launch.py`` (kernels and their launch) first, then ``activation``, ``im2col``, ``matmul``,
``implicit_gemm``, ``conv``, ``pool``, ``resize``, ``loss``, ``norm``, ``padding`` and ``crf/``.
Each file holds its Numba CUDA kernels, with the thread map in the docstring above, and the
functions that launch them. ``kernels/*.cu`` holds the same kernels in CUDA C. ``backend.py``
exports the operations; `use_backend("cuda")` loads it.

Only ``backend.py`` needs a GPU, or Numba's simulator (``NUMBA_ENABLE_CUDASIM=1``), where NumPy
arrays replace those of CuPy. ``matmul_precision("tf32")`` selects tensor cores, which are faster
and less precise.
"""

try:
    import numba.cuda  # noqa: F401 - part of Numba, or of the package numba-cuda
except ImportError as error:
    raise ImportError(
        f"Numba has no CUDA target here ({error}): pip install '.[cuda12]' or '.[cuda13]'"
    ) from error

from minideeplab.backends.cuda.matmul import matmul_precision

__all__ = ["matmul_precision"]
