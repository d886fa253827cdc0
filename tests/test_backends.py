"""Choosing a backend, and that every backend offers the same names."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import minideeplab as mdl
import minideeplab.functional as F
from minideeplab import backends


def test_the_numpy_backend_is_the_definitions():
    assert backends.load("numpy") is mdl.ops


@pytest.mark.parametrize("name", backends.available_backends())
def test_all_backends_export_the_same_names(name):
    assert set(mdl.ops.__all__) <= vars(backends.load(name)).keys()


def test_a_backend_that_lacks_names_is_an_error_that_lists_them(monkeypatch, tmp_path):
    source = "from minideeplab.ops import *\ndel relu, fold\n"
    (tmp_path / "partial_backend.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(backends.MODULES, "partial", "partial_backend")
    with pytest.raises(ImportError, match=r"'partial' lacks names of minideeplab.ops: fold, relu$"):
        mdl.use_backend("partial")


def test_the_two_cpu_backends_are_available():
    assert {"numpy", "numba"} <= set(mdl.available_backends())


def test_use_backend_nests_and_ends():
    before = backends.current()
    with mdl.use_backend("numpy") as outer:
        assert backends.current() is outer is backends.load("numpy")
        with mdl.use_backend("numba"):
            assert backends.current() is backends.load("numba")
        assert backends.current() is outer
    assert backends.current() is before


def test_use_backend_ends_with_an_exception():
    before = backends.current()
    with pytest.raises(KeyError), mdl.use_backend("numpy"):
        raise KeyError
    assert backends.current() is before


def test_the_choice_belongs_to_its_thread():
    seen = []
    with mdl.use_backend("numpy"):
        default = threading.Thread(target=lambda: seen.append(backends.current()))
        default.start()
        default.join()
    assert seen == [backends.current()]


def test_backward_uses_the_backend_of_the_forward_pass(monkeypatch):
    x = mdl.Tensor(np.ones((1, 1, 2, 2)), requires_grad=True)
    with mdl.use_backend("numpy"):
        y = F.relu(x)
    with mdl.use_backend("numba"):
        monkeypatch.delattr(backends.load("numba"), "relu_backward")
        y.backward(np.ones(y.shape))
    np.testing.assert_array_equal(x.grad, np.ones(x.shape))


def test_unknown_backend_is_refused_at_once():
    with pytest.raises(ValueError, match="backend: got 'torch', expected one of 'numpy', 'numba'"):
        mdl.use_backend("torch")


def test_backend_that_cannot_load_is_an_error_that_says_why(monkeypatch, tmp_path):
    (tmp_path / "broken_backend.py").write_text("raise OSError('no such device')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(backends.MODULES, "broken", "broken_backend")
    before = backends.current()
    with pytest.raises(ImportError, match="'broken' cannot be used here: no such device"):
        mdl.use_backend("broken")
    assert backends.current() is before
    assert "broken" not in mdl.available_backends()


def run(code, **variables):
    """Run code in a fresh interpreter, with environment variables."""
    environment = {**os.environ, "MINIDEEPLAB_BACKEND": "", **variables}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60
    )


def test_environment_variable_names_the_default():
    code = "from minideeplab import backends; print(backends.current().__name__)"
    done = run(code, MINIDEEPLAB_BACKEND="numpy")
    assert done.stdout.strip() == "minideeplab.ops"
    wrong = run(code, MINIDEEPLAB_BACKEND="fast")
    assert "MINIDEEPLAB_BACKEND: got 'fast', expected" in wrong.stderr


def test_importing_the_functions_loads_no_backend():
    code = "import sys, minideeplab.functional; print('numba' in sys.modules)"
    assert run(code).stdout.strip() == "False"
