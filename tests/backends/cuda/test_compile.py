"""Every kernel compiles for a GPU without one: Numba's to PTX, the CUDA C sources with NVRTC.

Needs what `pip install -e '.[ptx]'` brings; without it these tests are skipped.
"""

import importlib
import re
import subprocess
import types

import numba
import pytest

from minideeplab.backends.cuda import implicit_gemm, launch, sources

COMPUTE_CAPABILITY = (8, 0)
WIDE = re.compile(r"\b\w[\w.]*\.f64.*")


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


@pytest.mark.parametrize("dtype, index", [("float32", "int32"), ("float64", "int64")])
@pytest.mark.parametrize("file", sources.files())
def test_nothing_spills(file, dtype, index, tmp_path):
    """An H100's assembler, which needs no GPU, puts all of a thread's numbers into registers."""
    ptxas = assembler()
    (tmp_path / "k.ptx").write_bytes(ptx_of(file, dtype, index, b"compute_90").rstrip(b"\0"))
    command = [ptxas, "-v", "-arch=sm_90", tmp_path / "k.ptx", "-o", tmp_path / "k.cubin"]
    output = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert output.returncode == 0, output.stderr
    used = re.findall(r"(\d+) bytes stack frame, (\d+) bytes spill stores", output.stderr)
    assert used and set(used) == {("0", "0")}, output.stderr
    registers = [int(count) for count in re.findall(r"Used (\d+) registers", output.stderr)]
    assert max(registers) * 256 <= 65536  # a block's, of all that there are


def assembler():
    """NVIDIA's ptxas, from the package that Numba's CUDA target brings."""
    from importlib.metadata import PackageNotFoundError, files

    try:
        found = files("nvidia-cuda-nvcc-cu12") or []
    except PackageNotFoundError:
        found = []
    for file in found:
        if file.name in ("ptxas", "ptxas.exe"):
            return file.locate()
    pytest.skip("no ptxas")


def test_numba_kernels_compile_to_ptx(compile_ptx, judged):
    """As they were started in float32, which is where a GPU suffers from a stray float64."""
    for module, name, kinds in judged("checker")["signatures"]:
        kernel = getattr(importlib.import_module(module), name)
        if not isinstance(kernel, launch.Kernel):
            kernel = implicit_gemm.implicit_gemm(kinds[0].removesuffix("[::1]"))
        text, _ = compile_ptx(kernel.function, signature(kinds), cc=COMPUTE_CAPABILITY)
        assert ".visible .entry" in text and name in text
        if "float64[::1]" not in kinds:
            wide = [line for line in WIDE.findall(text) if not line.startswith("cvt.")]  # round()
            assert not wide, f"{name} computes in float64: {wide[0]}"


@pytest.mark.parametrize("dtype, index", [("float32", "int32"), ("float64", "int64")])
@pytest.mark.parametrize("file", sources.files())
def test_cuda_c_compiles(file, dtype, index):
    ptx = ptx_of(file, dtype, index).decode()
    assert ".visible .entry" in ptx
    if dtype == "float32" and "double" not in sources.text(file):
        assert not WIDE.findall(ptx), "computes in float64"


def ptx_of(file, dtype, index, architecture=b"compute_80"):
    """The PTX of a file, compiled without a message."""
    nvrtc = pytest.importorskip("cuda.bindings.nvrtc")
    try:
        _, program = nvrtc.nvrtcCreateProgram(
            sources.source(file, dtype, index).encode(), b"", 0, [], []
        )
    except Exception as error:  # the bindings are there, the library is not
        pytest.skip(f"no NVRTC: {error}")
    options = [b"--gpu-architecture=" + architecture, *map(str.encode, sources.OPTIONS)]
    (status,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
    _, size = nvrtc.nvrtcGetProgramLogSize(program)
    log = b" " * (size + 1)  # NVRTC writes into it; of one byte, Python has a single object for all
    nvrtc.nvrtcGetProgramLog(program, log)
    assert status == nvrtc.nvrtcResult.NVRTC_SUCCESS, log.decode()
    assert log.strip(b" \0\n") == b"", log.decode()
    _, size = nvrtc.nvrtcGetPTXSize(program)
    ptx = b" " * size
    nvrtc.nvrtcGetPTX(program, ptx)
    nvrtc.nvrtcDestroyProgram(program)
    return ptx
