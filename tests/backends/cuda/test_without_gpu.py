"""Asking for the cuda backend where it cannot work, and for the simulator."""

import ctypes
import types

import pytest
from conftest import simulated

from minideeplab.backends.cuda import launch, probe, twins


class Driver:
    """What the NVIDIA driver's library answers."""

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
    """A function that makes ctypes load a driver with these answers, or none."""

    def install(answers):
        def load(name):
            if answers is None:
                raise OSError(name)
            return answers

        monkeypatch.setattr(ctypes, "CDLL", load)
        monkeypatch.setattr(probe, "SIMULATED", False)

    return install


@pytest.mark.parametrize(
    "answers, reason",
    [
        (None, "no NVIDIA driver was found.*NUMBA_ENABLE_CUDASIM=1"),
        (Driver(devices=0), "finds no GPU .status 0.*CUDA_VISIBLE_DEVICES"),
        (Driver(status=100), "finds no GPU .status 100"),
    ],
)
def test_no_driver_or_no_gpu_is_said(driver, answers, reason):
    driver(answers)
    with pytest.raises(ImportError, match=reason):
        probe.require()


@pytest.mark.parametrize("version, extra", [(12040, "cuda12"), (13000, "cuda13")])
def test_without_cupy_the_extra_for_the_driver_is_named(driver, monkeypatch, version, extra):
    driver(Driver(version))
    monkeypatch.setattr(probe, "xp", types.SimpleNamespace(__name__="numpy"))
    with pytest.raises(ImportError, match=rf"CuPy.*pip install 'minideeplab\[{extra}\]'"):
        probe.require()


def test_cupy_for_a_newer_cuda_than_the_driver(driver, monkeypatch):
    driver(Driver(12040))
    runtime = types.SimpleNamespace(runtimeGetVersion=lambda: 13000)
    cupy = types.SimpleNamespace(__name__="cupy", cuda=types.SimpleNamespace(runtime=runtime))
    monkeypatch.setattr(probe, "xp", cupy)
    with pytest.raises(ImportError, match=r"built for CUDA 13, the driver supports CUDA 12\.4"):
        probe.require()


def test_bench_gpu_without_a_gpu_says_so_in_one_line(monkeypatch, capsys, driver):
    from minideeplab import backends
    from minideeplab.cli import run

    driver(None)
    backends.load.cache_clear()
    assert run(["bench", "gpu"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "no NVIDIA driver was found" in error


def test_bench_gpu_checks_on_the_simulator():
    command = ["-W", "ignore", "-m", "minideeplab.bench", "gpu", "--check-only", "--op", "linear"]
    process = simulated(*command)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0 and "| linear | numba |" in said and "agrees" in said


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
missing = [name for name in load("numpy").__all__ if not hasattr(load("cuda"), name)]
print(mdl.available_backends(), all(np.array_equal(y, ys[0]) for y in ys), missing)
"""
    said, _ = simulated("-c", code).communicate(timeout=300)
    assert "['numpy', 'numba', 'cuda'] True []" in said


def test_the_language_of_the_kernels_is_chosen_by_name(monkeypatch):
    assert launch.language() == "numba"
    with launch.written_in("c"):
        assert launch.language() == "c"
    monkeypatch.setenv(launch.VARIABLE, "fortran")
    with pytest.raises(ValueError, match="MINIDEEPLAB_CUDA_KERNELS: got 'fortran', expected"):
        launch.language()
    with pytest.raises(ValueError, match="name: got 'ptx'"), launch.written_in("ptx"):
        pass


def test_sizes_are_counted_in_32_bits_where_they_fit():
    assert twins.index([types.SimpleNamespace(ndim=1, size=1000), 5, -100]) == "int32"
    assert twins.index([types.SimpleNamespace(ndim=1, size=1 << 31), 5]) == "int64"
    assert twins.index([1 << 40]) == "int64"
