"""Asking for the cuda backend where it cannot work, and for the simulator."""

import ctypes
import subprocess
import sys
import types

import numpy as np
import pytest
from conftest import simulated

from minideeplab.backends.cuda import launch, matmul_precision, probe, sources
from minideeplab.backends.cuda.matmul import precision, round_to_tf32


class Driver:
    """A stand-in for the library of the NVIDIA driver."""

    def __init__(self, version=12040, devices=1, status=0):
        self.version, self.devices, self.status = version, devices, status

    def cuInit(self, _):
        return self.status

    def cuDriverGetVersion(self, number):
        number._obj.value = self.version

    def cuDeviceGetCount(self, number):
        number._obj.value = self.devices
        return 0


@pytest.fixture
def driver(monkeypatch):
    """A function that makes ctypes load this stand-in, or no driver."""

    def install(library):
        def load(name):
            if library is None:
                raise OSError(name)
            return library

        monkeypatch.setattr(ctypes, "CDLL", load)
        monkeypatch.setattr(probe, "SIMULATED", False)

    return install


@pytest.mark.parametrize(
    "library, reason",
    [
        (None, "no NVIDIA driver was found.*NUMBA_ENABLE_CUDASIM=1"),
        (Driver(devices=0), "finds no GPU .status 0.*CUDA_VISIBLE_DEVICES"),
        (Driver(status=100), "finds no GPU .status 100"),
    ],
)
def test_no_driver_or_no_gpu_is_reported(driver, library, reason):
    driver(library)
    with pytest.raises(ImportError, match=reason):
        probe.require()


@pytest.mark.parametrize("version, extra", [(12040, "cuda12"), (13000, "cuda13")])
def test_without_cupy_the_extra_for_the_driver_is_named(driver, monkeypatch, version, extra):
    driver(Driver(version))
    monkeypatch.setattr(probe, "xp", types.SimpleNamespace(__name__="numpy"))
    with pytest.raises(ImportError, match=rf"CuPy.*pip install '\.\[{extra}\]'"):
        probe.require()


def test_cupy_for_a_newer_cuda_than_the_driver(driver, monkeypatch):
    driver(Driver(12040))
    runtime = types.SimpleNamespace(runtimeGetVersion=lambda: 13000)
    cupy = types.SimpleNamespace(__name__="cupy", cuda=types.SimpleNamespace(runtime=runtime))
    monkeypatch.setattr(probe, "xp", cupy)
    with pytest.raises(ImportError, match=r"built for CUDA 13, the driver supports CUDA 12\.4"):
        probe.require()


class Cupy(types.SimpleNamespace):
    """CuPy of CUDA 12.9 whose products are made by ``multiply``."""

    def __init__(self, multiply):
        runtime = types.SimpleNamespace(runtimeGetVersion=lambda: 12090)
        array = type("Array", (), {"__matmul__": lambda a, b: multiply()})
        super().__init__(
            __name__="cupy", cuda=types.SimpleNamespace(runtime=runtime), ones=lambda *_: array()
        )


def without_cublas():
    raise RuntimeError("libcublas.so.12 not found\nLong advice follows")


@pytest.mark.parametrize(
    "multiply, reason",
    [
        (without_cublas, r"RuntimeError: libcublas.so.12 not found\); .*'\.\[cuda12\]'$"),
        (lambda: np.zeros(2), r"the device computes 3 \+ 3 \+ 3 \+ 3 = 0"),
    ],
)
def test_a_device_that_cannot_multiply(driver, monkeypatch, multiply, reason):
    driver(Driver(12090))
    monkeypatch.setattr(probe, "xp", Cupy(multiply))
    monkeypatch.setattr("numba.cuda.is_available", lambda: True)
    with pytest.raises(ImportError, match=reason):
        probe.require()


def test_numba_without_cuda_says_why(driver, monkeypatch):
    driver(Driver(12090))
    monkeypatch.setattr(probe, "xp", Cupy(without_cublas))
    monkeypatch.setattr("numba.cuda.is_available", lambda: False)
    monkeypatch.setattr("numba.cuda.cuda_error", lambda: "no nvJitLink")
    with pytest.raises(ImportError, match=r"Numba finds no CUDA \(no nvJitLink\): pip install"):
        probe.require()


def test_cupys_page_of_advice_becomes_its_reason(driver, monkeypatch):
    def fail(_):
        raise ImportError("====\nadvice") from OSError("libcudart.so.12: cannot open")

    driver(Driver(12090))
    monkeypatch.setattr(probe, "xp", types.SimpleNamespace(__name__="numpy"))
    monkeypatch.setattr(probe.importlib, "import_module", fail)
    with pytest.raises(ImportError, match=r"imported \(libcudart.so.12: cannot open\): pip"):
        probe.require()


