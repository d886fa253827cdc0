"""The GPU backend: CuPy arrays, cuBLAS for matrix products, hand-written kernels for the rest.

Read ``launch.py`` (what a kernel is and how it is started), then one file an idea: ``activation``,
``columns``, ``product``, ``implicit_gemm``, ``conv``, ``finish``, ``pool``, ``resize``, ``loss``,
``norm``, ``padding`` and ``crf/``. Each holds its Numba CUDA kernels, with their mapping of threads
drawn above, and the functions that start them. ``kernels/*.cu`` says the same in CUDA C.
``backend.py`` exports the operations and is what `use_backend("cuda")` loads.

Importing anything here needs no GPU; loading ``backend.py`` asks for one, or for Numba's simulator
(``NUMBA_ENABLE_CUDASIM=1``), in which NumPy stands in for CuPy.

``matmul_precision("tf32")`` lets tensor cores multiply, faster and less precisely.
"""

try:
    import numba.cuda  # noqa: F401 - part of Numba, or of the package numba-cuda
except ImportError as error:
    raise ImportError(
        f"Numba has no CUDA target here ({error}): pip install 'minideeplab[cuda12]' or "
        "'minideeplab[cuda13]'"
    ) from error

from minideeplab.backends.cuda.matmul import matmul_precision

__all__ = ["matmul_precision"]
