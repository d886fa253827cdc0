"""Every kernel compiles for a GPU without one: Numba's to PTX, the CUDA C sources with NVRTC.

Needs what `pip install -e '.[ptx]'` brings; without it these tests are skipped.
"""

import importlib
import re
import types

import numba
import pytest

from minideeplab.backends.cuda import implicit_gemm, launch, twins

COMPUTE_CAPABILITY = (8, 0)
WIDE_ARITHMETIC = re.compile(r"\b(?:add|sub|mul|fma|div)\.\S*f64.*")


@pytest.fixture
def compile_ptx(monkeypatch):
    """`numba.cuda.compile_ptx`, which asks for the device only to compile what kernels call."""
    try:
        from cuda.bindings import nvrtc  # noqa: F401 - what numba-cuda compiles with
        from numba.cuda import dispatcher
    except ImportError as error:
        pytest.skip(f"no NVVM: {error}")
    device = types.SimpleNamespace(compute_capability=COMPUTE_CAPABILITY)
    monkeypatch.setattr(dispatcher, "get_current_device", lambda: device)
    return numba.cuda.compile_ptx


def signature(names):
    kinds = [getattr(numba, name.removesuffix("[::1]")) for name in names]
    return tuple(
        kind[::1] if name.endswith("[::1]") else kind
        for kind, name in zip(kinds, names, strict=True)
    )


def test_numba_kernels_compile_to_ptx(compile_ptx, judged):
    """As they were started in float32, which is where a GPU suffers from a stray float64."""
    for module, name, kinds in judged("checker")["signatures"]:
        kernel = getattr(importlib.import_module(module), name)
        if not isinstance(kernel, launch.Kernel):
            kernel = implicit_gemm.implicit_gemm(kinds[0].removesuffix("[::1]"))
        text, _ = compile_ptx(kernel.function, signature(kinds), cc=COMPUTE_CAPABILITY)
        assert ".visible .entry" in text and name in text
        if "float64[::1]" not in kinds:
            wide = WIDE_ARITHMETIC.findall(text)
            assert not wide, f"{name} computes in float64: {wide[0]}"


@pytest.mark.parametrize("dtype, index", [("float32", "int32"), ("float64", "int64")])
@pytest.mark.parametrize("file", twins.files())
def test_cuda_c_compiles(file, dtype, index):
    nvrtc = pytest.importorskip("cuda.bindings.nvrtc")
    try:
        _, program = nvrtc.nvrtcCreateProgram(
            twins.source(file, dtype, index).encode(), b"", 0, [], []
        )
    except Exception as error:  # the bindings are there, the library is not
        pytest.skip(f"no NVRTC: {error}")
    options = [b"--gpu-architecture=compute_80", *map(str.encode, twins.OPTIONS)]
    (status,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
    _, size = nvrtc.nvrtcGetProgramLogSize(program)
    log = b" " * (size + 1)  # NVRTC writes into it; of one byte, Python has a single object for all
    nvrtc.nvrtcGetProgramLog(program, log)
    assert status == nvrtc.nvrtcResult.NVRTC_SUCCESS, log.decode()
    assert log.strip(b" \0\n") == b"", log.decode()
    nvrtc.nvrtcDestroyProgram(program)