def test_numba_without_its_cuda_package():
    code = """
import sys
sys.modules["numba.cuda"] = None
import minideeplab as mdl
mdl.use_backend("cuda")
"""
    command = [sys.executable, "-c", code]
    output = subprocess.run(command, capture_output=True, text=True, timeout=120).stderr
    assert "backend 'cuda' cannot be used here: Numba has no CUDA target here" in output
    assert output.rstrip().endswith("pip install '.[cuda12]' or '.[cuda13]'")


def test_bench_gpu_without_a_gpu_says_so_in_one_line(monkeypatch, capsys, driver):
    import minideeplab.bench.gpu  # noqa: F401 - loads libraries of its own
    from minideeplab import backends
    from minideeplab.cli import run

    driver(None)
    backends.load.cache_clear()
    assert run(["bench", "gpu"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "no NVIDIA driver was found" in error


def test_bench_gpu_checks_on_the_simulator():
    command = ["-W", "ignore", "-m", "minideeplab", "bench", "gpu", "--check-only"]
    process = simulated(*command, "--op", "linear")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0 and "| linear | numba |" in output and "agrees" in output


def test_both_backends_work_beside_the_simulator():
    code = """
import numpy as np, minideeplab as mdl, minideeplab.functional as F
x = np.random.default_rng(0).standard_normal((1, 2, 5, 4))
from minideeplab.backends import load
ys = []
for name in mdl.available_backends():
    with mdl.use_backend(name):
        t = mdl.Tensor(x, requires_grad=True)
        F.relu(t.to("cpu")).sum().backward()
        ys.append(t.grad)
missing = set(load("numpy").__all__) - vars(load("cuda")).keys()
print(mdl.available_backends(), all(np.array_equal(y, ys[0]) for y in ys), missing)
"""
    output, _ = simulated("-c", code).communicate(timeout=300)
    assert "['numpy', 'numba', 'cuda'] True set()" in output


def test_the_language_of_the_kernels_is_chosen_by_name(monkeypatch):
    assert launch.language() == "c"
    with launch.written_in("numba"):
        assert launch.language() == "numba"
    monkeypatch.setenv(launch.VARIABLE, "fortran")
    with pytest.raises(ValueError, match="MINIDEEPLAB_CUDA_KERNELS: got 'fortran', expected"):
        launch.language()
    with pytest.raises(ValueError, match="name: got 'ptx'"), launch.written_in("ptx"):
        pass


def test_the_precision_is_chosen_by_name(monkeypatch):
    assert precision() == "float32"
    with matmul_precision("tf32"):
        assert precision() == "tf32" and precision(np.dtype("float64")) == "float64"
        with matmul_precision("float16"):
            assert precision() == "float16"
        assert precision() == "tf32"
    assert precision() == "float32"
    with pytest.raises(ValueError, match="matmul_precision: got 'high', expected one of 'float32'"):
        matmul_precision("high")
    monkeypatch.setenv("MINIDEEPLAB_CUDA_PRECISION", "bf16")
    with pytest.raises(ValueError, match="MINIDEEPLAB_CUDA_PRECISION: got 'bf16', expected"):
        precision()


def test_tf32_keeps_eleven_significant_bits():
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    error = np.abs(round_to_tf32(x) - x) / np.abs(x)
    assert 2.0**-12 < error.max() <= 2.0**-11
    special = np.array([0, -0.0, np.inf, -np.inf, np.nan, 1, 1 + 2.0**-11], np.float32)
    expected = np.array([0, -0.0, np.inf, -np.inf, np.nan, 1, 1 + 2.0**-10], np.float32)
    np.testing.assert_array_equal(round_to_tf32(special), expected)


def test_numba_gets_one_name_for_a_stream(monkeypatch):
    """It looks its launches up by it; 0 is the default stream for CuPy and Numba alike."""
    monkeypatch.setattr("numba.cuda.external_stream", lambda pointer: [pointer])
    assert launch._numbas_stream(12345) is launch._numbas_stream(12345) == [12345]
    assert launch._numbas_stream(0) == 0
    launch._numbas_stream.cache_clear()


def test_sizes_are_counted_in_32_bits_where_they_fit():
    assert sources.index([types.SimpleNamespace(ndim=1, size=1000), 5, -100]) == "int32"
    assert sources.index([types.SimpleNamespace(ndim=1, size=1 << 31), 5]) == "int64"
    assert sources.index([1 << 40]) == "int64"
